"""How loud an ear finds each line of the lapped transform, beside what masks it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from subterfuge.hearing._masking_tables import bark

REACH = 3
"""Frames before and after the one in a block's middle whose windows meet the block's."""
AT_ONCE = 128
"""Blocks, so that a long clip takes little more memory than a short one."""


def lines_per_bark(size: int, sample_rate: int) -> Tensor:
    """Say how many lines of an FFT of `size` points a critical band holds around each, at least 1, shape (F,)."""
    hz = torch.linspace(0, sample_rate / 2, size // 2 + 1, dtype=torch.float64)
    half = sample_rate / size / 2
    low, high = (hz - half).clamp_min(0), (hz + half).clamp_max(sample_rate / 2)
    wide = torch.from_numpy(bark(high.numpy()) - bark(low.numpy()))
    lines: Tensor = ((high - low) / (2 * half) / wide).clamp_min(1)
    return lines


def gain(size: int) -> float:
    """Give the summed power of the cells of a change of energy 1: by Parseval, the same for every change."""
    window = torch.hann_window(size, dtype=torch.float64)
    return size / 2 * float(window.square().sum()) / (size // 4) / (size / 4) ** 2


def weights(threshold: Tensor, size: int, length: int) -> Tensor:
    """Give W, shape (N, blocks, size / 2), from thresholds (N, F, frames): a line of size W is heard as one of size 1.

    W^-2 is the diagonal of the form sum over cells of abs(cells(d))^2 / threshold on the lines of the lapped transform.
    Line k of block b, a cosine under the block's window, is heard in the seven frames that meet that window, in each
    with the spectrum of both windows' product. So the diagonal is a correlation along frequency, of 1 / threshold with
    the power of that spectrum, summed over these frames. (1 / threshold goes on evenly beyond dc and Nyquist; that a
    cosine's two halves meet there is left out.) The blocks at both ends have windows of their own, which are cut off
    steeply: their lines are heard at all frequencies.
    """
    block, blocks = size // 2, -(-length // (size // 2))
    inverse = threshold.reciprocal()
    room = 2 * blocks + 2 * REACH - 1  # frame 2 b + 1 lies in the middle of block b; where is none, nothing is heard
    inverse = torch.nn.functional.pad(inverse, (REACH - 1, max(0, room - REACH + 1 - inverse.shape[-1])))
    middle = _heard(_window(size, 0, length=3 * block, first=False, last=False))
    ends = {
        b: _heard(_window(size, b * block, length=length, first=b == 0, last=b == blocks - 1))
        for b in {0, max(0, blocks - 2), blocks - 1}
    }
    parts = []
    for begin in range(0, blocks, AT_ONCE):
        count = min(AT_ONCE, blocks - begin)
        here = inverse[..., 2 * begin : 2 * (begin + count) + 2 * REACH - 1].double()
        around = torch.fft.rfft(torch.cat([here, here[:, 1:-1].flip(1)], 1), dim=1)
        heard = sum(around[..., i : i + 2 * count - 1 : 2] * one[:, None] for i, one in enumerate(middle))
        assert isinstance(heard, Tensor)
        for b in ends.keys() & set(range(begin, begin + count)):
            first = 2 * (b - begin)
            heard[..., b - begin] = (around[..., first : first + 2 * REACH + 1] * ends[b].T).sum(-1)
        diagonal = torch.fft.irfft(heard, n=size, dim=1)[:, :block]
        parts.append(diagonal.clamp_min(1e-30).rsqrt().to(threshold).mT)
    return torch.cat(parts, dim=1)


def _window(size: int, begins: int, *, length: int, first: bool, last: bool) -> Tensor:
    """Give the window (size,) of the block that begins at a sample, from half a block before it, cut at the end."""
    quarter = size // 4
    place = torch.arange(size, dtype=torch.float64)
    window = torch.sin(math.pi / size * (place + 0.5))
    if first:
        window[:quarter], window[quarter : 2 * quarter] = 0, 1
    if last:
        window[2 * quarter : 3 * quarter], window[3 * quarter :] = 1, 0
    return window * (place + begins - quarter < length)


def _heard(window: Tensor) -> Tensor:
    """Give, for each frame, the transform along frequency of the power with which a block's line is heard at the bins.

    Args:
        window: the block's, shape (size,), from half a block before it.

    Returns:
        Conjugate, complex, shape (2 REACH + 1, size / 2 + 1), of a line whose power sums up to 1.
    """
    size = len(window)
    place = torch.arange(size, dtype=torch.float64)
    halfway = torch.polar(torch.ones_like(place), math.pi / size * place)  # line k lies between the bins k and k + 1
    powers = []
    for step in range(-REACH, REACH + 1):
        there = place - step * (size // 4)
        hann = torch.sin(math.pi / size * there).square() * ((there >= 0) & (there < size))
        powers.append(torch.fft.fft(window * hann * halfway).abs().square())
    power = torch.stack(powers)
    heard: Tensor = torch.fft.rfft(power / power.sum()).conj()
    return heard
