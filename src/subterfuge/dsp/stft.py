"""The short-time Fourier transform with librosa's conventions."""

from __future__ import annotations

import torch
from torch import Tensor

from subterfuge.dsp.constants import window_of
from subterfuge.dsp.framing import centred, checked, windowed_frames


def stft(
    wave: Tensor,
    *,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: str = "hann",
    center: bool = True,
    pad_mode: str = "constant",
) -> Tensor:
    """Transform windowed frames of a wave.

    As in librosa the sum itself runs in double precision and only its result is rounded to the wave's own.
    This is what lets the spectral features of a pure tone, most of whose bins are nearly empty, agree with
    librosa's.

    Args:
        wave: samples, shape (..., T), float32 or float64.
        n_fft: length of a frame in samples.
        hop_length: samples from frame to frame, a quarter of the window if None.
        win_length: length of the window, n_fft if None; a shorter one stands in the middle of the frame.
        window: a name that `scipy.signal.get_window` knows.
        center: whether frame t is centred on sample t * hop_length, or begins there.
        pad_mode: what stands beyond the ends if centred: constant (zeros), edge or reflect.

    Returns:
        complex, shape (..., 1 + n_fft // 2, frames), with 1 + T // hop_length frames if centred and n_fft is
        even.

    Raises:
        ClipError: no samples, no floats, or not centred and shorter than a frame.

    Source: `librosa.stft`.
    """
    win_length = n_fft if win_length is None else win_length
    hop_length = win_length // 4 if hop_length is None else hop_length
    shape = window_of(window, win_length, n_fft, wave.device)
    padded = centred(checked(wave), n_fft, pad_mode) if center else checked(wave)
    spectrum = torch.fft.rfft(windowed_frames(padded, shape, hop_length))
    rounded: Tensor = spectrum.mT.to(torch.complex64 if wave.dtype == torch.float32 else torch.complex128)
    return rounded


def magnitude(
    wave: Tensor,
    *,
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
    window: str = "hann",
    center: bool = True,
    pad_mode: str = "constant",
) -> Tensor:
    """Take the absolute value of `stft`, shape (..., bins, frames); at an empty bin its gradient is 0."""
    return stft(
        wave,
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=center,
        pad_mode=pad_mode,
    ).abs()
