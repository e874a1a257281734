"""The smallest change that wins: climb from several places, then walk down along the boundary.

First-order, in the spirit of DDN (Rony et al. 2019, https://arxiv.org/abs/1811.09600) and of the boundary attack:
normalised gradients, no assumption on the victim. Three things differ, each because audio features ask for it.

- It begins at several places: the clip, and the clip with white noise 40 to 52 dB below it. Averaged log-spectra have
  many basins (which quiet cells to fill, and which to empty); noise at these levels chooses among them.
- Away from the boundary it climbs `Goal.pull`, a smooth hill, in steps that grow until the goal is met.
- On the boundary the radius shrinks after a win and grows after a loss, and each step goes along the sphere only; lost
  for long, it returns to its best win with half the stride.

The starts are raced: each takes a short walk, the best few a longer one, the winner the longest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from subterfuge.attacks.knobs import expect
from subterfuge.errors import AttackError
from subterfuge.oracle import Oracle, Seeks
from subterfuge.victim import Gives

LAST_RESORTS = (("even", True), ("drift", False))
"""Ways, and whether they climb the pull or the margin, for rows that no start has won: the first reaches far
probabilities, the second leaves plateaus on which the pull is flat (an RBF kernel's, far from all that it knows)."""


@dataclass(frozen=True, kw_only=True)
class Quietest:
    """Least energy that meets the goal (and the limit, if there is one)."""

    starts: tuple[float, ...] = (math.inf, 46.0, 40.0, 52.0, 46.0, 46.0)
    """Noise of each start, in dB below the clip; infinity is no noise."""
    even: int = 2
    """How many of the starts, the last ones, climb with Adam, which spreads the change evenly."""
    climb: int = 200
    """Most gradients until a start meets the goal."""
    resort: int = 4
    """Where every start fails, this many times as many for each of the last resorts."""
    race: tuple[int, ...] = (40, 100, 300)
    """Steps of each round of walks."""
    keep: tuple[int, ...] = (2, 1)
    """Starts that stay in after each round but the last."""
    stride_db: float = 57.0
    """The climb's first step, in dB below the clip."""
    even_db: float = 62.0
    """Adam's step, in dB below the clip."""
    growth: float = 1.02
    """Factor from one step of the climb to the next."""
    swing: float = 0.1
    """The walk's step along the sphere, in radii."""
    shrink: float = 0.03
    """The walk's change of radius."""
    patience: int = 25
    """Losses in a row after which the walk returns to its best."""
    needs: ClassVar[Gives] = Gives.GRADIENTS
    seeks: ClassVar[Seeks] = "quiet"
    says: ClassVar[str] = "the smallest change that wins, from several starts (white box)"

    def __post_init__(self) -> None:
        for knob, least, most in (
            ("even", 0, math.inf),
            ("climb", 1, math.inf),
            ("resort", 0, 100),
            ("stride_db", 0, 150),
            ("even_db", 0, 150),
            ("growth", 1, 2),
            ("swing", 1e-4, 10),
            ("shrink", 1e-4, 0.9),
            ("patience", 1, math.inf),
        ):
            expect("quietest", knob, getattr(self, knob), least, most)
        for db in self.starts:
            expect("quietest", "starts", db, 0)
        for steps in (*self.race, *self.keep):
            expect("quietest", "race and keep", steps, 1)
        if not self.starts or len(self.keep) != len(self.race) - 1:
            raise AttackError(
                f"quietest has {len(self.starts)} starts, {len(self.race)} rounds of race and {len(self.keep)} of "
                "keep; one start or more was expected, and one keep less than rounds, as race=40,100,300 and keep=2,1"
            )

    def __call__(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator]) -> None:
        """Race the starts of every row; a row whose win died in the file goes on from there alone."""
        warm = (oracle.start != 0).any(dim=-1)
        everyone, cold = torch.ones_like(warm).cpu(), ~warm.cpu()
        even = min(self.even, len(self.starts) - 1)
        runners: list[tuple[Tensor, Tensor]] = []
        for place, db in enumerate(self.starts):
            if place and not bool(cold.any()):
                break
            start, rows = oracle.project(self._noise(clean, db, dice)), cold
            if not place:
                start, rows = torch.where(warm[:, None], oracle.start, start), everyone
            way = "even" if place >= len(self.starts) - even else "steep"
            delta, met = self._climb(oracle, clean, start, rows, way=way, steps=self.climb)
            runners.append(self._walk(oracle, delta, met, self.race[0]))
        for way, pull in LAST_RESORTS:
            lost = torch.stack([radius for _, radius in runners]).amin(0).isinf()
            if not bool(lost.any()):
                break
            start = self._noise(clean, self.starts[-1], dice)
            delta, met = self._climb(oracle, clean, start, lost, way=way, steps=self.resort * self.climb, pull=pull)
            runners.append(self._walk(oracle, delta, met, self.race[0]))
        later = self.race[1:] if bool(cold.any()) else self.race[1:2]
        for round_, steps in enumerate(later):
            runners = self._front(runners, self.keep[round_])
            runners = [self._walk(oracle, delta, radius < math.inf, steps) for delta, radius in runners]

    def _noise(self, clean: Tensor, db: float, dice: Sequence[torch.Generator]) -> Tensor:
        noise = torch.stack([torch.randn(clean.shape[-1], generator=die) for die in dice]).to(clean)
        scale = clean.norm(dim=-1, keepdim=True) * 10 ** (-db / 20) / noise.norm(dim=-1, keepdim=True)
        shaped: Tensor = noise * scale
        return shaped

    def _climb(
        self,
        oracle: Oracle,
        clean: Tensor,
        start: Tensor,
        wanted: Tensor,
        *,
        way: str,
        steps: int,
        pull: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Ascend until each wanted row meets the goal; give where, and which rows did.

        Ways: "steep" goes along the slope in growing steps; "drift" along its running sum; "even" is Adam (Kingma and
        Ba 2015, algorithm 1), in which each sample moves at its own pace.
        """
        delta = start.clone()
        level = clean.norm(dim=-1)
        drift, scatter = torch.zeros_like(clean), torch.zeros_like(clean)
        met = torch.zeros(len(clean), dtype=torch.bool)
        for k in range(steps):
            left = (wanted & ~met).nonzero()[:, 0]
            if not len(left):
                break
            _, slope = oracle.gradient(delta[left], left, pull=pull)
            met[left] = oracle.met[left]
            rows, up = left[~met[left]], unit(slope[~met[left]])
            if not len(rows):
                break
            step = level[rows] * 10 ** (-self.stride_db / 20) * self.growth ** min(k, self.climb)
            drift[rows] = 0.9 * drift[rows] + 0.1 * up
            if way == "even":
                scatter[rows] = 0.999 * scatter[rows] + 0.001 * up**2
                up = (
                    drift[rows]
                    / (1 - 0.9 ** (k + 1))
                    / (scatter[rows] / (1 - 0.999 ** (k + 1))).sqrt().clamp_min(1e-12)
                )
                step = level[rows] * 10 ** (-self.even_db / 20) / math.sqrt(clean.shape[-1])
            elif way == "drift":
                up, step = unit(drift[rows]), level[rows] * 10 ** (-self.stride_db / 20)
            delta[rows] = oracle.project(delta[rows] + step[:, None] * up, rows)
        return delta, met

    def _walk(self, oracle: Oracle, start: Tensor, met: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Walk each row that meets the goal along its boundary; give its best win and that win's radius."""
        best, delta = start.clone(), start.clone()
        radius = torch.where(met.to(start.device), start.norm(dim=-1), math.inf)
        aim, stride = radius.clone(), torch.ones_like(radius)
        lost = torch.zeros_like(radius)
        rows = met.nonzero()[:, 0]
        if not len(rows):
            return best, radius
        for k in range(steps):
            _, slope = oracle.gradient(delta[rows], rows)
            cool = 0.5 * (1 + math.cos(math.pi * k / steps)) * stride[rows]
            win = oracle.met[rows].to(delta.device)
            size = delta[rows].norm(dim=-1)
            quieter = win & (size < radius[rows])
            best[rows[quieter]] = delta[rows[quieter]]
            radius[rows] = torch.where(quieter, size, radius[rows])
            down = torch.minimum(aim[rows], size) * (1 - self.shrink * cool - 5e-4)
            up = torch.minimum(aim[rows] * (1 + self.shrink / 2 * cool + 2e-4), radius[rows] * 0.9999)
            aim[rows] = torch.where(win, down, up)
            lost[rows] = torch.where(win, 0.0, lost[rows] + 1)
            back = lost[rows] > self.patience
            outward = unit(delta[rows])
            along = unit(slope - (slope * outward).sum(-1, keepdim=True) * outward)
            onward = delta[rows] + (self.swing * cool * aim[rows])[:, None] * along
            delta[rows] = torch.where(back[:, None], best[rows], onward)
            aim[rows] = torch.where(back, radius[rows] * (1 - self.shrink * cool / 5), aim[rows])
            stride[rows] = torch.where(back, stride[rows] / 2, stride[rows])
            lost[rows] = torch.where(back, 0.0, lost[rows])
            scaled = unit(delta[rows]) * aim[rows][:, None]
            delta[rows] = torch.where(back[:, None], delta[rows], scaled)
        return best, radius

    def _front(self, runners: list[tuple[Tensor, Tensor]], keep: int) -> list[tuple[Tensor, Tensor]]:
        """Give each row's `keep` smallest radii, best first."""
        radii = torch.stack([radius for _, radius in runners])
        order = radii.argsort(dim=0)
        rows = torch.arange(radii.shape[1])
        deltas = torch.stack([delta for delta, _ in runners])
        return [(deltas[order[place], rows], radii[order[place], rows]) for place in range(min(keep, len(runners)))]


def unit(x: Tensor) -> Tensor:
    """Give each row of (N, T) the length 1; zeros stay zeros."""
    scaled: Tensor = x / x.norm(dim=-1, keepdim=True).clamp_min(1e-30)
    return scaled
