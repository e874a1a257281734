"""An orthogonal lapped transform: time to blocks of frequency lines and back, exactly, with nothing gained or lost.

The MDCT in its square form (Malvar, *Signal Processing with Lapped Transforms*, 1992): neighbouring blocks are turned
into each other at their border by the sine window, and each block goes through a DCT-IV. The ends of the signal are not
turned, so the matrix of the whole is orthogonal: its transpose is its inverse, and energy stays energy.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


def lapped(wave: Tensor, lines: int) -> Tensor:
    """Transform waves (..., T) into blocks (..., B, lines), B = ceil(T / lines); what is missing at the end is zero.

    Args:
        wave: shape (..., T).
        lines: samples of a block and lines of its spectrum, even; line k lies at (k + 1/2) / (2 lines) of the rate.
    """
    blocks = -(-wave.shape[-1] // lines)
    padded = torch.nn.functional.pad(wave, (0, blocks * lines - wave.shape[-1]))
    return dct_iv(_turn(padded.reshape(*padded.shape[:-1], blocks, lines), 1.0))


def unlapped(lines_of: Tensor, length: int) -> Tensor:
    """Transform blocks (..., B, lines) back into waves (..., length): the inverse, and the transpose, of `lapped`."""
    wave: Tensor = _turn(dct_iv(lines_of), -1.0).flatten(-2)[..., :length]
    return wave


def dct_iv(x: Tensor) -> Tensor:
    """Transform the last axis (even length M): sqrt(2/M) sum_n x_n cos(pi/M (n + 1/2)(k + 1/2)), its own inverse.

    By one complex FFT of M/2 points (Britanak, Yip, Rao, *Discrete Cosine and Sine Transforms*, 2007, section 4.4).
    """
    if not x.numel():  # some FFTs refuse to transform nothing
        return x
    size = x.shape[-1]
    twist = _twist(size, x.dtype, x.device)
    folded = torch.complex(x[..., ::2].contiguous(), x[..., 1::2].flip(-1).contiguous()) * twist
    spectrum = torch.fft.fft(folded) * twist * math.sqrt(2 / size)
    both = torch.stack([spectrum.real, -spectrum.imag.flip(-1)], dim=-1)
    turned: Tensor = both.flatten(-2)
    return turned


def _turn(blocks: Tensor, sign: float) -> Tensor:
    """Turn the halves that meet at each border of blocks (..., B, M) into each other by the sine window's angle."""
    count, size = blocks.shape[-2:]
    if count < 2:
        return blocks
    half = size // 2
    high, low = _border(size, blocks.dtype, blocks.device)
    low = sign * low
    after = blocks[..., 1:, :half]
    before = blocks[..., :-1, half:].flip(-1)
    turned = blocks.clone()
    turned[..., 1:, :half] = high * after + low * before
    turned[..., :-1, half:] = (high * before - low * after).flip(-1)
    return turned


@lru_cache(maxsize=32)
def _twist(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Give the turns before and after the FFT of a DCT-IV of so many lines."""
    place = torch.arange(size // 2, device=device, dtype=torch.float64)
    angle = -math.pi * (8 * place + 1) / (8 * size)
    return torch.polar(torch.ones_like(angle), angle).to(torch.complex64 if dtype == torch.float32 else None)


@lru_cache(maxsize=32)
def _border(size: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Give the sines and cosines of the angles by which two blocks of so many samples meet."""
    half = size // 2
    angle = math.pi / (2 * size) * (torch.arange(half, device=device, dtype=torch.float64) + half + 0.5)
    return angle.sin().to(dtype), angle.cos().to(dtype)
