"""Where in frequency each frame's magnitude lies, and how wide: spectral centroid and bandwidth."""

from __future__ import annotations

import torch
from torch import Tensor

from subterfuge.dsp.constants import bin_hz

QUIET = 1e-10
"""Frames whose magnitudes sum to less have features, but no gradient: it would be of order 1 / QUIET."""


def _shares(magnitude: Tensor) -> Tensor:
    """Divide each frame by its sum, in float64; one whose sum is below the smallest normal float stays."""
    total = magnitude.double().sum(-2, keepdim=True)
    heard = torch.where(total < QUIET, magnitude.detach(), magnitude).double()
    total = heard.sum(-2, keepdim=True)
    return heard / torch.where(total < torch.finfo(magnitude.dtype).tiny, 1.0, total)


def _hz(magnitude: Tensor, sample_rate: float) -> Tensor:
    return bin_hz(sample_rate, 2 * (magnitude.shape[-2] - 1), torch.float64, magnitude.device)[:, None]


def spectral_centroid(magnitude: Tensor, *, sample_rate: float) -> Tensor:
    """Average frequency over the bins of each frame, ``c = Σ f S / Σ S``.

    Args:
        magnitude: S, at least 0, shape (..., 1 + n_fft // 2, frames) with n_fft even, as `magnitude` gives
        it. sample_rate: Hz.

    Returns:
        Hz, shape (..., 1, frames); near 0 in silence, as librosa's.

    Source: `librosa.feature.spectral_centroid`.
    """
    centroid = (_shares(magnitude) * _hz(magnitude, sample_rate)).sum(-2, keepdim=True)
    return centroid.to(magnitude.dtype)


def spectral_bandwidth(magnitude: Tensor, *, sample_rate: float, norm: bool = True, p: float = 2.0) -> Tensor:
    """Take the p-th order spread about the centroid of each frame, ``(Σ S |f - c|ᵖ / Σ S)^(1/p)``.

    Args:
        magnitude: S, at least 0, shape (..., 1 + n_fft // 2, frames) with n_fft even, as `magnitude` gives
        it. sample_rate: Hz. norm: whether to divide by Σ S. p: the order, at least 1.

    Returns:
        Hz, shape (..., 1, frames); its gradient where the spread is 0 is 0.

    Source: `librosa.feature.spectral_bandwidth`.
    """
    shares, hz = _shares(magnitude), _hz(magnitude, sample_rate)
    centroid = (shares * hz).sum(-2, keepdim=True)
    weights = shares if norm else magnitude.double()
    moment = (weights * (hz - centroid).abs() ** p).sum(-2, keepdim=True)
    some = moment > 0
    return (torch.where(some, moment, 1.0) ** (1 / p) * some).to(magnitude.dtype)
