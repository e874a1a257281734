"""The folder of a run: one run, of one setting, at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from subterfuge.audio.place import put
from subterfuge.campaign.lock import Lock
from subterfuge.errors import OutputError

SETTING, LOCK = "setting.json", "harden.lock"


@contextmanager
def claimed(out: Path, setting: dict[str, Any], force: bool) -> Iterator[None]:
    """Hold a folder for as long as the block lasts, and write the run's setting down in it.

    Args:
        out: the folder; made where it is missing.
        setting: what the run is asked, of plain JSON values.
        force: take a folder that holds another run, or something else.

    Raises:
        OutputError: it holds another run or something else (and not `force`), another process is at work in it, or
            there is no writing there.
    """
    _refuse_other(out, setting, force)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be made: {error.strerror}; choose another --out") from None
    lock = Lock.take(out / LOCK)
    try:
        _refuse_other(out, setting, force)  # another may have come in between
        put((json.dumps(setting, indent=1) + "\n").encode(), out / SETTING, check=lambda _: None)
        yield
    finally:
        lock.release()


def _refuse_other(out: Path, setting: dict[str, Any], force: bool) -> None:
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; a folder was expected for --out")
    path = out / SETTING
    if force:
        return
    if path.exists():
        if not same(path, setting):
            raise OutputError(
                f"{path} tells of another run (another victim, set, seed or list of defences); choose another --out, "
                "or go on in this folder with --force, which keeps what is the same"
            )
    elif out.is_dir() and any(one.name != LOCK for one in out.iterdir()):
        raise OutputError(f"{out} holds something else already; choose another --out, or write there with --force")


def same(path: Path, setting: dict[str, Any]) -> bool:
    """Say whether a file tells of a setting.

    A victim is known by its fingerprint and a set by the hashes of its names and of what its clips hold, so that the
    same card or the same sounds may be named by another path; a set that was written down without the hash of its
    names, by its name, and one without that of its contents, by its names alone.
    """
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    if not isinstance(told, dict) or "fingerprint" not in told:
        return False
    loose = {"victim", "data" if "data_sha256" in told else "data_sha256"}
    loose |= {"contents"} - told.keys()
    wanted = json.loads(json.dumps(setting))
    return {key: one for key, one in told.items() if key not in loose} == {
        key: one for key, one in wanted.items() if key not in loose
    }
