"""The spectral gate of noisereduce in torch: its numbers, and a gradient from wave to wave.

Each bin of a spectrogram is held against its own slow mean over time. Where it stands well above that mean it passes,
elsewhere it is closed: a steady sound is noise, and what comes and goes is kept. Source: noisereduce 3, the class
`SpectralGateNonStationary` with the defaults of `reduce_noise` (Sainburg, https://github.com/timsainb/noisereduce;
Sainburg, Thielk, Gentner 2020, https://doi.org/10.1371/journal.pcbi.1008228).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from subterfuge.dsp.constants import window_of
from subterfuge.dsp.framing import checked, overlap_add, windowed_frames

CHUNK, PADDING = 600_000, 30_000
"""Longer sounds are gated in pieces of so many samples, each with so many of its neighbours, or zeros, at both ends."""
N_FFT, HOP = 1024, 256
MEAN_SECONDS = 2.0
"""Time constant of the mean that a bin is held against."""
SMOOTH_HZ, SMOOTH_MS = 500, 50
"""How far the mask is smoothed to each side."""
OPENS_AT, SLOPE = 2.0, 10.0
"""The gate is half open where a bin is (1 + OPENS_AT) times its mean; how sharply it opens there."""
BLOCK = 32
"""Frames that the recursion takes at a time."""


def reach(sample_rate: int) -> tuple[int, int]:
    """Give how many frames and how many bins the mask is smoothed to each side; 0 is a rate that noisereduce refuses.

    >>> reach(44100), reach(4000), reach(300000)
    ((8, 5), (0, 64), (58, 0))
    """
    return int(SMOOTH_MS / (HOP / sample_rate * 1000)), int(SMOOTH_HZ / (sample_rate / (N_FFT / 2)))


def spectral_gate(wave: Tensor, sample_rate: int) -> Tensor:
    """Gate waves (N, T), each by itself, at a rate of 5120 to 256000 Hz: (N, T), of their dtype, with a gradient.

    It computes in float64, as the library does: where a bin holds next to nothing, the gate follows that nothing. Of
    digital silence the library makes NaN, 0 by 0; here it stays silence.
    """
    length = checked(wave).shape[-1]
    if length <= CHUNK:
        return _gated(wave, PADDING, PADDING, sample_rate)
    pieces = []
    for start in range(0, length, CHUNK):
        stop = min(start + CHUNK, length)
        first, last = max(start - PADDING, 0), min(stop + PADDING, length)
        before, after = first - (start - PADDING), (start + CHUNK + PADDING) - last
        pieces.append(_gated(wave[..., first:last], before, after, sample_rate)[..., start - first : stop - first])
    return torch.cat(pieces, dim=-1)


def _gated(wave: Tensor, before: int, after: int, sample_rate: int) -> Tensor:
    """Gate a piece (..., T) that stands between so many zeros: (..., T).

    Frame k holds the samples from 256 k - 512 on, counted from the first of those zeros. Only frames that reach into
    the piece are computed: what the others do to the mean is known.
    """
    length, half = wave.shape[-1], N_FFT // 2
    frames = 1 + (before + length + after) // HOP
    first = max(0, (before - half) // HOP + 1)
    last = min(frames - 1, (before + length + half - 1) // HOP)
    lead = before + half - first * HOP
    span = (last - first) * HOP + N_FFT
    window = window_of("hann", N_FFT, N_FFT, wave.device)
    spectrum = torch.fft.rfft(windowed_frames(pad(wave, (lead, span - lead - length)), window, HOP))
    size = spectrum.abs()
    mean = _slow_mean(size, first, frames - 1 - last, MEAN_SECONDS * sample_rate / HOP)
    mask = torch.sigmoid(SLOPE * (size / mean.where(mean > 0, 1.0) - (1.0 + OPENS_AT)))
    for axis, width in zip((-2, -1), reach(sample_rate), strict=True):
        mask = _smoothed(mask, width, axis)
    heard = overlap_add(torch.fft.irfft(spectrum * mask, n=N_FFT) * window, HOP, span)
    overlap = window.square().sum() / HOP  # the squares of windows a quarter apart add up to a constant
    return (heard[..., lead : lead + length] / overlap).to(wave.dtype)


def _slow_mean(size: Tensor, before: int, after: int, frames: float) -> Tensor:
    """Run y[k] = y[k-1] + b (x[k] - y[k-1]) over frames (..., F, bins), then back over its own result.

    Each pass begins at rest on the first value that it meets, and so many frames of zeros stand before and after.
    `scipy.signal.filtfilt` without padding. Source of b: noisereduce, from the time constant in frames, at which the
    squared response of the two passes is about one half.
    """
    b = ((1 + 4 * frames**2) ** 0.5 - 1) / (2 * frames**2)
    c = 1 - b
    rest = size[..., 0, :] if before == 0 else torch.zeros_like(size[..., 0, :])
    there = _recursion(size, rest, b)
    end = there[..., -1, :]
    # beyond the last frame y falls as c^k; the pass back meets these, from a rest at c^after of the end
    rest = end * (b * c * (1 - c ** (2 * after)) / (1 - c * c) + c ** (2 * after))
    return _recursion(there.flip(-2), rest, b).flip(-2)


def _recursion(x: Tensor, rest: Tensor, b: float) -> Tensor:
    """Run y[k] = (1 - b) y[k-1] + b x[k] over the rows of x (..., F, bins), y[-1] = rest (..., bins).

    Within a block it is a product with a triangular matrix, and so is the way from one block's end to the next.
    """
    rows = x.shape[-2]
    blocks = -(-rows // BLOCK)
    x = pad(x, (0, 0, 0, blocks * BLOCK - rows)).reshape(*x.shape[:-2], blocks, BLOCK, x.shape[-1])
    within = b * (_powers(BLOCK, 1 - b, x.device) @ x)
    ends = torch.cat([rest.unsqueeze(-2), within[..., :-1, -1, :]], dim=-2)
    carried = _powers(blocks, (1 - b) ** BLOCK, x.device) @ ends
    fall = (1 - b) ** torch.arange(1, BLOCK + 1, dtype=x.dtype, device=x.device)
    return (within + fall[:, None] * carried.unsqueeze(-2)).flatten(-3, -2)[..., :rows, :]


@lru_cache(maxsize=32)
def _powers(size: int, c: float, device: torch.device) -> Tensor:
    """Give the triangle of c^(i - j), i at least j, float64 (size, size)."""
    k = torch.arange(size, dtype=torch.float64, device=device)
    return torch.tril(c ** (k[:, None] - k).clamp_min(0))


def _smoothed(mask: Tensor, width: int, axis: int) -> Tensor:
    """Take the mean with triangular weights over `width` places to each side, zeros beyond: of the mask's shape.

    The triangle is two plain means over width + 1 places in a row, each a difference of running sums.
    """
    places = width + 1
    around = (width, width) if axis == -1 else (0, 0, width, width)
    before = (1, 0) if axis == -1 else (0, 0, 1, 0)
    mask = pad(mask, around)
    for _ in range(2):
        sums = pad(mask, before).cumsum(axis)
        count = sums.shape[axis] - places
        mask = (sums.narrow(axis, places, count) - sums.narrow(axis, 0, count)) / places
    return mask
