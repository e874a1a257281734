"""Tell what is wrong with a victim: the conformance check for anything that claims to be one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from subterfuge.errors import InputError
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims.check import answers, slopes
from subterfuge.victims.check.session import FEWEST, Level, Session, said_of
from subterfuge.victims.check.speed import TIMES, Timing


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    level: Level
    says: str
    """One sentence, with numbers."""


@dataclass(frozen=True)
class Report:
    """What every check found; `dataclasses.asdict` makes it fit for JSON."""

    victim: str
    findings: tuple[Finding, ...]
    asked: int = 0
    """Sounds that the victim was asked about."""
    probable: bool = False
    """Whether it has probabilities."""
    sound_seconds: float | None = None
    """Length of the sound that was timed; None where none was."""
    query_ms: float | None = None
    """Of one query, in a batch where that is quicker."""
    gradient_ms: float | None = None
    """Of one gradient of what a white-box attack climbs on; None where there is none."""

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings that make the victim unfit."""
        return tuple(each for each in self.findings if each.level == "failure")


def check_victim(
    victim: Victim,
    clips: Sequence[np.ndarray[Any, Any]] = (),
    *,
    seed: int = 0,
    names: Sequence[str] = (),
    borrowed: bool = False,
    queries: int | None = None,
    paid: Callable[[], int] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Ask a victim everything that an attack relies on. It never raises: a victim that does is a finding.

    Args:
        victim: what claims to be one.
        clips: waves as the victim would hear them, each (T,), at its rate. Made sounds are asked too, as long as the
            first clip, or as `victim.probe_seconds` or a second.
        seed: of the made sounds and of the directions in which slopes are compared.
        names: of the clips.
        borrowed: the clips are nobody's own, so that a victim may refuse one of them as it may a made sound.
        queries: most sounds to ask about, 2 or more, for a victim whose answers cost: every one once, the first twice.
        paid: gives how many the victim has counted, which is more where it keeps no answers; `queries` bounds that.
        progress: called with what is looked at, and how many things were and are to be.

    Returns:
        Findings by the names of `CHECKS`; "protocol" alone if the victim lacks what every victim has.

    Raises:
        InputError: fewer queries than 2.
    """
    if queries is not None and queries < FEWEST:
        raise InputError(f"{queries} queries: {FEWEST} or more were expected, for a sound is asked about twice")
    name = _try(lambda: str(victim.name), "?")
    found = [_guarded("protocol", lambda: _protocol(victim))]
    if found[0].level == "failure":
        return Report(name, tuple(found))
    tell = None if progress is None else lambda done, total: progress("answers", done, total)
    session = Session(victim, clips, seed, names=names, borrowed=borrowed, queries=queries, paid=paid, tell=tell)
    timing = Timing(session)
    for done, (key, check) in enumerate(CHECKS.items()):
        if progress is not None and done:
            progress(key, done, len(CHECKS))
        found.append(_guarded(key, lambda check=check: check(session)))  # type: ignore[misc]
    found.append(_guarded("speed", timing.says))
    probable = any(getattr(answer, "chances", None) is not None for answer in session.heard.values())
    return Report(name, tuple(found), session.asked, probable, timing.seconds, timing.query_ms, timing.gradient_ms)


def questions(victim: Victim, clips: int, queries: int | None = None) -> int:
    """Say how many sounds a check asks a victim about at the most, where it is given so many clips."""
    sounds = clips + len(Session(victim, (), 0).made)
    if queries is not None:
        return min(queries, sounds + 1)
    return 4 * sounds + TIMES


def _guarded(name: str, check: Callable[[], tuple[Level, str]]) -> Finding:
    try:
        level, says = check()
    except Exception as reason:
        return Finding(name, "failure", f"could not be checked: {said_of(reason)}")
    return Finding(name, level, says)


def _try(ask: Callable[[], str], otherwise: str) -> str:
    try:
        return ask()
    except Exception:
        return otherwise


def _protocol(victim: Victim) -> tuple[Level, str]:
    members = [each for each in dir(Victim) if not each.startswith("_")]
    lacks = [each for each in members if not hasattr(victim, each)]
    if lacks:
        return "failure", f"it lacks {', '.join(lacks)}"
    wrong = []
    labels = victim.labels
    if not isinstance(labels, tuple) or not all(isinstance(each, str) for each in labels):
        wrong.append("labels is no tuple of texts")
    elif len(labels) < 2 or len(set(labels)) < len(labels):
        wrong.append(f"labels are not two or more different ones: {labels}")
    if not isinstance(victim.sample_rate, int) or victim.sample_rate <= 0:
        wrong.append(f"sample_rate is {victim.sample_rate!r}, not a positive whole number")
    for name, kind in (("name", str), ("fingerprint", str), ("gives", Gives), ("kind", Kind), ("warnings", tuple)):
        if not isinstance(getattr(victim, name), kind):
            wrong.append(f"{name} is a {type(getattr(victim, name)).__name__}, not a {kind.__name__}")
    wrong += [f"{each} is no method" for each in ("decide", "scores", "probabilities") if not _callable(victim, each)]
    if wrong:
        return "failure", "; ".join(wrong)
    return "ok", f"it has all {len(members)} members of a victim; {len(labels)} labels, {victim.sample_rate} Hz"


def _callable(victim: Victim, name: str) -> bool:
    return callable(getattr(victim, name))


def _access(session: Session) -> tuple[Level, str]:
    victim = session.victim
    if victim.gives >= Gives.GRADIENTS:
        return "ok", f"it gives {victim.kind.value} with gradients: white box, and it is its own twin"
    what = "labels only" if victim.gives == Gives.LABELS else victim.kind.value
    if victim.twin is not None:
        return "ok", f"it gives {what} itself, and has a twin whose {victim.twin.kind.value} have gradients: white box"
    why = getattr(victim, "no_twin", None)
    if why:
        return "warning", f"it gives {what} and has no twin ({why}): black box only"
    return "ok", f"it gives {what} and has no twin: black box only"


CHECKS: dict[str, Callable[[Session], tuple[Level, str]]] = {
    "access": _access,
    "answers": answers.meanings,
    "shapes": answers.shapes,
    "finite": answers.finite,
    "determinism": answers.determinism,
    "batches": answers.batches,
    "agreement": answers.agreement,
    "probabilities": answers.sums,
    "twin": slopes.twin_gap,
    "gradient": slopes.gradient,
    "stand-ins": slopes.stand_ins,
    "flat": slopes.flat,
}
"""From the name of a finding to the check that makes it; "speed" comes after them."""
