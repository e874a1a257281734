"""The ledger's file: its tables, how it is made, and how it is opened for writing."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from subterfuge.campaign.rows import VERSION
from subterfuge.errors import OutputError

NAME = "audit.ledger"
SCHEMA = 1
"""Of the tables."""
STAMP = 1000 * SCHEMA + VERSION
"""In SQLite's ``user_version``: a ledger holds results of one version only."""
APPLICATION = 0x53554246
"""In SQLite's ``application_id``: tells a ledger from other programs' files. The letters SUBF."""
FLUSH = "FULL"
"""SQLite's ``synchronous``: each commit is flushed to the disk. A killed process would lose nothing without; a power
cut would lose the last commits, whose spooled copies are gone by then. A flush takes milliseconds, a job seconds."""
PATIENCE_SECONDS = 30.0
"""How long a reader and the writer wait for each other; they meet only where an audit begins or ends."""
TABLES = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE jobs (
        key TEXT PRIMARY KEY,
        place INTEGER NOT NULL,   -- the order of the last plan, then those of earlier ones
        planned INTEGER NOT NULL, -- whether the last plan had it
        probe TEXT NOT NULL,      -- as in the job
        job TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'left' CHECK (state IN ('left', 'done', 'failed')),
        error TEXT,
        seconds REAL NOT NULL DEFAULT 0
    )""",
    "CREATE TABLE results (key TEXT PRIMARY KEY REFERENCES jobs, result TEXT NOT NULL)",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {STAMP}",
)


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a file with SQLite: mode ``ro``, ``rw`` or ``rwc``."""
    where = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(where, uri=True, timeout=PATIENCE_SECONDS, isolation_level=None)


def make(path: Path, setting: Mapping[str, Any]) -> None:
    """Make an empty ledger: beside, then renamed, so that a ledger is whole or not there. The lock must be held."""
    part = path.with_name(f".{path.name}.part")
    try:
        for name in (part.name, f"{part.name}-journal"):
            part.with_name(name).unlink(missing_ok=True)
        with contextlib.closing(connect(part, "rwc")) as db:
            db.execute(f"PRAGMA synchronous = {FLUSH}")
            db.execute("BEGIN")
            for line in TABLES:
                db.execute(line)
            db.execute("INSERT INTO about VALUES ('setting', ?)", (json.dumps(setting),))
            db.execute("COMMIT")
        os.replace(part, path)
        sync_folder(path.parent)
    except (OSError, sqlite3.Error) as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise unwritable(path, error) from None


def writing(path: Path) -> sqlite3.Connection:
    """Open for writing, with a write-ahead log: readers see whole rows, and neither waits for the other."""
    try:
        db = connect(path, "rw")
        try:
            db.execute(f"PRAGMA synchronous = {FLUSH}")
            db.execute("PRAGMA journal_mode = WAL")  # a file system that has none keeps its journal: slower, as safe
            db.execute("BEGIN IMMEDIATE")
            db.execute("UPDATE about SET value = value")  # a medium that cannot be written says so now
            db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        raise unwritable(path, error) from None
    return db


def unwritable(path: Path, error: Exception) -> OutputError:
    """Say why a ledger cannot be written."""
    why = error.strerror if isinstance(error, OSError) else None
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith("SQLITE_IOERR"):
        why = f"the disk is full or failed ({code})"
    return OutputError(
        f"{path} cannot be written: {why or error}. What it holds stays. Make room and run again, which goes on from "
        "there, or choose another --out."
    )


def sync_folder(folder: Path) -> None:
    """Flush a folder's names to the disk, where the system can."""
    if os.name == "posix":
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
