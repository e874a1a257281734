"""Some questions at once, each in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def spread(work: Callable[[A], B], items: Sequence[A], workers: int) -> list[B]:
    """Give what `work` gives of each item, in their order, `workers` at once.

    After an item at which it raises no other is begun; those that are under way are waited for, and then the first such
    item's exception is raised. An interrupt is not kept waiting.
    """
    if workers == 1 or len(items) < 2:
        return [work(item) for item in items]
    waiting, stop = iter(enumerate(items)), threading.Event()
    lock = threading.Lock()
    done: queue.SimpleQueue[None] = queue.SimpleQueue()
    given: dict[int, B] = {}
    raised: dict[int, BaseException] = {}

    def go() -> None:
        while not stop.is_set():
            with lock:
                place, item = next(waiting, (None, None))
            if place is None:
                break
            try:
                given[place] = work(item)  # type: ignore[arg-type]
            except BaseException as reason:
                raised[place] = reason
                stop.set()
        done.put(None)

    threads = [threading.Thread(target=go, daemon=True) for _ in range(min(workers, len(items)))]
    try:
        for thread in threads:
            thread.start()
        for _ in threads:
            done.get()
    finally:
        stop.set()
    if raised:
        raise raised[min(raised)]
    return [given[place] for place in range(len(items))]
