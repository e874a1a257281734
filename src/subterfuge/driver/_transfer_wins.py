"""The recorded attacks that may carry over, found again on disk: the outcome, its file, and its clip if it is there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subterfuge.audio import MAX_SECONDS, Clip
from subterfuge.driver.controls_case import ENDING, find_file, places_of, read_record
from subterfuge.errors import ClipError, InputError
from subterfuge.outcome import outcome_path
from subterfuge.threat import Goal, parse_goal


@dataclass(frozen=True)
class Win:
    """A recorded attack: its file, and its clip if that is still there."""

    record: Mapping[str, Any]
    path: Path
    file: Path
    changed: Clip
    """What the file holds."""
    clip: Clip | None
    why_not: str | None = None
    """Why there is no clip."""
    notes: tuple[str, ...] = ()
    """What was not found as it was recorded."""

    @property
    def goal(self) -> Goal:
        """As the record says it."""
        return parse_goal(self.record["goal"], None if self.record["goal"] == "untargeted" else self.record["target"])

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return self.file.name


def find(outcome: str | Path, *, max_seconds: float = MAX_SECONDS) -> Win:
    """Find the file and the clip of an outcome, where it says or beside the record, and check their hashes.

    Raises:
        InputError: the outcome is none, or of a lost attack.
        ClipError: the file is missing or another, or the clip cannot be read; a clip that is gone is no error.
    """
    record, place = _read(Path(outcome))
    notes: list[str] = []
    if record["file"] is None:
        raise InputError(
            f"{place} tells of a lost attack, which wrote no file, so there is nothing that could carry over; give the "
            "outcome of a won one"
        )
    beside = place.with_name(place.name.removesuffix(ENDING))
    file = find_file("file", [beside, *places_of(record["file"], place)], record["file_sha256"], notes.append)
    changed = Clip.read(file, max_seconds=max_seconds)
    told = record["clip"].get("path")
    if not told:
        why = f"the clip {record['clip'].get('name')} was made in memory"
        return Win(record, place, file, changed, None, why, tuple(notes))
    try:
        where = find_file("clip", places_of(told, place), record["clip"].get("sha256"), notes.append)
    except ClipError as gone:
        return Win(record, place, file, changed, None, str(gone), tuple(notes))
    return Win(record, place, file, changed, Clip.read(where, max_seconds=max_seconds), None, tuple(notes))


def _read(given: Path) -> tuple[dict[str, Any], Path]:
    """Read an outcome; of a sound that was renamed away from its record, say which record it is of.

    Raises:
        InputError: as `read_record`.
    """
    try:
        return read_record(given)
    except InputError as lacking:
        if not given.is_file() or given.suffix == ".json" or outcome_path(given).exists():
            raise
        place = _record_of(given)
        if place is None:
            raise
        raise InputError(
            f"there is no outcome {outcome_path(given)} beside the sound {given}; by its content it is the sound of "
            f"{place}: give it its old name {place.name.removesuffix(ENDING)}, or rename that record as well, to "
            f"{outcome_path(given).name}"
        ) from lacking


def _record_of(sound: Path) -> Path | None:
    """Find the record in a sound's folder that is of this very file, under another name."""
    digest = hashlib.sha256(sound.read_bytes()).hexdigest()
    for place in sorted(sound.parent.glob(f"*{ENDING}")):
        with suppress(InputError):
            if read_record(place)[0]["file_sha256"] == digest:
                return place
    return None
