"""The judge: what the true victim says of a sound that was written and read back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.errors import VictimError
from subterfuge.threat import Threat
from subterfuge.victim import Kind, Victim


@dataclass(frozen=True)
class Verdict:
    """What the true victim says of a sound."""

    index: int
    label: str
    probability: float | None
    """Of the class that the goal is about."""
    probabilities: Tensor | None
    reached: bool


@dataclass(frozen=True)
class Judged:
    """A written file, what the victim's users hear of it, and the verdict."""

    clip: Clip
    file: Path
    wave: NDArray[np.float32]
    verdict: Verdict
    allowed: bool
    """Whether it is inside the limit still, after rounding and resampling."""
    over_db: float = 0.0
    """How far a cell of one of its channels lies beyond a masking limit."""

    @property
    def won(self) -> bool:
        """Whether the file meets the goal inside the limit."""
        return self.verdict.reached and self.allowed


def read(victim: Victim, wave: Tensor) -> tuple[Tensor, Tensor | None]:
    """Ask once about each of some waves (N, T): the classes that it answers (N,), and probabilities (N, K) if any.

    Raises:
        VictimError: it died, or answered a class that it does not have.
    """
    with torch.no_grad():
        if victim.kind is Kind.LOG_PROBABILITY and getattr(victim, "answers_most_probable", False):
            probabilities = victim.probabilities(wave)  # one call of the model tells both
            if probabilities is not None:
                return probabilities.argmax(-1), probabilities
        index = victim.decide(wave)
        for one in index.tolist():
            if not 0 <= one < len(victim.labels):
                raise VictimError(f"the victim answered class {one}; it has {len(victim.labels)} labels")
        return index, victim.probabilities(wave)


def ask(victim: Victim, threat: Threat, wave: Tensor, focus: int) -> Verdict:
    """Ask the true victim once about one wave (1, T).

    Raises:
        VictimError: it died, or answered a class that it does not have.
    """
    index, probabilities = read(victim, wave)
    reached = threat.goal.reached(index, probabilities, torch.tensor([focus]))
    return Verdict(
        int(index[0]),
        victim.labels[int(index[0])],
        None if probabilities is None else float(probabilities[0, focus]),
        probabilities,
        bool(reached[0]),
    )
