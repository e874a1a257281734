"""What makes a candidate admissible: the band that reaches the file, and the steps that the file can hold."""

from __future__ import annotations

import scipy.fft
import torch
from torch import Tensor

from subterfuge.threat import Limit


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
