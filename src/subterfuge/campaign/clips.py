"""The clips of an audit: files, folders and tables, each sound once, under a name of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from subterfuge.audio.label import label_of
from subterfuge.errors import InputError
from subterfuge.training._datasets_walk import SOUNDS, look, recording_of
from subterfuge.training.datasets import layout_of, read_dataset
from subterfuge.training.examples import Dataset, Example


def read_clips(given: Sequence[str | Path], *, layout: str = "auto", group: str | None = None) -> Dataset:
    """Read what a user names: sounds, folders of sounds (of classes, of IRMAS, or flat), tables, ``embedded``.

    A sound that is named by itself, or stands in a flat folder, has the label that its name tells
    (``[cel]``), or none: the empty text. Of two that are one file the first stays.

    Raises:
        InputError: nothing was named, or something that is not there, or that holds no sound.
    """
    if not given:
        raise InputError("no clips were named; give sounds, a folder of them, a table (.csv), or the word embedded")
    examples: list[Example] = []
    skipped: list[str] = []
    for one in given:
        path = Path(one)
        if path.suffix.lower() in SOUNDS and not path.is_dir():
            if not path.exists():
                raise InputError(f"{path} is not there; a sound, a folder of sounds, or a table was expected")
            examples.append(Example(path, label_of(path.name) or "", recording_of(path.name)))
            continue
        found, left_out = _flat(path) if layout == "auto" and _is_flat(path) else _set(one, layout, group)
        examples += found
        skipped += left_out
    there: dict[Path, Example] = {}
    for example in examples:
        there.setdefault(example.path.absolute(), replace(example, path=example.path.absolute()))
    name = ", ".join(str(one) for one in given[:3]) + (f" and {len(given) - 3} more" if len(given) > 3 else "")
    return Dataset(name, tuple(there.values()), tuple(skipped))


def names_of(paths: Sequence[Path]) -> dict[Path, str]:
    """Give each sound a name that no other has: its file's, with as many folders before it as that takes."""
    names = {path: path.name for path in paths}
    depth = 1
    while True:
        often = Counter(names.values())
        double = [path for path in paths if often[names[path]] > 1 and len(path.parts) > depth]
        if not double:
            return names
        depth += 1
        for path in double:
            names[path] = "/".join(path.parts[-depth:])


def _set(one: str | Path, layout: str, group: str | None) -> tuple[list[Example], list[str]]:
    data = read_dataset(one, layout=layout, group=group)
    return list(data.examples), list(data.skipped)


def _is_flat(path: Path) -> bool:
    """Say whether a folder holds sounds, no folders of classes, and nothing that IRMAS would."""
    if not path.is_dir():
        return False
    found = look(path)
    return bool(found.sounds) and not any("/" in sound for sound in found.sounds) and layout_of(found) == "folders"


def _flat(path: Path) -> tuple[list[Example], list[str]]:
    found = look(path)
    examples = [Example(path / one, label_of(one) or "", recording_of(one)) for one in found.sounds]
    return examples, [*found.skipped, *(f"{path / one}: no sound." for one in sorted(found.others))]
