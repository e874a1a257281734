"""A genome for sounds in one number a band: the floor that its quiet parts are filled up to, or thinned out below.

What classifiers of timbre hear of a band is the mean over frames of its log energy. The least energy that changes this
mean is known: with E the energy of a cell (a narrow band in one frame) and a the gain of its amplitude, stationarity of
sum E (a - 1)^2 under a given sum of log a says a (a - 1) = floor / E, with one multiplier, the floor, for the whole
band. A positive floor lifts every cell that lies well below it up to it and leaves loud ones alone, as water fills a
valley; a negative one gates cells below four times its size. Searches move in the signed root of the energy spent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

FINE = 96
"""Narrow bands, of equal width in mel, within which cells lie."""
DEPTH = 10 ** (-30 / 20)
"""The least gain: overlapping frames fill deeper holes."""
LEVELS = 160
"""Floors in the tables, on each side of 0."""


@dataclass(frozen=True, eq=False)
class Fill:
    """Changes of one clip (T,), by floors (n, G), one a gene."""

    spectrum: Tensor
    """What is made louder or quieter, complex (bins, frames)."""
    bands: Tensor
    """Each gene's place on the mel axis, (G,), of `of_bands`; empty bands have no gene."""
    of_bands: int
    length: int
    wide: Tensor
    """Bins of each gene, float64, (G,)."""
    _energy: Tensor
    """Mean of a cell's bins, (K, frames)."""
    _fine: Tensor
    """Each bin's place among the K narrow bands."""
    _gene: Tensor
    """Each narrow band's gene, (K,)."""
    _floors: Tensor
    _roots: Tensor
    """Signed roots of the energy that each of `_floors` spends, in parts of the clip's, (G, levels)."""
    _rises: Tensor
    """Its mean change of log energy in dB, (G, levels)."""

    @property
    def genes(self) -> int:
        """How many numbers there are."""
        return len(self.bands)

    def changes(self, floors: Tensor) -> Tensor:
        """Give the changes (n, T) that floors (n, G) make."""
        size = 2 * (len(self.spectrum) - 1)
        window = torch.hann_window(size, dtype=self._energy.dtype)
        made = []
        for one in floors.to(self._energy):
            gain = gain_of(one[self._gene][:, None] / self._energy) - 1
            made.append(
                torch.istft(self.spectrum * gain[self._fine], size, size // 4, window=window, length=self.length)
            )
        return torch.stack(made)

    def by_roots(self, roots: Tensor) -> Tensor:
        """Give the floors that spend energies, by their signed roots (n, G)."""
        return between(roots, self._roots, self._levels())

    def by_rises(self, rises: Tensor) -> Tensor:
        """Give the floors that raise mean log energies by dB (n, G)."""
        return between(rises, self._rises, self._levels())

    def roots(self, floors: Tensor) -> Tensor:
        """Give the signed roots of the energies that floors (n, G) spend, in parts of the clip's."""
        return between(floors, self._levels(), self._roots)

    def rises(self, floors: Tensor) -> Tensor:
        """Give the mean changes of log energy in dB that floors (n, G) make."""
        return between(floors, self._levels(), self._rises)

    def _levels(self) -> Tensor:
        return self._floors.expand_as(self._roots)

    def even(self, snr_db: float) -> Tensor:
        """Give one floor for all genes, (G,), that spends about so much energy."""
        spent = self._roots.square().sum(0)
        spent[: len(spent) // 2] = 0
        level = torch.searchsorted(spent, torch.tensor(10 ** (-snr_db / 10)).to(spent)).clamp_max(len(spent) - 1)
        return self._floors[level].expand(self.genes)

    def heirs(self, finer: Fill, floors: Tensor) -> Tensor:
        """Give the floors (n, G) of a finer genome that make the change that `floors` make of this one."""
        parent = finer.bands * self.of_bands // finer.of_bands
        return floors[:, torch.searchsorted(self.bands, parent)]


def gain_of(ratio: Tensor) -> Tensor:
    """Solve a (a - 1) = ratio for the gain a of an amplitude: its larger root, 0 below -1/4, and no less than `DEPTH`.

    >>> gain_of(torch.tensor([0.0, 2.0, -0.25, -1.0]).double()).round(decimals=3).tolist()
    [1.0, 2.0, 0.5, 0.032]
    """
    gain = (1 + (1 + 4 * ratio).clamp_min(0).sqrt()) / 2
    return torch.where(ratio < -0.25, torch.zeros_like(gain), gain).clamp_min(DEPTH)


def between(at: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Interpolate rows y (G, L) over rising rows x (G, L) at points (n, G); beyond the ends it is the end.

    >>> between(torch.tensor([[0.5], [9.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 4.0]])).tolist()
    [[3.0], [4.0]]
    """
    at = at.to(x).T.contiguous()
    above = torch.searchsorted(x.contiguous(), at).clamp(1, x.shape[1] - 1)
    left, right = x.gather(1, above - 1), x.gather(1, above)
    part = ((at - left) / (right - left).clamp_min(1e-300)).clamp(0, 1)
    low, high = y.gather(1, above - 1), y.gather(1, above)
    found: Tensor = (low + part * (high - low)).T
    return found


def fill_of(clean: Tensor, sample_rate: int, bands: int, die: torch.Generator, *, strange: bool = False) -> Fill:
    """Build the genome of a clip (T,), with a gene for each of `bands` bands that holds a bin.

    A trace of noise, 100 dB down, gives silence something to grow from. `strange` turns every phase at random, so that
    the changes are of other shapes at the same energies.
    """
    size = min(1 << max(4, round(sample_rate * 0.046).bit_length()), 1 << max(4, (len(clean) // 4).bit_length()))
    spectrum = torch.stft(clean, size, size // 4, window=torch.hann_window(size).to(clean), return_complex=True)
    turn = torch.rand(spectrum.shape, generator=die) * (2 * torch.pi)
    trace = max(float(spectrum.abs().square().mean().sqrt()), 1e-6) * 1e-5
    if strange:
        spectrum = spectrum * torch.polar(torch.ones_like(turn), turn).to(spectrum)
    else:
        spectrum = spectrum + trace * torch.polar(torch.ones_like(turn), turn).to(spectrum)
    power = (spectrum.abs() ** 2).clamp_min(trace**2)
    mel = torch.log10(1 + torch.linspace(0, sample_rate / 2, len(spectrum)) / 700)
    fine = max(1, FINE // bands) * bands
    held, of_bin = torch.unique((mel / mel[-1] * fine).long().clamp_max(fine - 1), return_inverse=True)
    bins = torch.bincount(of_bin).to(power)[:, None]
    energy = torch.zeros(len(held), power.shape[1]).to(power).index_add(0, of_bin, power) / bins
    places, gene = torch.unique(held * bands // fine, return_inverse=True)
    top, bottom = math.log10(float(energy.max())) + 2, math.log10(float(energy.min())) - 2
    side = torch.logspace(bottom, top, LEVELS, dtype=torch.float64)
    floors = torch.cat([-side.flip(0), torch.zeros(1, dtype=torch.float64), side])
    roots, rises = [], []
    cells = torch.bincount(gene).double() * power.shape[1]
    whole = float((energy * bins).sum())
    for floor in floors.tolist():
        gain = gain_of(floor / energy)
        spent = ((gain - 1) ** 2 * energy * bins).sum(1).double()
        root = torch.zeros(len(places)).double().index_add(0, gene, spent).sqrt()
        roots.append(math.copysign(1, floor) * root / math.sqrt(whole))
        rises.append(torch.zeros(len(places)).double().index_add(0, gene, 20 * gain.log10().sum(1).double()) / cells)
    return Fill(
        spectrum=spectrum,
        bands=places,
        of_bands=bands,
        length=len(clean),
        wide=torch.zeros(len(places)).double().index_add(0, gene, bins[:, 0].double()),
        _energy=energy,
        _fine=of_bin,
        _gene=gene,
        _floors=floors,
        _roots=torch.stack(roots, 1),
        _rises=torch.stack(rises, 1),
    )
