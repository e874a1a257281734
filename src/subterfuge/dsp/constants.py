"""Tables that depend on the rate and the frame only, made once and kept: windows, bin frequencies, mel filters, DCT."""

from __future__ import annotations

from functools import lru_cache

import librosa
import numpy as np
import torch
from torch import Tensor


@lru_cache(maxsize=64)
def hann(length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Give the periodic Hann window, ``sin²(π n / length)``, shape (length,), as `librosa.stft` uses it."""
    return torch.hann_window(length, periodic=True, dtype=torch.float64).to(device, dtype)


@lru_cache(maxsize=64)
def bin_hz(sample_rate: float, n_fft: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Give the centre frequency of each bin in Hz, shape (1 + n_fft // 2,), as `librosa.fft_frequencies`."""
    bins = torch.arange(1 + n_fft // 2, dtype=torch.float64)
    return (bins * sample_rate / n_fft).to(device, dtype)


@lru_cache(maxsize=64)
def mel_filters(
    sample_rate: float,
    n_fft: int,
    n_mels: int,
    fmin: float,
    fmax: float | None,
    htk: bool,
    norm: str | None,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """Give librosa's own triangular filters (`librosa.filters.mel`), shape (n_mels, 1 + n_fft // 2).

    They are rounded to float32 first, whatever `dtype` is, because librosa rounds them so.
    """
    filters = librosa.filters.mel(
        sr=sample_rate,
        n_fft=n_fft,
        n_mels=n_mels,
        fmin=fmin,
        fmax=fmax,
        htk=htk,
        norm=norm,
        dtype=np.float32,
    )
    return torch.from_numpy(filters).to(device, dtype)


@lru_cache(maxsize=64)
def dct_matrix(n_out: int, n_in: int, ortho: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Give the first rows of the DCT-II, ``2 cos(π k (n + ½) / N)``, shape (n_out, n_in).

    With `ortho` row 0 is scaled by ``sqrt(1 / 4N)`` and the others by ``sqrt(1 / 2N)`` (`scipy.fft.dct`'s norm="ortho").
    """
    k = torch.arange(n_out, dtype=torch.float64)[:, None]
    n = torch.arange(n_in, dtype=torch.float64)
    matrix = 2 * torch.cos(torch.pi * k * (n + 0.5) / n_in)
    if ortho:
        matrix *= (2 * n_in) ** -0.5
        matrix[0] *= 0.5**0.5
    return matrix.to(device, dtype)
