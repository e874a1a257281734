"""How many trials, and what right answers are worth: against sums over the binomial law, by hand."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subterfuge.errors import InputError
from subterfuge.report.trials import Count, at_least, design, fewest_right, interval, p_value


def tail(right: int, trials: int, p: Fraction) -> Fraction:
    """The binomial tail, in fractions."""
    return sum((comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(right, trials + 1)), Fraction(0))


HALF = Fraction(1, 2)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_p_value_is_the_share_of_equally_likely_answers_with_so_many_right(case: tuple[int, int]) -> None:
    right, trials = case
    assert p_value(right, trials) == pytest.approx(float(tail(right, trials, HALF)), rel=1e-12)


@given(st.integers(1, 200), st.floats(1e-6, 0.9999))
def test_the_criterion_is_the_fewest_right_that_a_guesser_reaches_rarely_enough(trials: int, alpha: float) -> None:
    needed = fewest_right(trials, alpha)
    if needed is None:
        assert tail(trials, trials, HALF) > alpha
    else:
        assert tail(needed, trials, HALF) <= alpha * (1 + 1e-9)
        assert needed == 0 or tail(needed - 1, trials, HALF) > alpha * (1 - 1e-9)


@pytest.mark.parametrize(
    ("alpha", "power", "p"), [(0.05, 0.8, 0.8), (0.01, 0.9, 0.8), (0.05, 0.95, 0.95), (0.1, 0.5, 0.7)]
)
def test_the_test_has_the_power_asked_for_and_no_shorter_one_has(alpha: float, power: float, p: float) -> None:
    chosen = design(alpha=alpha, power=power, p_heard=p)
    assert chosen.finds == pytest.approx(float(tail(chosen.needed, chosen.trials, Fraction(p))), rel=1e-9)
    assert chosen.finds >= power
    assert chosen.guesses_pass <= alpha
    for shorter in range(1, chosen.trials):
        needed = fewest_right(shorter, alpha)
        assert needed is None or at_least(needed, shorter, p) < power


def test_a_named_number_of_trials_is_taken_and_its_power_told() -> None:
    chosen = design(trials=10)
    assert (chosen.trials, chosen.needed) == (10, 9)
    assert chosen.finds == pytest.approx(float(tail(9, 10, Fraction(4, 5))))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"trials": 4}, "of 4 trials even all right has p = 0.0625, above alpha = 0.05.*ask for 5 trials or more"),
        ({"trials": 0}, "0 trials were asked for; 1 to 1000"),
        ({"trials": 1001}, "1001 trials were asked for; 1 to 1000"),
        ({"alpha": 0.0}, "alpha is 0; a probability above 0 and below 1"),
        ({"alpha": 1.0}, "alpha is 1; "),
        ({"alpha": float("nan")}, "alpha is nan; "),
        ({"power": -0.1}, "power is -0.1; "),
        ({"p_heard": 0.5}, "p-heard is 0.5; a probability above 0.5 and at most 1"),
        ({"p_heard": 1.01}, "p-heard is 1.01; "),
        ({"p_heard": 0.51}, "takes more than 1000 of them.*raise p-heard"),
    ],
)
def test_a_test_that_nobody_could_pass_or_take_is_refused(asked: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        design(**asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("trials", [5, 18])
@pytest.mark.parametrize("p", [0.5, 0.63, 0.9])
def test_the_interval_holds_the_true_share_in_95_of_100_tests_or_more(trials: int, p: float) -> None:
    misses = sum(
        float(comb(trials, k) * p**k * (1 - p) ** (trials - k))
        for k in range(trials + 1)
        if not interval(k, trials)[0] <= p <= interval(k, trials)[1]
    )
    assert misses <= 0.05


def test_the_interval_of_the_mean_share_holds_for_listeners_of_different_hearing() -> None:
    chances = np.repeat([0.5, 0.6, 0.9, 1.0], 9)
    right = (np.random.default_rng(0).random((2000, 36)) < chances).sum(axis=1)
    spans = {int(k): interval(int(k), 36) for k in set(right)}
    missed = np.mean([not spans[int(k)][0] <= chances.mean() <= spans[int(k)][1] for k in right])
    assert missed <= 0.05


@pytest.mark.parametrize(("right", "low", "high"), [(0, 0.0, 0.0), (9, 0.0, 0.4796), (18, 0.6294, 1.0)])
def test_the_share_that_was_heard_is_what_guessing_does_not_explain(right: int, low: float, high: float) -> None:
    assert Count(right, 18).heard == pytest.approx((low, high), abs=5e-5)
