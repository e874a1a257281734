"""How loud a sound is, and how loud a change of it: plain decibels, in float64.

Every function takes arrays of any shape and measures all of their numbers together; per clip, call it per
clip.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def snr_db(clean: ArrayLike, changed: ArrayLike) -> float:
    """Signal-to-noise ratio of a change: 10 log10( sum clean^2 / sum (changed - clean)^2 ), in dB.

    Never NaN for finite input: equal sounds give inf (two silences too), a change of silence gives -inf.

    >>> round(snr_db([1.0, -1.0], [1.1, -1.1]), 6)
    20.0

    Raises:
        ValueError: the shapes differ.
    """
    change = _change(clean, changed)
    if not change.any():
        return math.inf
    return _energy_db(np.asarray(clean, dtype=np.float64)) - _energy_db(change)


def peak(clean: ArrayLike, changed: ArrayLike) -> float:
    """Largest change of any one sample, max |changed - clean|, in the scale of the samples; 0 of nothing.

    >>> peak([0.5, 0.0], [0.25, 0.125])
    0.25

    Raises:
        ValueError: the shapes differ.
    """
    return float(np.max(np.abs(_change(clean, changed)), initial=0.0))


def level_db(x: ArrayLike) -> float:
    """Root mean square in dB of full scale, 10 log10 mean x^2: 0 for a full square wave, -inf for silence.

    A sine of amplitude 1 has -3.01 dB (AES17 would call it 0).

    >>> level_db([0.1, -0.1])
    -20.0
    """
    array = np.asarray(x, dtype=np.float64)
    return _energy_db(array) - 10 * math.log10(array.size) if array.size else -math.inf


def _change(clean: ArrayLike, changed: ArrayLike) -> NDArray[np.float64]:
    before, after = np.asarray(clean, dtype=np.float64), np.asarray(changed, dtype=np.float64)
    if before.shape != after.shape:
        raise ValueError(f"a sound of shape {before.shape} cannot be compared with one of shape {after.shape}")
    return after - before


def _energy_db(x: NDArray[np.float64]) -> float:
    """10 log10 sum x^2, -inf of zeros; scaled by the largest, so that no square over- or underflows."""
    largest = float(np.max(np.abs(x), initial=0.0))
    if largest == 0.0:
        return -math.inf
    return 20 * math.log10(largest) + 10 * math.log10(float(np.sum(np.square(x / largest))))
