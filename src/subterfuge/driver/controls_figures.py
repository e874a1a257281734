"""Many draws of noise summed up: how often they do as much as an attack, and which classes they raise."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CHANCE = 0.05
"""The attack does something where, by every kind of noise, it would come about by chance less often than this."""
ENOUGH = 19
"""Draws of a kind with which a chance of 1 in 20 can be told."""
NEARLY = 0.99
"""The part of the attack's rise that counts as doing as much."""
SURE = 0.95
"""Of the intervals."""


@dataclass(frozen=True)
class Estimate:
    """A mean, or a share, and its 95 % interval; no interval where it takes more draws."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Asked:
    """What the victim says of one sound."""

    label: str
    reached: bool
    """Whether the goal is met."""
    value: float
    """How far it is met, in the `Control.measure`."""
    by_class: Mapping[str, float]


@dataclass(frozen=True)
class Draws:
    """What the victim says of many draws of one kind of noise."""

    draws: int
    snr_db: float
    """Clip to noise, as heard, the mean over the draws: that of the attack's change, but for rounding."""
    hits: int
    """Draws that meet the goal."""
    share: Estimate
    """The same as a part of the draws, with Wilson's interval."""
    rise: Estimate
    """By how much the measure rises above the clean clip's, with Student's interval."""
    as_good: int
    """Draws that do as much as the attack: they meet the goal if it does, and rise by 99 % of its rise or more."""
    chance: float
    """(as_good + 1) / (draws + 1): how often noise of this kind does as much as the attack, at the most."""
    answers: Mapping[str, float]
    """The share of each label that was answered."""
    moved: Mapping[str, Estimate]
    """By how much each class rises above the clean clip's; of labels alone, the share, with Wilson's interval."""
    drift: tuple[str, ...]
    """The classes that take more than an even share of what rises, the most first."""


def summed(answers: Sequence[Asked], levels: Sequence[float], before: Asked, after: Asked, *, of_labels: bool) -> Draws:
    """Sum up answers about draws of noise, at the SNR of each, beside those about the clip and the attack's file."""
    draws = len(answers)
    hits = sum(one.reached for one in answers)
    rise = after.value - before.value
    sum_up = share if of_labels else estimate

    def as_much(one: Asked) -> bool:
        if one.reached != after.reached:
            return one.reached
        return one.value - before.value >= (NEARLY * rise if rise > 0 else rise)

    as_good = sum(as_much(one) for one in answers)
    moved = {label: sum_up([one.by_class[label] for one in answers], level) for label, level in before.by_class.items()}
    return Draws(
        draws=draws,
        snr_db=sum(levels) / draws,
        hits=hits,
        share=share([one.reached for one in answers]),
        rise=sum_up([one.value for one in answers], before.value),
        as_good=as_good,
        chance=(as_good + 1) / (draws + 1),
        answers={label: count / draws for label, count in Counter(one.label for one in answers).most_common()},
        moved=moved,
        drift=taking(moved),
    )


def share(values: Sequence[float], less: float = 0.0) -> Estimate:
    """Give the share of ones among zeros and ones, less a number, and Wilson's 95 % interval for that.

    Student's has no width where all are equal, however few they are.

    >>> share([0.0])
    Estimate(mean=0.0, low=0.0, high=0.7934506856227626)
    """
    from scipy.stats import binomtest

    ones = round(math.fsum(values))
    wilson = binomtest(ones, len(values)).proportion_ci(confidence_level=SURE, method="wilson")
    return Estimate(ones / len(values) - less, float(wilson.low) - less, float(wilson.high) - less)


def estimate(values: Sequence[float], less: float = 0.0) -> Estimate:
    """Give the mean of some numbers, less a number, and Student's 95 % interval for it, none of one number.

    >>> estimate([1.0, 1.0, 1.0])
    Estimate(mean=1.0, low=1.0, high=1.0)
    """
    from scipy.stats import t

    count = len(values)
    mean = math.fsum(value - less for value in values) / count
    if count < 2:
        return Estimate(mean, None, None)
    spread = math.sqrt(math.fsum((value - less - mean) ** 2 for value in values) / (count - 1) / count)
    half = float(t.ppf((1 + SURE) / 2, count - 1)) * spread
    return Estimate(mean, mean - half, mean + half)


def taking(moved: Mapping[str, Estimate]) -> tuple[str, ...]:
    """Name the classes that take more than an even share of what rises, the most first; of two classes, over half."""
    even = sum(max(0.0, one.mean) for one in moved.values()) / max(2, len(moved) - 1)
    up = [label for label, one in moved.items() if one.low is not None and one.low > even]
    return tuple(sorted(up, key=lambda label: -moved[label].mean))


def drift_of(kinds: Mapping[str, Draws]) -> tuple[str, ...]:
    """Name the classes toward which every kind of noise drifts, the most first."""
    first, *rest = kinds.values()
    means = {label: sum(kind.moved[label].mean for kind in kinds.values()) for label in first.moved}
    up = [label for label in means if all(label in kind.drift for kind in (first, *rest))]
    return tuple(sorted(up, key=lambda label: -means[label]))
