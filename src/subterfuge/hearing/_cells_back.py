"""From cells of time and frequency back to a wave."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def nearest_wave(spectrum: Tensor, size: int, length: int) -> Tensor:
    """Give the waves (N, length) whose `masking.cells` come nearest to a spectrum (N, size / 2 + 1, frames).

    By least squares (Griffin, Lim, "Signal estimation from modified short-time Fourier transform", IEEE Trans. ASSP 32,
    1984, equation 6), as `torch.istft` does, which takes three times as long.
    """
    frames = torch.fft.irfft(spectrum.mT, n=size)
    window, per_square = _synthesis(size, length, frames.dtype, frames.device)
    return _added(frames * window)[..., size // 2 :][..., :length] * per_square


def _added(frames: Tensor) -> Tensor:
    """Add frames (..., K, n), each a quarter of a frame after the one before, to waves (..., (K + 3) n / 4)."""
    count, hop = frames.shape[-2], frames.shape[-1] // 4
    whole = frames.new_zeros(*frames.shape[:-2], count + 3, hop)
    for quarter, part in enumerate(torch.split(frames, hop, dim=-1)):
        whole[..., quarter : quarter + count, :] += part
    wave: Tensor = whole.flatten(-2)
    return wave


@lru_cache(maxsize=8)
def _synthesis(size: int, length: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Give the window (n,), and the factor of each sample (length,): a full-scale sine's over the squares' sum."""
    window = torch.hann_window(size, dtype=torch.float64, device=device)
    squares = _added(window.square().expand(1 + length // (size // 4), size))[size // 2 :][:length]
    return window.to(dtype), (size / 4 / squares).to(dtype)
