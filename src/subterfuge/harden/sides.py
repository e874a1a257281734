"""Which clips of a set are learned and which are tried on, and which labels can be asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from subterfuge.errors import InputError
from subterfuge.harden.build import can_train
from subterfuge.training.examples import Dataset
from subterfuge.training.held_out import read_held_out, record_beside
from subterfuge.training.splits import split
from subterfuge.victim import Victim

PART, NEAR = 0.25, 0.05
"""Of the clips, to be held out; and how much less will do."""


def sides(card: Path, data: Dataset, seed: int, notes: list[str], teaches: bool) -> tuple[list[int], list[int], bool]:
    """Give the places of what is learned and what is held out, and whether the card's own record said so.

    Where the victim will be taught anew and the record is of another set, what the record held out stays so, and of
    all the rest as much is as makes a quarter. Where nothing can be taught, a class with one recording is tried on.
    """
    record = record_beside(card)
    if record is not None:
        try:
            learned, kept = places_of(data, read_held_out(record))
        except InputError as error:
            notes.append(f"it is not known what the victim learned: {error}")
        else:
            other = _of_another_set(record, data, len(learned)) if teaches else ""
            if kept and learned and not other:
                return learned, kept, True
            if kept and learned:
                notes.append(f"{other}: what it held out stays so, and the rest was split anew")
                return *_added(data, learned, kept, seed), False
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


def _of_another_set(record: Path, data: Dataset, learned: int) -> str:
    """Say why what the victim was taught is not what a set would teach; nothing where it is, or is not told.

    A record holds the hash of a set's names, or how many clips were taught; of these some may have been unreadable.
    """
    told = json.loads(record.read_text(encoding="utf-8"))
    about, taught = told.get("data"), told.get("taught")
    if isinstance(about, dict) and about.get("names_sha256", data.names_sha256) != data.names_sha256:
        return (
            f"the record of the victim's training is of another set ({about.get('sounds')} clips of "
            f"{about.get('name')}) than {data.name} ({len(data)} clips)"
        )
    count = taught.get("sounds") if isinstance(taught, dict) else told.get("clips")
    skipped = about.get("skipped") if isinstance(about, dict) else None
    lost = len(skipped) if isinstance(skipped, list) else 0
    if isinstance(count, int) and not learned - lost <= count <= learned:
        return (
            f"the victim's record tells of {count} clips that were taught, and {learned} of {data.name} are of "
            "recordings that it does not hold out"
        )
    return ""


def _added(data: Dataset, learned: list[int], kept: list[int], seed: int) -> tuple[list[int], list[int]]:
    """Hold more out than is kept, up to a quarter of the clips, and something of every class that can spare it."""
    some = data.only(learned)
    spare = {label for label, count in some.groups.items() if count > 1}
    lacking = set(some.labels) - {data.examples[place].label for place in kept}
    part = (PART * len(data) - len(kept)) / len(learned)
    part, wanted = (part, set(some.labels)) if part > NEAR else (PART, lacking)
    cut = [place for place in learned if data.examples[place].label in wanted & (spare | lacking)]
    if not cut:
        return learned, kept
    asked = data.only(cut)
    labels, groups = [one.label for one in asked.examples], [one.group for one in asked.examples]
    _, more = split(labels, groups, test=part, seed=seed)
    held = {data.examples[cut[place]].group for place in more.tolist()}
    added = [place for place in learned if data.examples[place].group in held]
    return sorted(set(learned) - set(added)), sorted([*kept, *added])


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
