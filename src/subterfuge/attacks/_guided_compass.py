"""Directions worth asking about: how a sound must change so that the mean level of each of its bands does.

Classifiers of timbre and of speech listen to logarithms of energies in bands, averaged or compared over time. The
gradient of each band's mean log energy at the present sound is a change that moves it at the least energy: most in the
frames where the band is quiet. Some forty such directions hold a good half of the length of a real classifier's
gradient, of which nothing is known here.
"""

from __future__ import annotations

import warnings
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
    def of(cls, length: int, sample_rate: float, bands: int, like: Tensor | None = None) -> Compass:
        """Make the statistics for sounds of `length` samples, of the kind and place of `like`.

        Frames are of some 46 ms, shorter for short sounds; bands too narrow to hold a bin are left out.
        """
        size = 1 << max(5, round(sample_rate * 0.0325).bit_length())
        size = min(size, 1 << max(5, (length // 4).bit_length()))
        where = torch.device("cpu")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Empty filters", UserWarning)
            filters = mel_filters(float(sample_rate), size, bands, 0.0, None, False, None, torch.float32, where)
        filters = filters[filters.sum(1) > 0]
        like = filters if like is None else like
        filters = filters / filters.sum(1, keepdim=True)
        return cls(torch.hann_window(size).to(like), filters.to(like), torch.linspace(0, 1, size // 2 + 1).to(like))

    def read(self, wave: Tensor) -> Tensor:
        """Give the statistics of a wave (T,), shape (S,)."""
        energy, _, centre, width, _ = self._parts(wave)
        return torch.cat([energy.log().mean(1), centre.mean()[None], width.mean()[None]])

    def directions(self, wave: Tensor) -> Tensor:
        """Give each statistic's gradient at a wave (T,), made of length 1, shape (S, T); flat ones are left out.

        With spectrum X, powers P and magnitudes S of F frames, the way from ∂/∂P to the wave is the inverse transform
        of X ∂/∂P (but for the ends of the sound, where its windows add up to less, and a factor)::

            ∂(mean log energy)/∂P = filter / F energy
            ∂(mean centroid)/∂P   = (f - c) / 2 F S ΣS
            ∂(mean bandwidth)/∂P  = ((f - c)² - b²) / 4 F b S ΣS
        """
        energy, spectrum, centre, width, magnitude = self._parts(wave)
        size = len(self.window)
        off = self.part[:, None] - centre
        total = magnitude * magnitude.sum(0)
        spectrum[[0, -1]] *= 2  # they have no twins at negative frequencies, for which an inverse transform halves them
        rows = []
        for slope in (
            *(band[:, None] / level for band, level in zip(self.filters, energy, strict=True)),
            off / total,
            (off**2 - width**2) / (width * total),
        ):
            change = torch.istft(spectrum * slope, size, size // 4, window=self.window, length=len(wave))
            length = change.norm()
            if float(length) > 1e-30:
                rows.append(change / length)
        return torch.stack(rows) if rows else wave.new_zeros(0, len(wave))

    def _parts(self, wave: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        size = len(self.window)
        spectrum = torch.stft(wave, size, size // 4, window=self.window, pad_mode="constant", return_complex=True)
        power = spectrum.real**2 + spectrum.imag**2
        energy = self.filters @ power
        floor = FLOOR * float(energy.detach().amax()) + 1e-30
        magnitude = (power + floor).sqrt()
        total = magnitude.sum(0)
        centre = (self.part[:, None] * magnitude).sum(0) / total
        width = (((self.part[:, None] - centre) ** 2 * magnitude).sum(0) / total + 1e-9).sqrt()
        return energy + floor, spectrum, centre, width, magnitude


def orthonormal(rows: Tensor, ridge: float = 1e-4) -> Tensor:
    """Give waveforms of length about 1, about at right angles, that span rows (G, T) of length 1; shape (G, T).

    Rows that nearly say the same become one strong and one weak waveform, by the ridge.
    """
    inner = (rows @ rows.T).double().cpu()
    low = torch.linalg.cholesky(inner + ridge * torch.eye(len(rows), dtype=torch.float64))
    spanned: Tensor = torch.linalg.inv(low).to(rows) @ rows
    return spanned
