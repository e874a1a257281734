"""Filters: a sound convolved with an impulse response, by numpy for the real thing, in torch for its stand-in."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.transforms.transform import Samples


def convolve(wave: Tensor, response: NDArray[np.float64], start: int) -> Tensor:
    """Convolve waves (..., T) with an impulse response (K,) whose sample `start` is at time 0: (..., T).

    Outside of the waves there is silence. Exactly linear, so its gradient is exact too; computed in float64.

    >>> convolve(torch.tensor([1.0, 2.0, 3.0]), np.array([0.0, 0.5]), 0)
    tensor([0.0000, 0.5000, 1.0000])
    """
    length = wave.shape[-1]
    size = fast_size(length + len(response) - 1)
    spectrum = torch.fft.rfft(torch.from_numpy(response).to(wave.device), n=size)
    whole = torch.fft.irfft(torch.fft.rfft(wave.double(), n=size) * spectrum, n=size)
    heard: Tensor = whole[..., start : start + length].to(wave.dtype)
    return heard


def filtered(samples: Samples, response: NDArray[np.float64], start: int) -> Samples:
    """Do the same by scipy, to samples (C, T)."""
    from scipy.signal import oaconvolve

    whole = oaconvolve(samples.astype(np.float64), response[None], axes=-1)
    return np.ascontiguousarray(whole[..., start : start + samples.shape[-1]], dtype=samples.dtype)


def fast_size(least: int) -> int:
    """Give an even length of at least so much whose Fourier transform is fast."""
    from scipy.fft import next_fast_len

    size = int(next_fast_len(least, real=True))
    while size % 2:
        size = int(next_fast_len(size + 1, real=True))
    return size
