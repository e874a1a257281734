"""What makes a candidate admissible: the band that reaches the file, and the steps that the file can hold."""

from __future__ import annotations

from dataclasses import dataclass, replace

import scipy.fft
import torch
from torch import Tensor

from subterfuge.threat import Limit


@dataclass(frozen=True, eq=False)
class Admission:
    """Lets changes of clips through as the file can hold them."""

    limit: Limit
    clean: Tensor
    """The clips as the victim hears them, shape (N, T)."""
    grid: Tensor
    """The step in which each file holds a change, shape (N, 1), 0 for no rounding."""
    band: Tensor | None = None
    """What reaches the files, as `passband` gives it; None for everything."""

    def of(self, rows: Tensor | None) -> Admission:
        """Give that of some rows, in their order; of all if None."""
        if rows is None:
            return self
        return replace(self, limit=self.limit.at(rows), clean=self.clean[rows], grid=self.grid[rows])

    def in_band(self, wave: Tensor) -> Tensor:
        """Give what of waves (n, T) reaches the files."""
        return wave if self.band is None or not len(wave) else within(wave, self.band)

    def project(self, delta: Tensor) -> Tensor:
        """Give the nearest changes inside the band and the limit, shape (N, T), not yet on the files' grid."""
        return self.limit.project(self.in_band(delta), self.clean)

    def steepest(self, slope: Tensor) -> Tensor:
        """Give the changes on the limit's edge that gain most along slopes (N, T)."""
        return self.limit.steepest(slope, self.clean)

    def admit(self, delta: Tensor) -> Tensor:
        """Give the nearest changes inside the limit, on the files' grid and within full scale, shape (N, T)."""
        clean, grid = self.clean, self.grid
        low, high = (-1 - clean).clamp_max(0), (1 - clean).clamp_min(0)
        inside = self.project(delta).clamp(low, high)
        admitted = torch.where(grid > 0, torch.round(inside / grid.clamp_min(1e-12)) * grid, inside)
        over = ~self.limit.allows(admitted, clean)
        if bool(over.any()):
            admitted[over] = rounded_inside(self.limit.at(over), inside[over], clean[over], grid[over])
        return admitted


def passband(length: int, sample_rate: float, cutoff_hz: float) -> Tensor:
    """Give a zero-phase low-pass as factors of `torch.fft.rfft`'s bins, shape (length // 2 + 1,), 3 % wide."""
    hz = torch.fft.rfftfreq(length, 1 / sample_rate)
    factors: Tensor = ((cutoff_hz - hz) / (0.03 * cutoff_hz)).clamp(0, 1)
    return factors


def within(wave: Tensor, band: Tensor) -> Tensor:
    """Give waves (..., T) with their spectrum times `band`, (T // 2 + 1,), as `passband` gives it. Differentiable.

    On the CPU by scipy: torch plans a transform of such a length anew at each call, which takes longer than to do it.
    """
    if wave.requires_grad or wave.device.type != "cpu":
        heard: Tensor = torch.fft.irfft(torch.fft.rfft(wave) * band, n=wave.shape[-1])
        return heard
    return torch.from_numpy(scipy.fft.irfft(scipy.fft.rfft(wave.numpy()) * band.numpy(), n=wave.shape[-1]))


def rounded_inside(limit: Limit, delta: Tensor, clean: Tensor, grid: Tensor) -> Tensor:
    """Round changes (n, T), which are inside a limit, to steps `grid` (n, 1) and stay inside it.

    A sample goes to the greater step where it is more than a part of the way there, and otherwise toward 0. That part
    is 1/2 where the limit lets it be, and at most 1, where no sample grows.
    """
    steps = delta.abs() / grid.clamp_min(1e-12)
    whole = steps.floor()
    part, sign = steps - whole, delta.sign() * grid
    low, high = torch.full_like(grid, 0.5), torch.ones_like(grid)
    for _ in range(6):
        middle = (low + high) / 2
        allowed = limit.allows((whole + (part > middle)) * sign, clean)[:, None]
        low, high = torch.where(allowed, low, middle), torch.where(allowed, middle, high)
    rounded = (whole + (part > high)) * sign
    return torch.where(limit.allows(rounded, clean)[:, None], rounded, torch.zeros_like(rounded))
