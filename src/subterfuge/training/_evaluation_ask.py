"""Ask a victim about every clip of a set, those of one length together; what cannot be asked about is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.errors import ClipError, InputError, TransformError, VictimError
from subterfuge.training._datasets_walk import shown
from subterfuge.training.examples import Dataset
from subterfuge.victim import Victim

WAITING = 8
"""How many batches of sounds may wait for others of their length."""


@runtime_checkable
class HasFeatures(Protocol):
    """A victim that shows the features that it hears by."""

    def features(self, wave: Tensor) -> Any:
        """Give the features (N, F) of waves (N, T)."""
        ...


@dataclass(frozen=True)
class Asked:
    """Answers, in the order of the set."""

    places: list[int]
    """Of the n examples that were asked about."""
    answers: NDArray[np.int64]
    """Shape (n,)."""
    probabilities: NDArray[np.float64] | None
    """Shape (n, K)."""
    features: NDArray[np.float64] | None
    """Shape (n, F)."""
    skipped: tuple[str, ...]


@dataclass
class _Answers:
    """What was said so far, by the place of the example."""

    said: dict[int, tuple[int, Any, Any]] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)
    first_death: VictimError | None = None


def ask_all(
    victim: Victim,
    data: Dataset,
    *,
    batch: int,
    max_seconds: float,
    progress: Callable[[int, int], None] | None = None,
) -> Asked:
    """Read every clip and ask.

    Raises:
        InputError: a batch below 1, or no file that can be read.
        VictimError: the victim died on each clip.
    """
    if batch < 1:
        raise InputError(f"batch = {batch}: a number of clips from 1 on was expected")
    found = _Answers()
    waiting: dict[int, list[tuple[int, Tensor]]] = {}

    def ask(rows: Sequence[tuple[int, Tensor]]) -> None:
        _ask(victim, rows, found, data)
        if progress is not None:
            progress(len(found.said) + len(found.faults), len(data))

    for place, example in enumerate(data.examples):
        try:
            wave = torch.from_numpy(Clip.read(example.path, max_seconds=max_seconds).mono(victim.sample_rate))
        except ClipError as error:
            found.faults[place] = _named(error, str(example.path))
            continue
        rows = waiting.setdefault(len(wave), [])
        rows.append((place, wave))
        if len(rows) == batch or sum(map(len, waiting.values())) == WAITING * batch:
            ask(waiting.pop(max(waiting, key=lambda length: len(waiting[length]))))
    for rows in waiting.values():
        ask(rows)
    places = sorted(found.said)
    skipped = tuple(found.faults[place] for place in sorted(found.faults))
    if not places:
        if found.first_death is not None:
            raise found.first_death
        raise InputError(f"{data.name}: none of its {len(data)} clips can be asked about: {skipped[0]}")
    answers, probabilities, features = zip(*(found.said[place] for place in places), strict=True)
    return Asked(places, np.array(answers, np.int64), _stacked(probabilities), _stacked(features), skipped)


def _ask(victim: Victim, rows: Sequence[tuple[int, Tensor]], found: _Answers, data: Dataset) -> None:
    """Ask about waves of one length; where the victim dies, about each by itself."""
    waves = torch.stack([wave for _, wave in rows])
    try:
        with torch.no_grad():
            said = victim.decide(waves).tolist()
            chances = victim.probabilities(waves)
            heard = victim.features(waves) if isinstance(victim, HasFeatures) else None
    except (VictimError, TransformError) as error:
        if len(rows) > 1:
            for row in rows:
                _ask(victim, [row], found, data)
            return
        if found.first_death is None and isinstance(error, VictimError):
            found.first_death = error
        place = rows[0][0]
        found.faults[place] = _named(error, str(data.examples[place].path))
        return
    several = None if chances is None else chances.double().cpu().numpy()
    for k, (place, _) in enumerate(rows):
        found.said[place] = (said[k], None if several is None else several[k], None if heard is None else heard[k])


def _stacked(rows: Sequence[Any]) -> NDArray[np.float64] | None:
    return None if any(row is None for row in rows) else np.asarray(np.stack(rows), dtype=np.float64)


def _named(error: Exception, path: str) -> str:
    return shown(str(error) if path in str(error) else f"{path}: {error}")
