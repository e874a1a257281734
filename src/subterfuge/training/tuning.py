"""The study's randomised search: settings drawn from a space, each scored on the same folds.

The numbers are those of `sklearn.model_selection.RandomizedSearchCV` on the same folds and seed (Bergstra and Bengio
2012, https://jmlr.org/papers/v13/bergstra12a.html); the loop is our own because that one is silent until its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tried:
    """One setting that was tried."""

    parameters: Mapping[str, Any]
    """As plain Python values."""
    accuracies: tuple[float, ...]
    """On each fold, in [0, 1]."""

    @property
    def mean(self) -> float:
        """The mean of its accuracies, each fold counting the same."""
        return float(np.mean(self.accuracies))


@dataclass(frozen=True)
class Search:
    """Everything that was tried, in the order of the draw."""

    tried: tuple[Tried, ...]

    @property
    def best(self) -> Tried:
        """The setting with the highest mean accuracy, the first of equals."""
        return max(self.tried, key=lambda one: one.mean)


def search_randomly(
    estimator: Any,
    space: Mapping[str, Any],
    X: NDArray[np.float64],
    y: NDArray[np.str_],
    folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    *,
    count: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Search:
    """Draw settings and score each by accuracy on every fold.

    Args:
        estimator: not fitted; it is cloned for each fit.
        space: for each parameter a list, or a distribution of `scipy.stats`.
        X: features (n, F).
        y: labels (n,).
        folds: rows to learn from, and rows to score, of each fold.
        count: how many settings are drawn.
        seed: of the draw.
        progress: told after each fit how many are done, and how many there are.
    """
    from sklearn.base import clone
    from sklearn.model_selection import ParameterSampler

    settings = [
        {key: plain(value) for key, value in one.items()} for one in ParameterSampler(space, count, random_state=seed)
    ]
    total, tried = len(settings) * len(folds), list[Tried]()
    for setting in settings:
        accuracies: list[float] = []
        for learn, score in folds:
            if progress is not None:
                progress(len(tried) * len(folds) + len(accuracies), total)
            model = clone(estimator).set_params(**setting).fit(X[learn], y[learn])
            accuracies.append(float(np.mean(model.predict(X[score]) == y[score])))
        tried.append(Tried(setting, tuple(accuracies)))
    if progress is not None:
        progress(total, total)
    return Search(tuple(tried))


def plain(value: Any) -> Any:
    """Give a drawn value as Python's own: a number out of numpy's, everything else as it is."""
    return value.item() if isinstance(value, np.generic) else value
