"""Where a file goes: checked beforehand, and reached in one step or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from subterfuge.errors import OutputError


def check_target(target: Path, source: Path | None, force: bool) -> None:
    """Refuse a folder, a device, the source under any of its names, and, unless forced, anything that exists.

    Raises:
        OutputError: one of these, or a name that no file can have.
    """
    try:
        if "\0" in str(target):
            raise ValueError("a name cannot hold a zero byte")
        present = target.exists()
        if target.is_dir():
            raise OutputError(f"{target} is a folder; the name of a file to write was expected. Add a name to it.")
        if present and source is not None and source.exists() and target.samefile(source):
            raise OutputError(
                f"{target} is the clip itself; a source is never overwritten, not even by force. Choose another name."
            )
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{target} cannot be written: {getattr(error, 'strerror', None) or error}. Choose another place."
        ) from None
    if present and not target.is_file():  # renaming a file onto one would replace a device for the whole machine
        raise OutputError(f"{target} is a device, pipe or socket; the name of a file to write was expected.")
    if present and not force:
        raise OutputError(f"{target} exists already. Choose another name, or overwrite it with --force (force=True).")


def put(content: bytes, target: Path, *, check: Callable[[Path], None]) -> None:
    """Write a file beside its target, have it checked, move it into place; on any fault leave nothing behind.

    Missing folders are made. The hidden file ends as the target does, so that `check` can open it.

    Raises:
        OutputError: the folder cannot be made or written, or the disk is full; or what `check` raises.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = target.with_name(f".{secrets.token_hex(6)}.part{target.suffix}")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(hidden, flags, 0o666), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            check(hidden)
            os.replace(hidden, target)
        finally:
            with contextlib.suppress(OSError):
                hidden.unlink()
    except OSError as error:
        raise OutputError(
            f"{target} cannot be written: {error.strerror or error}. Choose another place, or make room there."
        ) from None
