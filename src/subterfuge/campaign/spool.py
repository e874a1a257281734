"""What workers have finished, and the ledger may not yet have: a file for each result, whole or not there."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subterfuge.campaign._ledger_file import sync_folder
from subterfuge.errors import OutputError
from subterfuge.outcome import finite

_KEPT = re.compile(r"([\w-]+)\.json")
_PART = re.compile(r"\.[0-9a-f]{12}\.part")


@dataclass(frozen=True)
class Spool:
    """The files of an audit's folder; many processes may keep, the one with the ledger takes and drops."""

    folder: Path
    """Of the audit; the files are in ``spool`` in it."""

    @property
    def place(self) -> Path:
        """Where the files are."""
        return self.folder / "spool"

    def keep(self, key: str, result: Mapping[str, Any], seconds: float) -> None:
        """Write a result beside, flush it, and rename it: when this returns it outlives the process, and a power cut.

        Raises:
            OutputError: it cannot be written.
            ValueError: the key is no file's name.
        """
        name = f"{key}.json"
        if not _KEPT.fullmatch(name):
            raise ValueError(f"the key {key!r} is no file's name")
        content = json.dumps({"key": key, "seconds": float(seconds), "result": finite(result)}, allow_nan=False)
        hidden = self.place / f".{secrets.token_hex(6)}.part"
        try:
            self.place.mkdir(parents=True, exist_ok=True)
            try:
                with hidden.open("x", encoding="ascii") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(hidden, self.place / name)
            finally:
                with contextlib.suppress(OSError):
                    hidden.unlink()
            sync_folder(self.place)
        except OSError as error:
            raise OutputError(
                f"{self.place / name} cannot be written: {error.strerror or error}. Make room there and run again, "
                "which goes on from what is done."
            ) from None

    def taken(self) -> Iterator[tuple[str, Mapping[str, Any], float]]:
        """Give each key, result and seconds that a run left behind, in the keys' order.

        What is half written or damaged is dropped; a file that no spool writes is left alone.
        """
        with contextlib.suppress(OSError):
            for path in sorted(self.place.iterdir()):
                if _PART.fullmatch(path.name):
                    _unlink(path)
                elif _KEPT.fullmatch(path.name) and path.is_file():
                    found = _whole(path)
                    if found is None:
                        _unlink(path)
                    else:
                        yield found

    def drop(self, key: str) -> None:
        """Forget a result, which the ledger has; one that is not there is forgotten already."""
        _unlink(self.place / f"{key}.json")

    def tidy(self) -> None:
        """Take the folder away where it is empty. No worker may be at work."""
        with contextlib.suppress(OSError):
            self.place.rmdir()


def _whole(path: Path) -> tuple[str, Mapping[str, Any], float] | None:
    """Read one file; None where it is damaged."""
    try:
        held = json.loads(path.read_bytes())
        key, result, seconds = held["key"], held["result"], float(held["seconds"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return (key, result, seconds) if key == path.stem and isinstance(result, dict) else None


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
