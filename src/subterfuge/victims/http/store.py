"""The SQLite file in which paid answers last, and are counted; several processes may share it."""

from __future__ import annotations

import os
import secrets
import sqlite3
import tempfile
import threading
import weakref
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from subterfuge.errors import VictimError
from subterfuge.victims.http.identity import SALT_BYTES

APPLICATION = 0x53554246
"""What stands in the header of such a file ("SUBF"), so that no other program's file is taken for one."""
TABLES = (
    f"PRAGMA application_id = {APPLICATION}",
    "CREATE TABLE salt (salt BLOB)",
    "CREATE TABLE answers (victim TEXT, sound TEXT, answer TEXT, PRIMARY KEY (victim, sound))",
    "CREATE TABLE spent (card TEXT PRIMARY KEY, used INTEGER)",
)


class Store:
    """An SQLite file of answers, and of how many each card was given.

    Args:
        file: it is made if it is not there.
        name: of the card, by which its queries are counted, whoever asks them.

    Raises:
        VictimError: the file cannot be made, or is something else, which is left as it is.
    """

    def __init__(self, file: Path, name: str) -> None:
        self.file, self._name = file, name
        self._lock = threading.Lock()
        if file.is_dir():
            raise self._fail("that is a folder; give the name of a file")
        if not file.exists():
            self._make()
        self._check()
        try:
            self._base = sqlite3.connect(file, timeout=30, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as reason:
            raise self._fail(reason) from None
        weakref.finalize(self, self._base.close)
        self._base.text_factory = bytes  # of damaged rows too
        self._do("INSERT OR IGNORE INTO spent VALUES (?, 0)", name)
        salts, _ = self._do("SELECT salt FROM salt")
        if len(salts) != 1 or not isinstance(salts[0][0], bytes):
            raise self._fail("it is damaged; take it away, or give another file")
        self.salt: bytes = salts[0][0]

    def answer(self, victim: str, sound: str) -> Any:
        """Give what is kept of a sound, as it is there, or None."""
        rows, _ = self._do("SELECT answer FROM answers WHERE victim = ? AND sound = ?", victim, sound)
        return rows[0][0] if rows else None

    def keep(self, victim: str, sound: str, answer: str) -> None:
        """Keep an answer, in the place of one that was there."""
        self._do("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", victim, sound, answer)

    def take(self, most: int | None) -> bool:
        """Count a query, in one step for all processes, unless there were `most`; say whether there is one."""
        command = "UPDATE spent SET used = used + 1 WHERE card = ?1 AND (?2 IS NULL OR used < ?2)"
        _, changed = self._do(command, self._name, most)
        return changed == 1

    def give_back(self) -> None:
        """Count a query less, which was not answered."""
        self._do("UPDATE spent SET used = used - 1 WHERE card = ?", self._name)

    @property
    def used(self) -> int:
        """How many queries are counted."""
        rows, _ = self._do("SELECT used FROM spent WHERE card = ?", self._name)
        return int(rows[0][0])

    def _do(self, command: str, *values: Any) -> tuple[list[Any], int]:
        """Give the rows that a command gives, and how many it changed."""
        with self._lock:
            try:
                cursor = self._base.execute(command, values)
                return cursor.fetchall(), cursor.rowcount
            except sqlite3.Error as reason:
                raise self._fail(reason) from None

    def _make(self) -> None:
        """Make the file beside, and give it its name if nobody else did meanwhile."""
        folder = self.file.parent
        if not folder.is_dir():
            raise self._fail(f"there is no folder {folder}; make it, or give another file")
        try:
            handle, beside = tempfile.mkstemp(prefix=f".{self.file.name}-", dir=folder)
            os.close(handle)
            try:
                with closing(sqlite3.connect(beside, isolation_level=None)) as base:
                    for command in TABLES:
                        base.execute(command)
                    base.execute("INSERT INTO salt VALUES (?)", (secrets.token_bytes(SALT_BYTES),))
                try:
                    with suppress(FileExistsError):
                        os.link(beside, self.file)
                except OSError:  # a file system without links
                    if not self.file.exists():
                        os.replace(beside, self.file)
            finally:
                Path(beside).unlink(missing_ok=True)
        except (OSError, sqlite3.Error) as reason:
            raise self._fail(reason) from None

    def _check(self) -> None:
        """Look at the header (sqlite.org/fileformat, 1.3) before SQLite opens the file, and so may write into it."""
        try:
            with self.file.open("rb") as file:
                head = file.read(72)
        except OSError as reason:
            raise self._fail(reason) from None
        if not head.startswith(b"SQLite format 3\0"):
            what = "no database" if head else "empty"
            raise self._fail(f"it is {what}; give a file that is not there yet, or take it away")
        if head[68:72] != APPLICATION.to_bytes(4, "big"):
            raise self._fail("it is another program's database; give a file that is not there yet")

    def _fail(self, reason: object) -> VictimError:
        says = reason.strerror if isinstance(reason, OSError) and reason.strerror else reason
        return VictimError(f"the cache of the victim {self._name}, {self.file}, cannot be used: {says}")
