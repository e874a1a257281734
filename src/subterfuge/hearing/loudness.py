"""Loudness as broadcasters measure it, and how far a change moves it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

BLOCK_SECONDS = 0.4
MOST_CHANNELS = 5
"""Which the standard gives weights for: left, right, centre and the two of the surround."""
LEAST_RATE = 16_000
"""Below it a sound is measured at 48 kHz, for which the standard gives its filters."""


def loudness_lufs(samples: NDArray[np.floating[Any]], rate: int) -> float | None:
    """Measure the integrated, gated loudness of a sound in LUFS: -3.01 for a full sine of 997 Hz in one channel.

    By the package pyloudnorm. Source: ITU-R BS.1770-4.

    Args:
        samples: shape (T,) or (channels, T), at most 5 channels.
        rate: in Hz.

    Returns:
        The loudness, or None where there is none: a sound under 0.4 s, or quieter than the gate of -70 LUFS throughout.

    Raises:
        ValueError: more channels than 5.
    """
    wave = np.atleast_2d(np.asarray(samples, dtype=np.float64)).T
    if wave.shape[1] > MOST_CHANNELS:
        raise ValueError(f"at most {MOST_CHANNELS} channels were expected, not {wave.shape[1]}")
    if len(wave) < BLOCK_SECONDS * rate:
        return None
    top = float(np.max(np.abs(wave)))
    if top == 0.0:
        return None
    if rate < LEAST_RATE:
        wave, rate = soxr.resample(wave, rate, 48_000, quality="HQ"), 48_000
    import pyloudnorm

    scale = top if top > 1.0 else 1.0  # a float file may lie beyond what can be squared
    found = float(pyloudnorm.Meter(rate).integrated_loudness(wave / scale)) + 20 * math.log10(scale)
    return found if math.isfinite(found) else None


def level_difference_lu(
    clean: NDArray[np.floating[Any]], changed: NDArray[np.floating[Any]], rate: int, changed_rate: int | None = None
) -> float | None:
    """Measure how much louder a sound became, in LU (a LU is a dB): 0 is as loud, below 0 is quieter.

    None where either has no loudness, see `loudness_lufs`.
    """
    before, after = loudness_lufs(clean, rate), loudness_lufs(changed, changed_rate or rate)
    return None if before is None or after is None else after - before
