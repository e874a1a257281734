"""Zimtohrli: a model of what a listener would say of the difference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

RATE_HZ = 48_000
SHORTEST_SECONDS = 0.1
"""Below 7 steps of 1/84 s (83 ms) zimtohrli 0.2.1 corrupts memory, so shorter clips are not measured."""
LONGEST_SECONDS = 60.0
"""Its memory grows with the square of the length (3 GB for 4 minutes), so longer clips are measured in equal parts."""


def zimtohrli_distance(clean: NDArray[np.floating[Any]], changed: NDArray[np.floating[Any]], rate: int) -> float | None:
    """Measure how differently two sounds excite a model of the ear, from 0 (alike) to 1.

    Resampled to 48 kHz (soxr HQ) where the rate differs. Made for differences near the just noticeable one, of
    sounds played so that a sine at full scale has 78 dB SPL. It hardly feels a change of level, and not at all a
    delay of a sample or a polarity that is turned. Over a minute it is the mean of equal parts of a minute at most,
    which moves the opinion of it by about 0.01.

    Source: Alakuijala, Bruse, Boukortt, Coldenhoff, Cernak, "Zimtohrli: An Efficient Psychoacoustic Audio
    Similarity Metric" (2025), https://arxiv.org/abs/2509.26133.

    Args:
        clean: mono, shape (T,), in [-1, 1].
        changed: as `clean`.
        rate: of both, in Hz.

    Returns:
        The distance, or None for clips shorter than 0.1 s and for a change that is not finite.

    Raises:
        ValueError: the shapes differ, or are not (T,).
    """
    if clean.ndim != 1 or clean.shape != changed.shape:
        raise ValueError(f"two mono sounds of one length were expected, not {clean.shape} and {changed.shape}")
    if not (np.isfinite(clean).all() and np.isfinite(changed).all()):
        return None
    pair = [np.asarray(wave, dtype=np.float32) for wave in (clean, changed)]
    if rate != RATE_HZ:
        pair = [soxr.resample(wave, rate, RATE_HZ, quality="HQ") for wave in pair]
    if min(len(wave) for wave in pair) < SHORTEST_SECONDS * RATE_HZ:
        return None
    import zimtohrli

    ear, parts = zimtohrli.Pyohrli(), math.ceil(len(pair[0]) / (LONGEST_SECONDS * RATE_HZ))
    cut = zip(*(np.array_split(wave, parts) for wave in pair), strict=True)
    distance = float(np.mean([ear.distance(before, after) for before, after in cut]))
    return distance if np.isfinite(distance) else None


def mos_of_distance(distance: float) -> float:
    """Turn a distance into the mean opinion score that the authors fitted to it, from 1 (bad) to 5 (none is heard).

    >>> mos_of_distance(0.0)
    5.0
    """
    import zimtohrli

    return float(zimtohrli.mos_from_zimtohrli(distance))


def zimtohrli_mos(clean: NDArray[np.floating[Any]], changed: NDArray[np.floating[Any]], rate: int) -> float | None:
    """Estimate the mean opinion score of a change, from 1 (bad) to 5 (no difference is heard).

    Noise as loud as the sound still scores 2 to 4, so a low score only says "clearly different". Arguments, None and
    errors as of `zimtohrli_distance`.
    """
    distance = zimtohrli_distance(clean, changed, rate)
    return None if distance is None else mos_of_distance(distance)
