"""Which jobs were begun and have not ended: what a process was at that ended without a word.

A file for each in the spool, of as many bytes as the job was begun; whoever ends the job, well or by an error, takes it
away. What is left tells the next run which jobs to do in a process that it can lose.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from subterfuge.errors import OutputError

ENDING = ".begun"


@dataclass(frozen=True)
class Begun:
    """The marks of an audit's folder; many processes may mark."""

    folder: Path
    """Of the audit; the marks are in ``spool`` in it."""

    @property
    def place(self) -> Path:
        """Where the marks are."""
        return self.folder / "spool"

    def mark(self, key: str) -> None:
        """Say that a job is begun, once more if it was before.

        Not flushed: that is for the death of a process. After a power cut a job counts as not begun.

        Raises:
            OutputError: it cannot be written.
        """
        path = self.place / f"{key}{ENDING}"
        try:
            self.place.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(b"|")
        except OSError as error:
            raise OutputError(
                f"{path} cannot be written: {error.strerror or error}. Make room there and run again, which goes on "
                "from what is done."
            ) from None

    def end(self, key: str) -> None:
        """Say that a job has ended; one that was not begun has."""
        with contextlib.suppress(OSError):
            (self.place / f"{key}{ENDING}").unlink()

    def left(self) -> dict[str, int]:
        """Give the jobs that have not ended, by key, and how often each was begun, in the keys' order."""
        found: dict[str, int] = {}
        with contextlib.suppress(OSError):
            for path in sorted(self.place.glob(f"*{ENDING}")):
                with contextlib.suppress(OSError):
                    found[path.name.removesuffix(ENDING)] = path.stat().st_size or 1
        return found

    def clear(self) -> None:
        """Say that every job has ended."""
        for key in self.left():
            self.end(key)
