"""Where a result goes: refused before any work is done, reached in one step or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from subterfuge.audio import Clip
from subterfuge.audio.place import check_target
from subterfuge.errors import OutputError
from subterfuge.outcome import Outcome, outcome_path


def place_for(clip: Clip, target: str | None, out: str | Path | None, force: bool, keep_container: bool) -> Path:
    """Say where the result goes, and refuse what cannot be before any work is done."""
    suffix = clip.output_suffix(keep_container)
    stem = clip.path.stem if clip.path is not None else clip.name
    name = f"{stem}-to-{target or 'other'}{suffix}"
    where = Path.cwd() / name if out is None else Path(out)
    if out is not None and (where.is_dir() or str(out).endswith(("/", os.sep))):
        where = where / name
    if where.suffix.lower() != suffix.lower():
        where = where.with_name(where.name + suffix)
    check_target(where, clip.path, force)
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=where.parent):
            pass
    except OSError as error:
        raise OutputError(
            f"{where.parent} cannot be written: {error.strerror or error}. Choose another place with --out."
        ) from None
    return where


def publish(judged: Path, final: Path, outcome: Outcome) -> None:
    """Move the judged file and its record into place, the record first, so that no sound stands without one."""
    record = outcome.write(outcome_path(final))
    try:
        os.replace(judged, final)
    except OSError as error:
        record.unlink(missing_ok=True)
        raise OutputError(f"{final} cannot be written: {error.strerror or error}. Choose another place.") from None
