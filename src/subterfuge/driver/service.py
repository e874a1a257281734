"""What a victim counts that is reached over a network: queries that were paid, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from subterfuge.errors import VictimError
from subterfuge.threat import Budget
from subterfuge.victim import Victim

JUDGING = 8
"""Queries that each search leaves to the judge, where the victim stops after a number of them."""
COUNTS = ("queries", "cached", "retries", "total")
DEEPEST = 10
"""Wrappers around one another that are looked into."""


@dataclass(frozen=True)
class Bill:
    """What some victims count from here on."""

    name: str
    """Of the victim that is attacked."""
    payees: tuple[Any, ...]
    """Each has `spent()`: queries, cached, retries, price, total and currency, and `queries_left`, None for no end."""
    before: tuple[Mapping[str, Any], ...]

    @property
    def queries_left(self) -> int | None:
        """How many more queries may be asked, None for no end: of several payees the least."""
        each = [one.queries_left for one in self.payees if one.queries_left is not None]
        return min(each, default=None)

    def counted(self) -> dict[str, Any]:
        """Give all that was counted so far, of several payees together; a price or currency that is not one is None."""
        return _whole([one.spent() for one in self.payees])

    def since(self) -> dict[str, Any]:
        """Give what was counted since, in the same way."""
        return _whole(
            [
                {key: now[key] - before[key] if key in COUNTS and now[key] is not None else now[key] for key in now}
                for now, before in zip((one.spent() for one in self.payees), self.before, strict=True)
            ]
        )

    def within(self, budget: Budget, announce: Callable[[str], None], searches: int = 1) -> Budget:
        """Give a budget that leaves the judge some of the queries after which the victim stops.

        Args:
            budget: of all searches together.
            announce: told where the budget is cut.
            searches: how many there are; the judge asks about each.

        Raises:
            VictimError: too few are left, or fewer than the budget names.
        """
        left, judging = self.queries_left, searches * JUDGING
        if left is None or (budget.queries is not None and budget.queries <= left - judging):
            return budget
        if budget.queries is not None:
            raise VictimError(
                f"the victim {self.name} answers {left} more queries, of which {judging} are the judge's, and "
                f"the search was to ask {budget.queries}; allow fewer (--queries), or raise most_queries on its card"
            )
        if left <= judging:
            raise VictimError(
                f"the victim {self.name} answers {left} more queries, and {judging + 1} or more are needed for "
                "an attack; raise most_queries on its card"
            )
        announce(
            f"the victim answers {left} more queries: the search may ask {left - judging}, the rest is the judge's"
        )
        return replace(budget, queries=left - judging)

    def affords(self, queries: int, searches: int = 1) -> bool:
        """Say whether so many queries may be asked, and the judge's besides, of which some may be asked before."""
        left = self.queries_left
        return left is None or queries + 2 * searches * JUDGING <= left


def bill_of(victim: Victim) -> Bill | None:
    """Begin to count what a victim, or what it wraps, is paid; None for one that counts nothing."""
    payees = tuple(_payees(victim, DEEPEST))
    return Bill(victim.name, payees, tuple(one.spent() for one in payees)) if payees else None


def _whole(bills: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    whole = dict(bills[0])
    for bill in bills[1:]:
        for key, value in bill.items():
            if key in COUNTS:
                known = [one for one in (whole[key], value) if one is not None]
                whole[key] = sum(known) if known else None
            elif whole[key] != value:
                whole[key] = None
    return whole


def words_of(bill: Mapping[str, Any]) -> str:
    """Say what was paid."""
    queries, total = int(bill.get("queries") or 0), float(bill.get("total") or 0.0)
    cost = f", {total:.3g} {bill.get('currency') or ''}".rstrip() if total else ""
    return f"{queries} {'query' if queries == 1 else 'queries'}{cost}"


def _payees(victim: Any, deep: int) -> Iterator[Any]:
    if victim is None or not deep:
        return
    if hasattr(victim, "spent"):
        yield victim
        return
    yield from _payees(getattr(victim, "victim", None), deep - 1)
    for one in getattr(victim, "members", ()):
        yield from _payees(one, deep - 1)
