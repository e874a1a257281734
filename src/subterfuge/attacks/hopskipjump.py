"""The quietest change that wins, from labels alone: along the boundary by the labels of probes around it.

HopSkipJump (Chen, Jordan, Wainwright 2020, https://arxiv.org/abs/1904.02144): from a loud change that wins, shrink to
the boundary, estimate the boundary's normal there from the labels of random probes (eq. 12, less their mean, eq. 16),
move along it, shrink again. Three things differ. The probes come from a genome of time-frequency cells (QEBA, Li et
al. 2020, https://arxiv.org/abs/2005.14137). They all have the energy of the change in hand, so that labels tell of its
direction alone. And the move is a turn in the plane of the change and the normal, in which the quietest point of a flat
boundary lies (SurFree, Maho et al. 2021, https://arxiv.org/abs/2011.12807); of several angles that one is kept that
can be shrunk most.
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
from subterfuge.attacks._hop_starts import starts_of
from subterfuge.attacks.genome import genes_of
from subterfuge.attacks.knobs import expect
from subterfuge.errors import AttackError
from subterfuge.oracle import Oracle, Seeks
from subterfuge.victim import Gives

ANGLES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Turns that are tried, in units of the last one that was taken."""


@dataclass(frozen=True, kw_only=True)
class HopSkipJump:
    """Least energy that meets the goal, by probes of the boundary."""

    space: Literal["cells", "waveform"] = "cells"
    """Where probes are drawn: a genome of time-frequency cells, or white noise."""
    bands: int = 24
    """Bands of equal width in mel; each has three tiers of frames, with a gain and a noise."""
    genomes: int = 2
    """How often the walk goes on in another genome, with other noise and a few bands more."""
    starts: int = 96
    """Random genomes at each level, until some meet the goal."""
    runners: int = 3
    """Starts that are walked from; the quietest after `race` rounds goes on."""
    race: int = 6
    rounds: int = 24
    """Rounds in each genome."""
    probes: int = 100
    """Labels of one normal."""
    radius: float = 0.2
    """First distance of the probes, in parts of the change; it then follows the share of probes that win."""
    memory: float = 0.5
    """Part of the last normal that is kept."""
    needs: ClassVar[Gives] = Gives.LABELS
    seeks: ClassVar[Seeks] = "quiet"
    says: ClassVar[str] = "the smallest change that wins, by walking along the boundary (black box: labels)"

    def __post_init__(self) -> None:
        if self.space not in ("cells", "waveform"):
            raise AttackError(f"hopskipjump space={self.space} is not known; cells or waveform was expected")
        expect("hopskipjump", "bands", self.bands, 1, 256)
        expect("hopskipjump", "genomes", self.genomes, 1)
        expect("hopskipjump", "starts", self.starts, 1, 10_000)
        expect("hopskipjump", "runners", self.runners, 1)
        expect("hopskipjump", "race", self.race, 0)
        expect("hopskipjump", "rounds", self.rounds, 1)
        expect("hopskipjump", "probes", self.probes, 2, 10_000)
        expect("hopskipjump", "radius", self.radius, 1e-4, 1)
        expect("hopskipjump", "memory", self.memory, 0, 0.99)

    def __call__(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator]) -> None:
        """Search for each row in turn."""
        for row in range(len(clean)):
            loudness = float(clean[row].norm()) or 0.1 * math.sqrt(clean.shape[1])
            oracle.findings[row].update(start=None, steps=[])
            try:
                self._search(Labels(oracle, row, loudness), clean[row], dice[row])
            except RowClosed:
                pass
            finally:
                if not oracle.won[row]:
                    oracle.findings[row]["start"] = f"the target was never seen in {oracle.queries[row]} queries"

    def _search(self, labels: Labels, clean: Tensor, die: torch.Generator) -> None:
        findings = labels.oracle.findings[labels.row]
        genes = genes_of(clean, labels.oracle.sample_rate, self.bands, die)
        runners = starts_of(labels, clean, genes, self.starts, self.runners, die)[: self.runners]
        if not runners:
            return
        ends = []
        space = space_of(genes if self.space == "cells" else None, clean)
        for start in runners:
            about = {
                "kind": start.kind,
                "snr_db": labels.snr_db(start.delta),
                "queries": labels.oracle.queries[labels.row],
            }
            findings["start"] = findings["start"] or about
            ends.append(self._walk(labels, space, start.delta, self.race if len(runners) > 1 else 0, die))
            if ends[-1].norm() <= min(end.norm() for end in ends):
                findings["start"] = about
        at = min(ends, key=lambda end: float(end.norm()))
        for turn in range(self.genomes):
            if turn and self.space == "cells":
                space = space_of(genes_of(clean, labels.oracle.sample_rate, self.bands + 4 * turn, die), clean)
            at = self._walk(labels, space, at, self.rounds, die)

    def _walk(self, labels: Labels, space: Space, at: Tensor, rounds: int, die: torch.Generator) -> Tensor:
        at = labels.shrink(at, 0.002)
        normal = torch.zeros_like(space.level)
        radius, angle = self.radius, 0.3
        for _ in range(rounds):
            r = float(at.norm())
            if r <= FAINTEST * labels.loudness:
                break
            e, spread = at / r, space.spread(at)
            x = torch.randn(self.probes, len(spread), generator=die).to(at) * spread
            u = space.wave(x / math.sqrt(len(spread)))
            u = e + radius * (u - (u @ e)[:, None] * e)
            met = labels(r * u / u.norm(dim=1, keepdim=True)).to(at)
            share = float(met.mean())
            radius *= 0.5 if share < 0.1 else 0.8 if share < 0.25 else 1.25 if share > 0.4 and radius < 0.8 else 1.0
            slope = (met - share) @ x / spread
            normal = self.memory * normal + slope / slope.norm().clamp_min(1e-20)
            ways = []
            for steep in (space.wave(normal), space.wave(normal * spread)):
                m = steep - (steep @ e) * e
                ways.append(m / m.norm().clamp_min(1e-20))
            at, angle = turned(labels, at, torch.stack(ways), angle)
            findings = labels.oracle.findings[labels.row]
            findings["steps"].append({"queries": labels.oracle.queries[labels.row], "snr_db": labels.snr_db(at)})
        return at


def turned(labels: Labels, at: Tensor, ways: Tensor, angle: float) -> tuple[Tensor, float]:
    """Turn a win (T,) toward unit vectors (W, T) at right angles to it, as far as shrinks it most; give the angle too.

    All turns are asked about at a slightly smaller size, those that win at a smaller one, until none does.
    """
    angles = [scale * angle for scale in ANGLES if scale * angle < math.pi / 2]
    tries = torch.cat([math.cos(a) * at + math.sin(a) * at.norm() * ways for a in angles])
    left, size, step, best, kept = torch.arange(len(tries)), 0.998, 0.01, -1, 1.0
    while len(left) and size > 0.05:
        left = left[labels(size * tries[left])]
        if len(left):
            best, kept = int(left[len(left) // 2]), size
            size, step = size - step, 1.7 * step
    if best < 0:
        return at, max(angle / 2, 1e-3)
    return labels.shrink(kept * tries[best], 0.001, size / kept), min(angles[best // len(ways)], 1.0)
