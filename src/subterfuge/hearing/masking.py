"""The masking threshold: how loud a change may be, at each time and frequency, before the sound stops hiding it.

Psychoacoustic model 1 of ISO/IEC 11172-3:1993, Annex D, with frames of about 46 ms at every sampling rate.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from subterfuge.errors import ClipError
from subterfuge.hearing._masking_tables import Tables, tables

FULL_SCALE_DB = 96.0
"""dB SPL of a sine of amplitude 1, unless told otherwise."""
_STANDS_OUT = 10 ** (7 / 10)
_BLOCK = 256


def frame_size(sample_rate: int) -> int:
    """Give the samples of a frame: 2048 at 44.1 kHz, else the power of two nearest to that in duration.

    The ear smears over some tens of milliseconds whatever the sampling rate of the file, so a frame has one
    duration, not one number of samples. Hops are a quarter of it.

    >>> [frame_size(rate) for rate in (8000, 16000, 22050, 32000, 44100, 48000, 88200, 96000)]
    [512, 1024, 1024, 2048, 2048, 2048, 4096, 4096]
    """
    return int(2 ** max(4, round(math.log2(2048 * sample_rate / 44100))))


def cells(wave: Tensor, sample_rate: int) -> Tensor:
    """Cut a wave into cells of time and frequency.

    Args:
        wave: samples, shape (..., T), float32 or float64.
        sample_rate: in Hz.

    Returns:
        The short-time Fourier transform, complex, shape (..., F, frames), F = 1 + `frame_size` // 2, frames =
        1 + T // hop: Hann windows, centred, zeros beyond the ends. A sine of amplitude 1 in the middle of a line
        has the absolute value 1 there. Differentiable.

    Raises:
        ClipError: no samples, or not float32 or float64.
    """
    if not wave.shape or not wave.shape[-1] or wave.dtype not in (torch.float32, torch.float64):
        raise ClipError(
            f"a wave of shape {tuple(wave.shape)} and {wave.dtype} has no masking threshold: "
            "float32 or float64 samples of shape (..., T) with T > 0 were expected"
        )
    n = frame_size(sample_rate)
    window = torch.hann_window(n, dtype=wave.dtype, device=wave.device) * (4 / n)
    flat = wave.reshape(-1, wave.shape[-1])
    spectrum = torch.stft(flat, n, n // 4, window=window, center=True, pad_mode="constant", return_complex=True)
    return spectrum.reshape(*wave.shape[:-1], *spectrum.shape[-2:])


@torch.no_grad()
def masking_threshold(wave: Tensor, sample_rate: int, *, full_scale_db: float = FULL_SCALE_DB) -> Tensor:
    """Give the power below which a change of a cell is masked by the sound.

    Args:
        wave: samples, shape (..., T), float32 or float64, in [-1, 1].
        sample_rate: in Hz.
        full_scale_db: dB SPL of a sine of amplitude 1, so how loud the sound is played.

    Returns:
        Shape (..., F, frames), in the unit of abs(`cells`)**2: 10 log10 of it + `full_scale_db` is dB SPL.

    Raises:
        ClipError: as `cells`.
    """
    spectrum = cells(wave, sample_rate)
    power = spectrum.mT.reshape(-1, spectrum.shape[-2]).abs().square() * 10 ** (full_scale_db / 10)
    known = tables(sample_rate, frame_size(sample_rate), wave.device, wave.dtype)
    threshold = torch.cat([_heard(block, known) for block in torch.split(power, _BLOCK)]) * 10 ** (-full_scale_db / 10)
    return threshold.reshape(*wave.shape[:-1], spectrum.shape[-1], -1).mT


def _heard(power: Tensor, known: Tables) -> Tensor:
    """Give the global threshold of frames (B, F), powers re 0 dB SPL."""
    threshold = known.quiet.repeat(len(power), 1)
    frame, line, tone, noise = _maskers(power, known)
    for band, slot in enumerate(known.noise):
        reached = threshold[:, slot.below : slot.above]
        reached += torch.addcmul(slot.a, slot.b, noise[:, band, None]).exp_()
    halves = known.half_barks[line]
    for half, slot in enumerate(known.tonal):
        here = (halves == half).nonzero()[:, 0]
        if len(here):
            row = line[here] - slot.first
            alone = torch.addcmul(slot.a[row], slot.b[row], tone[here, None]).exp_()
            threshold[:, slot.below : slot.above].index_add_(0, frame[here], alone)
    return threshold


def _maskers(power: Tensor, known: Tables) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Find the maskers of frames (B, F): of tonal ones frame, line and level, each (M,); noise levels (B, bands).

    Levels in dB SPL; -inf where a band has no noise masker.
    """
    tonal = torch.zeros_like(power, dtype=torch.bool)
    for first, last, reach in known.rows:

        def beside(j: int, first: int = first, last: int = last) -> Tensor:
            return power[:, first + j : last + 1 + j]

        around = torch.maximum(beside(-2), beside(2))
        for j in range(3, reach + 1):
            around = torch.maximum(around, torch.maximum(beside(-j), beside(j)))
        here = beside(0)
        tonal[:, first : last + 1] = (
            (here > beside(-1)) & (here >= beside(1)) & (here >= _STANDS_OUT * around) & (here > 0)
        )
    frame, line = tonal.nonzero(as_tuple=True)
    tone = power[frame, line - 1] + power[frame, line] + power[frame, line + 1]

    edges = power.new_zeros(len(power), power.shape[1] + 1)
    one = power.new_ones(len(line))
    edges.index_put_((frame, line - known.reach[line]), one, accumulate=True)
    edges.index_put_((frame, line + known.reach[line] + 1), -one, accumulate=True)
    noise = torch.where(edges.cumsum(-1)[:, :-1] > 0.5, 0, power) @ known.bands
    noise = torch.where(noise >= known.quiet[known.noise_lines], noise, 0)

    heard = (tone >= known.quiet[line]).nonzero()[:, 0]
    frame, line, tone = frame[heard], line[heard], tone[heard]
    stays = torch.ones_like(line, dtype=torch.bool)
    for apart in range(1, known.crowd + 1):
        near = (frame[apart:] == frame[:-apart]) & (line[apart:] <= known.near[line[:-apart]])
        louder = tone[apart:] > tone[:-apart]
        stays[:-apart] &= ~(near & louder)
        stays[apart:] &= ~(near & ~louder)
    kept = stays.nonzero()[:, 0]
    return frame[kept], line[kept], tone[kept].log10() * 10, noise.log10() * 10
