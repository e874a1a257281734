"""One function of one clip, asked in several processes at once.

Each worker is a fresh Python that makes the function anew, from what it is sent (nothing is forked, and the script that
runs is not run again), takes one clip at a time through its standard input and gives one answer through its standard
output. What the function itself prints goes to standard error. A worker ends when its input does, so none outlives the
process that started it.
"""

from __future__ import annotations

import os
import pickle
import queue
import selectors
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from subterfuge.errors import VictimError

MOST = 256
START = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = {path!r}; "
    "from subterfuge.victims._workers import serve; serve()"
)
Answer = Callable[[NDArray[np.float32]], Any]


class Workers:
    """So many processes that answer for a function; they start with the first question.

    Args:
        job: a pickled callable without arguments that gives the function of one wave, float32 (T,). The function tells
            its faults by `VictimError`.
        count: how many processes.
        name: what errors call the victim.
    """

    def __init__(self, job: bytes, count: int, name: str) -> None:
        self.job, self._count, self._name = job, count, name
        self._processes: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _end, self._processes)

    def __reduce__(self) -> tuple[type[Workers], tuple[bytes, int, str]]:
        return Workers, (self.job, self._count, self._name)

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that run."""
        return [process.pid for process in self._processes]

    def ask(self, rows: NDArray[np.float32]) -> list[Any]:
        """Give the function's answers about waves (N, T), in their order.

        Raises:
            VictimError: the function died (the first that would have without workers is told), or a worker was killed.
        """
        with self._lock:
            try:
                if not self._processes:
                    self._start()
                answers = self._spread(rows)
            except BaseException:  # an interrupt too: answers that are still to come must meet no later question
                self.close()
                raise
        for fault, _ in answers:
            if fault is not None:
                raise VictimError(fault)
        return [answer for _, answer in answers]

    def close(self) -> None:
        """End the processes; the next question starts others."""
        _end(self._processes)

    def _start(self) -> None:
        command = [sys.executable, *(f"-W{option}" for option in sys.warnoptions), "-c", START.format(path=sys.path)]
        for _ in range(self._count):
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._processes.append(subprocess.Popen(command, bufsize=0, **pipes))  # type: ignore[call-overload]
        for process in self._processes:
            self._give(process, self.job, "before it was asked anything")
        for process in self._processes:
            fault, _ = self._take(process, "before it was asked anything")
            if fault is not None:
                raise VictimError(f"a worker of the victim {self._name} could not begin: {fault}")

    def _spread(self, rows: NDArray[np.float32]) -> list[tuple[str | None, Any]]:
        answers: list[tuple[str | None, Any]] = [(None, None)] * len(rows)
        waiting = iter(range(len(rows)))
        with selectors.DefaultSelector() as ready:

            def give_next(process: subprocess.Popen[bytes]) -> None:
                number = next(waiting, None)
                if number is not None:
                    ready.register(_stream(process.stdout), selectors.EVENT_READ, (process, number))
                    self._give(process, pickle.dumps(rows[number]), f"at clip {number + 1} of {len(rows)}")

            for process in self._processes:
                give_next(process)
            while ready.get_map():
                for key, _ in ready.select():
                    process, number = key.data
                    ready.unregister(key.fileobj)
                    answers[number] = self._take(process, f"at clip {number + 1} of {len(rows)}")
                    give_next(process)
        return answers

    def _give(self, process: subprocess.Popen[bytes], message: bytes, when: str) -> None:
        try:
            send(_stream(process.stdin), message)
        except OSError:
            raise self._lost(process, when) from None

    def _take(self, process: subprocess.Popen[bytes], when: str) -> tuple[str | None, Any]:
        try:
            answer: tuple[str | None, Any] = pickle.loads(receive(_stream(process.stdout)))
        except (EOFError, OSError):
            raise self._lost(process, when) from None
        except Exception as reason:
            return f"the victim {self._name} gave an answer that cannot leave its process: {reason}", None
        return answer

    def _lost(self, process: subprocess.Popen[bytes], when: str) -> VictimError:
        try:
            code = process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            how = "it closed its pipe"
        else:
            how = f"exit code {code}"
            if code < 0:
                how = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            how += ", often a lack of memory: try fewer workers" if code == -9 else ""
        return VictimError(f"a worker process of the victim {self._name} ended {when} without an answer ({how})")


def serve() -> None:
    """Be a worker: take a job, then clips, until the input ends."""
    take, give = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # there is no standard error
        os.dup2(nothing, 1)
    messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:  # beside the function, so that the end is heard while it computes
        try:
            while True:
                messages.put(receive(take))
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    try:
        answer: Answer = pickle.loads(messages.get())()
    except (Exception, SystemExit) as reason:
        send(give, pickle.dumps((f"{type(reason).__name__}: {reason}", None)))
        return
    send(give, pickle.dumps((None, None)))
    while True:
        wave = pickle.loads(messages.get())
        said: tuple[str | None, Any]
        try:
            said = (None, answer(wave))
        except VictimError as reason:
            said = (str(reason), None)
        try:
            send(give, pickle.dumps(said))
        except OSError:  # nobody listens any more
            os._exit(0)
        except Exception as reason:
            what = f"{said[1]!r:.80} (a {type(said[1]).__name__}), which cannot leave its process"
            send(give, pickle.dumps((f"the victim answered {what}: {reason}", None)))


def send(stream: IO[bytes], message: bytes) -> None:
    """Write a message and its length to an unbuffered stream."""
    left = memoryview(len(message).to_bytes(8) + message)
    while left:
        left = left[stream.write(left) :]


def receive(stream: IO[bytes]) -> bytes:
    """Read a message from an unbuffered stream.

    Raises:
        EOFError: the stream ended.
    """
    return _exactly(stream, int.from_bytes(_exactly(stream, 8)))


def _exactly(stream: IO[bytes], count: int) -> bytes:
    whole = bytearray()
    while len(whole) < count:
        part = stream.read(count - len(whole))
        if not part:
            raise EOFError
        whole += part
    return bytes(whole)


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None, "both ends are pipes"
    return stream


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()
        _stream(process.stdin).close()
        _stream(process.stdout).close()
    processes.clear()
