"""Reading a ledger, whoever writes it and wherever it lies; refusing what is none, or is of something else."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from subterfuge.campaign._ledger_file import APPLICATION, SCHEMA, STAMP, connect
from subterfuge.campaign.rows import VERSION, Audit, Job, Row
from subterfuge.errors import InputError, OutputError

SAME = ("protocol", "version", "level", "seed", "queries", "survives")
"""What two runs of one audit agree in, beside the victim."""
ROWS = """SELECT jobs.key, job, state, result, error, seconds FROM jobs LEFT JOIN results USING (key)
    WHERE planned AND (?1 IS NULL OR probe = ?1) ORDER BY place"""


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open for reading one state of it, whoever writes; no file is changed, made or left.

    What a killed audit left in its log is read too. Where SQLite could not do so without writing (the log's index is
    missing, the medium is read-only), a copy is read.

    Raises:
        InputError: it is not there, cannot be read, is no ledger, is one of another version, or is damaged; also where
            the body of the ``with`` finds values that no ledger holds.
    """
    with contextlib.ExitStack() as stack:
        try:
            db = None
            if _readable(path):
                with _but_for_want_of_writing():
                    db = stack.enter_context(_begun(path, "ro"))
            if db is None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ledger")))
                _copy(path, folder)
                db = stack.enter_context(_begun(folder / path.name, "rw"))
            _check(path, db)
            yield db
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
        except (sqlite3.Error, ValueError, TypeError, KeyError, AttributeError) as error:
            raise _damaged(path, str(error)) from None


def same(path: Path, there: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Refuse to go on with an audit of something else.

    Raises:
        OutputError: of another victim, or otherwise set.
    """
    victims = [str(one["victim"]["fingerprint"]) for one in (there, asked)]
    if victims[0] != victims[1]:
        raise OutputError(
            f"{path.parent} holds the audit of another victim: {there['victim'].get('name')} ({victims[0][:12]}), and "
            f"{asked['victim'].get('name')} ({victims[1][:12]}) was given. Choose another --out, or give that victim."
        )
    for name in SAME:
        if there.get(name) != asked.get(name):
            raise OutputError(
                f"{path.parent} holds an audit with {name} {there.get(name)}, and {name} {asked.get(name)} was asked "
                "for. Choose another --out, or ask as before."
            )


def sound(db: sqlite3.Connection) -> None:
    """Look through the whole file: better now than in the middle of a run."""
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise ValueError(found)


def job_of(text: str) -> Job:
    """Give a job as it was planned."""
    told = json.loads(text)
    return Job(**{**told, "also": tuple(told["also"])})


def about(db: sqlite3.Connection, name: str) -> Any:
    """Give the setting, the doubts or the notes; None where nothing was said."""
    found = db.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
    return None if found is None else json.loads(found[0])


def audit_of(db: sqlite3.Connection, folder: Path, probe: str | None = None) -> Audit:
    """Give all that a ledger holds, or the rows of one probe."""
    rows = (
        Row(
            job_of(job),
            key,
            state,
            {} if result is None else json.loads(result),
            None if error is None else json.loads(error),
            seconds,
        )
        for key, job, state, result, error, seconds in db.execute(ROWS, (probe,))
    )
    return Audit(
        about(db, "setting"), tuple(rows), tuple(about(db, "doubts") or ()), tuple(about(db, "notes") or ()), folder
    )


def _readable(path: Path) -> bool:
    """Say whether SQLite can read a file without making others: its log has an index, or it has no log at all.

    The file is opened here only where no ledger can be open in this process: to close it again would cost that one its
    locks (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """
    try:
        size = path.stat().st_size
        if size >= 100 and path.with_name(f"{path.name}-shm").exists():
            return True
        with path.open("rb") as file:
            head = file.read(100)
    except FileNotFoundError:
        raise InputError(
            f"there is no ledger at {path}: the folder of an audit was expected. `subterfuge audit` makes one."
        ) from None
    if size < 100 or not head.startswith(b"SQLite format 3\0"):
        raise InputError(f"{path} is no ledger, or what is left of one: it is left as it is. Choose another folder.")
    has_log = head[18] == 2  # https://www.sqlite.org/fileformat.html, section 1.3.3
    return not has_log and not path.with_name(f"{path.name}-journal").exists()


@contextmanager
def _but_for_want_of_writing() -> Iterator[None]:
    """Pass over what SQLite could not do because nothing can be written there."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if not getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
            raise


@contextmanager
def _begun(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Open a file and hold one state of it."""
    with contextlib.closing(connect(path, mode)) as db:
        db.execute("PRAGMA synchronous = OFF")  # of a copy's log that is folded in
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield db


def _copy(path: Path, folder: Path) -> None:
    """Copy a ledger and its logs, again if it was changed meanwhile."""
    names = [f"{path.name}{end}" for end in ("", "-wal", "-journal")]
    for _ in range(5):
        before = _stamps(path)
        for name in names:
            (folder / name).unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(path.with_name(name), folder / name)
        if _stamps(path) == before:
            return
    raise sqlite3.OperationalError("it changes faster than it can be read; try again")


def _stamps(path: Path) -> list[tuple[int, int] | None]:
    told: list[tuple[int, int] | None] = []
    for end in ("", "-wal", "-journal"):
        try:
            about = path.with_name(f"{path.name}{end}").stat()
            told.append((about.st_size, about.st_mtime_ns))
        except FileNotFoundError:
            told.append(None)
    return told


def _check(path: Path, db: sqlite3.Connection) -> None:
    """Refuse other programs' files, ledgers of another version, and one that ends within a page: SQLite adds zeros."""
    rest = path.stat().st_size % int(db.execute("PRAGMA page_size").fetchone()[0])
    if rest and not path.with_name(f"{path.name}-wal").exists():  # a log may hold that page
        raise ValueError("its end is missing")
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
        raise InputError(f"{path} is an SQLite file, but no ledger: it is left as it is. Choose another folder.")
    stamp = int(db.execute("PRAGMA user_version").fetchone()[0])
    if stamp != STAMP:
        raise InputError(
            f"{path} is a ledger of version {stamp // 1000}.{stamp % 1000}, and this is {SCHEMA}.{VERSION}: it is left "
            "as it is. Choose another folder, or use the release that made it."
        )


def _damaged(path: Path, why: str) -> InputError:
    return InputError(
        f"{path} is damaged ({why}): it is left as it is. Restore it from a copy, or choose another folder."
    )
