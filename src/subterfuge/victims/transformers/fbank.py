"""Kaldi's filter-bank features in torch, as the library ``transformers`` computes them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from subterfuge.dsp.framing import windowed_frames

FLOOR = 1.192092955078125e-07
"""The least power of a band, the distance from 1 to the next float32."""
PREEMPHASIS = 0.97
FRAME_SECONDS, HOP_SECONDS = 0.025, 0.010


@dataclass(frozen=True)
class Fbank:
    """Logarithms of the power in mel bands, frame by frame: no padding at the ends, each frame for itself.

    From each frame its mean is taken, then it is pre-emphasised, windowed and transformed, in double precision.

    Source: Kaldi's ``compute-fbank-feats``; `transformers.audio_utils.spectrogram`; torchaudio's ``kaldi.fbank``.
    """

    window: Tensor
    """float64 (frame,)."""
    hop: int
    n_fft: int
    filters: Tensor
    """float64 (n_fft // 2 + 1, mels)."""

    @classmethod
    def of(cls, extractor: Any, window: str) -> Fbank:
        """Make that of a feature extractor.

        With torchaudio its frames are 25 ms every 10 ms; without it the extractor holds a window and filters of its
        own, and frames of 400 samples every 160, whatever the rate. At 16 kHz the two are one.
        """
        if hasattr(extractor, "mel_filters"):
            own, filters = extractor.window, extractor.mel_filters
            return cls(torch.as_tensor(own).double(), 160, 512, torch.as_tensor(filters).double())
        from transformers.audio_utils import mel_filter_bank, window_function

        rate = extractor.sampling_rate
        frame, hop = int(rate * FRAME_SECONDS), int(rate * HOP_SECONDS)
        n_fft = 1 << (frame - 1).bit_length()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of bands narrower than a bin: the extractor has them too
            filters = mel_filter_bank(
                num_frequency_bins=n_fft // 2 + 1,
                num_mel_filters=extractor.num_mel_bins,
                min_frequency=20,
                max_frequency=rate / 2,
                sampling_rate=rate,
                norm=None,
                mel_scale="kaldi",
                triangularize_in_mel_space=True,
            )
        shape = window_function(frame, window, periodic=False)
        return cls(torch.as_tensor(shape).double(), hop, n_fft, torch.as_tensor(filters).double())

    def samples(self, frames: int) -> int:
        """Give how many samples so many frames hear."""
        return (frames - 1) * self.hop + len(self.window)

    def __call__(self, wave: Tensor) -> Tensor:
        """Give features (N, F, mels) of waves (N, T), in their precision; F is 0 where they fill no frame."""
        if wave.shape[-1] < len(self.window):
            return wave.new_zeros(len(wave), 0, self.filters.shape[1]) + 0 * wave.sum()
        window, filters = self.window.to(wave.device), self.filters.to(wave.device)
        frames = windowed_frames(wave, torch.ones_like(window), self.hop)
        frames = frames - frames.mean(-1, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], -1)
        spectrum = torch.fft.rfft((frames - PREEMPHASIS * before) * window, self.n_fft)
        power = spectrum.real.square() + spectrum.imag.square()
        bands: Tensor = power @ filters
        return bands.clamp_min(FLOOR).log().to(wave.dtype)
