"""A fresh model of a fitted one's kind and settings."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subterfuge.training.families import FOLDS, Fitted
from subterfuge.training.splits import folds
from subterfuge.training.tables import Table
from subterfuge.victims.sklearn import SklearnVictim


def fitted_like(victim: SklearnVictim, table: Table, seed: int, notes: list[str]) -> Fitted:
    """Fit a fresh model of a victim's kind and settings to a table."""
    estimator = fresh(victim.estimator, victim.scaler)
    calibrated = type(estimator).__name__ == "CalibratedClassifierCV"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if calibrated:
            estimator.set_params(cv=_parts(table, seed, notes))
        estimator.fit(table.X, table.y)
    if calibrated:
        estimator.set_params(cv=None)
    return Fitted("as before", estimator, tuple(estimator.classes_.tolist()), {}, None, ())


def _parts(table: Table, seed: int, notes: list[str]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Cut a table into folds by recording; by clip, and say so, where a class has one recording alone.

    Variants of one clip stand on one side, unless a class has one clip alone, which is said too.
    """
    recordings, least = _fewest(table, table.groups)
    if recordings > 1:
        return folds(table.y, table.groups, by="recording", count=min(FOLDS, recordings), seed=seed)
    told = f"the class {least} has one recording to learn from, so probabilities were fitted on folds by clip"
    sounds = table.sounds
    varied = bool((sounds != table.names).any())
    clips, alone = _fewest(table, sounds)
    if varied and clips < 2:
        told += f", and variants of one clip, as {alone} has one alone, were on both sides: they flatter"
    if told not in notes:
        notes.append(told)
    if varied and clips > 1:
        return folds(table.y, sounds, by="recording", count=min(FOLDS, clips), seed=seed)
    rows = min(int(np.count_nonzero(table.y == label)) for label in table.labels)
    return folds(table.y, table.groups, by="random", count=max(2, min(FOLDS, rows)), seed=seed)


def _fewest(table: Table, units: NDArray[np.str_]) -> tuple[int, str]:
    """Give the class with the fewest units, and their number."""
    return min((len(set(units[table.y == label].tolist())), label) for label in table.labels)


def fresh(estimator: Any, scaler: Any = None) -> Any:
    """Give an unfitted model with the settings of a fitted one, behind a scaler of its own kind.

    `SVC(probability=True)`, alone or at the end of a pipeline, becomes one behind `CalibratedClassifierCV`:
    scikit-learn 1.11 no longer has it.
    """
    from sklearn.base import clone
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.pipeline import make_pipeline

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = clone(estimator)
        machine = plain.steps[-1][1] if hasattr(plain, "steps") else plain
        asked = getattr(machine, "probability", False)  # a text, "deprecated", where nobody asked
        platt = type(machine).__name__ in ("SVC", "NuSVC") and not isinstance(asked, str) and bool(asked)
        if platt:
            machine.set_params(probability=False)
    if scaler is not None:
        plain = make_pipeline(clone(scaler), plain)
    return CalibratedClassifierCV(plain, method="sigmoid", ensemble=False) if platt else plain
