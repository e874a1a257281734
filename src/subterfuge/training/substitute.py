"""Train a substitute of a whole victim, within a number of queries (Papernot et al. 2017).

Seed sounds and variants of them are labelled by the victim; a network is fitted; each round of Jacobian-based
augmentation moves some of what it has along the network's own gradient and asks the victim again. After the first
rounds a reservoir (their section 5.2) bounds how many new sounds a round may have.

Source: https://arxiv.org/abs/1602.02697 (algorithm 1 and section 5.2).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from subterfuge.errors import InputError
from subterfuge.threat import soft_duel
from subterfuge.training._substitute_net import Front, SubstituteNet, features_of
from subterfuge.training._substitute_sounds import variants
from subterfuge.victim import Gives, Kind, Victim, winner

__all__ = ["Front", "SubstituteNet", "SubstituteVictim", "Training", "reservoir", "train_substitute", "wilson"]

Learn = Literal["labels", "scores"]
STEPS = 4
"""Into which a move along the Jacobian is cut."""


@dataclass(frozen=True, eq=False)
class SubstituteVictim:
    """What was learned of a victim, as a victim itself: the same labels and rate, and gradients."""

    net: SubstituteNet
    labels: tuple[str, ...]
    sample_rate: int
    kind: Kind
    name: str = "substitute"
    gives: Gives = Gives.GRADIENTS
    twin: None = None
    warnings: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Hash of the network's numbers, labels and rate."""
        digest = hashlib.sha256(f"{self.net.front} {self.labels} {self.sample_rate}".encode())
        for number in self.net.buffers():
            digest.update(number.cpu().numpy().tobytes())
        return digest.hexdigest()

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of the class that wins, int64 (N,)."""
        with torch.no_grad():
            scores = self.scores(wave)
            return winner(scores) if scores.ndim == 3 else scores.argmax(-1)

    def scores(self, wave: Tensor) -> Tensor:
        """Give what was learned, (N, K) or duels (N, K, K), with gradients."""
        raw: Tensor = self.net(wave)
        if self.kind is not Kind.DUELS:
            return raw
        classes = len(self.labels)
        first, second = torch.triu_indices(classes, classes, 1)
        table = raw.new_zeros(len(wave), classes, classes)
        table[:, first, second] = raw
        table[:, second, first] = -raw
        return table

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give None: it learned none."""
        return None


@dataclass(frozen=True)
class Training:
    """A substitute, and how it came about."""

    substitute: SubstituteVictim
    queries: int
    """Clips that the victim was asked about, the held-out ones not among them."""
    rounds: tuple[int, ...]
    """New queries of each round, the seeds and their variants first."""
    agreement: float
    """Part of the held-out variants of which both say the same class."""
    interval: tuple[float, float]
    """Wilson's 95 % interval of it."""
    held_out: int

    def as_json(self) -> dict[str, Any]:
        """Give the report as plain JSON values."""
        return {
            "front": self.substitute.net.front,
            "leave_one_out_error": self.substitute.net.error,
            "queries": self.queries,
            "rounds": list(self.rounds),
            "agreement": self.agreement,
            "agreement_95": list(self.interval),
            "held_out": self.held_out,
        }


def wilson(hits: float, of: float, z: float = 1.959963984540054) -> tuple[float, float]:
    """Give Wilson's interval of a proportion, by default of 95 % (Wilson 1927, https://doi.org/10.2307/2276774).

    >>> [round(end, 3) for end in wilson(20, 40)]
    [0.352, 0.648]
    """
    if not of:
        return 0.0, 1.0
    part, shrink = hits / of, 1 + z * z / of
    middle = (part + z * z / (2 * of)) / shrink
    reach = z * math.sqrt(part * (1 - part) / of + z * z / (4 * of * of)) / shrink
    return max(0.0, middle - reach), min(1.0, middle + reach)


def reservoir(count: int, most: int, die: torch.Generator) -> list[int]:
    """Draw at most `most` of the numbers below `count`, each as likely, in one pass (Vitter 1985, algorithm R)."""
    kept = list(range(min(most, count)))
    for place in range(most, count):
        other = int(torch.randint(place + 1, (1,), generator=die))
        if other < most:
            kept[other] = place
    return kept


def train_substitute(
    victim: Victim,
    seeds: Tensor,
    die: torch.Generator,
    *,
    queries: int = 2000,
    learn: Learn = "labels",
    front: Front = "mean25",
    begin: float = 0.6,
    rounds: int = 10,
    step_db: tuple[float, float] = (18.0, 40.0),
    home: int | None = None,
    held_out: int = 200,
) -> Training:
    """Label sounds with a victim and fit a substitute to them.

    Args:
        victim: whom to ask; its gradients are never used.
        seeds: sounds to begin with, shape (M, T).
        die: of everything random.
        queries: most clips that the victim labels for the training.
        learn: its ``labels`` alone, or its ``scores``.
        front: what the substitute hears.
        begin: part of the queries that seeds and variants take; the rest is augmentation.
        rounds: of augmentation.
        step_db: levels of an augmentation's step, in dB below the sound, of which one is drawn each time.
        home: how many of the seeds, the first ones, matter most: three of four variants, and all that are
            augmented, are of these; all if None.
        held_out: variants, asked about besides, on which the agreement is measured.

    Raises:
        InputError: no seeds, a number below 1, or scores of a victim that gives labels only.
        VictimError: the victim died, or answered nonsense.
    """
    home = len(seeds) if home is None else home
    if min(len(seeds), queries, rounds, held_out, home) < 1 or not 0 < begin <= 1:
        raise InputError(
            f"a substitute of {len(seeds)} seeds ({home} of them at home), {queries} queries (part {begin:g} to begin "
            f"with), {rounds} rounds and {held_out} held-out sounds was asked for; each must be 1 or more, and the "
            "part above 0 and at most 1"
        )
    if learn == "scores" and victim.gives < Gives.SCORES:
        raise InputError(f"the victim {victim.name} gives labels only, so scores cannot be learned; use learn=labels")
    waves = torch.cat([seeds, variants(seeds, max(0, int(begin * queries) - len(seeds)), home, die)])[:queries]
    heard, said, answers = _asked(victim, waves, learn, front)
    spent = [len(waves)]
    origin = waves
    net = SubstituteNet(front, victim.sample_rate, answers.shape[1:])
    each = math.ceil((queries - len(waves)) / rounds)
    for _ in range(rounds):
        substitute = _substitute(victim, net.fit(heard, answers), learn)
        count = min(each, queries - sum(spent))
        if count < 1:
            break
        picked = reservoir(len(origin), count, die)
        waves = torch.stack([_moved(substitute, origin[place], step_db, die) for place in picked])
        more = _asked(victim, waves, learn, front)
        heard, said, answers = (torch.cat(pair) for pair in zip((heard, said, answers), more, strict=True))
        origin = torch.cat([origin, waves])
        spent.append(len(waves))
    substitute = _substitute(victim, net.fit(heard, answers), learn)
    tests = variants(seeds, held_out, home, die)
    hits = sum(int(substitute.decide(wave[None])[0]) == int(victim.decide(wave[None])[0]) for wave in tests)
    return Training(substitute, sum(spent), tuple(spent), hits / held_out, wilson(hits, held_out), held_out)


def _substitute(victim: Victim, net: SubstituteNet, learn: Learn) -> SubstituteVictim:
    kind = victim.kind if learn == "scores" else Kind.DECISION
    return SubstituteVictim(net, tuple(victim.labels), victim.sample_rate, kind, f"substitute of {victim.name}")


def _asked(victim: Victim, waves: Tensor, learn: Learn, front: Front) -> tuple[Tensor, Tensor, Tensor]:
    """Give what the front end hears of waves (n, T), the victim's classes (n,), and what is to be learned."""
    classes = len(victim.labels)
    heard, said, answers = [], [], []
    with torch.no_grad():
        for wave in waves:
            heard.append(features_of(wave[None], victim.sample_rate, front).double())
            if learn == "labels":
                said.append(victim.decide(wave[None]).cpu())
                answers.append(torch.nn.functional.one_hot(said[-1].long(), classes).double())
                continue
            scores = victim.scores(wave[None]).double().cpu()
            said.append(winner(scores) if scores.ndim == 3 else scores.argmax(-1))
            first, second = torch.triu_indices(classes, classes, 1)
            answers.append(scores[:, first, second] if scores.ndim == 3 else scores)
    return torch.cat(heard), torch.cat(said), torch.cat(answers)


def _moved(substitute: SubstituteVictim, wave: Tensor, step_db: tuple[float, float], die: torch.Generator) -> Tensor:
    """Move a sound (T,) along the Jacobian of the substitute, toward a class drawn at random.

    Papernot's step is sgn J of the class that the victim said. Toward a drawn class it crosses more boundaries, and
    along the slope itself it spends its energy where features need least of it.
    """
    target = torch.randint(len(substitute.labels), (1,), generator=die)
    db = step_db[0] + (step_db[1] - step_db[0]) * float(torch.rand(1, generator=die))
    step, moved = float(wave.norm()) * 10 ** (-db / 20) / STEPS, wave[None]
    for _ in range(STEPS):
        moved = moved.detach().requires_grad_()
        slope = torch.autograd.grad(soft_duel(substitute.scores(moved), target).sum(), moved)[0]
        moved = (moved + slope * (step / slope.norm().clamp_min(1e-30))).clamp(-1, 1)
    return moved[0].detach()
