"""Directions worth asking about: how a sound must change so that the mean level of each of its bands does.

Classifiers of timbre and of speech listen to logarithms of energies in bands, averaged or compared over time. The
gradient of each band's mean log energy at the present sound is a change that moves it at the least energy: most in the
frames where the band is quiet. Some forty such directions hold a good half of the length of a real classifier's
gradient, of which nothing is known here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from subterfuge.dsp.constants import mel_filters

FLOOR = 1e-10
"""Power, as a part of the loudest band's, below which a band counts as empty."""


@dataclass(frozen=True)
class Compass:
    """Statistics of sounds of one length and rate: mean log energy of mel bands, mean centroid, mean bandwidth."""

    window: Tensor
    filters: Tensor
    """Shape (bands, bins), each row of sum 1."""
    part: Tensor
    """Frequency of each bin as a part of the highest, shape (bins,)."""

    @classmethod
    def of(cls, length: int, sample_rate: float, bands: int) -> Compass:
        """Make the statistics for sounds of `length` samples; frames are of 46 ms, shorter for short sounds."""
        size = 1 << max(5, round(sample_rate * 0.0325).bit_length())
        size = min(size, 1 << max(5, (length // 4).bit_length()))
        where = torch.device("cpu")
        filters = mel_filters(float(sample_rate), size, bands, 0.0, None, False, None, torch.float32, where)
        filters = filters[filters.sum(1) > 0]
        return cls(torch.hann_window(size), filters / filters.sum(1, keepdim=True), torch.linspace(0, 1, size // 2 + 1))

    def read(self, wave: Tensor) -> Tensor:
        """Give the statistics of a wave (T,), shape (S,)."""
        size = len(self.window)
        spectrum = torch.stft(wave, size, size // 4, window=self.window, pad_mode="constant", return_complex=True)
        power = spectrum.real**2 + spectrum.imag**2
        energy = self.filters @ power
        floor = FLOOR * float(energy.detach().amax()) + 1e-30
        magnitude = (power + floor).sqrt()
        total = magnitude.sum(0)
        centre = (self.part[:, None] * magnitude).sum(0) / total
        width = (((self.part[:, None] - centre) ** 2 * magnitude).sum(0) / total + 1e-9).sqrt()
        return torch.cat([(energy + floor).log().mean(1), centre.mean()[None], width.mean()[None]])

    def directions(self, wave: Tensor) -> Tensor:
        """Give each statistic's gradient at a wave (T,), made of length 1, shape (S, T); flat ones are left out."""
        x = wave.detach().clone().requires_grad_()
        read = self.read(x)
        rows: Tensor = torch.autograd.grad(read, x, torch.eye(len(read)), is_grads_batched=True)[0]
        length = rows.norm(dim=1, keepdim=True)
        kept = length[:, 0] > 1e-9 * length.max()
        return rows[kept] / length[kept]


def orthonormal(rows: Tensor, ridge: float = 1e-4) -> Tensor:
    """Give waveforms of length about 1, about at right angles, that span rows (G, T) of length 1; shape (G, T).

    Rows that nearly say the same become one strong and one weak waveform, by the ridge.
    """
    inner = (rows @ rows.T).double()
    low = torch.linalg.cholesky(inner + ridge * torch.eye(len(rows), dtype=torch.float64))
    spanned: Tensor = torch.linalg.solve_triangular(low, rows.double(), upper=False)
    return spanned.to(rows.dtype)
