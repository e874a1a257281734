"""An evolution strategy that learns the shape of the valley: CMA-ES over floors of bands, from scores alone.

CMA-ES (Hansen and Ostermeier 2001, https://doi.org/10.1162/106365601750190398), the diagonal kind for long genomes (Ros
and Hansen 2008, https://doi.org/10.1007/978-3-540-87700-4_30), by the package cma. A generation is a population of the
oracle. The numbers are the signed roots of the energy spent in each band (`_es_fill`), so that a sphere is a sphere of
energy. Before a win it climbs `Goal.pull`; after it, it descends the energy in dB with a price on the margin that is
missing, which rises while too few of a generation win and falls while many do. Where it stands still it begins anew
from its best with twice the bands, or, at last, with the best as one number among those of a genome of other phases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from subterfuge.attacks._es_cma import Strategy
from subterfuge.attacks._es_fill import fill_of
from subterfuge.attacks._es_slope import Slope, follow
from subterfuge.attacks._es_space import Line, Space, Spent, Watch, first_look
from subterfuge.attacks.knobs import expect, most_queries
from subterfuge.errors import AttackError
from subterfuge.oracle import Oracle, Seeks
from subterfuge.victim import Gives

WINNING = 0.35
"""The part of a generation that should win; the price of missing margin follows, by `RISE` a generation."""
RISE = 1.15


@dataclass(frozen=True, kw_only=True)
class Evolution:
    """Least energy that meets the goal, or the largest margin in a limit, by CMA-ES over floors of bands."""

    bands: int = 24
    """Bands of equal width in mel, one number each; restarts have twice as many."""
    finest: int = 48
    """Most bands."""
    population: int = 0
    """Candidates a generation, 2 or more; 0 for 4 + 3 ln(numbers)."""
    diagonal_above: int = 100
    """Numbers above which only the spread of each is learned, not how they go together."""
    scout: int = 10
    """Most steps along estimated slopes before the first generation."""
    bold_db: float = 4.0
    """Spread of the first generations, in dB of a band's mean log energy."""
    spread: float = 0.3
    """Spread of the first generation after a win or a restart, in parts of the win's own size."""
    patience: int = 25
    """Generations without a gain of 0.1 dB (or of a hundredth of the hill) after which it begins anew."""
    queries: int = 5000
    """It ends after so many, unless a budget gives it more."""
    needs: ClassVar[Gives] = Gives.SCORES
    seeks: ClassVar[Seeks] = "quiet"
    climbs: ClassVar[bool] = True
    says: ClassVar[str] = "the smallest change that wins, by CMA-ES over band energies (black box: scores)"

    def __post_init__(self) -> None:
        expect("evolution", "bands", self.bands, 1, 256)
        expect("evolution", "finest", self.finest, 1, 256)
        expect("evolution", "population", self.population, 0, 10000)
        if self.population == 1:
            raise AttackError("evolution population=1: 0, or 2 to 10000, was expected")
        expect("evolution", "diagonal_above", self.diagonal_above, 0)
        expect("evolution", "scout", self.scout, 0)
        expect("evolution", "bold_db", self.bold_db, 0.01, 100)
        expect("evolution", "spread", self.spread, 1e-4, 10)
        expect("evolution", "patience", self.patience, 1)
        expect("evolution", "queries", self.queries, 1)

    def __call__(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator]) -> None:
        """Search for each row in turn."""
        for row in range(len(clean)):
            with suppress(Spent):
                self.search(Line(oracle, row, most_queries(oracle, self.queries), clean[row]), dice[row])

    def search(self, line: Line, die: torch.Generator) -> None:
        """Search for one row until its budget, or the line's part of it, is spent."""
        rate, clean, warm = line.oracle.sample_rate, line.clean, line.oracle.start[line.row]
        space = Space(fill_of(clean, rate, self.bands, die), warm.clone() if bool(warm.any()) else None, line.norm)
        look = first_look(line, space)
        if look is None:
            return
        point, won = look
        if self.scout:
            slope, watch = Slope(24, 1.0, 0.4, die), Watch(line, "scout", "snr_db" if won else "hill", 3, thin=1)
            start = point if won or line.climbing else torch.zeros_like(point)
            point, won = follow(line, space, start, slope, won=won, rounds=self.scout, watch=watch)
            watch.ended("the scouts are back")
        if not (won or line.climbing):
            point = self._first_win(line, space, point, die)
        while True:
            point = self._descend(line, space, point, die)
            if 2 * space.fill.of_bands <= self.finest:
                space, point = space.finer(fill_of(clean, rate, 2 * space.fill.of_bands, die), point)
            else:
                best = line.oracle.best[line.row].clone()
                space = Space(fill_of(clean, rate, self.bands, die, strange=True), best, line.norm)
                point = space.point(torch.zeros(space.fill.genes, dtype=torch.float64))

    def _first_win(self, line: Line, space: Space, point: Tensor, die: torch.Generator) -> Tensor:
        """Climb the pull in dB of the bands' mean log energies until something wins, and give its point."""
        fill, rest = space.fill, point[space.fill.genes :]
        start, population, spread = (
            fill.rises(fill.by_roots(point[None, : fill.genes]))[0],
            self.population,
            self.bold_db,
        )
        while True:
            search = Strategy(start, spread, die, population, diagonal=len(start) > self.diagonal_above)
            watch = Watch(line, "first win", "hill", 2 * self.patience)
            while not (search.over or watch.stale):
                rises = search.ask()
                points = torch.cat([fill.roots(fill.by_rises(rises)), rest.expand(len(rises), -1)], 1)
                margin, pull, energy = line.ask(space.changes(points))
                watch.note(pull, **search.shape())
                wins = margin > line.needed
                if bool(wins.any()):
                    return points[int(torch.where(wins, energy, math.inf).argmin())]
                search.tell(-pull)
            watch.ended("no win yet: twice the population, half again the spread")
            start, population, spread = torch.zeros_like(start), min(2 * search.population, 400), min(1.5 * spread, 40)

    def _descend(self, line: Line, space: Space, point: Tensor, die: torch.Generator) -> Tensor:
        """Descend to less energy, or climb the pull, until it stands still, and give the best point."""
        width = line.room() if line.climbing else float(point.norm())
        spread = max(self.spread * width / math.sqrt(space.numbers), 1e-9)
        search = Strategy(point, spread, die, self.population, diagonal=space.numbers > self.diagonal_above)
        watch = Watch(line, f"{space.numbers} numbers", "hill" if line.climbing else "snr_db", self.patience)
        most, price = -math.inf, 0.0
        while not (search.over or watch.stale):
            points = search.ask()
            margin, pull, energy = line.ask(space.changes(points))
            if line.climbing:
                values = pull
                too_loud = (energy - 20 * math.log10(width)).clamp_min(0)
                costs = 1e-3 * float(pull.max() - pull.min()) * too_loud - pull
            else:
                wins = margin > line.needed
                values = torch.where(wins, -energy, -math.inf)
                missing = (line.needed - margin).clamp_min(0)
                price = price or 3 / max(float(missing.mean()), 1e-300)
                costs = energy + price * missing
                price *= 1 / RISE if float(wins.double().mean()) > WINNING else RISE
            search.tell(costs)
            watch.note(values, **search.shape())
            if float(values.max()) > most:
                most, point = float(values.max()), points[int(values.argmax())]
        watch.ended("no more gain")
        return point
