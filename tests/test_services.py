"""A victim that is paid by the query: what an attack costs, where it stops, and what is kept when the service ends."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.campaign.kit import audit_of, tried
from tests.world import card, clip
from torch import Tensor

from subterfuge import Clip, LeastSNR, Threat, Untargeted, attack
from subterfuge.attacks import make_attack
from subterfuge.campaign._scorecard_next import _can_be_taught
from subterfuge.campaign._scorecard_words import sentences_of
from subterfuge.campaign.audit import _affordable
from subterfuge.campaign.figures import figures_of
from subterfuge.campaign.protocol import PROTOCOLS
from subterfuge.campaign.rows import Job
from subterfuge.driver.controls import control as control_beside
from subterfuge.driver.service import bill_of
from subterfuge.driver.survival import survive
from subterfuge.driver.together import attack_together
from subterfuge.errors import InputError, VictimError
from subterfuge.outcome import Outcome, outcome_path
from subterfuge.threat import Budget
from subterfuge.transforms import parse_transforms
from subterfuge.victim import Gives
from subterfuge.victims import TorchVictim, load_victim
from subterfuge.victims.ensemble import EnsembleVictim


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


def test_what_was_paid_for_is_kept_without_a_win_too(tmp_path: Path, bands: TorchVictim) -> None:
    with pytest.raises(VictimError, match=r"closed.*the best margin was.*kept in .*x\.unjudged\.wav"):
        attack(clip(tmp_path / "a.wav"), Service(bands, Meter(stops_after=12)), Threat(Untargeted()), by="square",
               out=tmp_path / "out" / "x.wav")  # fmt: skip
    record = json.loads(outcome_path(tmp_path / "out" / "x.unjudged.wav").read_text())
    assert record["margin"] < 0
    assert record["service"]["queries"] >= 12


def test_a_service_that_closes_while_the_judge_asks_costs_no_win(tmp_path: Path, bands: TorchVictim) -> None:
    """At whatever question it closes: a win that was in hand is in a file."""
    path, closed = clip(tmp_path / "a.wav"), 0
    whole = Meter()
    attack(path, Service(bands, whole), control=0, **about(tmp_path, 40))
    for stop in range(whole.asked - 6, whole.asked):
        out = tmp_path / str(stop) / "x.wav"
        try:
            outcome = attack(
                path, Service(bands, Meter(stops_after=stop)), control=0, **(about(tmp_path, 40) | {"out": out})
            )
        except VictimError:
            closed += 1
            assert out.with_name("x.unjudged.wav").exists(), stop
        else:
            assert outcome.won
    assert closed >= 4


def test_a_service_that_closes_as_a_lost_search_ends_costs_no_record(tmp_path: Path, bands: TorchVictim) -> None:
    path, whole = clip(tmp_path / "a.wav"), Meter()
    hard = {"threat": Threat(Untargeted(), LeastSNR(90), Budget(queries=20)), "by": "square", "control": 0}
    lost = attack(path, Service(bands, whole), out=tmp_path / "lost" / "x.wav", **hard)
    assert not lost.won
    last = Service(bands, Meter(stops_after=whole.asked - 1))
    with pytest.raises(VictimError, match="kept in"):
        attack(path, last, out=tmp_path / "out" / "x.wav", **hard)
    record = json.loads(outcome_path(tmp_path / "out" / "x.unjudged.wav").read_text())
    assert record["queries"] == 20


def test_a_search_that_was_to_ask_more_than_is_left_is_refused(tmp_path: Path, bands: TorchVictim) -> None:
    with pytest.raises(VictimError, match=r"was to ask 60.*--queries"):
        attack(clip(tmp_path / "a.wav"), Service(bands, Meter(), most=60), **about(tmp_path, 60))


def test_attacks_on_a_paid_victim_go_one_after_another_and_each_has_its_own_bill(
    tmp_path: Path, bands: TorchVictim
) -> None:
    meter = Meter()
    clips = [clip(tmp_path / f"{name}.wav", seed=place) for place, name in enumerate("abc")]
    made = attack_together(
        clips, Service(bands, meter), Threat(Untargeted(), budget=Budget(queries=30)), by="hopskipjump",
        out=tmp_path / "out", control=0,
    )  # fmt: skip
    bills = [one.service["queries"] for one in made if isinstance(one, Outcome) and one.service]
    assert len(bills) == 3
    assert sum(bills) == meter.asked


def test_what_is_asked_about_a_win_afterwards_is_on_a_bill_of_its_own(tmp_path: Path, bands: TorchVictim) -> None:
    won = attack(clip(tmp_path / "a.wav"), bands, control=0, out=tmp_path / "x.wav", by=make_attack("quietest"))
    meter = Meter(asked=11)
    service = Service(bands, meter)
    noise = control_beside(str(won.file), service, draws=3)
    assert noise.service is not None
    assert noise.as_json()["service"]["queries"] == meter.asked - 11 >= 2 + 9
    before = meter.asked
    survival = survive(str(won.file), service, parse_transforms("gain=-6"))
    assert survival.service is not None
    assert survival.as_json()["service"]["total"] == 0.5 * (meter.asked - before) > 0
    assert survive(str(won.file), bands, parse_transforms("gain=-6")).service is None


def test_an_audit_says_what_it_was_paid(tmp_path: Path) -> None:
    audit = audit_of([tried("a", "low", "high", 40.0)])
    rows = [replace(row, result={**row.result, "service": {"queries": 7, "total": 3.5, "currency": "EUR"}})
            for row in audit.rows]  # fmt: skip
    paid = replace(audit, rows=tuple(rows))
    said = sentences_of(paid, figures_of(paid))
    paid_words = f"It was paid {7 * len(rows)} queries, {3.5 * len(rows):.3g} EUR in the jobs that ended well"
    assert any(one.startswith(paid_words) for one in said)


def test_an_ensemble_of_paid_victims_is_billed_for_all_of_them(tmp_path: Path, bands: TorchVictim) -> None:
    meters = Meter(), Meter(asked=3)
    both = EnsembleVictim.of([Service(bands, meters[0], most=90), Service(bands, meters[1], most=80)])
    bill = bill_of(both)
    assert bill is not None
    assert bill.queries_left == 77
    outcome = attack(clip(tmp_path / "a.wav"), both, control=0, **(about(tmp_path) | {"by": "square"}))
    assert outcome.service is not None
    assert outcome.service["queries"] == meters[0].asked + meters[1].asked - 3
    assert outcome.service["currency"] == "EUR"
    assert outcome.queries <= 77 - 8
    assert bill_of(bands) is None


def test_an_audit_that_no_victim_s_budget_allows_is_refused_and_a_tight_one_told() -> None:
    (search, *_) = PROTOCOLS["quick"].searches(TorchVictim.of(torch.nn.Linear(8000, 3), labels=list("abc"),
                                                              sample_rate=8000), ("scores",))  # fmt: skip
    job = Job(0, "scores", "a", "a.wav", "00", "low", target="high")
    each = (search.queries or 0) + 8
    assert "answers 10000 more" in _affordable([search], [("k", job)], 10000)
    assert "will fail" in _affordable([search], [("k", job), ("l", job)], each)
    with pytest.raises(InputError, match="--queries"):
        _affordable([search], [("k", job)], each - 1)


@pytest.mark.parametrize(
    ("text", "taught"),
    [('kind = "sklearn"', True), ('kind = "onnx"', False), ('kind = "torch"\nmodule = "net.py:Net"', False),
     ('kind = "torch"\nmodule = "subterfuge.training.melnet:build"', True), (None, True)],
)  # fmt: skip
def test_harden_is_advised_to_train_only_what_it_can(text: str | None, taught: bool, tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert _can_be_taught(str(path)) is taught
