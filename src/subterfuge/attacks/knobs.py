"""Checks of an attack's knobs, and what they come to beside a budget."""

from __future__ import annotations

import math

from subterfuge.errors import AttackError
from subterfuge.oracle import Oracle


def expect(attack: str, knob: str, value: float, least: float, most: float = math.inf) -> None:
    """Refuse a knob outside its range.

    >>> expect("noise", "draws", 3, 1)

    Raises:
        AttackError: it is, or it is not a number.
    """
    if not least <= value <= most:
        span = f"{least:g} or more" if most == math.inf else f"{least:g} to {most:g}"
        raise AttackError(f"{attack} {knob}={value:g}: {span} was expected")


def most_queries(oracle: Oracle, knob: int) -> int:
    """Give how many queries an attack may plan for each clip: a larger budget prevails over its own knob.

    Where the budget names no queries it is the knob. A smaller budget closes the clip by itself.
    """
    return knob if oracle.most_queries is None else max(knob, oracle.most_queries)
