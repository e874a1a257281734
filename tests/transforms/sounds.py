"""Sounds to put through the world."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def music(rate: int = 44_100, channels: int = 1, seconds: float = 0.5, *, seed: int = 0) -> NDArray[np.float32]:
    """Three decaying tones and a little noise, (C, T); each channel has its own phases."""
    die = np.random.default_rng(seed)
    t = np.arange(round(rate * seconds)) / rate
    tones = [
        level * np.exp(-t) * np.sin(2 * np.pi * hz * t + die.uniform(0, 6.28, (channels, 1)))
        for level, hz in ((0.2, 330.0), (0.15, 870.0), (0.1, 0.3 * rate))
    ]
    return (np.sum(tones, axis=0) + 0.003 * die.normal(size=(channels, len(t)))).astype(np.float32)


def die(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def snr_db(clean: Any, changed: Any) -> float:
    """As anyone would write it."""
    a, b = np.asarray(clean, dtype=np.float64), np.asarray(changed, dtype=np.float64)
    return float(10 * np.log10(np.sum(a**2) / max(np.sum((b - a) ** 2), 1e-300)))
