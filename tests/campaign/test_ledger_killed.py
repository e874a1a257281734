"""An audit that is killed at any moment loses nothing that it was told to keep, and does nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.campaign import ledger_writer
from tests.campaign.ledger_writer import SETTING, job_of, jobs_of, result_of

from subterfuge.campaign.rows import Audit, Row

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked and killed by a signal")


def told_by(how: str, folder: Path) -> Any:
    """Run the program that forks audits and kills them: a process of its own, that has loaded next to nothing."""
    done = subprocess.run([sys.executable, ledger_writer.__file__, how, str(folder)], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def uninterrupted(count: int) -> dict[str, Any]:
    """Say what an audit comes to, by its definition."""
    rows = []
    for key, job in jobs_of(count):
        failed = job.number % 5 == 4
        rows.append(
            Row(job, key, "failed", {}, "ClipError: made up") if failed else Row(job, key, "done", result_of(job))
        )
    told: dict[str, Any] = json.loads(json.dumps(Audit(SETTING, tuple(rows), notes=(f"{count} jobs",)).json()))
    for row in told["rows"]:
        del row["seconds"]
    return told


def only_whole(seen: dict[str, Any] | None) -> set[str]:
    """Give the keys that have a result, each of which must be all of it."""
    ended = set()
    for row in seen["rows"] if seen else ():
        failed = row["state"] == "failed"
        assert row["error"] == ("ClipError: made up" if failed else None)
        assert row["result"] == (result_of(job_of(row["job"]["number"])) if row["state"] == "done" else {})
        ended |= {row["key"]} if row["state"] != "left" else set()
    return ended


def test_twenty_kills_at_random_moments_lose_nothing_and_the_end_is_that_of_an_uninterrupted_run(
    tmp_path: Path,
) -> None:
    told = told_by("at_random_moments", tmp_path / "audit")
    kept: set[str] = set()
    waiting: set[str] = set()
    for one in told["rounds"]:
        begun = [key for what, key in one["told"] if what == "begun"]
        assert not kept & set(begun), "a job was done again that had been kept"
        kept |= {key for what, key in one["told"] if what == "kept"}
        ended = only_whole(one["seen"])
        if begun:  # of the job that it was at, the spool may have what the ledger lacks, until a run gets so far
            waiting = {begun[-1]}
        assert kept - ended <= waiting
    assert sum(one["died"] for one in told["rounds"]) == 20
    assert told["rounds"][-1]["seen"] == uninterrupted(100)
    assert told["files"] == ["audit.ledger"]


def test_a_kill_before_any_line_of_the_code_loses_nothing_and_the_end_is_that_of_an_uninterrupted_run(
    tmp_path: Path,
) -> None:
    for one in told_by("at_lines", tmp_path):
        assert one["died"], one["line"]
        kept = {key for what, key in one["told"] if what == "kept"}
        only_whole(one["seen"])
        assert not kept & {key for what, key in one["again"] if what == "begun"}, one["line"]
        assert one["end"] == uninterrupted(3), one["line"]


def test_a_killed_audit_lets_go_of_its_folder_even_while_a_process_that_it_forked_lives_on(tmp_path: Path) -> None:
    told = told_by("orphaned", tmp_path / "audit")
    assert [key for what, key in told if what == "begun"] == [key for key, _ in jobs_of(2)]
