"""What the substitute attack holds of one clip: the examples that it has bought, and an oracle over what it learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from subterfuge.attacks.genome import genes_of
from subterfuge.attacks.noise import white
from subterfuge.oracle import Oracle
from subterfuge.threat import Asks
from subterfuge.training.substitute import Front, SubstituteNet
from subterfuge.victim import Gives, Kind

SHORT = 2048
"""Samples up to which the clip's own samples are a front end that is cheap enough to try."""
RACE = (6, 20)
"""Trainings for which every front end stays in, with answers and with signs, whose errors tell less of them."""


class Examples:
    """The changes of one clip that the victim was asked about: what each front end hears of them, and the answers.

    Args:
        oracle: whom to ask.
        clean: the clip, shape (T,).
        row: its row.
        front: a front end, or ``auto`` for that of the least leave-one-out error, settled after `RACE` trainings.
            With signs they take turns until then.
        signs: keep of each answer only whether it was a win.
    """

    def __init__(self, oracle: Oracle, clean: Tensor, row: int, front: str, signs: bool) -> None:
        self.oracle, self.clean, self.row, self.signs = oracle, clean, row, signs
        self.wave = oracle.heard(torch.zeros_like(clean)[None], row)
        """What the victim hears of the clip itself, shape (1, T)."""
        tried: list[Front] = ["mean25", "logmel", *(["wave"] if len(clean) <= SHORT else [])]  # type: ignore[list-item]
        self.nets = [SubstituteNet(one, oracle.sample_rate, (2,)) for one in tried if front in ("auto", one)] or [
            SubstituteNet("wave", oracle.sample_rate, (2,))
        ]
        self.heard: list[list[Tensor]] = [[] for _ in self.nets]
        self.answers: list[Tensor] = []
        self.rightly = self.judged = 0
        self.fits = 0
        self.spread = 0.0

    @property
    def settled(self) -> bool:
        """Whether the front end is chosen for good."""
        return len(self.nets) == 1 or self.fits >= RACE[self.signs]

    @property
    def trained(self) -> bool:
        """Whether it has learned anything yet."""
        return self.fits > 0

    @property
    def net(self) -> SubstituteNet:
        """The substitute: the margin and the pull of a sound, shape (N, 2)."""
        return self.nets[0]

    def needed(self) -> float:
        """Give the margin that makes a win."""
        needed = float(self.oracle.needed[self.row])
        return needed if needed > -torch.inf and not self.signs else 0.0

    def ask(self, changes: Tensor) -> Tensor:
        """Ask about changes (n, T) while the budget lasts and keep the answers; give the margins, shape (m,)."""
        margin, pull = self.oracle.population(changes, self.row)
        if not len(margin):
            return margin
        with torch.no_grad():
            waves = self.oracle.heard(changes[: len(margin)], self.row)
            for net, heard in zip(self.nets, self.heard, strict=True):
                heard.append(torch.cat([net.hear(wave[None]) for wave in waves]))
            if self.trained:  # it has not seen these yet, so they are a test
                expected = torch.cat([self.net(wave[None])[:, 0] for wave in waves])
                won = margin > float(self.oracle.needed[self.row])
                self.rightly += int(((expected > self.needed()) == won).sum())
                self.judged += len(margin)
        if self.signs:
            margin = torch.where(margin > float(self.oracle.needed[self.row]), 1.0, -1.0).double()
            pull = margin
        self.answers.append(torch.stack([margin, pull], 1))
        return margin

    def fit(self, most: int) -> None:
        """Learn from the `most` examples that sound most like the last ones asked about, half of them of each sign."""
        answers = torch.cat(self.answers)
        for net, parts in zip(self.nets, self.heard, strict=True):
            heard = torch.cat(parts).double()
            apart = (heard - parts[-1].double().mean(0)) / heard.std(0, correction=0).clamp_min(1e-12)
            near = apart.norm(dim=1).argsort(stable=True)
            if self.signs:
                near = torch.cat([near[answers[near, 0] == sign][: most // 2] for sign in (-1, 1)])
            near = near[:most].sort().values
            net.fit(heard[near], answers[near])
            self.spread = float(answers[near].std(0, correction=0).square().mean().sqrt())
        self.fits += 1
        order = sorted(range(len(self.nets)), key=lambda place: self.nets[place].error)
        if self.settled:
            order = order[:1]
        elif self.signs:
            order = order[self.fits % len(order) :] + order[: self.fits % len(order)]
        self.nets, self.heard = [self.nets[place] for place in order], [self.heard[place] for place in order]

    def measure(self, die: torch.Generator) -> None:
        """Standardise the features by what white noise, 40 dB below the clip, does to them, until there is more."""
        noise = torch.stack([white(self.clean, die) for _ in range(4)])
        noise = torch.cat([torch.zeros_like(self.clean)[None], 0.01 * noise * self.clean.square().mean().sqrt()])
        with torch.no_grad():
            heard = torch.cat([self.net.hear(self.wave + self.oracle.lift(one[None], self.row)) for one in noise])
        self.net.measure(heard)

    def beside(self, change: Tensor, size: float, die: torch.Generator) -> Tensor:
        """Give a change of length `size` from `change` (T,) that moves the standardised features a random way.

        Papernot's augmentation x + λ J(x), with the Jacobian of the front end: what moves the features most, for its
        energy.
        """
        there = change[None].clone().requires_grad_()
        x = self.net.standard(self.wave + self.oracle.lift(there, self.row))
        way = torch.randn(x.shape[1], generator=die, dtype=torch.float64)
        slope = torch.autograd.grad((x[0] * way).sum(), there)[0][0]
        return change + slope * (size / float(slope.norm().clamp_min(1e-30)))

    def report(self) -> dict[str, Any]:
        """Tell how well it learned, as plain JSON values."""
        return {
            "front": self.net.front,
            "examples": sum(map(len, self.answers)),
            "leave_one_out_error": self.net.error if self.trained else None,
            "agreement": self.rightly / self.judged if self.judged else None,
            "agreement_of": self.judged,
        }

    def inner(self, caution: float) -> Oracle:
        """Give an oracle over the substitute under the same limit; a win is a margin of `caution` errors of its own."""
        learned = Learned(self.net, self.oracle.sample_rate)
        inner = self.oracle.over(learned, Learnt(), self.row)
        inner.needed[0] = self.needed() + caution * self.net.error * self.spread
        return inner


def random_changes(examples: Examples, count: int, quiet_db: float, loud_db: float, die: torch.Generator) -> Tensor:
    """Draw changes (count, T) at levels between two: along the Jacobian, of the energies of cells, and white noise."""
    clean = examples.clean
    if not examples.trained:
        examples.measure(die)
    genes = genes_of(clean, examples.oracle.sample_rate, 24, die)
    changes = []
    for place in range(count):
        db = loud_db + (quiet_db - loud_db) * float(torch.rand(1, generator=die))
        size = float(clean.norm()) * 10 ** (-db / 20)
        if place % 2:
            change = examples.beside(torch.zeros_like(clean), size, die)
        elif place % 4:
            some = torch.randn(len(genes), generator=die) * (torch.rand(len(genes), generator=die) < 0.3)
            change = some.to(genes) @ genes
        else:
            change = white(clean, die)
        changes.append(change * (size / float(change.norm().clamp_min(1e-30))))
    return torch.stack(changes)


def nearer(examples: Examples, most: int) -> bool:
    """Halve the way between the clip and the best win eight times; say whether there was a query for each."""
    win, low, high = examples.oracle.best[examples.row].clone(), 0.0, 1.0
    for _ in range(8):
        middle = (low + high) / 2
        if examples.oracle.queries[examples.row] >= most or not len(examples.ask(middle * win[None])):
            return False
        low, high = (low, middle) if bool(examples.oracle.met[examples.row]) else (middle, high)
    return True


@dataclass(frozen=True, eq=False)
class Learned:
    """The substitute as a victim, whose two scores are the margin and the pull of the goal."""

    net: SubstituteNet
    sample_rate: int
    name: str = "substitute"
    labels: tuple[str, ...] = ("margin", "pull")
    gives: Gives = Gives.GRADIENTS
    kind: Kind = Kind.DECISION
    fingerprint: str = ""
    twin: None = None
    warnings: tuple[str, ...] = ()

    def decide(self, wave: Tensor) -> Tensor:
        """Give 0: it decides nothing."""
        return torch.zeros(len(wave), dtype=torch.long)

    def scores(self, wave: Tensor) -> Tensor:
        """Give margin and pull, shape (N, 2)."""
        answers: Tensor = self.net(wave)
        return answers

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give None."""
        return None


@dataclass(frozen=True)
class Learnt:
    """The goal as the substitute learned it."""

    name: ClassVar[str] = "learnt"
    asks: ClassVar[Asks] = "scores"

    def focus(self, labels: object, said: int) -> int:
        """Give 0."""
        return 0

    def margin(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give the learned margin."""
        return answer[:, 0]

    def pull(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give the learned pull."""
        return answer[:, 1]

    def reached(self, said: Tensor, probabilities: Tensor | None, focus: Tensor) -> Tensor:
        """Say yes: the margin tells."""
        return torch.ones_like(said, dtype=torch.bool)
