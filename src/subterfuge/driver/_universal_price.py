"""What a universal sound costs where the victim is paid by the query: refused before the first of them if too much."""

from __future__ import annotations

from collections.abc import Sequence

from subterfuge.driver._universal_climb import Climb
from subterfuge.driver._universal_evolve import Evolve
from subterfuge.driver.service import Bill
from subterfuge.errors import InputError


def check_affordable(
    service: Bill | None,
    how: Climb | Evolve,
    clips: int,
    rounds: Sequence[tuple[list[int], list[int]]],
    each: int,
    *,
    on_itself: bool,
) -> None:
    """Refuse to begin what the queries that are left do not suffice for.

    Args:
        service: of the victim, None where it counts nothing.
        how: each sound is learned.
        clips: how many are given; the victim is asked about each as it comes.
        rounds: the clips that each sound is learned from and judged on, if all of them are.
        each: questions about each clip that judges.
        on_itself: whether the sounds are learned on the victim, and not on a twin or another.

    Raises:
        InputError: too few queries are left.
    """
    left = None if service is None else service.queries_left
    if service is None or left is None:
        return
    learning = 0
    if on_itself:
        steps = how.queries if isinstance(how, Evolve) else how.steps * how.batch
        learning = len(rounds) * (steps + 1)  # and one for the unit of the margins
    judging = sum(len(judged) for _, judged in rounds) * each
    if clips + learning + judging <= left:
        return
    parts = [f"{clips} about the clips as they come", f"{judging} to judge ({each} of a clip)"]
    ways = ["fewer clips", f"fewer --draws and --starts ({each} questions about each clip that judges)"]
    if learning:
        parts.insert(1, f"{learning} to learn" + (f" {len(rounds)} sounds" if len(rounds) > 1 else ""))
    if learning and isinstance(how, Evolve):
        most = (left - clips - judging) // len(rounds) - 1
        ways = [f"--queries {most} or fewer"] if most >= how.least else ["fewer --queries", *ways]
    raise InputError(
        f"the victim {service.name} answers {left} more queries, and a universal sound asks up to "
        f"{clips + learning + judging}: {', '.join(parts)}; give {', or '.join(ways)}, or raise most_queries on its "
        "card"
    )
