"""A victim that is paid by the query: what an attack costs, where it stops, and what is kept when the service ends."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.world import card, clip
from torch import Tensor

from subterfuge import Clip, Threat, Untargeted, attack
from subterfuge.attacks import make_attack
from subterfuge.errors import VictimError
from subterfuge.outcome import outcome_path
from subterfuge.threat import Budget
from subterfuge.victim import Gives
from subterfuge.victims import TorchVictim, load_victim


@dataclass
class Meter:
    asked: int = 0
    stops_after: int | None = None


@dataclass(frozen=True)
class Service:
    """A victim that is asked elsewhere: it counts, and after some answers it answers no more."""

    victim: TorchVictim
    meter: Meter
    most: int | None = None
    twin: None = None
    gives: Gives = Gives.SCORES
    at_once: int = 1
    card: Path | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.victim, name)

    def spent(self) -> dict[str, Any]:
        paid = self.meter.asked
        return {"queries": paid, "cached": 0, "retries": 0, "price": 0.5, "total": 0.5 * paid, "currency": "EUR"}

    @property
    def queries_left(self) -> int | None:
        return None if self.most is None else self.most - self.meter.asked

    def _pay(self, wave: Tensor) -> None:
        self.meter.asked += len(wave)
        if self.meter.stops_after is not None and self.meter.asked > self.meter.stops_after:
            raise VictimError("the service is closed")
        assert self.most is None or self.meter.asked <= self.most

    def decide(self, wave: Tensor) -> Tensor:
        self._pay(wave)
        return self.victim.decide(wave)

    def scores(self, wave: Tensor) -> Tensor:
        self._pay(wave)
        with torch.no_grad():
            return self.victim.scores(wave)

    def probabilities(self, wave: Tensor) -> Tensor | None:
        self._pay(wave)
        with torch.no_grad():
            return self.victim.probabilities(wave)


@pytest.fixture
def bands(tmp_path: Path) -> TorchVictim:
    victim = load_victim(card(tmp_path / "cards"))
    assert isinstance(victim, TorchVictim)
    return replace(victim, card=None)


def about(tmp_path: Path, queries: int | None = None) -> dict[str, Any]:
    budget = Budget(queries=queries)
    return {"threat": Threat(Untargeted(), budget=budget), "by": "hopskipjump", "out": tmp_path / "out" / "x.wav"}


def test_every_query_of_an_attack_is_on_its_bill_whoever_asked(tmp_path: Path, bands: TorchVictim) -> None:
    meter = Meter(asked=7)
    outcome = attack(clip(tmp_path / "a.wav"), Service(bands, meter), control=3, **about(tmp_path, 60))
    assert outcome.won
    assert outcome.service is not None
    assert outcome.service["queries"] == meter.asked - 7 > outcome.queries
    assert outcome.service["total"] == 0.5 * outcome.service["queries"]
    assert (outcome.service["price"], outcome.service["currency"]) == (0.5, "EUR")
    assert json.loads(outcome_path(Path(str(outcome.file))).read_text())["service"] == outcome.service
    assert (
        attack(clip(tmp_path / "b.wav"), bands, out=tmp_path / "out/b.wav", by=make_attack("quietest")).service is None
    )


def test_a_search_ends_in_time_for_the_judge_where_the_service_stops(tmp_path: Path, bands: TorchVictim) -> None:
    service = Service(bands, Meter(), most=60)
    outcome = attack(clip(tmp_path / "a.wav"), service, control=0, **about(tmp_path))
    assert outcome.won
    assert 30 < outcome.queries <= 52
    assert service.meter.asked <= 60
    assert outcome.budget["queries"] is None, "what the user allowed"
    assert any("answers" in note and "more queries" in note for note in outcome.warnings)


def test_a_service_with_too_few_queries_left_is_refused_with_what_it_has(tmp_path: Path, bands: TorchVictim) -> None:
    with pytest.raises(VictimError, match="most_queries"):
        attack(clip(tmp_path / "a.wav"), Service(bands, Meter(), most=9), **about(tmp_path))
    assert not (tmp_path / "out").exists()


def test_a_win_that_a_closed_service_never_judged_is_kept_and_said_to_be_that(
    tmp_path: Path, bands: TorchVictim
) -> None:
    path = clip(tmp_path / "a.wav")
    with pytest.raises(VictimError, match=r"closed.*win was in hand.*kept in .*x\.unjudged\.wav"):
        attack(path, Service(bands, Meter(stops_after=200)), control=0, **about(tmp_path))
    kept = tmp_path / "out" / "x.unjudged.wav"
    record = json.loads(outcome_path(kept).read_text())
    assert {one.name for one in (tmp_path / "out").iterdir()} == {kept.name, outcome_path(kept).name}
    assert (record["won"], record["predicted"], record["file"]) == (False, "not asked", str(kept))
    assert record["service"]["queries"] > 190
    heard = torch.from_numpy(Clip.read(kept).mono(8000))[None]
    assert bands.labels[int(bands.decide(heard)[0])] != "low", "it was a win indeed"
    with pytest.raises(VictimError, match=r"x\.unjudged-2\.wav"):
        attack(path, Service(bands, Meter(stops_after=200)), control=0, **about(tmp_path))
    assert json.loads(outcome_path(kept).read_text()) == record


def test_without_a_win_in_hand_a_closed_service_leaves_nothing(tmp_path: Path, bands: TorchVictim) -> None:
    with pytest.raises(VictimError, match="closed"):
        attack(clip(tmp_path / "a.wav"), Service(bands, Meter(stops_after=5)), Threat(Untargeted()), by="square",
               out=tmp_path / "out" / "x.wav")  # fmt: skip
    assert not (tmp_path / "out").exists()
