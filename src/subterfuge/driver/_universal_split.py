"""Which clips are learned from and which are judged: excerpts of one recording never stand on both sides."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from subterfuge.audio import Clip
from subterfuge.errors import InputError


def recording_of(name: str) -> str:
    """Give the recording that a clip is an excerpt of: its name without a last ``__`` and number.

    >>> recording_of("[cel][cla]0058__2"), recording_of("flute")
    ('[cel][cla]0058', 'flute')
    """
    return re.sub(r"__\d+$", "", name)


def recordings(clips: Sequence[Clip]) -> list[int]:
    """Number the recordings: clips of one `recording_of` name (in whatever folder), or of the same samples, are one."""
    numbers: list[int] = []
    seen: dict[str, int] = {}
    for clip in clips:
        keys = (f"name {recording_of(clip.name)}", f"samples {clip.fingerprint}")
        known = sorted({seen[key] for key in keys if key in seen})
        number = known[0] if known else len(numbers)
        for other in known[1:]:  # this clip joins what were two recordings
            numbers = [number if one == other else one for one in numbers]
            seen = {key: number if one == other else one for key, one in seen.items()}
        seen.update(dict.fromkeys(keys, number))
        numbers.append(number)
    return numbers


def hold_out(groups: Sequence[int], part: float, die: torch.Generator) -> list[int]:
    """Draw whole recordings until about a part of the clips is held out; give the places of these clips.

    Raises:
        InputError: a part that is none, or fewer than two recordings.
    """
    if not 0 < part < 1:
        raise InputError(
            f"a part of {part:g} of the clips held out: a number above 0 and below 1 was expected, such as 0.3"
        )
    members = _members(groups)
    if len(members) < 2:
        raise InputError(
            f"{_many(groups, members)}: two recordings or more were expected, some to learn from and others to judge; "
            "clips whose names differ only after the last __ are taken as excerpts of one"
        )
    order = [list(members.values())[place] for place in torch.randperm(len(members), generator=die).tolist()]
    held: list[int] = []
    for few in order[:-1]:
        if held and len(held) + len(few) / 2 > part * len(groups):
            break
        held.extend(few)
    return sorted(held)


def deal(groups: Sequence[int], folds: int, die: torch.Generator) -> list[list[int]]:
    """Deal whole recordings to folds of about one size, each held out once; give the clips' places in each.

    Raises:
        InputError: fewer than two folds, or more than there are recordings.
    """
    members = _members(groups)
    if folds < 2:
        raise InputError(f"{folds} folds: two or more were expected, each judged by a sound that the others made")
    if folds > len(members):
        raise InputError(
            f"{folds} folds of {_many(groups, members)}: no more folds than recordings were expected; clips whose "
            "names differ only after the last __ are taken as excerpts of one"
        )
    order = [list(members.values())[place] for place in torch.randperm(len(members), generator=die).tolist()]
    dealt: list[list[int]] = [[] for _ in range(folds)]
    for few in sorted(order, key=len, reverse=True):
        min(dealt, key=len).extend(few)
    return [sorted(fold) for fold in dealt]


def _members(groups: Sequence[int]) -> dict[int, list[int]]:
    return {group: [place for place, one in enumerate(groups) if one == group] for group in dict.fromkeys(groups)}


def _many(groups: Sequence[int], members: dict[int, list[int]]) -> str:
    clips = f"{len(groups)} clip{'s' * (len(groups) != 1)}"
    return f"{clips} of {len(members)} recording{'s' * (len(members) != 1)}"
