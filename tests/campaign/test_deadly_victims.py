"""A victim that ends its process costs the job that it ended, not the audit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.campaign.ledger_writer import SETTING, job_of, jobs_of

from subterfuge.campaign import running
from subterfuge.campaign._begun import Begun
from subterfuge.campaign.ledger import Ledger
from subterfuge.campaign.pool import ProcessEnded, apart
from subterfuge.campaign.rows import Job
from subterfuge.campaign.running import Run
from subterfuge.campaign.spool import Spool
from subterfuge.campaign.work import Bench, Done
from subterfuge.cli.ending import Stopped
from subterfuge.errors import VictimError


@dataclass(frozen=True)
class Deadly:
    """A bench whose jobs of some numbers end their process; it says which jobs it was given."""

    folder: Path
    deadly: tuple[int, ...]
    given: list[int]

    def do_all(self, group: Sequence[tuple[str, Job]]) -> list[Done]:
        made = []
        for key, job in group:
            self.given.append(job.number)
            Begun(self.folder).mark(key)
            if job.number in self.deadly:
                raise ProcessEnded("a process ended (exit code EXIT(9))")
            Begun(self.folder).end(key)
            made.append(Done(key, {"answer": job.number}, None, 0.1, False))
        return made


def run_of(folder: Path, ledger: Ledger, bench: Any = None, jobs: int = 1, lonely: bool = False) -> Run:
    bench = Bench(folder / "none.toml", folder, (), "", 0, 0) if bench is None else bench
    return Run(ledger, bench, ("setting",), jobs, 1, False, lambda *_: None, lonely)


@pytest.fixture(autouse=True)
def in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what other processes would do be done here."""
    monkeypatch.setattr(running, "apart", lambda work, thing, threads: work(thing))
    monkeypatch.setattr(running, "grouped", lambda left, most: [[one] for one in left])


def states(ledger: Ledger) -> str:
    return "".join(row.state[0] for row in ledger.audit().rows)


def test_a_process_that_ends_is_an_error_that_tells_how() -> None:
    with pytest.raises(ProcessEnded, match=r"EXIT\(9\).*--jobs"):
        apart(os._exit, 9)


def test_of_several_processes_only_the_deadly_jobs_are_lost_and_what_was_kept_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Deadly(tmp_path, (2, 4), [])
    spooled, other = jobs_of(6)[5][0], jobs_of(6)[1][0]

    def each(work: Callable[[Any], Any], things: Sequence[Any], jobs: int) -> Iterator[tuple[int, Any]]:
        if not bench.given:  # when the first process dies, another is at work, and a third had just kept its result
            yield 0, work(things[0])
            Begun(tmp_path).mark(other)
            Spool(tmp_path).keep(spooled, {"answer": 5}, 0.1)
            work(things[2])
        yield from ((place, work(thing)) for place, thing in enumerate(things))

    monkeypatch.setattr(running, "each", each)
    with Ledger.open(tmp_path, SETTING) as ledger:
        ledger.plan(jobs_of(6))
        run = run_of(tmp_path, ledger, bench, jobs=2)
        run.work(ledger.left(), "jobs")
        run.tidy()
        assert states(ledger) == "ddfdfd"
        assert all("EXIT(9)" in str(row.error) for row in ledger.audit().rows if row.state == "failed")
    assert bench.given == [0, 2, 1, 2, 3, 4, 4]
    assert not (tmp_path / "spool").exists()


def test_the_run_after_one_that_was_ended_does_that_job_apart_and_then_no_job_in_its_own_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Deadly(tmp_path, (1, 2), [])
    with Ledger.open(tmp_path, SETTING) as ledger:
        ledger.plan(jobs_of(4))
        with pytest.raises(ProcessEnded):  # the process of the first run, of which nothing is left but the mark
            bench.do_all(ledger.left()[1:2])

        def each(work: object, things: Sequence[Any], jobs: int) -> Iterator[Any]:
            assert not things, "a job was done in this process"
            yield from ()

        monkeypatch.setattr(running, "each", each)
        run = run_of(tmp_path, ledger, bench)
        run.recover()
        run.work(ledger.left(), "jobs")
        assert states(ledger) == "dffd"
    assert Begun(tmp_path).left() == {}


@pytest.mark.parametrize("end", [KeyboardInterrupt, Stopped])
def test_an_interrupt_leaves_no_mark(end: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def each(work: object, things: Sequence[Any], jobs: int) -> Iterator[Any]:
        Begun(tmp_path).mark(things[0][0][0])
        raise end
        yield

    monkeypatch.setattr(running, "each", each)
    with Ledger.open(tmp_path, SETTING) as ledger:
        ledger.plan(jobs_of(2))
        with pytest.raises(end):
            run_of(tmp_path, ledger, Deadly(tmp_path, (), []), jobs=2).work(ledger.left(), "jobs")
    assert Begun(tmp_path).left() == {}


@pytest.mark.parametrize(("times", "lonely", "state"), [(2, True, "left"), (3, True, "failed"), (30, False, "left")])
def test_a_job_that_cannot_be_done_apart_fails_untried_after_three_ends_and_any_other_never(
    tmp_path: Path, times: int, lonely: bool, state: str
) -> None:
    (key, _), *_ = jobs_of(1)
    begun = Begun(tmp_path)
    for _ in range(times):
        begun.mark(key)
    begun.mark("of-no-plan")
    with Ledger.open(tmp_path, SETTING) as ledger:
        ledger.plan(jobs_of(1))
        run_of(tmp_path, ledger, lonely=lonely).recover()
        assert [row.state for row in ledger.audit().rows] == [state]
        assert begun.left() == ({key: times} if state == "left" else {}) | {"of-no-plan": 1}
        assert [one for one, _ in ledger.left(retry=True)] == [key]


def test_a_mark_of_a_job_that_is_done_is_forgotten(tmp_path: Path) -> None:
    (key, _), *_ = jobs_of(1)
    Begun(tmp_path).mark(key)
    with Ledger.open(tmp_path, SETTING) as ledger:
        ledger.plan(jobs_of(1))
        ledger.finish(key, {}, 1.0)
        run_of(tmp_path, ledger).recover()
    assert Begun(tmp_path).left() == {}


def test_a_job_that_ends_by_an_error_leaves_no_mark(tmp_path: Path) -> None:
    (key, _), *_ = jobs_of(1)
    done = Bench(tmp_path / "none.toml", tmp_path, (), "", 0, 0).do((key, job_of(0)))
    assert "there is no card" in str(done.error)
    assert Begun(tmp_path).left() == {}


def test_what_is_asked_beside_the_jobs_is_asked_apart_once_a_process_ended_at_it_or_at_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = []

    def lost(work: Callable[[Any], Any], thing: Any) -> None:
        apart.append(thing)
        raise ProcessEnded("a process ended (exit code EXIT(9))")

    monkeypatch.setattr(running, "apart", lost)
    with Ledger.open(tmp_path, SETTING) as ledger:
        run = run_of(tmp_path, ledger)
        assert run.aside("doubts", lambda: "here") == "here"
        with pytest.raises(VictimError, match="died"):
            run.aside("doubts", dies)
        assert not Begun(tmp_path).left()
        Begun(tmp_path).mark("doubts")  # as a process that ended leaves it
        for _ in range(5):
            run_of(tmp_path, ledger).recover()
            with pytest.raises(ProcessEnded):
                run_of(tmp_path, ledger).aside("doubts", dies)
        assert apart == 5 * [dies]
        run.plan([job_of(0)])
        ledger.fail(run.plan([job_of(0)])[0][0], running._ended_with("exit code 9"), 0.1)
        with pytest.raises(ProcessEnded):
            run.aside("expected", dies)


def dies() -> str:
    raise VictimError("the victim died")
