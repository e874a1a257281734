"""The masking threshold: how loud a change may be, at each time and frequency, before the sound stops hiding it.

Psychoacoustic model 1 of ISO/IEC 11172-3:1993, Annex D, with frames of about 46 ms at every sampling rate.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from subterfuge.dsp.framing import checked
from subterfuge.dsp.memory import keep_freed_memory
from subterfuge.hearing._masking_maskers import Maskers, maskers
from subterfuge.hearing._masking_tables import Tables, tables

FULL_SCALE_DB = 96.0
"""dB SPL of a sine of amplitude 1, unless told otherwise."""
_BLOCK = 320
"""Frames at a time, so that what is in work stays in the cache."""


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
    flat = checked(wave).reshape(-1, wave.shape[-1])
    n = frame_size(sample_rate)
    window = torch.hann_window(n, dtype=wave.dtype, device=wave.device) * (4 / n)
    spectrum = torch.stft(flat, n, n // 4, window=window, center=True, pad_mode="constant", return_complex=True)
    return spectrum.reshape(*wave.shape[:-1], *spectrum.shape[-2:])


@torch.no_grad()
def masking_threshold(wave: Tensor, sample_rate: int, *, full_scale_db: float = FULL_SCALE_DB) -> Tensor:
    """Give the power below which a change of a cell is masked by the sound.

    Args:
        wave: finite samples, shape (..., T), float32 or float64, in [-1, 1].
        sample_rate: in Hz.
        full_scale_db: dB SPL of a sine of amplitude 1, so how loud the sound is played. A fixed reference: scaling the
            strongest line of a clip to it would let a quiet clip hide as much as a loud one.

    Returns:
        Shape (..., F, frames), above 0, in the unit of abs(`cells`)**2: 10 log10 of it + `full_scale_db` is dB SPL.
        No gradient flows through it: it belongs to the clean sound.

    Raises:
        ClipError: as `cells`.

    Source: ISO/IEC 11172-3:1993, clause D.1, steps 1 to 7. Where we differ: formulas in place of its tables of Barks
    and of the threshold in quiet; thresholds at every line, not at every second, fourth or eighth of the high ones;
    the threshold in quiet is not lowered for high bit rates. As there, a masker's level is the plain sum of its lines,
    which for a Hann window is 1.76 dB above that of a sine.
    """
    keep_freed_memory()
    spectrum = cells(wave, sample_rate).mT
    frames = spectrum.reshape(-1, spectrum.shape[-1])
    known = tables(sample_rate, frame_size(sample_rate), wave.device, wave.dtype)
    threshold = known.quiet.repeat(len(frames), 1)
    scale = 10 ** (full_scale_db / 10)
    for block, masked in zip(torch.split(frames, _BLOCK), torch.split(threshold, _BLOCK), strict=True):
        _add_masked(masked, maskers((block.real.square() + block.imag.square()).mul_(scale), known), known)
    return threshold.div_(scale).reshape(spectrum.shape).mT


def _add_masked(threshold: Tensor, found: Maskers, known: Tables) -> None:
    """Add the individual masking thresholds of all maskers to a threshold (B, F) in place, powers re 0 dB SPL.

    Each masker reaches 11 Barks at most, so those of one critical band, or of one stretch of half a Bark, are worked
    out on the lines that they reach and no others. A frame has one tonal masker at most in half a Bark, so no two are
    added to the same cells at once.
    """
    for band, slot in enumerate(known.noise):
        level = found.noise[:, band, None]
        threshold[:, slot.below : slot.above] += torch.addcmul(slot.a, slot.b, level).exp2_()
    places = known.half_barks[found.line]
    order = places.argsort(stable=True)
    counts = torch.bincount(places, minlength=len(known.tonal)).tolist()
    sorts = (torch.split(x[order], counts) for x in (found.frame, found.line, found.tone))
    for slot, frame, line, level in zip(known.tonal, *sorts, strict=True):
        if len(frame):
            a, b = (x.index_select(0, line - slot.first) for x in (slot.a, slot.b))
            reached = threshold[:, slot.below : slot.above]
            alone = a.addcmul_(b, level[:, None]).exp2_()
            reached.index_copy_(0, frame, alone.add_(reached.index_select(0, frame)))
