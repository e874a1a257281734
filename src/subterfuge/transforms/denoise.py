"""Denoising by a spectral gate, as clean-up tools do it: the package noisereduce, and its like in torch."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from subterfuge.errors import MissingExtra, TransformError
from subterfuge.transforms._denoise_gate import reach, spectral_gate
from subterfuge.transforms.transform import Dice, Samples, spell

LEAST_HZ, MOST_HZ = 5120, 256_000
MISSING = "needs the package noisereduce: pip install 'sonic-subterfuge[denoise]'"


@dataclass(frozen=True)
class Denoise:
    """Gated by `noisereduce.reduce_noise` with its defaults, each channel by itself."""

    word: ClassVar[str] = "denoise"
    says: ClassVar[str] = "denoised by noisereduce, its non-stationary spectral gate as it comes; it takes no value"

    @property
    def name(self) -> str:
        """As the command line says it."""
        return spell(self.word, None)

    def why_not(self, samples: Samples, sample_rate: int) -> str | None:
        """Refuse the rates that noisereduce refuses; and where the package is missing."""
        return why_not_denoised(sample_rate) or (MISSING if importlib.util.find_spec("noisereduce") is None else None)

    def real(self, samples: Samples, sample_rate: int, die: object) -> Samples:
        """Gate by the library."""
        return reduce_noise(samples, sample_rate)

    def stand_in(self, wave: Tensor, sample_rate: int, dice: Dice) -> Tensor:
        """Gate by the library's like in torch."""
        return gate(wave, sample_rate)


def why_not_denoised(sample_rate: int) -> str | None:
    """Say why noisereduce refuses a rate, or None where it takes it."""
    if min(reach(sample_rate)) > 0:
        return None
    return f"noisereduce as it comes takes rates from {LEAST_HZ} to {MOST_HZ} Hz, and the sound is at {sample_rate}"


def gate(wave: Tensor, sample_rate: int) -> Tensor:
    """Give in torch what `reduce_noise` gives of waves (N, T), with a gradient; the package is not needed for it.

    Raises:
        TransformError: noisereduce refuses the rate.
    """
    _refuse_rate(sample_rate)
    return spectral_gate(wave, sample_rate)


def reduce_noise(samples: Samples, sample_rate: int) -> Samples:
    """Give `noisereduce.reduce_noise(y, sr)` of samples (C, T) or (T,), each channel by itself.

    Of digital silence it makes NaN, 0 by 0, and of a long sound's silent pieces too; here they stay silence.

    Raises:
        TransformError: it refuses the rate.
        MissingExtra: the package noisereduce is not installed.
    """
    try:
        import noisereduce
    except ImportError:
        raise MissingExtra(f'denoising (the transform denoise, preprocess = "noisereduce") {MISSING}') from None
    _refuse_rate(sample_rate)
    with np.errstate(divide="ignore", invalid="ignore"):
        reduced: Samples = noisereduce.reduce_noise(y=samples, sr=sample_rate)
    return np.where(np.isnan(reduced) & (samples == 0), samples, reduced)


def _refuse_rate(sample_rate: int) -> None:
    why = why_not_denoised(sample_rate)
    if why is not None:
        raise TransformError(f"{Denoise.word}: {why}")
