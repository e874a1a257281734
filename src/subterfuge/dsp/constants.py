"""Tables that depend on the rate and the frame only, made once and kept: windows, bins, mel filters, DCT."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from librosa.filters import get_window, mel
from torch import Tensor


@lru_cache(maxsize=64)
def window_of(name: str, win_length: int, n_fft: int, device: torch.device) -> Tensor:
    """Give the periodic window of `librosa.filters.get_window` amid zeros, float64, shape (n_fft,)."""
    window = torch.from_numpy(np.asarray(get_window(name, win_length, fftbins=True), dtype=np.float64))
    before = (n_fft - win_length) // 2
    return torch.nn.functional.pad(window, (before, n_fft - win_length - before)).to(device)


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
    filters = mel(
        sr=sample_rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=htk, norm=norm, dtype=np.float32
    )
    return torch.from_numpy(filters).to(device, dtype)


@lru_cache(maxsize=64)
def dct_matrix(n_out: int, n_in: int, ortho: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Give the first rows of the DCT-II, ``2 cos(π k (n + ½) / N)``, shape (n_out, n_in).

    With `ortho` row 0 is scaled by ``1 / sqrt(4 N)`` and the others by ``1 / sqrt(2 N)``, as `scipy.fft.dct`.
    """
    k = torch.arange(n_out, dtype=torch.float64)[:, None]
    n = torch.arange(n_in, dtype=torch.float64)
    matrix = 2 * torch.cos(torch.pi * k * (n + 0.5) / n_in)
    if ortho:
        matrix *= (2 * n_in) ** -0.5
        matrix[0] *= 0.5**0.5
    return matrix.to(device, dtype)
