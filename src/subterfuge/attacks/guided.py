"""The smallest change that wins, from scores alone: slopes of every score along directions that sounds suggest.

Zeroth-order search with a prior on the directions (in the spirit of Cheng et al. 2019,
https://arxiv.org/abs/1906.06919), but the prior is the sound itself: the gradients of the mean log energies of its
bands, see `_guided_compass`. One query along each gives the slopes of every score, and so a linear model of the
victim's whole answer. Then sequential quadratic programming: to the least change that wins by the model, from small
steps to the whole way; tries that lose are mended with the same slopes and the answers that they got.

It descends to the nearest valley, and which that is matters. So it sets out from what a short run of `evolution` found,
then from the clip itself, then from the clip in white noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from typing import ClassVar

import torch
from torch import Tensor

from subterfuge.attacks._es_space import Line, Spent
from subterfuge.attacks._guided_compass import Compass, orthonormal
from subterfuge.attacks._guided_model import FLAT, Model
from subterfuge.attacks.evolution import Evolution
from subterfuge.attacks.knobs import expect, most_queries
from subterfuge.errors import AttackError
from subterfuge.oracle import Oracle, Seeks
from subterfuge.victim import Gives

STAYS = (0.0, 0.3, 1.0, 3.0, 10.0, 40.0)
"""How much a step is held back, from not at all to nearly wholly."""
CLIMBS = (0.5, 2.0, 8.0)
"""Lengths of the steps that are tried before a win, in strides."""
FINEST_DB = 75.0
"""Probes are no quieter than this below the clip: rounding in the file is not far below."""
LONGEST = 100.0
"""Of a step, in lengths of the clip."""


@dataclass(frozen=True, kw_only=True)
class Guided:
    """Least energy that meets the goal, or the largest margin inside a limit, by slopes along band energies."""

    evolve: int = 1200
    """Queries of the attack `evolution` before the first walk, which sets out from what it found."""
    starts: tuple[float, ...] = (math.inf, 46.0, 52.0, 40.0)
    """Noise of each further start, in dB below the clip; infinity is no noise. Where a budget says how many
    queries there are, those with noise come again and again, until it ends."""
    queries: int = 5000
    """No further start after so many, unless a budget gives more."""
    bands: int = 32
    """Mel bands whose mean log energies give directions."""
    strays: int = 2
    """Directions of white noise beside them."""
    stride_db: float = 36.0
    """The first step of a climb, in dB below the clip."""
    probe_db: float = 55.0
    """Of a probe before the first win, in dB below the clip; after it, `probe` times the change."""
    probe: float = 0.1
    mends: int = 3
    """How often tries that lost are mended."""
    over: tuple[float, ...] = (0.02, 0.1, 0.5)
    """How far past the goal a climb aims, in standard deviations of the scores; each is tried."""
    rounds: int = 60
    """Most steps of a start."""
    patience: int = 3
    """Steps without a gain of 0.05 dB after which a start ends."""
    needs: ClassVar[Gives] = Gives.SCORES
    seeks: ClassVar[Seeks] = "quiet"
    climbs: ClassVar[bool] = True
    says: ClassVar[str] = "the smallest change that wins, by the scores' slopes along band energies (black box: scores)"

    def __post_init__(self) -> None:
        for knob, least, most in (
            ("evolve", 0, math.inf),
            ("queries", 1, math.inf),
            ("bands", 1, 256),
            ("strays", 0, 1000),
            ("stride_db", 0, 150),
            ("probe_db", 0, 150),
            ("probe", 1e-4, 1),
            ("mends", 0, 100),
            ("rounds", 1, math.inf),
            ("patience", 0, math.inf),
        ):
            expect("guided", knob, getattr(self, knob), least, most)
        if not self.over:
            raise AttackError("guided over=(): at least one number was expected")
        for over in self.over:
            expect("guided", "over", over, 0, 100)
        for db in self.starts:
            if not 0 <= db <= math.inf:
                raise AttackError(f"guided starts={db:g}: 0 or more (dB below the clip) was expected")

    def __call__(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator]) -> None:
        """Search for each row in turn, from each start in turn."""
        for row in range(len(clean)):
            self.search(oracle, clean, dice, row)

    def search(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator], row: int) -> None:
        """Search for one row of the clips (N, T), from each start in turn."""
        walk = Walk(self, oracle, clean[row], row, dice[row])
        going, before, most = True, oracle.queries[row], most_queries(oracle, self.queries)
        if self.evolve:
            with suppress(Spent):
                Evolution().search(Line(oracle, row, self.evolve, clean[row]), dice[row])
            going = walk.from_(oracle.best[row].clone())
        for db in self._levels(oracle):
            if not going or oracle.queries[row] - before >= most:
                break
            going = walk.from_(oracle.start[row] + walk.noise(db))

    def _levels(self, oracle: Oracle) -> Iterator[float]:
        """Give the noise of each start; without end where the budget says when to end, as far as there is noise."""
        yield from self.starts
        noisy = [db for db in self.starts if db < math.inf]
        if noisy and oracle.most_queries is not None:
            yield from cycle(noisy)


class Walk:
    """One row's search."""

    def __init__(self, knobs: Guided, oracle: Oracle, clean: Tensor, row: int, die: torch.Generator) -> None:
        self.knobs, self.oracle, self.clean, self.row, self.die = knobs, oracle, clean, row, die
        self.loud = float(clean.norm()) or 1e-3 * math.sqrt(len(clean))  # a silent clip is taken for a quiet sound
        self.compass = Compass.of(len(clean), oracle.sample_rate, knobs.bands, clean)
        self.delta = torch.zeros_like(clean)
        self.told: list[dict[str, float | None]] = oracle.findings[row].setdefault("starts", [])

    def from_(self, start: Tensor) -> bool:
        """Walk from a change (T,); say whether there is budget left, and something to gain."""
        self.delta = self._inside(start[None])[0]
        self.quiet, self.highest, stale, stride = math.inf, -math.inf, 0, self._size(self.knobs.stride_db)
        began, start_db = self.oracle.queries[self.row], self._db(float(self.delta.norm()))
        try:
            for _ in range(self.knobs.rounds):
                before = self.quiet, self.highest
                if not self._step(stride) or self.quiet == 0:
                    return False
                gained = self.quiet < 0.994 * before[0] or (math.isinf(self.quiet) and self.highest > before[1])
                stride *= 1.0 if gained else 0.25
                stale = 0 if gained else stale + 1
                if stale > self.knobs.patience:
                    break
            return True
        finally:  # the budget may end anywhere
            self.told.append(
                {
                    "start_db": start_db,
                    "snr_db": self._db(self.quiet),
                    "margin": self.highest if math.isfinite(self.highest) else None,
                    "queries": self.oracle.queries[self.row] - began,
                }
            )

    def _step(self, stride: float) -> bool:
        """Measure slopes here, try steps, keep the best; say whether there is budget left."""
        oracle, row, knobs = self.oracle, self.row, self.knobs
        won = self.quiet < math.inf
        probe = max(knobs.probe * self.quiet, self._size(FINEST_DB)) if won else self._size(knobs.probe_db)
        basis = self._basis()
        asked = torch.cat([self.delta[None], self.delta + probe * basis])
        margins, answers = oracle.answers(asked, row)
        self._keep(asked[: min(1, len(margins))], margins[:1])
        if len(margins) < len(asked):
            return False
        place = (basis @ self.delta).double().cpu()
        model = Model(
            answers[0], (answers[1:] - answers[0]) / probe, place, lambda answer: oracle.margin_of(answer, row)
        )
        needed = float(oracle.needed[row]) if math.isfinite(float(oracle.needed[row])) else 0.0
        spread = float(answers[0].std())
        afar = model.answer - torch.tensordot(place, model.slopes, dims=1)  # of the clip: two scores meet at the goal
        tolerance = 1e-4 * max(spread, float(afar.std()))
        if oracle.seeks == "margin":
            _, slope = model.margin(place)
            uphill = slope / slope.norm().clamp_min(FLAT)
            ways = [scale * stride * uphill for scale in CLIMBS]
        elif float(margins[0]) > needed:
            ways = [model.least(stay, needed + 2 * tolerance, tolerance) - place for stay in STAYS]
        else:
            ways = []
            for over in knobs.over:
                bar = needed + over * spread + tolerance
                there = model.least(1e4, bar, tolerance) - place
                length = float(there.norm())
                ways += [there * min(1.0, scale * stride / max(length, 1e-30)) for scale in CLIMBS]
            ways += [model.least(stay, bar, tolerance) - place for stay in (0.3, 3.0)]
        tries = self._inside(self.delta + self._moves(ways, basis))
        here = self.delta
        for mend in range(knobs.mends + 1):
            margins, answers = oracle.answers(tries, row)
            self._keep(tries[: len(margins)], margins)
            if len(margins) < len(tries):
                return False
            if oracle.seeks == "margin" or mend == knobs.mends:
                break
            mended = []
            worth = -math.inf if self.quiet < math.inf else float(margins.topk(min(2, len(margins))).values[-1])
            for at, margin, answer in zip(tries, margins.tolist(), answers, strict=True):
                if margin > needed or margin < worth:
                    continue
                there = place + (basis @ (at - here)).double().cpu()
                bar = needed + max(tolerance, 0.15 * (needed - margin)) + tolerance
                step = model.at(answer, there).least(1e4, bar, tolerance) - there
                other = at + self._moves([step], basis)[0]
                if float(other.norm()) < 0.999 * self.quiet:
                    mended.append(other)
            if not mended:
                break
            tries = self._inside(torch.stack(mended))
        return True

    def _basis(self) -> Tensor:
        """Give the directions to ask about here: of the bands, some of noise, and the change so far; shape (G, T)."""
        rows = [self.compass.directions(self.clean + self.delta)]
        rows += [self.noise(0.0)[None] / self.loud for _ in range(self.knobs.strays)]
        length = self.delta.norm()
        if float(length) > 0:
            rows.append(self.delta[None] / length)
        return orthonormal(torch.cat(rows))

    def _moves(self, ways: list[Tensor], basis: Tensor) -> Tensor:
        """Give the waves (n, T) of steps (G,), which a slope near 0 may make longer than a wave can hold."""
        steps = torch.stack(ways)
        steps = steps * (LONGEST * self.loud / steps.norm(dim=1, keepdim=True).clamp_min(1e-30)).clamp_max(1)
        moved: Tensor = steps.to(basis) @ basis
        return moved

    def _keep(self, deltas: Tensor, margins: Tensor) -> None:
        """Move to the quietest win, or, before one, to the largest margin."""
        if not len(margins):
            return
        sizes = torch.where(margins > self.oracle.needed[self.row], deltas.norm(dim=1).double().cpu(), math.inf)
        best = int(sizes.argmin()) if self.oracle.seeks == "quiet" else 0
        if self.oracle.seeks == "quiet" and float(sizes[best]) < self.quiet:
            self.quiet, self.delta = float(sizes[best]), deltas[best].clone()
        if self.quiet == math.inf and float(margins.max()) > self.highest:
            self.delta = deltas[int(margins.argmax())].clone()
        self.highest = max(self.highest, float(margins.max()))

    def _inside(self, deltas: Tensor) -> Tensor:
        return self.oracle.project(deltas, torch.tensor([self.row]).expand(len(deltas)))

    def noise(self, below_db: float) -> Tensor:
        """Draw white noise (T,), so many dB below the clip."""
        if below_db == math.inf:
            return torch.zeros_like(self.clean)
        noise = torch.randn(self.clean.shape, generator=self.die).to(self.clean)
        scaled: Tensor = noise / noise.norm() * self._size(below_db)
        return scaled

    def _size(self, below_db: float) -> float:
        return self.loud * 10 ** (-below_db / 20)

    def _db(self, size: float) -> float | None:
        return 20 * math.log10(self.loud / size) if 0 < size < math.inf else None
