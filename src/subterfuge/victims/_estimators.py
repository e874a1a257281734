"""What a fitted scikit-learn classifier is, under its wrappers."""

from __future__ import annotations

import copy
from typing import Any


def unsearched(estimator: Any) -> Any:
    """Give the model that a fitted GridSearchCV or RandomizedSearchCV found, or the estimator itself."""
    while hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    return estimator


def classifier_of(estimator: Any) -> Any:
    """Give what answers at the end of pipelines and FrozenEstimators."""
    while True:
        if getattr(estimator, "steps", None):
            estimator = estimator.steps[-1][1]
        elif type(estimator).__name__ == "FrozenEstimator":
            estimator = estimator.estimator
        else:
            return estimator


def one_versus_one(estimator: Any) -> Any | None:
    """Give a shallow copy of an SVC or NuSVC, or of a pipeline to one, whose decision function is that of each pair.

    The fitted numbers are shared, the original stays as it is. None for any other estimator.
    """
    if getattr(estimator, "steps", None):
        name, last = estimator.steps[-1]
        inner, attribute = one_versus_one(last), "steps"
        value: Any = [*estimator.steps[:-1], (name, inner)]
    elif type(estimator).__name__ == "FrozenEstimator":
        inner, attribute = one_versus_one(estimator.estimator), "estimator"
        value = inner
    elif type(estimator).__name__ in ("SVC", "NuSVC") and type(estimator).__module__.startswith("sklearn."):
        inner, attribute, value = estimator, "decision_function_shape", "ovo"
    else:
        return None
    if inner is None:
        return None
    out = copy.copy(estimator)
    setattr(out, attribute, value)
    return out
