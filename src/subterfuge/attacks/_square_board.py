"""The spectrogram on which Square Attack plays: its patches, what is fresh in them, and its way back to a wave."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LONG = 0.8
"""A patch of part p of the grid takes at most p ** LONG of the mel scale, and at least p; the rest is time."""
TILES = (24, 6)
"""Bands and stretches of time of the first change."""
Patch = tuple[slice, slice]


class Board:
    """The spectrogram of one clip (T,), its patches, and what is fresh in them."""

    def __init__(self, clean: Tensor, sample_rate: int, die: torch.Generator) -> None:
        size = 1 << max(4, round(sample_rate * 0.023).bit_length())
        self.clean, self.die = clean, die
        self.size = min(size, 1 << max(4, (len(clean) // 4).bit_length()))
        self.window = torch.hann_window(self.size, dtype=clean.dtype, device=clean.device)
        sound = self.grid(clean)
        self.loudness = sound.abs()
        self.phase = sound / self.loudness.clamp_min(1e-12)
        mel = torch.log10(1 + torch.linspace(0, sample_rate / 2, len(sound)) / 700)
        self.mel = mel / mel[-1]
        noise = self.white()
        self.gain = float(self.grid(noise).abs().square().sum()) / float(noise.square().sum())

    def white(self) -> Tensor:
        """Draw white noise (T,)."""
        return torch.randn(self.clean.shape, generator=self.die).to(self.clean)

    def grid(self, wave: Tensor) -> Tensor:
        """Give the spectrogram (F, M), complex, of a wave (T,)."""
        hop, window = self.size // 4, self.window
        return torch.stft(wave, self.size, hop, window=window, pad_mode="constant", return_complex=True)

    def scaled(self, grid: Tensor, level: float) -> tuple[Tensor, Tensor]:
        """Give a spectrogram, and its wave (T,), brought to a length."""
        wave = torch.istft(grid, self.size, self.size // 4, window=self.window, length=len(self.clean))
        scale = level / max(float(wave.norm()), 1e-30)
        return grid * scale, wave * scale

    def move(self, grid: Tensor, part: float, level: float) -> Tensor:
        """Empty one patch into another, which keeps the direction of what it held and adds what is fresh."""
        to, source, new = self._patch(part), self._patch(part), grid.clone()
        new[source] = 0
        held, gone = float(grid[to].norm()), float(grid[source].norm())
        energy = max(held**2 + gone**2, 0.5 * part * self.gain * level**2, 1e-30)
        fresh = self._fresh(to, energy) / math.sqrt(energy)
        fresh = fresh + grid[to] / held if held > 0 else fresh
        new[to] = fresh * (math.sqrt(energy) / max(float(fresh.norm()), 1e-30))
        return new

    def tiles(self) -> Tensor:
        """Give the first change: every tile at the same energy, each with something fresh."""
        grid, (bands, stretches), frames = torch.zeros_like(self.phase), TILES, self.phase.shape[1]
        edges = [int(torch.searchsorted(self.mel, k / bands)) for k in range(bands)] + [len(self.mel)]
        for band in range(bands):
            for stretch in range(stretches):
                time = slice(stretch * frames // stretches, (stretch + 1) * frames // stretches)
                tile = slice(edges[band], edges[band + 1]), time
                if grid[tile].numel():
                    grid[tile] = self._fresh(tile, 1.0)
        return grid

    def _patch(self, part: float) -> Patch:
        tall = part ** (LONG + (1 - LONG) * self._roll())
        low = self._roll() * (1 - tall)
        edges = torch.searchsorted(self.mel, torch.tensor([low, low + tall]))
        first = min(int(edges[0]), len(self.mel) - 1)
        frames = self.phase.shape[1]
        long = max(1, round(part / tall * frames))
        begin = int(self._roll() * (frames - long + 1))
        return slice(first, max(first + 1, int(edges[1]))), slice(begin, begin + long)

    def _fresh(self, patch: Patch, energy: float) -> Tensor:
        """Draw noise, or the clip's own sound added or taken away, of an energy, for a patch."""
        kind, own = int(3 * self._roll()), self.loudness[patch]
        if kind == 0:
            turn = torch.rand(own.shape, generator=self.die).to(own) * (2 * math.pi)
            return torch.polar(torch.full_like(own, math.sqrt(energy / own.numel())), turn)
        return (1.0 if kind == 1 else -1.0) * levelled(own, energy) * self.phase[patch]

    def _roll(self) -> float:
        return float(torch.rand((), generator=self.die))


def levelled(loudness: Tensor, energy: float) -> Tensor:
    """Give min(loudness, c) with the c that makes the sum of squares `energy`; scaled up where all of it is less.

    >>> levelled(torch.tensor([1.0, 2.0, 9.0]), 9.0)
    tensor([1., 2., 2.])
    """
    square = loudness.double().square().flatten().sort().values
    whole = float(square.sum())
    if whole <= energy:
        return loudness * math.sqrt(energy / max(whole, 1e-30))
    count = len(square)
    below = torch.cat([square.new_zeros(1), square.cumsum(0)[:-1]])
    index = torch.arange(count, device=square.device)
    first = min(int((below + square * (count - index) < energy).sum()), count - 1)
    return loudness.clamp_max(math.sqrt(max(0.0, energy - float(below[first])) / (count - first)))
