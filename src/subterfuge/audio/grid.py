"""The integer grid of a PCM file: which steps it has, and how a change is rounded onto them.

A file of n bits holds the levels k / 2^(n-1) for k = -2^(n-1) .. 2^(n-1) - 1, which is how libsndfile and
librosa read them, so a sample is exact in float32 up to 24 bits and in float64 beyond.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.floating[Any]]

BITS = {
    "PCM_S8": 8,
    "PCM_U8": 8,
    "PCM_16": 16,
    "PCM_24": 24,
    "PCM_32": 32,
    "ALAC_16": 16,
    "ALAC_20": 20,
    "ALAC_24": 24,
    "ALAC_32": 32,
    "DPCM_8": 8,
    "DPCM_16": 16,
    "DWVW_12": 12,
    "DWVW_16": 16,
    "DWVW_24": 24,
}
"""Bits a sample of each subtype with an integer grid."""

FLOATS = ("FLOAT", "DOUBLE")


def is_lossy(subtype: str) -> bool:
    """Say whether a subtype does not give back the samples that were put in (MP3, Vorbis, ADPCM, u-law ...).

    >>> is_lossy("VORBIS"), is_lossy("ULAW"), is_lossy("PCM_16"), is_lossy("FLOAT")
    (True, True, False, False)
    """
    return subtype not in BITS and subtype not in FLOATS


def dtype_for(subtype: str) -> type[np.float32] | type[np.float64]:
    """Give the dtype that holds a subtype exactly: float64 for PCM_32, ALAC_32 and DOUBLE, else float32."""
    return np.float64 if BITS.get(subtype, 0) > 24 or subtype == "DOUBLE" else np.float32


def to_steps(samples: Samples, bits: int) -> NDArray[np.int64]:
    """Give the nearest step of the grid to each sample, clipped to the range that the file holds."""
    full = 2.0 ** (bits - 1)
    return np.clip(np.rint(samples * np.float64(full)), -full, full - 1).astype(np.int64)


def shared_round(wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round to whole numbers so that the mean over channels stays as near as it can to the wanted mean.

    The victim hears the mean of the C channels, and that mean has steps of 1/C. What the rounding of one
    channel leaves over is handed on to the next (error diffusion), so the mean is off by at most 1/(2C) and
    each channel by less than 1 from where it was wanted. Even samples go through the channels forwards and
    odd ones backwards, so that no channel gets more of the extra steps than another. With one channel this
    is `numpy.rint`.

    Args:
        wanted: shape (C, T), in steps.

    Returns:
        Whole numbers, shape (C, T).
    """
    rounded = np.empty_like(wanted)
    for turn, order in ((slice(0, None, 2), 1), (slice(1, None, 2), -1)):
        left_over: NDArray[np.float64] | float = 0.0
        for channel in range(wanted.shape[0])[::order]:
            with_debt = wanted[channel, turn] + left_over
            rounded[channel, turn] = step = np.rint(with_debt)
            left_over = with_debt - step
    return rounded


def add_on_grid(samples: Samples, delta: NDArray[np.float64], bits: int) -> tuple[NDArray[np.float64], int]:
    """Add a mono change to every channel and round the sum onto the grid; say how many samples were clipped.

    Args:
        samples: shape (C, T).
        delta: shape (T,), the change wanted of the mean over channels.
        bits: of the grid.

    Returns:
        Samples (C, T) in float64, each a level of the grid, and the number of samples beyond full scale.
    """
    full = 2.0 ** (bits - 1)
    steps = shared_round(samples * np.float64(full) + delta * full)
    beyond = int(np.count_nonzero((steps < -full) | (steps > full - 1)))
    return np.clip(steps, -full, full - 1, out=steps) / full, beyond
