"""Families of classifiers on a table of features, each by scikit-learn: one entry in `FAMILIES`.

The study's own is ``svc``; the others are those of the classifier that it came from, with scikit-learn's histogram
gradient boosting in the place of XGBoost and LightGBM.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from subterfuge.errors import InputError, check_seed, nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from subterfuge.training.tables import Table
    from subterfuge.training.tuning import Search

By = Literal["recording", "random"]
FOLDS = 5
"""As the study's search has."""


@dataclass(frozen=True)
class Family:
    """One family of classifiers."""

    says: str
    """One line for a user."""
    make: Callable[[int], Any]
    """From a seed to an estimator that is not fitted yet, with the settings that hold without a search."""
    space: Callable[[], Mapping[str, Any]]
    """What a search draws: for each parameter a list, or a distribution of `scipy.stats`."""
    calibrated: bool = False
    """Whether its probabilities come from Platt's sigmoids on decision values of folds."""


@dataclass(frozen=True)
class Fitted:
    """A fitted classifier, and how it came about."""

    family: str
    estimator: Any
    labels: tuple[str, ...]
    """In the order of its classes."""
    parameters: Mapping[str, Any]
    """What the search found; empty without one."""
    search: Search | None
    notes: tuple[str, ...]
    """What its user must know, such as that it did not converge."""


def fit(
    family: str,
    table: Table,
    *,
    seed: int = 0,
    tune: int = 0,
    by: By = "recording",
    progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Fit a family to all rows of a table, after a search where one is asked for.

    Args:
        family: a key of `FAMILIES`.
        table: the rows to learn from; what is held out must not be among them.
        seed: of everything random.
        tune: how many settings a randomised search tries, each on five folds; 0 for none.
        by: how folds are made, for the search and for calibration.
        progress: told how many fits are done, and how many there are.

    Raises:
        InputError: an unknown family, a seed below 0 or too large, fewer than two classes, or too few recordings of a
            class for folds.
    """
    if family not in FAMILIES:
        raise InputError(f"the model {family!r} is not known; {nearest(family, FAMILIES)}")
    check_seed(seed)
    if tune < 0:
        raise InputError(f"tune = {tune}; expected is 0 for no search, or how many settings it tries")
    kind, labels = FAMILIES[family], sorted(set(table.y.tolist()))
    if len(labels) < 2:
        raise InputError(f"there is one class to learn, {labels}; a classifier needs two or more" if labels else _EMPTY)
    estimator, search = kind.make(seed), None
    parts = _folds(table, by, seed) if tune or kind.calibrated else []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if tune:
            from subterfuge.training.tuning import search_randomly

            search = search_randomly(
                estimator, kind.space(), table.X, table.y, parts, count=tune, seed=seed, progress=progress
            )
            estimator.set_params(**search.best.parameters)
        if kind.calibrated:
            estimator = _calibrated(estimator, parts)
        estimator.fit(table.X, table.y)
    if kind.calibrated:
        estimator.set_params(cv=None)  # the folds are of no use to the model, and each is as long as the table
    found = {} if search is None else search.best.parameters
    return Fitted(family, estimator, tuple(estimator.classes_.tolist()), found, search, _sentences(caught))


_EMPTY = "there is nothing to learn from: the table has no rows"


def _folds(table: Table, by: By, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Give five folds of a table, or as many as its class with the fewest recordings (or sounds) allows.

    Variants of one sound stand on one side, by random too.

    Raises:
        InputError: a class has one alone.
    """
    from subterfuge.training.splits import folds

    sounds = table.sounds
    varied = by == "random" and bool((sounds != table.names).any())
    groups = sounds if varied else table.groups
    units = groups.tolist() if by == "recording" or varied else range(len(table.y))
    counts: dict[str, int] = {}
    for label, _ in set(zip(table.y.tolist(), units, strict=True)):
        counts[label] = counts.get(label, 0) + 1
    least = min(counts, key=lambda label: (counts[label], label))
    if counts[least] < 2:
        what = "recording" if by == "recording" else "clip"
        named = " (if each file is a recording of its own, say so: --group '.*')" * (by == "recording")
        raise InputError(
            f"the class {least} has 1 {what} to learn from, and folds need 2 or more of each class{named}; give more "
            f"{what}s of it, leave the class out, or train a model that needs no folds, such as forest, untuned"
        )
    way: By = "recording" if varied else by
    return list(folds(table.y, groups, by=way, count=min(FOLDS, counts[least]), seed=seed))


def _calibrated(estimator: Any, parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> Any:
    """Wrap an SVC in Platt's sigmoids (Platt 1999), fitted to its decision values on folds; `SVC(probability=True)` is
    on its way out of scikit-learn.
    """
    from sklearn.calibration import CalibratedClassifierCV

    return CalibratedClassifierCV(estimator, method="sigmoid", cv=parts, ensemble=False)


def _sentences(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    told = (" ".join(str(one.message).split()).split(". ")[0].rstrip(".") for one in caught)
    return tuple(dict.fromkeys(f"{text:.200}." for text in told))


def _svc(seed: int) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return make_pipeline(StandardScaler(), SVC(kernel="rbf", C=10.78, gamma=0.1))


def _svc_space() -> dict[str, Any]:
    from scipy.stats import uniform

    return {"svc__C": uniform(0.1, 20), "svc__gamma": [0.1, 1.0, 10.0, 100.0]}


def _logistic(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


def _logistic_space() -> dict[str, Any]:
    from scipy.stats import loguniform

    return {"logisticregression__C": loguniform(1e-3, 1e2)}


def _tree(seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(random_state=seed)


def _tree_space() -> dict[str, Any]:
    from scipy.stats import randint

    return {"criterion": ["gini", "entropy"], "max_depth": randint(3, 30), "min_samples_leaf": randint(1, 20)}


def _forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(200, random_state=seed)


def _forest_space() -> dict[str, Any]:
    from scipy.stats import randint, uniform

    return {"criterion": ["gini", "entropy"], "max_features": uniform(0.1, 0.5), "min_samples_leaf": randint(1, 5)}


def _boosting(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(early_stopping=False, random_state=seed)


def _boosting_space() -> dict[str, Any]:
    from scipy.stats import loguniform, randint

    return {
        "learning_rate": loguniform(0.03, 0.3),
        "l2_regularization": loguniform(1e-3, 10),
        "max_leaf_nodes": randint(7, 32),
        "min_samples_leaf": randint(5, 40),
    }


def _dense(seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), MLPClassifier((128, 64), alpha=1.0, max_iter=1000, random_state=seed))


def _dense_space() -> dict[str, Any]:
    from scipy.stats import loguniform

    return {
        "mlpclassifier__hidden_layer_sizes": [(64,), (128,), (64, 32), (128, 64)],
        "mlpclassifier__alpha": loguniform(1e-2, 3),
        "mlpclassifier__learning_rate_init": loguniform(3e-4, 1e-2),
    }


FAMILIES: dict[str, Family] = {
    "svc": Family("the study's RBF support vector machine, with calibrated probabilities", _svc, _svc_space, True),
    "logistic": Family("logistic regression", _logistic, _logistic_space),
    "tree": Family("one decision tree", _tree, _tree_space),
    "forest": Family("a random forest of 200 trees", _forest, _forest_space),
    "boosting": Family("gradient-boosted trees on binned features", _boosting, _boosting_space),
    "dense": Family("a small dense network, 128 and 64 units", _dense, _dense_space),
}
"""From the name that ``--model`` takes to the family."""
