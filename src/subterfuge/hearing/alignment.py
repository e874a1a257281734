"""Where one sound lies in another: an encoder's delay, a start that was cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

ALIKE = 0.7
"""Least correlation of two versions of one sound: what is left of it beside a change as loud as the sound itself."""
OVERLAP = 0.8
"""Least part of the longer sound that both must cover."""
MOST_LAG = 500_000
"""Samples that one may be late by."""


@dataclass(frozen=True)
class Lag:
    """How two sounds fit best."""

    samples: int
    """By which the second is late; below 0 it is early."""
    correlation: float
    """Of what overlaps, sum(b a) / sqrt(sum(b b) sum(a a)), -1 .. 1; below 0 the polarity is turned."""
    overlap: int
    """Samples that overlap."""

    @property
    def believable(self) -> bool:
        """Whether the two are versions of one sound."""
        return abs(self.correlation) >= ALIKE


def find_lag(before: NDArray[np.floating[Any]], after: NDArray[np.floating[Any]]) -> Lag:
    """Find the lag at which two mono sounds correlate most, where at least 80 % of the longer overlaps.

    Another lag than 0, of half a million samples at most, is taken only if it halves what is left, so a pure tone is
    not a period late.

    Args:
        before: shape (T,).
        after: shape (T',).

    Returns:
        The lag; its correlation is 0 where one of the two is silent, and where no overlap is long enough.
    """
    b, a = (_level(wave) for wave in (before, after))
    longest, shortest = max(len(a), len(b)), min(len(a), len(b))
    least = max(1, int(np.ceil(OVERLAP * longest)), longest - MOST_LAG)
    if shortest < least or not (b.any() and a.any()):
        return Lag(0, 0.0, shortest)
    lags = np.arange(least - len(b), len(a) - least + 1)
    begin, end = np.maximum(0, -lags), np.minimum(len(b), len(a) - lags)
    size = fft.next_fast_len(2 * longest - least + 1, real=True)
    product = fft.irfft(fft.rfft(a, size) * np.conj(fft.rfft(b, size)), size)[lags]
    energy_b, energy_a = (np.concatenate([[0.0], np.cumsum(np.square(wave))]) for wave in (b, a))
    norms = np.sqrt((energy_b[end] - energy_b[begin]) * (energy_a[end + lags] - energy_a[begin + lags]))
    sure = norms > 1e-6 * norms.max()  # below it the cumulative sums are rounding
    found = np.clip(np.divide(product, norms, out=np.zeros_like(product), where=sure), -1, 1)
    best, none = int(np.argmax(np.abs(found))), int(np.flatnonzero(lags == 0)[0])
    left = np.maximum(1 - np.abs(found), 1e-9)
    if left[best] > 0.5 * left[none]:
        best = none
    return Lag(int(lags[best]), float(found[best]), int(end[best] - begin[best]))


def _level(wave: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Bring a wave to a peak of 1, so that no square over- or underflows."""
    wide = np.asarray(wave, dtype=np.float64)
    top = float(np.max(np.abs(wide), initial=0.0))
    return wide / top if top else wide
