"""The linear part of a codec: how much of each frequency comes through it, measured on the very sound.

A codec has no useful slope of its own: it rounds. But what it throws away altogether (the highest octave, what is
masked all along) it throws away of a small change too, and a slope that knows of it climbs better than one that goes
straight through.
"""

from __future__ import annotations

import torch
from torch import Tensor

from subterfuge.hearing.masking import frame_size
from subterfuge.transforms.linear import fast_size
from subterfuge.transforms.transform import through

NOTHING = 1e-12
"""Power of a bin, over that of a sine at full scale, below which a sound has nothing there to be kept."""


def through_kept(wave: Tensor, heard: Tensor, sample_rate: int) -> Tensor:
    """Give `heard` (N, T) with the gradient of `wave` (N, T), each frequency weighed by how much of it was kept."""
    clean = wave.detach()
    return through(wave, heard, lambda slope: weighed(slope, kept(clean, heard, sample_rate)))


def kept(wave: Tensor, heard: Tensor, sample_rate: int) -> Tensor:
    """Measure what part of each frequency of waves (N, T) is in what was heard of them: (N, F), from 0 to 1.

    The gain of the least-squares filter of one frequency from one to the other: Re sum Y X* / sum |X|^2 over frames,
    and 1 where the wave has nothing.
    """
    size = frame_size(sample_rate)
    window = torch.hann_window(size, dtype=torch.float64, device=wave.device)
    X, Y = (
        torch.stft(one.double(), size, size // 2, window=window, pad_mode="constant", return_complex=True)
        for one in (wave, heard)
    )
    own, shared = X.abs().square().sum(-1), (Y * X.conj()).real.sum(-1)
    nothing = own <= NOTHING * (size / 4) ** 2 * X.shape[-1]
    return (shared / own.where(~nothing, 1.0)).clamp(0, 1).where(~nothing, 1.0)


def weighed(slope: Tensor, gains: Tensor) -> Tensor:
    """Filter slopes (N, T) without delay by gains (N, F) at evenly spaced frequencies up to half the rate: (N, T)."""
    size = fast_size(2 * slope.shape[-1])
    fine = torch.nn.functional.interpolate(gains[:, None], size // 2 + 1, mode="linear", align_corners=True)[:, 0]
    filtered = torch.fft.irfft(torch.fft.rfft(slope.double(), n=size) * fine, n=size)
    found: Tensor = filtered[..., : slope.shape[-1]].to(slope.dtype)
    return found
