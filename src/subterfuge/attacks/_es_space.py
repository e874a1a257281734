"""The numbers in which evolution strategies search, and how a count of queries closes them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from subterfuge.attacks._es_fill import Fill
from subterfuge.oracle import Oracle


class Spent(Exception):
    """The attack's own count of queries, or the row's budget, has ended."""


@dataclass(eq=False)
class Line:
    """A line to the oracle for one row, closed after so many queries; it keeps the best point (D,) of a search."""

    oracle: Oracle
    row: int
    left: int
    clean: Tensor
    """The row's clip, (T,)."""
    norm: float = field(init=False)

    def __post_init__(self) -> None:
        """Take the clip's level as the unit; a silent clip's is that of a quiet sound."""
        self.norm = max(float(self.clean.norm()), 1e-3 * math.sqrt(len(self.clean)))

    @property
    def climbing(self) -> bool:
        """Whether the largest margin is sought."""
        return self.oracle.seeks == "margin"

    @property
    def needed(self) -> float:
        """The margin that a win must exceed; 0 where it has no end."""
        needed = float(self.oracle.needed[self.row])
        return needed if math.isfinite(needed) else 0.0

    def ask(self, changes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ask about changes (P, T): margins, pulls, and energies in dB of the clip's, float64, (P,).

        Raises:
            Spent: not all of them could be asked.
        """
        margin, pull = self.oracle.population(changes[: self.left], self.row)
        self.left -= len(margin)
        if len(margin) < len(changes):
            raise Spent
        return margin, pull, 20 * torch.log10(changes.norm(dim=1).double() / self.norm + 1e-12)

    def room(self) -> float:
        """Give the root energy that the limit leaves to a change of the clip's own shape, at most 1, in its units."""
        loud = self.clean if bool(self.clean.any()) else torch.full_like(self.clean, self.norm / len(self.clean) ** 0.5)
        return min(1.0, float(self.oracle.project(loud[None], torch.tensor([self.row])).norm()) / self.norm)


@dataclass(frozen=True, eq=False)
class Space:
    """A genome and a base: signed roots of energy in parts of the clip's, one a gene and one for the base."""

    fill: Fill
    base: Tensor | None
    """A change (T,) of which a part is added, or none."""
    norm: float

    @property
    def numbers(self) -> int:
        """How many numbers there are."""
        return self.fill.genes + (self.base is not None)

    def changes(self, points: Tensor) -> Tensor:
        """Give the changes (n, T) at points (n, D)."""
        made = self.fill.changes(self.fill.by_roots(points[:, : self.fill.genes]))
        if self.base is not None:
            made = made + points[:, -1:].to(made) * (self.norm / self.base.norm()) * self.base
        return made

    def point(self, floors: Tensor) -> Tensor:
        """Give the point (D,) of floors (G,) and, where there is a base, all of it."""
        roots = self.fill.roots(floors[None])[0]
        return roots if self.base is None else torch.cat([roots, (self.base.norm() / self.norm).double()[None]])

    def finer(self, fill: Fill, point: Tensor) -> tuple[Space, Tensor]:
        """Give the space of a finer genome, and the point there that makes the same change."""
        genes = self.fill.genes
        floors = self.fill.heirs(fill, self.fill.by_roots(point[None, :genes]))
        return Space(fill, self.base, self.norm), torch.cat([fill.roots(floors)[0], point[genes:]])


EVEN_DB = (60.0, 50.0, 40.0, 30.0, 20.0)
"""Signal-to-noise ratios of the first fills, of one floor in all bands: near enough white noise in what is quiet."""


def first_look(line: Line, space: Space) -> tuple[Tensor, bool] | None:
    """Ask about no change, the warm start a little louder, and even fills: the best point and whether it wins.

    None where nothing has to be done: no change at all wins, and the quietest win is sought.

    Raises:
        Spent: no more may be asked.
    """
    fill = space.fill
    nothing = torch.zeros(space.numbers, dtype=torch.float64)
    points = [nothing]
    if space.base is not None:
        whole = space.point(nothing[: fill.genes])
        points += [whole * louder for louder in (1.0, 1.03, 1.1, 1.25, 1.6)]
    rest = points[min(1, len(points) - 1)][fill.genes :]
    points += [torch.cat([fill.roots(fill.even(db)[None])[0], rest]) for db in EVEN_DB]
    asked = torch.stack(points)
    margin, pull, energy = line.ask(space.changes(asked))
    if line.climbing:
        return asked[int(pull.argmax())], False
    wins = margin > line.needed
    if bool(wins[0]):
        return None
    first = int(torch.where(wins, energy, math.inf).argmin() if bool(wins.any()) else pull.argmax())
    return asked[first], bool(wins.any())


@dataclass(eq=False)
class Watch:
    """Writes the story of one run into the row's findings, and says when the run stands still."""

    line: Line
    stage: str
    measure: str
    """What is best where it is largest: "snr_db" of a win, or "hill"."""
    patience: int
    """Generations without a gain that it allows."""
    name: str = "generations"
    thin: int = 5
    generations: int = 0
    best: float = -math.inf
    _first: float = -math.inf
    _mark: float = -math.inf
    _lowest: float = math.inf
    _since: int = 0

    def note(self, values: Tensor, **about: float) -> None:
        """Take a generation's values (P,), -inf where there is none, and write down every `thin`th."""
        best = float(values.max())
        self.best = max(self.best, best)
        self._first = self._first if math.isfinite(self._first) else best
        self._lowest = min(self._lowest, best)
        gain = 0.1 if self.measure == "snr_db" else 0.01 * max(self.best - self._lowest, 0.0)
        self._since += 1
        if self.best > self._mark + gain:
            self._mark, self._since = self.best, 0
        if self.generations % self.thin == 0:
            had = values[values.isfinite()]
            told = {"queries": self.line.oracle.queries[self.line.row], "measure": self.measure, "stage": self.stage}
            self._of(self.name).append(
                {**told, "best": self.best, "mean": float(had.mean()) if len(had) else None, **about}
            )
        self.generations += 1

    def turn(self, measure: str) -> None:
        """Begin to watch another measure."""
        self.measure, self.best, self._first, self._mark = measure, -math.inf, -math.inf, -math.inf
        self._lowest, self._since = math.inf, 0

    @property
    def stale(self) -> bool:
        """Whether it has gained too little for too long."""
        return self._since > self.patience

    def ended(self, why: str) -> None:
        """Write down that the search begins anew, and what the run gained."""
        queries = self.line.oracle.queries[self.line.row]
        gained = self.best - self._first if math.isfinite(self._first) else None
        self._of("restarts").append({"queries": queries, "stage": self.stage, "why": why, "gained": gained})

    def _of(self, name: str) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = self.line.oracle.findings[self.line.row].setdefault(name, [])
        return told
