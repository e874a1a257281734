"""The ledger: the one place where an audit keeps its jobs and what came of them.

One SQLite file and one writing process. A row is there in whole or not at all, whatever ends the process; a run that
goes on finds every result that was told to be kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from subterfuge.campaign._ledger_file import NAME, make, unwritable, writing
from subterfuge.campaign._ledger_reading import about, audit_of, job_of, reading, same, sound
from subterfuge.campaign.lock import Lock
from subterfuge.campaign.rows import Audit, Job
from subterfuge.campaign.spool import Spool
from subterfuge.errors import OutputError
from subterfuge.outcome import finite

LOCK = "audit.lock"


class Ledger:
    """An audit's jobs, open for writing. A context manager; `Ledger.open` makes one."""

    def __init__(self, folder: Path, db: sqlite3.Connection, lock: Lock, setting: Mapping[str, Any]) -> None:
        self.folder, self.setting = folder, setting
        self._db, self._lock = db, lock

    @classmethod
    def open(cls, folder: Path, setting: Mapping[str, Any]) -> Ledger:
        """Make an audit's ledger, or open the one that is there, and keep other audits out of the folder.

        Args:
            folder: of the audit; made where it is missing.
            setting: as `Audit.setting`. What tells audits apart must be as it was: the victim's fingerprint, and
                `protocol`, `version`, `level`, `seed`, `queries`, `survives`. The rest replaces what stood.

        Raises:
            OutputError: another audit is at work there, it holds the audit of another victim or one set otherwise, or
                it cannot be written.
            InputError: what is there is no ledger, one of another version, or damaged.
        """
        path, setting = folder / NAME, finite(setting)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise OutputError(
                f"{folder} cannot be made: {getattr(error, 'strerror', None) or error}. Choose another --out."
            ) from None
        lock = Lock.take(folder / LOCK)
        try:
            if os.path.lexists(path):
                with reading(path) as db:
                    there = about(db, "setting")
                    same(path, there, setting)
                    sound(db)
            else:
                make(path, setting)
                there = setting
            ledger = cls(folder, writing(path), lock, setting)
            if there != setting:
                ledger._tell("setting", setting)
        except BaseException:
            lock.release()
            raise
        return ledger

    @classmethod
    def read(cls, path: Path) -> Audit:
        """Give all that a ledger holds, also while an audit is at work; nothing is written, nowhere.

        Args:
            path: the ledger, or the audit's folder.

        Raises:
            InputError: there is none, it cannot be read, is one of another version, or damaged.
        """
        path = path / NAME if os.path.isdir(path) else path
        with reading(path) as db:
            return audit_of(db, path.parent)

    def plan(self, jobs: Sequence[tuple[str, Job]]) -> None:
        """Say which jobs there are, by key, in what order; those that are known keep their state and result.

        Jobs of earlier plans that are not in this one stay in the file, and are rows of the audit again once a plan has
        them. Of jobs with one key, which have one result, the first counts.
        """
        first: dict[str, Job] = {}
        for key, job in jobs:
            first.setdefault(key, job)
        with self._writing() as db:
            db.execute("UPDATE jobs SET place = place + ?, planned = 0", (len(first),))
            db.executemany(
                "INSERT INTO jobs (key, place, planned, probe, job) VALUES (?, ?, 1, ?, ?) "
                "ON CONFLICT (key) DO UPDATE SET place = excluded.place, planned = 1, job = excluded.job",
                ((key, place, job.probe, json.dumps(asdict(job))) for place, (key, job) in enumerate(first.items())),
            )

    def done(self) -> frozenset[str]:
        """Give the keys of all jobs that are done, also of earlier plans."""
        return frozenset(key for (key,) in self._db.execute("SELECT key FROM jobs WHERE state = 'done'"))

    def left(self, retry: bool = False) -> list[tuple[str, Job]]:
        """Give the planned jobs that are not done, in order; those that failed only to be tried again."""
        found = self._db.execute(
            "SELECT key, job FROM jobs WHERE planned AND (state = 'left' OR (? AND state = 'failed')) ORDER BY place",
            (retry,),
        )
        return [(key, job_of(job)) for key, job in found]

    def finish(self, key: str, result: Mapping[str, Any], seconds: float) -> None:
        """Keep a job's result: when this returns it outlives the process, and a power cut. What is done stays as it is.

        Raises:
            OutputError: it cannot be written; the ledger is as it was.
            KeyError: no plan has had the job.
        """
        held = json.dumps(finite(result), allow_nan=False)
        with self._writing() as db:
            if self._mark(key, "done", None, seconds):
                db.execute("INSERT INTO results VALUES (?, ?)", (key, held))

    def fail(self, key: str, error: str, seconds: float) -> None:
        """Keep that a job failed, and of what; one that is done stays done.

        Raises:
            OutputError, KeyError: as `finish`.
        """
        with self._writing():
            self._mark(key, "failed", json.dumps(error), seconds)

    def take(self, spool: Spool) -> int:
        """Keep what a killed run had finished and could not record, and empty its spool; give how many that were.

        Results of jobs that no plan has had are dropped.

        Raises:
            OutputError: it cannot be written; nothing is dropped that is not kept.
        """
        taken = 0
        for key, result, seconds in spool.taken():
            with contextlib.suppress(KeyError):
                if self._state(key) != "done":
                    self.finish(key, result, seconds)
                    taken += 1
            spool.drop(key)
        return taken

    def doubt(self, doubts: Sequence[Mapping[str, Any]]) -> None:
        """Say what speaks against the figures, instead of what was said."""
        self._tell("doubts", list(doubts))

    def note(self, notes: Sequence[str]) -> None:
        """Say what a reader should know, instead of what was said."""
        self._tell("notes", list(notes))

    def audit(self, probe: str | None = None) -> Audit:
        """Give all that is known; with a probe, the rows of that one."""
        self._db.execute("BEGIN")
        try:
            return audit_of(self._db, self.folder, probe)
        finally:
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file, its log folded into it, and let other audits in."""
        if self._lock.owner != os.getpid():
            return  # a forked child's copy: SQLite's files are not its own to close
        with contextlib.suppress(sqlite3.Error):  # a reader is there, or no room: the log stays, and is read as well
            self._db.execute("PRAGMA busy_timeout = 200")
            self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.close()
        self._lock.release()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.Error as error:
            raise unwritable(self.folder / NAME, error) from None

    def _state(self, key: str) -> str:
        found = self._db.execute("SELECT state FROM jobs WHERE key = ?", (key,)).fetchone()
        if found is None:
            raise KeyError(key)
        return str(found[0])

    def _mark(self, key: str, state: str, error: str | None, seconds: float) -> bool:
        """Set the state of a job that is not done; say whether it was not."""
        if self._state(key) == "done":
            return False
        self._db.execute(
            "UPDATE jobs SET state = ?, error = ?, seconds = ? WHERE key = ?", (state, error, float(seconds), key)
        )
        return True

    def _tell(self, name: str, value: object) -> None:
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, json.dumps(finite(value))))
