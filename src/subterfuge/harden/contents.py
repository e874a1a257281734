"""What sound files hold, by the hash of their bytes: read once, and remembered for as long as size and time stay."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from subterfuge.audio.place import put
from subterfuge.harden.memory import content_of, key_of, stamp

REMEMBERED = "contents.json"


class Contents:
    """Hashes of files by path, each good for one size and time of writing, kept in a file of a folder.

    A file of hashes that cannot be read is as good as none.

    Args:
        folder: where they are kept; nothing is written there before `keep`.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / REMEMBERED
        self._known: dict[str, list[object]] = {}
        self._new = False
        try:
            told = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return
        if isinstance(told, dict):
            self._known = {path: one for path, one in told.items() if isinstance(one, list) and len(one) == 3}

    def of(self, path: Path) -> str:
        """Give the hash of a file's bytes; an empty text where it cannot be read."""
        there = stamp(path)
        if there is None:
            return ""
        known = self._known.get(str(path.absolute()))
        if known is not None and known[:2] == [*there]:
            return str(known[2])
        found = str(content_of(str(path)))
        self._known[str(path.absolute())], self._new = [*there, found], True
        return found

    def of_all(self, paths: Iterable[Path], tell: Callable[[int], None] = lambda _: None) -> str:
        """Give one hash for what several files hold, in their order; how many are done is told.

        >>> Contents(Path("nowhere")).of_all([]) == Contents(Path("elsewhere")).of_all([])
        True
        """
        hashes = []
        for done, path in enumerate(paths, 1):
            hashes.append(self.of(path))
            tell(done)
        return key_of(*hashes)

    def keep(self) -> None:
        """Write the hashes down, where there is a new one.

        Raises:
            OutputError: there is no writing there.
        """
        if self._new:
            put(json.dumps(self._known).encode(), self._path, check=lambda _: None)
            self._new = False
