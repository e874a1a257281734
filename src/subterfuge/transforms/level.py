"""Another level, and noise on top."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from subterfuge.transforms.transform import Dice, Samples, drawn, each, in_range, refuse, spell

SOFTEST_DB, LOUDEST_DB = -6.0, 3.0
"""Between which a gain is drawn."""


@dataclass(frozen=True)
class Gain:
    """Louder or softer, all channels alike; a gain that would clip is refused, a drawn one stops at full scale."""

    gain_db: float | None = None
    word: ClassVar[str] = "gain"
    says: ClassVar[str] = "so many decibels louder or softer, never beyond full scale (drawn from -6 to 3)"

    def __post_init__(self) -> None:
        in_range(self.word, self.gain_db, -60, 24, "decibels")

    @property
    def name(self) -> str:
        """As the command line says it."""
        return spell(self.word, self.gain_db)

    def why_not(self, samples: Samples, sample_rate: int) -> str | None:
        """Refuse what would clip."""
        room = _headroom_db(float(np.max(np.abs(samples), initial=0.0)))
        if self.gain_db is None or self.gain_db <= 0 or room >= self.gain_db:
            return None
        return f"would clip: the peak leaves room for {max(0.0, room):.1f} dB"

    def real(self, samples: Samples, sample_rate: int, die: torch.Generator) -> Samples:
        """Multiply."""
        refuse(self, samples, sample_rate)
        factor = self._factor(float(np.max(np.abs(samples), initial=0.0)), die)
        return (samples * np.float64(factor)).astype(samples.dtype)

    def stand_in(self, wave: Tensor, sample_rate: int, dice: Dice) -> Tensor:
        """Multiply."""
        peaks = wave.detach().abs().amax(-1).tolist()
        factors = [self._factor(peak, die) for peak, die in zip(peaks, each(dice, len(wave)), strict=True)]
        return wave * torch.tensor(factors, dtype=wave.dtype, device=wave.device)[:, None]

    def _factor(self, peak: float, die: torch.Generator) -> float:
        gain = drawn(self.gain_db, SOFTEST_DB, LOUDEST_DB, die)
        return float(10 ** (min(gain, max(0.0, _headroom_db(peak))) / 20))


@dataclass(frozen=True)
class Noise:
    """White Gaussian noise, at exactly `snr_db` below the sound, over all channels together."""

    snr_db: float = 40.0
    word: ClassVar[str] = "noise"
    says: ClassVar[str] = "white noise so many decibels below the sound (40)"

    def __post_init__(self) -> None:
        in_range(self.word, self.snr_db, -20, 120, "decibels")

    @property
    def name(self) -> str:
        """As the command line says it."""
        return spell(self.word, self.snr_db)

    def why_not(self, samples: Samples, sample_rate: int) -> str | None:
        """Take anything; to silence it adds nothing."""
        return None

    def real(self, samples: Samples, sample_rate: int, die: torch.Generator) -> Samples:
        """Draw and add."""
        wide = samples.astype(np.float64)
        noise = torch.randn(samples.shape, generator=die, dtype=torch.float64).numpy()
        scale = np.linalg.norm(wide) / max(float(np.linalg.norm(noise)), 1e-30) * 10 ** (-self.snr_db / 20)
        heard: Samples = (wide + scale * noise).astype(samples.dtype)
        return heard

    def stand_in(self, wave: Tensor, sample_rate: int, dice: Dice) -> Tensor:
        """Draw and add; the level of the noise is held fixed in the gradient."""
        rows = [
            torch.randn((1, wave.shape[-1]), generator=die, dtype=torch.float64).to(wave.device)
            for die in each(dice, len(wave))
        ]
        noise = torch.cat(rows) if rows else wave.detach().double()
        level = wave.detach().double().norm(dim=-1, keepdim=True) * 10 ** (-self.snr_db / 20)
        heard: Tensor = wave + (noise * level / noise.norm(dim=-1, keepdim=True).clamp_min(1e-30)).to(wave.dtype)
        return heard


def _headroom_db(peak: float) -> float:
    return -20 * math.log10(peak) if peak > 0 else math.inf
