"""The jobs of one run of an audit: planned in the ledger, done by processes, each written down as it comes."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Container, Iterator, Sequence
from typing import TypeVar

from subterfuge.audio.reading import length_of
from subterfuge.campaign._begun import Begun
from subterfuge.campaign.ledger import Ledger
from subterfuge.campaign.pool import ProcessEnded, apart, each, told
from subterfuge.campaign.rows import Job
from subterfuge.campaign.spool import Spool
from subterfuge.campaign.work import Bench, Done
from subterfuge.errors import VictimError

DEATHS = 8
"""Failures in a row, each because the victim died, after which an audit ends: it will not come back by itself."""
ENDINGS = 3
"""Times that a job may be begun without an end before it fails untried, where jobs cannot have a process of their own.
Elsewhere none does: from the second time on it has such a process, whose end is its failure, and whoever ends this one
at the same job again and again has not lost it."""

Tell = Callable[[str, int, int], None]
Made = TypeVar("Made")
ASIDE = ("expected", "doubts")
"""What is asked beside the jobs."""
ENDED = "the job ended its process"


class Run:
    """The jobs of one call: planned, done by processes, written down by this one."""

    def __init__(
        self,
        ledger: Ledger,
        bench: Bench,
        shared: tuple[str, ...],
        jobs: int,
        batch: int,
        retry: bool,
        tell: Tell,
        lonely: bool = False,
    ) -> None:
        self._ledger, self._bench, self._shared, self._jobs, self._tell = ledger, bench, shared, jobs, tell
        self._batch, self._lonely = batch, lonely
        self._retry, self._spool, self._deaths = retry, Spool(bench.folder), 0
        self._begun, self._wary = Begun(bench.folder), False
        self.ended = ""
        """Why it ended before its end."""

    def recover(self) -> None:
        """Write down what a killed run had finished, and remove what it was at; fail what no run comes past."""
        self._ledger.take(self._spool)
        done = self._ledger.done()
        for key, times in self._begun.left().items():
            if key in ASIDE:
                continue
            if key in done:
                self._begun.end(key)
            elif self._lonely and times >= ENDINGS:
                with contextlib.suppress(KeyError):  # of a job that no plan has had
                    self._ledger.fail(key, _ended_with(f"begun {times} times, and each time the process ended"), 0.0)
                self._begun.end(key)
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
        keyed = [(job.key(*self._shared), job) for job in jobs]
        self._ledger.plan(keyed)
        asked = {key for key, _ in keyed}
        return [(key, job) for key, job in self._ledger.left(self._retry) if key in asked]

    def work(self, left: Sequence[tuple[str, Job]], what: str) -> None:
        """Do jobs, and write each result down as it comes; what is done is never done again, nor its file written."""
        if self.ended:
            return
        done = 0
        try:
            for made in self._made(left):
                for one in made:
                    self._record(one)
                done += len(made)
                self._tell(what, done, len(left))
                if self._deaths >= DEATHS:
                    self.ended = (
                        f"the victim died {DEATHS} times in a row ({made[-1].error}): what was left was not asked"
                    )
                    return
        except BaseException as reason:
            if not isinstance(reason, Exception):
                self._begun.clear()  # Ctrl-C, SIGTERM: it is known why they did not end
            raise

    def aside(self, name: str, ask: Callable[[], Made]) -> Made:
        """Ask what is no job, here, or in a process that may be lost where one was lost at this or at a job before.

        Args:
            name: one of `ASIDE`.
            ask: picklable.

        Raises:
            ProcessEnded: that process was.
            SubterfugeError: as `ask` raises it.
        """
        ended = any(ENDED in (row.error or "") for row in self._ledger.audit().rows)
        try:
            if not self._lonely and (self._wary or ended or name in self._begun.left()):
                made = apart(_asked, ask)
            else:
                self._begun.mark(name)
                made = ask()
        except ProcessEnded:
            self._begun.mark(name)  # so that the next run begins like this
            raise
        except BaseException:
            self._begun.end(name)
            raise
        self._begun.end(name)
        return made

    def _made(self, left: Sequence[tuple[str, Job]]) -> Iterator[list[Done]]:
        """Do jobs: first, each in a process of its own, those that a process did not outlive, then the others.

        Where a process of several ends, what all of them were at is done again in that way, and the others go on. Where
        there is one, and one was lost, no other job is done in this one.
        """
        while left:
            begun = self._begun.left()
            rest = []
            for key, job in sorted(left, key=lambda one: one[0] not in begun):
                if key in begun or (self._wary and self._jobs <= 1):
                    yield [self._alone(key, job)]
                else:
                    rest.append((key, job))
            left = rest
            ended: set[str] = set()
            try:
                for _, made in each(self._bench.do_all, grouped(left, self._batch), self._jobs):
                    ended |= {one.key for one in made}
                    yield made
                return
            except ProcessEnded:
                left = [one for one in left if one[0] not in ended]
                asked = {key for key, _ in left}
                kept = [Done(key, found, None, took, False) for key, found, took in self._spool.taken() if key in asked]
                if not kept and not asked & set(self._begun.left()):
                    raise
            for one in kept:
                yield [one]
                self._begun.end(one.key)
            done = {one.key for one in kept}
            left = [one for one in left if one[0] not in done]

    def _alone(self, key: str, job: Job) -> Done:
        """Do a job in a process whose end is the job's failure, and no more."""
        if self._lonely:
            return self._bench.do((key, job))
        import torch

        began = time.monotonic()
        try:
            (made,) = apart(self._bench.do_all, [(key, job)], torch.get_num_threads() if self._jobs <= 1 else 1)
        except ProcessEnded as reason:
            self._begun.end(key)
            self._wary = True
            return Done(key, {}, _ended_with(str(reason)), round(time.monotonic() - began, 3), True)
        return made

    def _record(self, one: Done) -> None:
        if one.error is None:
            self._ledger.finish(one.key, one.result, one.seconds)
            self._spool.drop(one.key)
        else:
            self._ledger.fail(one.key, one.error, one.seconds)
        self._deaths = self._deaths + 1 if one.died else 0


def _ended_with(how: str) -> str:
    return told(VictimError(f"{ENDED}: {how}; --retry tries it again"))


def _asked(ask: Callable[[], Made]) -> Made:
    return ask()


def grouped(work: Sequence[tuple[str, Job]], most: int) -> list[list[tuple[str, Job]]]:
    """Cut jobs, in their order, into groups of one probe and of clips of one length, of at most so many."""
    groups: list[list[tuple[str, Job]]] = []
    last: object = None
    for key, job in work:
        kind = (job.probe, length_of(job.path)) if most > 1 and job.probe != "clean" else None
        if kind is None or kind != last or len(groups[-1]) >= most:
            groups.append([])
        groups[-1].append((key, job))
        last = kind
    return groups
