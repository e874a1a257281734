"""The substitute's network: a differentiable front end, standardised, and a layer of radial basis functions.

The layer is Gaussian-process regression with the kernel ``1 + a·b / F + exp(-|a - b|² / 2 ℓ²)`` (Rasmussen and
Williams 2006, http://gaussianprocess.org/gpml, equation 2.25), solved in closed form: nothing is drawn. Its width ℓ
and its ridge are those with the least error when each example is left out once (equation 5.12).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from subterfuge.dsp import librosa_mean_25, melspectrogram

Front = Literal["mean25", "logmel", "wave"]
WIDTHS = (0.25, 0.5, 1.0, 2.0)
"""Of the basis functions, in median distances between examples."""
RIDGES = (1e-6, 1e-4, 1e-2, 0.3)
SOME = 700
"""Most examples by which width and ridge are chosen."""
MELS = 40
FLOOR = 1e-10
"""Added to the power of each band: -100 dB, as librosa's ``amin``."""


def features_of(wave: Tensor, sample_rate: float, front: Front) -> Tensor:
    """Hear waves (N, T) through a front end, with gradients: shape (N, F).

    Fronts: ``mean25`` is the 25 averaged features of `librosa_mean_25`; ``logmel`` is the mean and the deviation over
    the frames of the log power of up to 40 mel bands; ``wave`` is the samples themselves.
    """
    if front == "wave":
        return wave
    if front == "mean25":
        return librosa_mean_25(wave, sample_rate)
    n_fft = min(2048, 1 << max(5, (wave.shape[-1] // 4).bit_length()))
    bands = melspectrogram(
        wave, sample_rate=sample_rate, n_fft=n_fft, hop_length=n_fft // 4, n_mels=min(MELS, n_fft // 8)
    )
    level = (bands + FLOOR).log()
    return torch.cat([level.mean(-1), (level.var(-1, correction=0) + 1e-6).sqrt()], -1)


class SubstituteNet(nn.Module):
    """Waves (N, T) to answers (N, \\*shape), fitted to examples by `fit`. Features and layer are in float64.

    Args:
        front: the front end.
        sample_rate: Hz.
        shape: of one answer.
    """

    def __init__(self, front: Front, sample_rate: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.front: Front = front
        self.sample_rate = sample_rate
        self.shape = shape
        self.error = float("inf")
        """Root of the mean squared leave-one-out error, in deviations of the answers."""
        for name in ("mean", "scale", "centres", "weights", "width", "level"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))

    mean: Tensor
    scale: Tensor
    centres: Tensor
    weights: Tensor
    width: Tensor
    level: Tensor

    def hear(self, wave: Tensor) -> Tensor:
        """Give the features (N, F) of waves (N, T), before they are standardised."""
        return features_of(wave, self.sample_rate, self.front)

    def standard(self, wave: Tensor) -> Tensor:
        """Give the standardised features (N, F) of waves (N, T)."""
        return (self.hear(wave).double() - self.mean) / self.scale

    def forward(self, wave: Tensor) -> Tensor:
        """Answer waves (N, T)."""
        near = kernel(self.standard(wave), self.centres, self.width)
        return (near @ self.weights + self.level).reshape(len(wave), *self.shape)

    def measure(self, features: Tensor) -> None:
        """Standardise from now on by the mean and the deviation of features (n, F); what never changes becomes 0."""
        x = features.double()
        self.mean, self.scale = x.mean(0), x.std(0, correction=0)
        self.scale = torch.where(self.scale > 1e-9 * (1 + self.mean.abs()), self.scale, torch.inf)

    def fit(self, features: Tensor, answers: Tensor) -> SubstituteNet:
        """Learn from features (n, F), as `hear` gives them, and answers (n, \\*shape); give itself."""
        x, y = features.detach().double(), answers.detach().double().reshape(len(answers), -1)
        self.measure(x)
        self.centres = (x - self.mean) / self.scale
        self.level = y.mean(0)
        y = y - self.level
        spread = y.square().mean().sqrt()
        apart = torch.pdist(self.centres[:: max(1, len(x) // 300)])
        middle = apart.median() if len(apart) and bool(apart.median() > 0) else torch.ones((), dtype=torch.float64)
        some = slice(None, None, max(1, math.ceil(len(x) / SOME)))
        chosen = (torch.inf, 1.0, RIDGES[-1])
        for width in WIDTHS:
            for ridge in RIDGES:
                error = left_out(self.centres[some], y[some], width * middle, ridge)[0]
                chosen = min(chosen, (error, width, ridge))
        self.width = chosen[1] * middle
        error, self.weights = left_out(self.centres, y, self.width, chosen[2])
        self.error = min(error / float(spread), 1.0) if float(spread) > 0 else 0.0
        return self


def left_out(x: Tensor, y: Tensor, width: Tensor, ridge: float) -> tuple[float, Tensor]:
    """Give the root of the mean squared leave-one-out error, and weights (n, K), for answers y (n, K) at x (n, F).

    Where the matrix is singular in float64, the error is infinite and the weights are 0.
    """
    factor, fault = torch.linalg.cholesky_ex(kernel(x, x, width) + ridge * torch.eye(len(x), dtype=x.dtype))
    if bool(fault):
        return math.inf, torch.zeros_like(y)
    inverse = torch.cholesky_inverse(factor)
    weights = inverse @ y
    return float((weights / inverse.diagonal()[:, None]).square().mean().sqrt()), weights


def kernel(a: Tensor, b: Tensor, width: Tensor) -> Tensor:
    """Give how near each of a (n, F) is to each of b (m, F), shape (n, m)."""
    apart = (a.square().sum(1)[:, None] + b.square().sum(1)[None] - 2 * a @ b.T).clamp_min(0)
    return 1 + a @ b.T / a.shape[1] + torch.exp(-apart / (2 * width**2))
