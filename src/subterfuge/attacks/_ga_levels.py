"""A genome for sounds: to which level each band is filled up where it is quiet, or down to which it is emptied.

Classifiers of timbre hear the mean logarithm of a band's energy, which is cheapest to move where there is least of it.
So one number a band says how much energy may be spent on it, and the quietest cells of its spectrogram get all of it:
v > 0 raises every cell that lies below some level to this level, v < 0 takes out every cell that lies below some level.
The level is the one at which the band's change has an energy of |v| - `FLOOR_DB` dB, relative to the clip. On this
scale a step is worth the same in every band, a whole genome is made louder or quieter by adding to every |v|, and
0 is no change.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.attacks._ga_spectrum import size_for

FLOOR_DB = 100.0
"""How far below the clip's energy a gene of 0 lies."""
MOST = 105.0
"""Largest size of a gene."""
STEPS_DB = torch.arange(-140.0, 21.0)
"""Levels of a cell's magnitude, relative to the loudest cell, between which the tables are interpolated."""


class Levels:
    """The genome of one clip.

    Args:
        clean: the clip, shape (T,).
        sample_rate: in Hz.
        bands: how many, of equal width in mel; fewer where a band would hold no bin.
        die: draws the phases of cells that are silent.
    """

    def __init__(self, clean: Tensor, sample_rate: float, bands: int, die: torch.Generator) -> None:
        self._length = len(clean)
        self._size = size_for(len(clean), 1 << max(4, round(sample_rate * 0.023).bit_length()))
        self._window = torch.hann_window(self._size, dtype=clean.dtype)
        self._hop = self._size // 4
        spectrum = torch.stft(
            clean, self._size, self._hop, window=self._window, pad_mode="constant", return_complex=True
        )
        self._magnitude = spectrum.abs()
        peak = float(self._magnitude.max()) or 1e-3
        turn = torch.rand(spectrum.shape, generator=die, dtype=clean.dtype) * (2 * torch.pi)
        known = self._magnitude > 1e-7 * peak
        phase = torch.where(
            known, spectrum / self._magnitude.clamp_min(1e-30), torch.polar(torch.ones_like(turn), turn)
        )
        self._phase = torch.view_as_real(phase).contiguous()
        mel = torch.log10(1 + torch.linspace(0, sample_rate / 2, len(spectrum)) / 700)
        band = (mel / mel[-1] * bands).long().clamp_max(bands - 1)
        used, self._band = torch.unique(band, return_inverse=True)
        self.place: NDArray[np.float64] = (used.double().numpy() + 0.5) / bands
        """Where each gene's band lies on the mel scale, from 0 to 1."""
        self._levels = peak * 10 ** (STEPS_DB.double() / 20)
        cells = [self._magnitude[self._band == here].double().flatten().sort().values for here in range(len(used))]
        whole = max(sum(float(cell.square().sum()) for cell in cells), 1e-12 * peak**2)
        self._cost = torch.stack([self._costs(cell) for cell in cells]).transpose(0, 1) / whole  # (2, genes, levels)

    def _costs(self, cells: Tensor) -> Tensor:
        """Give the energy of filling to each level and of emptying to it, shape (2, levels), of sorted cells (c,)."""
        zero = cells.new_zeros(1)
        first, second = torch.cat([zero, cells.cumsum(0)]), torch.cat([zero, cells.square().cumsum(0)])
        below = torch.searchsorted(cells, self._levels)
        fill = below * self._levels**2 - 2 * self._levels * first[below] + second[below]
        return torch.stack([fill.clamp_min(0).cummax(0).values, second[below]])

    def levels(self, genes: Tensor) -> Tensor:
        """Give the level of each gene, shape (P, B), as a magnitude."""
        wanted = 10 ** ((genes.abs() - FLOOR_DB) / 10)
        found = torch.zeros_like(genes)
        for kind, chosen in enumerate((genes > 0, genes < 0)):
            cost = self._cost[kind].contiguous()
            after = torch.searchsorted(cost, wanted.T.contiguous()).T.clamp(1, len(STEPS_DB) - 1)
            low, high = (cost.gather(1, (after - back).T).T for back in (1, 0))
            part = ((wanted - low) / (high - low).clamp_min(1e-30)).clamp(0, 1)
            there = self._levels[after - 1] + part * (self._levels[after] - self._levels[after - 1])
            found = torch.where(chosen, there, found)
        return found

    def changes(self, genomes: list[NDArray[Any]]) -> Tensor:
        """Give the changes (P, T) that genomes (B,) make."""
        genes = torch.from_numpy(np.stack(genomes)).double()
        levels = self.levels(genes).to(self._magnitude)
        steps = []
        for gene, level in zip(genes, levels, strict=True):
            to = level[self._band, None]
            fill = (gene > 0)[self._band, None]
            step = torch.where(fill, (to - self._magnitude).clamp_min(0), -self._magnitude * (self._magnitude < to))
            steps.append(torch.view_as_complex(step[..., None] * self._phase))
        return torch.istft(torch.stack(steps), self._size, self._hop, window=self._window, length=self._length)
