"""Goals against brute force, limits against geometry, and texts that cannot be read."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from subterfuge.errors import ThreatError
from subterfuge.threat import (
    Budget,
    Confident,
    LeastSNR,
    Limit,
    Maximise,
    Peak,
    Targeted,
    Threat,
    Unlimited,
    Untargeted,
    duel_margin,
    index_of,
    parse_goal,
    parse_limit,
    soft_duel,
    vote_margin,
)
from subterfuge.threat.words import number
from subterfuge.victim import duels_of, winner

LABELS = ("cel", "cla", "flu", "tru", "voi")


def die(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def decided(answer: Tensor) -> Tensor:
    return winner(answer) if answer.ndim == 3 else answer.argmax(1)


def random_tables(rows: int, classes: int, seed: int, *, ties: bool = False) -> Tensor:
    if ties:
        table = torch.randint(-2, 3, (rows, classes, classes), generator=die(seed)).double()
    else:
        table = torch.randn(rows, classes, classes, generator=die(seed), dtype=torch.float64)
    return table.triu(1) - table.triu(1).mT


def random_focus(rows: int, classes: int, seed: int) -> Tensor:
    return torch.randint(0, classes, (rows,), generator=die(seed + 1000))


# --- margins ---------------------------------------------------------------------------------------------------------


def test_the_duel_margin_of_scores_is_the_score_less_the_best_other() -> None:
    scores, focus = torch.randn(200, 6, generator=die(0)), random_focus(200, 6, 0)
    wanted = [row[k] - max(v for j, v in enumerate(row) if j != k) for row, k in zip(scores, focus, strict=True)]
    assert torch.equal(duel_margin(scores, focus), torch.stack(wanted))
    assert torch.allclose(duel_margin(duels_of(scores), focus), torch.stack(wanted), atol=1e-6)


def test_the_duel_margin_of_a_table_is_the_least_duel_of_the_class() -> None:
    tables, focus = random_tables(200, 6, 1), random_focus(200, 6, 1)
    wanted = [min(table[k, j] for j in range(6) if j != k) for table, k in zip(tables, focus, strict=True)]
    assert torch.equal(duel_margin(tables, focus), torch.stack(wanted))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", range(2, 12))
def test_the_sign_of_the_vote_margin_agrees_with_the_vote(classes: int, ties: bool) -> None:
    tables, focus = random_tables(1500, classes, classes, ties=ties), random_focus(1500, classes, classes)
    margin, wins = vote_margin(tables, focus), winner(tables) == focus
    assert wins[margin > 0].all()
    assert not wins[margin < 0].any()
    if not ties:
        assert (margin != 0).all()


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", range(2, 9))
def test_no_change_of_duels_within_the_vote_margin_changes_who_wins(classes: int, ties: bool) -> None:
    rows = 600
    tables, focus = random_tables(rows, classes, classes, ties=ties), random_focus(rows, classes, classes)
    margin, wins = vote_margin(tables, focus), winner(tables) == focus
    for draw in range(12):
        kick = random_tables(rows, classes, 50 + draw)
        kick = kick.sign() if draw % 2 else kick / kick.abs().amax((1, 2), keepdim=True)
        moved = tables + kick * margin.abs()[:, None, None] * (1 - 1e-9)
        sure = margin != 0
        assert torch.equal((winner(moved) == focus)[sure], wins[sure])


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", range(2, 9))
def test_just_beyond_the_edge_of_the_vote_margin_some_change_ends_the_win(classes: int, ties: bool) -> None:
    rows = 3000
    tables, focus = random_tables(rows, classes, classes, ties=ties), random_focus(rows, classes, classes)
    margin = vote_margin(tables, focus)
    here = torch.arange(rows)
    lost = torch.zeros(rows, dtype=torch.bool)
    push = margin.clamp_min(0) * (1 + 1e-9) + 1e-12
    for rival in range(classes):  # all that helps this rival, and all that hurts the winner
        kick = torch.zeros_like(tables)
        kick[:, rival, :] += 1
        kick[:, :, rival] -= 1
        kick[here, focus, :] = -1
        kick[here, :, focus] = 1
        kick[here, focus, focus] = 0
        lost |= winner(tables + kick.clamp(-1, 1) * push[:, None, None]) != focus
    assert lost[margin > 0].all()
    assert (margin > 0).sum() > 40


def test_the_vote_margin_of_a_losing_class_never_overstates_the_help_that_it_needs() -> None:
    tables, focus = random_tables(150, 4, 3), random_focus(150, 4, 3)
    pairs = list(itertools.combinations(range(4), 2))
    flips = torch.tensor(list(itertools.product([False, True], repeat=len(pairs))))
    margin = vote_margin(tables, focus)
    losing = 0
    for table, k, given_margin in zip(tables, focus, margin, strict=True):
        values = torch.stack([table[i, j] for i, j in pairs])
        flipped = torch.zeros(len(flips), 4, 4, dtype=torch.float64)
        for place, (i, j) in enumerate(pairs):
            flipped[:, i, j] = values[place].sign() * (1 - 2 * flips[:, place].double())
            flipped[:, j, i] = -flipped[:, i, j]
        cost = torch.where(flips, values.abs(), 0.0).amax(1)
        least = cost[winner(flipped) == k].min()
        if least > 0:
            losing += 1
            assert -least - 1e-12 <= given_margin < 0
    assert losing > 60


def test_a_class_may_win_the_vote_with_a_lost_duel() -> None:
    table = torch.zeros(1, 4, 4)
    for i, j, value in [(0, 1, -0.1), (0, 2, 2.0), (0, 3, 3.0), (1, 2, -0.5), (1, 3, -1.0), (2, 3, 0.4)]:
        table[0, i, j], table[0, j, i] = value, -value
    focus = torch.tensor([0])
    assert winner(table).item() == 0
    assert duel_margin(table, focus).item() == pytest.approx(-0.1)
    assert vote_margin(table, focus).item() > 0


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_vote_margins_gradient_is_one_duels_own(classes: int) -> None:
    tables, focus = random_tables(100, classes, 7).requires_grad_(), random_focus(100, classes, 7)
    margin = vote_margin(tables, focus)
    (slope,) = torch.autograd.grad(margin.sum(), tables)
    flat = slope.flatten(1)
    assert (flat != 0).sum(1).eq(1).all()
    assert flat.sum(1).abs().eq(1).all()
    assert torch.equal((flat * tables.detach().flatten(1)).sum(1), margin.detach())


def test_of_class_scores_the_vote_margin_has_the_sign_of_the_duel_margin() -> None:
    scores, focus = torch.randn(500, 5, generator=die(4)), random_focus(500, 5, 4)
    assert torch.equal(vote_margin(scores, focus).sign(), duel_margin(scores, focus).sign())


def test_the_soft_duel_is_below_the_least_duel_by_at_most_the_log_of_the_rivals() -> None:
    tables, focus = random_tables(300, 6, 5), random_focus(300, 6, 5)
    gap = duel_margin(tables, focus) - soft_duel(tables, focus)
    assert (gap >= 0).all()
    assert (gap <= math.log(5)).all()
    assert torch.allclose(duel_margin(40 * tables, focus), soft_duel(40 * tables, focus), atol=1.7)


def test_the_soft_duel_of_scores_is_the_log_odds_of_softmax() -> None:
    scores, focus = torch.randn(100, 6, generator=die(6), dtype=torch.float64), random_focus(100, 6, 6)
    p = scores.softmax(1).gather(1, focus[:, None])[:, 0]
    assert torch.allclose(soft_duel(scores, focus), p.logit())


# --- goals -----------------------------------------------------------------------------------------------------------

SCORE_GOALS = [Targeted("flu"), Untargeted(), Maximise("flu", "scores"), Maximise(asks="scores")]


@pytest.mark.parametrize("goal", SCORE_GOALS, ids=lambda goal: f"{goal.name}-{getattr(goal, 'target', None)}")
def test_where_a_margin_of_scores_is_above_0_the_goal_is_reached_and_below_it_is_not(goal: Targeted) -> None:
    scores, focus = torch.randn(500, 5, generator=die(8)), random_focus(500, 5, 8)
    reached, margin = goal.reached(decided(scores), None, focus), goal.margin(scores, focus)
    assert torch.equal(margin > 0, reached)
    assert 20 < int(reached.sum()) < 480


@pytest.mark.parametrize("goal", [Targeted("flu"), Untargeted()], ids=lambda goal: goal.name)
def test_where_a_margin_of_duels_is_above_0_the_goal_is_reached_and_below_it_is_not(goal: Targeted) -> None:
    tables, focus = random_tables(1000, 5, 9), random_focus(1000, 5, 9)
    reached, margin = goal.reached(decided(tables), None, focus), goal.margin(tables, focus)
    assert torch.equal(margin > 0, reached)
    assert 100 < int(reached.sum()) < 900


def test_maximising_scores_asks_for_every_duel_and_so_for_more_than_the_vote() -> None:
    tables, focus = random_tables(1000, 5, 9), random_focus(1000, 5, 9)
    far = Maximise("flu", "scores").margin(tables, focus) > 0
    assert (winner(tables) == focus)[far].all()
    assert int(far.sum()) < int((winner(tables) == focus).sum())


def test_maximising_probabilities_climbs_the_log_odds_which_never_end() -> None:
    answer = torch.rand(200, 4, generator=die(11), dtype=torch.float64)
    answer, focus = answer / answer.sum(1, keepdim=True), random_focus(200, 4, 11)
    mine = answer.gather(1, focus[:, None])[:, 0]
    goal = Maximise("flu")
    assert goal.asks == "probabilities"
    assert torch.allclose(goal.margin(answer, focus), mine.logit())
    assert torch.equal(goal.pull(answer, focus), goal.margin(answer, focus))
    assert torch.equal(goal.reached(answer.argmax(1), answer, focus), answer.argmax(1) == focus)


def test_the_untargeted_margin_of_scores_is_the_best_other_less_the_class_to_leave() -> None:
    scores = torch.tensor([[3.0, 1.0, 2.5]])
    assert Untargeted().margin(scores, torch.tensor([0])).item() == pytest.approx(-0.5)
    assert Untargeted().margin(scores, torch.tensor([1])).item() == pytest.approx(2.0)


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9, 0.999])
def test_the_confident_margin_is_the_difference_of_log_odds(p: float) -> None:
    answer = torch.rand(200, 4, generator=die(10), dtype=torch.float64)
    answer, focus = answer / answer.sum(1, keepdim=True), random_focus(200, 4, 10)
    mine = answer.gather(1, focus[:, None])[:, 0]
    goal = Confident("flu", p)
    wanted = torch.log(mine / (1 - mine)) - math.log(p / (1 - p))
    assert torch.allclose(goal.margin(answer, focus), wanted)
    assert torch.equal(goal.margin(answer, focus) > 0, goal.reached(answer.argmax(1), answer, focus))
    assert torch.equal(goal.pull(answer, focus), goal.margin(answer, focus))


def test_the_confident_margin_stays_finite_where_a_probability_is_exactly_0_or_1() -> None:
    answer, focus = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    margin = Confident("flu", 0.9).margin(answer, focus)
    assert margin[0] > 50
    assert margin[1] < -50


def test_a_victim_without_probabilities_is_never_confident() -> None:
    said = torch.tensor([2, 2])
    assert not Confident("flu").reached(said, None, said).any()


def test_the_focus_is_the_target_or_what_the_victim_said() -> None:
    assert Targeted("tru").focus(LABELS, 0) == 3
    assert Confident("tru").focus(LABELS, 0) == 3
    assert Maximise("tru").focus(LABELS, 0) == 3
    assert Untargeted().focus(LABELS, 4) == 4
    assert Maximise().focus(LABELS, 4) == 4


def test_a_label_that_the_victim_lacks_is_refused_with_the_nearest_ones() -> None:
    for goal in (Targeted("flute"), Confident("flute"), Maximise("flute")):
        with pytest.raises(ThreatError, match=r"'flute'.*did you mean flu\?.*cel, cla, flu, tru, voi"):
            goal.focus(LABELS, 0)
    assert index_of("voi", LABELS) == 4


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_a_confidence_outside_0_to_1_is_refused(p: float) -> None:
    with pytest.raises(ThreatError, match="between 0 and 1"):
        Confident("flu", p)


# --- limits ----------------------------------------------------------------------------------------------------------

LIMITS: list[Limit] = [LeastSNR(40.0), LeastSNR(-6.0), Peak(0.001), Peak(0.5), Unlimited()]


def drawn(seed: int, rows: int = 3, length: int = 40) -> tuple[Tensor, Tensor]:
    """Random changes and clean waves of every size, from far inside a limit to far outside."""
    generator = die(seed)
    sizes = 10 ** (6 * torch.rand(rows, 1, generator=generator, dtype=torch.float64) - 5)
    delta = sizes * torch.randn(rows, length, generator=generator, dtype=torch.float64)
    return delta, 0.1 * torch.randn(rows, length, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("limit", LIMITS, ids=str)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_a_projection_is_inside_and_projecting_again_changes_nothing(limit: Limit, seed: int) -> None:
    delta, clean = drawn(seed)
    inside = limit.project(delta, clean)
    assert limit.allows(inside, clean).all()
    assert torch.allclose(limit.project(inside, clean), inside, rtol=1e-12, atol=0)
    already = limit.allows(delta / 1.001, clean)
    assert torch.allclose(limit.project(delta / 1.001, clean)[already], delta[already] / 1.001, rtol=1e-4)


@pytest.mark.parametrize("limit", LIMITS, ids=str)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_no_other_change_inside_is_nearer_than_the_projection(limit: Limit, seed: int) -> None:
    delta, clean = drawn(seed)
    inside = limit.project(delta, clean)
    for draw in range(8):
        other = limit.project(inside + 0.1 * 10**-draw * drawn(seed + draw + 1)[0], clean)
        assert ((delta - inside).norm(dim=1) <= (delta - other).norm(dim=1) * (1 + 1e-12)).all()
        assert (((delta - inside) * (other - inside)).sum(1) <= 1e-9).all()  # what makes a projection on a convex set


@pytest.mark.parametrize("limit", [LeastSNR(40.0), Peak(0.001)], ids=str)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_the_steepest_change_is_inside_and_gains_most_along_the_slope(limit: Limit, seed: int) -> None:
    slope, clean = drawn(seed)
    step = limit.steepest(slope, clean)
    assert limit.allows(step, clean).all()
    gain = (slope * step).sum(1)
    for draw in range(8):
        other = limit.project(step + 10**-draw * drawn(seed + draw + 1)[0], clean)
        assert ((slope * other).sum(1) <= gain * (1 + 1e-12)).all()


def test_the_most_that_a_limit_gains_is_the_dual_norm_of_the_slope() -> None:
    slope, clean = drawn(3)
    snr = LeastSNR(20.0)
    assert torch.allclose(
        (slope * snr.steepest(slope, clean)).sum(1), 0.1 * clean.norm(dim=1) * slope.norm(dim=1), rtol=1e-12
    )
    peak = Peak(0.01)
    assert torch.allclose((slope * peak.steepest(slope, clean)).sum(1), 0.01 * slope.abs().sum(1), rtol=1e-12)


def test_a_change_at_the_edge_of_an_snr_limit_has_that_snr() -> None:
    delta, clean = drawn(4)
    inside = LeastSNR(33.0).project(1e6 * delta, clean)
    assert torch.allclose(20 * torch.log10(clean.norm(dim=1) / inside.norm(dim=1)), torch.tensor(33.0).double())


@pytest.mark.parametrize("limit", [LeastSNR(40.0), Peak(0.001), Unlimited()], ids=str)
def test_a_slope_of_zero_gives_no_step_and_no_change_stays_no_change(limit: Limit) -> None:
    zero, clean = torch.zeros(2, 30), torch.ones(2, 30)
    assert torch.equal(limit.steepest(zero, clean), zero)
    assert torch.equal(limit.project(zero, clean), zero)


def test_a_limit_refuses_what_is_a_little_outside() -> None:
    clean = torch.ones(1, 100)
    assert not LeastSNR(40.0).allows(0.0101 * clean, clean).any()
    assert LeastSNR(40.0).allows(0.01 * clean, clean).all()
    assert not Peak(0.01).allows(torch.tensor([[0.0, 0.0101]]), clean[:, :2]).any()
    assert Peak(0.01).allows(torch.tensor([[0.01, -0.01]]), clean[:, :2]).all()
    assert Unlimited().allows(1e9 * clean, clean).all()


@pytest.mark.parametrize("snr_db", [-61.0, 151.0, math.inf, math.nan])
def test_a_ratio_that_no_sound_has_is_refused(snr_db: float) -> None:
    with pytest.raises(ThreatError, match="between -60 and 150"):
        LeastSNR(snr_db)


@pytest.mark.parametrize("peak", [0.0, -0.1, 2.5, math.inf, math.nan])
def test_a_peak_that_no_sound_has_is_refused(peak: float) -> None:
    with pytest.raises(ThreatError, match="above 0 and up to 2"):
        Peak(peak)


@pytest.mark.parametrize("what", ["queries", "gradients", "seconds"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_budget_that_allows_nothing_is_refused(what: str, value: int) -> None:
    with pytest.raises(ThreatError, match=f"{value} {what} allows nothing"):
        Budget(**{what: value})


def test_a_threat_without_words_is_untargeted_without_limit_or_bound() -> None:
    assert Threat() == Threat(Untargeted(), Unlimited(), Budget(None, None, None))


# --- texts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "target", "goal"),
    [
        (None, None, Untargeted()),
        (None, "flu", Targeted("flu")),
        ("targeted", "flu", Targeted("flu")),
        ("untargeted", None, Untargeted()),
        ("confident", "flu", Confident("flu", 0.9)),
        ("confident=0.75", "flu", Confident("flu", 0.75)),
        ("maximise", None, Maximise()),
        ("maximise", "flu", Maximise("flu")),
    ],
)
def test_a_goal_is_read_from_its_text(text: str | None, target: str | None, goal: object) -> None:
    assert parse_goal(text, target) == goal


@pytest.mark.parametrize(
    ("text", "target", "says"),
    [
        ("target", "flu", r"'target' is not known; did you mean targeted or untargeted"),
        ("maximize", None, "did you mean maximise"),
        ("targeted=3", "flu", "targeted takes no value"),
        ("maximise=3", None, "maximise takes no value"),
        ("untargeted", "flu", "untargeted takes no target, but 'flu'"),
        ("targeted", None, "targeted needs a target"),
        ("confident=0.8", None, "confident needs a target"),
        ("confident=much", "flu", "confident=much: a number"),
        ("confident=nan", "flu", "confident=nan: a number"),
        ("confident=2", "flu", "between 0 and 1"),
    ],
)
def test_a_goal_that_makes_no_sense_is_refused_and_told(text: str, target: str | None, says: str) -> None:
    with pytest.raises(ThreatError, match=says):
        parse_goal(text, target)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (None, Unlimited()),
        ("snr=40", LeastSNR(40.0)),
        ("snr=-3.5", LeastSNR(-3.5)),
        ("peak=0.001", Peak(0.001)),
        ("peak=1e-3", Peak(0.001)),
    ],
)
def test_a_limit_is_read_from_its_text(text: str | None, limit: Limit) -> None:
    assert parse_limit(text) == limit


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("snrr=40", "did you mean snr"),
        ("loudness=3", "known: snr, peak"),
        ("snr", r"snr=\(nothing\): a number"),
        ("snr=", r"snr=\(nothing\): a number"),
        ("snr=loud", "snr=loud: a number"),
        ("snr=inf", "snr=inf: a number"),
        ("peak=nan", "peak=nan: a number"),
        ("peak=0", "above 0"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_and_told(text: str, says: str) -> None:
    with pytest.raises(ThreatError, match=says):
        parse_limit(text)


def test_a_number_is_read_or_named() -> None:
    assert number("1e-3", "peak") == 0.001
    with pytest.raises(ThreatError, match="peak=x: a number was expected"):
        number("x", "peak")


@pytest.mark.parametrize("value", ["nan", "inf", "", "x", "61", "-61"])
def test_decibels_of_masking_that_are_none_are_refused_with_those_that_are_some(value: str) -> None:
    with pytest.raises(ThreatError, match=rf"^masking={value or '.nothing.'}: .*from -60 to 60, .*such as .*masking=6"):
        parse_limit(f"masking={value}")


def test_a_label_in_other_letters_is_still_near() -> None:
    with pytest.raises(ThreatError, match="did you mean tru"):
        index_of("Trumpett", ["cel", "flu", "tru"])
