"""Climbing by estimated natural gradients: antithetic draws around the change, from scores alone.

NES (Wierstra et al. 2014, https://arxiv.org/abs/1106.4487; as an attack: Ilyas et al. 2018,
https://arxiv.org/abs/1804.08598), with draws at right angles. In `cells` the draws are changes of bands' mean log
energies, and the step takes floors of bands (`_es_fill`) towards the least energy that wins if the margin is linear;
where it stands still, the bands are halved. In `waveform` the draws are white, and the step goes towards the nearest
point of the plane that the slope promises: theta = w (needed - margin + w theta) / w^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from subterfuge.attacks._es_fill import fill_of
from subterfuge.attacks._es_slope import Slope, follow
from subterfuge.attacks._es_space import Line, Space, Spent, Watch, first_look
from subterfuge.attacks._es_wave import search as wave
from subterfuge.attacks.knobs import expect, most_queries
from subterfuge.errors import AttackError
from subterfuge.oracle import Oracle, Seeks
from subterfuge.victim import Gives


@dataclass(frozen=True, kw_only=True)
class NES:
    """Least energy that meets the goal, or the largest margin in a limit, along estimated natural gradients."""

    space: Literal["cells", "waveform"] = "cells"
    bands: int = 24
    """Bands of equal width in mel, one number each; twice as many where it stands still."""
    finest: int = 96
    """Most bands."""
    pairs: int = 24
    """Antithetic pairs of a slope; in `cells` at most one a number."""
    nudge_db: float = 1.0
    """Draws' spread in a band's mean log energy."""
    draw_db: float = 50.0
    """Draws' level in `waveform`, in dB below the clip."""
    memory: float = 0.4
    """Part of the last slope that is kept."""
    patience: int = 6
    """Steps without a gain of 0.1 dB (or of a hundredth of the hill) after which the bands are halved."""
    queries: int = 5000
    """It ends after so many, unless a budget gives it more."""
    needs: ClassVar[Gives] = Gives.SCORES
    seeks: ClassVar[Seeks] = "quiet"
    climbs: ClassVar[bool] = True
    says: ClassVar[str] = "the smallest change that wins, by estimated natural gradients (black box: scores)"

    def __post_init__(self) -> None:
        if self.space not in ("cells", "waveform"):
            raise AttackError(f"nes space={self.space} is not known; cells or waveform was expected")
        expect("nes", "bands", self.bands, 1, 256)
        expect("nes", "finest", self.finest, 1, 256)
        expect("nes", "pairs", self.pairs, 1, 100000)
        expect("nes", "nudge_db", self.nudge_db, 1e-3, 30)
        expect("nes", "draw_db", self.draw_db, 0, 120)
        expect("nes", "memory", self.memory, 0, 0.99)
        expect("nes", "patience", self.patience, 1)
        expect("nes", "queries", self.queries, 1)

    def __call__(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator]) -> None:
        """Search for each row in turn."""
        for row in range(len(clean)):
            with suppress(Spent):
                line = Line(oracle, row, most_queries(oracle, self.queries), clean[row])
                if self.space == "waveform":
                    wave(line, dice[row], self.pairs, self.draw_db)
                else:
                    self._cells(line, dice[row])

    def _cells(self, line: Line, die: torch.Generator) -> None:
        rate, clean, warm = line.oracle.sample_rate, line.clean, line.oracle.start[line.row]
        space = Space(fill_of(clean, rate, self.bands, die), warm.clone() if bool(warm.any()) else None, line.norm)
        look = first_look(line, space)
        if look is None:
            return
        point, won = look
        if not won and not line.climbing:
            point = torch.zeros_like(point)
        while True:
            slope = Slope(self.pairs, self.nudge_db, self.memory, die)
            watch = Watch(line, f"{space.numbers} numbers", "snr_db" if won else "hill", self.patience, "steps", 1)
            point, won = follow(line, space, point, slope, won=won, rounds=10**9, watch=watch)
            watch.ended("no more gain")
            if 2 * space.fill.of_bands <= self.finest:
                space, point = space.finer(fill_of(clean, rate, 2 * space.fill.of_bands, die), point)
            else:
                return
