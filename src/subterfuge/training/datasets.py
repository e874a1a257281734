"""Read a set of sounds: what they are, and which of them are one recording."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from subterfuge.errors import InputError, nearest
from subterfuge.training import _datasets_irmas as irmas
from subterfuge.training._datasets_csv import read_csv
from subterfuge.training._datasets_same import counted, joined
from subterfuge.training._datasets_walk import SOUNDS, Found, look, recording_of, shown
from subterfuge.training.demo_data import embedded_clips
from subterfuge.training.examples import Dataset, Example

Read = tuple[list[Example], list[str]]

LAYOUTS = {
    "irmas": "IRMAS training clips: [cel][nod][cla]0059__2.wav tells class, recording and excerpt",
    "irmas-test": "IRMAS test clips: X-3.wav, its labels in X-3.txt beside it",
    "folders": "a folder for each class",
    "csv": "a table: the columns path and label, and if need be group and also",
    "embedded": "the eleven clips that come with the package",
}
SIDES = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "evaluation"})
"""Folders that are sides of a split, and no classes."""


def read_dataset(where: str | Path, *, layout: str = "auto", group: str | None = None) -> Dataset:
    """Read a set of sounds, in an order that depends on nothing but its names.

    Layouts (`LAYOUTS`) are told apart by themselves: a ``.csv`` or ``.tsv`` file is ``csv``; a folder is ``irmas``
    where it holds IRMAS-TrainingData, or nine of ten sounds are named so; ``irmas-test`` where at least half of them
    have a text of labels beside them; else ``folders``. `Dataset.name` says which it was.

    What is one recording: see `read_name` for names as in IRMAS, `recording_of` for all others; in a table, what its
    column ``group`` says; in a folder for each class, sounds of two classes are never one recording but by names as in
    IRMAS. ``group`` overrides all that. Files that hold the same bytes are one recording in any case; of other files no
    more is read than tells those of one size apart. `Dataset.notes` says where that is so, and where names leave open
    whether sounds are excerpts.

    Args:
        where: a folder, a table, or ``embedded``.
        layout: ``auto``, or one of `LAYOUTS`.
        group: a regular expression, searched in each path below the set's folder (with forward slashes); what its
            first group matches (the whole match, where it has none) is the recording.

    Raises:
        InputError: nothing there, no sound in it, a layout that it has not, or a table that cannot be read.
    """
    if layout not in ("auto", *LAYOUTS):
        raise InputError(f"layout {layout!r}: {nearest(layout, ['auto', *LAYOUTS])}")
    if layout == "embedded" and str(where) != "embedded":
        raise InputError(f"{where}: the layout embedded is of the word embedded, and of nothing else")
    where, path = str(where), Path(where)
    if where == "embedded" and layout in ("auto", "embedded"):
        layout, home, read = "embedded", embedded_clips()[0].parent, _embedded()
    elif layout == "csv" or _is_table(path, layout):
        layout, home, read = "csv", path.parent, read_csv(_checked(path, folder=False), _group_of)
    else:
        found = look(_checked(path, folder=True))
        layout = layout_of(found) if layout == "auto" else layout
        home, read = path, READERS[layout](found)
        read = read[0], [*read[1], *found.skipped]
    examples, skipped = read
    if not examples:
        raise InputError(_nothing(where, layout, skipped))
    if group is not None:
        examples = _regrouped(examples, home, group)
    named = examples if layout == "folders" else [one for one in examples if one.group == _group_of(_place(one, home))]
    notes = counted(named) if group is None and layout in ("folders", "csv") else []
    if layout != "embedded":
        examples, same = joined(examples)
        notes += same
    name = shown(f"{where} ({LAYOUTS[layout].partition(':')[0]})")
    return Dataset(name, tuple(examples), tuple(map(shown, skipped)), tuple(notes))


def check_labels_match(data: Dataset, labels: Sequence[str], *, all_needed: bool = False) -> None:
    """Refuse a set that names other classes than a victim answers.

    Args:
        data: the set.
        labels: the victim's.
        all_needed: refuse also a set that lacks a class of the victim's.

    Raises:
        InputError: it names the classes that are missing on either side.
    """
    strange = [label for label in data.labels if label not in labels]
    lacking = [label for label in labels if label not in data.labels]
    if not strange and not (all_needed and lacking):
        return
    said = []
    if strange:
        said.append(f"the victim does not know {', '.join(strange)} ({nearest(strange[0], labels)})")
    if lacking:
        said.append(f"the set has no sound of {', '.join(lacking)}")
    raise InputError(f"{data.name}: {'; '.join(said)}. Labels must be the same words; rename the set's, or the card's")


def read_folders(found: Found) -> Read:
    """Read a folder for each class, which its recordings' names begin with; folders below one are parts of them too.

    Names as in IRMAS say the recording by themselves.
    """
    found = _descended(found)
    classes = [one for one in found.folders if any(sound.startswith(f"{one}/") for sound in found.sounds)]
    sides = [one for one in classes if one.lower() in SIDES]
    if classes and len(sides) == len(classes):
        raise InputError(
            f"{found.folder} holds {', '.join(sides)}, which are sides of a split and no classes; name one of them"
        )
    examples, skipped = [], []
    for place in found.sounds:
        label, _, below = place.partition("/")
        if below:
            examples.append(Example(found.folder / place, label, _group_of(place)))
        else:
            skipped.append(f"{found.folder / place}: it stands in no folder of a class.")
    skipped += [
        f"{found.folder / one}: a folder of a class without a sound in it, so the set lacks the class."
        for one in found.folders
        if one not in classes
    ]
    return examples, skipped


READERS: dict[str, Callable[[Found], Read]] = {
    "irmas": irmas.read_training,
    "irmas-test": irmas.read_testing,
    "folders": read_folders,
}


def _descended(found: Found) -> Found:
    """Go down where a lone folder holds only folders, as archives unpack."""
    while len(found.folders) == 1 and found.sounds and all(place.count("/") > 1 for place in found.sounds):
        found = found.under(found.folders[0])
    return found


def _embedded() -> Read:
    examples = []
    for path in embedded_clips():
        name = irmas.read_name(path.stem)
        if name is not None:
            examples.append(Example(path, name.label, name.group, about=name.about))
    return examples, []


def layout_of(found: Found) -> str:
    """Tell the layout of a folder by what was found in it."""
    if irmas.TRAINING in found.folders or irmas.has_names(found):
        return "irmas"
    return "irmas-test" if irmas.has_texts(found) else "folders"


def _group_of(place: str) -> str:
    """Name a recording as IRMAS does, where the sound is called so."""
    name = irmas.read_name(PurePosixPath(place).stem)
    return recording_of(place) if name is None else name.group


def _place(example: Example, home: Path) -> str:
    """Name a sound by its place below the set's folder, with forward slashes."""
    return example.path.relative_to(home).as_posix() if example.path.is_relative_to(home) else str(example.path)


def _regrouped(examples: list[Example], home: Path, pattern: str) -> list[Example]:
    try:
        searched = re.compile(pattern)
    except re.error as error:
        raise InputError(f"group {pattern!r} is no regular expression: {error}") from error
    regrouped = []
    for example in examples:
        place = _place(example, home)
        match = searched.search(place)
        group = (match[1] if searched.groups else match[0]) if match else None
        if not group:
            raise InputError(f"group {pattern!r} finds nothing in {place!r}; it must name the recording of every sound")
        regrouped.append(replace(example, group=group))
    return regrouped


def _is_table(path: Path, layout: str) -> bool:
    return layout == "auto" and path.suffix.lower() in (".csv", ".tsv") and not path.is_dir()


def _checked(path: Path, *, folder: bool) -> Path:
    """Give a path that is there and of the right kind, or say what it is instead."""
    expected = "a folder of sounds, a table (.csv) or the word embedded was expected"
    try:
        present, is_folder = path.exists(), path.is_dir()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}; {expected}") from error
    if not present:
        raise InputError(f"{path} is not there; {expected}")
    if is_folder is folder:
        return path
    if is_folder:
        raise InputError(f"{path} is a folder, and layout csv asks for a table; name the table in it")
    if path.suffix.lower() == ".zip":
        raise InputError(f"{path} is an archive; unpack it first (IRMAS: subterfuge data irmas --from {path})")
    kind = "one sound" if path.suffix.lower() in SOUNDS else "a file"
    raise InputError(f"{path} is {kind}; {expected}")


def _nothing(where: str, layout: str, skipped: list[str]) -> str:
    kinds = ", ".join(sorted(SOUNDS))
    said = f"{where}: no sound was found (layout {layout}: {LAYOUTS[layout]}; endings: {kinds})"
    return f"{said}; {len(skipped)} were left out, the first: {skipped[0]}" if skipped else said
