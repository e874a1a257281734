"""The jobs of one run of an audit: planned in the ledger, done by processes, each written down as it comes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Container, Sequence

from subterfuge.audio.reading import length_of
from subterfuge.campaign.ledger import Ledger
from subterfuge.campaign.pool import each
from subterfuge.campaign.rows import Job
from subterfuge.campaign.spool import Spool
from subterfuge.campaign.work import Bench, Done

DEATHS = 8
"""Failures in a row, each because the victim died, after which an audit ends: it will not come back by itself."""

Tell = Callable[[str, int, int], None]


class Run:
    """The jobs of one call: planned, done by processes, written down by this one."""

    def __init__(
        self, ledger: Ledger, bench: Bench, shared: tuple[str, ...], jobs: int, batch: int, retry: bool, tell: Tell
    ) -> None:
        self._ledger, self._bench, self._shared, self._jobs, self._tell = ledger, bench, shared, jobs, tell
        self._batch = batch
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
        keyed = [(job.key(*self._shared), job) for job in jobs]
        self._ledger.plan(keyed)
        asked = {key for key, _ in keyed}
        return [(key, job) for key, job in self._ledger.left(self._retry) if key in asked]

    def work(self, left: Sequence[tuple[str, Job]], what: str) -> None:
        """Do jobs, and write each result down as it comes; what is done is never done again, nor its file written."""
        if self.ended:
            return
        done = 0
        for _, made in each(self._bench.do_all, grouped(left, self._batch), self._jobs):
            for one in made:
                self._record(one)
            done += len(made)
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
