"""The oracle admits, counts, remembers and closes, each row by itself."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.attacks.toys import RATE, Toy, at_distance, bands, linear, tones, two_sided
from torch import Tensor

from subterfuge.errors import VictimError
from subterfuge.oracle import BudgetSpent, Oracle, answer_for, dice, passband, within
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
)
from subterfuge.victim import Gives, Kind, duels_of

T = 256
YES = Targeted("b")


def held(
    victim: Toy,
    clean: Tensor,
    *,
    goal: object = YES,
    limit: Limit | None = None,
    budget: Budget | None = None,
    focus: int = 1,
    **options: object,
) -> Oracle:
    threat = Threat(goal, limit or Unlimited(), budget or Budget())  # type: ignore[arg-type]
    return Oracle(victim, threat, clean, torch.full((len(clean),), focus), **options)  # type: ignore[arg-type]


@pytest.fixture
def victim() -> Toy:
    return two_sided(T)[0]


@pytest.fixture
def clean() -> Tensor:
    return at_distance(tones(3, T), two_sided(T)[1], 30.0)


# --- counting and closing --------------------------------------------------------------------------------------------


def test_every_row_asked_is_counted_once_and_no_other(victim: Toy, clean: Tensor) -> None:
    oracle = held(victim, clean)
    zero = torch.zeros_like(clean)
    oracle.margins(zero)
    oracle.margins(zero[:2], torch.tensor([2, 0]))
    oracle.gradient(zero[:1], torch.tensor([1]))
    oracle.gradient(zero, pull=True)
    assert oracle.queries == [2, 1, 2]
    assert oracle.gradients == [1, 2, 1]
    assert len(victim.asked) == sum(oracle.queries) + sum(oracle.gradients)
    assert victim.with_slope == sum(oracle.gradients)


def test_admitting_projecting_and_looking_at_the_record_cost_nothing(victim: Toy, clean: Tensor) -> None:
    oracle = held(victim, clean, limit=LeastSNR(30.0))
    oracle.admit(clean)
    oracle.project(clean)
    oracle.steepest(clean)
    oracle.open()
    oracle.snr_db(clean)
    assert oracle.queries == oracle.gradients == [0, 0, 0]
    assert victim.asked == []


@pytest.mark.parametrize("what", ["queries", "gradients"])
def test_a_row_closes_when_its_own_budget_ends_and_the_others_go_on(victim: Toy, clean: Tensor, what: str) -> None:
    oracle = held(victim, clean, budget=Budget(**{what: 3}))
    zero = torch.zeros_like(clean)
    ask = oracle.margins if what == "queries" else oracle.gradient
    for _ in range(3):
        ask(zero[:1], torch.tensor([1]))
    assert oracle.open().tolist() == [True, False, True]
    victim.forget()
    ask(zero)
    assert len(victim.asked) == 2
    assert getattr(oracle, what) == [1, 3, 1]
    ask(zero)
    ask(zero)
    assert getattr(oracle, what) == [3, 3, 3]
    with pytest.raises(BudgetSpent):
        ask(zero)
    assert getattr(oracle, what) == [3, 3, 3]


def test_queries_and_gradients_are_bounded_apart_and_either_closes_the_row(victim: Toy, clean: Tensor) -> None:
    oracle = held(victim, clean[:1], budget=Budget(queries=2, gradients=5))
    zero = torch.zeros_like(clean[:1])
    for _ in range(4):
        oracle.gradient(zero)
    oracle.margins(zero)
    assert oracle.open().all()
    oracle.margins(zero)
    assert not oracle.open().any()


def test_a_closed_row_gets_its_last_margin_and_no_slope(victim: Toy, clean: Tensor) -> None:
    oracle = held(victim, clean, budget=Budget(gradients=1))
    zero = torch.zeros_like(clean)
    first, _ = oracle.gradient(zero[:1], torch.tensor([1]))
    margin, slope = oracle.gradient(clean)
    assert margin[1] == first[0]
    assert (slope[1] == 0).all()
    assert (slope[[0, 2]] != 0).any(1).all()


def test_asking_only_closed_rows_or_none_is_no_end_while_another_row_is_open(victim: Toy, clean: Tensor) -> None:
    oracle = held(victim, clean, budget=Budget(queries=1, gradients=9))
    zero = torch.zeros_like(clean)
    row = torch.tensor([1])
    first = oracle.margins(zero[:1], row)
    victim.forget()
    assert torch.equal(oracle.margins(clean[:1], row), first)
    margin, slope = oracle.gradient(clean[:1], row)
    assert torch.equal(margin, first)
    assert torch.equal(slope, zero[:1])
    nobody = torch.tensor([], dtype=torch.long)
    assert oracle.margins(zero[:0], nobody).shape == (0,)
    assert oracle.gradient(zero[:0], nobody)[1].shape == (0, T)
    assert victim.asked == []
    assert oracle.queries == [0, 1, 0]


def test_the_seconds_are_the_clocks_and_close_every_row(victim: Toy, clean: Tensor) -> None:
    now = [100.0]
    oracle = held(victim, clean, budget=Budget(seconds=5.0), clock=lambda: now[0])
    now[0] = 104.9
    oracle.margins(torch.zeros_like(clean))
    assert oracle.seconds == pytest.approx(4.9)
    assert not oracle.out_of_time
    now[0] = 105.0
    with pytest.raises(BudgetSpent):
        oracle.margins(torch.zeros_like(clean))
    assert oracle.out_of_time
    assert oracle.queries == [1, 1, 1]


def test_a_budget_of_queries_that_ends_is_not_the_end_of_time(victim: Toy, clean: Tensor) -> None:
    oracle = held(victim, clean, budget=Budget(queries=1))
    oracle.margins(torch.zeros_like(clean))
    with pytest.raises(BudgetSpent):
        oracle.margins(torch.zeros_like(clean))
    assert not oracle.out_of_time


def test_progress_is_told_five_times_a_second_at_most(victim: Toy, clean: Tensor) -> None:
    now, told = [0.0], []
    oracle = held(victim, clean, clock=lambda: now[0], progress=lambda oracle: told.append((now[0], oracle.queries[0])))
    for _ in range(100):
        now[0] += 0.01
        oracle.margins(torch.zeros_like(clean))
    assert 3 <= len(told) <= 5
    assert all(count == round(100 * when) for when, count in told)


def test_dice_depend_on_the_key_and_the_row_alone() -> None:
    def first(key: str, rows: int) -> list[float]:
        return [torch.rand(1, generator=die).item() for die in dice(key, rows)]

    assert first("a", 5)[:2] == first("a", 2)
    assert len({*first("a", 5), *first("b", 5)}) == 10


# --- what it remembers -----------------------------------------------------------------------------------------------


def candidates(clean: Tensor, w: Tensor, parts: list[float]) -> list[Tensor]:
    """Changes along w, in parts of the distance to the boundary: above 1 they win."""
    unit = (w / w.norm()).to(clean)
    return [-part * (clean @ unit)[:, None] * unit for part in parts]


def test_the_best_is_the_quietest_win_or_before_any_win_the_largest_margin(victim: Toy, clean: Tensor) -> None:
    oracle = held(victim, clean)
    parts = [0.5, 0.2, 0.9, 3.0, 0.95, 2.0, 2.5, 0.99]
    best = [0.5, 0.5, 0.9, 3.0, 3.0, 2.0, 2.0, 2.0]
    tries = candidates(clean, two_sided(T)[1], parts)
    for delta, part in zip(tries, best, strict=True):
        oracle.margins(delta)
        assert torch.equal(oracle.best, tries[parts.index(part)])
        assert oracle.won.tolist() == [part > 1] * 3
    assert torch.allclose(oracle.best_size, tries[5].double().norm(dim=1))
    assert torch.allclose(oracle.best_margin, -held(victim, clean).margins(0 * clean), rtol=1e-4)


def test_seeking_margin_the_best_is_the_largest_margin_however_loud(victim: Toy, clean: Tensor) -> None:
    oracle = held(victim, clean, seeks="margin")
    parts = [0.5, 2.0, 1.5, 4.0, 3.0]
    tries = candidates(clean, two_sided(T)[1], parts)
    for delta in tries:
        oracle.margins(delta)
    assert torch.equal(oracle.best, tries[3])
    assert oracle.won.all()


def test_only_a_margin_above_the_one_needed_is_a_win(victim: Toy, clean: Tensor) -> None:
    oracle = held(victim, clean)
    clear = candidates(clean, two_sided(T)[1], [2.0])[0]
    margin = oracle.margins(clear)
    oracle = held(victim, clean)
    oracle.needed[:] = torch.stack([margin[0], margin[1] * 0.999, margin[2] * 1.001])
    oracle.margins(clear)
    assert oracle.won.tolist() == [False, True, False]
    assert oracle.met.tolist() == [False, True, False]


def test_raising_the_bar_forgets_the_win_of_that_row_alone_and_begins_there(victim: Toy, clean: Tensor) -> None:
    oracle = held(victim, clean)
    near, far = candidates(clean, two_sided(T)[1], [1.5, 3.0])
    margin = oracle.margins(near)
    oracle.raise_bar(1, float(2 * margin[1]), near[1])
    assert oracle.won.tolist() == [True, False, True]
    assert torch.equal(oracle.start, torch.stack([0 * near[0], near[1], 0 * near[2]]))
    oracle.margins(near)
    assert oracle.won.tolist() == [True, False, True]
    oracle.margins(far)
    assert oracle.won.all()
    assert torch.equal(oracle.best, torch.stack([near[0], far[1], near[2]]))


def test_after_the_bar_is_raised_a_louder_win_counts_and_before_it_the_nearest_miss(victim: Toy, clean: Tensor) -> None:
    oracle = held(victim, clean)
    near, far = candidates(clean, two_sided(T)[1], [1.5, 3.0])
    margin = oracle.margins(near)
    for row in range(3):
        oracle.raise_bar(row, float(1.5 * margin[row]), near[row])
    oracle.margins(0 * near)
    assert torch.equal(oracle.best, 0 * near)
    for row in range(3):
        oracle.raise_bar(row, float(1.5 * margin[row]), near[row])
    oracle.margins(far)
    assert oracle.won.all()
    assert torch.equal(oracle.best, far)


def test_the_same_win_again_is_no_improvement(victim: Toy, clean: Tensor) -> None:
    oracle = held(victim, clean)
    near = candidates(clean, two_sided(T)[1], [1.5])[0]
    oracle.margins(near)
    oracle.margins(near)
    assert [len(steps) for steps in oracle.history] == [1, 1, 1]


@pytest.mark.parametrize("seeks", ["quiet", "margin"])
def test_each_improvement_is_noted_and_each_note_is_one(victim: Toy, clean: Tensor, seeks: str) -> None:
    oracle = held(victim, clean, seeks=seeks)
    die = torch.Generator().manual_seed(0)
    w = two_sided(T)[1]
    for delta in candidates(clean, w, (4 * torch.rand(60, generator=die)).tolist()):
        oracle.margins(delta)
        oracle.gradient(delta * 0.9)
    for row in range(3):
        steps = oracle.history[row]
        assert len(steps) > 2
        assert all(a.queries + a.gradients < b.queries + b.gradients for a, b in itertools.pairwise(steps))
        for a, b in itertools.pairwise(steps):
            if seeks == "margin" or b.margin <= 0:
                assert b.margin > a.margin
            elif a.margin > 0:
                assert a.snr_db is not None
                assert b.snr_db is not None
                assert b.snr_db > a.snr_db
        assert steps[-1].margin == oracle.best_margin[row]
        assert steps[-1].snr_db == pytest.approx(float(oracle.snr_db(oracle.best)[row]), abs=1e-4)


def test_no_change_has_no_ratio_in_the_history(victim: Toy, clean: Tensor) -> None:
    oracle = held(victim, clean)
    oracle.margins(torch.zeros_like(clean))
    assert oracle.history[0][0].snr_db is None
    assert oracle.snr_db(torch.zeros_like(clean)).tolist() == [math.inf] * 3


@pytest.mark.parametrize("seeks", ["quiet", "margin"])
def test_where_the_decision_is_asked_a_margin_without_it_is_no_win_and_covers_none(clean: Tensor, seeks: str) -> None:
    w = two_sided(T)[1]

    class Jumping(Toy):
        def decide(self, wave: Tensor) -> Tensor:
            score = wave @ (w / w.norm()).to(wave) / wave.norm(dim=1)
            return ((score > 0) & (score < 0.08)).long()

    jumping = Jumping(two_sided(T)[0].function, labels=("a", "b"))
    oracle = held(jumping, clean, seeks=seeks, ask_decision=True)
    near, middle, far = candidates(clean, w, [1.5, 2.0, 6.0])
    oracle.margins(far)
    assert not oracle.won.any()
    oracle.margins(middle)
    assert oracle.won.all()
    oracle.margins(far)
    assert oracle.won.all()
    oracle.margins(near)
    assert torch.equal(oracle.best, near if seeks == "quiet" else middle)


# --- what it admits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [Unlimited(), LeastSNR(20.0), LeastSNR(60.0), Peak(0.02), Peak(0.0007)], ids=str)
@pytest.mark.parametrize("bits", [0, 8, 16, 24])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), loud=st.sampled_from([1e-5, 1e-3, 0.1, 3.0]))
def test_what_is_admitted_is_on_the_grid_inside_the_limit_and_within_full_scale(
    limit: Limit, bits: int, seed: int, loud: float
) -> None:
    die = torch.Generator().manual_seed(seed)
    step = 2.0 ** (1 - bits) if bits else 0.0
    clean = (0.5 * torch.randn(3, 64, generator=die)).clamp(-1, 1)
    clean = (clean / step).round() * step if step else clean
    oracle = held(Toy(lambda wave: wave[:, :2], labels=("a", "b")), clean, limit=limit, grid=[step] * 3)
    admitted = oracle.admit(loud * torch.randn(3, 64, generator=die))
    assert limit.allows(admitted, clean).all()
    assert (clean + admitted).abs().max() <= 1
    if step:
        assert torch.equal((admitted / step).round() * step, admitted)
        assert torch.equal(oracle.admit(admitted), admitted)


def test_without_grid_or_limit_a_change_is_admitted_as_it_is(victim: Toy, clean: Tensor) -> None:
    assert torch.equal(held(victim, clean).admit(0.01 * clean), 0.01 * clean)


def test_on_a_grid_without_limit_the_nearest_step_is_admitted(victim: Toy, clean: Tensor) -> None:
    step = 2.0**-15
    delta = 0.01 * tones(3, T, seed=9)
    admitted = held(victim, clean, grid=[step] * 3).admit(delta)
    assert torch.equal(admitted, (delta / step).round() * step)


def test_rows_may_have_grids_of_their_own(victim: Toy, clean: Tensor) -> None:
    delta = 0.001 * tones(3, T, seed=9)
    admitted = held(victim, clean, grid=[2.0**-7, 0.0, 2.0**-15]).admit(delta)
    assert (admitted[0] == 0).all()
    assert torch.equal(admitted[1], delta[1])
    assert torch.equal(admitted[2], (delta[2] * 2**15).round() / 2**15)


@pytest.mark.parametrize(("snr_db", "bits"), [(80.0, 16), (32.0, 8)])
def test_a_limit_of_the_size_of_the_files_own_step_still_lets_a_change_through(snr_db: float, bits: int) -> None:
    step = 2.0 ** (1 - bits)
    clean = (tones(2, 2000) / step).round() * step
    limit = LeastSNR(snr_db)
    oracle = held(Toy(lambda wave: wave[:, :2], labels=("a", "b")), clean, limit=limit, grid=[step] * 2)
    assert limit.radius(clean).max() / math.sqrt(2000) < step  # the change is of less than a step, on average
    delta = oracle.steepest(tones(2, 2000, seed=3))
    admitted = oracle.admit(delta)
    assert limit.allows(admitted, clean).all()
    along = (admitted * delta).sum(1) / delta.square().sum(1)
    assert (along > 0.5).all()  # of the gain along the change asked for, half survives


@pytest.mark.parametrize("steps", [32.2, 32.768, 32.98])
def test_a_peak_limit_between_two_steps_costs_no_sample_more_than_a_step(steps: float) -> None:
    step = 2.0**-15
    peak = steps * step
    clean = (tones(1, 500) / step).round() * step
    oracle = held(Toy(lambda wave: wave[:, :2]), clean, limit=Peak(peak), grid=[step])
    delta = peak * torch.randn(1, 500, generator=torch.Generator().manual_seed(2))
    admitted = oracle.admit(delta)
    assert ((admitted - delta.clamp(-peak, peak)).abs() < step).all()
    assert admitted.abs().max() == 32 * step


def test_what_one_row_is_admitted_does_not_depend_on_the_others(clean: Tensor) -> None:
    step = 2.0**-15
    clean = (clean / step).round() * step
    delta = torch.tensor([[1e-4], [1.0], [1e-2]]) * tones(3, T, seed=4)
    for limit in (LeastSNR(60.0), Peak(0.0007)):
        together = held(Toy(lambda wave: wave), clean, limit=limit, grid=[step] * 3).admit(delta)
        for row in range(3):
            one = slice(row, row + 1)
            alone = held(Toy(lambda wave: wave), clean[one], limit=limit, grid=[step]).admit(delta[one])
            assert torch.equal(alone[0], together[row])


@pytest.mark.parametrize("limit", [Unlimited(), LeastSNR(20.0)], ids=str)
def test_a_change_above_the_cutoff_vanishes_and_one_below_it_passes(limit: Limit) -> None:
    seconds = torch.arange(2000, dtype=torch.float64) / RATE
    low, high = (1e-3 * torch.sin(2 * torch.pi * hz * seconds)[None].float() for hz in (500, 3000))
    oracle = held(Toy(lambda wave: wave[:, :2]), tones(1, 2000), limit=limit, cutoff_hz=2000.0)
    assert oracle.admit(high).abs().max() < 1e-8
    assert oracle.project(high).abs().max() < 1e-8
    assert torch.allclose(oracle.admit(low + high), low, atol=1e-8)


def test_the_passband_is_1_below_0_above_and_falls_in_three_per_cent() -> None:
    hz = torch.fft.rfftfreq(4000, 1 / RATE)
    factors = passband(4000, RATE, 2000.0)
    assert (factors[hz >= 2000] == 0).all()
    assert (factors[hz <= 0.97 * 2000] == 1).all()
    assert (factors.diff() <= 0).all()
    assert passband(4001, RATE, 2000.0).shape == torch.fft.rfft(torch.zeros(4001)).shape


@pytest.mark.parametrize("length", [1, 2, 2000, 2001])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_what_is_within_a_band_is_the_same_with_and_without_a_slope(length: int, dtype: torch.dtype) -> None:
    wave = torch.randn(3, length, generator=torch.Generator().manual_seed(0), dtype=dtype)
    band = passband(length, RATE, 1500.0).to(dtype)
    plain, sloped = within(wave, band), within(wave.clone().requires_grad_(), band)
    assert plain.dtype == dtype
    assert torch.allclose(plain, sloped.detach(), rtol=0, atol=10 * torch.finfo(dtype).eps)
    assert all(torch.equal(within(row[None], band)[0], both) for row, both in zip(wave, plain, strict=True))
    assert sloped.requires_grad


@pytest.mark.parametrize("cutoff_hz", [None, 1500.0])
@pytest.mark.parametrize("pull", [False, True])
def test_the_slope_is_the_victims_own_at_the_admitted_candidate(pull: bool, cutoff_hz: float | None) -> None:
    step = 2.0**-7
    clean = (tones(2, T) / step).round() * step
    curved = bands(T)
    oracle = held(curved, clean, goal=Targeted("b"), limit=LeastSNR(6.0), grid=[step] * 2, cutoff_hz=cutoff_hz)
    delta = 0.3 * tones(2, T, seed=8)
    margin, slope = oracle.gradient(delta, pull=pull)
    wave = (clean + oracle.admit(delta)).requires_grad_()
    goal, focus = Targeted("b"), torch.tensor([1, 1])
    answer = curved.function(wave)
    (wanted,) = torch.autograd.grad((goal.pull if pull else goal.margin)(answer, focus).sum(), wave)
    if cutoff_hz is not None:
        wanted = torch.fft.irfft(torch.fft.rfft(wanted) * passband(T, RATE, cutoff_hz), n=T)
    assert torch.allclose(slope, wanted, rtol=1e-5, atol=1e-8)
    assert torch.allclose(margin, goal.margin(answer, focus).detach().double())


def test_the_slope_of_a_smooth_victim_agrees_with_finite_differences() -> None:
    clean = tones(1, T).double()
    oracle = held(bands(T), clean, goal=Targeted("b"))
    delta = 0.1 * tones(1, T, seed=8).double()
    _, slope = oracle.gradient(delta)
    along = tones(1, T, seed=9).double()
    up, down = oracle.margins(delta + 1e-5 * along), oracle.margins(delta - 1e-5 * along)
    assert float((slope * along).sum()) == pytest.approx(float(up - down) / 2e-5, rel=1e-4)


def test_neither_the_clean_waves_nor_the_changes_asked_about_are_touched(victim: Toy, clean: Tensor) -> None:
    step = 2.0**-15
    before, delta = clean.clone(), 10 * tones(3, T, seed=2)
    asked = delta.clone()
    oracle = held(victim, clean, limit=Peak(0.01), grid=[step] * 3)
    oracle.margins(delta)
    oracle.gradient(delta)
    oracle.best.zero_()
    assert torch.equal(clean, before)
    assert torch.equal(delta, asked)


# --- victims of every kind -------------------------------------------------------------------------------------------


def test_of_a_labels_only_victim_the_margin_is_1_where_it_says_the_class_and_minus_1_elsewhere(clean: Tensor) -> None:
    victim, w = two_sided(T, gives=Gives.LABELS)
    near, far = candidates(clean, w, [0.9, 1.1])
    oracle = held(victim, clean)
    assert oracle.margins(near).tolist() == [-1, -1, -1]
    assert oracle.margins(far).tolist() == [1, 1, 1]
    assert oracle.won.all()
    leaving = held(victim, clean, goal=Untargeted(), focus=0)
    assert leaving.margins(near).tolist() == [-1, -1, -1]
    assert leaving.margins(far).tolist() == [1, 1, 1]


def test_duels_and_their_scores_have_the_same_winner_and_the_same_least_duel(clean: Tensor) -> None:
    weights = torch.randn(4, T, generator=torch.Generator().manual_seed(2))
    plain = linear(weights, torch.zeros(4))
    duels = Toy(lambda wave: duels_of(plain.function(wave)), labels=plain.labels, kind=Kind.DUELS)
    for goal in (Targeted("b"), Untargeted(), Maximise("b", "scores")):
        of_scores, of_duels = (held(v, clean, goal=goal).margins(0 * clean) for v in (plain, duels))
        assert torch.equal(of_scores.sign(), of_duels.sign())
        if goal.name == "maximise":
            assert torch.allclose(of_scores, of_duels)


def test_a_confident_goal_reads_probabilities_and_a_victim_without_them_is_told(victim: Toy, clean: Tensor) -> None:
    margin = held(victim, clean, goal=Confident("b", 0.9)).margins(0 * clean)
    duel = victim.function(clean).double().diff(dim=1)[:, 0]
    assert torch.allclose(margin, duel - math.log(9), atol=1e-4)
    mute = two_sided(T, has_probabilities=False)[0]
    assert answer_for(Confident("b"), mute, clean) is None
    with pytest.raises(VictimError, match="no probabilities, which the goal confident asks for"):
        held(mute, clean, goal=Confident("b")).margins(0 * clean)


@pytest.mark.parametrize(
    "shape", [(3,), (3, 3), (2, 2), (3, 2, 3), (3, 3, 3), (3, 2, 2, 2), ()], ids=lambda shape: "x".join(map(str, shape))
)
def test_an_answer_of_a_wrong_shape_is_the_victims_error(clean: Tensor, shape: tuple[int, ...]) -> None:
    wrong = Toy(lambda wave: torch.zeros(shape) + wave.sum(), labels=("a", "b"))
    for ask in (held(wrong, clean).margins, held(wrong, clean).gradient):
        with pytest.raises(VictimError, match=r"\(3, 2\) was expected"):
            ask(0 * clean)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_scores_that_are_no_numbers_are_the_victims_error(clean: Tensor, value: float) -> None:
    broken = Toy(lambda wave: torch.stack([wave.sum(1), wave[:, 0] + value], dim=1), labels=("a", "b"))
    for ask in (held(broken, clean).margins, held(broken, clean).gradient):
        with pytest.raises(VictimError, match="NaN or infinite scores"):
            ask(0 * clean)


def test_a_gradient_that_is_no_number_is_the_victims_error_and_was_asked_all_the_same(clean: Tensor) -> None:
    kinked = Toy(lambda wave: torch.stack([0 * wave.sum(1), (0 * wave).square().sum(1).sqrt()], 1), labels=("a", "b"))
    oracle = held(kinked, clean)
    oracle.margins(0 * clean)
    with pytest.raises(VictimError, match="gradient holds NaN"):
        oracle.gradient(0 * clean)
    assert oracle.gradients == [1, 1, 1]


@pytest.mark.parametrize("how", ["detached", "constant"])
def test_a_victim_whose_scores_have_no_gradient_is_told_so(clean: Tensor, how: str) -> None:
    free = torch.zeros(2, requires_grad=True)

    def scores(wave: Tensor) -> Tensor:
        return wave[:, :2].detach() if how == "detached" else free.expand(len(wave), 2)

    with pytest.raises(VictimError, match="no gradient along the wave"):
        held(Toy(scores, labels=("a", "b")), clean).gradient(0 * clean)


@pytest.mark.parametrize("said", [[0, 1, 2], [0, -1, 0], [0, 1], [0.0, 1.0, 0.0]], ids=str)
def test_labels_that_do_not_exist_are_the_victims_error(clean: Tensor, said: list[float]) -> None:
    class Babbling(Toy):
        def decide(self, wave: Tensor) -> Tensor:
            return torch.tensor(said)

    babbling = Babbling(lambda wave: wave, labels=("a", "b"), gives=Gives.LABELS)
    with pytest.raises(VictimError, match="whole numbers from 0 to 1 were expected"):
        held(babbling, clean).margins(0 * clean)


# --- a victim that dies of several questions at once ------------------------------------------------------------------


class Dying:
    """Says 1 for "b" where the first sample is above 0.5; of several at once it dies, and answers those of `before`."""

    labels = ("a", "b")
    sample_rate = RATE
    gives = Gives.SCORES
    kind = Kind.DECISION
    at_once = 6

    def __init__(self, before: list[int]) -> None:
        self.before = before
        self.free: list[float] = []

    def scores(self, wave: Tensor) -> Tensor:
        if len(wave) > 1 or float(wave[0, 0]) not in self.free:
            self.free = wave[self.before, 0].tolist()
            raise VictimError("it closed")
        return torch.stack([torch.zeros(1), torch.where(wave[:, 0] > 0.5, 1.0, -1.0)], -1)

    def answered(self, wave: Tensor) -> list[int]:
        return [place for place, first in enumerate(wave[:, 0].tolist()) if first in self.free]


@pytest.mark.parametrize(
    ("before", "won", "best"), [([0, 1, 2, 4], True, 0.875), ([4, 5], True, 0.75), ([0], False, 0.125), ([], False, 0)]
)
@pytest.mark.parametrize("ask", ["population", "answers"])
def test_what_was_answered_before_a_death_is_remembered_and_what_was_not_asked_is_not_counted(
    before: list[int], won: bool, best: float, ask: str
) -> None:
    oracle = held(Dying(before), torch.zeros(1, T))  # type: ignore[arg-type]
    deltas = torch.zeros(9, T)
    deltas[:, 0] = torch.tensor([0.125, 0.25, 0.375, 0.5, 0.875, 0.75, 1.0, 1.0, 1.0])
    with pytest.raises(VictimError, match="it closed"):
        getattr(oracle, ask)(deltas, 0)
    assert (bool(oracle.won[0]), float(oracle.best[0, 0])) == (won, best)
    assert oracle.queries == [len(before) + 1]
