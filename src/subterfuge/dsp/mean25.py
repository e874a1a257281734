"""The 25 averaged librosa features of the first victim, from one transform a clip, with a backward made by hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from subterfuge.dsp.constants import bin_hz, dct_matrix, hann, mel_filters

N_FFT, HOP, BLOCKS = 2048, 512, 4
ROLL, N_MELS, N_MFCC = 0.85, 128, 20
AMIN, TOP_DB = 1e-10, 80.0
QUIET = 1e-10
ROLL_BINS = 8
ZERO_WIDTH = 0.1
ZERO_FLOOR = 1e-5
DB = 4.342944819032518  # 10 / ln 10


@dataclass(frozen=True)
class _Tables:
    window: Tensor  # (n_fft,), float64
    hz: Tensor  # (bins,)
    moments: Tensor  # (bins, 2): 1 and hz
    mel: tuple[
        tuple[int, int, int, int, Tensor], ...
    ]  # bands: first mel, last, first bin, last, (bins, mels)
    dct: Tensor  # (n_mfcc, n_mels)


@lru_cache(maxsize=16)
def _tables(sample_rate: float, dtype: torch.dtype, device: torch.device) -> _Tables:
    hz = bin_hz(sample_rate, N_FFT, dtype, device)
    filters = mel_filters(sample_rate, N_FFT, N_MELS, 0.0, None, False, "slaney", dtype, device)
    bands = []
    edges = (0, 48, 80, 104, 120, N_MELS)
    for first, last in zip(edges, edges[1:], strict=False):
        used = filters[first:last].any(0).nonzero().flatten()
        lo, hi = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
        bands.append((first, last, lo, hi, filters[first:last, lo:hi].T.contiguous()))
    return _Tables(
        window=hann(N_FFT, torch.float64, device),
        hz=hz,
        moments=torch.stack([torch.ones_like(hz), hz], 1),
        mel=tuple(bands),
        dct=dct_matrix(N_MFCC, N_MELS, True, dtype, device),
    )


@lru_cache(maxsize=16)
def _crossing_weights(length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Count the frames that see the step from sample i - 1 to sample i, shape (length - 1,), for i = 1 .. length - 1."""
    place = torch.arange(1, length) + N_FFT // 2
    frames = 1 + length // HOP
    last = ((place - 1) // HOP).clamp_max(frames - 1)
    first = ((place - N_FFT + HOP) // HOP).clamp_min(0)
    return (last - first + 1).clamp_min(0).to(device, dtype)


def _forward(wave: Tensor, tables: _Tables) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Give the 25 means of one wave (T,), and what its backward needs."""
    length, frames = wave.shape[0], 1 + wave.shape[0] // HOP
    padded = wave.new_zeros((frames + BLOCKS - 1) * HOP)
    padded[N_FFT // 2 : N_FFT // 2 + length] = wave

    energy = padded.view(-1, HOP).square().sum(-1)
    rms = (energy.unfold(0, BLOCKS, 1).sum(-1) / N_FFT).sqrt()

    below = wave < -1e-10
    steps = below[1:] != below[:-1]
    crossings = torch.dot(steps.to(wave.dtype), _crossing_weights(length, wave.dtype, wave.device))

    spectrum = torch.fft.rfft(padded.double().unfold(0, N_FFT, HOP) * tables.window)
    power = torch.addcmul(spectrum.real.square(), spectrum.imag, spectrum.imag).to(wave.dtype)
    magnitude = power.sqrt()

    total, first = (magnitude @ tables.moments).unbind(-1)
    norm = torch.where(total < torch.finfo(wave.dtype).tiny, 1.0, total)
    centroid = first / norm
    deviation = tables.hz - centroid[:, None]
    variance = deviation.square_().mul_(magnitude).sum(-1) / norm
    bandwidth = variance.sqrt()
    cumulative = magnitude.cumsum(-1)
    rolled = torch.searchsorted(cumulative, ROLL * cumulative[:, -1:])
    rolloff = tables.hz[rolled.squeeze(-1)]

    mel = torch.cat([power[:, lo:hi] @ weights for _, _, lo, hi, weights in tables.mel], -1)
    loudness = mel.clamp_min(AMIN).log10_().mul_(10)
    floor = loudness.max() - TOP_DB
    mfcc = tables.dct @ loudness.clamp_min(floor).mean(0)

    rate = crossings / (N_FFT * frames)
    five = torch.stack([rms.mean(), centroid.mean(), bandwidth.mean(), rolloff.mean(), rate])
    saved = (
        wave,
        rms,
        energy,
        spectrum.to(torch.complex64 if wave.dtype == torch.float32 else torch.complex128),
        magnitude,
        norm,
        centroid,
        variance,
        bandwidth,
        cumulative,
        rolled,
        mel,
        loudness,
        floor,
    )
    return torch.cat([five, mfcc]), saved


def _backward(g: Tensor, saved: tuple[Tensor, ...], tables: _Tables) -> Tensor:
    """Give the gradient (T,) of ``g · features`` for one wave."""
    (
        wave,
        rms,
        energy,
        spectrum,
        magnitude,
        norm,
        centroid,
        variance,
        bandwidth,
        cumulative,
        rolled,
        mel,
        loudness,
        floor,
    ) = saved
    length, frames = wave.shape[0], rms.shape[0]
    bins = magnitude.shape[1]

    # centroid and bandwidth: (f - c) / s, ((f - c)² - v) / 2 b s
    heard = norm.gt(QUIET) & magnitude.any(-1)
    inverse = torch.where(heard, 1 / (norm * frames), 0.0)
    beta = torch.where(bandwidth > 0, g[2] * inverse / (2 * bandwidth), 0.0)[:, None]
    deviation = tables.hz - centroid[:, None]
    by_magnitude = (
        deviation.mul(beta).add_((g[1] * inverse)[:, None]).mul_(deviation).sub_(beta * variance[:, None])
    )

    # rolloff surrogate
    m, w = ROLL_BINS, 2 * ROLL_BINS + 1
    place = rolled + torch.arange(-2 * m - 2, 2 * m + 2, device=rolled.device)
    window = cumulative.gather(1, place.clamp(0, bins - 1)).masked_fill_(place < 0, 0.0)
    smooth = window.unfold(1, w, 1).mean(-1)
    wanted = ROLL * cumulative[:, -1:]
    upper = torch.searchsorted(smooth, wanted).clamp(1, smooth.shape[1] - 1)
    low, high = smooth.gather(1, upper - 1), smooth.gather(1, upper)
    density = high - low
    at = rolled + (upper - m - 2 - 1) + (wanted - low) / density
    slope = torch.where(heard[:, None] & (density > 0), g[3] * tables.hz[1] / (frames * density), 0.0)
    at = torch.where(slope != 0, at, 0.0)
    ramp = (at + m + 1) / w - torch.arange(bins, device=at.device, dtype=at.dtype) / w
    by_magnitude.add_(ramp.clamp_(0, 1).neg_().add_(ROLL).mul_(slope))

    # cepstrum
    by_mean = (tables.dct.T @ g[5:]) / frames
    clamped = loudness < floor
    by_loudness = by_mean.expand_as(loudness).masked_fill(clamped, 0.0)
    by_loudness = by_loudness.contiguous()
    by_loudness.view(-1)[loudness.argmax()] += (clamped.to(g.dtype) @ by_mean).sum()
    by_mel = torch.where(mel > AMIN, by_loudness * (2 * DB) / mel, 0.0)
    scale = by_magnitude.div_(magnitude).masked_fill_(magnitude == 0, 0.0)
    for first, last, lo, hi, weights in tables.mel:
        scale[:, lo:hi].addmm_(by_mel[:, first:last], weights.T)

    scale[:, 0] *= 2
    scale[:, -1] *= 2
    parts = torch.fft.irfft(spectrum * scale, n=N_FFT, norm="forward")
    parts.mul_(tables.window.to(parts.dtype) / 2)
    out = wave.new_zeros(frames + BLOCKS - 1, HOP)
    for block in range(BLOCKS):
        out[block : block + frames] += parts[:, block * HOP : (block + 1) * HOP]
    out = out.view(-1)[N_FFT // 2 : N_FFT // 2 + length]

    # rms
    per_frame = torch.where(rms > 0, g[0] / (N_FFT * frames * rms), 0.0)
    edge = per_frame.new_zeros(BLOCKS - 1)
    per_block = torch.cat([edge, per_frame, edge]).unfold(0, BLOCKS, 1).sum(-1)
    per_sample = per_block.repeat_interleave(HOP)[N_FFT // 2 : N_FFT // 2 + length]
    out.addcmul_(per_sample, wave)

    # zero crossings surrogate
    local = torch.nn.functional.avg_pool1d(energy[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
    width = ((local / HOP).sqrt() * ZERO_WIDTH + ZERO_FLOOR).repeat_interleave(HOP)
    width = width[N_FFT // 2 : N_FFT // 2 + length]
    sign = (wave / width).tanh_()
    weights25 = _crossing_weights(length, wave.dtype, wave.device)
    pull = torch.zeros_like(wave)
    pull[1:].addcmul_(sign[:-1], weights25)
    pull[:-1].addcmul_(sign[1:], weights25)
    pull.mul_((1 - sign.square()) / width)
    return out.add_(pull.mul_(g[4] * (-0.5 / (N_FFT * frames))))


class _Mean25(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, wave: Tensor, sample_rate: float) -> Tensor:
        tables = _tables(sample_rate, wave.dtype, wave.device)
        rows = [_forward(row, tables) for row in wave]
        if ctx.needs_input_grad[0]:
            ctx.tables = tables
            ctx.save_for_backward(*[tensor for _, saved in rows for tensor in saved])
        return torch.stack([features for features, _ in rows])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        saved = ctx.saved_tensors
        each = len(saved) // len(gradient)
        rows = [_backward(g, saved[i * each : (i + 1) * each], ctx.tables) for i, g in enumerate(gradient)]
        return torch.stack(rows), None


def librosa_mean_25(wave: Tensor, sample_rate: float) -> Tensor:
    """Average librosa's rms, centroid, bandwidth, rolloff, zero crossing rate and 20 MFCC over each clip's frames.

    Args:
        wave: samples, shape (..., T), T at least 1, float32 or float64.
        sample_rate: Hz.

    Returns:
        shape (..., 25), in the order of the first line; Hz for the second to fourth, crossings a sample for the fifth.
    """
    flat = wave.reshape(-1, wave.shape[-1])
    features: Tensor = _Mean25.apply(flat, float(sample_rate))  # type: ignore[no-untyped-call]
    return features.reshape(*wave.shape[:-1], 25)
