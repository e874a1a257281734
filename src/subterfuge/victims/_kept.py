"""Answers that came before a victim died of the rest of a question: nobody is asked about these sounds again."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """What was answered of a question that ended in a death, by sound. Each view of a sound is given once.

    >>> kept = Kept[int]()
    >>> kept.keep({"hiss": 3, "hum": 5})
    >>> kept.places(["hum", "tone", "hiss"]), kept.take(["hum", "tone"], "scores")
    ([0, 2], None)
    >>> kept.take(["hum"], "scores"), kept.take(["hum"], "label"), kept.take(["hum"], "scores")
    ([5], [5], None)
    """

    def __init__(self) -> None:
        self._answers: dict[str, T] = {}
        self._viewed: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def keep(self, answers: Mapping[str, T]) -> None:
        """Keep the answers of the last question that ended in a death, or, after one that did not, none."""
        with self._lock:
            self._answers, self._viewed = dict(answers), set()

    def places(self, sounds: Sequence[str]) -> list[int]:
        """Say which of some sounds are known."""
        with self._lock:
            return [place for place, sound in enumerate(sounds) if sound in self._answers]

    def take(self, sounds: Sequence[str], view: str) -> list[T] | None:
        """Give the answers about sounds if all are known and none of them was viewed so, or None."""
        seen = {(sound, view) for sound in sounds}
        with self._lock:
            if seen & self._viewed or not all(sound in self._answers for sound in sounds):
                return None
            self._viewed |= seen
            return [self._answers[sound] for sound in sounds]
