"""Segmental signal-to-noise ratio: the SNR of short frames, averaged, so that a quiet passage counts as a loud one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FRAME_SECONDS = 0.030
HOPS = 4
"""Hops a frame: they overlap by 75 %."""
FLOOR_DB, CEILING_DB = -10.0, 35.0


def segmental_snr_db(clean: NDArray[np.floating[Any]], changed: NDArray[np.floating[Any]], rate: int) -> float:
    """Average over frames the SNR in dB, of each frame held within -10 .. 35 dB.

    Frames of 30 ms under a Hann window, every 7.5 ms, the first and the last hardly into the sound, so that each sample
    counts alike. A frame in which nothing changed has 35 dB (a silent one too), and one of silence that changed -10 dB.
    Never NaN for finite input, however short.

    Source: Hansen, Pellom, "An effective quality evaluation protocol for speech enhancement algorithms" (ICSLP 1998);
    frames and bounds as in Loizou, "Speech Enhancement: Theory and Practice" (2nd ed. 2013), section 11.2.1.

    Args:
        clean: mono, shape (T,).
        changed: as `clean`.
        rate: of both, in Hz.

    Raises:
        ValueError: the shapes differ, or are not (T,).
    """
    if clean.ndim != 1 or clean.shape != changed.shape:
        raise ValueError(f"two mono sounds of one length were expected, not {clean.shape} and {changed.shape}")
    before = np.asarray(clean, dtype=np.float64)
    change = np.asarray(changed, dtype=np.float64) - before
    top = max(float(np.max(np.abs(wave), initial=0.0)) for wave in (before, change))
    if not change.any():
        return CEILING_DB
    signal, noise = (_energies(wave / top, rate) for wave in (before, change))
    low, high = 10 ** (FLOOR_DB / 10), 10 ** (CEILING_DB / 10)
    ratio = np.full_like(noise, high)
    np.divide(signal, noise, out=ratio, where=signal < high * noise)
    return float(np.mean(10 * np.log10(np.clip(ratio, low, high))))


def _energies(wave: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Give the energy of each frame, shape (frames,), under a Hann window without zeros at its ends.

    The first frame ends with the first hop of the sound, and the last begins in its last one.
    """
    size = max(HOPS, round(FRAME_SECONDS * rate))
    hop = size // HOPS
    frames = -(-(len(wave) + size - hop) // hop)
    power = np.pad(np.square(wave), (size - hop, frames * hop - len(wave)))
    weight = np.square(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1, size + 1) / (size + 1)))
    views = np.lib.stride_tricks.sliding_window_view(power, size)[::hop]
    energies: NDArray[np.float64] = views @ weight
    return energies
