"""What an audit asks: which clips, and what each is to be taken for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from subterfuge.errors import InputError, check_seed
from subterfuge.training.examples import Dataset


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

    Args:
        data: where the clips come from; those of classes that the victim does not know are left out.
        labels: what the victim may answer, and so be made to answer.
        clips: how many; all of them where there are fewer.
        targets: of each clip, labels of nothing that is heard in it; fewer where there are fewer.
        seed: of the draw.

    Raises:
        InputError: no clip has a label that the victim knows, there are fewer other labels than targets, or a number
            makes no sense.
    """
    check_seed(seed)
    if not 1 <= targets < len(labels):
        raise InputError(f"{targets} targets a clip: from 1 to {len(labels) - 1} were expected, one less than labels")
    if clips < 1:
        raise InputError(f"{clips} clips: one or more were expected")
    dice = np.random.default_rng([seed, 0xCA5E])
    order = dice.permutation(len(data)).tolist()
    drawn = (data.examples[place] for place in order)
    known = [one for one in drawn if one.label in labels and not set(labels) <= set(one.labels)]
    if not known:
        raise InputError(
            f"{data.name}: none of its {len(data)} clips has a label that the victim knows ({', '.join(labels)})"
        )
    heard: set[str] = set()
    queues: dict[str, list[list[int]]] = defaultdict(lambda: [[], []])
    for place, one in enumerate(known):
        queues[one.label][one.group in heard].append(place)
        heard.add(one.group)
    waiting = {label: fresh + again for label, (fresh, again) in sorted(queues.items())}
    chosen: list[int] = []
    while len(chosen) < min(clips, len(known)):
        chosen += [places.pop(0) for places in waiting.values() if places]
    cases: list[Case] = []
    for place in chosen[:clips]:
        one = known[place]
        others = [label for label in labels if label not in one.labels]
        for pick in sorted(dice.choice(len(others), min(targets, len(others)), replace=False).tolist()):
            cases.append(Case(len(cases), one.path, one.label, others[pick], one.also))
    return tuple(cases)
