"""What a label-only search can ask: did a change meet the goal, how far can it be shrunk, and how far turned?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from subterfuge.oracle import Oracle

FAINTEST = 1e-6
"""Parts of the clip's length (120 dB below it) at which shrinking ends."""
ANGLES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Turns that are tried, in units of the last one that was taken."""


class RowClosed(Exception):
    """The clip's own budget is spent."""


@dataclass(frozen=True)
class Labels:
    """Asks about one clip and shows nothing but whether the goal was met."""

    oracle: Oracle
    row: int
    loudness: float
    """Length of the clip as a vector, to which levels are relative; above 0."""

    def __call__(self, deltas: Tensor) -> Tensor:
        """Say which changes (P, T) met the goal, bool (P,).

        Raises:
            RowClosed: the budget ended among them.
        """
        margins = self.oracle.population(deltas, self.row)[0]
        if len(margins) < len(deltas):
            raise RowClosed
        return margins > self.oracle.needed[self.row]

    def inside(self, delta: Tensor) -> Tensor:
        """Give the change (T,) as the limit lets it be."""
        return self.oracle.project(delta[None], torch.tensor([self.row]))[0]

    def shrink(self, delta: Tensor, step: float, lost: float = 0.0) -> Tensor:
        """Shrink a change (T,) that won to the edge of winning, by halving.

        Args:
            delta: the winning change.
            step: parts of its length to which the edge is found.
            lost: a part of its length that is known to lose.
        """
        won = 1.0
        while won - lost > step * won and won * float(delta.norm()) > FAINTEST * self.loudness:
            middle = (lost + won) / 2 if lost > won / 2 else max(won / 2, math.sqrt(lost * won))
            if bool(self(middle * delta[None])[0]):
                won = middle
            else:
                lost = middle
        return self.inside(won * delta)

    def turn(self, at: Tensor, ways: Tensor, angle: float) -> tuple[Tensor, float]:
        """Turn a win (T,) toward unit vectors (W, T) at right angles, to where it shrinks most; give the angle too.

        All turns are asked about at a slightly smaller size, those that win at a smaller one, until none does. Where
        none wins at all, the change is given back with a smaller angle to try next.
        """
        angles = [scale * angle for scale in ANGLES if scale * angle < math.pi / 2]
        tries = torch.cat([math.cos(a) * at + math.sin(a) * at.norm() * ways for a in angles])
        left, size, step, best, kept = torch.arange(len(tries)), 0.998, 0.01, -1, 1.0
        while len(left) and size > 0.05:
            left = left[self(size * tries[left])]
            if len(left):
                best, kept = int(left[len(left) // 2]), size
                size, step = size - step, 1.7 * step
        if best < 0:
            return at, max(angle / 2, 1e-3)
        return self.shrink(kept * tries[best], 0.001, size / kept), min(angles[best // len(ways)], 1.0)

    def snr_db(self, delta: Tensor) -> float:
        """Give the level of the clip over a change (T,), in dB, at most 200."""
        return 20 * math.log10(self.loudness / max(float(delta.norm()), 1e-10 * self.loudness))
