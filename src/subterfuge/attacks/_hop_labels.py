"""What a label-only search sees: whether a change met the goal, and how far one can be shrunk until it does not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from subterfuge.oracle import Oracle

FAINTEST = 1e-6
"""Parts of the clip's length (120 dB below it) at which shrinking ends."""


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

    def snr_db(self, delta: Tensor) -> float:
        """Give the level of the clip over a change (T,), in dB, at most 200."""
        return 20 * math.log10(self.loudness / max(float(delta.norm()), 1e-10 * self.loudness))
