"""What a model never heard: the recordings that the record of its training held out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from subterfuge.errors import InputError
from subterfuge.training.examples import Dataset

ENDING = ".training.json"


def record_beside(card: Path) -> Path | None:
    """Give the record of the training that stands beside a card, NAME.training.json beside NAME.toml, or None."""
    record = card.with_name(card.name.removesuffix(".toml") + ENDING)
    return record if record.is_file() else None


def read_held_out(record: Path) -> tuple[str, ...]:
    """Read which recordings a training held out.

    Raises:
        InputError: it is missing, no JSON, or does not say.
    """
    told = _read(record)
    groups = told.get("held_out") if isinstance(told, dict) else None
    if not isinstance(groups, list) or not all(isinstance(one, str) for one in groups):
        raise InputError(
            f"{record} does not say what was held out (a list of recordings, 'held_out'); give the NAME{ENDING} that "
            "`subterfuge train` wrote"
        )
    return tuple(groups)


def learned_set(record: Path, data: Dataset) -> tuple[str, bool]:
    """Give what a training's record calls the set that it learned from, and whether that is surely this set.

    It is where classes, recordings and file names are the same, in whichever folder, or where the set has the same name
    and so lies in the same place. The name is empty where the record has none.

    Raises:
        InputError: the record is missing, or no JSON.
    """
    told = _read(record)
    about = told.get("data") if isinstance(told, dict) else None
    if not isinstance(about, dict):
        return "", False
    name = about.get("name")
    name = name if isinstance(name, str) else ""
    return name, about.get("names_sha256") == data.names_sha256 or name == data.name


def only_held_out(data: Dataset, groups: tuple[str, ...]) -> Dataset:
    """Leave out of a set what is of other recordings than those.

    Raises:
        InputError: nothing is left.
    """
    wanted = set(groups)
    places = [place for place, one in enumerate(data.examples) if one.group in wanted]
    if not places:
        raise InputError(
            f"{data.name}: of its recordings none is among the {len(groups)} that the training held out; give the set "
            "that the victim was trained on, or evaluate on all of this one (without --only-held-out)"
        )
    return data.only(places)


def _read(record: Path) -> Any:
    try:
        return json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no record of a training {record}; `subterfuge train` writes NAME{ENDING}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{record} cannot be read as the record of a training: {error}") from None
