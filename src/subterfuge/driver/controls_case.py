"""A recorded attack, found again on disk and checked: the outcome, the clip, the file, and the victim's card."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subterfuge.audio import MAX_SECONDS, Clip
from subterfuge.audio.place import check_target
from subterfuge.errors import CardError, ClipError, InputError, OutputError
from subterfuge.outcome import SCHEMA, outcome_path
from subterfuge.threat import Threat, parse_goal

ENDING = ".outcome.json"
NEEDED: dict[str, type | tuple[type, ...]] = {
    "won": bool,
    "goal": str,
    "target": (str, type(None)),
    "predicted_before": str,
    "file": (str, type(None)),
    "file_sha256": (str, type(None)),
    "clip": dict,
    "victim": dict,
}
"""What of an outcome is read here."""


@dataclass(frozen=True)
class Case:
    """A recorded attack: the sound before and after, and what it was for."""

    record: Mapping[str, Any]
    path: Path | None
    """Of the record, if it came from a file."""
    clip: Clip
    file: Path
    threat: Threat
    """Its goal; limit and budget bind nobody any more."""

    @property
    def focus(self) -> str:
        """The label that the goal is about: the target, or the one to leave."""
        return str(self.record["target"] or self.record["predicted_before"])


def read_record(path: str | Path) -> tuple[dict[str, Any], Path]:
    """Read an outcome, given as its own file or as the sound that it stands beside; give it and its path.

    Raises:
        InputError: it is missing, no JSON, of another schema, or lacks what an outcome has.
    """
    given = Path(path)
    if given.is_dir():
        inside = min((one.name for one in given.glob(f"*{ENDING}")), default=f"FILE{ENDING}")
        raise InputError(
            f"{given} is a folder, and one outcome was expected: FILE{ENDING} or the sound beside it, such as "
            f"{given / inside}"
        )
    place = given if given.name.endswith(".json") else outcome_path(given)
    try:
        text = place.read_text(encoding="utf-8")
    except FileNotFoundError:
        why = "" if given == place else f", which the sound {given} should have beside it"
        raise InputError(f"there is no outcome {place}{why}; give FILE{ENDING} or the sound beside it") from None
    except IsADirectoryError:
        raise InputError(f"{place} is a folder, and the outcome of the sound {given} was expected there") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{place} cannot be read as an outcome: {error}; give FILE{ENDING}") from None
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place} is no JSON: {error}; give FILE{ENDING} as `subterfuge attack` writes it") from None
    return checked(record, str(place)), place


def checked(record: Any, name: str) -> dict[str, Any]:
    """Give a record back if it is an outcome of this schema.

    Raises:
        InputError: it is not.
    """
    if not isinstance(record, dict):
        raise InputError(f"{name} holds {type(record).__name__}, where an outcome, a JSON object, was expected")
    if record.get("schema") != SCHEMA or isinstance(record.get("schema"), bool):
        said = f"schema {record['schema']!r}" if "schema" in record else "no schema"
        raise InputError(f"{name} has {said}; this version reads outcomes of schema {SCHEMA}; repeat the attack")
    for key, kinds in NEEDED.items():
        if key not in record:
            raise InputError(f"{name} lacks '{key}', which every outcome of `subterfuge attack` has; is it one?")
        if not isinstance(record[key], kinds):
            raise InputError(f"{name}: {key} is {record[key]!r}, which no outcome of `subterfuge attack` says")
    return record


def find_case(
    outcome: str | Path | Mapping[str, Any],
    announce: Callable[[str], None] = lambda _: None,
    *,
    max_seconds: float = MAX_SECONDS,
) -> Case:
    """Find the clip and the file of an outcome, where it says or beside the record, and check their hashes.

    Raises:
        InputError: the outcome is none, or of a lost attack.
        ClipError: a sound is missing, or is not the one that was recorded.
    """
    if isinstance(outcome, Mapping):
        record, place = checked(dict(outcome), "the outcome"), None
    else:
        record, place = read_record(outcome)
    if record["file"] is None:
        raise InputError(
            f"{place or 'the outcome'} tells of a lost attack, which wrote no file; there is no change to compare "
            "noise with; give the outcome of a won one"
        )
    name = str(record["clip"].get("name"))
    beside = [] if place is None else [place.with_name(place.name.removesuffix(ENDING))]
    file = find_file("file", [*beside, *places_of(record["file"], place)], record["file_sha256"], announce)
    if not record["clip"].get("path"):
        raise ClipError(
            f"the clip {name} of this outcome was made in memory and stands in no file, so the change cannot be told "
            "from it; attack a clip that is a file"
        )
    clip = find_file("clip", places_of(record["clip"]["path"], place), record["clip"].get("sha256"), announce)
    target = record["target"] if record["goal"] != "untargeted" else None
    threat = Threat(parse_goal(record["goal"], target))
    return Case(record, place, Clip.read(clip, max_seconds=max_seconds), file, threat)


def card_of(case: Case, card: str | Path | None) -> Path:
    """Give the victim's card: the one given, else the recorded one, where it was or beside the record.

    Raises:
        CardError: there is none.
    """
    if card is not None:
        return Path(card)
    told = case.record["victim"].get("card")
    places = places_of(told, case.path) if isinstance(told, str) else []
    for place in places:
        if place.is_file():
            return place
    said = f"is not at {told}" if told else "is not named in this outcome"
    raise CardError(f"the card of the victim {case.record['victim'].get('name')} {said}; give it with --victim CARD")


def check_out(out: Path, case: Case, card: Path, force: bool) -> None:
    """Refuse to write over what a control reads, whatever its name and even by force, and, unless forced, over others.

    Raises:
        OutputError: the place is the record, the clip, the attacked sound or the card, is a folder, or holds something.
    """
    told = case.record["victim"].get("card")
    cards = [card, *(places_of(told, case.path) if isinstance(told, str) else [])]
    sources = [("outcome", case.path), ("attacked sound", case.file), *(("victim's card", one) for one in cards)]
    for what, source in sources:
        with contextlib.suppress(OSError, ValueError):  # one of them is not there; the name is checked below
            if source is not None and out.samefile(source):
                raise OutputError(
                    f"{out} is the {what} itself, which is never overwritten, not even by force. Choose another name."
                )
    check_target(out, case.clip.path, force)


def places_of(told: str, record: Path | None) -> list[Path]:
    """Say where a recorded file may be: where it was, and, in a folder that was moved, beside the record."""
    return [Path(told), *([] if record is None else [record.with_name(Path(told).name)])]


def find_file(what: str, places: list[Path], sha256: str | None, announce: Callable[[str], None]) -> Path:
    """Give the first of some places that holds a recorded file, by its hash; announce where others hold another.

    Raises:
        ClipError: it is at none of them, or what is there is another.
    """
    there = [place for place in dict.fromkeys(places) if place.is_file()]
    if not there:
        tried = " or ".join(str(place) for place in dict.fromkeys(places))
        raise ClipError(f"the {what} of this outcome is not at {tried}; put it beside the outcome, under that name")
    for place in there:
        if sha256 is None or hashlib.sha256(place.read_bytes()).hexdigest() == sha256:
            if sha256 is None:
                announce(f"the outcome has no hash of the {what} {place.name}, so it is taken as it is")
            elif place != there[0]:
                announce(
                    f"{there[0]} is not the {what} of this outcome (its SHA-256 is another), so {place} was asked about"
                )
            return place
    found = hashlib.sha256(there[0].read_bytes()).hexdigest()
    raise ClipError(
        f"the {what} {there[0]} is not the one of this outcome: its SHA-256 begins with {found[:12]}, and "
        f"{str(sha256)[:12]} was recorded; it was changed or replaced since; repeat the attack"
    )


def save(record: Mapping[str, Any], path: Path) -> Path:
    """Write a record as JSON, in one step; a fault leaves nothing behind.

    Raises:
        OutputError: it cannot be written.
    """
    hidden = path.with_name(f".{secrets.token_hex(6)}.part")
    try:
        try:
            hidden.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
            os.replace(hidden, path)
        finally:
            hidden.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}. Choose another place.") from None
    return path
