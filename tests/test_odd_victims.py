"""Victims that answer black-box attacks oddly: what is told, what is kept, what is counted."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.world import LABELS, RATE, clip

from subterfuge.attacks import ATTACKS, Attack, make_attack
from subterfuge.audio import Clip
from subterfuge.driver import attack
from subterfuge.errors import AttackError, VictimError
from subterfuge.outcome import Outcome
from subterfuge.threat import Budget, Confident, Goal, LeastSNR, Maximise, Targeted, Threat
from subterfuge.victim import Gives
from subterfuge.victims.python import PythonVictim

Function = Callable[[NDArray[np.float32]], Any]
EDGES_HZ = (100, 1000, 2000, 3400)
BLACK = [name for name, kind in ATTACKS.items() if kind.needs < Gives.GRADIENTS]


def bands(wave: NDArray[np.float32]) -> NDArray[np.float64]:
    """The logarithm of each band's power; the clips of `tests.world` are a decibel or two loudest in the low one."""
    power = np.abs(np.fft.rfft(wave)) ** 2 / len(wave)
    hz = np.fft.rfftfreq(len(wave), 1 / RATE)
    sums = [power[(hz >= a) & (hz < b)].sum() for a, b in pairwise(EDGES_HZ)]
    return np.log(np.array(sums) + 1e-9)


class Counted:
    """A function that goes wrong, once or for ever, at its n-th call."""

    def __init__(self, at: int, wrong: Any, *, once: bool = True) -> None:
        self.at, self.wrong, self.once, self.calls = at, wrong, once, 0

    def __call__(self, wave: NDArray[np.float32]) -> Any:
        self.calls += 1
        if self.calls == self.at or (self.calls > self.at and not self.once):
            if isinstance(self.wrong, Exception):
                raise self.wrong
            return self.wrong
        return bands(wave)


def run(
    tmp_path: Path, function: Function, by: Attack | str = "guided", queries: int | None = 150, **how: Any
) -> Outcome:
    how = {"gives": "scores", **how}
    limit = how.pop("limit", None)
    victim = PythonVictim.of(function, labels=LABELS, sample_rate=RATE, **how)
    threat = Threat(Targeted("high"), budget=Budget(queries=queries))
    threat = threat if limit is None else Threat(Targeted("high"), LeastSNR(limit), Budget(queries=queries))
    sound = clip(tmp_path / "a.wav")
    return attack(sound, victim, threat, by=by, out=f"{tmp_path}/out/", control=0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (ValueError("the card burnt"), "the card burnt"),
        (np.array([np.nan, 0, 0]), "NaN"),
        (np.zeros(4), "of shape (1, 4); (1, 3) was expected"),
        ("high", "3 numbers a clip were expected"),
    ],
    ids=["raises", "nan", "four scores", "a word"],
)
def test_a_win_in_hand_when_the_victim_dies_is_judged_and_kept_with_what_was_spent(
    wrong: Any, says: str, tmp_path: Path
) -> None:
    outcome = run(tmp_path, Counted(500, wrong), queries=600)
    assert outcome.won
    assert outcome.predicted == "high"
    assert Path(outcome.file or "").exists()
    assert 460 < outcome.queries <= 500
    told = [note for note in outcome.warnings if "the search ended after" in note]
    assert len(told) == 1
    assert says in told[0]
    assert f"{outcome.queries} queries" in told[0]


@pytest.mark.parametrize("wrong", [ValueError("the card burnt"), np.array([np.nan, 0, 0])], ids=["raises", "nan"])
def test_a_victim_that_stays_dead_is_told_with_what_was_spent_and_its_win_is_kept_unjudged(
    wrong: Any, tmp_path: Path
) -> None:
    with pytest.raises(VictimError, match=r"after \d+ queries and 0 gradients; a win was in hand"):
        run(tmp_path, Counted(500, wrong, once=False), queries=600)
    kept = {path.name for path in tmp_path.glob("out/*")}
    assert kept == {"a-to-high.unjudged.wav", "a-to-high.unjudged.wav.outcome.json"}
    with pytest.raises(VictimError, match=r"after \d+ queries and 0 gradients; the best margin was -"):
        run(tmp_path, Counted(20, wrong, once=False), limit=60.0)


@pytest.mark.parametrize("name", [name for name in BLACK if ATTACKS[name].needs is Gives.SCORES])
def test_a_victim_with_the_same_scores_for_everything_is_told(name: str, tmp_path: Path) -> None:
    outcome = run(tmp_path, lambda wave: np.array([1.0, 0.0, 0.0]), name, 60)
    assert not outcome.won
    assert outcome.queries == 60
    assert any("no change moved the victim's scores at all" in note for note in outcome.warnings)


def test_probabilities_that_do_not_add_up_to_one_are_told_once(tmp_path: Path) -> None:
    def doubled(wave: NDArray[np.float32]) -> NDArray[np.float64]:
        scores = np.exp(bands(wave))
        return 2 * scores / scores.sum()

    outcome = run(tmp_path, doubled, output="probabilities")
    told = [note for note in outcome.warnings if "add up to 2, where 1 was expected" in note]
    assert len(told) == 1
    assert outcome.won


@pytest.mark.parametrize("name", [name for name in BLACK if ATTACKS[name].needs is Gives.LABELS])
def test_a_target_that_is_never_said_is_told_after_the_whole_budget(name: str, tmp_path: Path) -> None:
    outcome = run(tmp_path, lambda wave: "low", name, 100, gives="labels")
    assert not outcome.won
    assert outcome.queries <= 100
    assert f"the victim never gave the wanted answer in {outcome.queries} queries" in (outcome.advice or "")


@pytest.mark.parametrize("name", BLACK)
@pytest.mark.parametrize("queries", [1, 3])
def test_a_budget_smaller_than_one_generation_is_spent_and_no_more(name: str, queries: int, tmp_path: Path) -> None:
    outcome = run(tmp_path, bands, name, queries, limit=60.0)
    assert not outcome.won
    assert outcome.queries == queries
    assert outcome.margin is not None
    assert outcome.advice is not None


def test_a_label_only_attack_sees_no_scores_even_of_a_victim_that_gives_them(tmp_path: Path) -> None:
    outcome = run(tmp_path, bands, make_attack("hopskipjump", {"rounds": "2", "race": "1"}), 300)
    assert outcome.won
    assert {step["margin"] for step in outcome.history} <= {1.0, -1.0}


def counting(function: Function) -> tuple[Function, list[int]]:
    calls = [0]

    def counted(wave: NDArray[np.float32]) -> Any:
        calls[0] += 1
        return function(wave)

    return counted, calls


def chances(wave: NDArray[np.float32]) -> NDArray[np.float64]:
    scores = np.exp(4 * bands(wave))
    return np.asarray(scores / scores.sum())


@pytest.mark.parametrize(
    "goal", [Targeted("high"), Maximise("high"), Confident("high", 0.6)], ids=lambda goal: goal.name
)
def test_the_victim_is_called_once_for_each_query_and_each_judgement(goal: Goal, tmp_path: Path) -> None:
    function, calls = counting(chances)
    victim = PythonVictim.of(function, labels=LABELS, sample_rate=RATE, output="probabilities")
    threat = Threat(goal, LeastSNR(20.0), Budget(queries=120))
    outcome = attack(clip(tmp_path / "a.wav"), victim, threat, by="evolution", out=f"{tmp_path}/out/", control=3)
    asked = outcome.queries + outcome.judgements + (outcome.control or {"queries": 0})["queries"]
    assert asked < calls[0] <= asked + 5  # what it says of the clip, and how far past the goal that is


def test_a_victim_that_dies_in_the_control_loses_no_win(tmp_path: Path) -> None:
    sound = clip(tmp_path / "a.wav")
    whole = PythonVictim.of(bands, labels=LABELS, sample_rate=RATE)
    threat = Threat(Targeted("high"), budget=Budget(queries=400))
    first = attack(sound, whole, threat, by="evolution", out=f"{tmp_path}/first/", control=0)
    assert first.won
    function = Counted(first.queries + first.judgements + 8, ValueError("no credit left"), once=False)
    victim = PythonVictim.of(function, labels=LABELS, sample_rate=RATE)
    outcome = attack(sound, victim, threat, by="evolution", out=f"{tmp_path}/second/", control=20)
    assert outcome.won
    assert outcome.control is None
    assert any("no control" in note and "no credit left" in note for note in outcome.warnings)
    assert Path(outcome.file or "").exists()


def test_labels_alone_see_no_probability_where_the_goal_reads_them(tmp_path: Path) -> None:
    victim = PythonVictim.of(chances, labels=LABELS, sample_rate=RATE, output="probabilities")
    threat = Threat(Confident("high", 0.6), budget=Budget(queries=200))
    outcome = attack(clip(tmp_path / "a.wav"), victim, threat, by="noise", out=f"{tmp_path}/out/", control=0)
    assert {step["margin"] for step in outcome.history} <= {1.0, -1.0}


def test_labels_alone_cannot_be_maximised(tmp_path: Path) -> None:
    victim = PythonVictim.of(lambda wave: "low", labels=LABELS, sample_rate=RATE, gives="labels")
    for by in (None, make_attack("substitute", {"learn": "labels"})):
        with pytest.raises(AttackError, match=r"the goal maximise climbs scores, and .* sees labels alone"):
            attack(clip(tmp_path / "a.wav"), victim, Threat(Maximise("high")), by=by, out=f"{tmp_path}/out/")


def test_a_goal_in_probabilities_is_refused_where_the_judge_has_none_whatever_is_searched_on(tmp_path: Path) -> None:
    victim = PythonVictim.of(lambda wave: "low", labels=LABELS, sample_rate=RATE, gives="labels")
    on = PythonVictim.of(chances, labels=LABELS, sample_rate=RATE, output="probabilities")
    threat = Threat(Confident("high", 0.6))
    with pytest.raises(AttackError, match="needs probabilities"):
        attack(clip(tmp_path / "a.wav"), victim, threat, by="noise", on=on, out=f"{tmp_path}/out/")


def test_sounds_to_start_from_that_are_of_no_use_are_told(tmp_path: Path) -> None:
    silent = Clip.of(np.zeros(2000), RATE, name="nothing")
    victim = PythonVictim.of(bands, labels=LABELS, sample_rate=RATE)
    sound, threat = clip(tmp_path / "a.wav"), Threat(Targeted("high"), budget=Budget(queries=30))
    for by, says in (("hopskipjump", "nothing is silent"), ("noise", "were not used")):
        outcome = attack(sound, victim, threat, by=by, starts=[silent], out=f"{tmp_path}/{by}/", control=0)
        assert any(says in note for note in outcome.warnings)


def test_a_substitute_that_learns_from_scores_starts_from_no_other_sound_and_one_from_labels_does() -> None:
    learns = {how: make_attack("substitute", {"learn": how}) for how in ("scores", "labels")}
    assert [getattr(one, "starts_elsewhere", None) for one in learns.values()] == [False, True]
    assert [one.needs for one in learns.values()] == [Gives.SCORES, Gives.LABELS]
