"""Every figure of an audit against closed forms and plain transcriptions, on rows made by hand."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.campaign.kit import LABELS, audit_of, lost, scored, trial, tried, won

from subterfuge.campaign._figures_draws import dice, median_of, medians, ratio_of, shares_of, weights
from subterfuge.campaign.figures import ALL, SNRS_DB, WHITE_BOX, WITHIN_DB, Figures, figures_of
from subterfuge.campaign.rows import Audit, Row
from subterfuge.training.substitute import wilson

NAMES = [f"clip{k}" for k in range(12)]


def search(figures: Figures, probe: str = "white") -> Any:
    found = figures.search(probe)
    assert found is not None
    return found


def stands(figures: Figures, snr_db: float | None, family: str | None = None) -> tuple[int, int, int]:
    found = figures.robust_at(snr_db, family)
    assert found is not None
    return found.stands, found.right, found.accuracy.of


# clean accuracy


def test_clean_accuracy_is_of_labelled_clips_alone_with_the_interval_of_wilson() -> None:
    clean = {"a": "low", "b": "low", "c": ("low", "high"), "d": (None, "low")}
    rows = [scored("e", "low", None, state="failed"), scored("f", "low", None, state="left")]
    found = figures_of(audit_of(rows, clean)).clean
    assert (found.right, found.of, found.unknown, found.failed, found.left) == (2, 3, 1, 1, 1)
    assert (found.accuracy.value, found.accuracy.low, found.accuracy.high) == (2 / 3, *wilson(2, 3))


def test_what_else_is_heard_is_a_right_answer() -> None:
    found = figures_of(audit_of([scored("a", "low", "high", also=("high",))]))
    assert found.clean.right == 1


# medians


def test_a_lost_search_counts_as_worse_than_any() -> None:
    rows = [won("a", "low", "high", 50.0), won("b", "low", "high", 40.0), lost("c", "low", "high")]
    found = search(figures_of(audit_of(rows)))
    assert (found.asked, found.won, found.snr_db.value, found.snr_db.of) == (3, 2, 40.0, 3)
    assert found.nmr_db.value == -5.0
    half = search(figures_of(audit_of([*rows, lost("d", "low", "high")])))
    assert half.snr_db.value is None
    assert half.nmr_db.value is None


def test_a_clip_that_met_the_goal_as_it_came_counts_in_no_median() -> None:
    rows = [won("a", "low", "high", 50.0), tried("b", "high", "high", None, already=True)]
    found = search(figures_of(audit_of(rows)))
    assert (found.jobs, found.asked, found.already, found.snr_db.value) == (2, 1, 1, 50.0)


def test_failed_and_left_searches_are_counted_and_count_in_nothing_else() -> None:
    rows = [
        won("a", "low", "high", 50.0),
        tried("b", "low", "high", None, state="failed", error="VictimError: gone"),
        tried("c", "low", "high", None, state="left"),
    ]
    found = figures_of(audit_of(rows))
    assert (found.jobs, found.done, found.failed, found.left) == (3, 1, 1, 1)
    assert (search(found).asked, search(found).failed, search(found).left) == (1, 1, 1)


def test_a_win_without_a_change_needs_less_than_any_other() -> None:
    found = search(figures_of(audit_of([won("a", "low", "high", math.inf, nmr_db=None)])))
    assert found.snr_db.value == 150.0
    assert found.nmr_db.value == -150.0


def test_spent_queries_are_of_wins_and_losses_and_scores_of_wins_alone() -> None:
    rows = [
        won("a", "low", "high", 50.0, queries=10, gradients=3, seconds=1.0, zimtohrli_mos=4.8),
        lost("b", "low", "high", queries=30, gradients=5, seconds=9.0, zimtohrli_mos=1.0),
    ]
    found = search(figures_of(audit_of(rows)))
    spent = (found.queries.value, found.gradients.value, found.seconds.value, found.mos.value)
    assert spent == (20.0, 4.0, 5.0, 4.8)


def test_the_noise_control_tells_how_often_noise_does_the_same() -> None:
    def control(hits: int, level: float | None) -> dict[str, Any]:
        return {"same_level_and_spectrum": {"hits": hits, "draws": 20}, "white_noise_snr_db": level}

    rows = [
        won("a", "low", "high", 50.0, control=control(0, 12.0)),
        won("b", "low", "high", 50.0, control=control(10, 20.0)),
        won("c", "low", "high", 50.0, control=control(1, None)),
        lost("d", "low", "high"),
    ]
    found = figures_of(audit_of(rows))
    noise = search(found).noise
    assert (noise.wins, noise.hits, noise.draws, noise.as_good) == (3, 11, 60, 1)
    assert (noise.white, noise.white_snr_db) == (2, 12.0)
    assert any("1 win (white) gains nothing over noise" in note for note in found.notes)


# the bootstrap


def test_the_median_of_a_draw_is_that_of_its_numbers_written_out() -> None:
    die = np.random.default_rng(2)
    values = np.sort(die.normal(size=7))
    values[:2] = -math.inf
    often = die.integers(0, 4, (200, 7))
    often[:, 3] += 1
    for row, found in zip(often, medians(values, often), strict=True):
        assert found == statistics.median(np.repeat(values, row).tolist())


def test_draws_are_the_same_however_they_are_cut_into_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(weights(5, 9, np.random.default_rng(1))))
    monkeypatch.setattr("subterfuge.campaign._figures_draws.BLOCK", 300)
    cut = list(weights(5, 9, np.random.default_rng(1)))
    assert len(cut) > 50
    assert np.array_equal(np.concatenate(cut), whole)
    assert set(whole.sum(1)) == {5}


def test_the_interval_of_a_median_covers_it_in_about_95_of_100_samples() -> None:
    die = np.random.default_rng(7)
    covered = 0
    for _ in range(150):
        values = die.normal(40.0, 6.0, 25)
        found = median_of(values.tolist(), [str(k) for k in range(25)], die)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 40.0 <= found.high
    assert 133 <= covered <= 150


def test_targets_of_one_clip_do_not_make_the_interval_narrower() -> None:
    die = np.random.default_rng(9)
    values = die.normal(40, 6, 12).tolist()
    once = median_of(values, NAMES, dice(0, "x"))
    often = median_of(values * 10, NAMES * 10, dice(0, "x"))
    assert (often.low, often.high) == (once.low, once.high)
    apart = median_of(values * 10, [str(k) for k in range(120)], dice(0, "x"))
    assert None not in (apart.low, apart.high, once.low, once.high)
    assert apart.high - apart.low < 0.7 * (once.high - once.low)  # type: ignore[operator]


def test_an_interval_reaches_to_where_half_is_lost() -> None:
    rows = [won(name, "low", "high", 40.0) for name in NAMES[:7]] + [lost(name, "low", "high") for name in NAMES[7:]]
    found = search(figures_of(audit_of(rows))).snr_db
    assert (found.value, found.low, found.high) == (40.0, None, 40.0)


def test_of_one_clip_there_is_no_interval() -> None:
    found = figures_of(audit_of([won("a", "low", "high", 40.0), won("a", "low", "middle", 42.0)]))
    needed = search(found).snr_db
    assert (needed.value, needed.low, needed.high, needed.of) == (41.0, None, None, 2)
    assert any(note.startswith("one clip alone") for note in found.notes)


def test_a_ratio_weighs_clips_by_what_they_have() -> None:
    found = ratio_of([3, 0, 1], [4, 4, 2], ["a", "a", "b"], dice(0, "x"))
    assert (found.value, found.of) == (0.4, 10)
    assert (found.low, found.high) == (3 / 8, 1 / 2)


@given(st.integers(0, 5))
def test_the_share_of_a_draw_is_a_count_of_clips(seed: int) -> None:
    turned = np.random.default_rng(seed).random((6, 4)) < 0.5
    found, low, high = shares_of(turned, dice(seed, "x"))
    assert found.tolist() == pytest.approx(turned.sum(0) / 6)
    assert np.all((low <= found + 1e-12) & (found <= high + 1e-12))


def test_a_seed_gives_the_same_figures_and_another_other_intervals() -> None:
    audit = audit_of([won(name, "low", "high", 30.0 + 1.7 * k**1.3) for k, name in enumerate(NAMES)])
    assert figures_of(audit, 3) == figures_of(audit, 3)
    assert search(figures_of(audit, 3)).snr_db.value == search(figures_of(audit, 4)).snr_db.value


def test_a_search_that_comes_along_moves_no_interval_of_the_others() -> None:
    rows = [won(name, "low", "high", 30.0 + k) for k, name in enumerate(NAMES)]
    more = [won(name, "low", "high", 20.0 + k, probe="labels") for k, name in enumerate(NAMES)]
    assert search(figures_of(audit_of(rows))) == search(figures_of(audit_of(rows + more)))


# robustness


def plain_share(audit: Audit, probes: Sequence[str], within: Any) -> float:
    """Say again, slowly, which part of the clips is turned."""
    answers = {row.job.sha256: row.result["answer"] for row in audit.of("clean")}
    drawn = list(dict.fromkeys(row.job.sha256 for row in audit.rows if row.job.probe != "clean"))
    turned = []
    for clip in drawn:
        rows = [row for row in audit.rows if row.job.sha256 == clip]
        truth = rows[0].job.labels or (answers[clip],)
        asked = [row.outcome for row in rows if row.job.probe in probes and row.outcome is not None]
        if answers[clip] not in truth:
            turned.append(True)
        elif asked:
            turned.append(any(one["won"] and one["predicted"] not in truth and within(one) for one in asked))
    return sum(turned) / len(turned)


@st.composite
def audits(draw: Any) -> Audit:
    """Draw audits of a few clips, some wrong, some without a label, some searches lost."""
    clean: dict[str, tuple[str | None, str]] = {}
    rows: list[Row] = []
    for name in NAMES[: draw(st.integers(1, 5))]:
        label = draw(st.sampled_from([None, "low"]))
        answer = draw(st.sampled_from(["low", "low", "high"])) if label else "low"
        clean[name] = (label, answer)
        for probe in draw(st.lists(st.sampled_from(["white", "untargeted", "masked", "labels"]), unique=True)):
            target = None if probe in ("untargeted", "masked") else "middle"
            snr, nmr = draw(st.floats(-5, 65)), draw(st.floats(-25, 25))
            about = {"answer": answer, "probe": probe, "nmr_db": nmr, "queries": draw(st.integers(1, 5000))}
            rows.append(tried(name, label, target, snr, won=draw(st.booleans()), **about))
    rows = rows or [tried(NAMES[0], clean[NAMES[0]][0], "middle", 20.0, answer=clean[NAMES[0]][1])]
    return audit_of(rows, clean)


@settings(max_examples=40)
@given(audits())
def test_curves_are_those_of_a_plain_transcription(audit: Audit) -> None:
    found = figures_of(audit)
    families = {ALL: None, WHITE_BOX: ("white", "untargeted", "masked"), "labels": ("labels",)}
    there = {row.job.probe for row in audit.rows}
    for one in found.curves:
        probes = families[one.family] or tuple(there)
        within = {
            "snr_db": lambda x: lambda record: record["snr_db"] >= x,
            "nmr_db": lambda x: lambda record: record["nmr_db"] <= x,
            "queries": lambda x: lambda record: record["snr_db"] >= WITHIN_DB and record["queries"] <= x,
            "seconds": lambda x: lambda record: record["snr_db"] >= WITHIN_DB and record["seconds"] <= x,
        }[one.axis]
        assert list(one.share) == pytest.approx([plain_share(audit, probes, within(x)) for x in one.budget])
        assert list(one.share) == sorted(one.share), "more allowed turns no fewer"
    for robust in found.robust:
        probes = families[robust.family] or tuple(there)
        if robust.snr_db is None:
            turned = plain_share(audit, ("masked",), lambda _: True)
        else:
            turned = plain_share(audit, probes, lambda record, level=robust.snr_db: record["snr_db"] >= level)
        assert robust.accuracy.value == pytest.approx(1 - turned)


@pytest.mark.parametrize("state", ["failed", "left"])
def test_a_clip_that_stands_while_a_search_of_it_is_not_done_counts_neither_way(state: str) -> None:
    rows = [won("a", "low", "high", 30.0), won("b", "low", "high", 30.0), lost("c", "low", "high")]
    rows += [lost(name, "low", "high") for name in "de"]
    rows += [lost("b", "low", None, probe="untargeted")]
    rows += [tried(name, "low", None, None, probe="untargeted", state=state, error="x") for name in "acd"]
    rows += [tried("a", "low", None, None, probe="masked", state=state), lost("b", "low", None, probe="masked")]
    found = figures_of(audit_of(rows, dict.fromkeys("abcde", "low")))
    assert stands(found, 40.0) == (2, 2, 2), "b and e; a may turn at 40 dB yet"
    assert stands(found, 30.0) == (1, 3, 3), "a is turned, whatever the search that is not done would have found"
    assert [one.left_out for one in found.robust] == [3, 3, 3, 2, 2, 1]
    assert stands(found, None) == (1, 1, 1)
    curve = found.curve("snr_db")
    assert curve is not None
    there = {budget: k for k, budget in enumerate(curve.budget)}
    assert [(curve.of[there[at]], curve.share[there[at]]) for at in (40.0, 30.0)] == [(2, 0.0), (3, 2 / 3)]
    assert list(curve.share) == sorted(curve.share)  # type: ignore[type-var]
    assert any("2 clips that were not turned at 20 dB SNR are left out there" in note for note in found.notes)


def test_where_every_search_that_might_turn_a_clip_failed_nothing_is_known() -> None:
    rows = [lost("a", "low", "high"), tried("a", "low", None, None, probe="untargeted", state="failed")]
    found = figures_of(audit_of(rows, {"a": "low"}))
    assert found.curves == ()
    assert [(one.stands, one.accuracy.value, one.left_out) for one in found.robust] == [(0, None, 1)] * 5


def test_a_share_whose_clips_differ_by_budget_has_an_interval_of_those_that_count() -> None:
    turned = np.array([[False, True], [False, False], [True, True]])
    counts = np.array([[False, True], [True, True], [True, True]])
    found, low, high = shares_of(turned, dice(0, "x"), counts)
    assert found.tolist() == [1 / 2, 2 / 3]
    assert (low[0], high[0]) == (0.0, 1.0)
    assert shares_of(turned, dice(0, "x"), np.zeros_like(counts))[1].tolist() == pytest.approx(
        [np.nan] * 2, nan_ok=True
    )


def test_the_grid_of_snr_is_in_steps_of_2_5_db_and_holds_the_levels_of_robust_accuracy() -> None:
    curve = figures_of(audit_of([won("a", "low", "high", 40.0)])).curve("snr_db")
    assert curve is not None
    assert (curve.budget[0], curve.budget[1], curve.budget[-1], len(curve.budget)) == (60.0, 57.5, 0.0, 25)
    assert set(SNRS_DB) <= set(curve.budget)
    assert dict(zip(curve.budget, curve.share, strict=True))[40.0] == 1.0
    assert dict(zip(curve.budget, curve.share, strict=True))[42.5] == 0.0


def test_a_clip_that_is_wrong_as_it_comes_is_turned_at_any_budget() -> None:
    audit = audit_of([lost("a", "low", "middle", answer="high")], {"a": ("low", "high")})
    found = figures_of(audit_of([*audit.rows, lost("b", "low", "high")], {"b": "low"}))
    assert {stands(found, snr) for snr in SNRS_DB} == {(1, 1, 2)}
    curve = found.curve("nmr_db")
    assert curve is not None
    assert set(curve.share) == {0.5}


def test_a_win_whose_answer_is_also_heard_turns_nothing() -> None:
    row = won("a", "low", "high", 60.0, also=("high",))
    assert stands(figures_of(audit_of([row])), 20.0) == (1, 1, 1)


def test_without_a_label_the_own_answer_counts_as_the_truth() -> None:
    found = figures_of(audit_of([won("a", None, "high", 35.0), lost("b", None, "high")], {"a": (None, "low")}))
    assert stands(found, 30.0) == (1, 2, 2)
    assert stands(found, 40.0) == (2, 2, 2)
    assert any("have no known label" in note for note in found.notes)


def test_below_the_masking_threshold_only_the_masked_search_counts() -> None:
    rows = [
        won("a", "low", None, 30.0, probe="masked"),
        lost("b", "low", None, probe="masked"),
        won("b", "low", "high", 60.0),
        won("c", "low", "high", 60.0, answer="middle"),
    ]
    found = figures_of(audit_of(rows, {"a": "low", "b": "low", "c": ("low", "middle")}))
    assert stands(found, None) == (1, 2, 3)
    assert figures_of(audit_of(rows[2:])).robust_at(None) is None, "nothing was sought below it"


def test_searches_that_see_the_same_are_one_family() -> None:
    rows = [won("a", "low", None, 30.0, probe=probe) for probe in ("untargeted", "masked")]
    rows.append(won("a", "low", "high", 30.0, probe="labels"))
    blind = audit_of(rows)
    searches = [dict(one) | {"sees": "labels"} for one in blind.setting["searches"]]
    assert {one.family for one in figures_of(Audit({**blind.setting, "searches": searches}, blind.rows)).curves} == {
        "labels"
    }
    assert [one.family for one in figures_of(blind).searches] == [WHITE_BOX, WHITE_BOX, "labels"]
    assert {one.family for one in figures_of(blind).curves} == {ALL, WHITE_BOX, "labels"}


def test_queries_are_those_of_the_first_win_that_is_quiet_enough() -> None:
    history = [
        {"queries": 1, "gradients": 0, "margin": 0.5, "snr_db": -10.0},
        {"queries": 5, "gradients": 5, "margin": -0.5, "snr_db": 45.0},
        {"queries": 20, "gradients": 10, "margin": 0.1, "snr_db": 25.0},
        {"queries": 300, "gradients": 10, "margin": 0.1, "snr_db": 30.0},
    ]
    row = won("a", "low", "high", 30.0, queries=900, gradients=100, seconds=50.0, history=history)
    found = figures_of(audit_of([row]))
    curves = {axis: found.curve(axis) for axis in ("queries", "seconds")}
    first = {}
    for axis, curve in curves.items():
        assert curve is not None
        first[axis] = next(x for x, share in zip(curve.budget, curve.share, strict=True) if share)
    assert first == {"queries": 31.6, "seconds": 1.78}, "30 of 1,000 calls, and as large a part of 50 seconds"


def test_a_substitute_costs_the_queries_that_taught_it_and_no_gradients() -> None:
    history = [{"queries": 0, "gradients": 3, "margin": 0.5, "snr_db": 40.0}]
    row = won("a", "low", "high", 40.0, probe="substitute", queries=600, gradients=9000, history=history)
    curve = figures_of(audit_of([row])).curve("queries")
    assert curve is not None
    assert next(x for x, share in zip(curve.budget, curve.share, strict=True) if share) == 1000.0


# classes, pairs, survival


def test_classes_and_pairs_say_who_is_hard() -> None:
    rows = [
        won("a", "low", "high", 50.0),
        won("b", "low", "high", 40.0),
        lost("b", "low", "middle"),
        won("c", "high", "low", 20.0),
        won("c", "high", "low", 10.0, probe="labels"),
        won("a", "low", None, 55.0, probe="untargeted"),
    ]
    found = figures_of(audit_of(rows, {"a": "low", "b": ("low", "middle"), "c": "high", "d": "high"}))
    assert [one.label for one in found.classes] == ["low", "high"]
    low, high = found.classes
    assert (low.clips, low.right, low.of, high.clips, high.right, high.of) == (2, 1, 2, 2, 2, 2)
    assert [(one.probe, one.asked, one.won, one.snr_db) for one in low.searches] == [
        ("white", 3, 2, 40.0),
        ("untargeted", 1, 1, 55.0),
    ]
    pairs = {
        (one.tally.probe, one.source, one.target): (one.tally.asked, one.tally.won, one.tally.snr_db)
        for one in found.pairs
    }
    assert pairs == {
        ("white", "low", "high"): (2, 2, 45.0),
        ("white", "low", "middle"): (1, 0, None),
        ("white", "high", "low"): (1, 1, 20.0),
        ("labels", "high", "low"): (1, 1, 10.0),
    }


def test_without_a_label_a_clip_is_of_the_class_that_it_is_taken_for() -> None:
    found = figures_of(audit_of([won("a", None, "high", 50.0)], {"a": (None, "middle")}))
    assert [(one.label, one.clips, one.of) for one in found.classes] == [("middle", 1, 0)]
    assert found.pairs[0].source == "middle"


def test_only_trials_that_tell_count_in_what_survives() -> None:
    rows = [
        won(
            "a",
            "low",
            "high",
            40.0,
            survival=[trial("mp3", True), trial("gain", True, alone=True), trial("room", None, why_not="x")],
        ),
        won(
            "b",
            "low",
            "high",
            40.0,
            survival=[trial("mp3", False), trial("gain", True), trial("room", None, why_not="x")],
        ),
        lost("c", "low", "high"),
        won("d", "low", "high", 40.0),
    ]
    found = figures_of(audit_of(rows)).survival
    assert (found.wins, found.everything.survived, found.everything.telling) == (2, 2, 3)
    assert found.everything.share.value == 2 / 3
    told = [
        (one.transform, one.survived, one.telling, one.tried, one.not_tried, one.share.value)
        for one in found.transforms
    ]
    assert told == [("mp3", 1, 2, 2, 0, 0.5), ("gain", 1, 1, 2, 0, 1.0), ("room", 0, 0, 0, 2, None)]
    assert [(probe, one.telling) for probe, one in found.probes] == [("white", 3)]


# degenerate audits

ODD = {
    "nothing": audit_of(),
    "only clean": audit_of(clean={"a": "low", "b": ("low", "high")}),
    "no wins": audit_of([lost("a", "low", "high"), lost("b", "low", None, probe="masked")], {"a": "low", "b": "low"}),
    "all already": audit_of([tried("a", "low", "high", None, already=True)], {"a": ("low", "high")}),
    "no labels": audit_of([won("a", None, "high", 40.0)], {"a": (None, "low")}),
    "everything failed": audit_of(
        [tried("a", "low", "high", None, state="failed", error="x"), scored("a", "low", None, state="failed")]
    ),
    "all left": audit_of([tried("a", "low", "high", None, state="left")]),
    "one clip": audit_of([won("a", "low", "high", 40.0)]),
    "wrong alone": audit_of([lost("a", "low", "middle", answer="high")], {"a": ("low", "high")}),
    "masked alone": audit_of([won("a", "low", None, 40.0, probe="masked")], {"a": "low"}),
    "an unknown probe": audit_of([won("a", "low", "high", 40.0, probe="mine")], {"a": "low"}),
    "a setting without searches": Audit({}, audit_of([won("a", "low", "high", 40.0)]).rows),
    "no outcome": audit_of([Row(tried("a", "low", "high", 1.0).job, "k", "done", {"outcome": None})]),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_audit_has_figures_that_are_plain_json(name: str) -> None:
    told = json.loads(json.dumps(figures_of(ODD[name]).json(), allow_nan=False))
    assert told["jobs"] == len(ODD[name].rows)


def test_what_was_not_measured_is_none() -> None:
    found = figures_of(ODD["only clean"])
    assert (found.searches, found.robust, found.curves, found.pairs) == ((), (), (), ())
    assert found.survival.everything.share.value is None
    assert found.white is None
    failed = figures_of(ODD["everything failed"])
    assert failed.clean.accuracy.value is None
    assert failed.robust_at(30.0) is None
    assert search(failed).snr_db.of == 0
    assert figures_of(ODD["all already"]).robust == ()


def test_a_search_without_a_target_alone_says_that_wrong_clips_are_missing() -> None:
    assert any("of those alone" in note for note in figures_of(ODD["masked alone"]).notes)
    assert not any("of those alone" in note for note in figures_of(ODD["one clip"]).notes)


def test_labels_come_in_the_order_of_the_victim() -> None:
    found = figures_of(audit_of(clean={str(k): label for k, label in enumerate(("strange", *reversed(LABELS)))}))
    assert [one.label for one in found.classes] == [*LABELS, "strange"]
