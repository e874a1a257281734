"""The threat: what the attacker wants, what binds every candidate, and what the attacker may spend.

A `Goal` turns a victim's answer into one number a clip, the margin, above 0 where the goal is met. It is the loss of a
white-box attack and the fitness of a black-box one. The verdict on a written file is `Goal.reached`, asked of the
true victim.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor

from subterfuge.errors import ThreatError, nearest
from subterfuge.victim import duels_of, winner

Asks = Literal["scores", "probabilities"]


class Goal(Protocol):
    """What the attacker wants the victim to say."""

    name: ClassVar[str]

    @property
    def asks(self) -> Asks:
        """What of the victim `margin` reads."""
        ...

    def focus(self, labels: Sequence[str], said: int) -> int:
        """Give the index of the class that the goal is about, for a victim that said class `said` of the clean clip.

        Raises:
            ThreatError: the goal names no label of the victim.
        """
        ...

    def margin(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give how far past the goal each row is, shape (N,), for an answer (N, K) or (N, K, K) and classes (N,)."""
        ...

    def pull(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give a smoother hill with the same top, shape (N,), for climbing from far away."""
        ...

    def reached(self, said: Tensor, probabilities: Tensor | None, focus: Tensor) -> Tensor:
        """Say which rows meet the goal, bool (N,), by the classes (N,) and probabilities (N, K) given."""
        ...


def index_of(label: str, labels: Sequence[str]) -> int:
    """Give the place of a label.

    Raises:
        ThreatError: there is no such label; the nearest ones are named.
    """
    if label not in labels:
        raise ThreatError(f"target '{label}' is no label of this victim; {nearest(label, labels)}")
    return list(labels).index(label)


def duel_margin(answer: Tensor, focus: Tensor) -> Tensor:
    """Give the least of the duels of class `focus`, shape (N,): above 0 it beats every other class.

    For class scores that is the score less the best other score. For one-versus-one duels it is enough for the vote
    but not necessary, see `vote_margin`.
    """
    if answer.ndim == 2:
        mine = answer.gather(1, focus[:, None])[:, 0]
        return mine - answer.scatter(1, focus[:, None], -math.inf).amax(1)
    own = answer[torch.arange(len(focus), device=answer.device), focus]
    return own.scatter(1, focus[:, None], math.inf).amin(1)


def vote_margin(answer: Tensor, focus: Tensor) -> Tensor:
    """Give the distance of class `focus` from the edge of winning the vote, shape (N,): above 0, `predict` says it.

    The largest e at which it still wins when every duel, its own and those among its rivals, moves by e against it
    (the sup norm in the space of duels). It is one of the duels, so it has a gradient: its own last needed duel, or
    minus that of a rival about to gain a vote. A class may win with fewer than all of its duels; ties go to the first
    class, as in libsvm's ``svm_predict``.
    """
    duels = duels_of(answer)
    rows, classes, _ = duels.shape
    here = torch.arange(rows, device=duels.device)
    mine = torch.nn.functional.one_hot(focus, classes).bool()
    own = duels[here, focus].masked_fill(mine, -math.inf)
    off = mine[:, :, None] | mine[:, None, :] | torch.eye(classes, dtype=torch.bool, device=duels.device)
    others = duels.masked_fill(off, -math.inf)
    edges = torch.cat([own, -others.flatten(1)], dim=1)
    with torch.no_grad():
        finite = edges.isfinite()
        e = edges.where(finite, 0.0)[:, :, None]
        held = own[:, None, :] >= e
        rivals = (others[:, None] > -e[..., None]).sum(3) + (~held).long()
        votes = held.sum(2, keepdim=True)
        later = torch.arange(classes, device=duels.device)[None, None, :] > focus[:, None, None]
        safe = (rivals < votes) | ((rivals == votes) & later) | mine[:, None, :]
        wins = safe.all(2) & finite
        edge = edges.detach().masked_fill(~wins, -math.inf).argmax(1)
    return edges[here, edge]


def soft_duel(answer: Tensor, focus: Tensor) -> Tensor:
    """Give a soft least of the duels of class `focus`, shape (N,): minus the log of the sum of exp(-duel)."""
    duels = duels_of(answer)
    own = duels[torch.arange(len(focus), device=duels.device), focus]
    return -torch.logsumexp(-own.scatter(1, focus[:, None], math.inf), dim=1)


def log_odds(probabilities: Tensor, focus: Tensor) -> Tensor:
    """Give log(p / (1 - p)) of class `focus`, shape (N,), of probabilities (N, K), finite also where p is 0 or 1."""
    tiny = torch.finfo(probabilities.dtype).tiny
    mine = probabilities.gather(1, focus[:, None])[:, 0]
    rest = probabilities.scatter(1, focus[:, None], 0.0).sum(1)
    odds: Tensor = mine.clamp_min(tiny).log() - rest.clamp_min(tiny).log()
    return odds


@dataclass(frozen=True)
class Targeted:
    """Make the victim answer one given class."""

    target: str
    name: ClassVar[str] = "targeted"
    asks: ClassVar[Asks] = "scores"

    def focus(self, labels: Sequence[str], said: int) -> int:
        """Give the target's index."""
        return index_of(self.target, labels)

    def margin(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give the target's margin in the vote, or over the best other class."""
        return vote_margin(answer, focus) if answer.ndim == 3 else duel_margin(answer, focus)

    def pull(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give the soft least duel of the target."""
        return soft_duel(answer, focus)

    def reached(self, said: Tensor, probabilities: Tensor | None, focus: Tensor) -> Tensor:
        """Say where the victim answers the target."""
        return said == focus


@dataclass(frozen=True)
class Untargeted:
    """Make the victim answer anything but what it says of the clean clip."""

    name: ClassVar[str] = "untargeted"
    asks: ClassVar[Asks] = "scores"

    def focus(self, labels: Sequence[str], said: int) -> int:
        """Give the class to leave."""
        return said

    def margin(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give the best margin that any other class has."""
        classes = answer.shape[1]
        if answer.ndim == 2:
            return -duel_margin(answer, focus)
        margins = torch.stack([vote_margin(answer, torch.full_like(focus, k)) for k in range(classes)], dim=1)
        return margins.scatter(1, focus[:, None], -math.inf).amax(1)

    def pull(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give the margin itself: the nearest other class is the way."""
        return self.margin(answer, focus)

    def reached(self, said: Tensor, probabilities: Tensor | None, focus: Tensor) -> Tensor:
        """Say where the victim answers something else."""
        return said != focus


@dataclass(frozen=True)
class Confident:
    """Make the victim give one class a probability of at least `p`, by its own account."""

    target: str
    p: float = 0.9
    name: ClassVar[str] = "confident"
    asks: ClassVar[Asks] = "probabilities"

    def __post_init__(self) -> None:
        if not 0 < self.p < 1:
            raise ThreatError(f"confident={self.p:g}: a probability between 0 and 1 was expected, such as 0.9")

    def focus(self, labels: Sequence[str], said: int) -> int:
        """Give the target's index."""
        return index_of(self.target, labels)

    def margin(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give the log-odds of the target less those wanted."""
        return log_odds(answer, focus) - math.log(self.p / (1 - self.p))

    def pull(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give the log-odds, which slope everywhere."""
        return self.margin(answer, focus)

    def reached(self, said: Tensor, probabilities: Tensor | None, focus: Tensor) -> Tensor:
        """Say where the victim gives the target at least `p`."""
        if probabilities is None:
            return torch.zeros_like(said, dtype=torch.bool)
        return probabilities.gather(1, focus[:, None])[:, 0] >= self.p


@dataclass(frozen=True)
class Maximise:
    """Make the sound as much of one class as it goes: of its own where no target is given."""

    target: str | None = None
    asks: Asks = "probabilities"
    """What is maximised: the log-odds of the class, or, where the victim has no probabilities, its least duel."""
    name: ClassVar[str] = "maximise"

    def focus(self, labels: Sequence[str], said: int) -> int:
        """Give the target's index, or the class that the victim says."""
        return said if self.target is None else index_of(self.target, labels)

    def margin(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give the log-odds, or the least duel, of the class."""
        return log_odds(answer, focus) if self.asks == "probabilities" else duel_margin(answer, focus)

    def pull(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give the log-odds, or the soft least duel, of the class."""
        return log_odds(answer, focus) if self.asks == "probabilities" else soft_duel(answer, focus)

    def reached(self, said: Tensor, probabilities: Tensor | None, focus: Tensor) -> Tensor:
        """Say where the victim answers the class."""
        return said == focus


class Limit(Protocol):
    """What no candidate may exceed."""

    name: ClassVar[str]

    def project(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Give the nearest perturbation inside the limit, shape (N, T), for changes and clean waves of that shape."""
        ...

    def allows(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Say which rows are inside, bool (N,), but for the rounding of float32."""
        ...

    def steepest(self, slope: Tensor, clean: Tensor) -> Tensor:
        """Give the change on the limit's edge that gains most along slopes (N, T), to first order."""
        ...


@dataclass(frozen=True)
class Unlimited:
    """No limit: the attack makes the change as small as it can."""

    name: ClassVar[str] = "none"

    def project(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Give the perturbation as it is."""
        return delta

    def allows(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Allow every row."""
        return torch.ones(len(delta), dtype=torch.bool, device=delta.device)

    def steepest(self, slope: Tensor, clean: Tensor) -> Tensor:
        """Give the slope as loud as the clip."""
        return LeastSNR(0.0).steepest(slope, clean)


@dataclass(frozen=True)
class LeastSNR:
    """A signal-to-noise ratio of at least `snr_db`, on the mono fold at the victim's rate."""

    snr_db: float
    name: ClassVar[str] = "snr"

    def __post_init__(self) -> None:
        if not math.isfinite(self.snr_db) or not -60 <= self.snr_db <= 150:
            raise ThreatError(f"snr={self.snr_db:g}: decibels between -60 and 150 were expected, such as snr=40")

    def radius(self, clean: Tensor) -> Tensor:
        """Give the largest length of a change, shape (N, 1)."""
        length: Tensor = clean.norm(dim=-1, keepdim=True) * 10 ** (-self.snr_db / 20)
        return length

    def project(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Scale down to the allowed energy."""
        inside: Tensor = delta * (self.radius(clean) / delta.norm(dim=-1, keepdim=True).clamp_min(1e-30)).clamp_max(1)
        return inside

    def allows(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Allow the energy and a hundredth of a per cent."""
        inside: Tensor = delta.norm(dim=-1) <= self.radius(clean)[..., 0] * 1.0001
        return inside

    def steepest(self, slope: Tensor, clean: Tensor) -> Tensor:
        """Give the slope, at the allowed energy."""
        step: Tensor = self.radius(clean) * slope / slope.norm(dim=-1, keepdim=True).clamp_min(1e-30)
        return step


@dataclass(frozen=True)
class Peak:
    """No sample of the mono fold changed by more than `peak` of full scale."""

    peak: float
    name: ClassVar[str] = "peak"

    def __post_init__(self) -> None:
        if not 0 < self.peak <= 2:
            raise ThreatError(
                f"peak={self.peak:g}: a part of full scale above 0 and up to 2 was expected, as peak=0.001"
            )

    def project(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Clip each sample's change."""
        return delta.clamp(-self.peak, self.peak)

    def allows(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Allow the peak and a hundredth of a per cent."""
        return delta.abs().amax(-1) <= self.peak * 1.0001

    def steepest(self, slope: Tensor, clean: Tensor) -> Tensor:
        """Give the sign of the slope, at the allowed peak (the fast gradient sign, Goodfellow 2015)."""
        return self.peak * slope.sign()


@dataclass(frozen=True)
class Budget:
    """What the attacker may spend on one clip; None is no bound but the attack's own.

    A query is one clip through the victim that is searched on, a gradient one backward through it, with the forward
    that it needs.
    """

    queries: int | None = None
    gradients: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for what, value in (
            ("queries", self.queries),
            ("gradients", self.gradients),
            ("seconds", self.seconds),
        ):
            if value is not None and not value > 0:
                raise ThreatError(f"a budget of {value:g} {what} allows nothing; give a number above 0, or none at all")


@dataclass(frozen=True)
class Threat:
    """Goal, limit and budget together."""

    goal: Goal = field(default_factory=Untargeted)
    limit: Limit = field(default_factory=Unlimited)
    budget: Budget = field(default_factory=Budget)


def parse_goal(text: str | None, target: str | None) -> Goal:
    """Read a goal as the command line gives it: ``targeted``, ``untargeted``, ``confident=0.9`` or ``maximise``.

    >>> parse_goal("confident=0.8", "tru")
    Confident(target='tru', p=0.8)
    >>> parse_goal(None, None)
    Untargeted()

    Raises:
        ThreatError: no such goal, or a target where none belongs or is missing.
    """
    word, _, value = (text or ("targeted" if target is not None else "untargeted")).partition("=")
    if word not in ("targeted", "untargeted", "confident", "maximise"):
        known = ["targeted", "untargeted", "confident", "maximise"]
        raise ThreatError(f"goal '{word}' is not known; {nearest(word, known)}")
    if value and word != "confident":
        raise ThreatError(f"goal '{text}': {word} takes no value")
    if word == "untargeted":
        if target is not None:
            raise ThreatError(f"the goal untargeted takes no target, but '{target}' was given; leave one of them out")
        return Untargeted()
    if word == "maximise":
        return Maximise(target)
    if target is None:
        raise ThreatError(f"the goal {word} needs a target; name a label with --target")
    return Targeted(target) if word == "targeted" else Confident(target, number(value or "0.9", "confident"))


def parse_limit(text: str | None) -> Limit:
    """Read a limit as the command line gives it: ``snr=40`` or ``peak=0.001``.

    >>> parse_limit("snr=40")
    LeastSNR(snr_db=40.0)

    Raises:
        ThreatError: no such limit, or a value that is no number.
    """
    if text is None:
        return Unlimited()
    word, _, value = text.partition("=")
    if word not in ("snr", "peak"):
        raise ThreatError(f"limit '{word}' is not known; {nearest(word, ['snr', 'peak'])}; give snr=40 or peak=0.001")
    return LeastSNR(number(value, "snr")) if word == "snr" else Peak(number(value, "peak"))


def number(text: str, what: str) -> float:
    """Read a finite number, or say what it was to be.

    Raises:
        ThreatError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ThreatError(f"{what}={text or '(nothing)'}: a number was expected")
    return value


def decided(answer: Tensor) -> Tensor:
    """Give the class that scores speak for, shape (N,): the largest score, or the winner of the vote."""
    return winner(answer) if answer.ndim == 3 else answer.argmax(1)
