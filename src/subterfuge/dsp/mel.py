"""The power of each frame in bands that are even on the mel scale."""

from __future__ import annotations

from torch import Tensor

from subterfuge.dsp.constants import mel_filters
from subterfuge.dsp.stft import magnitude


def melspectrogram(
    wave: Tensor,
    *,
    sample_rate: float,
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
    window: str = "hann",
    center: bool = True,
    pad_mode: str = "constant",
    power: float = 2.0,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: str | None = "slaney",
) -> Tensor:
    """Sum magnitude to the power `power` under each mel filter.

    Args:
        wave: samples, shape (..., T), float32 or float64.
        sample_rate: Hz.
        n_fft: length of a frame; it, `hop_length`, `win_length`, `window`, `center`, `pad_mode` as in `stft`.
        hop_length: samples from frame to frame.
        win_length: length of the window, n_fft if None.
        window: a name that `scipy.signal.get_window` knows.
        center: whether frames are centred.
        pad_mode: constant, edge or reflect.
        power: 2 for power, 1 for magnitude.
        n_mels: number of filters.
        fmin: Hz, where the lowest filter begins.
        fmax: Hz, where the highest filter ends, half the rate if None.
        htk: HTK's mel formula instead of Slaney's.
        norm: "slaney" for filters of equal area, None for filters of equal height.

    Returns:
        shape (..., n_mels, frames).

    Source: `librosa.feature.melspectrogram`.
    """
    spectrum = magnitude(
        wave,
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=center,
        pad_mode=pad_mode,
    )
    filters = mel_filters(float(sample_rate), n_fft, n_mels, fmin, fmax, htk, norm, spectrum.dtype, spectrum.device)
    return filters @ spectrum**power
