"""ONNX operators in torch that make spectra: STFT, DFT, windows, mel filters.

Each follows the operator's page at https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from subterfuge.victims.onnx.node import Node, Operator, dtype_of


def _stft(
    node: Node, signal: Tensor, step: Tensor, window: Tensor | None = None, length: Tensor | None = None
) -> Tensor:
    """Give spectra (N, frames, bins, 2) of sounds (N, T), (N, T, 1) or, complex, (N, T, 2)."""
    real = signal.ndim == 2 or signal.shape[-1] == 1
    x = signal.reshape(signal.shape[:2]) if real else torch.view_as_complex(signal.contiguous())
    if window is None and length is None:
        raise node.refuse("has neither a window nor a frame length")
    size = int(length) if length is not None else len(window) if window is not None else 0
    frames = x.unfold(1, size, int(step))
    frames = frames if window is None else frames * window
    one_sided = real and bool(node.get("onesided", 1))
    return torch.view_as_real(torch.fft.rfft(frames) if one_sided else torch.fft.fft(frames))


def _dft(node: Node, x: Tensor, length: Tensor | None = None, axis: Tensor | None = None) -> Tensor:
    """Give the spectrum along an axis of values (..., 1), or (..., 2) for complex ones."""
    place = int(node.get("axis", 1 if node.opset < 20 else -2) if axis is None else axis) % x.ndim
    real, one_sided, inverse = x.shape[-1] == 1, bool(node.get("onesided", 0)), bool(node.get("inverse", 0))
    if one_sided and (inverse or not real):
        raise node.refuse("is one-sided and inverse or of complex numbers, which has no twin")
    values = x[..., 0] if real else torch.view_as_complex(x.contiguous())
    size = values.shape[place] if length is None else int(length)
    turn = torch.fft.rfft if one_sided else torch.fft.ifft if inverse else torch.fft.fft
    return torch.view_as_real(turn(values, size, place))


def _cosines(*weights: float) -> Operator:
    """Make a window of cosines: the sum of w_k cos(2 pi k n / N)."""

    def operator(node: Node, size: Tensor) -> Tensor:
        count = int(size)
        around = count if node.get("periodic", 1) else count - 1
        turns = 2 * math.pi * torch.arange(count, dtype=torch.float64) / around
        window = sum((weight * torch.cos(k * turns) for k, weight in enumerate(weights)), torch.zeros(count))
        return window.to(dtype_of(node, "output_datatype"))

    return operator


def _mel(node: Node, bands: Tensor, length: Tensor, rate: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Give triangles of mel bands over the bins of a spectrum, (length // 2 + 1, bands).

    As the operator's page has it, the corners are cut down to whole bins, and the highest one stays below `high`.
    """
    count, size = int(bands), int(length)
    ends = [2595 * math.log10(1 + float(edge) / 700) for edge in (low, high)]
    mels = ends[0] + torch.arange(count + 2, dtype=torch.float64) * (ends[1] - ends[0]) / (count + 2)
    corners = ((size + 1) * 700 * (10 ** (mels / 2595) - 1) / float(rate)).floor()
    left, top, right = corners[:-2], corners[1:-1], corners[2:]
    bins = torch.arange(size // 2 + 1, dtype=torch.float64)[:, None]
    rising = torch.where(top > left, (bins - left) / (top - left).clamp_min(1), 1.0)
    falling = (right - bins) / (right - top).clamp_min(1)
    below = torch.where((bins >= left) & (bins <= top), rising, 0.0)
    return torch.where((bins >= top) & (bins < right), falling, below).to(dtype_of(node, "output_datatype"))


SPECTRA: dict[str, Operator] = {
    "BlackmanWindow": _cosines(0.42, -0.5, 0.08),
    "DFT": _dft,
    "HammingWindow": _cosines(25 / 46, -21 / 46),
    "HannWindow": _cosines(0.5, -0.5),
    "MelWeightMatrix": _mel,
    "STFT": _stft,
}
"""Operators by name."""
