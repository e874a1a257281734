"""Which sounds of a set are one recording whatever they are called, and which may be though names do not say so."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from subterfuge.training._datasets_walk import shown
from subterfuge.training.examples import Example

PROBE = 4096
"""Bytes from the middle of a file that tell it from others of its size."""
COUNTER = r"^(.*?)[-_. ]*\d+\.\w+$"
"""Finds what stands before the number at the end of a name; for ``--group``."""


def joined(examples: Sequence[Example]) -> tuple[list[Example], list[str]]:
    """Give examples that hold the same bytes one recording, the first one's; and a sentence where there are some.

    Only files of the same size are opened, and only those with the same middle read whole. One that cannot be read is
    left as it is.
    """
    same = [places for size in _alike(examples, range(len(examples)), _size)
            for middle in _alike(examples, size, _middle)
            for places in _alike(examples, middle, _whole)]  # fmt: skip
    if not same:
        return list(examples), []
    first = {one.group: one.group for one in examples}

    def root(group: str) -> str:
        while first[group] != group:
            group = first[group]
        return group

    for places in same:
        for place in places[1:]:
            first[root(examples[place].group)] = root(examples[places[0]].group)
    more = sum(len(places) - 1 for places in same)
    pair = [examples[place] for place in same[0][:2]]
    others = sum(len({examples[place].label for place in places}) > 1 for places in same)
    under = f"; {others} of them stand{'s' * (others == 1)} under several labels" if others else ""
    note = (
        f"{more} file{'s hold' if more > 1 else ' holds'} the same bytes as another ({pair[0].path} and "
        f"{pair[1].path}{', for one' if more > 1 else ''}): they are taken for one recording, so that no split parts "
        f"them{under}"
    )
    return [replace(one, group=root(one.group)) for one in examples], [shown(note)]


def counted(examples: Sequence[Example]) -> list[str]:
    """Say, where every sound is a recording of its own by its name, that most names differ in a counter only."""
    if len(examples) < 2 or len({one.group for one in examples}) < len(examples):
        return []
    bases = [(one.path.parent, _base(one.path)) for one in examples]
    often = Counter(base for base in bases if re.search(r"[^\W\d_]", base[1]))
    several = [place for place, base in enumerate(bases) if often[base] > 1]
    if 2 * len(several) <= len(examples):
        return []
    pair = [examples[place].path.name for place in several if bases[place] == bases[several[0]]][:2]
    return [
        shown(
            f"each of the {len(examples)} sounds is taken for a recording of its own, and names differ in a counter "
            f"only ({pair[0]}, {pair[1]}). If these are excerpts of one recording, a split would part them: say what "
            f"names the recording, as --group '{COUNTER}'"
        )
    ]


def _base(path: Path) -> str:
    match = re.search(COUNTER, path.name)
    return match[1] if match else ""


def _alike(examples: Sequence[Example], places: Iterable[int], by: Callable[[Path], Hashable]) -> list[list[int]]:
    """Give those places, several together, at which a trait of the files is the same."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for place in places:
        try:
            found[by(examples[place].path)].append(place)
        except OSError:
            continue
    return [some for some in found.values() if len(some) > 1]


def _size(path: Path) -> int:
    return path.stat().st_size


def _middle(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size // 2 - PROBE // 2))
        return file.read(PROBE)


def _whole(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
