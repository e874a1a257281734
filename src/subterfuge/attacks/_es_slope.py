"""Natural-gradient steps in floors of bands: a slope by antithetic draws, and the least energy that it promises.

In the rises u of bands' mean log energies classifiers of timbre are smooth, and the energy of u is known in closed form
without a query. Least energy under a linear margin w u has, by its multiplier, floors in proportion to w over the bins
of each band; that is the step of the natural gradient, and it needs no inverse.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from subterfuge.attacks._es_fill import Fill
from subterfuge.attacks._es_space import Line, Space, Watch

LEVELS_DB = (60.0, 52.0, 46.0, 41.0, 37.0, 33.0, 29.0, 25.0, 20.0, 15.0)
"""Signal-to-noise ratios tried along the slope before a win."""
MIXES = (0.08, 0.25, 0.6, 1.0)
"""Parts of the way from the floors that win to those that the slope promises."""


def scaled(floors: Tensor, enough: Callable[[Tensor], Tensor]) -> Tensor:
    """Scale floors (n, G) by the least factors, from 1e-9 to 1e9 in their geometry, that are `enough` (n,)."""
    low, high = torch.full((len(floors),), -9.0).double(), torch.full((len(floors),), 9.0).double()
    for _ in range(40):
        middle = (low + high) / 2
        held = enough(floors * (10**middle)[:, None])
        low, high = torch.where(held, low, middle), torch.where(held, middle, high)
    return floors * (10**high)[:, None]


def sized(fill: Fill, floors: Tensor, roots: Tensor) -> Tensor:
    """Scale floors (n, G) to root energies (n,), in parts of the clip's."""
    return scaled(floors, lambda tried: fill.roots(tried).norm(dim=1) >= roots)


def draws(count: int, numbers: int, die: torch.Generator) -> Tensor:
    """Draw directions (count, D) of length sqrt(D), at right angles as far as they fit (Choromanski et al. 2018).

    Structured evolution strategies, https://arxiv.org/abs/1804.02395.
    """
    rows: list[Tensor] = []
    while numbers * len(rows) < count:
        square = torch.randn(numbers, numbers, generator=die, dtype=torch.float64)
        rows.append(torch.linalg.qr(square)[0])
    return torch.cat(rows)[:count] * math.sqrt(numbers)


class Slope:
    """The slope of the hill in rises, remembered over rounds."""

    def __init__(self, pairs: int, nudge_db: float, memory: float, die: torch.Generator) -> None:
        self.pairs, self.nudge_db, self.memory, self.die = pairs, nudge_db, memory, die
        self.along: Tensor | None = None

    def look(self, line: Line, space: Space, point: Tensor, *, won: bool) -> float:
        """Ask about a point (D,) and pairs around it, update the slope, and give the point's hill."""
        fill = space.fill
        if line.climbing:  # inside the limit, whose projection would hide a part of the slope
            point = 0.9 * point
        rises = fill.rises(fill.by_roots(point[None, : fill.genes]))
        pairs = min(self.pairs, fill.genes)
        moves = draws(pairs, fill.genes, self.die)
        around = torch.cat([rises + self.nudge_db * moves, rises - self.nudge_db * moves])
        roots = torch.cat([point[None, : fill.genes], fill.roots(fill.by_rises(around))])
        margin, pull, _ = line.ask(space.changes(torch.cat([roots, point[fill.genes :].expand(len(roots), -1)], 1)))
        hill = margin if won else pull
        up, down = hill[1 : 1 + pairs], hill[1 + pairs :]
        fresh = ((up - down)[:, None] * moves).sum(0) / (2 * self.nudge_db * pairs)
        kept = self.along is not None and len(self.along) == len(fresh)
        self.along = fresh if not kept else self.memory * self.along + (1 - self.memory) * fresh  # type: ignore[operator]
        return float(hill[0])

    def restart(self) -> None:
        """Forget the slope."""
        self.along = None


def candidates(
    line: Line, space: Space, point: Tensor, slope: Slope, hill: float, trust: float, *, won: bool
) -> Tensor:
    """Give points (P, D) along a slope: of all levels before a win, on the promised boundary after it."""
    fill, rest = space.fill, point[space.fill.genes :]
    assert slope.along is not None
    floors = fill.by_roots(point[None, : fill.genes])
    there = slope.along[None] / fill.wide
    if not bool(there.any()):
        return point[None]
    if won:
        now = fill.rises(floors)

        def promised(tried: Tensor) -> Tensor:
            return hill + (fill.rises(tried) - now) @ slope.along >= line.needed  # type: ignore[operator]

        whole = scaled(there, promised)
        if not bool(promised(whole)[0]):
            whole = sized(fill, there, point.norm()[None])
        mixes = torch.tensor(MIXES).double()[:, None] * trust
        ways = scaled(floors + mixes * (whole - floors), promised)
        ways = torch.cat([ways * louder for louder in (0.85, 1.0, 1.18)] + [floors * 0.8, floors * 0.94])
    elif line.climbing:
        room = torch.tensor([line.room()]).double()
        mixes = torch.tensor(MIXES).double()[:, None] * trust
        ways = sized(fill, floors + mixes * (sized(fill, there, room) - floors), room.expand(len(mixes)))
    else:
        levels = 10 ** (-torch.tensor(LEVELS_DB).double() / 20)
        ways = floors + sized(fill, there.expand(len(levels), -1), levels)
    return torch.cat([fill.roots(ways), rest.expand(len(ways), -1)], 1)


def follow(
    line: Line, space: Space, point: Tensor, slope: Slope, *, won: bool, rounds: int, watch: Watch
) -> tuple[Tensor, bool]:
    """Step along the slope until the watch says stale or the rounds end: the best point, and whether it wins."""
    best, most, trust = point, -math.inf, 1.0
    for _ in range(rounds):
        hill = slope.look(line, space, point, won=won)
        tried = candidates(line, space, point, slope, hill, trust, won=won)
        margin, pull, energy = line.ask(space.changes(tried))
        wins = (margin > line.needed) & (not line.climbing)
        if bool(wins.any()) and not won:
            won, most = True, -math.inf
            slope.restart()
            watch.turn("snr_db")
        values = torch.where(wins, -energy, -math.inf) if won else pull
        first = int(values.argmax())
        better = float(values[first]) > most
        if better:
            most, best = float(values[first]), tried[first]
        trust = min(1.0, 1.5 * trust) if better else 0.6 * trust
        watch.note(values, trust=trust)
        point = best if won or line.climbing else tried[first]
        if watch.stale:
            break
    return best, won
