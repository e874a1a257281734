"""How long an audit will take, by one query and one gradient that are asked before it begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from subterfuge.audio import Clip
from subterfuge.campaign.effort import has_slope
from subterfuge.campaign.protocol import Search
from subterfuge.campaign.rows import Job
from subterfuge.oracle import Oracle
from subterfuge.threat import Threat, Untargeted
from subterfuge.victim import Gives, Victim

WORLD = 4.0
"""Seconds for all that a win is put through."""
GRADIENTS = {"quick": 450, "standard": 650, "thorough": 1500}
"""That a white box takes, more or less."""


def expected(
    victim: Victim,
    searches: Sequence[Search],
    todo: Sequence[tuple[str, Job]],
    jobs: int,
    longest: float,
    level: str,
) -> str:
    """Say how long it will take, by one query and one gradient that are asked now."""
    if not todo:
        return "every attack is done; whether the victim hides its gradients is left to ask"
    wave = torch.from_numpy(Clip.read(todo[0][1].path, max_seconds=longest).mono(victim.sample_rate))[None]
    seen = victim if victim.gives is Gives.GRADIENTS or victim.twin is None else victim.twin
    query = _timed(lambda: seen.decide(wave))
    true = _timed(lambda: victim.decide(wave))
    step = query
    if has_slope(victim):
        oracle = Oracle(seen, Threat(Untargeted()), wave, victim.decide(wave))
        step = _timed(lambda: oracle.gradient(torch.zeros_like(wave)))
    by_name = {one.name: one for one in searches}
    seconds = 0.0
    for _, job in todo:
        search = by_name[job.probe]
        queries = search.queries or 0
        seconds += WORLD + 100 * true + queries * query  # what a win is put through, the judge and the controls
        if search.sees == "gradients":
            seconds += GRADIENTS[level] * step * (2 if search.limit else 1)
        elif search.substitute:
            seconds += 12  # it is fitted anew after every round, and searched on
        elif search.sees == "scores":
            seconds += 0.03 * queries  # so is the model of the answers near the clip
    minutes = seconds / max(1, min(jobs, len(todo))) / 60
    about = f"{minutes:.0f} minutes" if minutes >= 1.5 else f"{max(5, 60 * minutes):.0f} seconds"
    what = "1 attack" if len(todo) == 1 else f"{len(todo)} attacks"
    return f"{what} to do, in about {about} with {jobs} process{'es' if jobs > 1 else ''}"


def _timed(work: Callable[[], object]) -> float:
    """Give the seconds of the second of two calls."""
    work()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
