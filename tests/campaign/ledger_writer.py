"""An audit of little jobs, for processes that are killed: it imports only what a ledger needs.

As a program, ``ledger_writer.py HOW FOLDER``: forks audits and kills them, and prints what it saw as JSON.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from subterfuge.campaign import _ledger_file
from subterfuge.campaign.ledger import Ledger
from subterfuge.campaign.rows import Job
from subterfuge.campaign.spool import Spool

SETTING: dict[str, Any] = {
    "protocol": "standard protocol",
    "version": 1,
    "level": "quick",
    "seed": 0,
    "clips": 20,
    "queries": 100,
    "survives": "mp3:128",
    "victim": {"name": "made up", "fingerprint": "0123456789ab" + "c" * 52},
}

CODE = ("ledger.py", "spool.py", "_ledger_file.py", "lock.py", "_ledger_reading.py")

Say = Callable[[str, str], object]


def job_of(number: int, probe: str = "white") -> Job:
    return Job(number, probe, f"{number}.wav", f"clips/{number}.wav", f"{number:064x}", "low", ("middle",), "high")


def jobs_of(count: int) -> list[tuple[str, Job]]:
    return [(job.key("setting"), job) for job in map(job_of, range(count))]


def result_of(job: Job) -> dict[str, Any]:
    dice = random.Random(job.sha256)
    return {"outcome": {"snr_db": dice.uniform(10, 60), "history": [dice.random() for _ in range(400)]}}


MORE = 8
"""Things that a process may say after those at which it is to die."""


def run(folder: Path, count: int, say: Say) -> None:
    """Do what is left of an audit. Every job but the third is spooled, as a worker would; the fifth fails."""
    spool = Spool(folder)
    with Ledger.open(folder, SETTING) as ledger:
        ledger.take(spool)
        ledger.plan(jobs_of(count))
        for key, job in ledger.left():
            say("begun", key)
            if job.number % 5 == 4:
                ledger.fail(key, "ClipError: made up", 0.1)
                say("kept", key)
                continue
            if job.number % 3:
                spool.keep(key, result_of(job), 0.1)
                say("kept", key)
            ledger.finish(key, result_of(job), 0.2)
            say("kept", key)
            spool.drop(key)
        ledger.note([f"{count} jobs"])
    spool.tidy()


def seen(folder: Path) -> dict[str, Any] | None:
    """Read an audit as anyone could, but for its seconds; None where there is none yet."""
    if not (folder / "audit.ledger").exists():
        return None
    told = Ledger.read(folder).json()
    for row in told["rows"]:
        del row["seconds"]
    return told


def forked(work: Callable[[Say], object], after: int = 10**9, wait: float = 0.0) -> tuple[list[list[str]], bool]:
    """Do work in another process; kill it a moment after it said so many things. Give what it said, and if it died.

    A process that is fast waits for its death, `MORE` things later.
    """
    out, into = os.pipe()
    child = os.fork()
    if not child:
        status, said = 1, itertools.count(1)

        def say(what: str, key: str) -> None:
            os.write(into, f"{what} {key}\n".encode())
            if next(said) >= after + MORE:
                time.sleep(60)

        try:
            os.close(out)
            work(say)
            status = 0
        finally:
            os._exit(status)
    os.close(into)
    with open(out, encoding="ascii") as pipe:
        told = []
        while len(told) < after and (line := pipe.readline()):
            told.append(line.split())
        if len(told) >= after:
            time.sleep(wait)
            os.kill(child, signal.SIGKILL)
        told += [line.split() for line in pipe]
    _, status = os.waitpid(child, 0)
    if status not in (0, signal.SIGKILL):
        raise SystemExit(f"an audit ended with {status}")
    return told, status == signal.SIGKILL


def at_random_moments(folder: Path, kills: int = 20, count: int = 100) -> dict[str, Any]:
    """Kill one audit again and again, each time a moment after a few jobs more; then let it end."""
    dice, rounds = random.Random(), []
    for _ in range(kills):
        told, died = forked(lambda say: run(folder, count, say), dice.randint(0, 2), dice.uniform(0, 0.01))
        rounds.append({"told": told, "died": died, "seen": seen(folder)})
    told, died = forked(lambda say: run(folder, count, say))
    rounds.append({"told": told, "died": died, "seen": seen(folder)})
    return {"rounds": rounds, "files": sorted(path.name for path in folder.iterdir())}


def at_lines(folder: Path, kills: int = 20, count: int = 3) -> list[dict[str, Any]]:
    """Kill audits just before chosen lines of the ledger's and the spool's code; then let each end.

    Nothing is flushed to the disk: a killed process leaves what it wrote to the system either way, and sooner.
    """
    _ledger_file.FLUSH, os.fsync = "OFF", lambda _: None  # type: ignore[assignment]

    def traced(place: Path, say: Say, last: int) -> None:
        passed = 0

        def trace(frame: Any, event: str, _: object) -> Any:
            nonlocal passed
            if Path(frame.f_code.co_filename).name not in CODE:
                return None
            passed += event == "line"
            if passed == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        run(place, count, say)
        sys.settrace(None)
        say("lines", str(passed))

    lines = int(forked(lambda say: traced(folder / "whole", say, -1))[0][-1][1])
    found, begin = [], random.Random().random()
    for kill in range(kills):
        place, last = folder / str(kill), 1 + int(lines * (kill + begin) / kills)
        told, died = forked(lambda say, place=place, last=last: traced(place, say, last))  # type: ignore[misc]
        half = seen(place)
        again, _ = forked(lambda say, place=place: run(place, count, say))  # type: ignore[misc]
        found.append({"line": last, "told": told, "died": died, "seen": half, "again": again, "end": seen(place)})
    return found


def orphaned(folder: Path) -> list[list[str]]:
    """Kill an audit that has forked a child, which lives on; another audit must get the folder while it does."""

    def parent(say: Say) -> None:
        with Ledger.open(folder, SETTING) as ledger:
            ledger.plan(jobs_of(2))
            child = os.fork()
            if not child:
                ledger.close()  # not the child's to close: it must change nothing
                say("ready", "")
                time.sleep(20)
                os._exit(0)
            say("child", str(child))
            time.sleep(20)

    out, into = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(out)
        parent(lambda what, key: os.write(into, f"{what} {key}\n".encode()))
        os._exit(0)
    heard = ""
    while "ready" not in heard or "child" not in heard:
        heard += os.read(out, 100).decode()
    child = next(int(line.split()[1]) for line in heard.splitlines() if line.startswith("child"))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    told: list[list[str]] = []
    run(folder, 2, lambda what, key: told.append([what, key]))
    os.kill(child, signal.SIGKILL)  # it was alive until now, or this fails
    return told


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](Path(sys.argv[2]))))
