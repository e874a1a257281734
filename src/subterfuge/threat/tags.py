"""Goals for victims that tag: each label is on or off by itself, whatever the others are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from subterfuge.errors import ThreatError
from subterfuge.threat.goals import Asks, Confident, Goal, Maximise, index_of
from subterfuge.threat.margins import tag_odds
from subterfuge.victim import Kind, Victim


@dataclass(frozen=True)
class TagOn:
    """Make a tagger give one tag a probability of at least `p`, whatever else it hears."""

    target: str
    p: float = 0.5
    name: ClassVar[str] = "tag+"
    asks: ClassVar[Asks] = "scores"

    def __post_init__(self) -> None:
        _check(self.name, self.p)

    def focus(self, labels: Sequence[str], said: int) -> int:
        """Give the tag's index."""
        return index_of(self.target, labels)

    def margin(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give the tag's log-odds less those wanted, (N,), of a tagger's scores (N, K)."""
        return tag_odds(answer, focus) - math.log(self.p / (1 - self.p))

    def pull(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give the margin itself, which slopes everywhere."""
        return self.margin(answer, focus)

    def reached(self, said: Tensor, probabilities: Tensor | None, focus: Tensor) -> Tensor:
        """Say where the tag has at least `p`."""
        if probabilities is None:
            return torch.zeros_like(said, dtype=torch.bool)
        return probabilities.gather(1, focus[:, None])[:, 0] >= self.p


@dataclass(frozen=True)
class TagOff:
    """Make a tagger give one tag a probability below `p`, whatever else it hears."""

    target: str
    p: float = 0.5
    name: ClassVar[str] = "tag-"
    asks: ClassVar[Asks] = "scores"

    def __post_init__(self) -> None:
        _check(self.name, self.p)

    def focus(self, labels: Sequence[str], said: int) -> int:
        """Give the tag's index."""
        return index_of(self.target, labels)

    def margin(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give the log-odds that are left less the tag's, (N,), of a tagger's scores (N, K)."""
        return math.log(self.p / (1 - self.p)) - tag_odds(answer, focus)

    def pull(self, answer: Tensor, focus: Tensor) -> Tensor:
        """Give the margin itself, which slopes everywhere."""
        return self.margin(answer, focus)

    def reached(self, said: Tensor, probabilities: Tensor | None, focus: Tensor) -> Tensor:
        """Say where the tag has less than `p`."""
        if probabilities is None:
            return torch.zeros_like(said, dtype=torch.bool)
        return probabilities.gather(1, focus[:, None])[:, 0] < self.p


def fitted(goal: Goal, victim: Victim) -> Goal:
    """Give a goal as it reads what a victim answers.

    Of a tagger, ``confident`` is about the one tag alone, which is ``tag+``, and ``maximise`` climbs its log-odds.

    Raises:
        ThreatError: the goal is about a tag, and the victim gives one answer a sound, or no scores.
    """
    tags = victim.kind is Kind.TAGS
    if isinstance(goal, TagOn | TagOff) and not tags:
        instead = f"confident={goal.p:g} or targeted" if isinstance(goal, TagOn) else "untargeted"
        raise ThreatError(
            f"the goal {goal.name} is for victims that tag, where several labels may be right at once, and "
            f"{victim.name} gives {victim.kind.value}; use the goal {instead}"
        )
    if tags and isinstance(goal, Confident):
        return TagOn(goal.target, goal.p)
    if tags and isinstance(goal, Maximise):
        return replace(goal, asks="scores", tag=True)
    return goal


def hard(goal: Goal, scores: Tensor) -> Tensor:
    """Give what someone sees of a tagger's scores (N, K) who sees only which tags are on: a step at the goal's odds."""
    assert isinstance(goal, TagOn | TagOff)
    edge = math.log(goal.p / (1 - goal.p))
    return torch.where(scores >= edge, edge + 1.0, edge - 1.0).double()


def _check(name: str, p: float) -> None:
    if not 0 < p < 1:
        raise ThreatError(f"{name}={p:g}: a probability between 0 and 1 was expected, such as 0.5")
