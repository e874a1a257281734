"""Square Attack carried to sounds: random search with patches of time and frequency, from scores alone.

After the L2 version of Andriushchenko et al. (2020), https://arxiv.org/abs/1912.00049. The change lives on the grid of
a short-time Fourier transform and has a set energy. Each query tries one move: a random patch is emptied, and its
energy goes to another patch, which becomes the sum of what it held and of something fresh. The move stays if the hill
rose. The patch's part of the grid shrinks by the paper's schedule.

Three things differ, because classifiers of sounds ask for it. Patches are long in time and narrow in mel, for features
are averaged over time. What is fresh is noise, or the clip's own sound added or taken away, no louder than a level that
spends the patch's energy: so the quiet cells, where a decibel is cheapest, fill or empty first. And where there is no
limit, the energy grows until the goal is met; then every move is also a little quieter, and stays if it still wins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from subterfuge.attacks._square_board import Board
from subterfuge.attacks.knobs import expect, most_queries
from subterfuge.oracle import Oracle, Seeks
from subterfuge.victim import Gives

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Queries in 10,000 after each of which the patch is half as large (the paper's schedule)."""


@dataclass(frozen=True, kw_only=True)
class Square:
    """Random search with patches of a spectrogram: least energy, or the most that a limit's room gives."""

    queries: int = 5000
    """Of one clip, unless a budget gives more; the patch shrinks along them."""
    patch: float = 0.25
    """Part of the grid that the first patches take."""
    start_db: float = 42.0
    """First energy, in dB below the clip; a limit may allow less."""
    grow_db: float = 1.0
    """Before a win, the energy grows by so much..."""
    grow_every: int = 100
    """...after so many queries."""
    shrink: float = 0.01
    """After a win, how much quieter the first moves are; it adapts until one move in five stays."""
    needs: ClassVar[Gives] = Gives.SCORES
    seeks: ClassVar[Seeks] = "quiet"
    climbs: ClassVar[bool] = True
    says: ClassVar[str] = "random search with patches of time and frequency, Square Attack (black box: scores)"

    def __post_init__(self) -> None:
        expect("square", "queries", self.queries, 1)
        expect("square", "patch", self.patch, 1e-4, 1)
        expect("square", "start_db", self.start_db, -20, 150)
        expect("square", "grow_db", self.grow_db, 0, 40)
        expect("square", "grow_every", self.grow_every, 1)
        expect("square", "shrink", self.shrink, 1e-4, 0.5)

    def __call__(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator]) -> None:
        """Search for each row in turn."""
        for row in range(len(clean)):
            self._search(oracle, Board(clean[row], oracle.sample_rate, dice[row]), row)

    def _search(self, oracle: Oracle, board: Board, row: int) -> None:
        rows, climbing = torch.tensor([row]), oracle.seeks == "margin"
        loud = max(float(board.clean.norm()), 1e-3 * math.sqrt(len(board.clean)))
        room = min(10 * loud, float(oracle.project(1e3 * loud * board.white()[None], rows).norm()))
        limited = room < 10 * loud
        level = min(room, loud * 10 ** (-self.start_db / 20))
        warm = oracle.start[row]
        if bool(warm.any()):
            level = float(warm.norm())
        elif climbing and limited:
            level = room
        grid, shrink, best, won = board.grid(warm) if bool(warm.any()) else board.tiles(), self.shrink, -math.inf, False
        most = most_queries(oracle, self.queries)
        stay, left, moves = True, most, 0
        while left:
            if stay:  # the first query, and after the energy grew: the change itself
                trial, target = grid, level
            else:
                target = level * (1 - shrink) if won else level
                trial = board.move(grid, part_at(self.patch, (most - left) / most), target)
                moves += 1
            trial, wave = board.scaled(trial, target)
            _, hill = oracle.population(wave[None], row)
            if not len(hill):
                return
            left -= 1
            met = bool(oracle.met[row]) and not climbing
            if won:  # only quieter wins stay
                shrink = min(1.5 * shrink, 0.3) if met else max(shrink * 1.5**-0.25, 1e-4)
            if met or (not won and (stay or float(hill[0]) > best)):
                grid, level, best = trial, target, float(hill[0])
            won, stay = won or met, False
            if not won and moves >= self.grow_every and not (climbing and limited):
                level, moves, stay = max(level, min(level * 10 ** (self.grow_db / 20), room)), 0, True


def part_at(first: float, done: float) -> float:
    """Give the patch's part of the grid after a part `done` of the queries.

    >>> part_at(0.1, 0.0), part_at(0.1, 0.0015)
    (0.1, 0.05)
    """
    return float(first / 2 ** sum(10000 * done > step for step in HALVINGS))
