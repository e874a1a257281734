"""Which clips of a set are learned and which are tried on, and which labels can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from subterfuge.errors import InputError
from subterfuge.harden.build import can_train
from subterfuge.training.examples import Dataset
from subterfuge.training.held_out import read_held_out, record_beside
from subterfuge.training.splits import split
from subterfuge.victim import Victim


def sides(card: Path, data: Dataset, seed: int, notes: list[str], teaches: bool) -> tuple[list[int], list[int], bool]:
    """Give the places of what is learned and what is held out, and whether the card's own record said so.

    Where nothing can be taught, a class with one recording is tried on.
    """
    record = record_beside(card)
    if record is not None:
        try:
            learned, kept = places_of(data, read_held_out(record))
        except InputError as error:
            notes.append(f"it is not known what the victim learned: {error}")
        else:
            if kept and learned:
                return learned, kept, True
    alone = set() if teaches else {label for label, count in data.groups.items() if count < 2}
    cut = [place for place, one in enumerate(data.examples) if one.label not in alone]
    held = [place for place, one in enumerate(data.examples) if one.label in alone]
    if alone:
        notes.append(f"classes with one recording, which is tried on: {', '.join(sorted(alone))}")
    if not cut:
        return [], held, False
    some = data.only(cut)
    train, test = split([one.label for one in some.examples], [one.group for one in some.examples], seed=seed)
    return [cut[place] for place in train], sorted([*held, *(cut[place] for place in test)]), False


def askable(victim: Victim, learned: Dataset, notes: list[str]) -> tuple[str, ...]:
    """Give the labels that every victim of the audit can answer: where it is taught anew, those that it learns."""
    labels = tuple(label for label in victim.labels if not can_train(victim) or label in learned.labels)
    if len(labels) < len(victim.labels):
        lacking = ", ".join(label for label in victim.labels if label not in labels)
        notes.append(f"no clip teaches the classes {lacking}, which the victim knows: they are no targets")
    if len(labels) < 2:
        raise InputError(
            f"{learned.name} teaches {len(labels)} of the classes that {victim.name} knows "
            f"({', '.join(victim.labels)}); clips of two or more were expected, with labels written alike"
        )
    return labels


def places_of(data: Dataset, groups: Sequence[str]) -> tuple[list[int], list[int]]:
    """Give the places of the examples whose recordings are not, and are, among some."""
    held = set(groups)
    inside = [place for place, one in enumerate(data.examples) if one.group in held]
    return [place for place, one in enumerate(data.examples) if one.group not in held], inside
