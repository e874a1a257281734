"""Clean accuracy: how often the true victim is right about clips that nobody changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from subterfuge.audio import Clip
from subterfuge.campaign.pool import each, victim_of
from subterfuge.errors import ClipError, InputError
from subterfuge.harden.memory import Memory, key_of, stamp
from subterfuge.training.examples import Example
from subterfuge.training.substitute import wilson

TOGETHER = 2
"""Clips that a process is given at once; after them progress is told. A smoothed victim takes seconds for each."""


def accuracy_of(
    card: Path,
    examples: Sequence[Example],
    *,
    memory: Memory,
    jobs: int = 1,
    trust_pickle: bool = False,
    tell: Callable[[int, int], None] = lambda _, __: None,
) -> dict[str, Any]:
    """Ask a victim about every example: right, of, accuracy, a 95 % interval (Wilson), the paths
    of wrong ones and of unread ones, and why these could not be read.

    Raises:
        InputError: none of the examples can be read.
    """
    victim = victim_of(card, trust_pickle)
    key = key_of("clean", victim.fingerprint, *((one.path, stamp(one.path), one.labels) for one in examples))
    known = memory.get(key)
    if known is not None:
        return dict(known)
    tell(0, len(examples))
    parts = [examples[first : first + TOGETHER] for first in range(0, len(examples), TOGETHER)]
    right = of = done = 0
    skipped: list[str] = []
    wrong: list[str] = []
    unread: list[str] = []
    for place, (misses, bad) in each(partial(_asked, card, trust_pickle), parts, jobs):
        asked = len(parts[place]) - len(bad)
        right, of = right + asked - len(misses), of + asked
        wrong += misses
        skipped += bad.values()
        unread += bad
        done += len(parts[place])
        tell(done, len(examples))
    if not of:
        raise InputError(f"none of the {len(examples)} held-out clips can be read: {skipped[0] if skipped else ''}")
    low, high = wilson(right, of)
    found = {"right": right, "of": of, "accuracy": right / of, "interval": [low, high], "skipped": sorted(skipped)}
    found |= {"wrong": sorted(wrong), "unread": sorted(unread)}
    memory.keep(key, found)
    return found


def _asked(card: Path, trust_pickle: bool, part: Sequence[Example]) -> tuple[list[str], dict[str, str]]:
    victim = victim_of(card, trust_pickle)
    wrong: list[str] = []
    bad: dict[str, str] = {}
    for one in part:
        try:
            wave = Clip.read(one.path).mono(victim.sample_rate)
        except ClipError as error:
            bad[str(one.path)] = str(error)
            continue
        if victim.labels[int(victim.decide(torch.from_numpy(wave)[None])[0])] not in one.labels:
            wrong.append(str(one.path))
    return wrong, bad
