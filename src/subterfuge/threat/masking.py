"""The limit that an ear draws: no cell of time and frequency changes by more than the clip masks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar

from torch import Tensor

from subterfuge.errors import ThreatError
from subterfuge.hearing.ear import Ear

SPARE = 4.0
"""Deviations of the rounding noise for which a projection leaves room."""
AIM_DB = 0.02
"""How far inside the limit a projection aims."""


@dataclass(frozen=True)
class Masking:
    """Every cell of the change lies `margin_db` or more below the clip's masking threshold.

    It binds once it knows the clips: `beside` gives the limit that does.
    """

    margin_db: float = 0.0
    full_scale_db: float = 96.0
    """Sound pressure level of a full-scale sine when the file is played, in dB."""
    ear: Ear | None = field(default=None, compare=False, repr=False)
    spare: float = field(default=0.0, compare=False, repr=False)
    """Magnitude in each cell that is left for rounding."""
    name: ClassVar[str] = "masking"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.margin_db) and -60 <= self.margin_db <= 60):
            raise ThreatError(
                f"masking={self.margin_db:g}: decibels below the masking threshold, from -60 to 60, were expected, "
                "such as masking or masking=6"
            )
        if not 60 <= self.full_scale_db <= 140:
            raise ThreatError(
                f"a full scale of {self.full_scale_db:g} dB: a sound pressure level from 60 to 140 dB was expected"
            )

    def beside(self, ear: Ear, grid: float = 0.0) -> Masking:
        """Give the limit for clips whose thresholds are known, in a file that rounds changes to steps of `grid`."""
        noise = grid / math.sqrt(12) * math.sqrt(6 / ear.size)
        return replace(self, ear=ear, spare=SPARE * noise)

    @property
    def drowned(self) -> bool:
        """Whether rounding alone is louder than what is allowed somewhere, so that little or nothing can be changed."""
        least = float(self._known().threshold.min()) * 10 ** (-self.margin_db / 10)
        return (self.spare / SPARE) ** 2 > least

    def at(self, rows: Tensor | slice) -> Masking:
        """Give the limit of some of the clips."""
        return replace(self, ear=self._known().of(rows))

    def project(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Bring down the cells that are too loud, and take the change that comes nearest (alternating projections)."""
        return self._known().held(delta, self.margin_db + AIM_DB, self.spare)

    def allows(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Allow each cell what it may hold, less a thousandth of a decibel, so that other arithmetic agrees."""
        inside: Tensor = self._known().ratios(delta).amax((-2, -1)) <= 10 ** (-(self.margin_db + 0.001) / 10)
        return inside

    def over_db(self, delta: Tensor) -> float:
        """Say how far the loudest cell of changes lies above what is allowed, in dB; below 0 all are inside."""
        most = float(self._known().ratios(delta).amax())
        return 10 * math.log10(most) + self.margin_db if most > 0 else -math.inf

    def steepest(self, slope: Tensor, clean: Tensor) -> Tensor:
        """Give the change whose every cell has the slope's phase, as loud as is allowed."""
        return self._known().edge(slope, self.margin_db + AIM_DB)

    def _known(self) -> Ear:
        if self.ear is None:
            raise ThreatError("a masking limit binds beside clips: give it their thresholds with `beside`")
        return self.ear
