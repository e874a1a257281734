"""The victim card: a small TOML file that tells how to reach any victim.

::

    schema = 1                       # the card's format
    kind = "sklearn"                 # one of LOADERS
    name = "my-classifier"           # as reports call it; the file's name without it
    sample_rate = 44100              # Hz at which the victim hears
    labels = ["cel", "cla"]          # in the order of the model's classes; where the model does not name them

Each kind adds its own keys, see `subterfuge.victims.LOADERS`: from a key to the type of its value, where ``list`` is
a list of texts, ``dict`` a table of anything, and ``list[float]`` or ``dict[str, str]`` say what is in them. Paths are
relative to the card.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subterfuge.errors import CardError, nearest
from subterfuge.victims._card_values import fault_of, named, written

SCHEMA = 1
COMMON = {
    "schema": int,
    "kind": str,
    "name": str,
    "sample_rate": int,
    "labels": list,
}
"""Keys that every card may have, and their types in TOML."""


@dataclass(frozen=True)
class Card:
    """A card that was read, its keys checked against its kind."""

    path: Path
    values: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Where the card's relative paths begin."""
        return self.path.resolve().parent

    @property
    def name(self) -> str:
        """The victim's name."""
        return str(self.values.get("name", self.path.stem))

    @property
    def kind(self) -> str:
        """The kind of victim."""
        return str(self.values["kind"])

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The labels that the card gives, or None."""
        given = self.values.get("labels")
        return None if given is None else tuple(given)

    @property
    def sample_rate(self) -> int:
        """The rate in Hz at which the victim hears."""
        return int(self.values["sample_rate"])

    def file(self, key: str) -> Path:
        """Give the path of a file that the card names.

        Raises:
            CardError: it is not there, or is a folder.
        """
        path = self.folder / str(self.values[key])
        if not path.is_file():
            what = "that is a folder" if path.is_dir() else f"there is no file {path}"
            raise self.fail(f'{key} = "{self.values[key]}", but {what}; paths on a card are relative to the card')
        return path

    def get(self, key: str, default: Any = None) -> Any:
        """Give a value, or the default."""
        return self.values.get(key, default)

    def fail(self, what: str) -> CardError:
        """Make the error that a loader raises about this card."""
        return CardError(f"{self.path}: {what}")


def read_card(path: Path, kinds: Mapping[str, Mapping[str, type]]) -> Card:
    """Read a card and check every key against its kind.

    Args:
        path: a TOML file.
        kinds: for each kind the keys that it adds and their types; a key that ends in "!" must be there.

    Raises:
        CardError: the file is missing or no TOML; the schema, the kind or a key is unknown (with the nearest known), is
            of another type, holds something of another type, is no finite number, or is missing.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise CardError(f"there is no card {path}; give the path of a victim's .toml file") from None
    except IsADirectoryError:
        raise CardError(f"{path} is a folder; give the path of a victim's .toml file in it") from None
    except tomllib.TOMLDecodeError as reason:
        raise CardError(f"{path} is no TOML: {reason}") from None
    except RecursionError:
        raise CardError(f"{path} cannot be read as a card: it is nested too deeply") from None
    except (OSError, ValueError) as reason:
        raise CardError(f"{path} cannot be read as a card: {reason}") from None
    if values.get("schema", SCHEMA) != SCHEMA and isinstance(values["schema"], int):
        raise CardError(f"{path}: schema = {written(values['schema'])}; this version reads schema = {SCHEMA}")
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        given = "has no kind" if kind is None else f"says kind = {written(kind)}"
        raise CardError(f"{path} {given}; {nearest(kind if isinstance(kind, str) else '', kinds)}")
    extra = {key.rstrip("!"): wanted for key, wanted in kinds[kind].items()}
    known = COMMON | extra
    for key, value in values.items():
        if key not in known:
            raise CardError(f"{path}: the key '{key}' is not known on a card of kind \"{kind}\"; {nearest(key, known)}")
        fault = None if key == "labels" and isinstance(value, list) else fault_of(key, value, known[key])
        if fault:
            raise CardError(f"{path}: {fault}")
    must = ["schema", "kind", "sample_rate", *(key[:-1] for key in kinds[kind] if key.endswith("!"))]
    for key in must:
        if key not in values:
            raise CardError(_lacking(path, key, values, known, kind))
    if not 1000 <= values["sample_rate"] <= 384000:
        raise CardError(
            f"{path}: sample_rate = {written(values['sample_rate'])}; a rate from 1000 to 384000 Hz was expected"
        )
    fault = check_labels(values["labels"]) if "labels" in values else None
    if not fault and not str(values.get("name", path.stem)).strip():
        fault = "name is empty; it is what reports call the victim"
    if fault:
        raise CardError(f"{path}: {fault}")
    return Card(path, values)


def _lacking(path: Path, key: str, values: Mapping[str, Any], known: Mapping[str, Any], kind: str) -> str:
    says = f"{path} lacks the key '{key}', {named(known[key])}, which a card of kind \"{kind}\" needs"
    inside = next((table for table, value in values.items() if isinstance(value, dict) and key in value), None)
    if inside is None:
        return says
    return f"{says}; it stands in the table {inside}: what follows [{inside}] is part of it, so write '{key}' above it"


def check_labels(labels: Sequence[Any]) -> str | None:
    """Say in a sentence what is wrong with a list of labels, or give None."""
    wrong = [label for label in labels if not isinstance(label, str) or not label.strip()]
    if wrong:
        return f"labels holds {written(wrong[0])}; every label must be a text, and not an empty one"
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        return f"the label '{twice[0]}' stands twice in labels; each label stands for one class"
    if len(labels) < 2:
        return f"labels has {len(labels)} entries; a classifier has two classes or more"
    return None


def fingerprint_of(*parts: str | bytes) -> str:
    """Give one hash for everything that a victim's answer depends on."""
    whole = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        whole.update(len(raw).to_bytes(8) + raw)
    return whole.hexdigest()
