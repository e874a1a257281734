"""Speech for the victims that hear speech, spoken once a session by espeak-ng."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import pytest
import soundfile
import soxr
import torch
from torch import Tensor

RATE = 16000
SAYS = (
    "Please let me in.",
    "The quick brown fox jumps over the lazy dog.",
    "My voice is my password, please let me in.",
)
TOOLS = Path(__file__).resolve().parents[2] / "tools"


@lru_cache
def speaker() -> ModuleType:
    """Give tools/speak.py as a module, or skip the test where there is no espeak-ng."""
    if importlib.util.find_spec("espeakng_loader") is None:
        pytest.skip("there is nobody to speak: pip install espeakng-loader")
    return by_path("speak", TOOLS / "speak.py")


def by_path(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@lru_cache
def spoken(voice: str, text: str = SAYS[0]) -> Tensor:
    """Give what a voice says, float32 (T,), at 16 kHz."""
    wave, rate = speaker().speak(text, voice, words_per_minute=200)
    return torch.from_numpy(soxr.resample(wave, rate, RATE, quality="VHQ")).float()


def speech_file(path: Path, voice: str, text: str = SAYS[0]) -> Path:
    """Write what a voice says, 16 bits at 16 kHz."""
    soundfile.write(path, spoken(voice, text).numpy(), RATE, subtype="PCM_16")
    return path
