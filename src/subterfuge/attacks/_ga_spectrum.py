"""librosa's spectrogram of a clip, split into its real and imaginary part, and the way back."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def stft(wave: Tensor, size: int) -> Tensor:
    """Give librosa's STFT (size, hop of a quarter, Hann, centred, zeros outside) of waves (..., T), (..., F, N)."""
    window = torch.hann_window(size, dtype=wave.dtype, device=wave.device)
    spectrum: Tensor = torch.stft(
        wave, size, size // 4, window=window, center=True, pad_mode="constant", return_complex=True
    )
    return spectrum


def istft(spectrum: Tensor, size: int, length: int) -> Tensor:
    """Give librosa's inverse, waves of `length` samples, for spectrograms (..., F, N) of `stft`."""
    window = torch.hann_window(size, dtype=spectrum.real.dtype, device=spectrum.device)
    wave: Tensor = torch.istft(spectrum, size, size // 4, window=window, center=True, length=length)
    return wave


def size_for(length: int, most: int = 2048) -> int:
    """Give the frame of a clip: `most`, or less where there would not be four frames in it, a power of two.

    >>> size_for(132300), size_for(512), size_for(1)
    (2048, 128, 16)
    """
    return min(most, 1 << max(4, (max(1, length) // 4).bit_length() - 1))


class Spectrum:
    """What becomes of a clip when the real part of its spectrogram is changed.

    Args:
        clean: the clip, shape (T,).
        begin: the sound that is taken apart, shape (T,): the clip itself, or where a search goes on.
        kept: decode with the imaginary part of `begin`, else with none.
    """

    def __init__(self, clean: Tensor, begin: Tensor, *, kept: bool) -> None:
        self._clean = clean
        self._size = size_for(len(clean))
        spectrum = stft(begin, self._size)
        self.real: NDArray[np.float32] = spectrum.real.float().numpy()
        self._imaginary = spectrum.imag if kept else torch.zeros_like(spectrum.imag)
        lost = float((istft(torch.complex(spectrum.real, 0 * spectrum.real), self._size, len(clean)) - clean).norm())
        level = float(clean.norm())
        self.dropped_snr_db: float | None = 20 * math.log10(level / lost) if level > 0 and lost > 0 else None
        """How far the change lies below the clip if nothing but the imaginary part is dropped."""

    def changes(self, reals: list[NDArray[np.float32]]) -> Tensor:
        """Give the changes (P, T) that real parts (F, N) each make."""
        real = torch.from_numpy(np.stack(reals)).to(self._imaginary)
        whole = torch.complex(real, self._imaginary.expand_as(real))
        return istft(whole, self._size, len(self._clean)) - self._clean
