"""Features recipes: from a waveform to the vector that a classic model was trained on.

A recipe has two forms of one function: the true one, librosa's on one clip, which judges, and its torch twin, batched
and differentiable, which is searched on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.dsp.mean25 import librosa_mean_25


@dataclass(frozen=True)
class Recipe:
    """A named way from sound to features."""

    true: Callable[[NDArray[np.float32], int], NDArray[np.float64]]
    """One mono wave (T,) at a rate in Hz -> features (F,), by the library that the model's users call."""
    twin: Callable[[Tensor, int], Tensor]
    """Waves (N, T) at a rate -> features (N, F), differentiable."""
    features: int
    says: str
    """One line for a user."""
    stepped: tuple[int, ...] = ()
    """Places of features that move in steps, so that the twin's gradient of them is that of a smooth stand-in."""


def true_librosa_mean_25(wave: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Give librosa's 25 features of one mono wave (T,), each averaged over the frames, float64 (25,).

    In order: rms, spectral_centroid, spectral_bandwidth, spectral_rolloff (0.85), zero_crossing_rate, 20 mfcc; frames
    of 2048 samples, hop 512, centred, all by `librosa.feature` with its defaults.
    """
    from librosa import feature

    frames = [
        feature.rms(y=wave),
        feature.spectral_centroid(y=wave, sr=sample_rate),
        feature.spectral_bandwidth(y=wave, sr=sample_rate),
        feature.spectral_rolloff(y=wave, sr=sample_rate),
        feature.zero_crossing_rate(wave),
    ]
    means = [float(np.mean(frame)) for frame in frames]
    return np.array([*means, *np.mean(feature.mfcc(y=wave, sr=sample_rate), axis=1)], dtype=np.float64)


RECIPES: dict[str, Recipe] = {
    "librosa-mean-25": Recipe(
        true_librosa_mean_25,
        librosa_mean_25,
        25,
        "mean over frames of librosa's rms, centroid, bandwidth, rolloff, zero crossings and 20 MFCC",
        stepped=(3, 4),
    ),
}
