"""Answers that were paid for, by what was sent."""

from __future__ import annotations

import json
import sqlite3
import threading
import weakref
from pathlib import Path
from typing import NamedTuple

from subterfuge.errors import VictimError

TABLE = "CREATE TABLE IF NOT EXISTS answers (victim TEXT, sound TEXT, answer TEXT, PRIMARY KEY (victim, sound))"


class Said(NamedTuple):
    """What a server said of one sound."""

    numbers: tuple[float, ...] | None
    """One a label, as they came."""
    place: int | None
    """Of the label that it answers."""


class Cache:
    """Answers in memory, and in an SQLite file where there is one, which several processes may share.

    Args:
        victim: the victim's fingerprint; answers of other victims in the same file are other answers.
        file: where they last; it is made if it is not there.
        name: what errors call the victim.

    Raises:
        VictimError: the file cannot be made, or is something else.
    """

    def __init__(self, victim: str, file: Path | None, name: str) -> None:
        self._victim, self._file, self._name = victim, file, name
        self._known: dict[str, Said] = {}
        self._lock = threading.Lock()
        self._base: sqlite3.Connection | None = None
        if file is not None:
            self._base = self._opened(file)

    def get(self, sound: str) -> Said | None:
        """Give what was said of a sound, or None."""
        with self._lock:
            if sound not in self._known and self._base is not None:
                held = self._do("SELECT answer FROM answers WHERE victim = ? AND sound = ?", sound)
                if held:
                    self._known[sound] = _read(held[0][0])
            return self._known.get(sound)

    def put(self, sound: str, said: Said) -> None:
        """Keep what was said of a sound."""
        with self._lock:
            self._known[sound] = said
            if self._base is not None:
                self._do("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", sound, json.dumps(said))

    def _opened(self, file: Path) -> sqlite3.Connection:
        try:
            base = sqlite3.connect(file, timeout=30, isolation_level=None, check_same_thread=False)
            weakref.finalize(self, base.close)
            base.execute(TABLE)
        except sqlite3.Error as reason:
            raise self._fail(reason) from None
        return base

    def _do(self, command: str, *values: str) -> list[tuple[str]]:
        assert self._base is not None
        try:
            return self._base.execute(command, (self._victim, *values)).fetchall()
        except sqlite3.Error as reason:
            raise self._fail(reason) from None

    def _fail(self, reason: Exception) -> VictimError:
        return VictimError(f"the cache of the victim {self._name}, {self._file}, cannot be used: {reason}")


def _read(text: str) -> Said:
    numbers, place = json.loads(text)
    return Said(None if numbers is None else tuple(numbers), place)
