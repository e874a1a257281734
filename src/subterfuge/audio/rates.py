"""Folding to mono and changing the rate, with librosa's own numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray


def fold(samples: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Average the channels of (C, T) into (T,) float32, as `librosa.load(mono=True)` does.

    librosa casts to float32 first and averages a view of interleaved frames; the order of the sum, and so
    its last bit, depends on that layout, which is therefore reproduced.
    """
    single = samples.astype(np.float32, copy=False)
    if single.shape[0] == 1:
        return np.array(single[0])
    if single.shape[0] == 2:  # the same bits: one sum, halved exactly
        return np.asarray((single[0] + single[1]) / np.float32(2))
    folded: NDArray[np.float32] = np.mean(np.asfortranarray(single), axis=0, dtype=np.float32)
    return folded


def length_at(length: int, rate: int, new_rate: int) -> int:
    """Give the length after a change of rate: ``ceil(length * new_rate / rate)`` in librosa's arithmetic.

    >>> length_at(132_300, 44_100, 22_050), length_at(132_301, 44_100, 22_050)
    (66150, 66151)
    """
    return length if rate == new_rate else math.ceil(length * (float(new_rate) / rate))


def fixed(wave: NDArray[np.floating[Any]], length: int) -> NDArray[np.floating[Any]]:
    """Cut the last axis, or pad it with zeros, to a length."""
    short = length - wave.shape[-1]
    if short <= 0:
        return wave[..., :length]
    return np.pad(wave, [(0, 0)] * (wave.ndim - 1) + [(0, short)])


def to_rate(wave: NDArray[np.float32], rate: int, new_rate: int) -> NDArray[np.float32]:
    """Change the rate of a wave (T,) as `librosa.resample` does by default: soxr HQ, length rounded up."""
    if rate == new_rate:
        return wave
    there = fixed(soxr.resample(wave, rate, new_rate, quality="HQ"), length_at(len(wave), rate, new_rate))
    return np.ascontiguousarray(there, dtype=np.float32)


def lift(delta: NDArray[np.floating[Any]], rate: int, new_rate: int, length: int) -> NDArray[np.float64]:
    """Bring a change (T',) from one rate to another, at exactly `length` samples: float64, soxr VHQ."""
    wide = np.asarray(delta, dtype=np.float64)
    if rate == new_rate:
        return wide
    return np.ascontiguousarray(fixed(soxr.resample(wide, rate, new_rate, quality="VHQ"), length), dtype=np.float64)
