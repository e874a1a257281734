"""The audit: a protocol over many clips, every job kept in the ledger as soon as it is done.

First every clip is scored as it comes; then the drawn cases are attacked, those that are answered rightly in every way.
A run that was ended, however it was, goes on where it was, and comes to what it would have come to.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from subterfuge.audio import Clip
from subterfuge.campaign.cases import Case, draw_cases
from subterfuge.campaign.clips import names_of, read_clips
from subterfuge.campaign.doubts import Doubt, look
from subterfuge.campaign.effort import has_slope
from subterfuge.campaign.ledger import Ledger
from subterfuge.campaign.pool import each, victim_of
from subterfuge.campaign.protocol import NAME, PROTOCOLS, SURVIVES, VERSION, Protocol, Search
from subterfuge.campaign.rows import Audit, Job, Row
from subterfuge.campaign.spool import Spool
from subterfuge.campaign.suspicion import suspect
from subterfuge.campaign.work import Bench, Done
from subterfuge.errors import InputError, OutputError, VictimError, nearest
from subterfuge.oracle import Oracle
from subterfuge.threat import Threat, Untargeted
from subterfuge.training.examples import Dataset, Example
from subterfuge.victim import Gives, Victim

DEATHS = 8
"""Failures in a row, each because the victim died, after which an audit ends: it will not come back by itself."""

UNFINISHED = "this audit is at work, or was ended before its end"

Tell = Callable[[str, int, int], None]


def audit(
    card: str | Path,
    clips: Sequence[str | Path] | Dataset,
    out: str | Path,
    *,
    level: str = "quick",
    count: int | None = None,
    targets: int | None = None,
    queries: int | None = None,
    only: Sequence[str] = (),
    seed: int = 0,
    jobs: int = 1,
    batch: int = 1,
    retry: bool = False,
    trust_pickle: bool = False,
    max_seconds: float = 600.0,
    tell: Tell = lambda _, __, ___: None,
    announce: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Run the protocol against a victim, or go on with it, and give all that is known then.

    Args:
        card: the victim's.
        clips: sounds, folders, tables, as `read_clips` takes them; or a set.
        out: the audit's folder: the ledger and the sounds that won.
        level: of `PROTOCOLS`: quick, standard or thorough.
        count: clips to attack, instead of the level's.
        targets: of each of them, instead of the level's.
        queries: of each black box, instead of the level's.
        only: names of searches; all that the victim can be asked, where there is none.
        seed: of everything random.
        jobs: processes.
        batch: attacks on clips of one length that each process makes at once, as one batch of questions to the victim.
        retry: do again what failed.
        trust_pickle: load pickled models.
        max_seconds: refuse a longer clip.
        tell: told what is being done, and how much of how much is.
        announce: told what a user should know at once: the time that it will take, and what was left out.

    Raises:
        InputError: nothing can be audited as asked.
        OutputError: the folder holds another audit, or cannot be written; or another process is at work there.
    """
    if level not in PROTOCOLS:
        raise InputError(f"level '{level}' is not known; {nearest(level, PROTOCOLS)}")
    for what, number in (
        ("clips", count),
        ("targets", targets),
        ("queries", queries),
        ("jobs", jobs),
        ("batch", batch),
    ):
        if number is not None and number < 1:
            raise InputError(f"{number} {what}: one or more were expected")
    card, out = Path(card).absolute(), Path(out).absolute()
    victim = victim_of(card, trust_pickle)
    protocol = _fitted(PROTOCOLS[level], count, targets, queries, len(victim.labels))
    searches = protocol.searches(victim, only)
    data = clips if isinstance(clips, Dataset) else read_clips(clips)
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; a folder was expected for --out")
    bench = Bench(card, out, searches, SURVIVES, protocol.draws, seed, trust_pickle, max_seconds)
    setting = _setting(protocol, protocol.searches(victim), victim, card, data, seed)
    with Ledger.open(out, setting) as ledger:
        run = _Run(ledger, bench, _shared(setting), jobs, batch, retry, tell)
        run.recover()
        unfinished = UNFINISHED in ledger.audit("").notes
        notes = list(data.skipped)
        heard = _heard(data, protocol.clean, seed, victim.labels, notes)
        scored = [_clean_job(number, one) for number, one in enumerate(heard)]
        run.work(run.plan(scored), "clips as they come")
        cases, rows = _cases(ledger.audit("clean"), heard, victim, protocol, seed, notes)
        attacks = _attack_jobs(cases, rows, protocol.searches(victim), len(scored))
        todo = run.plan([*scored, *run.asked(attacks, {one.name for one in searches})])
        if todo or unfinished:
            ledger.note([*notes, UNFINISHED])
            with contextlib.suppress(VictimError):  # who dies of two questions is told by the rows
                announce(_expected(victim, searches, todo, jobs, max_seconds, level))
            run.work(todo, "attacks")
            ledger.doubt([asdict(one) for one in [*_looked(victim, cases, notes), *suspect(ledger.audit())]])
        ledger.note([*notes, run.ended] if run.ended else notes)
        run.tidy()
        return ledger.audit()


class _Run:
    """The jobs of one call: planned, done by processes, written down by this one."""

    def __init__(
        self, ledger: Ledger, bench: Bench, shared: tuple[str, ...], jobs: int, batch: int, retry: bool, tell: Tell
    ) -> None:
        self._ledger, self._bench, self._shared, self._jobs, self._tell = ledger, bench, shared, jobs, tell
        self._batch = batch
        self._groups: dict[str, tuple[tuple[str, Job], ...]] = {}
        self._retry, self._spool, self._deaths = retry, Spool(bench.folder), 0
        self.ended = ""
        """Why it ended before its end."""

    def recover(self) -> None:
        """Write down what a killed run had finished, and remove what it was at."""
        self._ledger.take(self._spool)
        for scratch in (self._bench.folder / "sounds").glob("*/.subterfuge-*"):
            shutil.rmtree(scratch, ignore_errors=True)

    def asked(self, jobs: Sequence[Job], names: Container[str]) -> list[Job]:
        """Give the jobs of some searches, and those of others that are done: they are rows of the audit as well."""
        done = self._ledger.done()
        return [job for job in jobs if job.probe in names or job.key(*self._shared) in done]

    def tidy(self) -> None:
        """Leave nothing behind that only a run needs."""
        self._spool.tidy()

    def plan(self, jobs: Sequence[Job]) -> list[tuple[str, Job]]:
        """Give what is left of some jobs, all of which are in the ledger then."""
        keyed: list[tuple[str, Job]] = []
        for group in grouped(jobs, self._batch):
            members = tuple((job.key(*self._shared), job) for job in group)
            self._groups |= dict.fromkeys((key for key, _ in members), members)
            keyed += members
        self._ledger.plan(keyed)
        asked = {key for key, _ in keyed}
        return [(key, job) for key, job in self._ledger.left(self._retry) if key in asked]

    def work(self, left: Sequence[tuple[str, Job]], what: str) -> None:
        """Do jobs, and write each result down as it comes; of a group all are done, for a clip may feel its company."""
        if self.ended:
            return
        wanted = {key for key, _ in left}
        groups = list(dict.fromkeys(self._groups[key] for key, _ in left))
        done = 0
        for _, made in each(self._bench.do_all, groups, self._jobs):
            for one in made:
                self._record(one)
            done += sum(one.key in wanted for one in made)
            self._tell(what, done, len(left))
            if self._deaths >= DEATHS:
                self.ended = f"the victim died {DEATHS} times in a row ({made[-1].error}): what was left was not asked"
                return

    def _record(self, one: Done) -> None:
        if one.error is None:
            self._ledger.finish(one.key, one.result, one.seconds)
            self._spool.drop(one.key)
        else:
            self._ledger.fail(one.key, one.error, one.seconds)
        self._deaths = self._deaths + 1 if one.died else 0


def grouped(jobs: Sequence[Job], most: int) -> list[list[Job]]:
    """Cut jobs, in their order, into groups of one probe and of clips of one length, of at most so many."""
    groups: list[list[Job]] = []
    last: object = None
    for job in jobs:
        kind = (job.probe, _length(job.path)) if most > 1 and job.probe != "clean" else None
        if kind is None or kind != last or len(groups[-1]) >= most:
            groups.append([])
        groups[-1].append(job)
        last = kind
    return groups


@lru_cache(maxsize=4096)
def _length(path: str) -> tuple[int, int] | str:
    """Give a sound's frames and rate, or, where it cannot be read, its path: of such, none is like another."""
    try:
        told = soundfile.info(path)
    except (RuntimeError, OSError, TypeError):
        return path
    return told.frames, told.samplerate


@dataclass(frozen=True)
class _Heard:
    """A sound of the audit."""

    example: Example
    name: str
    sha256: str


def _fitted(protocol: Protocol, count: int | None, targets: int | None, queries: int | None, labels: int) -> Protocol:
    return replace(
        protocol,
        clips=count or protocol.clips,
        clean=max(protocol.clean, count or 0),
        targets=min(targets or protocol.targets, labels - 1),
        queries=queries or protocol.queries,
    )


def _setting(
    protocol: Protocol, searches: Sequence[Search], victim: Victim, card: Path, data: Dataset, seed: int
) -> dict[str, Any]:
    return {
        "protocol": NAME,
        "version": VERSION,
        "level": protocol.level,
        "seed": seed,
        "clips": protocol.clips,
        "targets": protocol.targets,
        "queries": protocol.queries,
        "searches": [one.json() for one in searches],
        "survives": SURVIVES,
        "data": data.name,
        "victim": {
            "name": victim.name,
            "card": str(card),
            "fingerprint": victim.fingerprint,
            "labels": list(victim.labels),
            "sample_rate": victim.sample_rate,
            "gives": victim.gives.name.lower(),
        },
    }


def _shared(setting: dict[str, Any]) -> tuple[str, ...]:
    """Give what the result of every job depends on beside itself, as texts."""
    parts = [setting["victim"]["fingerprint"], *(setting[key] for key in ("protocol", "version", "level", "seed"))]
    return tuple(str(part) for part in [*parts, setting["queries"], setting["survives"]])


def _heard(data: Dataset, most: int, seed: int, labels: Sequence[str], notes: list[str]) -> list[_Heard]:
    """Draw the sounds that are scored: labelled as the victim answers, or not at all; each content once."""
    known = [one for one in data.examples if not one.label or one.label in labels]
    strange = sorted({one.label for one in data.examples if one.label} - set(labels))
    if strange:
        left_out = len(data) - len(known)
        notes.append(f"{left_out} clips are of classes that the victim does not know: {', '.join(strange)}")
    if not known:
        raise InputError(
            f"none of the {len(data)} clips of {data.name} has a label that the victim knows; it knows "
            f"{', '.join(labels)}, and the clips are {', '.join(strange)}: rename their folders, or the card's labels"
        )
    order = sorted(np.random.default_rng([seed, 0xA0D1]).permutation(len(known))[:most].tolist())
    chosen = [known[place] for place in order]
    names = names_of([one.path for one in chosen])
    heard: dict[str, _Heard] = {}
    for one in chosen:
        try:
            sha256 = hashlib.sha256(one.path.read_bytes()).hexdigest()
        except OSError as reason:
            notes.append(f"{one.path} cannot be read: {reason.strerror or reason}")
            continue
        first = heard.setdefault(sha256, _Heard(one, names[one.path], sha256))
        if first.example is not one:
            notes.append(f"{names[one.path]} is the same file as {first.name}, and was left out")
    if not heard:
        raise InputError(f"none of the {len(chosen)} clips of {data.name} can be read; the first: {notes[0]}")
    return list(heard.values())


def _clean_job(number: int, one: _Heard) -> Job:
    example = one.example
    return Job(number, "clean", one.name, str(example.path), one.sha256, example.label or None, example.also)


def _cases(
    audit: Audit, heard: Sequence[_Heard], victim: Victim, protocol: Protocol, seed: int, notes: list[str]
) -> tuple[tuple[Case, ...], dict[Path, Row]]:
    """Draw clips and targets among what could be scored; an unlabelled clip is what the victim says it is."""
    rows = {Path(row.job.path): row for row in audit.of("clean")}
    scored = [one.example for one in heard if one.example.path in rows]
    if not scored and any("VictimError" in str(row.error) for row in audit.rows):
        return (), rows
    if not scored:
        failed = next((row.error for row in audit.rows if row.error), "no reason was told")
        raise InputError(f"none of the {len(heard)} clips could be scored; the first: {failed}")
    unknown = sum(not one.label for one in scored)
    if unknown:
        many = "1 clip has" if unknown == 1 else f"{unknown} clips have"
        notes.append(f"{many} no label: what the victim says of it as it comes counts as right")
    labelled = [one if one.label else replace(one, label=str(rows[one.path].result["answer"])) for one in scored]
    data = Dataset(audit.setting["data"], tuple(labelled))
    cases = draw_cases(data, victim.labels, protocol.clips, protocol.targets, seed)
    drawn = len({case.path for case in cases})
    if drawn < protocol.clips:
        notes.append(f"{drawn} clips were attacked where {protocol.clips} were asked for: there are no more")
    return cases, rows


def _attack_jobs(cases: Sequence[Case], rows: dict[Path, Row], searches: Sequence[Search], begin: int) -> list[Job]:
    """Give the jobs of every search: of each case, or, without a target, once of each clip that is answered rightly."""
    jobs: list[Job] = []
    for search in searches:
        asked: set[Path] = set()
        for case in cases:
            row = rows[case.path]
            target = case.target if search.goal == "targeted" else None
            if target is None and (case.path in asked or row.result["right"] is False):
                continue
            asked.add(case.path)
            jobs.append(replace(row.job, number=begin + len(jobs), probe=search.name, target=target))
    return jobs


def _looked(victim: Victim, cases: Sequence[Case], notes: list[str]) -> list[Doubt]:
    try:
        return look(victim, cases)
    except VictimError as death:
        notes.append(f"the victim was not asked whether it hides its gradients: {death}")
        return []


WORLD = 4.0
"""Seconds for all that a win is put through."""
GRADIENTS = {"quick": 450, "standard": 650, "thorough": 1500}
"""That a white box takes, more or less."""


def _expected(
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
