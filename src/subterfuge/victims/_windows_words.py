"""What is told of a victim that is asked window by window: what windows mend of its warnings, and what they lose."""

from __future__ import annotations

import math
from collections.abc import Iterator

from subterfuge.victim import Victim


def words_of(victim: Victim, window: int, hop: int) -> tuple[str, ...]:
    """Give the warnings of a victim that are not about a length, and what of a sound no window brings to its ear.

    Args:
        victim: what is asked about windows.
        window: in samples.
        hop: in samples.
    """
    mended, rate = set(_mended(victim)), victim.sample_rate
    words = tuple(word for word in victim.warnings if word not in mended)
    if hop > window:
        gap, every = (hop - window) / rate, hop / rate
        words += (
            f"between windows, {gap:g} s of every {every:g} s are not heard: hop_seconds is above window_seconds",
        )
    heard = _heard_seconds(victim)
    if heard is None or window <= round(heard * rate):
        return words
    most = math.floor(heard * 1000) / 1000
    return (
        *words,
        f"of each window of {window / rate:g} s, what it wraps hears the first {most:g} s; what lies beyond is heard "
        f"where another window begins with it, or not at all; window_seconds = {most:g} loses nothing",
    )


def _mended(victim: Victim) -> Iterator[str]:
    """Give the warnings of a victim, and of what it wraps, that windows mend.

    A victim tells which these are by `about_length`, some of its `warnings`.
    """
    yield from getattr(victim, "about_length", ())
    for one in _inside(victim):
        yield from _mended(one)


def _heard_seconds(victim: Victim) -> float | None:
    """Give how much of a sound a victim hears, whatever lies around it, where that has an end."""
    own: float | None = getattr(victim, "heard_seconds", None)
    ends = [own, *(_heard_seconds(one) for one in _inside(victim))]
    return min((end for end in ends if end is not None), default=None)


def _inside(victim: Victim) -> Iterator[Victim]:
    """Give what a victim wraps; of one that takes any length nothing, for that tells of itself what is lost."""
    if getattr(victim, "takes_any_length", False):
        return
    inner = getattr(victim, "victim", None)
    yield from (inner,) if inner is not None else ()
    yield from getattr(victim, "members", ())
