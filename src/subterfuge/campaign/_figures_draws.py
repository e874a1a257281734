"""Medians in which a lost search counts, and intervals by the bootstrap over clips.

Targets of one clip are not independent, so whole clips are drawn again: the cluster bootstrap, with percentile
intervals (Efron 1979, https://doi.org/10.1214/aos/1176344552; Davison and Hinkley 1997, section 3.8).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from subterfuge.training.substitute import wilson

DRAWS = 2000
TAILS = (0.025, 0.975)
"""What a 95 % interval leaves out at each end."""
BLOCK = 2_000_000
"""Most numbers that are held at once."""
LEAST = 2
"""Clips that it takes for an interval: of one clip nothing can be drawn but itself."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float | None
    """None where nothing was measured (``of`` is 0), or where half of the searches or more are lost."""
    low: float | None = None
    high: float | None = None
    """None as an end of an interval around a median: it reaches to where half is lost; both None with one clip."""
    of: int = 0
    """So many numbers, or, of a share, cases."""


NOTHING = Estimate(None)


def dice(seed: int, *words: object) -> np.random.Generator:
    """Give a generator that depends on the seed and on what it is for, and so not on what else is worked out."""
    return np.random.default_rng([seed, zlib.crc32(" ".join(map(str, words)).encode())])


def median(values: Sequence[float]) -> float | None:
    """Give the median, where a lost search is an infinity; None of nothing, and where half or more are lost.

    >>> median([40.0, 50.0, -np.inf]), median([40.0, -np.inf])
    (40.0, None)
    """
    return _finite(_middle(np.sort(np.asarray(values, dtype=np.float64)))) if len(values) else None


def share(hits: int, of: int) -> Estimate:
    """Give a share of independent cases, with Wilson's interval; nothing of nothing."""
    return Estimate(hits / of, *wilson(hits, of), of) if of else NOTHING


def median_of(values: Sequence[float], clips: Sequence[str], die: np.random.Generator) -> Estimate:
    """Give the median of numbers, each of a clip, with its bootstrap interval.

    Args:
        values: an infinity for a lost search, on the side that is worse for the attacker.
        clips: of which clip each is.
        die: of the draws.
    """
    if not len(values):
        return NOTHING
    found = np.asarray(values, dtype=np.float64)
    places, count = _places(clips)
    if count < LEAST:
        return Estimate(median(found.tolist()), of=len(found))
    order = np.argsort(found, kind="stable")
    middles = [medians(found[order], drawn[:, places[order]]) for drawn in weights(count, len(found), die)]
    return Estimate(median(found.tolist()), *ends(np.concatenate(middles)), len(found))


def ratio_of(hits: Sequence[int], of: Sequence[int], clips: Sequence[str], die: np.random.Generator) -> Estimate:
    """Give the sum of hits over the sum of cases, both by clip or parts of clips, with its bootstrap interval."""
    total = int(sum(of))
    if not total:
        return NOTHING
    places, count = _places(clips)
    value = sum(hits) / total
    if count < LEAST:
        return Estimate(value, of=total)
    part, whole = (np.bincount(places, np.asarray(one, dtype=np.float64), count) for one in (hits, of))
    drawn = [(block @ part, block @ whole) for block in weights(count, count, die)]
    above, below = (np.concatenate([one[side] for one in drawn]) for side in (0, 1))
    kept = below > 0
    low, high = ends(above[kept] / below[kept])
    return Estimate(value, low, high, total)


def shares_of(
    turned: NDArray[np.bool_], die: np.random.Generator, counts: NDArray[np.bool_] | None = None
) -> tuple[Floats, Floats, Floats]:
    """Give the share of clips (rows) that are turned at each budget (columns), and the ends of its interval.

    Args:
        turned: (clips, budgets).
        die: of the draws.
        counts: which of them count at each budget, of the same shape; all of them by default. Of none it is nan.
    """
    counts = np.ones_like(turned) if counts is None else counts
    of = counts.sum(0)
    found = _parts((turned & counts).sum(0), of)
    low, high = np.full((2, len(found)), np.nan)
    enough = of >= LEAST
    if enough.any():
        sides = (turned & counts)[:, enough], counts[:, enough]
        blocks = [_parts(block @ sides[0], block @ sides[1]) for block in weights(len(turned), len(turned), die)]
        low[enough], high[enough] = np.nanquantile(np.concatenate(blocks), TAILS, axis=0)
    return found, low, high


def _parts(hits: NDArray[np.int64], of: NDArray[np.int64]) -> Floats:
    found: Floats = np.full(of.shape, np.nan)
    np.divide(hits, of, out=found, where=of > 0)
    return found


def weights(clips: int, values: int, die: np.random.Generator, draws: int = DRAWS) -> Iterator[NDArray[np.int64]]:
    """Draw clips again and again: how often each is in a draw, (draws, clips), in blocks of a bounded size."""
    at_once = max(1, BLOCK // max(clips, values))
    edges = [*range(0, draws, at_once), draws]
    for first, last in pairwise(edges):
        yield die.multinomial(clips, np.full(clips, 1 / clips), size=last - first)


def medians(ordered: Floats, often: NDArray[np.int64]) -> Floats:
    """Give the median of each draw: of numbers (V,) in order, where each counts as often (D, V) says."""
    upto = np.cumsum(often, axis=1)
    total = upto[:, -1:]
    low, high = (np.argmax(upto > middle, axis=1) for middle in ((total - 1) // 2, total // 2))
    return _between(ordered[low], ordered[high])


def ends(found: Floats) -> tuple[float | None, float | None]:
    """Give the ends of the interval that holds 95 % of the draws; an end that is infinite is None."""
    if not len(found):
        return None, None
    ordered, last = np.sort(found), len(found) - 1
    low, high = math.floor(TAILS[0] * last), math.ceil(TAILS[1] * last)  # no mean of two: they may be infinite
    return _finite(float(ordered[low])), _finite(float(ordered[high]))


def _middle(ordered: Floats) -> float:
    count = len(ordered)
    return float(_between(ordered[[(count - 1) // 2]], ordered[[count // 2]])[0])


def _between(low: Floats, high: Floats) -> Floats:
    """Give the mean of two; of the same two, themselves, so that infinities stay."""
    same = low == high
    return np.where(same, low, 0.5 * (np.where(same, 0.0, low) + np.where(same, 0.0, high)))


def _places(clips: Sequence[str]) -> tuple[NDArray[np.int64], int]:
    known = {clip: place for place, clip in enumerate(dict.fromkeys(clips))}
    return np.array([known[clip] for clip in clips], dtype=np.int64), len(known)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
