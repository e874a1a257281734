"""One thread that does one thing after the other, for a victim that must not be asked twice at once."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Asker:
    """The thread. It ends with the process, also where a victim never answers."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True, name="subterfuge-asker").start()

    async def do(self, job: Callable[[], Answer]) -> Answer:
        """Wait for a job's turn, do it in the thread, and give its result; the loop goes on meanwhile."""
        future: Future[Answer] = Future()
        self._jobs.put((future, job))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Take no more jobs."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (waiting := self._jobs.get()) is not None:
            future, job = waiting
            if not future.set_running_or_notify_cancel():
                continue  # whoever asked has gone
            try:
                future.set_result(job())
            except Exception as reason:
                future.set_exception(reason)
            except BaseException as reason:  # a model that calls exit() ends its answer, not the server
                future.set_exception(RuntimeError(repr(reason)))
            del future, job, waiting
