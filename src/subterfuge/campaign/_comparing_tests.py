"""Paired tests of two victims on the same clips: whole clips are swapped, or drawn again.

If two victims are alike, which of them an answer to a clip came from does not matter. So all answers to a clip are
swapped between the two, clip by clip, and the difference that is there is held against those (Fisher 1935, The Design
of Experiments, section 21). For right and wrong answers this is McNemar's exact test. Unlike the bootstrap it holds for
three clips as for three hundred: so the p-values are of swaps, and the intervals of draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from subterfuge.campaign._figures_draws import BLOCK, DRAWS, LEAST, Floats, ends, medians, weights

EXACT = 11
"""Up to so many clips every way of swapping them is tried, 2,048 of them; of more, 2,000 are drawn."""

Swapped = Callable[[NDArray[np.bool_]], Floats]


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Give the two-sided p of as many changes one way and the other (McNemar 1947, exact by the binomial).

    >>> mcnemar([True] * 6, [False] * 6)
    0.03125
    """
    from scipy.stats import binomtest

    lost = sum(one and not other for one, other in zip(first, second, strict=True))
    gained = sum(other and not one for one, other in zip(first, second, strict=True))
    return float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0


def medians_apart(
    first: Floats, second: Floats, places: NDArray[np.int64], die: np.random.Generator
) -> tuple[float, tuple[float | None, float | None], float, int]:
    """Hold the second's numbers against the first's: difference of medians, its 95 % interval, p, and which is higher.

    The p is of Wilcoxon's signed ranks (1945, https://doi.org/10.2307/3001968), summed by clip: medians jump when
    searches are lost, ranks do not, and one that is lost against one that won is as far apart as can be.

    Args:
        first, second: (V,), a number of each victim for each case; minus infinity for a lost search.
        places: (V,), which clip each case is of, 0 to C - 1.
        die: of the draws.

    Returns:
        The difference, infinite where one median is and 0 between two that are; the interval; p; and 1 where the
        second's numbers are rather higher, -1 where lower, 0 where neither.
    """
    from scipy.stats import rankdata

    clips = int(places.max()) + 1
    changes = _apart(first, second)
    higher = np.bincount(places, np.sign(changes) * rankdata(np.abs(changes)), clips)
    side = int(np.sign(higher.sum()))
    p = _p(float(higher.sum()), lambda masks: (1.0 - 2.0 * masks) @ higher, clips, die)
    found = float(_apart(_rows(first[None]), _rows(second[None]))[0])
    if clips < LEAST:
        return found, (None, None), p, side
    orders = [np.argsort(one, kind="stable") for one in (first, second)]
    drawn = []
    for block in weights(clips, len(first), die):
        sides = [
            medians(one[order], block[:, places[order]]) for one, order in zip((first, second), orders, strict=True)
        ]
        drawn.append(_apart(*sides))
    return found, ends(np.concatenate(drawn)), p, side


def ratios_apart(
    first: tuple[Floats, Floats], second: tuple[Floats, Floats], die: np.random.Generator
) -> tuple[float, tuple[float | None, float | None], float]:
    """Hold hits over cases of the second against those of the first: difference, its 95 % interval, p.

    Args:
        first, second: hits and cases of each victim, (C,) each, by clip; both have cases.
        die: of the draws.
    """
    clips = len(first[0])

    def swapped(masks: NDArray[np.bool_]) -> Floats:
        chosen = masks.astype(np.float64)
        sides = [
            [(1 - chosen) @ mine + chosen @ theirs for mine, theirs in zip(one, other, strict=True)]
            for one, other in ((first, second), (second, first))
        ]
        apart = _ratio(*sides[1]) - _ratio(*sides[0])
        return np.where(np.isnan(apart), np.inf, apart)  # nothing on one side: as far apart as can be

    found = float(swapped(np.zeros((1, clips), dtype=bool))[0])
    p = _p(found, swapped, clips, die)
    if clips < LEAST:
        return found, (None, None), p
    drawn = np.concatenate(
        [
            _ratio(block @ second[0], block @ second[1]) - _ratio(block @ first[0], block @ first[1])
            for block in weights(clips, clips, die)
        ]
    )
    return found, ends(drawn[~np.isnan(drawn)]), p


def _p(found: float, swapped: Swapped, clips: int, die: np.random.Generator) -> float:
    """Give the part of the ways of swapping that come out as far apart or farther; the one that is there counts."""
    at_least = reached = 0
    for masks in _masks(clips, die):
        apart = np.abs(swapped(masks))
        at_least += int(np.count_nonzero(apart >= abs(found) - 1e-9))
        reached += len(masks)
    return at_least / reached if clips <= EXACT else (at_least + 1) / (reached + 1)


def _masks(clips: int, die: np.random.Generator) -> Iterator[NDArray[np.bool_]]:
    """Give which clips are swapped, (draws, clips), in blocks of a bounded size."""
    count = 2**clips if clips <= EXACT else DRAWS
    at_once = max(1, BLOCK // clips)
    for begin in range(0, count, at_once):
        rows = np.arange(begin, min(begin + at_once, count))
        if clips <= EXACT:
            yield (rows[:, None] >> np.arange(clips)) & 1 == 1
        else:
            yield die.random((len(rows), clips)) < 0.5


def _rows(values: Floats) -> Floats:
    """Give the median of each row (D, V)."""
    ordered = np.sort(values, axis=1)
    count = ordered.shape[1]
    low, high = ordered[:, (count - 1) // 2], ordered[:, count // 2]
    return np.where(low == high, low, 0.5 * (low + high))


def _apart(first: Floats, second: Floats) -> Floats:
    """Give second minus first; of two equal infinities, 0."""
    same = first == second
    return np.where(same, 0.0, np.where(same, 0.0, second) - np.where(same, 0.0, first))


def _ratio(part: Floats, whole: Floats) -> Floats:
    found: Floats = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)
    return found
