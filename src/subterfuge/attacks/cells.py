"""The smallest change that wins, from scores alone: finite differences over a genome of time-frequency cells.

Zeroth-order search (ZOO, Chen et al. 2017, https://arxiv.org/abs/1708.03999) in some 150 numbers instead of 130,000. A
part of the genes is nudged at a time, which gives that part of the slope; the step goes along the slope in the metric
of energy, C g = slope, with C the inner products of the genes' changes. Before the first win it climbs `Goal.pull`.
After it, each step goes a part of the way to the quietest genome that wins if the margin is linear: theta = C^-1 g
(needed - margin + g theta) / (g C^-1 g).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from subterfuge.attacks.genome import genes_of
from subterfuge.attacks.knobs import expect
from subterfuge.oracle import Oracle, Seeks
from subterfuge.victim import Gives


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Least energy that meets the goal, by finite differences over band energies."""

    bands: int = 24
    """Bands of equal width in mel; each has three tiers of frames, with a gain and a noise."""
    genomes: int = 3
    """How often the search begins anew, with other noise and a few bands more."""
    part: float = 0.5
    """Part of the genes that is nudged between two steps."""
    nudge: float = 0.15
    """Of a gene, in units of its cell's own sound."""
    stride_db: float = 40.0
    """First step before a win, in dB below the clip; twice and four times as much are tried as well."""
    rounds: int = 60
    """Most steps."""
    patience: int = 8
    """Steps without a gain of 0.05 dB after which the search ends."""
    needs: ClassVar[Gives] = Gives.SCORES
    seeks: ClassVar[Seeks] = "quiet"
    says: ClassVar[str] = "the smallest change that wins, by differences over band energies (black box: scores)"

    def __post_init__(self) -> None:
        expect("cells", "bands", self.bands, 1, 256)
        expect("cells", "genomes", self.genomes, 1)
        expect("cells", "part", self.part, 0.01, 1)
        expect("cells", "nudge", self.nudge, 1e-4, 10)
        expect("cells", "stride_db", self.stride_db, 0, 150)
        expect("cells", "rounds", self.rounds, 1)
        expect("cells", "patience", self.patience, 1)

    def __call__(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator]) -> None:
        """Search for each row in turn."""
        for row in range(len(clean)):
            for turn in range(self.genomes):
                genes = genes_of(clean[row], oracle.sample_rate, self.bands + 4 * turn, dice[row])
                self._search(oracle, clean[row], row, dice[row], genes)

    def _search(self, oracle: Oracle, clean: Tensor, row: int, die: torch.Generator, genes: Tensor) -> None:
        warm = oracle.start[row]
        genes = torch.cat([genes, warm[None]]) if bool(warm.any()) else genes
        genes = genes[genes.norm(dim=1) > 1e-7 * clean.norm()]
        inner = (genes @ genes.T).double()
        inner = inner + 1e-3 * torch.diag(inner.diagonal())
        theta = torch.zeros(len(genes), dtype=torch.float64)
        if bool(warm.any()):
            theta[-1] = 1
        slope = torch.zeros_like(theta)
        step = float(clean.norm()) * 10 ** (-self.stride_db / 20)
        best, quietest, stale = theta.clone(), math.inf, 0
        for _ in range(self.rounds):
            won = quietest < math.inf
            chosen = torch.randperm(len(genes), generator=die)[: max(1, math.ceil(self.part * len(genes)))]
            tries = theta.repeat(len(chosen) + 1, 1)
            tries[1 + torch.arange(len(chosen)), chosen] += self.nudge
            margin, pull = oracle.population(tries.to(genes.dtype) @ genes, row)
            if len(margin) < len(tries):
                return
            hill = margin if won else pull
            slope[chosen] = (hill[1:] - hill[0]) / self.nudge
            along = torch.linalg.solve(inner, slope)
            rise = float(slope @ along)
            if not rise > 0:
                return
            if won:
                needed = float(oracle.needed[row]) if math.isfinite(float(oracle.needed[row])) else 0.0
                there = along * float((needed - hill[0] + slope @ theta) / rise) * 1.001
                ways = [theta + part * (there - theta) for part in (0.05, 0.1, 0.2, 0.4, 0.7, 1.0)]
                ways += [0.9 * theta, 0.97 * theta]
            else:
                ways = [theta + scale * step / math.sqrt(rise) * along for scale in (0.5, 1.0, 2.0, 4.0)]
            tries = torch.stack(ways)
            changes = tries.to(genes.dtype) @ genes
            margin, pull = oracle.population(changes, row)
            if not len(margin):
                return
            size = changes[: len(margin)].norm(dim=1).double()
            size = torch.where(margin > oracle.needed[row], size, math.inf)
            first = int(size.argmin())
            if float(size[first]) < quietest:
                stale = 0 if 20 * math.log10(quietest / float(size[first])) > 0.05 else stale + 1
                quietest, best = float(size[first]), tries[first].clone()
                theta = best.clone()
            elif won:
                stale += 1
                theta = tries[first] if float(size[first]) < 1.02 * quietest else best.clone()
            else:
                theta = tries[int(pull.argmax())]
            if stale > self.patience:
                return
