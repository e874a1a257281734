"""When a sound begins and ends: shifted, or cut at both ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from subterfuge.transforms.transform import Dice, Samples, drawn, each, in_range, refuse, spell

HALF_FRAME = 1024
"""Most samples that a drawn shift has: half a frame of librosa's features."""
CROP_SECONDS = 0.25
"""Most that a drawn crop takes off either end."""
SHORT_PART = 10
"""Of a sound shorter than so many crops, this part is cut off either end and no more."""


@dataclass(frozen=True)
class Shift:
    """Later by so many samples, or earlier where it is below 0; silence comes in, and what leaves is gone."""

    samples: int | None = None
    word: ClassVar[str] = "shift"
    says: ClassVar[str] = "so many samples later, or earlier below 0, silence coming in (drawn from 0 to 1024)"

    def __post_init__(self) -> None:
        in_range(self.word, self.samples, -1_000_000, 1_000_000, "samples", whole=True)

    @property
    def name(self) -> str:
        """As the command line says it."""
        return spell(self.word, self.samples)

    def why_not(self, samples: Samples, sample_rate: int) -> str | None:
        """Refuse to shift everything out."""
        length = samples.shape[-1]
        if self.samples is not None and abs(self.samples) >= length:
            return f"the sound has {length} samples, and nothing of it would be left"
        return None

    def real(self, samples: Samples, sample_rate: int, die: torch.Generator) -> Samples:
        """Shift."""
        refuse(self, samples, sample_rate)
        by, length = self._by(samples.shape[-1], die), samples.shape[-1]
        moved = np.zeros_like(samples)
        moved[:, max(0, by) : length + min(0, by)] = samples[:, max(0, -by) : length - max(0, by)]
        return moved

    def stand_in(self, wave: Tensor, sample_rate: int, dice: Dice) -> Tensor:
        """Shift each row."""
        refuse(self, wave.detach().cpu().numpy(), sample_rate)
        rows = []
        for row, die in zip(wave, each(dice, len(wave)), strict=True):
            by = self._by(len(row), die)
            rows.append(torch.nn.functional.pad(row, (by, -by)))
        return torch.stack(rows) if rows else wave

    def _by(self, length: int, die: torch.Generator) -> int:
        most = min(HALF_FRAME, length // 2)
        return int(drawn(self.samples, 0, most + 1 - 1e-9, die))


@dataclass(frozen=True)
class Crop:
    """Cut at both ends: by `seconds`, or by a tenth where that is less."""

    seconds: float | None = None
    word: ClassVar[str] = "crop"
    says: ClassVar[str] = (
        "so many seconds cut off either end, at most a tenth (drawn from 0 to 0.25, each end by itself)"
    )

    def __post_init__(self) -> None:
        in_range(self.word, self.seconds, 0, 3600, "seconds")

    @property
    def name(self) -> str:
        """As the command line says it."""
        return spell(self.word, self.seconds)

    def why_not(self, samples: Samples, sample_rate: int) -> str | None:
        """Take anything."""
        return None

    def note(self, samples: Samples, sample_rate: int) -> str | None:
        """Say what is cut off a sound (C, T) where that is less than the name says; None where it is as much."""
        length = samples.shape[-1]
        cut = length // SHORT_PART
        if self.seconds is None or round(self.seconds * sample_rate) <= cut:
            return None
        return (
            f"{cut / sample_rate:.3g} s and no more cut off either end, a tenth of a sound of "
            f"{length / sample_rate:.3g} s"
        )

    def real(self, samples: Samples, sample_rate: int, die: torch.Generator) -> Samples:
        """Cut: (C, T') with T' < T."""
        start, end = self._span(samples.shape[-1], sample_rate, die)
        return np.ascontiguousarray(samples[:, start:end])

    def stand_in(self, wave: Tensor, sample_rate: int, dice: Dice) -> Tensor:
        """Cut, and fill both ends with the rest, mirrored, so that averages over time stay those of what is left."""
        rows = []
        for row, die in zip(wave, each(dice, len(wave)), strict=True):
            start, end = self._span(len(row), sample_rate, die)
            rows.append(
                torch.cat([row[start : 2 * start].flip(0), row[start:end], row[2 * end - len(row) : end].flip(0)])
            )
        return torch.stack(rows) if rows else wave

    def _span(self, length: int, sample_rate: int, die: torch.Generator) -> tuple[int, int]:
        ends = [drawn(self.seconds, 0, CROP_SECONDS, die) for _ in range(2)]
        start, end = (min(round(seconds * sample_rate), length // SHORT_PART) for seconds in ends)
        return start, length - end
