"""ViSQOL in audio mode: a second model's opinion of a difference, stricter with noise than zimtohrli."""

from __future__ import annotations

import importlib.util
import math
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from subterfuge.errors import MissingExtra

RATE_HZ = 48_000
SHORTEST_SECONDS = 1.0
"""It compares patches of 30 frames, the first of which begins at the 15th; under 45 frames (0.96 s) it has none."""
LONGEST_SECONDS = 10.0
"""It was made for sounds of 5 to 10 s, and its time grows faster than theirs, so longer ones go in equal parts."""
DIGITS = 6
"""After the point; those after the 14th change from call to call."""
_ONE_AT_A_TIME = threading.Lock()
"""Its kernels run on numba's thread pool, which ends the process when two threads enter it."""


def has_visqol() -> bool:
    """Say whether the optional package is installed."""
    return importlib.util.find_spec("visqol") is not None


def visqol_mos(clean: NDArray[np.floating[Any]], changed: NDArray[np.floating[Any]], rate: int) -> float | None:
    """Estimate the mean opinion score of a change, from 1 (bad) to 4.73, its score for no difference at all.

    In audio mode, at 48 kHz (soxr HQ where the rate differs). It levels the two sounds and aligns them before it
    compares, so it is blind to level and delay. Over 10 s the mean of equal parts of 10 s at most, without those that
    are silent in both. Some 0.07 s for a second of sound.

    Source: Chinen, Lim, Skoglund, Gureev, O'Gorman, Hines, "ViSQOL v3: An Open Source Production Ready Objective
    Speech and Audio Metric" (2020), https://arxiv.org/abs/2004.09584, by the package visqol-python.

    Args:
        clean: mono, shape (T,), in [-1, 1].
        changed: as `clean`.
        rate: of both, in Hz.

    Returns:
        The score, or None for clips under 1 s, where one of the two is silent (in a part), and for a change that is not
        finite.

    Raises:
        MissingExtra: the package is not installed.
        ValueError: the shapes differ, or are not (T,).
    """
    if clean.ndim != 1 or clean.shape != changed.shape:
        raise ValueError(f"two mono sounds of one length were expected, not {clean.shape} and {changed.shape}")
    if not has_visqol():
        raise MissingExtra(
            "ViSQOL is not installed; install it with: pip install 'sonic-subterfuge[visqol]' (a part of it, libsvm, "
            "is compiled on the way, which takes a C++ compiler)"
        )
    if len(clean) < SHORTEST_SECONDS * rate or not (np.isfinite(clean).all() and np.isfinite(changed).all()):
        return None
    pair = [np.asarray(wave, dtype=np.float32) for wave in (clean, changed)]
    parts = math.ceil(len(clean) / (LONGEST_SECONDS * rate))
    cut = list(zip(*(np.array_split(wave, parts) for wave in pair), strict=True))
    heard = [(before, after) for before, after in cut if before.any() or after.any()]
    if not heard or not all(before.any() and after.any() for before, after in heard):
        return None
    with _ONE_AT_A_TIME, _threads(torch.get_num_threads()):
        score = float(np.mean([_score(before, after, rate) for before, after in heard]))
    return round(score, DIGITS) if np.isfinite(score) else None


def _score(before: NDArray[np.float32], after: NDArray[np.float32], rate: int) -> float:
    pair = (before, after)
    if rate != RATE_HZ:
        pair = tuple(soxr.resample(wave, rate, RATE_HZ, quality="HQ") for wave in pair)
    return float(_model().measure_from_arrays(*pair, RATE_HZ).moslqo)


@contextmanager
def _threads(most: int) -> Iterator[None]:
    """Let numba use no more threads than torch may."""
    _model()
    numba = sys.modules.get("numba")
    if numba is None:
        yield
        return
    before = numba.get_num_threads()
    numba.set_num_threads(min(before, most))
    try:
        yield
    finally:
        numba.set_num_threads(before)
        torch.set_num_threads(most)  # where both share OpenMP, numba's word binds torch too


@cache
def _model() -> Any:
    from visqol import VisqolApi

    model = VisqolApi()
    model.create(mode="audio")
    return model
