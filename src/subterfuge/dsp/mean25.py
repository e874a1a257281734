"""The first victim's 25 averaged librosa features from one transform a clip, and their gradient by hand.

Each row is taken by itself: one clip's arrays stay in the processor's cache, a batch's do not, and no clip
can feel its neighbours. The gradient is the chain rule written out, with frames t, bins k, magnitudes S,
powers P = S²::

    ∂(mean centroid)/∂S  = (f - c) / s F                 s = Σ_k S, c the frame's centroid, F frames
    ∂(mean bandwidth)/∂S = ((f - c)² - b²) / 2 b s F     b its bandwidth
    ∂(mean rolloff)/∂S, ∂(mean crossings)/∂y             the surrogates of `rolloff` and `crossings`
    ∂(mean dB of band)/∂P = 10 / ln 10 · filter / F mel  0 below amin; bands clamped to top_db pass it to the
    loudest

and then ∂/∂X = X (∂/∂S / S + 2 ∂/∂P) for the spectrum X, whose way back is one inverse transform and an
overlap-add.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from subterfuge.dsp.constants import bin_hz, dct_matrix, mel_filters, window_of
from subterfuge.dsp.crossings import THRESHOLD, ZERO_WIDTH, crossed, softened_gradient, views, widths
from subterfuge.dsp.framing import checked, overlap_add
from subterfuge.dsp.memory import keep_freed_memory
from subterfuge.dsp.rolloff import ROLL_BINS, ROLL_PERCENT, below, pull_of, roll_up, soft_place
from subterfuge.dsp.spectral import QUIET

N_FFT, HOP, BLOCKS = 2048, 512, 4
N_MELS, N_MFCC = 128, 20
AMIN, TOP_DB = 1e-10, 80.0
CLEAN = 3e-13
"""Rounding in a float32 transform makes noise of 1e-17 to 1e-16 of a frame's power in each bin; this is well above."""
MANY = 100  # frames


@dataclass(frozen=True)
class _Tables:
    """What depends on rate, length, precision and surrogate only."""

    window: Tensor  # (n_fft,), float64
    hz: Tensor  # (bins,)
    g: Tensor  # (bins,): frequency in Nyquists, less a half
    g_squared: Tensor
    mel: tuple[tuple[slice, slice, Tensor], ...]  # some mels, the bins under them, their filters (bins, mels)
    per_bin: Tensor  # (n_mels,): one over the sum of each filter, 0 if it is empty
    empty: Tensor  # (n_mels,): infinity where a filter is empty, else 0
    dct: Tensor  # (n_mfcc, n_mels), float64
    seen: Tensor  # (T - 1,): frames that see a crossing
    roll_bins: int
    zero_width: float


@lru_cache(maxsize=16)
def _tables(
    rate: float, length: int, dtype: torch.dtype, device: torch.device, roll_bins: int, zero_width: float
) -> _Tables:
    hz = bin_hz(rate, N_FFT, dtype, device)
    filters = mel_filters(rate, N_FFT, N_MELS, 0.0, None, False, "slaney", dtype, device)
    mel = []
    for first, last in pairwise((0, 32, 64, 96, 112, N_MELS)):  # filters are narrow: multiply few zeros
        used = filters[first:last].any(0).nonzero().flatten()
        bins = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1)
        mel.append((slice(first, last), bins, filters[first:last, bins].T.contiguous()))
    area = filters.sum(-1)
    g = hz / hz[-1] - 0.5
    return _Tables(
        window=window_of("hann", N_FFT, N_FFT, device),
        hz=hz,
        g=g,
        g_squared=g * g,
        mel=tuple(mel),
        per_bin=torch.where(area > 0, 1 / area, 0.0),
        empty=torch.where(area > 0, 0.0, torch.inf).to(dtype),
        dct=dct_matrix(N_MFCC, N_MELS, True, torch.float64, device),
        seen=views(length, N_FFT, HOP, True, dtype, device),
        roll_bins=roll_bins,
        zero_width=zero_width,
    )


def _power(spectrum: Tensor) -> Tensor:
    squares = torch.view_as_real(spectrum).square()
    return squares[..., 0] + squares[..., 1]


def _mel(power: Tensor, tables: _Tables) -> Tensor:
    return torch.cat([power[:, bins] @ filters for _, bins, filters in tables.mel], -1)


def _spectra(padded: Tensor, tables: _Tables) -> tuple[Tensor, Tensor, Tensor]:
    """Give spectrum X (F, bins), magnitudes S (F, bins) and mel bands (F, mels) of a padded wave.

    librosa transforms in float64. float32 will do, and takes half the time, but for clips too short to average
    its rounding away, and for frames with bands so empty that it would fill them, as a pure tone has. Those are
    transformed in float64.
    """
    frames = padded.unfold(0, N_FFT, HOP)
    if padded.dtype == torch.float32 and len(frames) >= MANY:
        spectrum = torch.fft.rfft(frames * tables.window.to(padded.dtype))
        power = _power(spectrum)
        mel = _mel(power, tables)
        magnitude = power.sqrt()
        emptiest = torch.addcmul(tables.empty, mel, tables.per_bin).amin(-1)
        again = (emptiest <= CLEAN * power.sum(-1)).nonzero().squeeze(-1)
        if len(again):
            spectrum[again], magnitude[again], mel[again] = _exact_spectra(frames[again], tables)
        return spectrum, magnitude, mel
    return _exact_spectra(frames, tables)


def _exact_spectra(frames: Tensor, tables: _Tables) -> tuple[Tensor, Tensor, Tensor]:
    exact = torch.fft.rfft(frames * tables.window)
    power = _power(exact)
    spectrum = exact.to(torch.complex64 if frames.dtype == torch.float32 else torch.complex128)
    return spectrum, power.sqrt().to(frames.dtype), _mel(power.to(frames.dtype), tables)


def _forward(wave: Tensor, tables: _Tables, keep: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Give the 25 means of one wave (T,) and, to keep, what its gradient needs."""
    length, frames = len(wave), 1 + len(wave) // HOP
    padded = wave.new_zeros((frames + BLOCKS - 1) * HOP)
    padded[N_FFT // 2 : N_FFT // 2 + length] = wave

    energy = padded.view(-1, HOP).square().sum(-1)
    rms = (energy.unfold(0, BLOCKS, 1).sum(-1) / N_FFT).sqrt()
    rate = torch.dot(crossed(wave, THRESHOLD, True).to(wave.dtype), tables.seen) / (N_FFT * frames)

    spectrum, magnitude, mel = _spectra(padded, tables)
    total = magnitude.sum(-1)
    norm = torch.where(total < torch.finfo(wave.dtype).tiny, 1.0, total)
    rough = (magnitude @ tables.hz) / norm
    deviation = tables.hz - rough[:, None]
    moment = deviation * magnitude
    off = torch.where(total < QUIET, 0.0, moment.sum(-1) / norm)  # what rounding left in the centroid
    centroid = rough + off
    variance = (moment.mul_(deviation).sum(-1) / norm - off.square()).clamp_min_(0)
    bandwidth = variance.sqrt()
    rolled, reached, whole = roll_up(magnitude, ROLL_PERCENT)
    rolloff = tables.hz[rolled.squeeze(-1)]

    db = mel.clamp_min(AMIN).log10_().mul_(10)
    peak = db.max()
    mfcc = tables.dct @ db.clamp_min(peak - TOP_DB).mean(0).double()

    features = torch.cat([torch.stack([rms, centroid, bandwidth, rolloff]).mean(-1), rate[None], mfcc.to(wave.dtype)])
    if not keep:
        return features, ()
    place, slope = soft_place(magnitude, rolled, reached, whole, ROLL_PERCENT, tables.roll_bins)
    rolling = pull_of(slope, whole, magnitude.shape[-1]) * (tables.hz[1] / frames)
    heard = torch.where(total < QUIET, 0.0, 1 / (norm * frames))
    bands = _decibel_slopes(mel, db, peak)
    saved = wave, energy, rms, spectrum, magnitude, heard, centroid, bandwidth, place, rolling, *bands
    return features, saved


def _decibel_slopes(mel: Tensor, db: Tensor, peak: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give dB per power (F, mels), how often each mel is clamped (mels,), and where the peak is (n, 2)."""
    clamped = db < peak - TOP_DB
    ten_by_ln10 = 4.342944819032518
    slope = torch.where(clamped | (mel <= AMIN), 0.0, ten_by_ln10 / mel)
    return slope, clamped.sum(0, dtype=mel.dtype), (db == peak).nonzero()


def _by_band(g: Tensor, slope: Tensor, clamped: Tensor, loudest: Tensor, dct: Tensor) -> Tensor:
    """Give the gradient (F, mels) by the power in each band, for g (20,) by the mean MFCC."""
    by_mean = (g.double() @ dct / len(slope)).to(g.dtype)
    gradient = slope * by_mean
    at = loudest.unbind(1)
    gradient[at] += slope[at] * ((clamped @ by_mean) / len(loudest))
    return gradient


def _gradient(g: Tensor, saved: tuple[Tensor, ...], tables: _Tables) -> Tensor:
    """Give the gradient (T,) of g · features for one wave, for g (25,)."""
    wave, energy, rms, spectrum, magnitude, heard, centroid, bandwidth, place, rolling, *bands = saved
    db_slope, clamped, loudest = bands
    length, frames, nyquist = len(wave), len(rms), tables.hz[-1]

    # centroid, bandwidth and the constant part of rolloff are a parabola over the bins of each frame
    c = centroid / nyquist - 0.5
    line = g[1] * heard * nyquist
    steep = torch.where(bandwidth > 0, g[2] * heard / (2 * bandwidth), 0.0) * nyquist**2
    roll = g[3] * rolling
    constant = steep * (c.square() - (bandwidth / nyquist).square()) - line * c + ROLL_PERCENT * roll[:, 0]
    factor = below(place, len(tables.hz), tables.roll_bins).mul_(-roll).add_(constant[:, None])
    factor.addcmul_((line - 2 * c * steep)[:, None], tables.g).addcmul_(steep[:, None], tables.g_squared)
    factor /= magnitude.clamp_min(1e-19)  # where S is 0 so is X

    by_band = _by_band(g[5:], db_slope, clamped, loudest, tables.dct)
    for mels, bins, filters in tables.mel:
        factor[:, bins].addmm_(by_band[:, mels], filters.T, alpha=2)

    # the inverse transform counts inner bins twice, as a real signal has them; a gradient has them once
    factor[:, 0] *= 2
    factor[:, -1] *= 2
    by_spectrum = torch.empty_like(spectrum)  # part by part, 5 times as fast as complex times real
    torch.mul(spectrum.real, factor, out=by_spectrum.real)
    torch.mul(spectrum.imag, factor, out=by_spectrum.imag)
    parts = torch.fft.irfft(by_spectrum, n=N_FFT, norm="forward")
    parts *= tables.window.to(wave.dtype) / 2
    here = slice(N_FFT // 2, N_FFT // 2 + length)
    out = overlap_add(parts, HOP, (frames + BLOCKS - 1) * HOP)[here]

    per_frame = torch.where(rms > 0, g[0] / (N_FFT * frames * rms), 0.0)
    per_block = pad(per_frame, (BLOCKS - 1, BLOCKS - 1)).unfold(0, BLOCKS, 1).sum(-1)
    out.addcmul_(per_block.repeat_interleave(HOP)[here], wave)

    width = widths(energy[None], HOP, N_FFT // 2 + length, tables.zero_width)[0, here]
    return out.addcmul_(softened_gradient(wave, width, tables.seen), g[4] / (N_FFT * frames))


class _Mean25(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, wave: Tensor, rate: float, roll_bins: int, zero_width: float) -> Tensor:
        keep = ctx.needs_input_grad[0]
        ctx.tables = _tables(rate, wave.shape[-1], wave.dtype, wave.device, roll_bins, zero_width)
        rows = [_forward(row, ctx.tables, keep) for row in wave]
        ctx.save_for_backward(*[tensor for _, saved in rows for tensor in saved])
        return torch.stack([features for features, _ in rows])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (g,) = gradients
        saved, each = ctx.saved_tensors, len(ctx.saved_tensors) // len(g)
        rows = [_gradient(g[i], saved[i * each : (i + 1) * each], ctx.tables) for i in range(len(g))]
        return torch.stack(rows), None, None, None


def librosa_mean_25(
    wave: Tensor, sample_rate: float, *, roll_bins: int = ROLL_BINS, zero_width: float = ZERO_WIDTH
) -> Tensor:
    """Average rms, centroid, bandwidth, rolloff, zero crossing rate and 20 MFCC over the frames of each clip.

    Args:
        wave: samples, shape (..., T) with T at least 1, float32 or float64.
        sample_rate: Hz.
        roll_bins: m of the surrogate gradient of rolloff (see `rolloff`).
        zero_width: τ of the surrogate gradient of the zero crossing rate (see `crossings`).

    Returns:
        shape (..., 25), in that order; the second to fourth in Hz. Differentiable once; the gradient is
        finite everywhere, and leaves out frames whose magnitudes sum to less than 1e-10.

    Raises:
        ClipError: no samples, or no floats.

    Source: librosa.feature's rms, spectral_centroid, spectral_bandwidth, spectral_rolloff (0.85),
    zero_crossing_rate and mfcc, with their defaults (2048 / 512, centred).
    """
    keep_freed_memory()
    flat = checked(wave).reshape(-1, wave.shape[-1])
    if not len(flat):
        return wave.new_zeros(*wave.shape[:-1], 25)
    knobs = float(sample_rate), roll_bins, zero_width
    features: Tensor = _Mean25.apply(flat, *knobs)  # type: ignore[no-untyped-call]
    return features.reshape(*wave.shape[:-1], 25)
