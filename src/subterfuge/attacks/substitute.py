"""Learn the victim's answer near the clip, attack what was learned white-box, ask the victim about the result, repeat.

The substitute attack (Papernot et al. 2017, https://arxiv.org/abs/1602.02697), for one clip and one goal. The
substitute hears through a differentiable front end and learns the goal's margin and pull, or only whether a change
won: with `-o learn=labels` it serves a victim that gives labels alone. What it is taught lies where the attack goes:
random changes first, then, each round, the substitute's quietest win by some margin, louder and quieter, and that win
moved along the Jacobian of the front end, in random directions of the features (Papernot's augmentation).

A victim that hears what no front end hears is not learned. Where scores are seen and no change has won after `resign`
queries, `guided` takes over, which needs no front end.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from subterfuge.attacks._substitute_local import Examples, nearer, random_changes
from subterfuge.attacks.guided import Guided
from subterfuge.attacks.knobs import expect, most_queries
from subterfuge.attacks.pgd import PGD
from subterfuge.attacks.quietest import Quietest
from subterfuge.errors import AttackError
from subterfuge.oracle import BudgetSpent, Oracle, Seeks
from subterfuge.victim import Gives

LOUDER = (0.85, 1.0, 1.1, 1.25, 1.5, 2.0)
"""Parts of the substitute's win that are asked about before the first true win; `NEARER` after it."""
NEARER = (0.85, 0.92, 0.96, 1.0, 1.05, 1.12)


@dataclass(frozen=True, kw_only=True)
class Substitute:
    """Least energy that meets the goal, by the gradients of a substitute that is trained on the way."""

    learn: Literal["scores", "labels"] = "scores"
    """What of the victim's answers the substitute is taught; with ``labels`` the victim need give no more."""
    front: Literal["auto", "mean25", "logmel", "wave"] = "auto"
    """What it hears; ``auto`` takes the front end of the least leave-one-out error in the first rounds."""
    queries: int = 2000
    """Most queries of its own, unless a budget gives more."""
    first: int = 200
    """Of them, those of random changes, before the first training."""
    each: int = 30
    """Queries of each round after it."""
    memory: int = 600
    """Most examples that it learns from: those that sound most like the last."""
    climb: int = 60
    """Most gradients of the substitute until it believes in a win."""
    walk: tuple[int, ...] = (40, 60)
    """Gradients of the two walks along its boundary."""
    caution: float = 1.0
    """Margin demanded of the substitute, in its own errors, in two rounds of three."""
    quietest_db: float = 60.0
    loudest_db: float = 25.0
    """Levels of the first changes, in dB below the clip; without a win, each round tries 2 dB louder ones."""
    patience: int = 15
    """Rounds without a gain of 0.05 dB (0.6 % of the margin, where that is sought) after which the search ends."""
    resign: int = 800
    """Queries without a win after which `guided` takes over; 0 for never."""
    guided: int = 3000
    """Most queries of `guided`, where it takes over."""
    needs: ClassVar[Gives] = Gives.SCORES
    seeks: ClassVar[Seeks] = "quiet"
    starts_elsewhere: ClassVar[bool] = False
    # true of one that learns from labels, which alone asks about other sounds
    climbs: ClassVar[bool] = True
    says: ClassVar[str] = "follows a substitute learned near the clip (black box: scores, or labels by -o learn=labels)"

    def __post_init__(self) -> None:
        if self.learn not in ("scores", "labels"):
            raise AttackError(f"substitute learn={self.learn} is not known; scores or labels was expected")
        if self.front not in ("auto", "mean25", "logmel", "wave"):
            raise AttackError(f"substitute front={self.front}: auto, mean25, logmel or wave was expected")
        for knob, least, most in (
            ("queries", 1, math.inf),
            ("first", 2, 1e4),
            ("each", 1, 1e4),
            ("memory", 20, 4000),
            ("climb", 1, 1e4),
            ("caution", 0, 100),
            ("loudest_db", -60, 150),
            ("quietest_db", self.loudest_db, 150),
            ("patience", 1, math.inf),
            ("resign", 0, math.inf),
            ("guided", 1, math.inf),
        ):
            expect("substitute", knob, getattr(self, knob), least, most)
        for steps in self.walk:
            expect("substitute", "walk", steps, 1, 1e4)
        if len(self.walk) != 2:
            raise AttackError(f"substitute has {len(self.walk)} walks; 2 were expected, as walk=40,60")
        if self.learn == "labels":
            object.__setattr__(self, "needs", Gives.LABELS)
            object.__setattr__(self, "starts_elsewhere", True)

    def __call__(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator]) -> None:
        """Search for each row in turn."""
        for row in range(len(clean)):
            examples = Examples(oracle, clean[row], row, self.front, self.learn == "labels")
            try:
                self._search(oracle, clean[row], row, dice[row], examples)
            finally:
                oracle.findings[row]["substitute"] = examples.report()
            if self._resigns(oracle, row) and bool(oracle.open()[row]):
                oracle.findings[row]["resigned_after_queries"] = oracle.queries[row]
                Guided(queries=self.guided).search(oracle, clean, dice, row)

    def _resigns(self, oracle: Oracle, row: int) -> bool:
        able = self.learn == "scores" and self.resign > 0
        return able and not oracle.won[row] and oracle.queries[row] >= self.resign

    def _search(self, oracle: Oracle, clean: Tensor, row: int, die: torch.Generator, examples: Examples) -> None:
        most = oracle.queries[row] + most_queries(oracle, self.queries)
        warm = oracle.start[row]
        plain = torch.zeros_like(clean)
        asked = examples.ask(torch.stack([plain, warm] if bool(warm.any()) else [plain])[: self.queries])
        if not len(asked) or (oracle.seeks == "quiet" and float(oracle.best_size[row]) == 0):
            return
        first = random_changes(examples, self.first, self.quietest_db, self.loudest_db, die)
        if self.learn == "labels" and not oracle.won[row]:
            first = torch.cat([first[: self.first // 2], oracle.others_of(row) - clean])
        if len(examples.ask(first[: most - oracle.queries[row]])) < len(first):
            return
        if self.learn == "labels" and oracle.won[row] and not nearer(examples, most):
            return
        last, stale, turn = math.inf, 0, 0
        while stale < self.patience and oracle.queries[row] < most and not self._resigns(oracle, row):
            examples.fit(self.memory)
            tries = self._tries(oracle, row, die, examples, turn)[: most - oracle.queries[row]]
            if len(examples.ask(tries)) < len(tries):
                return
            cost = float(oracle.best_size[row] if oracle.seeks == "quiet" else -oracle.best_margin[row])
            gained = not oracle.won[row] or not examples.settled or last == math.inf or cost < last - 0.006 * abs(last)
            last, stale, turn = (cost, 0, turn + 1) if gained else (last, stale + 1, turn + 1)

    def _tries(self, oracle: Oracle, row: int, die: torch.Generator, examples: Examples, turn: int) -> Tensor:
        """Give what a round asks about: the substitute's win in several sizes, what lies beside it, louder chances."""
        won, best = bool(oracle.won[row]), oracle.best[row]
        inner = examples.inner(self.caution * (turn % 3 < 2))
        if won or turn % 2:
            inner.begin(0, best)
        if oracle.seeks == "quiet":
            attack: Quietest | PGD = Quietest(
                starts=(math.inf,), even=0, climb=self.climb, resort=0, race=self.walk, keep=(1,)
            )
        else:
            attack = PGD(steps=sum(self.walk), starts=1)
        with contextlib.suppress(BudgetSpent):
            attack(inner, examples.clean[None], [die])
        there = inner.best[0]
        if not bool(there.any()):
            there = examples.beside(there, float(examples.clean.norm()) * 10 ** (-self.loudest_db / 20), die)
        tries = [part * there for part in (NEARER if won else LOUDER)]
        tries += [best + part * (there - best) for part in (0.3, 0.6)] if won else []
        while len(tries) < self.each:
            centre = best if self.learn == "labels" and won and len(tries) % 2 else there
            size = float(centre.norm()) * (0.1 + 0.4 * float(torch.rand(1, generator=die)))
            tries.append(examples.beside(centre, size, die))
        if not won:
            loud = max(self.loudest_db - 2 * turn, 0.0)
            tries[-4:] = random_changes(examples, 4, loud, loud, die).unbind()
        return torch.stack(tries)[: self.each]
