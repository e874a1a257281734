"""Features of a whole set of sounds: what a classic model is trained on.

Each sound is heard as a victim hears it, becomes its training variants (`augment`), passes the transforms that the
victim will always hear through (`through`), and is described by the recipe's twin. Several processes share the work,
and what they found is kept in one Parquet file, so that no sound is described twice.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subterfuge.audio.reading import check_rate
from subterfuge.dsp.recipes import RECIPES
from subterfuge.errors import InputError, check_seed, nearest
from subterfuge.training._datasets_walk import shown
from subterfuge.training._tables_cache import FeatureCache
from subterfuge.training._tables_pool import heard_by
from subterfuge.training._tables_setup import Setup
from subterfuge.training.demo_data import embedded_features
from subterfuge.training.examples import Dataset

FLUSH = 256
"""Sounds after which the cache is written: so many, at most, does a killed run lose."""


@dataclass(frozen=True, eq=False)
class Table:
    """The features of n sounds, and what each of them is."""

    X: NDArray[np.float64]
    """Features, shape (n, F)."""
    y: NDArray[np.str_]
    """Labels, shape (n,)."""
    groups: NDArray[np.str_]
    """The recording of each row, shape (n,)."""
    names: NDArray[np.str_]
    """The folder and file of each row, shape (n,); the k-th further variant of a sound ends in ``#k``."""
    recipe: str
    sample_rate: int
    """The rate in Hz at which the sounds were heard."""
    through: str = ""
    """The transforms that every sound passed."""
    augment: str = ""
    """What was made of every sound before."""
    skipped: tuple[str, ...] = ()
    """Sounds that could not be used: one sentence each, with path and reason."""

    def __len__(self) -> int:
        return len(self.X)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in alphabetical order."""
        return tuple(str(label) for label in np.unique(self.y))

    @property
    def sounds(self) -> NDArray[np.str_]:
        """The name of the sound that each row is a variant of, shape (n,)."""
        return np.array([re.sub(r"#\d+$", "", name) for name in self.names.tolist()], dtype=np.str_)

    def at(self, rows: NDArray[Any] | Sequence[int]) -> Table:
        """Give the table of some rows, by their places or by a mask (n,)."""
        places = np.asarray(rows) if len(rows) else np.zeros(0, np.int64)
        return replace(self, X=self.X[places], y=self.y[places], groups=self.groups[places], names=self.names[places])


def feature_table(
    data: Dataset,
    *,
    recipe: str = "librosa-mean-25",
    sample_rate: int = 44100,
    through: str = "",
    augment: str = "",
    seed: int = 0,
    cache: str | Path | None = None,
    jobs: int = 0,
    progress: Callable[[int, int], None] | None = None,
    announce: Callable[[str], None] = lambda _: None,
) -> Table:
    """Describe every sound of a set, in its order.

    The numbers depend neither on how many processes there are nor on what else is in the set: each sound is taken by
    itself, on one thread, with a die seeded by what is heard. Silence has finite features. A sound that cannot be read,
    or not be put through the transforms, is named in `Table.skipped`.

    Args:
        data: the set.
        recipe: a name in `RECIPES`.
        sample_rate: in Hz, at which the victim hears.
        through: transforms that every sound passes, as `parse_transforms` reads them; an empty text is none.
        augment: what each sound becomes before that, as `parse_augments` reads it; an empty text is itself.
        seed: of what `through` and `augment` draw.
        cache: a Parquet file of features by content, read and added to; made where there is none. Needs pyarrow.
        jobs: processes; 0 is one a core, and fewer where there is little to do; 1 stays in this one.
        progress: is called with how many sounds are done, and of how many.
        announce: is called with each thing that a user should know, such as a cache of other versions.

    Raises:
        InputError: an empty set, an unknown recipe, transform or augmentation, a number that makes no sense, no sound
            that can be used, too little memory for one sound, or a cache that cannot be read.
        OutputError: the cache cannot be written.
        MissingExtra: a cache was asked for, and pyarrow is not installed.
    """
    if recipe not in RECIPES:
        raise InputError(f"recipe '{recipe}' is not known; {nearest(recipe, RECIPES)}")
    check_rate(sample_rate, "the table")
    if jobs < 0:
        raise InputError(f"{jobs} jobs: a number of processes, or 0 for one a core, was expected")
    check_seed(seed)
    if not data.examples:
        raise InputError(f"the set {data.name} has no sounds{_why(data.skipped)}")
    setup = Setup.of(recipe, sample_rate, through, augment, seed)
    store = None if cache is None else FeatureCache.open(Path(cache), setup, announce)
    total, found, bad = len(data), dict[int, NDArray[np.float64]](), dict[int, str]()
    known = {} if store is None else dict(store.known)
    new: dict[str, NDArray[np.float64]] = {}
    if progress is not None:
        progress(0, total)
    try:
        answers = heard_by(setup, [one.path for one in data.examples], frozenset(known), store is not None, jobs)
        for chunk in answers:
            for heard in chunk:
                if heard.fault:
                    bad[heard.place] = heard.fault
                    continue
                features = heard.features if heard.features is not None else known[heard.content]
                found[heard.place] = features
                if heard.features is not None and store is not None:
                    new[heard.content] = features
            if store is not None and len(new) >= FLUSH:
                store.add(new)
                new = {}
            if progress is not None:
                progress(len(found) + len(bad), total)
    finally:  # an interrupt too loses nothing
        if store is not None and new:
            store.add(new)
    skipped = tuple(shown(f"{data.examples[place].path}: {bad[place]}") for place in sorted(bad))
    if not found:
        raise InputError(f"none of the {total} sounds of {data.name} can be used{_why(skipped)}")
    return _table(data, found, setup, skipped)


def embedded_table() -> Table:
    """Give the table that comes with the package: 25 features of rendered excerpts, as the demo's victim learned them.

    Raises:
        InputError: the installation lacks it.
    """
    demo = embedded_features()
    seen: dict[str, int] = {}
    names = []
    for group in demo.groups.tolist():
        seen[group] = seen.get(group, 0) + 1
        names.append(f"{group}__{seen[group]}")
    return Table(
        X=demo.X.astype(np.float64),
        y=demo.y.astype(np.str_),
        groups=demo.groups.astype(np.str_),
        names=np.array(names, dtype=np.str_),
        recipe="librosa-mean-25",
        sample_rate=44100,
    )


def _table(data: Dataset, found: dict[int, NDArray[np.float64]], setup: Setup, skipped: tuple[str, ...]) -> Table:
    places = sorted(found)
    counts = [len(found[place]) for place in places]
    rows = [data.examples[place] for place in places]
    names = [
        os.path.join(one.path.parent.name, one.path.name).replace(os.sep, "/") + (f"#{k}" if k else "")
        for one, count in zip(rows, counts, strict=True)
        for k in range(count)
    ]
    return Table(
        X=np.concatenate([found[place] for place in places]),
        y=np.repeat(np.array([one.label for one in rows], dtype=np.str_), counts),
        groups=np.repeat(np.array([one.group for one in rows], dtype=np.str_), counts),
        names=np.array(names, dtype=np.str_),
        recipe=setup.recipe,
        sample_rate=setup.sample_rate,
        through=setup.through,
        augment=setup.augment,
        skipped=skipped,
    )


def _why(skipped: Sequence[str]) -> str:
    return f" ({len(skipped)} left out; the first: {skipped[0].rstrip('.')})" if skipped else ""
