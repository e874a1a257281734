"""Checks of an attack's knobs."""

from __future__ import annotations

import math

from subterfuge.errors import AttackError


def expect(attack: str, knob: str, value: float, least: float, most: float = math.inf) -> None:
    """Refuse a knob outside its range.

    >>> expect("noise", "draws", 3, 1)

    Raises:
        AttackError: it is, or it is not a number.
    """
    if not least <= value <= most:
        span = f"{least:g} or more" if most == math.inf else f"{least:g} to {most:g}"
        raise AttackError(f"{attack} {knob}={value:g}: {span} was expected")
