"""How many trials a listening test needs, and what right answers are worth: exact binomial figures.

A listener who cannot tell the sounds apart is right with probability 1/2 in each trial, whatever the answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from subterfuge.errors import InputError

MOST = 1000
"""Trials of one pair that may be asked for."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Design:
    """How long a test is, and when it is passed; fixed before anybody listens."""

    trials: int
    """Of each pair."""
    needed: int
    """Right answers that pass: the fewest that a guesser reaches with probability `alpha` or less."""
    alpha: float
    power: float
    """With which probability the test is to find a listener who is right in `p_heard` of the trials."""
    p_heard: float

    @property
    def guesses_pass(self) -> float:
        """With which probability a guesser passes: at most `alpha`."""
        return p_value(self.needed, self.trials)

    @property
    def finds(self) -> float:
        """With which probability a listener who is right in `p_heard` of the trials passes."""
        return at_least(self.needed, self.trials, self.p_heard)


@dataclass(frozen=True)
class Count:
    """Right answers of so many, and what they say."""

    right: int
    trials: int

    @property
    def p(self) -> float:
        """One-sided exact p-value."""
        return p_value(self.right, self.trials)

    @property
    def share(self) -> tuple[float, float]:
        """The interval of the share of right answers, see `interval`."""
        return interval(self.right, self.trials)

    @property
    def heard(self) -> tuple[float, float]:
        """The interval of the part of the trials in which the difference was heard, for one who guesses in the rest.

        Right in a share s of the trials means heard in max(0, 2 s - 1) of them.
        """
        low, high = self.share
        return max(0.0, 2 * low - 1), max(0.0, 2 * high - 1)


def design(*, alpha: float = 0.05, power: float = 0.8, p_heard: float = 0.8, trials: int | None = None) -> Design:
    """Choose the fewest trials with which a test of level `alpha` finds a listener who is right in `p_heard` of them.

    >>> design()
    Design(trials=18, needed=13, alpha=0.05, power=0.8, p_heard=0.8)

    Args:
        alpha: most probability with which a guesser may pass.
        power: least probability with which the listener must pass.
        p_heard: share of right answers of the listener who is to be found, above 1/2.
        trials: so many, whatever power they have.

    Raises:
        InputError: a number that makes no sense, too few trials to pass at all, or more than 1000 needed.
    """
    for name, value, least in (("alpha", alpha, 0.0), ("power", power, 0.0), ("p-heard", p_heard, 0.5)):
        top = 1.0 if name == "p-heard" else 0.999999
        if not least < value <= top:  # also for what is not a number
            words = f"above {least:g} and {'at most' if name == 'p-heard' else 'below'} 1"
            raise InputError(f"{name} is {value:g}; a probability {words} was expected")
    if trials is not None:
        if not 1 <= trials <= MOST:
            raise InputError(f"{trials} trials were asked for; 1 to {MOST} of each pair were expected")
        needed = fewest_right(trials, alpha)
        if needed is None:
            raise InputError(
                f"of {trials} trials even all right has p = {p_value(trials, trials):.3g}, above alpha = {alpha:g}, so "
                f"nobody could pass; ask for {math.ceil(-math.log2(alpha))} trials or more, or leave --trials out"
            )
        return Design(trials, needed, alpha, power, p_heard)
    for n in range(1, MOST + 1):
        k = fewest_right(n, alpha)
        if k is not None and at_least(k, n, p_heard) >= power:
            return Design(n, k, alpha, power, p_heard)
    raise InputError(
        f"to find a listener who is right in {p_heard:g} of the trials takes more than {MOST} of them at alpha = "
        f"{alpha:g} and power {power:g}, more than anybody hears; raise p-heard, or name a number of trials"
    )


def fewest_right(trials: int, alpha: float) -> int | None:
    """Give the fewest right answers that a guesser reaches with probability `alpha` or less; None if none are.

    >>> fewest_right(16, 0.05), fewest_right(4, 0.05)
    (12, None)
    """
    from scipy.stats import binom

    right = int(binom.isf(alpha, trials, 0.5)) + 1  # more than the largest whose tail is still above alpha
    while right > 0 and p_value(right - 1, trials) <= alpha:
        right -= 1
    while right <= trials and p_value(right, trials) > alpha:
        right += 1
    return right if right <= trials else None


def p_value(right: int, trials: int) -> float:
    """Give the probability that a guesser has so many right, or more: one-sided, exact.

    >>> p_value(12, 16)
    0.0384063720703125
    """
    from scipy.stats import binomtest

    return float(binomtest(right, trials, 0.5, alternative="greater").pvalue)


def at_least(right: int, trials: int, p: float) -> float:
    """Give the probability of `right` or more of `trials`, each with probability `p`."""
    from scipy.stats import binom

    return float(binom.sf(right - 1, trials, p))


def interval(right: int, trials: int) -> tuple[float, float]:
    """Give the 95 % interval of the share of right answers (Clopper and Pearson 1934, exact, two-sided).

    Over listeners of different hearing it holds for the mean share: unequal chances only narrow the spread of the
    sum beyond its mean (Hoeffding 1956, theorem 5).

    >>> tuple(round(end, 4) for end in interval(9, 18))
    (0.2602, 0.7398)
    """
    from scipy.stats import binomtest

    span = binomtest(right, trials).proportion_ci(confidence_level=CONFIDENCE, method="exact")
    return float(span.low), float(span.high)
