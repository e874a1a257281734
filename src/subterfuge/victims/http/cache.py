"""Answers that were paid for, by what was sent."""

from __future__ import annotations

import json
import math
import threading
from typing import Any, NamedTuple

from subterfuge.victims._kept import Kept
from subterfuge.victims.http.store import Store


class Said(NamedTuple):
    """What a server said of one sound."""

    numbers: tuple[float, ...] | None
    """One a label, as they came."""
    place: int | None
    """Of the label that it answers."""


class Shape(NamedTuple):
    """What is said of every sound."""

    labels: int
    numbers: bool
    place: bool


class Cache:
    """Answers in memory, and in a file where there is one.

    Args:
        shape: what an answer is; a row of the file that is none, for it is damaged, is as if it were not there.
        store: the file.
        victim: under which the file keeps this victim's answers; those of others in it are other answers.
    """

    def __init__(self, shape: Shape, store: Store | None = None, victim: str = "") -> None:
        self._shape, self._store, self._victim = shape, store, victim
        self._known: dict[str, Said] = {}
        self._lock = threading.Lock()

    def get(self, sound: str) -> Said | None:
        """Give what was said of a sound, or None."""
        with self._lock:
            if sound not in self._known and self._store is not None:
                said = _read(self._store.answer(self._victim, sound), self._shape)
                if said is not None:
                    self._known[sound] = said
            return self._known.get(sound)

    def put(self, sound: str, said: Said) -> None:
        """Keep what was said of a sound."""
        with self._lock:
            self._known[sound] = said
            if self._store is not None:
                self._store.keep(self._victim, sound, json.dumps(said))


class Last:
    """The answers of the last question, so that label, scores and probabilities of the same sounds are one question.

    Whoever asks for the same one again asks anew. Of a question that the server died of, what it answered is kept.
    """

    def __init__(self) -> None:
        self.kept = Kept[Said]()
        self._sounds: list[str] | None = None
        self._said: list[Said] = []
        self._views: set[str] = set()
        self._lock = threading.Lock()

    def get(self, sounds: list[str], view: str) -> list[Said] | None:
        """Give the answers if they are of these sounds and were not yet viewed so, or None."""
        with self._lock:
            if sounds != self._sounds or view in self._views:
                return self.kept.take(sounds, view)
            self._views.add(view)
            return self._said

    def put(self, sounds: list[str], view: str, said: list[Said]) -> None:
        """Keep the answers, seen in one view."""
        with self._lock:
            self._sounds, self._said, self._views = sounds, said, {view}
            self.kept.keep({})


def _read(row: Any, shape: Shape) -> Said | None:
    """Read a row, or give None where it is damaged or not there."""
    try:
        numbers, place = json.loads(row)
        if shape.numbers:
            whole = isinstance(numbers, list) and len(numbers) == shape.labels
            numbers = tuple(float(each) for each in numbers if type(each) in (int, float)) if whole else None
            if numbers is None or len(numbers) != shape.labels or not all(map(math.isfinite, numbers)):
                return None
        elif numbers is not None:
            return None
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
    fits = type(place) is int and 0 <= place < shape.labels if shape.place else place is None
    return Said(numbers, place) if fits else None
