"""What is to be fetched over a line, with how much patience; and the disk that it comes to."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from subterfuge.errors import OutputError

Progress = Callable[[str, int, int], None]
"""Told of what, how many bytes are done, and of how many (0 where nobody knows)."""
Say = Callable[[str], None]

CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long one goes on with a bad line."""

    timeout_seconds: float = 60.0
    """How long a silent server is waited for."""
    tries: int = 6
    """How often in a row nothing worth it may come."""
    worth_bytes: int = 1 << 20
    """How much must have come for the tries to begin anew."""
    wait: Callable[[float], None] = time.sleep
    """Waits so many seconds."""


PATIENT = Patience()


@dataclass(frozen=True)
class Download:
    """One file to be fetched, and where its pieces wait."""

    url: str
    path: Path
    """Where it stands once it is whole and right."""
    md5: str
    """Hexadecimal."""
    most: int
    """No more bytes than this are taken."""
    spare: float = 0.0
    """How much room must be left when it is whole, in sizes of it."""

    @property
    def part(self) -> Path:
        """What has come so far."""
        return self.path.with_suffix(".part")

    @property
    def mark(self) -> Path:
        """By what the server knows that it still has the same file: its ETag, or when it was last changed."""
        return self.path.with_suffix(".part.etag")

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return self.path.stem

    def have(self) -> int:
        """Count the bytes that have come."""
        return self.part.stat().st_size if self.part.exists() else 0

    def drop(self) -> None:
        """Throw away what has come."""
        for path in (self.part, self.mark):
            path.unlink(missing_ok=True)


def md5_of(path: Path, progress: Progress, told: str) -> str:
    """Give the MD5 of a file, hexadecimal."""
    digest, done, size = hashlib.md5(usedforsecurity=False), 0, path.stat().st_size
    with open(path, "rb") as stream:
        while piece := stream.read(CHUNK_BYTES):
            digest.update(piece)
            done += len(piece)
            progress(told, done, size)
    return digest.hexdigest()


def check_room(folder: Path, needed: int, for_what: str) -> None:
    """Raise OutputError where a disk has less than so many bytes left."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"{folder}: {for_what} needs {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free; make room or choose "
            "another folder (what has come is kept)"
        )


def cannot_write(path: Path, error: OSError) -> OutputError:
    """Say that a place cannot be written, and why."""
    where = error.filename or path
    return OutputError(
        f"{where} cannot be written: {error.strerror or error}; make room or choose another folder (what has come is "
        "kept, so the same command goes on)"
    )
