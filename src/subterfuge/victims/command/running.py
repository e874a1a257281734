"""Run a program to its end, or end it: with all of its children, after a time, or when it says too much."""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

MOST_BYTES = 16_000_000
"""The most that a program may print."""
TOLD = 300
"""Characters of what it says on standard error that are told."""
Result = TypeVar("Result")
_LOOK_SECONDS = 0.1
_FIRST_LOOK_SECONDS = 0.0005
_PART = 1 << 16

_running: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()
"""Held while a group is killed: what is in `_running` has not been waited for, so that its number is its own."""


class Unfinished(Exception):
    """The program gave no answer; the text goes on after "the program of the victim NAME"."""


class Ended(NamedTuple):
    """What a program did."""

    code: int
    out: bytes
    err: str
    """The end of its standard error."""


def run(words: Sequence[str], folder: Path, timeout_seconds: float, stop: threading.Event) -> Ended:
    """Run a program in a folder, with no shell, no input, and a group of processes of its own.

    However this ends, no process of the group is left, unless it made a group of its own. See `together`.

    Raises:
        Unfinished: it could not be started, took too long, printed too much, or `stop` was set.
    """
    pipe, end = subprocess.PIPE, time.monotonic() + timeout_seconds
    try:
        process = subprocess.Popen(
            words, cwd=folder, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
        )
    except (OSError, ValueError) as reason:
        raise Unfinished(f"could not be started: {words[0]}: {getattr(reason, 'strerror', None) or reason}") from None
    _running.add(process)
    try:
        with process:
            try:
                out, err = _read(process, end, timeout_seconds, stop)
                _wait(process, end, timeout_seconds, stop)
            finally:
                with _lock:
                    kill(process)
                    _running.discard(process)
        return Ended(process.returncode, bytes(out), err)
    finally:
        _running.discard(process)


def together(jobs: Sequence[Callable[[], Result]], workers: int, stop: threading.Event) -> list[Result]:
    """Do jobs, so many at once, in threads; give their results in order.

    Also one job alone is done in a thread: there no interrupt meets a program that is half started. The threads are
    daemons, so that a process which ends waits for none of them. Where a job fails or an interrupt comes, `stop` is
    set, what waits is not begun, and the first error goes on when the threads have ended.
    """
    waiting: queue.SimpleQueue[tuple[int, Callable[[], Result]]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Result | None, Exception | None]] = queue.SimpleQueue()
    for numbered in enumerate(jobs):
        waiting.put(numbered)

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while not stop.is_set():
                number, job = waiting.get_nowait()
                try:
                    done.put((number, job(), None))
                except Exception as fault:
                    done.put((number, None, fault))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(workers, len(jobs)))]
    results: dict[int, Any] = {}
    try:
        for thread in threads:
            thread.start()
        while len(results) < len(jobs):
            number, result, fault = done.get()
            if fault is not None:
                raise fault
            results[number] = result
    finally:
        stop.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
    return [results[number] for number in range(len(jobs))]


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and its children, who may outlive it.

    Not after it was waited for: its number, and its group's, may be another's by then. (Where a system cannot look
    without waiting, as macOS before Python 3.13, that was a moment ago.)
    """
    if process.returncode is not None and hasattr(os, "waitid"):
        return
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Say whether a program has ended, and leave it to be waited for, so that its number stays its own till then."""
    if hasattr(os, "waitid"):
        with contextlib.suppress(ChildProcessError):  # where the system waits for children by itself
            return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return process.poll() is not None


def how(code: int) -> str:
    """Say in words how a program ended."""
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"was killed by {name}" + (" (often a lack of memory)" if name == "SIGKILL" else "")


def said(err: str) -> str:
    """Tell the end of what it said on standard error."""
    text = " ".join(err.split())
    return f"; it said: {'...' if len(text) > TOLD else ''}{text[-TOLD:]}" if text else "; it said nothing"


def _read(
    process: subprocess.Popen[bytes], end: float, timeout_seconds: float, stop: threading.Event
) -> tuple[bytearray, str]:
    """Read both streams until they end, or until the program has and nothing comes any more."""
    out, err = bytearray(), bytearray()
    with selectors.DefaultSelector() as ready:
        for stream, held in ((process.stdout, out), (process.stderr, err)):
            assert stream is not None, "both are pipes"
            ready.register(stream, selectors.EVENT_READ, held)
        while ready.get_map():
            come = ready.select(_LOOK_SECONDS)
            for key, _ in come:
                part = os.read(key.fd, _PART)
                key.data.extend(part)
                if not part:
                    ready.unregister(key.fileobj)
            del err[: -20 * TOLD]
            if len(out) > MOST_BYTES:
                raise Unfinished(f"printed more than {MOST_BYTES / 1e6:g} MB, where an answer in JSON was expected")
            _check(end, timeout_seconds, stop, err)
            if not come and has_ended(process):
                break  # a child that it left behind holds the streams
    return out, err.decode(errors="replace")


def _wait(process: subprocess.Popen[bytes], end: float, timeout_seconds: float, stop: threading.Event) -> None:
    """Wait for the end of a program that has closed its streams."""
    pause = _FIRST_LOOK_SECONDS
    while not has_ended(process):
        _check(end, timeout_seconds, stop, b"")
        time.sleep(pause)
        pause = min(2 * pause, _LOOK_SECONDS)


def _check(end: float, timeout_seconds: float, stop: threading.Event, err: bytes | bytearray) -> None:
    if stop.is_set():
        raise Unfinished("was stopped")
    if time.monotonic() > end:
        raise Unfinished(
            f"did not end within timeout_seconds = {timeout_seconds:g}, and was killed"
            f"{said(err.decode(errors='replace'))}"
        )


@atexit.register
def _end_all() -> None:
    """End what is asked from threads that end with the process."""
    with _lock:
        for process in list(_running):
            kill(process)
