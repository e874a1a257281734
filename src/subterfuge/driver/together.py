"""Several attacks at once, whose questions to the victim become one batch.

Each attack is the ordinary one, with its own oracle, dice, judge and record; only what it asks the victim that it
searches on waits for the others, and goes through the victim with theirs, forward and backward, where the sounds are of
one length. The attacks take turns (`subterfuge.driver._turns`), so who asks with whom depends on what is attacked, in
which order and how many at once, and never on time: the same again gives the same bits. A clip hardly feels its
company: other batches are other roundings, so its verdict is that of an attack alone, its SNR within 0.1 dB.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from torch import Tensor

from subterfuge.attacks import Attack
from subterfuge.audio import Clip
from subterfuge.driver import attack
from subterfuge.driver._joined import Lent, Method, answer_all, ask_joined
from subterfuge.driver._turns import Turn, in_turns
from subterfuge.driver.service import bill_of
from subterfuge.errors import SubterfugeError
from subterfuge.oracle import Oracle
from subterfuge.outcome import Outcome
from subterfuge.threat import Threat
from subterfuge.transforms import Transform
from subterfuge.victim import Victim

Made = TypeVar("Made")
MOST = 4
"""Attacks at once. On one core larger batches of 3 s sounds leave the cache; a device, or a service that is waited for,
gains up to its `at_once`."""


class Seat:
    """What one of several calls at once holds: how it asks its victim with the others."""

    def __init__(self, turn: Turn[Any]) -> None:
        self._turn = turn

    def through(self, victim: Victim) -> Victim:
        """Give a victim to search on, whose answers come with those to the others: `attack(..., through=...)`.

        Its `search_clock` counts the seconds of this call's own work, and its share of what is asked together.
        """
        victim = victim.__dict__["_victim"] if isinstance(victim, Lent) else victim
        ask = partial(ask_joined, self._turn)
        return cast(Victim, Lent(victim, ask, search_clock=self._turn.clock))

    def watched(self, victim: Victim) -> Victim:
        """Give a victim that judges: it is asked as ever, and at each question an interrupted call ends."""

        def ask(victim: Victim, method: Method, wave: Tensor) -> Any:
            self._turn.check()
            return getattr(victim, method)(wave)

        return cast(Victim, Lent(victim, ask))

    def clock(self) -> float:
        """Give the seconds of this call's own work so far, and of its share of what was asked together."""
        return self._turn.clock()

    def tell(self, do: Callable[[], object]) -> None:
        """Have something done by the thread that called `together`."""
        self._turn.tell(do)


def together(calls: Sequence[Callable[[Seat], Made]], most: int = MOST) -> Iterator[tuple[int, Made | SubterfugeError]]:
    """Make calls, some at once, and give the place of each and what it made, or its error, as they end.

    However the caller leaves, by an error, an interrupt, or by asking for no more, the calls end at their next question
    before it does, and what they were writing is removed.

    Args:
        calls: each is given its seat.
        most: calls at once; the next begins where one ends.

    Raises:
        ValueError: `most` is below 1.
        Exception: as a call raises it, if it is no `SubterfugeError`.
    """
    if most < 1:
        raise ValueError(f"most={most} calls at once; 1 or more were expected")
    seated = [lambda turn, call=call: call(Seat(turn)) for call in calls]
    turns = in_turns(seated, answer_all, most)
    with contextlib.closing(cast(Any, turns)):
        for turn in turns:
            if turn.error is None:
                yield turn.place, cast(Made, turn.made)
            elif isinstance(turn.error, SubterfugeError):
                yield turn.place, turn.error
            else:
                raise turn.error


def attack_together(
    clips: Sequence[Clip | str | Path],
    victim: Victim,
    threats: Sequence[Threat | None] | Threat | None = None,
    seeds: Sequence[int] | int = 0,
    *,
    by: Sequence[Attack | str | None] | Attack | str | None = None,
    out: Sequence[str | Path | None] | str | Path | None = None,
    most: int = MOST,
    force: bool = False,
    keep_container: bool = False,
    control: int = 20,
    on: Victim | None = None,
    starts: Sequence[Clip | str | Path] | None = None,
    robust: Sequence[Transform] | str | None = None,
    progress: Callable[[int, Oracle], None] | None = None,
    told: Callable[[int, Outcome | SubterfugeError], None] | None = None,
    commands: Sequence[str | None] | None = None,
    card: str | Path | None = None,
) -> list[Outcome | SubterfugeError]:
    """Attack clips as `attack` does each of them, several at once.

    Clips of one length should stand beside each other, for only those share passes. An error of one does not stop the
    others; what fails in a joined pass is asked again alone, so that only whose fault it is meets it. The seconds of a
    budget, and those of a record, are of an attack's own work and its share of what it asked with others.

    Args:
        clips: sounds, or paths of some.
        victim: whom to fool.
        threats: one for each clip, or one for all.
        seeds: as `threats`.
        by: as `threats`: an attack, its name, or None.
        out: one file for each clip, or a folder for all.
        most: attacks at once.
        force, keep_container, control, on, starts, robust, card: as of `attack`, for all.
        progress: called with a clip's place and its oracle, a few times a second, by the calling thread.
        told: called with a clip's place and what came of it as soon as it is known, by the calling thread.
        commands: how a user can repeat each, for the record.

    Returns:
        For each clip its outcome, or the error that `attack` would have raised.

    Raises:
        ValueError: there are not as many threats, seeds, attacks, places or commands as clips.
        Exception: an error that nobody foresaw, at which all of them end.
    """
    rows = len(clips)
    if isinstance(out, str | Path):
        out = f"{out}/"
    each = zip(
        clips,
        _each("threats", threats, rows),
        _each("seeds", seeds, rows),
        _each("attacks", by, rows),
        _each("places", out, rows),
        _each("commands", commands, rows),
        strict=True,
    )

    def one(
        place: int,
        clip: Clip | str | Path,
        threat: Threat | None,
        seed: int,
        method: Attack | str | None,
        where: str | Path | None,
        command: str | None,
        seat: Seat,
    ) -> Outcome:
        def tell(oracle: Oracle) -> None:
            if progress is not None:
                seat.tell(partial(progress, place, oracle))

        return attack(
            clip,
            seat.watched(victim),
            threat,
            seed,
            by=method,
            out=where,
            force=force,
            keep_container=keep_container,
            control=control,
            on=on,
            starts=starts,
            robust=robust,
            progress=None if progress is None else tell,
            command=command,
            card=card,
            through=seat.through,
        )

    calls = [partial(one, place, *given) for place, given in enumerate(each)]
    made: list[Outcome | SubterfugeError | None] = [None] * rows
    with _no_empty_folders(out):
        for place, result in together(calls, at_once_for(victim, most)):
            made[place] = result
            if told is not None:
                told(place, result)
    return cast(list[Outcome | SubterfugeError], made)


def at_once_for(victim: Victim, most: int) -> int:
    """Give how many attacks on a victim may go on at once: one, where it counts what each is to pay."""
    return most if bill_of(victim) is None else 1


def _each(what: str, given: Any, rows: int) -> Sequence[Any]:
    """Give one of something for each clip."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        return [given] * rows
    if len(given) != rows:
        raise ValueError(f"{len(given)} {what} for {rows} clips; one for each was expected")
    return given


@contextlib.contextmanager
def _no_empty_folders(out: Sequence[str | Path | None] | str | Path | None) -> Iterator[None]:
    """Remove, at the end, the folders above some places that were not there before and hold nothing.

    An attack removes those that it made itself, but not those that another was still writing in.
    """
    places = [out] if isinstance(out, str | Path) else list(out or ())
    named = [Path.cwd() / place for place in places if place is not None]
    missing = {folder for place in named for folder in (place, *place.parents) if not folder.exists()}
    try:
        yield
    finally:
        for folder in sorted(missing, key=lambda path: len(path.parts), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
