"""A limit on the sound itself, for sounds that are made and not changed: how loud, how high its peak, which band."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from subterfuge.errors import ThreatError


@dataclass(frozen=True, kw_only=True)
class Level:
    """The sum of clip and change is no louder than `rms_dbfs`, stays below a ceiling, and lies in a band.

    Other limits bind the change; this one binds what is heard, so the clip is only where the search begins.
    """

    sample_rate: float
    """Of the waves, in Hz."""
    rms_dbfs: float = -20.0
    """Largest root mean square, in dB of full scale (a constant 1 has 0)."""
    ceiling: float = 0.9
    """Largest sample, in parts of full scale."""
    low_hz: float = 60.0
    high_hz: float = 16000.0
    name: ClassVar[str] = "level"

    def __post_init__(self) -> None:
        if not -60 <= self.rms_dbfs <= -3:
            raise ThreatError(
                f"level {self.rms_dbfs:g}: decibels of full scale from -60 to -3 were expected, such as -20"
            )
        if not 0 < self.ceiling <= 1:
            raise ThreatError(f"ceiling {self.ceiling:g}: a part of full scale above 0 and up to 1 was expected")
        top = self.sample_rate / 2
        if not (math.isfinite(self.low_hz + self.high_hz) and 0 <= self.low_hz < self.high_hz):
            raise ThreatError(
                f"band {self.low_hz:g}..{self.high_hz:g}: two frequencies in Hz were expected, the lower one first, "
                "such as 60..16000"
            )
        if self.low_hz >= top:
            raise ThreatError(
                f"band {self.low_hz:g}..{self.high_hz:g}: a sound at {self.sample_rate:g} Hz holds nothing above "
                f"{top:g} Hz; give a lower edge below that"
            )

    def at(self, rows: Tensor | slice) -> Level:
        """Give itself: every row has the same."""
        return self

    def radius(self, samples: int) -> float:
        """Give the largest length of a wave of so many samples."""
        return 10 ** (self.rms_dbfs / 20) * math.sqrt(samples)

    def in_band(self, wave: Tensor) -> Tensor:
        """Take the part of waves (N, T) that lies in the band: the nearest waves that do, which have no mean."""
        if not len(wave):  # some FFTs refuse to transform nothing
            return wave
        hz = torch.fft.rfftfreq(wave.shape[-1], 1 / self.sample_rate, device=wave.device)
        inside = (hz >= self.low_hz) & (hz <= self.high_hz) & (hz > 0)
        heard: Tensor = torch.fft.irfft(torch.fft.rfft(wave) * inside, n=wave.shape[-1])
        return heard

    def project(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Bring the sums into the band, down to the level, and below the ceiling, in this order.

        But for the ceiling, which a sound below -12 dB hardly meets, that is the nearest sum. Clipping at the ceiling
        may leave a trace outside the band.
        """
        wave = self.in_band(clean + delta)
        scale = (self.radius(wave.shape[-1]) / wave.norm(dim=-1, keepdim=True).clamp_min(1e-30)).clamp_max(1)
        held: Tensor = (wave * scale).clamp(-self.ceiling, self.ceiling) - clean
        return held

    def allows(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Allow the level and the ceiling, and a hundredth of a per cent; rounding puts a trace outside any band."""
        wave = clean + delta
        quiet = wave.norm(dim=-1) <= self.radius(wave.shape[-1]) * 1.0001
        inside: Tensor = quiet & (wave.abs().amax(-1) <= self.ceiling * 1.0001)
        return inside

    def steepest(self, slope: Tensor, clean: Tensor) -> Tensor:
        """Give the sound of the band that gains most along slopes (N, T), as loud as the clip: a step, not a place.

        What a faint sound gains by one change it loses by a larger one, so steps go with the clip's own loudness;
        beside silence, with the level allowed.
        """
        along = self.in_band(slope)
        most = self.radius(slope.shape[-1])
        size = clean.norm(dim=-1, keepdim=True).clamp_max(most)
        size = torch.where(size > 0, size, torch.full_like(size, most))
        step: Tensor = size * along / along.norm(dim=-1, keepdim=True).clamp_min(1e-30)
        return step

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"level={self.rms_dbfs:g} dBFS, peak={self.ceiling:g}, {self.low_hz:g}..{self.high_hz:g} Hz"


def parse_band(text: str) -> tuple[float, float]:
    """Read a band as the command line gives it, in Hz.

    >>> parse_band("60..16000")
    (60.0, 16000.0)

    Raises:
        ThreatError: it is not two numbers with two dots between them.
    """
    low, _, high = text.partition("..")
    try:
        return float(low), float(high)
    except ValueError:
        raise ThreatError(f"band {text}: two frequencies in Hz were expected, such as 60..16000") from None
