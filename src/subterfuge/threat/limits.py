"""What no candidate may exceed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from subterfuge.errors import ThreatError


class Limit(Protocol):
    """What no candidate may exceed."""

    name: ClassVar[str]

    def at(self, rows: Tensor | slice) -> Limit:
        """Give the limit of some rows of a batch; itself, where every row has the same."""
        ...

    def project(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Give the nearest perturbation inside the limit, shape (N, T), for changes and clean waves of that shape."""
        ...

    def allows(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Say which rows are inside, bool (N,), but for the rounding of float32."""
        ...

    def steepest(self, slope: Tensor, clean: Tensor) -> Tensor:
        """Give the change on the limit's edge that gains most along slopes (N, T), to first order."""
        ...


@dataclass(frozen=True)
class Unlimited:
    """No limit: the attack makes the change as small as it can."""

    name: ClassVar[str] = "none"

    def at(self, rows: Tensor | slice) -> Unlimited:
        """Give itself: every row has the same."""
        return self

    def project(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Give the perturbation as it is."""
        return delta

    def allows(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Allow every row."""
        return torch.ones(len(delta), dtype=torch.bool, device=delta.device)

    def steepest(self, slope: Tensor, clean: Tensor) -> Tensor:
        """Give the slope as loud as the clip."""
        return LeastSNR(0.0).steepest(slope, clean)


@dataclass(frozen=True)
class LeastSNR:
    """A signal-to-noise ratio of at least `snr_db`, on the mono fold at the victim's rate."""

    snr_db: float
    name: ClassVar[str] = "snr"

    def __post_init__(self) -> None:
        if not math.isfinite(self.snr_db) or not -60 <= self.snr_db <= 150:
            raise ThreatError(f"snr={self.snr_db:g}: decibels between -60 and 150 were expected, such as snr=40")

    def at(self, rows: Tensor | slice) -> LeastSNR:
        """Give itself: every row has the same."""
        return self

    def radius(self, clean: Tensor) -> Tensor:
        """Give the largest length of a change, shape (N, 1)."""
        length: Tensor = clean.norm(dim=-1, keepdim=True) * 10 ** (-self.snr_db / 20)
        return length

    def project(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Scale down to the allowed energy."""
        inside: Tensor = delta * (self.radius(clean) / delta.norm(dim=-1, keepdim=True).clamp_min(1e-30)).clamp_max(1)
        return inside

    def allows(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Allow the energy and a hundredth of a per cent."""
        inside: Tensor = delta.norm(dim=-1) <= self.radius(clean)[..., 0] * 1.0001
        return inside

    def steepest(self, slope: Tensor, clean: Tensor) -> Tensor:
        """Give the slope, at the allowed energy."""
        step: Tensor = self.radius(clean) * slope / slope.norm(dim=-1, keepdim=True).clamp_min(1e-30)
        return step


@dataclass(frozen=True)
class Peak:
    """No sample of the mono fold changed by more than `peak` of full scale."""

    peak: float
    name: ClassVar[str] = "peak"

    def __post_init__(self) -> None:
        if not 0 < self.peak <= 2:
            raise ThreatError(
                f"peak={self.peak:g}: a part of full scale above 0 and up to 2 was expected, as peak=0.001"
            )

    def at(self, rows: Tensor | slice) -> Peak:
        """Give itself: every row has the same."""
        return self

    def project(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Clip each sample's change."""
        return delta.clamp(-self.peak, self.peak)

    def allows(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Allow the peak and a hundredth of a per cent."""
        return delta.abs().amax(-1) <= self.peak * 1.0001

    def steepest(self, slope: Tensor, clean: Tensor) -> Tensor:
        """Give the sign of the slope, at the allowed peak (the fast gradient sign, Goodfellow 2015)."""
        return self.peak * slope.sign()
