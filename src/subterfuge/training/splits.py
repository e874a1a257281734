"""Splits of a set into what teaches and what examines, so that no recording does both.

Excerpts of one recording sound alike: a model that was taught one of them has half heard the others. By ``recording``
they stay together. By ``random`` they do not, as in the study, and the accuracy that comes out flatters.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from subterfuge.errors import InputError, check_seed, nearest

By = Literal["recording", "random"]
WAYS = ("recording", "random")
DRAWS = 100
"""How often a split is drawn anew where recordings of several classes left a class on one side."""
Rows = NDArray[np.int64]


def split(
    labels: Sequence[str] | NDArray[np.str_],
    groups: Sequence[str] | NDArray[np.str_],
    *,
    by: By = "recording",
    test: float = 0.25,
    seed: int = 0,
) -> tuple[Rows, Rows]:
    """Give the rows that teach and the rows that examine, each in rising order, with every class on both sides.

    Of each class, as near to the part `test` of its rows is held out as its recordings allow: within half the largest
    of them. Which recordings these are depends on the names of recordings and classes and on the seed, not on the
    order of the rows.

    Args:
        labels: the class of each row, shape (n,).
        groups: the recording of each row, shape (n,).
        by: ``recording`` keeps the rows of one recording together; ``random`` draws rows.
        test: the part to hold out, above 0 and below 1.
        seed: of the draw.

    Raises:
        InputError: a class cannot be on both sides, nothing was given, or a number makes no sense.
    """
    y, units, sizes = _rows(labels, groups, by, seed)
    if not 0 < test < 1:
        raise InputError(f"test={test:g}: the part of the set to hold out, above 0 and below 1, was expected")
    _refuse_single(y, units, by)
    die = np.random.default_rng(seed)
    for _ in range(DRAWS):
        chosen = _drawn(y, units, sizes, test, die)
        held = chosen[units]
        lacking = [str(label) for label in np.unique(y) if held[y == label].all() or not held[y == label].any()]
        if not lacking:
            return np.flatnonzero(~held), np.flatnonzero(held)
    raise InputError(
        f"no split by recording leaves {', '.join(lacking)} on both sides: recordings that belong to several classes "
        "tie them together. Split at random (--split random), or leave those recordings out."
    )


def folds(
    labels: Sequence[str] | NDArray[np.str_],
    groups: Sequence[str] | NDArray[np.str_],
    *,
    by: By = "recording",
    count: int = 5,
    seed: int = 0,
) -> list[tuple[Rows, Rows]]:
    """Cut a set into `count` parts, and give for each the rows that teach and the rows, of that part, that examine.

    Every row examines once, and every class teaches each time; a class of fewer recordings than parts is missing from
    the examination of some. By scikit-learn's `StratifiedGroupKFold` and `StratifiedKFold`, shuffled, on rows brought
    into one order first.

    Raises:
        InputError: a class has one recording (by ``random``: one row), or there are fewer of them than parts.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    y, units, sizes = _rows(labels, groups, by, seed)
    if count < 2 or count != int(count):
        raise InputError(f"{count} folds: a whole number from 2 was expected")
    _refuse_single(y, units, by)
    what = "recordings" if by == "recording" else "examples"
    if len(sizes) < count:
        raise InputError(f"{count} folds of {len(sizes)} {what} cannot be made; ask for fewer")
    order = np.lexsort((units, y))
    if np.unique(y, return_counts=True)[1].max() < count:
        raise InputError(f"no class has the {count} examples that {count} folds need; ask for fewer folds")
    for draw in range(DRAWS):
        how = {"n_splits": int(count), "shuffle": True, "random_state": np.random.RandomState([seed, draw])}
        cut = StratifiedGroupKFold(**how) if by == "recording" else StratifiedKFold(**how)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a class is missing from a part is said above
            parts = [
                (np.sort(order[a]), np.sort(order[b])) for a, b in cut.split(order, y[order], units[order])
            ]  # places of the ordered rows, brought home
        if all(len(b) and set(y[a]) == set(y) for a, b in parts):
            return parts
    raise InputError(
        f"{count} folds by {by} leave a class without anything to teach; ask for fewer folds, or leave out the "
        "classes that have few recordings"
    )


def _rows(
    labels: Sequence[str] | NDArray[np.str_], groups: Sequence[str] | NDArray[np.str_], by: str, seed: int
) -> tuple[NDArray[np.str_], Rows, Rows]:
    """Give the labels, what each row belongs to (n,), and how many rows belong to each."""
    if by not in WAYS:
        raise InputError(f"a split by '{by}' is not known; {nearest(by, WAYS)}")
    check_seed(seed)
    y, recordings = np.asarray(labels, dtype=np.str_), np.asarray(groups, dtype=np.str_)
    if y.ndim != 1 or y.shape != recordings.shape or not len(y):
        raise InputError(
            f"{y.shape} labels and {recordings.shape} recordings; as many of both, and some, were expected"
        )
    if by == "recording":
        _, units, sizes = np.unique(recordings, return_inverse=True, return_counts=True)
        return y, units.astype(np.int64), sizes.astype(np.int64)
    units = np.empty(len(y), np.int64)
    units[np.lexsort((recordings, y))] = np.arange(len(y))
    return y, units, np.ones(len(y), np.int64)


def _refuse_single(y: NDArray[np.str_], units: Rows, by: str) -> None:
    """Refuse classes that cannot be on both sides, and a set of one class."""
    for label in np.unique(y):
        if len(np.unique(units[y == label])) > 1:
            continue
        rows = int(np.count_nonzero(y == label))
        if rows == 1:
            raise InputError(
                f"class '{label}' has 1 recording, of 1 example, and cannot both teach and examine. Add a recording "
                "of it, or leave the class out."
            )
        raise InputError(
            f"class '{label}' has 1 recording, of {rows} examples, and cannot both teach and examine. Names tell the "
            "recording: jay_1.wav and jay_2.wav are taken for excerpts of jay. If each file is a recording of its own, "
            "say so: --group '.*', or a column group in a table. Otherwise add a recording of the class, leave it out, "
            "or split at random (--split random: excerpts of one recording on both sides, so that the accuracy "
            "flatters)."
        )


def _drawn(y: NDArray[np.str_], units: Rows, sizes: Rows, test: float, die: np.random.Generator) -> NDArray[np.bool_]:
    """Draw which recordings examine: class by class, the one with fewest first, whatever brings it nearer its part."""
    classes = np.unique(y)
    table = np.stack([np.bincount(units[y == label], minlength=len(sizes)) for label in classes])  # rows, (K, units)
    undecided, chosen = np.ones(len(sizes), bool), np.zeros(len(sizes), bool)
    for counts in table[np.argsort((table > 0).sum(1), kind="stable")]:
        mine = counts > 0
        free = die.permutation(np.flatnonzero(mine & undecided))
        wanted, held = test * counts.sum(), int(counts[chosen].sum())
        taught = bool((mine & ~undecided & ~chosen).any())
        for place, unit in enumerate(free):
            last = place == len(free) - 1
            nearer = abs(held + counts[unit] - wanted) < abs(held - wanted)
            take = (nearer or (last and not held)) and not (last and not taught and held)
            chosen[unit], undecided[unit] = take, False
            held, taught = held + int(counts[unit]) * take, taught or not take
    return chosen
