"""Where a result goes: refused before any work is done, reached in one step or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from subterfuge.audio import Clip
from subterfuge.audio.formats import SUFFIXES
from subterfuge.audio.place import check_target
from subterfuge.errors import OutputError
from subterfuge.outcome import Outcome, outcome_path

SOUND_SUFFIXES = frozenset(suffix for several in SUFFIXES.values() for suffix in several)


def place_for(
    clip: Clip,
    target: str | None,
    out: str | Path | None,
    force: bool,
    keep_container: bool,
    announce: Callable[[str], None] = lambda _: None,
) -> Path:
    """Say where the result goes, an absolute path, and refuse what cannot be before any work is done.

    Nothing is made. A name that ends as another container does gets the right ending, which is announced.

    Raises:
        OutputError: the place, or that of the record, holds something (and not `force`), is the clip itself, or cannot
            be written.
    """
    suffix, home = clip.output_suffix(keep_container), clip.container(keep_container)
    stem = clip.path.stem if clip.path is not None else clip.name
    name = re.sub(r"[/\\\0]", "_", f"{stem}-to-{target or 'other'}") + suffix
    try:
        where = Path.cwd() / name if out is None else Path.cwd() / out
        if out is not None and (where.is_dir() or str(out).endswith(("/", os.sep))):
            where = where / name
    except (OSError, ValueError) as error:
        raise _unwritable(Path(out or "."), error) from None
    if where.suffix.lower() not in home.suffixes:
        named = where.name
        where = where.with_suffix("") if where.suffix.lower() in SOUND_SUFFIXES else where
        where = where.with_name(where.name + suffix)
        announce(f"the result is written as {home.format}, so {named} is called {where.name}")
    check_target(where, clip.path, force)
    check_target(outcome_path(where), clip.path, force)
    try:
        there = next(folder for folder in where.parents if folder.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
    except (OSError, ValueError) as error:
        raise _unwritable(where.parent, error) from None
    return where


@contextmanager
def workshop(place: Path) -> Iterator[Path]:
    """Lend a hidden folder beside the result, on its disk; what is in it, and folders made for nothing, go at the end.

    Raises:
        OutputError: the result's folder cannot be made or written.
    """
    missing = [folder for folder in place.parents if not folder.exists()]
    bench = place.parent / f".subterfuge-{secrets.token_hex(6)}"  # named before it is made: an interrupt finds it
    try:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            bench.mkdir(mode=0o700)
        except OSError as error:
            raise _unwritable(place.parent, error) from None
        try:
            yield bench
        except OutputError as error:  # nobody knows the hidden folder, so the message names the result
            said = re.sub(re.escape(str(bench / "_"))[:-1] + r"\d+(\.\w+)*", lambda _: str(place), str(error))
            raise OutputError(said) from None
    finally:
        shutil.rmtree(bench, ignore_errors=True)
        for made in missing:  # the deepest first; one that holds something stays
            with contextlib.suppress(OSError):
                made.rmdir()


def publish(judged: Path, final: Path, outcome: Outcome) -> None:
    """Move the judged file and its record into place, the record first, so that no sound stands without one.

    The record is written beside the judged file, so that a full disk is met before anything is moved.

    Raises:
        OutputError: one of them cannot be written; nothing new is left.
    """
    written, record, anew = outcome.write(outcome_path(judged)), outcome_path(final), not final.exists()
    try:
        os.replace(written, record)
        os.replace(judged, final)
    except BaseException as error:
        if anew:
            record.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(final, error) from None
        raise


def keep_unjudged(file: Path, place: Path, force: bool, outcome: Outcome) -> Path:
    """Keep the file of the best so far, which the victim did not live to judge, beside where a result stands.

    It is called as `unjudged_place` says.
    """
    kept = unjudged_place(place, force, outcome_path)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    publish(file, kept, replace(outcome, file=str(kept), file_sha256=digest))
    return kept


def unjudged_place(place: Path, force: bool, record_of: Callable[[Path], Path]) -> Path:
    """Say where what nobody has judged is kept: ``NAME.unjudged.EXT``, with a number where that is taken.

    Args:
        place: of a result.
        force: overwrite what was kept before.
        record_of: gives where the record of a sound stands.
    """
    names = (f"{place.stem}.unjudged{count}{place.suffix}" for count in ("", *(f"-{n}" for n in range(2, 10_000))))
    paths = (place.with_name(name) for name in names)
    return next(path for path in paths if force or not (path.exists() or record_of(path).exists()))


def _unwritable(where: Path, error: OSError | ValueError) -> OutputError:
    why = getattr(error, "strerror", None) or error
    return OutputError(f"{where} cannot be written: {why}. Choose another place with --out, or make room there.")
