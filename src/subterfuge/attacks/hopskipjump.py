"""The quietest change that wins, from labels alone: along the boundary by the labels of probes around it.

HopSkipJump (Chen, Jordan, Wainwright 2020, https://arxiv.org/abs/1904.02144): from a loud change that wins, shrink to
the boundary, estimate its normal there (the mean of random probes, each weighted by its label less the mean label),
move along it, shrink again. Four things differ. The probes come from a genome of time-frequency cells (QEBA, Li et al.
2020, https://arxiv.org/abs/2005.14137). They all have the energy of the change in hand, so that labels tell of its
direction alone; where few of them win, they are drawn a little further out. The move is a turn in the plane of the
change and the normal, in which the quietest point of a flat boundary lies (SurFree, Maho et al. 2021,
https://arxiv.org/abs/2011.12807); of several angles that one is kept that can be shrunk most. And a walk that stalls
is kicked and begins anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from subterfuge.attacks._hop_labels import FAINTEST, Labels, RowClosed
from subterfuge.attacks._hop_space import Space, space_of
from subterfuge.attacks._hop_starts import kicked, starts_of
from subterfuge.attacks.genome import genes_of
from subterfuge.attacks.knobs import expect, most_queries
from subterfuge.errors import AttackError
from subterfuge.oracle import Oracle, Seeks
from subterfuge.victim import Gives


@dataclass(frozen=True, kw_only=True)
class HopSkipJump:
    """Least energy that meets the goal, by probes of the boundary."""

    space: Literal["cells", "waveform"] = "cells"
    """Where probes are drawn: a genome of time-frequency cells, or white noise."""
    bands: int = 24
    """Bands of equal width in mel; each has three tiers of frames, with a gain and a noise."""
    starts: int = 96
    """Random genomes at each level, until some meet the goal; half as many at each level of a kick."""
    runners: int = 3
    """Starts that are walked from; the quietest after `race` rounds goes on."""
    race: int = 6
    rounds: int = 70
    """Rounds in all, of some 35 queries and the probes; more where a budget gives more queries."""
    patience: int = 8
    """Rounds without a gain of 0.1 dB, after which the walk is kicked: random genomes are added, with other noise."""
    probes: int = 100
    """Labels of one normal."""
    radius: float = 0.2
    """First distance of the probes, in parts of the change; it shrinks where the walk gains little."""
    memory: float = 0.5
    """Part of the last normal that is kept."""
    needs: ClassVar[Gives] = Gives.LABELS
    seeks: ClassVar[Seeks] = "quiet"
    starts_elsewhere: ClassVar[bool] = True
    says: ClassVar[str] = "the smallest change that wins, by walking along the boundary (black box: labels)"

    def __post_init__(self) -> None:
        if self.space not in ("cells", "waveform"):
            raise AttackError(f"hopskipjump space={self.space} is not known; cells or waveform was expected")
        expect("hopskipjump", "bands", self.bands, 1, 256)
        expect("hopskipjump", "starts", self.starts, 1, 10_000)
        expect("hopskipjump", "runners", self.runners, 1)
        expect("hopskipjump", "race", self.race, 0)
        expect("hopskipjump", "rounds", self.rounds, 1)
        expect("hopskipjump", "patience", self.patience, 1)
        expect("hopskipjump", "probes", self.probes, 2, 10_000)
        expect("hopskipjump", "radius", self.radius, 1e-4, 1)
        expect("hopskipjump", "memory", self.memory, 0, 0.99)

    def __call__(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator]) -> None:
        """Search for each row in turn."""
        for row in range(len(clean)):
            loudness = float(clean[row].norm()) or 0.1 * math.sqrt(clean.shape[1])
            oracle.findings[row].update(start=None, steps=[], note=None)
            try:
                self._search(Labels(oracle, row, loudness), clean[row], dice[row])
            except RowClosed:
                pass
            finally:
                if not oracle.won[row]:
                    oracle.findings[row]["note"] = f"the target was never seen in {oracle.queries[row]} queries"

    def _search(self, labels: Labels, clean: Tensor, die: torch.Generator) -> None:
        findings = labels.oracle.findings[labels.row]
        genes = genes_of(clean, labels.oracle.sample_rate, self.bands, die)
        runners = starts_of(labels, clean, genes, self.starts, self.runners, die)
        queries = labels.oracle.queries[labels.row]
        told = [{"kind": each.kind, "snr_db": labels.snr_db(each.delta), "queries": queries} for each in runners]
        findings["start"] = told[0] if told else None
        at, left, turn = None, most_queries(labels.oracle, self.rounds), 0  # a round asks one query at the least
        while left > 0 and (runners or turn):
            space = space_of(genes if self.space == "cells" else None, clean)
            ends: list[Tensor] = []
            for place, start in enumerate(runners[: self.runners]):
                end, used = self._walk(labels, space, start.delta, min(self.race, left), die)
                left -= used
                ends.append(end)
                if not turn and min(ends, key=length) is end:
                    findings["start"] = told[place]
            if ends:
                end, used = self._walk(labels, space, min(ends, key=length), left, die)
                left -= used
                at = end if at is None else min(at, end, key=length)
            assert at is not None
            turn, left = turn + 1, left - 1
            genes = genes_of(clean, labels.oracle.sample_rate, self.bands + 4 * (turn % 4), die)
            runners = kicked(labels, at, genes, (self.starts + 1) // 2, die) if left > 0 else []

    def _walk(self, labels: Labels, space: Space, at: Tensor, rounds: int, die: torch.Generator) -> tuple[Tensor, int]:
        at = labels.shrink(at, 0.002)
        normal, path = torch.zeros_like(space.level), torch.zeros_like(at)
        radius, angle, swell, sizes = self.radius, 0.3, 0.0, [length(at)]
        for used in range(rounds):
            r, stale = sizes[-1], sizes[-1 - self.patience :]
            if r <= FAINTEST * labels.loudness or (len(stale) > self.patience and r > 0.988 * stale[0]):
                return at, used
            e, spread = at / r, space.spread(at)
            x = torch.randn(self.probes, len(spread), generator=die).to(at) * spread
            u = space.wave(x / math.sqrt(len(spread)))
            u = e + radius * (u - (u @ e)[:, None] * e)
            met = labels((1 + swell * radius) * r * u / u.norm(dim=1, keepdim=True)).to(at)
            share = float(met.mean())
            slope = (met - share) @ x / spread
            normal = self.memory * normal + slope / slope.norm().clamp_min(1e-20)
            steep = torch.stack([space.wave(normal), space.wave(normal * spread), path])
            steep = steep - (steep @ e)[:, None] * e
            at, angle = labels.turn(at, steep / steep.norm(dim=1, keepdim=True).clamp_min(1e-20), angle)
            sizes.append(length(at))
            path = 0.7 * path + at / sizes[-1] - e
            if share < 0.3 or share > 0.5:
                swell = min(1.5 * swell + 0.05, 2.0) if share < 0.3 else max(0.7 * swell - 0.02, 0.0)
            if share < 0.05 or sizes[-1] > 0.99 * r:
                radius = max(0.7 * radius, 0.02)
            elif sizes[-1] < 0.95 * r:
                radius = min(1.2 * radius, 0.5)
            step = {"queries": labels.oracle.queries[labels.row], "snr_db": labels.snr_db(at)}
            labels.oracle.findings[labels.row]["steps"].append(step)
        return at, rounds


def length(delta: Tensor) -> float:
    """Give the length of a change (T,)."""
    return float(delta.norm())
