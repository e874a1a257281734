"""How many held-out sounds a model answers rightly, and how far that can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from subterfuge.training.substitute import wilson


@dataclass(frozen=True)
class Score:
    """Right answers of some sounds."""

    right: int
    of: int
    recordings: int
    """How many recordings the sounds are from."""
    share: float
    low: float
    """95 % interval of the share: Wilson's, on as many sounds as these are worth."""
    high: float
    classes: dict[str, tuple[int, int]]
    """For each class how many are right, and of how many."""

    def as_json(self) -> dict[str, Any]:
        """Give plain values."""
        return asdict(self)


def score(truth: Sequence[str], answers: Sequence[str], groups: Sequence[str]) -> Score:
    """Count right answers.

    Excerpts of one recording are right or wrong together, so n of them tell less than n recordings would. The interval
    is Wilson's (1927) on n divided by the design effect (Kish 1965; for Wilson's interval Dean and Pagano 2015,
    https://doi.org/10.1093/jssam/smv024): the variance of the share over recordings, against that over n coins. Where
    all are right, or all wrong, n is the number of recordings.
    """
    right = np.asarray(truth) == np.asarray(answers)
    n, p = len(right), float(right.mean())
    _, places = np.unique(np.asarray(groups), return_inverse=True)
    recordings = int(places.max()) + 1
    residual = np.bincount(places, weights=right - p)
    worth = n / max(1.0, float(residual @ residual) / (n * p * (1 - p))) if 0 < p < 1 else float(recordings)
    low, high = wilson(p * worth, worth)
    classes = {
        label: (int(right[np.asarray(truth) == label].sum()), int(np.sum(np.asarray(truth) == label)))
        for label in sorted(set(map(str, truth)))
    }
    return Score(int(right.sum()), n, recordings, p, low, high, classes)
