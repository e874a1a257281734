"""Sounds and files that the tests of this room share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "ALAC_16": 16, "ALAC_24": 24}

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write noise with soundfile itself, every level of an integer subtype possible, and give the path."""

    def write(
        name: str = "clip.wav",
        *,
        format: str = "WAV",
        subtype: str = "PCM_16",
        channels: int = 2,
        frames: int = 4000,
        rate: int = 44100,
        seed: int = 0,
        **more: str,
    ) -> Path:
        rng = np.random.default_rng(seed)
        if subtype in BITS:
            bits = BITS[subtype]
            steps = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (frames, channels))
            samples = (steps << (32 - bits)).astype(np.int32)
        else:
            samples = rng.uniform(-0.5, 0.5, (frames, channels)).astype("f4" if subtype == "FLOAT" else "f8")
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with soundfile.SoundFile(str(path), "w", rate, channels, subtype, format=format, **more) as file:
            file.write(samples)
        return path

    return write
