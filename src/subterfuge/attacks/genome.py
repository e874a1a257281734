"""A genome for sounds: how much louder, and how much noisier, each band is in its quiet, middling and loud frames.

Few numbers, and each moves what classifiers of timbre listen to, the energy of a band averaged over time, at the least
energy: in the quiet frames of a band a large change of its logarithm costs next to nothing.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

TIERS = (0.0, 0.2, 0.5, 1.0)
"""Quantiles of a band's frames by energy between which its tiers lie."""


def genes_of(clean: Tensor, sample_rate: int, bands: int, die: torch.Generator) -> Tensor:
    """Give the change that one unit of each gene makes, shape (G, T), for a clip (T,).

    A gain gene adds the clip's own sound in its cell once more; a noise gene adds noise at the cell's mean energy.
    Bands are of equal width in mel (O'Shaughnessy's formula). The genes' changes add up, so a genome's is their sum.
    """
    size = 1 << max(4, round(sample_rate * 0.023).bit_length())
    size = min(size, 1 << max(4, (len(clean) // 4).bit_length()))
    window = torch.hann_window(size, dtype=clean.dtype, device=clean.device)
    spectrum = torch.stft(clean, size, size // 4, window=window, return_complex=True)
    power = spectrum.abs() ** 2
    hz = torch.linspace(0, sample_rate / 2, len(spectrum))
    mel = torch.log10(1 + hz / 700)
    band_of = (mel / mel[-1] * bands).long().clamp_max(bands - 1)
    turn = torch.rand(spectrum.shape, generator=die) * (2 * torch.pi)
    noise = torch.polar(torch.ones_like(turn), turn).to(spectrum)
    genes = []
    for band in range(bands):
        here = band_of == band
        if not bool(here.any()):
            continue
        rank = power[here].sum(0).argsort().argsort() / spectrum.shape[1]
        for low, high in pairwise(TIERS):
            cell = here[:, None] & ((rank >= low) & (rank < high))[None]
            if not bool(cell.any()):
                continue
            level = (power[cell].mean()).sqrt()
            for sound in (spectrum * cell, noise * cell * level):
                genes.append(torch.istft(sound, size, size // 4, window=window, length=len(clean)))
    return torch.stack(genes)
