"""The race of beginnings, and a climb from the best of them, each on one bill."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from subterfuge.attacks import Attack
from subterfuge.audio import Clip
from subterfuge.driver._synthesis_begin import Beginnings, clip_of
from subterfuge.driver._synthesis_bill import Bill, billed
from subterfuge.driver.judge import Judged, Verdict, ask
from subterfuge.driver.search import Search, Unjudged
from subterfuge.errors import VictimError
from subterfuge.oracle import BudgetSpent, Oracle
from subterfuge.threat import Threat
from subterfuge.victim import Gives, Victim

TRIES = {Gives.GRADIENTS: 3, Gives.SCORES: 1, Gives.LABELS: 1}
"""From how many of the best an attack climbs, by what it needs."""


class Cut(Unjudged):
    """The victim died for good: the best sound so far, the search that found it, and what was said of its beginning."""

    def __init__(self, said: str, kept: tuple[Clip, Path], search: Search, before: Verdict | None) -> None:
        super().__init__(said, *kept)
        self.search, self.before = search, before


@dataclass(frozen=True)
class Try:
    """One climb, and what the true victim says of its file."""

    search: Search
    judged: Judged | None
    before: Verdict
    verdict: Verdict
    notes: list[str]

    @property
    def won(self) -> bool:
        return self.judged is not None and self.judged.won

    @property
    def wave(self) -> Tensor:
        if self.judged is None:
            return (self.search.clean + self.search.oracle.best)[0]
        return torch.from_numpy(self.judged.wave)

    @property
    def worth(self) -> tuple[bool, float]:
        p = self.verdict.probability
        return self.won, float(self.search.oracle.best_margin[0]) if p is None else p


def race(
    made: Beginnings,
    victim: Victim,
    threat: Threat,
    method: Attack,
    focus: int,
    seed: int,
    bill: Bill,
    folder: Path,
    keeps: bool,
    progress: Callable[[Oracle], None] | None,
) -> tuple[list[Clip], int]:
    """Ask a query about each beginning, with a fifth of the budget at the most; give the best, and how many ran.

    Raises:
        Cut: the victim died, and the best beginning so far was paid for (`keeps`).
        VictimError: it died.
    """
    tries, most = TRIES[method.needs], threat.budget.queries
    ran = len(made) if most is None else min(len(made), most // 5)
    rate = victim.sample_rate
    if ran < 2:
        return [clip_of(made[0], rate, made.name)], 0
    nothing = clip_of(torch.zeros(made.samples), rate, made.name)
    search = _search(nothing, victim, threat, method, focus, seed, keeps, progress)
    hills: list[float] = []
    try:
        with contextlib.suppress(BudgetSpent):
            for place in range(ran):
                hills.extend(search.oracle.population(made[place][None], 0)[1].tolist())
    except VictimError as death:
        said = f"{death} (after {search.oracle.queries[0]} queries, in the race of beginnings)"
        if keeps and math.isfinite(float(search.oracle.best_margin[0])):
            raise Cut(said, search.write_best(folder, False, []), search, None) from death
        raise VictimError(said) from death
    finally:
        bill.add(search.oracle)
    order = sorted(range(len(hills)), key=lambda place: -hills[place])[:tries] or [0]
    return [clip_of(made[place], rate, made.name) for place in order], len(hills)


def climb(
    clip: Clip,
    victim: Victim,
    bill: Bill,
    threat: Threat,
    method: Attack,
    focus: int,
    seed: int,
    folder: Path,
    keeps: bool,
    progress: Callable[[Oracle], None] | None,
) -> Try:
    """Climb from one beginning, put it on the bill, and ask the true victim about the file.

    Raises:
        Cut: the victim died with a win in hand, or with what was paid for (`keeps`).
        VictimError: it died before; all that was spent is told, also before this climb.
    """
    search, notes = _search(clip, victim, bill.rest(threat), method, focus, seed, keeps, progress), list[str]()
    oracle, before = search.oracle, None
    try:
        before = ask(victim, threat, search.clean, focus)
        judged = search.run(folder, False, notes)
        verdict = search.verdict_of(judged, folder, False, notes)
    except VictimError as death:
        bill.add(oracle)
        said, kept = billed(str(death), oracle, bill), None
        if isinstance(death, Unjudged):
            kept = death.changed, death.file
        elif keeps and search.on is victim and bill.queries:  # the beginning itself: the race has paid for it
            kept = search.write_best(folder, False, notes)
        if kept is None:
            raise VictimError(said) from death
        raise Cut(said, kept, search, before) from death
    bill.add(oracle)
    return Try(search, judged, before, verdict, [billed(note, oracle, bill, say=False) for note in notes])


def _search(
    clip: Clip,
    victim: Victim,
    threat: Threat,
    method: Attack,
    focus: int,
    seed: int,
    keeps: bool,
    progress: Callable[[Oracle], None] | None,
) -> Search:
    clean = torch.from_numpy(clip.mono(victim.sample_rate))[None]
    return Search(clip, victim, threat, method, clean, focus, seed, progress, keeps_nearest=keeps)
