"""The numbers of a feature extractor's configuration, none of which may ask for more memory than a sound needs."""

from __future__ import annotations

import math
from typing import Any

MOST = {
    "sampling_rate": 1_000_000,
    "max_length": 2_000_000,
    "n_samples": 100_000_000,
    "chunk_length": 3600,
    "num_mel_bins": 1024,
    "feature_size": 1024,
    "n_fft": 1 << 16,
    "fft_window_size": 1 << 16,
    "hop_length": 1 << 16,
    "stride": 1024,
    "nb_max_samples": 100_000_000,
    "nb_max_frames": 2_000_000,
}
"""Keys that lengths and widths come from, and the largest number that is taken."""
MOST_NUMBERS = 1 << 27
"""The most numbers that one sound may become."""
FINITE = ("mean", "std", "padding_value", "dither")


def size_fault_of(settings: dict[str, Any]) -> str | None:
    """Say in a clause which number of an extractor's configuration makes no sense, or give None.

    Args:
        settings: what its JSON holds; where that nests them under ``feature_extractor``, these.
    """
    inner = settings.get("feature_extractor")
    settings = inner if isinstance(inner, dict) else settings
    for key, most in MOST.items():
        value = settings.get(key)
        if value is not None and not (_number(value) and 1 <= value <= most):
            whole = ", without quotes" if isinstance(value, str) else ""
            return f"says {key} = {_short(value)}; a number from 1 to {most} was expected{whole}"
    for key in FINITE:
        value = settings.get(key)
        if value is not None and not _number(value):
            return f"says {key} = {_short(value)}; a finite number was expected"
    if settings.get("std") == 0 and settings.get("do_normalize", True):
        return "says std = 0, by which every sound would be divided; the spread of the training data was expected"
    frames = (settings.get("max_length") or 1) * (settings.get("num_mel_bins") or 1)
    samples = (settings.get("chunk_length") or 0) * (settings.get("sampling_rate") or 16000)
    bins = samples / (settings.get("hop_length") or 160) * (settings.get("n_fft") or 400)
    for said, numbers in (("max_length * num_mel_bins", frames), ("chunk_length, hop_length and n_fft", bins)):
        if numbers > MOST_NUMBERS:
            return f"asks by {said} for {numbers:.3g} numbers a sound; {MOST_NUMBERS} are the most that is taken"
    return None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _short(value: Any) -> str:
    return f'"{value:.40}"' if isinstance(value, str) else f"{value!r:.40}"
