"""How loud each frame is."""

from __future__ import annotations

import torch
from torch import Tensor

from subterfuge.dsp.framing import centred, checked, windowed_frames


def root(power: Tensor) -> Tensor:
    """Take the square root, with gradient 0 instead of infinity where the power is 0."""
    some = power > 0
    return torch.where(some, power, 1.0).sqrt() * some


def rms(
    wave: Tensor,
    *,
    frame_length: int = 2048,
    hop_length: int = 512,
    center: bool = True,
    pad_mode: str = "constant",
) -> Tensor:
    """Take the root of the mean square of each frame.

    Args:
        wave: samples, shape (..., T), float32 or float64.
        frame_length: samples of a frame.
        hop_length: samples from frame to frame.
        center: whether frame t is centred on sample t * hop_length, or begins there.
        pad_mode: what stands beyond the ends if centred: constant (zeros), edge or reflect.

    Returns:
        shape (..., 1, frames), in the unit of the samples.

    Source: `librosa.feature.rms` of `y`.
    """
    padded = centred(checked(wave), frame_length, pad_mode) if center else checked(wave)
    square = windowed_frames(padded, wave.new_ones(frame_length), hop_length).square().mean(-1)
    return root(square).unsqueeze(-2)
