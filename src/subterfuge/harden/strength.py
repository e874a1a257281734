"""How strong a victim is: every case of an audit against it, and what comes of all of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from subterfuge.campaign.cases import Case
from subterfuge.campaign.effort import Effort
from subterfuge.campaign.figures import median
from subterfuge.campaign.pool import each, told, victim_of
from subterfuge.errors import SubterfugeError
from subterfuge.harden.attempts import SEARCHES, face
from subterfuge.harden.faced import ELSEWHERE, Attempt, Faced
from subterfuge.harden.judged import TO_TARGET, Judged, asked, judged, needed_db, share
from subterfuge.harden.memory import Memory, content_of, key_of

SNRS_DB = (60.0, 50.0, 40.0, 30.0, 20.0)
"""Signal-to-noise ratios that robust accuracy is told at."""
VERSION = 2
"""Of what is kept of a case: another version is other work."""


@dataclass(frozen=True)
class Strength:
    """One victim after an audit."""

    name: str
    card: str
    cases: tuple[Case, ...]
    faced: tuple[Faced, ...]
    """In the order of the cases."""
    clean: dict[str, Any] = field(default_factory=dict)
    """Accuracy on clips that nobody changed: right, of, interval."""

    def _all(self, search: str) -> list[Any]:
        return [one.attempts[search] for one in self.faced if search in one.attempts]

    @property
    def asked(self) -> int:
        """Targeted searches that had something to do: the clip was not the target already."""
        return sum(not one.already for one in self._all("targeted"))

    @property
    def won(self) -> int:
        """How many of them won on the written file."""
        return sum(one.won and not one.already for one in self._all("targeted"))

    @property
    def median_snr_db(self) -> float | None:
        """Median over the targeted cases of the highest SNR at which anything turned the clip into its target.

        Not the white box's alone: where the black box, or a change found elsewhere, needs less, that counts. A case
        that nothing turned counts as worse than any; None where half of them or more are so. A case that stands while
        one of its searches failed is left out.
        """
        return _median(self._needed)

    @property
    def measured(self) -> int:
        """Of how many cases that is the median."""
        return len(self._needed)

    @property
    def _needed(self) -> list[float | None]:
        found = [(one, needed_db(one)) for one in self.faced if asked(one)]
        return [snr for one, snr in found if snr is not None or not one.failed_any((*TO_TARGET, ELSEWHERE))]

    @property
    def median_found_elsewhere_db(self) -> float | None:
        """The same for changes that were found on the undefended victim and made louder; only these count."""
        return _median([one.found_elsewhere_db for one in self._carried])

    @property
    def carried(self) -> int:
        """How many such changes were tried."""
        return len(self._carried)

    @property
    def _carried(self) -> list[Faced]:
        return [one for one in self.faced if asked(one) and one.carried and ELSEWHERE not in one.failures]

    @property
    def median_probability(self) -> float | None:
        """Median probability of the target in the files, won or lost; None where the victim has none."""
        searched = [one for one in self._all("targeted") if not one.already]
        given = [one.probability for one in searched if one.probability is not None]
        return statistics.median(given) if given else None

    @property
    def median_mos(self) -> float | None:
        """Median zimtohrli score of the files that won, 1 to 5."""
        won = [one for one in self._all("targeted") if one.won and not one.already]
        given = [one.zimtohrli_mos for one in won if one.zimtohrli_mos is not None]
        return statistics.median(given) if given else None

    def robust(self, snr_db: float) -> float | None:
        """Give the share of clips that are right, and stay so within a budget of `snr_db`, 0 .. 1.

        A clip counts as turned where any search of the audit, also the black box and the one below the masking
        threshold, or a change found on the undefended victim, won at this SNR or a higher one. One that stands while a
        search failed is left out; None where all are.
        """
        return share([one.stands(snr_db) for one in self.clips])

    @property
    def robust_masked(self) -> float | None:
        """The same for changes of which no cell is above the clip's masking threshold; None where none was sought."""
        if any(one.unsought for one in self.clips):
            return None
        return share([one.stands_masked for one in self.clips])

    @property
    def clips(self) -> tuple[Judged, ...]:
        """What came of each clip, over all of its cases."""
        return judged(self.cases, self.faced)

    @property
    def failed(self) -> int:
        """How many cases, or searches of them, failed."""
        return sum(one.failed is not None or bool(one.failures) for one in self.faced)

    @property
    def attacked(self) -> bool:
        """Whether any search ran to its end that had something to do."""
        return any(not one.already for each in self.faced for one in each.attempts.values())

    def json(self) -> dict[str, Any]:
        """Give figures and cases as plain JSON values."""
        return {
            "name": self.name,
            "card": self.card,
            "clean": self.clean,
            "asked": self.asked,
            "won": self.won,
            "failed": self.failed,
            "measured": self.measured,
            "median_snr_db": self.median_snr_db,
            "median_found_elsewhere_db": self.median_found_elsewhere_db,
            "median_probability": self.median_probability,
            "median_zimtohrli_mos": self.median_mos,
            "robust": {f"{snr:g}": self.robust(snr) for snr in SNRS_DB} | {"masking": self.robust_masked},
            "cases": [one.json() for one in self.faced],
        }


@dataclass(frozen=True)
class Plan:
    """What is asked of every victim of an audit."""

    cases: tuple[Case, ...]
    effort: Effort
    searches: tuple[str, ...] = SEARCHES
    goal: str = "targeted"
    seed: int = 0

    def key(self, fingerprint: str, case: Case, elsewhere: str | None) -> str:
        """Name one case under one victim by everything that its result depends on, but the versions of libraries."""
        sound = case.path.stat() if case.path.exists() else None
        size = None if sound is None else (sound.st_size, sound.st_mtime_ns)
        asked = (self.effort, self.searches, self.goal, self.seed, case.number < self.effort.doubted)
        return key_of(VERSION, fingerprint, case, size, asked, content_of(elsewhere), *case.also)


def strength_of(
    card: Path,
    plan: Plan,
    *,
    folder: Path,
    memory: Memory,
    elsewhere: Sequence[str | None] | None = None,
    jobs: int = 1,
    trust_pickle: bool = False,
    clean: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Strength:
    """Attack one victim with every case of a plan, adaptively, several at once.

    Args:
        card: the victim's.
        plan: cases, effort, goal.
        folder: where sounds that win go.
        memory: what is done already, and what will be.
        elsewhere: for each case a sound that won against the undefended victim, to be made louder here.
        jobs: processes.
        trust_pickle: load pickled models.
        clean: accuracy, for the record.
        progress: told how many cases of how many are done.

    Raises:
        CardError: the victim cannot be loaded. What fails otherwise, of a case or all of it, is recorded as failed, and
            tried again in the next run; what came to an end is not.
    """
    victim = victim_of(card, trust_pickle)
    found = list(elsewhere or [None] * len(plan.cases))
    keys = [plan.key(victim.fingerprint, case, there) for case, there in zip(plan.cases, found, strict=True)]
    faced: dict[int, Faced] = {}
    begun: dict[int, dict[str, Attempt]] = {}
    for place, key in enumerate(keys):
        known = memory.get(key)
        if known is not None:
            before = Faced.of_json(known)
            now = before.there(folder)
            if now.failures or len(now.attempts) < len(before.attempts):
                begun[place] = now.attempts
            else:
                faced[place] = now
    left = [place for place in range(len(plan.cases)) if place not in faced]
    work = partial(_faced, card, trust_pickle, plan, folder)
    things = [(plan.cases[place], found[place], keys[place][:8], begun.get(place, {})) for place in left]
    for done, one in each(work, things, jobs):
        place = left[done]
        faced[place] = one
        if one.failed is None:
            memory.keep(keys[place], one.json())
        if progress is not None:
            progress(len(faced), len(plan.cases))
    ordered = tuple(faced[place] for place in range(len(plan.cases)))
    return Strength(victim.name, str(card), plan.cases, ordered, clean or {})


def _faced(
    card: Path,
    trust_pickle: bool,
    plan: Plan,
    folder: Path,
    thing: tuple[Case, str | None, str, dict[str, Attempt]],
) -> Faced:
    case, elsewhere, mark, done = thing
    try:
        return face(
            victim_of(card, trust_pickle),
            case,
            plan.effort,
            searches=plan.searches,
            goal=plan.goal,
            doubted=case.number < plan.effort.doubted,
            folder=folder,
            seed=plan.seed,
            elsewhere=elsewhere,
            mark=mark,
            done=done,
        )
    except SubterfugeError as error:
        return Faced(case.number, "", False, {}, failed=told(error))


def _median(values: Sequence[float | None]) -> float | None:
    """Give the median, where None is below every number; None where that is it."""
    return median([-math.inf if value is None else value for value in values])
