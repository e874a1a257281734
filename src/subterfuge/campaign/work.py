"""One job done: a clip scored as it comes, or attacked as the protocol says, and its win put through the world."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch

from subterfuge.attacks import knobs_of
from subterfuge.audio import Clip
from subterfuge.campaign._begun import Begun
from subterfuge.campaign._resumed import said_of
from subterfuge.campaign.pool import told, victim_of
from subterfuge.campaign.protocol import Search
from subterfuge.campaign.rows import Job
from subterfuge.campaign.spool import Spool
from subterfuge.driver import attack, score
from subterfuge.driver.heard import check_heard
from subterfuge.driver.record import name_of
from subterfuge.driver.service import bill_of, words_of
from subterfuge.driver.survival import survive
from subterfuge.driver.together import Seat, at_once_for, together
from subterfuge.errors import OutputError, SubterfugeError, VictimError
from subterfuge.oracle import dice
from subterfuge.outcome import Outcome
from subterfuge.threat import Budget, Threat, parse_goal, parse_limit
from subterfuge.training.demo_data import embedded_clips
from subterfuge.training.substitute import Training, train_substitute
from subterfuge.transforms import parse_transforms
from subterfuge.victim import Victim

HELD_OUT = 50
"""Sounds, beside its queries, on which a substitute's agreement is measured."""


@dataclass(frozen=True)
class Bench:
    """What every job of an audit has in common."""

    card: Path
    folder: Path
    searches: tuple[Search, ...]
    survives: str
    draws: int
    seed: int
    trust_pickle: bool = False
    max_seconds: float = 600.0

    def do_all(self, group: Sequence[tuple[str, Job]]) -> list[Done]:
        """Do jobs: one by itself, several together, their questions to the victim as one batch."""
        if len(group) == 1:
            return [self.do(group[0])]
        made: list[Done] = []
        most = at_once_for(victim_of(self.card, self.trust_pickle), len(group))
        for _, done in together([partial(self.do, work) for work in group], most):
            if isinstance(done, SubterfugeError):  # none gets here: `do` holds what it meets
                raise done
            made.append(done)
        return made

    def do(self, work: tuple[str, Job], seat: Seat | None = None) -> Done:
        """Do one job, and keep its result beside the ledger before it is handed over.

        It is marked as begun while it is done: the mark of one that its process did not outlive stays.
        """
        begun = Begun(self.folder)
        begun.mark(work[0])
        try:
            return self._do(*work, seat)
        finally:
            begun.end(work[0])

    def _do(self, key: str, job: Job, seat: Seat | None) -> Done:
        clock = time.monotonic if seat is None else seat.clock
        began = clock()
        died, bill = False, None
        try:
            bill = bill_of(victim_of(self.card, self.trust_pickle))
            result = self._clean(job) if job.probe == "clean" else self._search(key, job, seat)
            error = None
            if bill is not None:
                result["service"] = bill.since()
        except OutputError:  # no fault of the job: it stays to be done where there is room again
            raise
        except SubterfugeError as reason:
            result, error, died = {}, told(reason), isinstance(reason, VictimError)
            if bill is not None:
                error += f" (paid: {words_of(bill.since())})"
        seconds = round(clock() - began, 3)
        if error is None:
            Spool(self.folder).keep(key, result, seconds)
        return Done(key, result, error, seconds, died)

    def _clean(self, job: Job) -> dict[str, Any]:
        victim = victim_of(self.card, self.trust_pickle)
        clip = self._clip(job)
        check_heard(clip, victim)
        said = said_of(clip, victim)
        return said | {"right": None if job.label is None else said["answer"] in job.labels}

    def _clip(self, job: Job) -> Clip:
        return Clip.read(job.path, max_seconds=self.max_seconds)

    def _search(self, key: str, job: Job, seat: Seat | None) -> dict[str, Any]:
        loaded = victim_of(self.card, self.trust_pickle)
        victim = loaded if seat is None else seat.watched(loaded)
        search = next(one for one in self.searches if one.name == job.probe)
        clip = self._clip(job)
        taught = _taught(self, job.path, job.sha256, search.queries or 0) if search.substitute else None
        queries = None if search.substitute else search.queries
        threat = Threat(parse_goal(search.goal, job.target), parse_limit(search.limit or None), Budget(queries=queries))
        ending = clip.output_suffix(False)
        name = f"{key[:8]}-{_safe(Path(job.name).stem, 100)}-to-{_safe(job.target or 'other', 50)}{ending}"
        place = self.folder / "sounds" / job.probe / name
        outcome = attack(
            clip,
            victim,
            threat,
            self.seed,
            by=search.by,
            on=_searched(victim, search, taught),
            out=place,
            force=True,
            control=self.draws,
            command=None if search.substitute else self.command(job, search),
            card=self.card,
            through=None if seat is None else seat.through,
        )
        return self._result(clip, victim, outcome, taught)

    def _result(self, clip: Clip, victim: Victim, outcome: Outcome, taught: Training | None) -> dict[str, Any]:
        record = outcome.as_json()
        result: dict[str, Any] = {
            "outcome": record,
            "probabilities_before": score(clip, victim)["probabilities"],
            "probabilities": None,
            "survival": None,
        }
        if outcome.file is not None:
            result["probabilities"] = score(outcome.file, victim, max_seconds=self.max_seconds)["probabilities"]
            if self.survives and not outcome.already:
                found = survive(
                    outcome.file, victim, parse_transforms(self.survives), self.seed, max_seconds=self.max_seconds
                )
                result["survival"] = found.as_json() | {"file": Path(outcome.file).relative_to(self.folder).as_posix()}
            record["file"] = Path(outcome.file).relative_to(self.folder).as_posix()
        if taught is not None:
            result["substitute"] = {"queries": taught.queries, "agreement": taught.agreement}
            record["queries"] += taught.queries
        return result

    def command(self, job: Job, search: Search) -> str:
        """Give the command that repeats a search."""
        words = ["subterfuge", "attack", job.path, "--victim", str(self.card), "--attack", name_of(search.by)]
        words += ["--target", job.target] if job.target else ["--goal", search.goal]
        words += ["--limit", search.limit] if search.limit else []
        words += ["--queries", str(search.queries)] if search.queries is not None else []
        usual = knobs_of(type(search.by))
        for knob, value in knobs_of(search.by).items():
            if value != usual[knob]:
                told_as = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
                words += ["-o", f"{knob}={told_as}"]
        return shlex.join([*words, "--seed", str(self.seed), "--control", str(self.draws)])


@dataclass(frozen=True)
class Done:
    """A job's end."""

    key: str
    result: Mapping[str, Any]
    error: str | None
    seconds: float
    died: bool
    """Whether it failed because the victim died."""


def _safe(text: str, most: int) -> str:
    """Make a part of a file's name of a text: no way out of the folder, nothing unseen, at most so many bytes."""
    plain = re.sub(r"[^\w.()\[\]+= -]", "_", text).strip(". ") or "_"
    return plain.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


def _searched(victim: Victim, search: Search, taught: Training | None) -> Victim | None:
    """Give what to search on, where that is neither the victim nor its twin by itself."""
    if taught is not None:
        return taught.substitute
    # a twin answers as the victim does, and faster; what an attack sees of it the attack decides
    return victim.twin if search.sees in ("scores", "labels") else None


@lru_cache(maxsize=2)
def _taught(bench: Bench, path: str, sha256: str, queries: int) -> Training:
    """Teach a substitute by the victim's labels of one clip, of the embedded ones, and of variants of them."""
    victim = victim_of(bench.card, bench.trust_pickle)
    wave = torch.from_numpy(Clip.read(path, max_seconds=bench.max_seconds).mono(victim.sample_rate))
    seeds = [wave, *(_fitted(one, victim.sample_rate, len(wave)) for one in embedded_clips())]
    die = dice(f"substitute/{bench.seed}/{sha256}", 1)[0]
    asked = victim if victim.twin is None else victim.twin
    return train_substitute(asked, torch.stack(seeds), die, queries=queries, learn="labels", home=1, held_out=HELD_OUT)


def _fitted(path: Path, rate: int, length: int) -> torch.Tensor:
    """Give an embedded clip at a rate, repeated or cut to a length."""
    wave = torch.from_numpy(Clip.read(path).mono(rate))
    return wave.repeat(-(-length // len(wave)))[:length].clone()
