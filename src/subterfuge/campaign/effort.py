"""How hard an audit tries: the same for every victim of it."""

from __future__ import annotations

from dataclasses import dataclass

from subterfuge.attacks.quietest import Quietest
from subterfuge.driver.fit import QUIETEST
from subterfuge.errors import InputError, nearest
from subterfuge.victim import Gives, Victim


@dataclass(frozen=True)
class Effort:
    """Knobs of the searches."""

    name: str
    white: Quietest
    """Searches with gradients; its `race` is what an audit's seconds go into."""
    queries: int
    """Most queries of the black box that the white box is doubted by, and of victims that have no gradients."""
    doubted: int
    """On how many cases the black box is tried."""


EFFORTS: dict[str, Effort] = {
    "quick": Effort(
        "quick", Quietest(starts=(float("inf"), 46.0, 46.0), even=1, race=(30, 60, 150), keep=(2, 1)), 600, 2
    ),
    "standard": Effort(
        "standard",
        Quietest(starts=(float("inf"), 46.0, 40.0, 46.0), even=1, race=(40, 100, 200), keep=(2, 1)),
        1500,
        4,
    ),
    "thorough": Effort("thorough", Quietest(), 4000, 8),
}


def effort_of(name: str) -> Effort:
    """Give the effort of a name.

    Raises:
        InputError: there is none.
    """
    if name not in EFFORTS:
        raise InputError(f"effort '{name}' is not known; {nearest(name, EFFORTS)}")
    return EFFORTS[name]


def black_box(victim: Victim) -> str:
    """Name the attack on a victim whose gradients are not used."""
    return QUIETEST[min(victim.gives, Gives.SCORES)]


def has_slope(victim: Victim) -> bool:
    """Say whether a search on a victim or its twin has gradients."""
    return Gives.GRADIENTS in (victim.gives, victim.gives if victim.twin is None else victim.twin.gives)
