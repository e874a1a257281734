"""librosa's own 25 means, the study's yardstick for them, and sounds to measure."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

Wave = NDArray[np.float32]

STUDY_DEVIATIONS = np.concatenate(
    [
        [0.069, 918, 982, 2374, 0.024],
        [121, 34.9, 31.5, 24.6, 17.5, 17.1, 11.4, 12.1, 8.5, 9.1],
        [7.3, 7.8, 7.2, 6.9, 6.8, 6.5, 6.4, 6.0, 5.7, 5.9],
    ]
)


def librosa_25(wave: Wave, rate: float) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # n_fft too large for a short wave
        five = [
            librosa.feature.rms(y=wave),
            librosa.feature.spectral_centroid(y=wave, sr=rate),
            librosa.feature.spectral_bandwidth(y=wave, sr=rate),
            librosa.feature.spectral_rolloff(y=wave, sr=rate, roll_percent=0.85),
            librosa.feature.zero_crossing_rate(wave),
        ]
        mfcc = librosa.feature.mfcc(y=wave, sr=rate, n_mfcc=20)
    return np.array([*(np.mean(f, dtype=np.float64) for f in five), *mfcc.mean(1, dtype=np.float64)])


def tied_frames(wave: Wave) -> int:
    """Count frames whose running sum passes so near to 85 % that float32 rounding may pick the next bin."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        running = np.abs(librosa.stft(wave)).astype(np.float64).cumsum(0)
    total = running[-1:]
    near = np.abs(running - 0.85 * total) <= 2e-6 * total + 1e-41  # some steps of the subnormal floats
    return int((near & (total > 0)).any(0).sum())


def sounds(rate: int, seconds: float = 1 / 3) -> dict[str, Wave]:
    dice = np.random.default_rng(rate)
    n = int(rate * seconds) + 137
    t = np.arange(n) / rate
    noise = dice.normal(size=n)
    made = {
        "noise": 0.1 * noise,
        "loud noise": np.clip(noise, -1, 1),
        "tone": 0.5 * np.sin(2 * np.pi * 440 * t),
        "tone between samples of its own": 0.9 * np.sin(2 * np.pi * rate / 4.03 * t),
        "chirp": 0.5 * np.sin(2 * np.pi * (50 * t + rate / 2 * t * t)),
        "two far tones": 0.3 * np.sin(2 * np.pi * 200 * t) + 0.3 * np.sin(2 * np.pi * 0.4 * rate * t),
        "16 bit tone": np.round(0.5 * np.sin(2 * np.pi * 440 * t) * 32767) / 32768,
        "dying away": noise * np.exp(-300 * t),
        "half silent": noise * (t > t[n // 2]),
        "silence": 0 * t,
        "constant": 0.3 + 0 * t,
        "near silence": 1e-9 * noise,
        "click": (np.arange(n) == 1000).astype(float),
        "one sample": np.array([0.3]),
        "two samples": np.array([0.3, -0.2]),
        "less than a hop": 0.1 * noise[:400],
        "less than a frame": 0.1 * noise[:1500],
        "a frame": 0.1 * noise[:2048],
        "whole hops": 0.1 * noise[:5120],
        "one sample less": 0.1 * noise[:5119],
    }
    return {name: wave.astype(np.float32) for name, wave in made.items()}


@pytest.fixture(scope="session")
def study_waves(seed_study: Path) -> dict[str, tuple[Wave, int]]:
    files = sorted([*(seed_study / "clips").glob("*.wav"), *(seed_study / "evolved").glob("*.wav")])
    assert len(files) == 11
    loaded = {file.stem: soundfile.read(file, dtype="float32", always_2d=True) for file in files}
    return {name: (frames.mean(1), rate) for name, (frames, rate) in loaded.items()}


@pytest.fixture(scope="session")
def errors() -> Callable[[torch.Tensor, Wave, int], NDArray[np.float64]]:
    """Distance from librosa in the study's deviations, rolloff less what its tied frames excuse."""

    def measure(features: torch.Tensor, wave: Wave, rate: int) -> NDArray[np.float64]:
        apart = np.abs(features.double().numpy() - librosa_25(wave, rate))
        frames = 1 + len(wave) // 512
        if apart[3] > 1e-6 * rate:
            apart[3] = max(0.0, apart[3] - tied_frames(wave) * rate / 2048 / frames)
        return apart / STUDY_DEVIATIONS

    return measure


@pytest.fixture(scope="session")
def sounds_at() -> Callable[..., dict[str, Wave]]:
    return sounds


@pytest.fixture(scope="session")
def study_deviations() -> torch.Tensor:
    return torch.from_numpy(STUDY_DEVIATIONS)
