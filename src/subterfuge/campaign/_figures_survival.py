"""What of the wins survives the world: only trials count in which the transform does not meet the goal by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from subterfuge.campaign._figures_clips import Tries
from subterfuge.campaign._figures_draws import NOTHING, Estimate, dice, ratio_of


@dataclass(frozen=True)
class Through:
    """The wins after one transform, or, of all, after every one."""

    transform: str
    survived: int
    telling: int
    """Tried, and the transform alone does not meet the goal."""
    tried: int
    not_tried: int
    share: Estimate
    """Survived of telling, with a bootstrap interval over clips."""


@dataclass(frozen=True)
class Survived:
    """All wins through all transforms."""

    wins: int
    """That were put through any."""
    everything: Through
    transforms: tuple[Through, ...]
    """The deadliest first; those that tell nothing last."""
    probes: tuple[tuple[str, Through], ...]
    """The wins of each search, by its name."""


def survived_of(tries: Tries, seed: int) -> Survived:
    """Count what the wins came through."""
    trials: list[tuple[str, str, Mapping[str, Any]]] = []
    wins = 0
    for one in tries.tries:
        told = (one.row.result.get("survival") or {}).get("trials") or ()
        if one.won and told:
            wins += 1
            trials += [(one.clip.sha256, one.probe, trial) for trial in told]
    by: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    of: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for clip, probe, trial in trials:
        by.setdefault(str(trial["transform"]), []).append((clip, trial))
        of.setdefault(probe, []).append((clip, trial))
    each = [_through(name, found, seed) for name, found in by.items()]
    each.sort(key=lambda one: 2.0 if one.share.value is None else one.share.value)
    everything = _through("all", [(clip, trial) for clip, _, trial in trials], seed)
    return Survived(wins, everything, tuple(each), tuple((probe, _through("all", of[probe], seed)) for probe in of))


def tells(trial: Mapping[str, Any]) -> bool:
    """Say whether a recorded trial was tried, and the transform does not meet the goal by itself."""
    return trial.get("why_not") is None and not trial.get("alone")


def _through(name: str, trials: Sequence[tuple[str, Mapping[str, Any]]], seed: int) -> Through:
    tried = sum(trial.get("why_not") is None for _, trial in trials)
    telling = [(clip, bool(trial.get("reached"))) for clip, trial in trials if tells(trial)]
    hits = [int(reached) for _, reached in telling]
    clips = [clip for clip, _ in telling]
    share = ratio_of(hits, [1] * len(hits), clips, dice(seed, "survival", name)) if hits else NOTHING
    return Through(name, sum(hits), len(hits), tried, len(trials) - tried, share)
