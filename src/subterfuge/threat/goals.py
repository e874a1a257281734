"""What the attacker wants the victim to say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor

from subterfuge.errors import ThreatError, nearest
from subterfuge.threat.margins import duel_margin, log_odds, soft_duel, tag_odds, vote_margin

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
    tag: bool = False
    """The victim tags: what is maximised are the log-odds of the tag, which are its scores."""
    name: ClassVar[str] = "maximise"

    def focus(self, labels: Sequence[str], said: int) -> int:
        """Give the target's index, or the class that the victim says."""
        return said if self.target is None else index_of(self.target, labels)

    def margin(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give the log-odds, or the least duel, of the class."""
        if self.tag:
            return tag_odds(answer, focus)
        return log_odds(answer, focus) if self.asks == "probabilities" else duel_margin(answer, focus)

    def pull(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give the log-odds, or the soft least duel, of the class."""
        if self.tag:
            return tag_odds(answer, focus)
        return log_odds(answer, focus) if self.asks == "probabilities" else soft_duel(answer, focus)

    def reached(self, said: Tensor, probabilities: Tensor | None, focus: Tensor) -> Tensor:
        """Say where the victim answers the class."""
        return said == focus
