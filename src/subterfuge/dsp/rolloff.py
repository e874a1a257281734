"""The frequency below which most magnitude lies: librosa's value, a smooth surrogate's gradient.

The rolloff of a frame of magnitudes S_0 .. S_{K-1} is the frequency of the first bin r whose running sum
C_r = S_0 + .. + S_r reaches p C_{K-1}. It moves in whole bins, so its true gradient is 0 wherever it exists.

Forward is that value. Backward belongs to the surrogate ρ, in bins, at which the running sum, averaged over
w = 2 m + 1 bins and drawn as straight lines between whole bins, crosses the same level::

    mean of C_{ρ+j} over j = -m .. m  =  p C_{K-1},       C = 0 below bin 0, C_{K-1} above the last

With A_k(u) = clip((u - k + m + 1) / w, 0, 1), the part of S_k that lies below u, this reads Σ_k S_k A_k(ρ) =
p Σ_k S_k, and the implicit function theorem gives::

    ∂ρ/∂S_k = (p - A_k(ρ)) / d,       d = the slope of Σ_k S_k A_k(u) at u = ρ: the mean S about ρ

So magnitude above ρ pulls up, below ρ down, and the more so the emptier the spectrum is about ρ. Yet d is
taken for no less than THINNEST of the frame's mean, lest one frame with a gap there be the whole gradient.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from subterfuge.dsp.spectral import QUIET

ROLL_PERCENT = 0.85
ROLL_BINS = 8
"""m: about 180 Hz to each side at 44.1 kHz. Wider follows large changes better, narrower small ones."""
THINNEST = 0.01


def roll_up(magnitude: Tensor, roll_percent: float) -> tuple[Tensor, Tensor, Tensor]:
    """Find the first bin whose running sum reaches the level, for magnitudes (rows, K).

    The sum runs over blocks first, and then only through the block in which it gets there.

    Returns:
        that bin, the running sum up to and with it, and the whole sum, each (rows, 1).
    """
    bins = magnitude.shape[-1]
    size = max(1, math.isqrt(bins))
    blocks = bins // size
    sums = magnitude[:, : blocks * size].view(-1, blocks, size).sum(-1).cumsum(-1)
    total = sums[:, -1:] + magnitude[:, blocks * size :].sum(-1, keepdim=True)
    level = roll_percent * total
    block = torch.searchsorted(sums, level)
    before = sums.gather(-1, (block - 1).clamp_min_(0)).masked_fill_(block == 0, 0.0)
    first = block * size
    place = first + torch.arange(size, device=magnitude.device)
    inside = magnitude.gather(-1, place.clamp_max(bins - 1)).cumsum_(-1).add_(before)
    offset = torch.searchsorted(inside, level).clamp_max_(size - 1)
    return (first + offset).clamp_max_(bins - 1), inside.gather(-1, offset), total


def soft_place(
    magnitude: Tensor, rolled: Tensor, reached: Tensor, total: Tensor, roll_percent: float, m: int
) -> tuple[Tensor, Tensor]:
    """Give the surrogate's crossing ρ in bins and the slope d there, each (rows, 1), from `roll_up`.

    ρ is never more than m + 1 bins from r, so that only 4 m + 2 bins about r are looked at. d is 0 for silent
    rows.
    """
    bins = magnitude.shape[-1]
    place = rolled + torch.arange(-2 * m - 1, 2 * m + 1, device=rolled.device)
    near = magnitude.gather(-1, place.clamp(0, bins - 1)).masked_fill_((place < 0) | (place >= bins), 0.0)
    near = near.cumsum_(-1)
    near += reached - near[:, 2 * m + 1 : 2 * m + 2]  # the running sum at these bins
    smooth = near.unfold(-1, 2 * m + 1, 1).mean(-1)  # at bins r - m - 1 .. r + m
    level = roll_percent * total
    upper = torch.searchsorted(smooth, level).clamp_(1, 2 * m + 1)
    low = smooth.gather(-1, upper - 1)
    slope = smooth.gather(-1, upper) - low
    within = torch.where(slope > 0, (level - low) / slope, 0.0)
    return rolled + (upper - m - 2) + within.clamp_(0, 1), slope


def pull_of(slope: Tensor, total: Tensor, bins: int) -> Tensor:
    """Give 1 / d with d's lower limit, and 0 for rows too quiet to have a gradient, (rows, 1)."""
    return torch.where(total < QUIET, 0.0, 1 / slope.clamp_min(total * (THINNEST / bins)))


def below(place: Tensor, bins: int, m: int) -> Tensor:
    """Give A_k(ρ), the part of each bin that lies below the places ρ (rows, 1), shape (rows, bins)."""
    w = 2 * m + 1
    k = torch.arange(bins, device=place.device, dtype=place.dtype) / w
    return ((place + (m + 1)) / w - k).clamp_(0, 1)


class _Rolloff(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, magnitude: Tensor, roll_percent: float, m: int) -> Tensor:
        found = rolled, _, _ = roll_up(magnitude, roll_percent)
        ctx.save_for_backward(magnitude, *found)
        ctx.roll_percent, ctx.m = roll_percent, m
        return rolled.to(magnitude.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        magnitude, rolled, reached, total = ctx.saved_tensors
        place, slope = soft_place(magnitude, rolled, reached, total, ctx.roll_percent, ctx.m)
        pull = gradients[0] * pull_of(slope, total, magnitude.shape[-1])
        return (ctx.roll_percent - below(place, magnitude.shape[-1], ctx.m)) * pull, None, None


def _rows(magnitude: Tensor, roll_percent: float) -> Tensor:
    if not 0 < roll_percent < 1:
        raise ValueError(f"roll_percent={roll_percent} must lie between 0 and 1")
    return magnitude.mT.reshape(-1, magnitude.shape[-2]).contiguous()


def _unroll(rows: Tensor, magnitude: Tensor, sample_rate: float) -> Tensor:
    hz = sample_rate / (2 * (magnitude.shape[-2] - 1))
    return (rows * hz).reshape(*magnitude.shape[:-2], 1, magnitude.shape[-1])


def spectral_rolloff(
    magnitude: Tensor,
    *,
    sample_rate: float,
    roll_percent: float = ROLL_PERCENT,
    surrogate_bins: int = ROLL_BINS,
) -> Tensor:
    """Find the frequency below which `roll_percent` of each frame's magnitude lies.

    Args:
        magnitude: S, at least 0, shape (..., 1 + n_fft // 2, frames) with n_fft even, as `magnitude` gives
        it. sample_rate: Hz. roll_percent: p, between 0 and 1. surrogate_bins: m of the surrogate whose
        gradient this has (see the module).

    Returns:
        Hz, shape (..., 1, frames).

    Source: `librosa.feature.spectral_rolloff`.
    """
    rows = _rows(magnitude, roll_percent)
    bins: Tensor = _Rolloff.apply(rows, roll_percent, surrogate_bins)  # type: ignore[no-untyped-call]
    return _unroll(bins, magnitude, sample_rate)


def soft_rolloff(
    magnitude: Tensor,
    *,
    sample_rate: float,
    roll_percent: float = ROLL_PERCENT,
    surrogate_bins: int = ROLL_BINS,
) -> Tensor:
    """Give the surrogate ρ whose gradient `spectral_rolloff` has; arguments and result as there."""
    rows = _rows(magnitude, roll_percent)
    place, _ = soft_place(rows, *roll_up(rows, roll_percent), roll_percent, surrogate_bins)
    return _unroll(place, magnitude, sample_rate)
