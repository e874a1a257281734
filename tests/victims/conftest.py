"""Cards in a folder of their own, and a small table of sounds to fit models on."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import librosa
import numpy as np
import pytest
from numpy.typing import NDArray

RATE = 22050


class Table(NamedTuple):
    waves: NDArray[np.float32]
    """(n, T) at 22050 Hz."""
    X: NDArray[np.float64]
    """(n, 25), by librosa."""
    y: NDArray[np.int64]
    """0, 1, 2."""


def by_hand(wave: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """The study's 25 numbers, written again from librosa's own documentation."""
    means = [
        librosa.feature.rms(y=wave).mean(),
        librosa.feature.spectral_centroid(y=wave, sr=rate).mean(),
        librosa.feature.spectral_bandwidth(y=wave, sr=rate).mean(),
        librosa.feature.spectral_rolloff(y=wave, sr=rate).mean(),
        librosa.feature.zero_crossing_rate(y=wave).mean(),
    ]
    return np.concatenate([means, librosa.feature.mfcc(y=wave, sr=rate).mean(axis=1)])


@pytest.fixture(scope="session")
def features_by_hand() -> Callable[[NDArray[np.float32], int], NDArray[np.float64]]:
    return by_hand


@pytest.fixture(scope="session")
def table() -> Table:
    dice = np.random.default_rng(1)  # of seed 0, a frame's rolloff is a tie
    t = np.arange(RATE // 4) / RATE
    waves, y = [], []
    for row in range(36):
        kind, pitch = row % 3, dice.uniform(150, 500)
        tone = sum(np.sin(2 * np.pi * pitch * k * t + dice.uniform(0, 6)) / k ** (2 - kind / 2) for k in range(1, 9))
        loud = dice.uniform(0.02, 0.15)
        waves.append((loud * tone + loud * (0.05, 0.2, 0.6)[kind] * dice.normal(size=len(t))).astype(np.float32))
        y.append(kind)
    return Table(np.stack(waves), np.stack([by_hand(wave, RATE) for wave in waves]), np.array(y))


@pytest.fixture
def card_of(tmp_path: Path) -> Callable[..., Path]:
    """Write card.toml of the given keys and values, None for a key left out."""

    def write(**values: Any) -> Path:
        path = tmp_path / "card.toml"
        lines = [f"{key} = {toml(value)}" for key, value in values.items() if value is not None]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def model_card(card_of: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Save a model (and a scaler) with joblib, and write a card of them."""

    def write(model: Any, scaler: Any = None, **values: Any) -> Path:
        joblib.dump(model, tmp_path / "model.joblib")
        if scaler is not None:
            joblib.dump(scaler, tmp_path / "scaler.joblib")
            values = {"scaler": "scaler.joblib"} | values
        common = {"schema": 1, "kind": "sklearn", "sample_rate": RATE, "features": "librosa-mean-25"}
        return card_of(**(common | {"model": "model.joblib"} | values))

    return write


def toml(value: Any) -> str:
    """Write a value as TOML does: JSON but for tables, dates, and numbers that are not finite."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{toml(key)} = {toml(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(toml(each) for each in value)}]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bool | int | float | str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)


@pytest.fixture(autouse=True)
def _quiet_fits() -> Any:
    """Let scikit-learn warn of its deprecations where a test fits a model."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="sklearn")
        yield
