"""What an audit asks: which clips, and what each is to be taken for.

Every clip, every class and every target of a clip has a place of its own, by a hash of the seed and of what it is. So
the draw depends neither on the order of files or labels nor on what else is there, and to ask for more only adds.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from subterfuge.errors import InputError, check_seed
from subterfuge.training.examples import Dataset, Example


@dataclass(frozen=True)
class Case:
    """One clip and one target. The same for every victim of an audit."""

    number: int
    """Its place, from 0: what outcomes and tables call it by."""
    path: Path
    label: str
    target: str
    also: tuple[str, ...] = field(default=(), repr=False)
    """What else is heard in it: no target, and no wrong answer."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Every right answer."""
        return (self.label, *self.also)


def draw_cases(data: Dataset, labels: Sequence[str], clips: int, targets: int = 1, seed: int = 0) -> tuple[Case, ...]:
    """Draw clips, the classes in turn and no recording twice while there are others, and targets for each.

    A clip is known here by its class, its recording and the name of its file: nothing is read.

    Args:
        data: where the clips come from; those of classes that the victim does not know are left out.
        labels: what the victim may answer, and so be made to answer; their order does not matter.
        clips: how many; all of them where there are fewer.
        targets: of each clip, labels of nothing that is heard in it; fewer where there are fewer.
        seed: of the draw.

    Raises:
        InputError: no clip has a label that the victim knows, there are fewer other labels than targets, or a number
            makes no sense.
    """
    check_numbers(labels, clips, targets, seed)
    known = [one for one in data.examples if one.label in labels and can_be_turned(one, labels)]
    if not known:
        raise InputError(
            f"{data.name}: none of its {len(data)} clips has a label that the victim knows ({', '.join(labels)})"
        )
    names = {one.path: name_of(one) for one in known}
    cases: list[Case] = []
    for one in draw_clips(known, names, clips, seed):
        for target in targets_of(one, names[one.path], labels, targets, seed):
            cases.append(Case(len(cases), one.path, one.label, target, one.also))
    return tuple(cases)


def draw_clips(known: Sequence[Example], names: Mapping[Path, str], clips: int, seed: int) -> list[Example]:
    """Draw clips, the classes in turn and no recording twice while there are others; those of fewer are the first ones.

    Args:
        known: every clip that may be drawn; those without a label are a class by themselves.
        names: what each is known by, whatever else is there: the hash of its file, or `name_of` it.
        clips: how many; all of them where there are fewer.
        seed: of the draw.
    """
    heard: set[str] = set()
    queues: dict[str, list[list[Example]]] = defaultdict(lambda: [[], []])
    for one in sorted(known, key=lambda one: place_of(seed, "clip", names[one.path])):
        queues[one.label][one.group in heard].append(one)
        heard.add(one.group)
    waiting = [[*fresh, *again] for _, (fresh, again) in sorted(queues.items(), key=lambda one: _turn(seed, one[0]))]
    most = max(map(len, waiting), default=0)
    return [places[turn] for turn in range(most) for places in waiting if turn < len(places)][:clips]


def targets_of(one: Example, name: str, labels: Sequence[str], targets: int, seed: int) -> list[str]:
    """Draw what a clip is to be taken for: labels of nothing that is heard in it; those of fewer are the first ones."""
    others = [label for label in set(labels) if label not in one.labels]
    return sorted(others, key=lambda label: place_of(seed, "target", name, label))[:targets]


def can_be_turned(one: Example, labels: Sequence[str]) -> bool:
    """Say whether there is a label of something that is not heard in a clip."""
    return not set(labels) <= set(one.labels)


def check_numbers(labels: Sequence[str], clips: int, targets: int, seed: int) -> None:
    """Refuse numbers that make no sense.

    Raises:
        InputError: there are fewer other labels than targets, no clip is asked for, or the seed is none.
    """
    check_seed(seed)
    if not 1 <= targets < len(labels):
        raise InputError(f"{targets} targets a clip: from 1 to {len(labels) - 1} were expected, one less than labels")
    if clips < 1:
        raise InputError(f"{clips} clips: one or more were expected")


def name_of(one: Example) -> str:
    """Name a clip without reading it: by its class, its recording and the name of its file."""
    return "\t".join((one.label, one.group, one.path.name))


def place_of(seed: int, *what: str) -> bytes:
    """Give the place of something in a draw: it depends on the seed and on what it is, and on nothing beside it.

    >>> place_of(0, "clip", "a") == place_of(0, "clip", "a") != place_of(1, "clip", "a")
    True
    """
    return hashlib.sha256(json.dumps([seed, *what]).encode()).digest()


def _turn(seed: int, label: str) -> bytes:
    return place_of(seed, "class", label)
