"""What all searches for one sound have spent, and what is left for the next."""

from __future__ import annotations

import time
from dataclasses import replace

from subterfuge.oracle import Oracle
from subterfuge.threat import Budget, Threat


class Bill:
    """What all searches for one sound have spent."""

    def __init__(self, budget: Budget) -> None:
        self._budget, self._began = budget, time.monotonic()
        self.queries = self.gradients = 0
        self.out_of_time = False

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def spent(self) -> bool:
        """Whether nothing is left of one of them."""
        left = (self._left("queries", self.queries), self._left("gradients", self.gradients))
        late = self._budget.seconds is not None and self.seconds >= self._budget.seconds
        self.out_of_time |= late
        return late or any(one is not None and one <= 0 for one in left)

    @property
    def text(self) -> str:
        """Say what was spent."""
        return f"after {self.queries} queries and {self.gradients} gradients"

    def add(self, oracle: Oracle) -> None:
        self.queries += oracle.queries[0]
        self.gradients += oracle.gradients[0]
        self.out_of_time |= oracle.out_of_time

    def rest(self, threat: Threat) -> Threat:
        """Give the threat with what is left of the budget; the race leaves something of it, and `spent` is asked."""
        seconds = self._budget.seconds
        queries, gradients = self._left("queries", self.queries), self._left("gradients", self.gradients)
        return replace(
            threat,
            budget=Budget(
                None if queries is None else max(1, queries),
                None if gradients is None else max(1, gradients),
                None if seconds is None else max(1e-3, seconds - self.seconds),
            ),
        )

    def _left(self, what: str, used: int) -> int | None:
        most = getattr(self._budget, what)
        return None if most is None else most - used


def billed(text: str, oracle: Oracle, bill: Bill, *, say: bool = True) -> str:
    """Tell, where a search says what it spent, what all searches for the sound did; if it does not say, add that."""
    own = f"after {oracle.queries[0]} queries and {oracle.gradients[0]} gradients"
    if own in text:
        return text.replace(own, f"{bill.text} in all")
    return f"{text} ({bill.text} in all)" if say else text
