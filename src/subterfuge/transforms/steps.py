"""Fewer bits: rounding to the steps of an integer file, plainly or with dither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from subterfuge.transforms.transform import Dice, Samples, each, in_range, spell, through

LEAST_BITS, MOST_BITS = 4, 24


@dataclass(frozen=True)
class Requantise:
    """Rounded to the nearest step of a file of `bits` bits, which are 2^(1 - bits) of full scale apart."""

    bits: int = 16
    word: ClassVar[str] = "requantise"
    says: ClassVar[str] = "rounded to so many bits (16), without dither"

    def __post_init__(self) -> None:
        in_range(self.word, self.bits, LEAST_BITS, MOST_BITS, "bits", whole=True)

    @property
    def name(self) -> str:
        """As the command line says it."""
        return spell(self.word, self.bits)

    def why_not(self, samples: Samples, sample_rate: int) -> str | None:
        """Take anything."""
        return None

    def real(self, samples: Samples, sample_rate: int, die: torch.Generator) -> Samples:
        """Round."""
        return _rounded(samples.astype(np.float64), self.bits).astype(samples.dtype)

    def stand_in(self, wave: Tensor, sample_rate: int, dice: Dice) -> Tensor:
        """Round, with the gradient of not rounding."""
        return through(wave, _steps(wave.detach().double(), self.bits).to(wave.dtype))


@dataclass(frozen=True)
class Dither:
    """Rounded as by `Requantise`, after noise of a triangular density two steps wide, which frees the error of tone.

    Source: Lipshitz, Wannamaker, Vanderkooy, "Quantization and Dither: A Theoretical Survey" (JAES 1992).
    """

    bits: int = 16
    word: ClassVar[str] = "dither"
    says: ClassVar[str] = "rounded to so many bits (16), with triangular (TPDF) dither"

    def __post_init__(self) -> None:
        in_range(self.word, self.bits, LEAST_BITS, MOST_BITS, "bits", whole=True)

    @property
    def name(self) -> str:
        """As the command line says it."""
        return spell(self.word, self.bits)

    def why_not(self, samples: Samples, sample_rate: int) -> str | None:
        """Take anything."""
        return None

    def real(self, samples: Samples, sample_rate: int, die: torch.Generator) -> Samples:
        """Add the noise and round."""
        noise = _triangular(samples.shape, self.bits, die).numpy()
        return _rounded(samples.astype(np.float64) + noise, self.bits).astype(samples.dtype)

    def stand_in(self, wave: Tensor, sample_rate: int, dice: Dice) -> Tensor:
        """Add the noise and round, with the gradient of neither."""
        noise = torch.cat([_triangular((1, wave.shape[-1]), self.bits, die) for die in each(dice, len(wave))])
        return through(wave, _steps(wave.detach().double() + noise.to(wave.device), self.bits).to(wave.dtype))


def _triangular(shape: tuple[int, ...], bits: int, die: torch.Generator) -> Tensor:
    """Draw the sum of two even draws, each one step wide."""
    return (torch.rand(2, *shape, generator=die, dtype=torch.float64) - 0.5).sum(0) * 2.0 ** (1 - bits)


def _rounded(samples: Samples, bits: int) -> Samples:
    full = 2.0 ** (bits - 1)
    rounded: Samples = np.clip(np.rint(samples * full), -full, full - 1) / full
    return rounded


def _steps(wave: Tensor, bits: int) -> Tensor:
    full = 2.0 ** (bits - 1)
    return (wave * full).round().clamp(-full, full - 1) / full
