"""Every error that a user can meet.

::

    SubterfugeError            something that we can explain in one paragraph
     ├── InputError            the user's mistake: exit code 2
     │    ├── ClipError        a sound file that cannot be read, or not as asked
     │    ├── CardError        a victim card, or what it points to
     │    ├── UntrustedModel   a model file that wants to run code
     │    ├── ThreatError      a goal, a limit or a budget that makes no sense
     │    ├── AttackError      an unknown attack or knob, or one that this victim cannot serve
     │    ├── TransformError   an unknown transform, or one that this sound cannot be put through
     │    ├── OutputError      a place that cannot be written, or holds something already
     │    └── MissingExtra     an optional library that is not installed
     └── VictimError           the victim died, or answered nonsense: exit code 4

A message says what was wrong, its value, what was expected, and what to try.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from operator import index


class SubterfugeError(Exception):
    """Something that we can explain in one paragraph, or in the lines that it is made of."""

    exit_code = 2

    def __str__(self) -> str:
        """Give the text, its lines joined."""
        return "\n".join(map(str, self.args))


class InputError(SubterfugeError):
    """The user's mistake."""


class ClipError(InputError):
    """A sound file that cannot be read, or not as asked."""


class CardError(InputError):
    """A victim card, or what it points to."""


class UntrustedModel(InputError):
    """A model file that wants to run code."""


class ThreatError(InputError):
    """A goal, a limit or a budget that makes no sense."""


class AttackError(InputError):
    """An unknown attack or knob, or one that this victim cannot serve."""


class TransformError(InputError):
    """An unknown transform, or one that this sound cannot be put through."""


class OutputError(InputError):
    """A place that cannot be written, or holds something already."""


class MissingExtra(InputError):
    """An optional library that is not installed."""


class VictimError(SubterfugeError):
    """The victim died, or answered nonsense."""

    exit_code = 4


MOST_SEED = 2**32 - 1
"""The largest seed: numpy's older generators, by which scikit-learn draws, take no larger one."""


def check_seed(seed: int) -> None:
    """Refuse a seed that some generator does not take.

    Raises:
        InputError: no whole number, or one below 0 or above `MOST_SEED`.
    """
    try:
        fits = 0 <= index(seed) <= MOST_SEED
    except TypeError:
        fits = False
    if not fits:
        raise InputError(f"seed {seed!r}: a whole number from 0 to {MOST_SEED} was expected")


def nearest(word: str, known: Iterable[str], *, most: int = 3) -> str:
    """Say which known words are near to a mistyped one, and which there are.

    >>> nearest("flute", ["flu", "tru", "voi"])
    'did you mean flu? Known: flu, tru, voi'
    >>> nearest("xyz", ["flu", "tru"])
    'known: flu, tru'
    """
    words = list(known)
    close = get_close_matches(word, words, n=most, cutoff=0.5)
    if not close:
        lower = {known.lower(): known for known in words}
        close = [lower[near] for near in get_close_matches(word.lower(), lower, n=most, cutoff=0.5)]
    everything = ", ".join(words)
    return f"did you mean {' or '.join(close)}? Known: {everything}" if close else f"known: {everything}"
