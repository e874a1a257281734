"""An audit that goes on asks first whether it is still the model with which it began."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.campaign.kit import audit_of
from tests.harden.kit import tone
from tests.world import LABELS, RATE, card
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.campaign import audit as audits
from subterfuge.campaign._resumed import alike, check_same, said_of
from subterfuge.campaign.audit import audit
from subterfuge.campaign.rows import Audit
from subterfuge.errors import OutputError, VictimError
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims import load_victim

WEIGHTED = """
from pathlib import Path

import numpy as np

WEIGHTS = np.loadtxt(Path(__file__).with_name("weights.txt"))

def scores(wave):
    bands = [part.mean() for part in np.array_split(np.abs(np.fft.rfft(wave)), 4)[:3]]
    return np.log(np.array(bands)) * WEIGHTS

def label(wave):
    return ("low", "middle", "high")[int(np.argmax(scores(wave)))]
"""


@dataclass(frozen=True)
class Answers:
    """A victim that answers as it is told, the next thing each time, the last for ever."""

    said: list[Any]
    numbers: bool = True
    asked: list[int] = field(default_factory=list)
    name: str = "told"
    labels: tuple[str, ...] = LABELS
    sample_rate: int = RATE
    kind: Kind = Kind.LOG_PROBABILITY
    fingerprint: str = "f" * 64
    twin: Victim | None = None
    warnings: tuple[str, ...] = ()

    @property
    def gives(self) -> Gives:
        return Gives.SCORES if self.numbers else Gives.LABELS

    def decide(self, wave: Tensor) -> Tensor:
        self.asked.append(len(wave))
        return self._now().argmax(-1)

    def scores(self, wave: Tensor) -> Tensor:
        return self._now().log()

    def probabilities(self, wave: Tensor) -> Tensor | None:
        return self._now() if self.numbers else None

    def _now(self) -> Tensor:
        said = self.said[min(len(self.asked), len(self.said)) - 1]
        if isinstance(said, Exception):
            raise said
        return torch.tensor([said], dtype=torch.float64)


@dataclass(frozen=True)
class Paid(Answers):
    """One that counts."""

    queries_left: int = 100

    def spent(self) -> dict[str, Any]:
        return dict.fromkeys(("queries", "cached", "retries", "total", "price", "currency"), 0)


@dataclass(frozen=True)
class Remembers(Answers):
    """One that gives what it said before, unless it is asked afresh."""

    fresh: Victim | None = None

    def afresh(self) -> Victim:
        assert self.fresh is not None
        return self.fresh


SURE, UNSURE = (0.98, 0.01, 0.01), (0.5, 0.3, 0.2)


@pytest.fixture
def heard(tmp_path: Path) -> dict[str, Path]:
    paths = [tone(tmp_path / f"{number}.wav", "low", seed=number) for number in range(10)]
    return {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in paths}


def began(heard: dict[str, Path], numbers: bool = True, doubts: Any = ()) -> Audit:
    """Give the audit that a victim left that said the same of every clip, but was less sure of the last."""
    found = audit_of(clean={path.name: ("low", "low") for path in heard.values()}, doubts=doubts)
    rows = []
    for row, (sha256, _) in zip(found.rows, heard.items(), strict=True):
        said = SURE if len(rows) < len(heard) - 1 else UNSURE
        chances = dict(zip(LABELS, said, strict=True)) if numbers else None
        result = {"answer": "low", "probabilities": chances, "scores": None, "right": True}
        rows.append(replace(row, job=replace(row.job, sha256=sha256), result=result))
    return replace(found, rows=tuple(rows))


def asked(audit: Audit, victim: Victim, heard: dict[str, Path], tell: Callable[[str], None] = print) -> list[str]:
    return check_same(audit, victim, heard, 600.0, tell)


@pytest.mark.parametrize("kind", ["scores", "labels"])
def test_an_audit_does_not_go_on_with_other_weights_behind_the_same_card(tmp_path: Path, kind: str) -> None:
    for place, label in enumerate(LABELS):
        tone(tmp_path / "clips" / label / "0.wav", label, seed=place)
    (tmp_path / "weighted.py").write_text(WEIGHTED, encoding="utf-8")
    (tmp_path / "weights.txt").write_text("1 1 1", encoding="utf-8")
    path = card(tmp_path, "label" if kind == "labels" else "scores")
    path.write_text(path.read_text(encoding="utf-8").replace("bands.py", "weighted.py"), encoding="utf-8")
    words: dict[str, Any] = {"only": ["labels"], "count": 1, "queries": 20}
    with pytest.MonkeyPatch.context() as patch:  # ended once the clips are scored
        patch.setattr(audits, "cases_of", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        for _ in range(2):  # with the same weights it goes on
            with pytest.raises(KeyboardInterrupt):
                audit(path, [tmp_path / "clips"], tmp_path / "out", **words)
    rows = audits.Ledger.read(tmp_path / "out").rows
    (tmp_path / "weights.txt").write_text("5 1 1", encoding="utf-8")
    path.touch()
    with pytest.raises(OutputError, match=r"another model: of \w+/0.wav the victim \w+ said \w+.* then, and says \w+"):
        audit(path, [tmp_path / "clips"], tmp_path / "out", **words)
    assert audits.Ledger.read(tmp_path / "out").rows == rows


def test_the_clips_of_which_it_was_least_sure_are_asked_about_and_no_more_than_two(heard: dict[str, Path]) -> None:
    victim = Answers([UNSURE, SURE])
    assert asked(began(heard), victim, heard) == []
    assert len(victim.asked) == 2


def test_rounding_is_no_other_model(heard: dict[str, Path]) -> None:
    near = tuple(value + 1e-4 * sign for value, sign in zip(UNSURE, (1, -1, 0), strict=True))
    assert asked(began(heard), Answers([near, SURE]), heard) == []


def test_the_refusal_names_the_clip_and_both_answers(heard: dict[str, Path]) -> None:
    with pytest.raises(OutputError) as told:
        asked(began(heard), Answers([(0.3, 0.5, 0.2)]), heard)
    for words in ("9.wav", "low (low: 0.5) then", "middle (low: 0.3) now", "ffffffffffff", "another --out", "`files`"):
        assert words in str(told.value)


@pytest.mark.parametrize("numbers", [True, False])
def test_a_victim_that_draws_its_answers_is_not_refused_and_that_is_told(heard: dict[str, Path], numbers: bool) -> None:
    other = (0.3, 0.5, 0.2)
    (note,) = asked(began(heard, numbers), Answers([other, other, other, UNSURE], numbers), heard)
    assert "cannot be told" in note


def test_a_victim_that_the_audit_knows_to_be_random_is_not_refused(heard: dict[str, Path]) -> None:
    doubts = [{"sign": "random answers", "hides": False, "words": "…"}]
    assert asked(began(heard, doubts=doubts), Answers([(0.3, 0.5, 0.2)]), heard)


def test_a_victim_that_is_paid_is_asked_about_one_clip_and_that_is_told(heard: dict[str, Path]) -> None:
    told: list[str] = []
    victim = Paid([UNSURE, (0.1, 0.1, 0.8)])
    assert asked(began(heard), victim, heard, told.append) == []
    assert len(victim.asked) == 1
    assert "1 clip again" in told[0]


def test_what_a_victim_remembers_of_the_old_model_does_not_count(heard: dict[str, Path]) -> None:
    with pytest.raises(OutputError):
        asked(began(heard), Remembers([UNSURE, SURE], fresh=Answers([(0.3, 0.5, 0.2)])), heard)


def test_of_labels_eight_clips_are_asked_about(heard: dict[str, Path]) -> None:
    victim = Answers([SURE], numbers=False)
    assert asked(began(heard, numbers=False), victim, heard) == []
    assert len(victim.asked) == 8


def test_a_victim_that_is_dead_is_told_by_its_rows(heard: dict[str, Path]) -> None:
    assert asked(began(heard), Answers([VictimError("gone")]), heard) == []


def test_clips_that_this_run_does_not_have_are_not_asked_about(heard: dict[str, Path]) -> None:
    victim = Answers([SURE])
    assert asked(began(heard), victim, {}) == []
    assert victim.asked == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"scores": {"a": 1000.0, "b": 0.0}}, {"scores": {"a": 1000.5, "b": 0.1}}, True),
        ({"scores": {"a": 10.0, "b": 0.0}}, {"scores": {"a": 10.0, "b": 0.5}}, False),
        ({"scores": {"a": 0.0, "b": None}}, {"scores": {"a": 0.0, "b": 5.0}}, True),
        ({"scores": None}, {"scores": {"a": 1.0}}, True),  # of a ledger that kept none
        ({"probabilities": {"a": 0.5, "b": 0.5}}, {"answer": "b", "probabilities": {"a": 0.4999, "b": 0.5001}}, True),
        ({}, {"answer": "b"}, False),
    ],
)
def test_answers_are_alike_but_for_rounding(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert alike({"answer": "a"} | one, {"answer": "a"} | other) is same


def test_a_clip_as_it_comes_keeps_the_scores_of_a_victim_without_probabilities(tmp_path: Path) -> None:
    path = tone(tmp_path / "a.wav", "low")
    said = said_of(Clip.read(path), load_victim(card(tmp_path, "scores")))
    assert said["probabilities"] is None
    assert set(said["scores"]) == set(LABELS)
