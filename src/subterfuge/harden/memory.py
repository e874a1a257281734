"""What an audit has done so far: one line of JSON for each finished case, so that a run that was ended goes on."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from subterfuge.errors import InputError, OutputError


class Memory:
    """Finished work by key, kept in a file that only ever grows.

    A line that was cut off by a crash is dropped; any other line that cannot be read is an error.

    Args:
        path: the file; made when the first line is written. None keeps nothing.

    Raises:
        InputError: the file holds something else.
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self._known = path, {}
        if path is None or not path.exists():
            return
        try:
            lines = path.read_bytes().split(b"\n")
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}; give another --out") from None
        *whole, rest = lines
        for place, line in enumerate(whole, 1):
            try:
                entry = json.loads(line)
                self._known[str(entry["key"])] = entry["value"]
            except (ValueError, KeyError, TypeError):
                raise InputError(
                    f"{path}, line {place}, is not what an audit writes; move the file away, or give another --out"
                ) from None
        if rest:  # a line without its end
            os.truncate(path, sum(len(line) + 1 for line in whole))

    _known: dict[str, Any]

    def get(self, key: str) -> Any | None:
        """Give what is known under a key, or None."""
        return self._known.get(key)

    def keep(self, key: str, value: Any) -> None:
        """Keep a plain JSON value under a key.

        Raises:
            OutputError: the file cannot be written.
        """
        self._known[key] = value
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "ab") as file:
                file.write(json.dumps({"key": key, "value": value}).encode() + b"\n")
        except OSError as error:
            raise OutputError(
                f"{self._path} cannot be written: {error.strerror}; what was done before is kept"
            ) from None


def stamp(path: Path) -> tuple[int, int] | None:
    """Give a file's size and the time when it was written, by which a replaced one is known; None where none is."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def content_of(file: str | None) -> str | bool:
    """Give the hash of a file's content; False where no file is meant, and an empty text where it cannot be read."""
    if file is None:
        return False
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return ""


def key_of(*parts: object) -> str:
    """Give one short hash for everything that a piece of work depends on."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:24]
