"""Where a label-only search draws its probes: the whole waveform, or the few directions of a genome of cells.

Of a genome (QEBA, Li et al. 2020, https://arxiv.org/abs/2005.14137: few dimensions need few queries) the coordinates
are those in which a change's energy is the sum of squares, C^(-1/2) of the genes with C their inner products.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Space:
    """A linear space of changes with coordinates (..., G) in which lengths are those of the changes (..., T)."""

    basis: Tensor | None
    """Orthonormal changes (G, T); None for the waveform itself."""
    level: Tensor
    """Length of the clip's own sound in each coordinate's cell, (G,); 0 where it has none."""

    def spread(self, at: Tensor) -> Tensor:
        """Give the spread of probes in each coordinate around a change (T,), (G,), at most 1.

        A loud cell is a plain direction. A quiet one feels the logarithm of its energy, level^2 + z^2, so its probes
        are no larger than what it holds.
        """
        if self.basis is None:
            return torch.ones_like(at)
        share = float(at.norm()) / math.sqrt(len(self.basis))
        held = self.level**2 + (self.basis @ at) ** 2
        return (held / (held + share**2)).sqrt().clamp_min(1e-6)

    def wave(self, coordinates: Tensor) -> Tensor:
        """Give the changes (..., T) of coordinates (..., G)."""
        return coordinates if self.basis is None else coordinates @ self.basis


def space_of(genes: Tensor | None, clean: Tensor) -> Space:
    """Give the space that genes (G, T) span; the waveform (T,) where there are none, or all are silent."""
    level = torch.zeros(0) if genes is None else genes.norm(dim=1)
    heard = level > 1e-7 * clean.norm()
    if genes is None or not bool(heard.any()):
        return Space(None, torch.zeros_like(clean))
    level = level[heard]
    unit = genes[heard] / level[:, None]
    inner = (unit @ unit.T).double()
    values, vectors = torch.linalg.eigh(inner)
    root = vectors @ torch.diag(values.clamp_min(1e-3) ** -0.5) @ vectors.T
    return Space(root.to(unit) @ unit, level)
