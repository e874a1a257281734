"""Read IRMAS as its authors lay it out: training clips with names that tell all, test clips with a text beside.

A training clip is called ``[cel][nod][cla]0059__2.wav``, at times with a number before it, as in ``065__[cel]...``:
class, drums (not always told), genre, number of the recording, number of the excerpt. The recording's number runs
through all classes of IRMAS, and no two recordings share it; the number before the name is another one in each class.
So class and number name a recording. In our own renders the word after the class is a SoundFont, and stays in the name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from subterfuge.training._datasets_walk import Found
from subterfuge.training.examples import Example

CLASSES = {
    "cel": "cello",
    "cla": "clarinet",
    "flu": "flute",
    "gac": "acoustic guitar",
    "gel": "electric guitar",
    "org": "organ",
    "pia": "piano",
    "sax": "saxophone",
    "tru": "trumpet",
    "vio": "violin",
    "voi": "voice",
}
DRUMS = {"dru": "yes", "nod": "no"}
GENRES = frozenset({"cou_fol", "cla", "pop_roc", "lat_sou", "jaz_blu"})
MOST_BYTES = 10_000
"""A text of labels is never larger."""
TRAINING, TESTING = "IRMAS-TrainingData", "IRMAS-TestingData"

_NAME = re.compile(r"(?:\d+__)?\[([^\[\]]+)\]((?:\[[^\[\]]*\])*)(\d+)__(\d+)")


@dataclass(frozen=True)
class Name:
    """What the name of a training clip tells."""

    label: str
    group: str
    about: tuple[tuple[str, str], ...]


def read_name(stem: str) -> Name | None:
    """Read the name of a training clip, without its ending; None where it is no such name.

    >>> read_name("065__[cel][nod][cla]0059__2")
    Name(label='cel', group='[cel]0059', about=(('drums', 'no'), ('genre', 'cla'), ('excerpt', '2')))
    >>> read_name("[cel][fluidr3]1000__1")
    Name(label='cel', group='[cel][fluidr3]1000', about=(('source', 'fluidr3'), ('excerpt', '1')))
    """
    name = _NAME.fullmatch(stem)
    if name is None or name[1] not in CLASSES:
        return None
    words = re.findall(r"\[([^\]]*)\]", name[2])
    drums = DRUMS.get(words[0]) if words else None
    rest = words[1:] if drums else words
    genre = rest[0] if len(rest) == 1 and rest[0] in GENRES else ""
    kept = "" if genre else "".join(f"[{word}]" for word in rest)
    about = {"drums": drums, "genre": genre, "source": "" if genre else " ".join(rest), "excerpt": name[4]}
    return Name(name[1], f"[{name[1]}]{kept}{name[3]}", tuple((key, told) for key, told in about.items() if told))


def has_names(found: Found) -> bool:
    """Tell whether nine of ten sounds are called as training clips are."""
    named = sum(read_name(PurePosixPath(place).stem) is not None for place in found.sounds)
    return named > 0 and named >= 0.9 * len(found.sounds)


def has_texts(found: Found) -> bool:
    """Tell whether at least half of the sounds have a text beside them, and the first of these names labels."""
    beside = [_text(place) for place in found.sounds if _text(place) in found.others]
    return bool(beside) and 2 * len(beside) >= len(found.sounds) and not _labels(found.folder / beside[0])[1]


def read_training(found: Found) -> tuple[list[Example], list[str]]:
    """Give the training clips, in folders of their classes or in one, and sentences about what is no such clip."""
    if TRAINING in found.folders:
        found = found.under(TRAINING)
    examples, skipped = [], []
    for place in found.sounds:
        path = PurePosixPath(place)
        name = read_name(path.stem)
        if name is None:
            skipped.append(f"{found.folder / place}: no name of an IRMAS training clip, as [cel][nod][cla]0059__2.wav.")
        elif path.parent.name in CLASSES and path.parent.name != name.label:
            skipped.append(f"{found.folder / place}: its name says {name.label}, and its folder {path.parent.name}.")
        else:
            examples.append(Example(found.folder / place, name.label, name.group, about=name.about))
    there = {PurePosixPath(place).parts[0] for place in found.sounds}
    skipped += [_empty(found.folder / one) for one in found.folders if one in CLASSES and one not in there]
    return examples, skipped


def read_testing(found: Found) -> tuple[list[Example], list[str]]:
    """Give the test clips; each has a text beside it with a label in each line, the first of which it is filed under.

    A recording is what stands before the last ``-`` and number of a name, in whichever folder.
    """
    examples, skipped = [], []
    parts = tuple(f"{one}/" for one in found.folders if one.startswith(TESTING))
    for place in found.sounds:
        if parts and not place.startswith(parts):
            continue
        path = found.folder / place
        if _text(place) not in found.others:
            skipped.append(f"{path}: no text of labels beside it ({PurePosixPath(_text(place)).name}).")
            continue
        labels, why = _labels(found.folder / _text(place))
        if why:
            skipped.append(f"{path}: {why}.")
        else:
            group = re.sub(r"(?<=.)-\d+$", "", path.stem)
            examples.append(Example(path, labels[0], group, also=tuple(labels[1:])))
    return examples, skipped


def _labels(text: Path) -> tuple[list[str], str]:
    """Read the labels of a text, each once, or say what is wrong with it."""
    try:
        raw = text.read_bytes()[: MOST_BYTES + 1]
    except OSError as error:
        return [], f"its labels cannot be read ({error.strerror or error})"
    labels = list(dict.fromkeys(raw.decode("utf-8-sig", "replace").split()))
    unknown = [label for label in labels if label not in CLASSES]
    if unknown:
        return [], f"{text.name} names {unknown[0][:20]!r}, which is no class of IRMAS ({' '.join(CLASSES)})"
    return labels, "" if labels else f"{text.name} names no label"


def _text(place: str) -> str:
    return str(PurePosixPath(place).with_suffix(".txt"))


def _empty(folder: Path) -> str:
    return f"{folder}: a folder of a class without a sound in it, so the set lacks the class."
