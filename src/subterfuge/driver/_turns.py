"""Calls that take turns: each in a thread of its own, one thread running at a time, in an order that no clock knows.

A call runs until it asks something or ends; then the next has its turn. What all of them ask is answered at once by the
caller's thread. So nothing runs beside anything else: what is not made for threads (the standard output or the filters
of warnings lent to a library, Python's one random generator, a victim's memory of its last wave) needs no lock.
"""

from __future__ import annotations

import contextlib
import contextvars
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

Made = TypeVar("Made")


class Ended(BaseException):
    """Raised in a call that is to end, at its next question; no error, so that nobody takes it for one."""


@dataclass(frozen=True)
class Telling:
    """What a call has the caller's thread do."""

    do: Callable[[], object]


class Turn(Generic[Made]):
    """One call in a thread of its own, which runs while it is let, and waits where it asks.

    Args:
        call: is given the turn itself, by which it asks.
        place: its number.
    """

    def __init__(self, call: Callable[[Turn[Made]], Made], place: int) -> None:
        self.place = place
        self.over = False
        self.made: Made | None = None
        self.error: BaseException | None = None
        self.asked: Any = None
        """What it waits for."""
        self._answer: tuple[Any, BaseException | None] = (None, None)
        self._spent = 0.0
        self._since: float | None = None
        self._ending = False
        self._inbox: SimpleQueue[None] = SimpleQueue()
        self._outbox: SimpleQueue[None] = SimpleQueue()
        run = contextvars.copy_context().run  # numpy's handling of errors, say, is the caller's
        self._thread = Thread(target=run, args=(self._run, call), daemon=True, name=f"turn {place}")
        self._thread.start()

    def go(self) -> bool:
        """Let it run until it asks or ends; say whether it asks. What it tells is done on the way."""
        while True:
            self._since = time.monotonic()
            self._inbox.put(None)
            self._outbox.get()
            self._spent += time.monotonic() - self._since
            self._since = None
            if not isinstance(self.asked, Telling):
                return not self.over
            self.asked.do()
            self.answer()

    def tell(self, do: Callable[[], object]) -> None:
        """Be called in its thread: have the caller's thread do something, and go on.

        Raises:
            Ended: it is to end.
        """
        self.ask(Telling(do))

    def answer(self, answer: Any = None, error: BaseException | None = None) -> None:
        """Lay down what its question gives, or raises, when it runs again."""
        self._answer, self.asked = (answer, error), None

    def charge(self, seconds: float) -> None:
        """Count time that was spent for it elsewhere."""
        self._spent += seconds

    def clock(self) -> float:
        """Give the seconds spent on it so far, none of them others'."""
        return self._spent + (0.0 if self._since is None else time.monotonic() - self._since)

    def check(self) -> None:
        """Be called in its thread, anywhere: a call that is to end ends here.

        Raises:
            Ended: it is to end.
        """
        if self._ending:
            raise Ended

    def ask(self, question: Any) -> Any:
        """Be called in its thread: wait for an answer.

        Raises:
            Ended: it is to end.
        """
        self.check()
        self.asked = question
        self._outbox.put(None)
        self._inbox.get()
        self.check()
        (answer, error), self._answer = self._answer, (None, None)
        if error is not None:
            raise error
        return answer

    def end(self) -> None:
        """Have it end at its next question, wherever it is now, and wait until it has. Again is no harm."""
        self.leave()
        while not self.over:  # again and again, for an interrupt may have taken the message with it
            with contextlib.suppress(Empty):
                self._outbox.get(timeout=0.1)

    def leave(self) -> None:
        """Have it end at its next question, and do not wait for that."""
        self._ending = True
        self._inbox.put(None)

    def _run(self, call: Callable[[Turn[Made]], Made]) -> None:
        self._inbox.get()
        try:
            self.check()
            self.made = call(self)
        except BaseException as error:
            self.error = error
        finally:
            self.over = True
            self._outbox.put(None)


def in_turns(
    calls: Sequence[Callable[[Turn[Made]], Made]], answer: Callable[[Sequence[Turn[Made]]], None], most: int
) -> Iterator[Turn[Made]]:
    """Let calls take turns, some at once, the next one beginning where one ends; give each turn that is over.

    However the caller leaves, by an error, an interrupt, or by asking for no more, the calls end at their next question
    before it does.

    Args:
        calls: each is given its turn.
        answer: answers all of some turns, each of which waits with a question.
        most: turns at once.
    """
    waiting, living = deque(enumerate(calls)), list[Turn[Made]]()
    try:
        while waiting or living:
            able = [turn for turn in living if turn.asked is None]
            while waiting and len(living) < most:
                place, call = waiting.popleft()
                living.append(Turn(call, place))
                able.append(living[-1])
            for turn in able:
                if not turn.go():
                    living.remove(turn)
                    yield turn
            if living and (len(living) == most or not waiting) and all(turn.asked is not None for turn in living):
                answer(living)
    finally:
        try:
            for turn in living:
                turn.end()
        except BaseException:  # a second interrupt waits for nobody
            for turn in living:
                turn.leave()
            raise
