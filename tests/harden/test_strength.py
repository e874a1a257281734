"""The figures of an audit, on cases made by hand: what was lost is worse than any number, and what failed is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.harden.kit import SIGHTED, TINY, attempt, cases, faced
from tests.world import card

from subterfuge.campaign.cases import Case
from subterfuge.campaign.doubts import Doubt
from subterfuge.errors import VictimError
from subterfuge.harden import attempts
from subterfuge.harden.faced import UNCHANGED_DB, Attempt, Faced
from subterfuge.harden.failures import told_failures
from subterfuge.harden.memory import Memory, content_of
from subterfuge.harden.strength import SNRS_DB, Plan, Strength, strength_of
from subterfuge.harden.table import HEAD, Defended, Hardened, rows_of


def strength(*those: Faced, clips: list[str] | None = None, also: tuple[str, ...] = ()) -> Strength:
    paths = clips or [f"{place}.wav" for place in range(len(those))]
    asked = tuple(Case(place, Path(path), "low", "high", also) for place, path in enumerate(paths))
    return Strength("toy", "toy.toml", asked, those)


@given(st.lists(st.one_of(st.none(), st.floats(-5, 90)), min_size=1, max_size=12))
def test_the_median_counts_the_lost_below_every_number(snrs: list[float | None]) -> None:
    found = strength(*(faced(place, targeted=attempt(snr)) for place, snr in enumerate(snrs)))
    ordered = sorted(snrs, key=lambda snr: (snr is not None, snr))
    low, high = ordered[(len(snrs) - 1) // 2], ordered[len(snrs) // 2]
    wanted = None if low is None or high is None else (low + high) / 2
    assert found.median_snr_db == (None if wanted is None else pytest.approx(wanted))
    assert (found.asked, found.won) == (len(snrs), sum(snr is not None for snr in snrs))


@given(
    st.lists(
        st.tuples(st.booleans(), *(st.one_of(st.none(), st.floats(0, 80)) for _ in range(2)), st.booleans()),
        min_size=1,
        max_size=8,
    )
)
def test_robust_accuracy_is_the_part_that_no_search_turned_at_that_level(rows: list[tuple]) -> None:
    those = []
    for place, (right, untargeted, targeted, masked) in enumerate(rows):
        tried = {"targeted": attempt(targeted)}
        if right:
            tried |= {"untargeted": attempt(untargeted), "masked": attempt(30.0 if masked else None)}
        those.append(faced(place, right=right, **tried))
    found = strength(*those)
    for snr_db in (*SNRS_DB, -100.0, 100.0):
        stands = 0
        for right, untargeted, targeted, masked in rows:
            below = 30.0 if right and masked else None
            turned = [snr for snr in (untargeted, targeted, below) if snr is not None and snr >= snr_db]
            stands += right and not turned
        assert found.robust(snr_db) == stands / len(rows)
    assert found.robust_masked == sum(right and not masked for right, *_, masked in rows) / len(rows)
    told = found.json()
    assert list(told["robust"]) == ["60", "50", "40", "30", "20", "masking"]
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize(
    "other",
    [{"black box": attempt(45.0)}, {"masked": attempt(45.0)}, {"untargeted": attempt(45.0)}],
    ids=lambda other: next(iter(other)),
)
def test_whatever_turns_a_clip_counts_against_it(other: dict[str, Attempt]) -> None:
    found = strength(faced(0, targeted=attempt(None), **other))
    assert (found.robust(50), found.robust(45)) == (1.0, 0.0)
    assert found.median_snr_db == (45.0 if "black box" in other else None)


def test_a_change_found_elsewhere_that_does_better_is_what_the_victim_needs() -> None:
    those = Faced(0, "low", True, {"targeted": attempt(30.0)}, found_elsewhere_db=48.0)
    found = strength(those)
    assert (found.median_snr_db, found.robust(50), found.robust(48)) == (48.0, 1.0, 0.0)


def test_a_win_that_changed_nothing_is_the_quietest_of_all_and_no_loss() -> None:
    found = strength(faced(0, targeted=attempt(None, won=True, answer="high")))
    assert found.median_snr_db == UNCHANGED_DB
    assert all(found.robust(snr_db) == 0.0 for snr_db in SNRS_DB)
    json.dumps(found.json(), allow_nan=False)


def test_the_undefended_victim_gives_nothing_and_without_its_median_no_defence_can() -> None:
    lost = strength(faced(0, targeted=attempt(None)))
    lost = replace(lost, clean={"accuracy": 0.9})
    hardened = Hardened((Defended("none", lost, ()), Defended("it", lost, ())), None, {}, ())
    assert not any(hardened.holds(one) for one in hardened.victims)


def test_a_clip_of_several_targets_is_one_clip_and_falls_with_the_first_of_them() -> None:
    found = strength(
        faced(0, targeted=attempt(None)), faced(1, targeted=attempt(45.0)), faced(2, targeted=attempt(None)),
        clips=["a.wav", "a.wav", "b.wav"],
    )  # fmt: skip
    assert (found.robust(50), found.robust(45), found.robust(40)) == (1.0, 0.5, 0.5)
    assert (found.asked, found.won) == (3, 1)


def test_an_answer_that_is_heard_in_the_clip_too_does_not_turn_it() -> None:
    found = strength(faced(0, untargeted=attempt(60.0, answer="high")), also=("high",))
    assert found.robust(20) == 1.0


def test_cases_that_met_the_goal_unchanged_count_in_no_figure_but_as_wrong_clips() -> None:
    met = attempt(None, won=True, already=True, probability=1.0, zimtohrli_mos=5.0, answer="high")
    real = [attempt(20.0, probability=0.5, zimtohrli_mos=4.0), attempt(30.0, probability=0.6, zimtohrli_mos=3.0)]
    alone = strength(faced(0, targeted=real[0]), faced(1, targeted=real[1]))
    beside = strength(
        faced(0, targeted=real[0]), faced(1, targeted=real[1]), *(faced(2 + n, right=False, targeted=met)
        for n in range(5))
    )  # fmt: skip
    for figure in ("asked", "won", "median_snr_db", "median_probability", "median_mos", "median_found_elsewhere_db"):
        assert getattr(beside, figure) == getattr(alone, figure), figure
    assert (alone.robust(40), beside.robust(40)) == (1.0, 2 / 7)
    only = strength(faced(0, right=False, targeted=met))
    assert (only.asked, only.won, only.median_snr_db, only.median_probability, only.median_mos) == (0, 0) + (None,) * 3


def test_without_masked_searches_there_is_no_masked_figure_for_right_clips() -> None:
    assert strength(faced(0, untargeted=attempt(40.0))).robust_masked is None
    assert strength().robust(40) is None


def test_a_case_that_failed_is_in_no_figure_and_is_told_and_tried_again(tmp_path: Path) -> None:
    victim = card(tmp_path / "cards")
    some = cases(tmp_path / "clips", 2)
    (tmp_path / "clips" / "0.wav").write_bytes(b"RIFF no sound")
    memory = Memory(tmp_path / "cases.jsonl")
    plan = Plan(some, TINY, ("targeted", "untargeted"))
    told: list[tuple[int, int]] = []

    def run() -> Strength:
        return strength_of(victim, plan, folder=tmp_path / "out", memory=memory, progress=lambda *at: told.append(at))

    found = run()
    assert told == [(1, 2), (2, 2)]
    assert "ClipError" in str(found.faced[0].failed)
    assert "0.wav" in str(found.faced[0].failed)
    assert found.faced[1].failed is None
    assert (found.asked, found.won, found.robust(-100)) == (1, 1, 0.0)
    told.clear()
    again = run()  # the other one is known
    assert told == [(2, 2)]
    assert again == found
    assert Faced.of_json(json.loads(json.dumps(found.faced[1].json()))) == found.faced[1]


def test_what_is_kept_is_found_by_everything_that_its_result_depends_on(tmp_path: Path) -> None:
    (case,) = cases(tmp_path, 1)
    plan = Plan((case,), TINY)
    keys = {
        plan.key("print", case, None),
        plan.key("other print", case, None),
        plan.key("print", case, "found.wav"),
        Plan((case,), TINY, ("targeted",)).key("print", case, None),
        Plan((case,), TINY, goal="confident=0.9").key("print", case, None),
        Plan((case,), TINY, seed=1).key("print", case, None),
        plan.key("print", Case(0, case.path, "low", "high"), None),
    }
    case.path.write_bytes(case.path.read_bytes() + b" ")
    assert len({*keys, plan.key("print", case, None)}) == 8


def defended(name: str, snr_db: float | None, accuracy: float) -> Defended:
    found = strength(*(faced(place, targeted=attempt(snr_db)) for place in range(3)))
    return Defended(name, Strength(name, "", found.cases, found.faced, {"accuracy": accuracy}), ())


@pytest.mark.parametrize(
    ("snr_db", "accuracy", "gain", "holds"),
    [
        (30.0, 0.9, 10.0, True),
        (30.0, 0.84, 10.0, False),
        (31.0, 0.9, 9.0, False),
        (50.0, 0.9, -10.0, False),
        (None, 0.86, None, True),
        (None, 0.5, None, False),
    ],
)
def test_a_defence_holds_with_ten_decibels_for_five_points(
    snr_db: float | None, accuracy: float, gain: float | None, holds: bool
) -> None:
    one = defended("it", snr_db, accuracy)
    hardened = Hardened((defended("undefended", 40.0, 0.9), one), None, {}, ())
    assert hardened.gain_db(one) == gain
    assert hardened.holds(one) is holds
    row = rows_of(hardened)[1]
    assert row[0] == ("it *" if holds else "it")
    assert json.loads(json.dumps(hardened.json()))["victims"][1]["holds"] is holds


def test_without_a_search_below_the_threshold_nothing_is_told_of_it() -> None:
    right = Faced(0, "low", True, {})
    case = Case(0, Path("a.wav"), "low", "middle")
    assert Strength("v", "v.toml", (case,), (right,)).robust_masked is None


def test_another_setting_in_the_same_folder_leaves_the_sounds_of_the_first_as_they_were(tmp_path: Path) -> None:
    victim, some = card(tmp_path / "cards"), cases(tmp_path / "clips", 1)
    memory = Memory(None)

    def run(goal: str) -> Attempt:
        plan = Plan(some, SIGHTED, ("targeted",), goal)
        return strength_of(victim, plan, folder=tmp_path / "out", memory=memory).faced[0].attempts["targeted"]

    first, other = run("targeted"), run("confident=0.9")
    assert first.file is not None
    assert other.file != first.file
    assert content_of(first.file) == first.sha256
    assert run("targeted") == first


def test_a_sound_that_is_gone_or_another_is_searched_for_again_and_one_in_a_moved_folder_is_found(
    tmp_path: Path,
) -> None:
    victim, some = card(tmp_path / "cards"), cases(tmp_path / "clips", 1)
    memory, told = Memory(None), list[int]()

    def run(out: str) -> Attempt:
        told.clear()
        plan = Plan(some, SIGHTED, ("targeted",))
        found = strength_of(
            victim, plan, folder=tmp_path / out, memory=memory, progress=lambda done, _: told.append(done)
        )
        return found.faced[0].attempts["targeted"]

    file = Path(str(run("out").file))
    (tmp_path / "out").rename(tmp_path / "moved")
    moved = Path(str(run("moved").file))
    assert (moved, told) == (tmp_path / "moved" / "targeted" / file.name, [])
    moved.write_bytes(b"another")
    assert content_of(run("moved").file) == run("moved").sha256
    moved.unlink()
    run("moved")
    assert (told, moved.exists()) == ([1], True)


def failing(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[str]:
    """Let some searches fail; give the names of those that are tried."""
    tried: list[str] = []
    truly = attempts._try

    def search(victim: Any, clip: Any, threat: Any, effort: Any, out: Path, *rest: Any, **about: Any) -> Attempt:
        tried.append(out.parent.name)
        if out.parent.name in names:
            raise VictimError("out of memory")
        return truly(victim, clip, threat, effort, out, *rest, **about)

    monkeypatch.setattr(attempts, "_try", search)
    return tried


def test_a_search_that_failed_costs_none_that_ended_and_is_alone_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, some = card(tmp_path / "cards"), cases(tmp_path / "clips", 1)
    memory, plan = Memory(tmp_path / "cases.jsonl"), Plan(some, SIGHTED, ("targeted", "untargeted"))

    def run() -> Strength:
        return strength_of(victim, plan, folder=tmp_path / "out", memory=memory)

    with monkeypatch.context() as patch:
        failing(patch, "untargeted")
        found = run()
    assert (found.won, found.asked, found.failed, found.robust(-100)) == (1, 1, 1, 0.0)
    assert found.faced[0].failures == {"untargeted": "VictimError: out of memory"}
    memory = Memory(tmp_path / "cases.jsonl")
    with monkeypatch.context() as patch:
        tried = failing(patch)
        again = run()
        assert (again.failed, tried) == (0, ["untargeted"])
        assert again.faced[0].attempts["targeted"] == found.faced[0].attempts["targeted"]
        assert run() == again
        assert tried == ["untargeted"]


def test_a_clip_that_a_search_turned_is_turned_and_one_that_stands_while_one_failed_is_left_out() -> None:
    why = {"untargeted": "VictimError: out of memory"}
    those = [
        replace(faced(0, targeted=attempt(45.0)), failures=why),
        replace(faced(1, targeted=attempt(None)), failures=why),
        faced(2, targeted=attempt(None), untargeted=attempt(None)),
        replace(faced(3), failed="VictimError: out of memory"),
        replace(faced(4, right=False, targeted=attempt(None)), failures=why),
    ]
    found = strength(*those)
    assert (found.robust(50), found.robust(45)) == (1 / 2, 1 / 3)
    assert (found.failed, found.asked, found.measured) == (4, 4, 4)
    words = " ".join(told_failures(found))
    assert "1 of 5 cases failed: VictimError: out of memory" in words
    assert "in 3 of 5 cases a search failed (untargeted 3)" in words
    assert (
        "robust accuracy is of 2, 2, 3, 3, 3 of 5 clips at 60, 50, 40, 30, 20 dB, the median of 4 of 5 cases" in words
    )
    assert told_failures(strength(those[2])) == []


def test_a_median_leaves_out_what_was_not_turned_while_a_search_for_the_target_failed() -> None:
    why = {"black box": "VictimError: out of memory"}
    found = strength(
        replace(faced(0, targeted=attempt(None)), failures=why),
        replace(faced(1, targeted=attempt(30.0)), failures=why),
        replace(faced(2, black_box=attempt(20.0)), failures={"targeted": "VictimError: out of memory"}),
    )
    assert (found.median_snr_db, found.measured, found.asked) == (25.0, 2, 2)
    assert "the median of 2 of 3 cases" in told_failures(found)[-1]


def test_below_the_threshold_only_searches_that_ended_there_are_counted() -> None:
    why = {"masked": "VictimError: out of memory"}
    found = strength(
        faced(0, masked=attempt(None)), faced(1, masked=attempt(30.0)), replace(faced(2), failures=why)
    )  # fmt: skip
    assert found.robust_masked == 1 / 2
    assert strength(replace(faced(0), failures=why)).robust_masked is None


def test_a_defence_of_which_a_search_failed_is_not_said_to_hold() -> None:
    before, after = defended("undefended", 40.0, 0.9), defended("it", 20.0, 0.9)
    assert Hardened((before, after), None, {}, ()).holds(after)
    part = replace(after.strength.faced[0], failures={"untargeted": "VictimError: out of memory"})
    failed = replace(after, strength=replace(after.strength, faced=(part, *after.strength.faced[1:])))
    hardened = Hardened((before, failed), None, {}, ())
    assert (hardened.holds(failed), hardened.failed, hardened.gain_db(failed)) == (False, 1, None)
    assert rows_of(hardened)[1][HEAD.index("gain")] == "-"


def test_what_nobody_carried_over_is_no_change_that_never_won() -> None:
    tried = replace(faced(0, elsewhere=20.0, targeted=attempt(30.0)), carried=True)
    never = replace(faced(0, targeted=attempt(30.0)), carried=True)
    alone, beside = strength(tried), strength(tried, faced(1, targeted=attempt(30.0)))
    assert (beside.median_found_elsewhere_db, beside.carried) == (20.0, 1)
    assert alone.median_found_elsewhere_db == 20.0
    assert (strength(tried, never).median_found_elsewhere_db, strength(tried, never).carried) == (None, 2)


def test_what_was_not_measured_is_a_dash_and_nothing_is_said_of_hidden_gradients() -> None:
    lost = strength(replace(faced(0), failed="VictimError: out of memory"))
    one = Defended("it", lost, ())
    hardened = Hardened((replace(one, name="undefended"), one), None, {}, ())
    assert set(rows_of(hardened)[1][2:-1]) == {"-"}
    assert rows_of(Hardened((defended("it", None, 0.9),), None, {}, ()))[0][HEAD.index("median SNR")] == "none"
    assert one.verdict == "whether it hides its gradients is not known: no attack came to an end"
    hides = replace(one, doubts=(Doubt("flat slopes", True, "the slope is 0"),))
    assert hides.verdict.startswith("do not trust these figures")
    assert "could not be looked at" in replace(defended("it", 30.0, 0.9), looked=False).verdict
