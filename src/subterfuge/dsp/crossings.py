"""How often the wave changes its sign: librosa's count, a smooth surrogate's gradient.

A crossing at sample i is c_i = [y_i < -θ] ≠ [y_{i-1} < -θ], a step, so the true gradient is 0 wherever it
exists. Forward is that count. Backward belongs to::

    c̃_i = ½ (1 - s(y_i / σ_i) s(y_{i-1} / σ_{i-1})),       s(u) = u / (1 + |u|)

Well away from zero s is the sign, and c̃ is c. The width σ follows the loudness: samples stand in blocks of
one hop, and σ = τ · (root mean square of the block and its two neighbours) + 1e-4, held constant in the
gradient. s' falls as 1/u² and not exponentially, so that a sample a long way from zero still feels which way
to go. Where samples are exactly 0 the gradient is 0: a saddle, since a push of either sign, alternating,
makes crossings.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import avg_pool1d, pad

from subterfuge.dsp.framing import centred, checked, overlap_add

THRESHOLD = 1e-10
ZERO_WIDTH = 0.02
"""τ. Suits perturbations 30 to 60 dB below the wave; louder ones move the count further with a larger τ."""
ZERO_FLOOR = 1e-4


def widths(energy: Tensor, block: int, length: int, tau: float) -> Tensor:
    """Give σ (N, length) from the sums of squares (N, B) over blocks of `block` samples."""
    around = avg_pool1d(energy.unsqueeze(1), 3, 1, 1, count_include_pad=False).squeeze(1)
    return ((around / block).sqrt() * tau + ZERO_FLOOR).repeat_interleave(block, -1)[..., :length]


def softened(wave: Tensor, width: Tensor, weight: Tensor) -> Tensor:
    """Give Σ w_i c̃_i of waves (..., T), i = 1 .. T - 1, for weights (..., T - 1)."""
    u = wave / width
    s = u / (1 + u.abs())
    return 0.5 * (weight * (1 - s[..., 1:] * s[..., :-1])).sum(-1)


def softened_gradient(wave: Tensor, width: Tensor, weight: Tensor) -> Tensor:
    """Give the gradient of `softened`, shape (..., T)."""
    u = wave / width
    share = (u.abs() + 1).reciprocal_()
    s = u.mul_(share)
    pull = torch.zeros_like(wave)
    pull[..., 1:].addcmul_(s[..., :-1], weight)
    pull[..., :-1].addcmul_(s[..., 1:], weight)
    return pull.mul_(share.square_()).div_(width).mul_(-0.5)


@lru_cache(maxsize=16)
def views(length: int, frame_length: int, hop: int, center: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Count the frames that see the step from sample i - 1 to i, shape (length - 1,) for i = 1 .. length - 1.

    A frame of samples a .. a + frame_length - 1 sees the steps to all but its first.
    """
    half = frame_length // 2 if center else 0
    frames = 1 + (length + 2 * half - frame_length) // hop
    place = torch.arange(1, length) + half
    last = ((place - 1) // hop).clamp_max(frames - 1)
    first = torch.ceil((place - frame_length + 1) / hop).long().clamp_min(0)
    return (last - first + 1).clamp_min(0).to(device, dtype)


def crossed(wave: Tensor, threshold: float, zero_pos: bool) -> Tensor:
    """Tell for each sample but the first whether the sign changed there, shape (..., T - 1), bool."""
    negative = wave < -threshold
    steps = negative[..., 1:] != negative[..., :-1]
    if zero_pos:
        return steps
    positive = wave > threshold
    return steps | (positive[..., 1:] != positive[..., :-1])


def _energy(wave: Tensor, block: int) -> Tensor:
    whole = pad(wave, (0, -wave.shape[-1] % block))
    return whole.reshape(*wave.shape[:-1], -1, block).square().sum(-1)


class _Crossings(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, wave: Tensor, frame_length: int, hop: int, threshold: float, zero_pos: bool, tau: float
    ) -> Tensor:
        ctx.save_for_backward(wave)
        ctx.frame_length, ctx.hop, ctx.tau = frame_length, hop, tau
        steps = pad(crossed(wave, threshold, zero_pos).to(wave.dtype), (1, 0))
        return steps.unfold(-1, frame_length, hop)[..., 1:].mean(-1) * ((frame_length - 1) / frame_length)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        (wave,) = ctx.saved_tensors
        each = (gradients[0] / ctx.frame_length).unsqueeze(-1).repeat(1, 1, ctx.frame_length)
        each[..., 0] = 0
        weight = overlap_add(each, ctx.hop, wave.shape[-1])[..., 1:]
        width = widths(_energy(wave, ctx.hop), ctx.hop, wave.shape[-1], ctx.tau)
        return softened_gradient(wave, width, weight), None, None, None, None, None


def zero_crossing_rate(
    wave: Tensor,
    *,
    frame_length: int = 2048,
    hop_length: int = 512,
    center: bool = True,
    threshold: float = THRESHOLD,
    zero_pos: bool = True,
    surrogate_width: float = ZERO_WIDTH,
) -> Tensor:
    """Give the share of each frame's samples at which the sign changed; ends are padded with their own value.

    Args:
        wave: samples, shape (..., T), float32 or float64.
        frame_length: samples of a frame.
        hop_length: samples from frame to frame.
        center: whether frame t is centred on sample t * hop_length, or begins there.
        threshold: θ: samples within it of 0 count as 0.
        zero_pos: whether 0 counts as positive, or as a sign of its own.
        surrogate_width: τ of the surrogate whose gradient this has (see the module).

    Returns:
        0 to 1, shape (..., 1, frames).

    Source: `librosa.feature.zero_crossing_rate`.
    """
    padded = centred(checked(wave), frame_length, "edge") if center else checked(wave)
    flat = padded.reshape(-1, padded.shape[-1])
    knobs = frame_length, hop_length, threshold, zero_pos, surrogate_width
    rate: Tensor = _Crossings.apply(flat, *knobs)  # type: ignore[no-untyped-call]
    return rate.reshape(*wave.shape[:-1], 1, -1)
