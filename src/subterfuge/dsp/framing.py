"""Cut a wave into overlapping frames, and add frames up to a wave again: each is the other's adjoint."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from subterfuge.errors import ClipError

PADDINGS = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}
"""numpy's (and so librosa's) name of a padding, and torch's."""


def checked(wave: Tensor) -> Tensor:
    """Refuse what is no sound, and give back what is.

    Raises:
        ClipError: no samples, or samples that are neither float32 nor float64.
    """
    if wave.ndim == 0 or wave.shape[-1] == 0:
        raise ClipError(f"a wave of shape {tuple(wave.shape)} has no samples; expected (..., T) with T at least 1")
    if wave.dtype not in (torch.float32, torch.float64):
        raise ClipError(f"samples are {wave.dtype}; expected torch.float32 or torch.float64, in [-1, 1]")
    return wave


def centred(wave: Tensor, frame_length: int, pad_mode: str = "constant") -> Tensor:
    """Pad a wave (..., T) by half a frame on both sides, so that frame t is centred on sample t * hop."""
    if pad_mode not in PADDINGS:
        raise ValueError(f"pad_mode={pad_mode!r} is unknown; expected one of {', '.join(PADDINGS)}")
    half = frame_length // 2
    flat = wave.reshape(1, -1, wave.shape[-1])
    padded = pad(flat, (half, half), mode=PADDINGS[pad_mode])
    return padded.reshape(*wave.shape[:-1], -1)


def overlap_add(frames: Tensor, hop: int, length: int) -> Tensor:
    """Add frames (..., F, frame_length), each `hop` later than the one before, up to a wave (..., length).

    Each frame is seen as blocks of one hop. Block b of every frame is added in one go, which is a few long
    additions in place of F short ones.
    """
    count, frame_length = frames.shape[-2:]
    blocks = -(-frame_length // hop)
    wave = frames.new_zeros(*frames.shape[:-2], count + blocks - 1, hop)
    for b in range(blocks):
        block = frames[..., b * hop : (b + 1) * hop]
        wave[..., b : b + count, : block.shape[-1]] += block
    wave = wave.flatten(-2)
    return wave if wave.shape[-1] == length else pad(wave, (0, length - wave.shape[-1]))


class _Windowed(torch.autograd.Function):
    """Frames times a window, with `overlap_add` as backward: torch adds sample by sample."""

    @staticmethod
    def forward(ctx: Any, wave: Tensor, window: Tensor, hop: int) -> Tensor:
        ctx.save_for_backward(window)
        ctx.hop, ctx.length, ctx.dtype = hop, wave.shape[-1], wave.dtype
        return wave.to(window.dtype).unfold(-1, len(window), hop) * window

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (window,) = ctx.saved_tensors
        return overlap_add(gradients[0] * window, ctx.hop, ctx.length).to(ctx.dtype), None, None


def windowed_frames(wave: Tensor, window: Tensor, hop: int) -> Tensor:
    """Cut a wave (..., T) into frames (..., F, len(window)) times a window, in the window's precision.

    Raises:
        ClipError: the wave is shorter than one frame.
    """
    if wave.shape[-1] < len(window):
        raise ClipError(f"{wave.shape[-1]} samples are less than one frame of {len(window)}; use center=True")
    frames: Tensor = _Windowed.apply(wave, window, hop)  # type: ignore[no-untyped-call]
    return frames
