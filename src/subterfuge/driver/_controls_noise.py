"""Noise as loud as a change: its moments shuffled, and what is heard of any noise that went through the clip's file."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.oracle import passband, within


def shuffled(like: Tensor, die: torch.Generator, block: int) -> Tensor:
    """Draw a sound (T,) of the same moments in another order: blocks of `block` samples, cross-faded over a quarter.

    A sound of under eight such blocks is cut into eight shorter ones.
    """
    length = like.shape[-1]
    block = max(1, min(block, length // 8))
    fade = block // 4 * 2  # half of it on either side of a cut, and even
    count = -(-length // block)
    padded = torch.nn.functional.pad(like, (fade // 2, count * block - length + fade // 2))
    ramp = torch.sin(torch.pi / 2 * (torch.arange(fade) + 0.5) / max(1, fade)) ** 2
    window = torch.cat([ramp, torch.ones(block - fade), ramp.flip(0)]).to(like)
    frames = padded.unfold(0, block + fade, block) * window
    order = torch.randperm(count, generator=die)
    where = torch.arange(count)[:, None] * block + torch.arange(block + fade)
    mixed = torch.zeros_like(padded).index_add(0, where.flatten(), frames[order].flatten())
    return mixed[fade // 2 : fade // 2 + length]


def heard_through(clip: Clip, clean: Tensor, noise: Tensor, size: float, rate: int) -> Tensor:
    """Give what is heard of a clip's file with noise added, whose change is of the length `size` after rounding."""
    if clip.sample_rate != rate:
        band = passband(len(noise), rate, 0.9 * min(clip.sample_rate, rate) / 2)
        noise = within(noise, band)
    scale, low, high = size / max(float(noise.norm()), 1e-30), 0.0, math.inf
    nearest, heard = math.inf, clean
    for _ in range(10):  # rounding swallows what is fainter than a step of the file: the size then jumps with the scale
        here = torch.from_numpy(clip.add((scale * noise).numpy(), rate).mono(rate))
        got = float((here - clean).norm())
        off = abs(math.log(got / size)) if got > 0 else math.inf
        if off < nearest or nearest == math.inf:
            nearest, heard = off, here
        if off < 0.03:
            break
        low, high = (scale, high) if got < size else (low, scale)
        scale = math.sqrt(low * high) if low > 0 and high < math.inf else scale * (2.0 if got < size else 0.5)
    return heard
