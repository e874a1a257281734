"""Which windows a victim can be asked in: lengths, hops, and the words for how answers are pooled and sounds end."""

from __future__ import annotations

from subterfuge.errors import InputError, nearest
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims._windows_pool import POOLS

RESTS = ("shift", "pad", "drop")
MOST_SECONDS = 600.0
"""The longest window."""
FINEST = 100
"""The most windows that a sample may lie in."""


def samples_of(victim: Victim, window_seconds: float, hop_seconds: float | None) -> tuple[int, int]:
    """Give the length of a window and the hop in samples; without a hop it is the window.

    Raises:
        InputError: a number makes no sense, or the victim takes no such window.
    """
    rate = victim.sample_rate
    if not 0 < window_seconds <= MOST_SECONDS or round(window_seconds * rate) < 1:
        raise InputError(
            f"window_seconds = {window_seconds:g}; a length above 0 and up to {MOST_SECONDS:g} s was expected"
        )
    hop_seconds = window_seconds if hop_seconds is None else hop_seconds
    if not window_seconds / FINEST <= hop_seconds <= MOST_SECONDS or round(hop_seconds * rate) < 1:
        raise InputError(
            f"hop_seconds = {hop_seconds:g}; from {window_seconds / FINEST:g} (a hundredth of the window) to "
            f"{MOST_SECONDS:g} s was expected"
        )
    window, hop = (round(seconds * rate) for seconds in (window_seconds, hop_seconds))
    takes = getattr(victim, "length", None)
    if takes is not None and not takes.takes(window):
        raise InputError(
            f"window_seconds = {window_seconds:g} is {window} samples at {rate} Hz, and {victim.name} takes {takes}"
        )
    return window, hop


def check_words(victim: Victim, pool: str, rest: str) -> None:
    """Refuse words that are not known, or that have no meaning for a victim.

    Raises:
        InputError: so it is.
    """
    for key, word, known in (("pool", pool, POOLS), ("rest", rest, RESTS)):
        if word not in known:
            raise InputError(f'{key} = "{word}"; {nearest(word, known)}')
    if victim.gives == Gives.LABELS and pool != "mean":
        raise InputError(
            f'pool = "{pool}", and {victim.name} gives labels only; "mean" counts in how many windows it says each'
        )


def check_largest(victim: Victim, pool: str, *, chances: bool) -> None:
    """Refuse the largest of what has none.

    Args:
        victim: any.
        pool: how its answers become one.
        chances: whether they are probabilities.

    Raises:
        InputError: so it is.
    """
    if pool == "max" and victim.kind is Kind.DUELS and not chances:
        raise InputError(
            f'pool = "max", and {victim.name} gives pairwise decision values without probabilities, which have no '
            'largest; use pool = "mean"'
        )
