"""What a classifier is taught and tested with: sounds, what they are, and which of them are one recording."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Example:
    """One sound of a set."""

    path: Path
    label: str
    """What it is; of several instruments, the first that was named."""
    group: str
    """The recording that it is from. Examples of one recording never stand on both sides of a split by recording."""
    also: tuple[str, ...] = ()
    """What else is heard in it."""
    about: tuple[tuple[str, str], ...] = ()
    """What else is known of it, such as ``("genre", "jaz")``; in the order of the layout."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Everything that is heard in it."""
        return (self.label, *self.also)


@dataclass(frozen=True)
class Dataset:
    """Examples in a fixed order, and what was left out of them."""

    name: str
    examples: tuple[Example, ...]
    skipped: tuple[str, ...] = ()
    """Files that are in the set's folder and not in the set: one sentence each, with the path and the reason."""
    notes: tuple[str, ...] = ()
    """What a user should know of its recordings: one sentence each."""

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in alphabetical order."""
        return tuple(sorted({one.label for one in self.examples}))

    @property
    def groups(self) -> dict[str, int]:
        """How many recordings each class has."""
        return dict(Counter(label for label, _ in sorted({(one.label, one.group) for one in self.examples})))

    @property
    def names_sha256(self) -> str:
        """What tells this set from others, wherever it lies: a hash of its classes, recordings and file names."""
        return names_sha256((one.label, one.group, f"{one.label}/{one.path.name}") for one in self.examples)

    def only(self, places: list[int]) -> Dataset:
        """Give the same set with only the examples at some places."""
        return replace(self, examples=tuple(self.examples[place] for place in places))


def names_sha256(rows: Iterable[tuple[str, str, str]]) -> str:
    """Give the hash of the label, the recording and the name of each of several sounds, in their order."""
    return hashlib.sha256("\n".join("\t".join(row) for row in rows).encode(errors="backslashreplace")).hexdigest()
