"""What the musicnn taggers hear: log-mel spectra of windows of some three seconds.

librosa's ``feature.melspectrogram`` of 16 kHz with n_fft 512, hop 256 and 96 bands, ends reflected as librosa did then
(0.7), and ``log10(10000 mel + 1)``; windows of 187 frames. Frames after the last whole window are not heard.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from subterfuge.dsp import melspectrogram
from subterfuge.victims.musicnn.networks import BANDS, FRAMES

RATE, FRAME, HOP = 16000, 512, 256
FACTOR = 10000
MOST_MEL = 65504 / FACTOR
"""The mel power above which the product overflows in float16."""


def hop_frames(seconds: float) -> int:
    """Give the frames in a step of so many seconds, as `librosa.time_to_frames` with n_fft counts them."""
    return (int(seconds * RATE) - FRAME // 2) // HOP


def windows_of(samples: int, hop: int) -> int:
    """Say how many windows a wave has, each `hop` frames after the one before."""
    return max(0, 1 + samples // HOP - FRAMES) // hop + 1


def mel_windows(wave: Tensor, hop: int, first: int, count: int) -> Tensor:
    """Give the mel power of some windows of waves (N, T), shape (N, count, 187, 96).

    A wave too short for a window is repeated frame by frame until it fills one, as in the networks' training; one
    shorter than a frame is filled up with silence first.
    """
    wave = pad(wave, (0, max(0, FRAME - wave.shape[-1])))
    padded = pad(wave[:, None], (FRAME // 2, FRAME // 2), mode="reflect")[:, 0]
    frames = 1 + wave.shape[-1] // HOP
    if frames < FRAMES:
        return _mel(padded)[:, torch.arange(FRAMES, device=wave.device) % frames][:, None]
    start, end = first * hop, (first + count - 1) * hop + FRAMES
    return _mel(padded[:, start * HOP : (end - 1) * HOP + FRAME]).unfold(1, FRAMES, hop).mT


def logarithms(mel: Tensor) -> Tensor:
    """Give log10(10000 mel + 1)."""
    return (FACTOR * mel + 1).log10()


def rounded_logarithms(mel: Tensor) -> Tensor:
    """Give the same, each of its steps rounded to float16; the gradient is that of `logarithms`.

    Where mel power is above `MOST_MEL` the product overflows, and the logarithm is infinite.
    """
    smooth = logarithms(mel)
    half = (FACTOR * mel.detach().half().float()).half()
    exact = (half.float() + 1).half().float().log10().half().to(mel.dtype)
    return exact + (smooth - smooth.detach())


def _mel(padded: Tensor) -> Tensor:
    """Give mel power (N, frames, 96) of waves that are padded already."""
    mel = melspectrogram(padded, sample_rate=RATE, n_fft=FRAME, hop_length=HOP, n_mels=BANDS, center=False)
    return mel.mT
