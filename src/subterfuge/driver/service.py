"""What a victim counts that is reached over a network: queries that were paid, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from subterfuge.errors import VictimError
from subterfuge.threat import Budget
from subterfuge.victim import Victim

JUDGING = 8
"""Queries that a search leaves to the judge, where the victim stops after a number of them."""
COUNTS = ("queries", "cached", "retries", "total")


@dataclass(frozen=True)
class Bill:
    """What a victim counts from here on."""

    victim: Any
    """Has `spent()`: queries, cached, retries, price, total and currency, and `queries_left`, None for no end."""
    before: Mapping[str, Any]

    def since(self) -> dict[str, Any]:
        """Give what was counted since."""
        now = self.victim.spent()
        return {key: now[key] - self.before[key] if key in COUNTS and now[key] is not None else now[key] for key in now}

    def within(self, budget: Budget, announce: Callable[[str], None]) -> Budget:
        """Give a budget that leaves the judge some of the queries after which the victim stops.

        Raises:
            VictimError: too few are left, or fewer than the budget names.
        """
        left = self.victim.queries_left
        if left is None or (budget.queries is not None and budget.queries <= left - JUDGING):
            return budget
        if budget.queries is not None:
            raise VictimError(
                f"the victim {self.victim.name} answers {left} more queries, of which {JUDGING} are the judge's, and "
                f"the search was to ask {budget.queries}; allow fewer (--queries), or raise most_queries on its card"
            )
        if left <= JUDGING:
            raise VictimError(
                f"the victim {self.victim.name} answers {left} more queries, and {JUDGING + 1} or more are needed for "
                "an attack; raise most_queries on its card"
            )
        announce(
            f"the victim answers {left} more queries: the search may ask {left - JUDGING}, the rest is the judge's"
        )
        return replace(budget, queries=left - JUDGING)


def bill_of(victim: Victim) -> Bill | None:
    """Begin to count what a victim, or what it wraps, is paid; None for one that counts nothing."""
    inner: Any = victim
    for _ in range(10):
        if inner is None or hasattr(inner, "spent"):
            break
        inner = getattr(inner, "victim", None)
    return None if inner is None or not hasattr(inner, "spent") else Bill(inner, inner.spent())
