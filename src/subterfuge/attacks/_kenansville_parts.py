"""A sound taken apart into components, weak to strong: its spectrum, that of its frames, or its singular spectrum."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import cached_property

import torch
from torch import Tensor

LAGS = 32
"""Components of the singular spectrum analysis."""


class Parts(ABC):
    """Components of a clip (T,) that add up to it, each with a power, a frequency and a place in the order of power."""

    power: Tensor
    """Of each component."""
    hz: Tensor
    """The frequency of each component, of `power`'s shape or such that it expands to it."""
    nyquist: float

    @abstractmethod
    def sound(self, gains: Tensor) -> Tensor:
        """Give the sum (T,) of the components times their gains, of `power`'s shape."""

    def weakest(self, db: float) -> tuple[Tensor, float]:
        """Give the sum of the weakest components, at most `db` below the clip together, and the threshold.

        The threshold is the power of the strongest of them, in dB of the strongest component of all.
        """
        below = self._below(db)
        strongest = float(self.power.max())
        edge = float(self.power[below].max()) if bool(below.any()) else 0.0
        threshold_db = 10 * math.log10(max(edge, 1e-30) / max(strongest, 1e-30))
        return self.sound(below.to(self.power.dtype)), threshold_db

    def mixed(self, levels_db: list[float], factors: list[float]) -> Tensor:
        """Give the sum (T,) of each band's weakest components at a level of the band's own, times its factor."""
        mel = torch.log10(1 + self.hz / 700) / math.log10(1 + self.nyquist / 700)
        band = (mel * len(factors)).long().clamp(0, len(factors) - 1).expand_as(self.power)
        factor = torch.tensor(factors).to(self.power)
        gains = torch.zeros_like(self.power)
        for number, db in enumerate(levels_db):
            gains += self._below(db) * (band == number) * factor[number]
        return self.sound(gains)

    @cached_property
    def _ranked(self) -> tuple[Tensor, Tensor]:
        """Give the order of all components, weak to strong, and the power of each with all before it, float64."""
        order = self.power.flatten().argsort(stable=True)
        return order, self.power.flatten()[order].double().cumsum(0)

    def _below(self, db: float) -> Tensor:
        order, total = self._ranked
        count = int((total <= total[-1] * 10 ** (-db / 10)).sum())
        below = torch.zeros(self.power.numel(), dtype=torch.bool, device=self.power.device)
        below[order[:count]] = True
        return below.reshape(self.power.shape)


class Spectrum(Parts):
    """The bins of the whole clip's Fourier transform."""

    def __init__(self, clean: Tensor, sample_rate: int) -> None:
        self._bins, self._length = torch.fft.rfft(clean), len(clean)
        twice = torch.full((len(self._bins),), 2.0, device=clean.device)
        twice[0] = 1.0
        twice[-1] = 1.0 if len(clean) % 2 == 0 else 2.0
        self.power = self._bins.abs().square() * twice
        self.hz = torch.fft.rfftfreq(len(clean), 1 / sample_rate).to(clean)
        self.nyquist = sample_rate / 2

    def sound(self, gains: Tensor) -> Tensor:
        """Give the sum (T,) of the bins times their gains."""
        heard: Tensor = torch.fft.irfft(self._bins * gains, n=self._length)
        return heard


class Frames(Parts):
    """The cells of a short-time Fourier transform, frames of about 23 ms, or less for a very short clip."""

    def __init__(self, clean: Tensor, sample_rate: int) -> None:
        size = 1 << max(4, round(sample_rate * 0.023).bit_length())
        self._size, self._length = min(size, 1 << max(4, (len(clean) // 4).bit_length())), len(clean)
        self._window = torch.hann_window(self._size, dtype=clean.dtype, device=clean.device)
        self._cells = torch.stft(
            clean, self._size, self._size // 4, window=self._window, pad_mode="constant", return_complex=True
        )
        self.power = self._cells.abs().square()
        self.hz = torch.linspace(0, sample_rate / 2, len(self._cells)).to(clean)[:, None]
        self.nyquist = sample_rate / 2

    def sound(self, gains: Tensor) -> Tensor:
        """Give the sum (T,) of the cells times their gains."""
        return torch.istft(self._cells * gains, self._size, self._size // 4, window=self._window, length=self._length)


class Singular(Parts):
    """The components of a basic singular spectrum analysis with up to 32 lags (Golyandina and Zhigljavsky 2013).

    An eigenvector of the lagged covariance is a filter, and the component is the clip passed through it forwards and
    backwards, averaged over the diagonals of the trajectory matrix.
    """

    def __init__(self, clean: Tensor, sample_rate: int) -> None:
        lags = min(LAGS, (len(clean) + 1) // 2)
        trajectory = clean.unfold(0, lags, 1)
        _, vectors = torch.linalg.eigh((trajectory.T @ trajectory).double())
        filters = vectors.T.to(clean)
        passed = torch.nn.functional.conv1d(clean[None, None], filters[:, None])
        summed = torch.nn.functional.conv_transpose1d(passed, filters[:, None], groups=lags)[0]
        count = torch.arange(1, len(clean) + 1).clamp_max(lags)
        self._components = summed / torch.minimum(count, count.flip(0)).to(clean)
        self.power = self._components.square().sum(1)
        spectrum = torch.fft.rfft(filters, n=512).abs().square()
        self.hz = spectrum.argmax(1) * (sample_rate / 512)
        self.nyquist = sample_rate / 2

    def sound(self, gains: Tensor) -> Tensor:
        """Give the sum (T,) of the components times their gains."""
        return gains @ self._components


def apart(domain: str, clean: Tensor, sample_rate: int) -> Parts:
    """Take a clip (T,) apart: "dft", "stft" or "ssa"."""
    kinds: dict[str, type[Spectrum | Frames | Singular]] = {"dft": Spectrum, "stft": Frames, "ssa": Singular}
    return kinds[domain](clean, sample_rate)
