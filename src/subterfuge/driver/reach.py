"""What can be done to a victim: its check, the attacks that can search on it, what they take, and one sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subterfuge.attacks import ATTACKS, climbs, knobs_of
from subterfuge.attacks.noise import levels_db
from subterfuge.audio import MAX_SECONDS, Clip
from subterfuge.driver.fit import default_attack
from subterfuge.driver.service import bill_of
from subterfuge.outcome import finite
from subterfuge.threat import Threat
from subterfuge.training.demo_data import embedded_clips
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims.check import Finding, Report, check_victim, questions

AFFORDABLE = 10
"""Most questions to a victim that counts what it is asked, where no number is given."""
EMBEDDED = ("flu", "gel")
"""Which of the demo's clips are asked about where none is given."""
TYPICAL = {"quietest": 800, "pgd": 750, "genetic": 2300, "study-ga": 2300, "hopskipjump": 10_000, "kenansville": 30}
"""Gradients or queries of a run with the default knobs, of the attacks that have no knob for that."""


@dataclass(frozen=True)
class Way:
    """One attack that can search on a victim."""

    attack: str
    sees: str
    """What it needs: gradients, scores or labels."""
    on: str
    """What it searches on: the victim itself, or its twin."""
    count: int
    """Gradients or queries of a run with the default knobs, as they mostly are, or at the most."""
    most: bool
    """Whether `count` is the most, of an attack that may end with far fewer."""
    minutes: float | None
    """Of what it searches on, on the sound that was timed; None where nothing was."""
    price: float | None
    """Of its queries, where the victim has a price."""
    limit: bool
    """Whether it needs a limit."""
    default: bool
    """Whether it is chosen where none is named."""


@dataclass(frozen=True)
class Reach:
    """What a check found, and what can therefore be done."""

    victim: str
    findings: tuple[Finding, ...]
    attacks: tuple[Way, ...]
    goals: tuple[str, ...]
    verdict: str
    """One sentence."""
    fit: bool
    """Whether no finding is a failure."""
    asked: int
    query_ms: float | None
    gradient_ms: float | None
    sound_seconds: float | None
    spent: dict[str, Any] | None
    """What the victim counts since it was loaded; None of one that counts nothing."""
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Give a dictionary of plain JSON values."""
        plain = finite(asdict(self))
        assert isinstance(plain, dict)
        return plain


def sounds_for(
    victim: Victim, paths: Sequence[Path] = (), *, max_seconds: float = MAX_SECONDS
) -> tuple[list[NDArray[np.float32]], list[str]]:
    """Give the clips that a victim is checked with, as it hears them, and their names; without any, two of the demo's.

    Those are cut to `victim.probe_seconds`, or a second, for a victim may take one length only.

    Raises:
        ClipError: one cannot be read.
    """
    if paths:
        clips = [Clip.read(path, max_seconds=max_seconds) for path in paths]
        return [clip.mono(victim.sample_rate) for clip in clips], [clip.name for clip in clips]
    clips = [Clip.read(path) for path in embedded_clips() if path.name[1:4] in EMBEDDED]
    length = round(victim.sample_rate * float(getattr(victim, "probe_seconds", 1.0)))
    waves = [clip.mono(victim.sample_rate) for clip in clips]
    return [np.resize(wave[len(wave) // 6 :], length) for wave in waves], [clip.name for clip in clips]


def planned(victim: Victim, clips: int, queries: int | None = None) -> tuple[int, dict[str, Any] | None]:
    """Say how many sounds `reach` asks a victim about at the most, and what one that counts them has counted so far."""
    bill = bill_of(victim)
    return questions(victim, clips, _most(bill, queries)), None if bill is None else bill.counted()


def reach(
    victim: Victim,
    clips: Sequence[NDArray[np.float32]] = (),
    *,
    names: Sequence[str] = (),
    borrowed: bool = False,
    seed: int = 0,
    queries: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Reach:
    """Check a victim, and say which attacks and goals it is open to.

    Args:
        victim: any; what is wrong with it is a finding, never an error.
        clips: waves (T,) as it would hear them.
        names: of the clips.
        borrowed: the clips are the demo's, so that a victim may refuse one of them.
        seed: of what the check makes.
        queries: most questions; by default what the checks need, and `AFFORDABLE` of a victim that counts them.
        progress: called with what is looked at, and how many things were and are to be.

    Raises:
        InputError: fewer queries than 2.
    """
    bill = bill_of(victim)
    paid = None if bill is None else lambda: int(bill.counted()["queries"])
    most = _most(bill, queries)
    report = check_victim(
        victim, clips, seed=seed, names=names, borrowed=borrowed, queries=most, paid=paid, progress=progress
    )
    protocol = report.findings[0].level != "failure"
    spent = None if bill is None else bill.counted()
    ways = ways_of(victim, report, None if spent is None else spent["price"]) if protocol else ()
    goals = goals_of(victim, report) if protocol else ()
    findings = report.findings
    if protocol:
        currency = None if spent is None else spent["currency"]
        findings += (Finding("attacks", "ok", _attacks_text(ways, report, currency)), _goals_finding(victim, goals))
    return Reach(
        victim=report.victim,
        findings=findings,
        attacks=ways,
        goals=goals,
        verdict=_verdict(report, findings, ways),
        fit=not report.failures,
        asked=report.asked,
        query_ms=report.query_ms,
        gradient_ms=report.gradient_ms,
        sound_seconds=report.sound_seconds,
        spent=spent,
        warnings=tuple(victim.warnings) if protocol else (),
    )


def ways_of(victim: Victim, report: Report, price: float | None = None) -> tuple[Way, ...]:
    """Give the attacks that can search on a victim or its twin, and what a run of each takes there.

    Args:
        victim: any.
        report: of its check.
        price: of a query.
    """
    twin = victim.twin
    best = default_attack(Threat(), victim)
    ways = []
    for name, kind in ATTACKS.items():
        itself = victim.gives >= kind.needs
        if not itself and (twin is None or twin.gives < kind.needs):
            continue
        slopes = kind.needs is Gives.GRADIENTS
        count, most = _count(name)
        each = report.gradient_ms if slopes else report.query_ms
        minutes = None if each is None else count * each / 60_000
        on = "itself" if itself else "its twin"
        paid = count * price if price and itself else None
        sees, limit = kind.needs.name.lower(), kind.seeks == "margin"
        ways.append(Way(name, sees, on, count, most, minutes, paid, limit, name == best))
    return tuple(ways)


def goals_of(victim: Victim, report: Report) -> tuple[str, ...]:
    """Give the goals that a victim is open to."""
    goals = ["targeted", "untargeted"]
    scores = max(victim.gives, Gives.LABELS if victim.twin is None else victim.twin.gives) >= Gives.SCORES
    if report.probable:
        goals.append("confident")
    if scores and any(climbs(kind) for kind in ATTACKS.values()):
        goals.append("maximise")
    if victim.kind is Kind.TAGS and victim.gives >= Gives.SCORES:
        goals += ["tag+", "tag-"]
    return tuple(goals)


def _most(bill: Any, queries: int | None) -> int | None:
    if bill is None:
        return queries
    left = bill.queries_left
    most = AFFORDABLE if queries is None else queries
    return most if left is None else max(2, min(most, left))


def _count(name: str) -> tuple[int, bool]:
    """Give the gradients or queries of a run, and whether these are the most, with another attack that takes over."""
    knobs = knobs_of(ATTACKS[name])
    if name == "noise":
        return int(knobs["draws"]) * len(levels_db(knobs["quietest_db"], knobs["loudest_db"], knobs["step_db"])), False
    own = int(knobs.get("queries", TYPICAL.get(name, 0)))
    if knobs.get("resign", 0) > 0:
        return max(own, int(knobs["resign"]) + int(knobs["guided"])), True
    return own, False


def _attacks_text(ways: Sequence[Way], report: Report, currency: str | None) -> str:
    told = []
    for sees, what in (("gradients", "white box"), ("scores", "black box, scores"), ("labels", "black box, labels")):
        some = [way for way in ways if way.sees == sees]
        if some:
            on = f" on {some[0].on}" if some[0].on != "itself" else ""
            told.append(f"{what}{on}: {', '.join(_way_text(way, currency) for way in some)}")
    says = "; ".join(told)
    if report.sound_seconds is not None:
        says += f" (the victim's time alone, for {report.sound_seconds:.3g} s of sound)"
    return says


def _way_text(way: Way, currency: str | None) -> str:
    up = "up to " if way.most else ""
    notes = [f"{up}{way.count:,} {'gradients' if way.sees == 'gradients' else 'queries'}"]
    if way.minutes is not None:
        notes.append(_minutes(way.minutes))
    if way.price:
        notes.append(f"{way.price:,.4g} {currency or ''}".rstrip())
    if way.limit:
        notes.append("with a --limit")
    if way.default:
        notes.append("the default")
    return f"{way.attack} ({', '.join(notes)})"


def _minutes(minutes: float) -> str:
    """Say how long something takes.

    >>> _minutes(0.004), _minutes(0.4), _minutes(3.2), _minutes(200)
    ('under a second', '24 s', '3 min', '3.3 h')
    """
    if minutes < 1 / 60:
        return "under a second"
    if minutes < 1:
        return f"{60 * minutes:.0f} s"
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def _goals_finding(victim: Victim, goals: Sequence[str]) -> Finding:
    lacks = []
    if "confident" not in goals:
        lacks.append("confident needs probabilities, and it has none")
    if "maximise" not in goals:
        lacks.append("maximise needs scores")
    if victim.kind is Kind.TAGS and "tag+" in goals:
        lacks.append("it tags, so confident is about the one tag alone")
    return Finding("goals", "ok", "; ".join([", ".join(goals), *lacks]))


def _verdict(report: Report, findings: Sequence[Finding], ways: Sequence[Way]) -> str:
    if report.failures:
        names = ", ".join(each.name for each in report.failures)
        return f"{report.victim} is not fit to be attacked ({names}): mend that first, or no result means anything"
    best = next((way for way in ways if way.default), None)
    if best is None:
        return f"{report.victim} answers soundly, and no attack can search on it"
    box = {"gradients": "white-box", "scores": "black-box", "labels": "label-only"}[best.sees]
    where = " on its twin" if best.on != "itself" else ""
    up = "up to " if best.most and (best.minutes or 0) >= 1 / 60 else ""
    takes = "" if best.minutes is None else f", {up}{_minutes(best.minutes)} of the victim's time a clip"
    doubts = [each.name for each in findings if each.level == "warning"]
    unasked = [each.name for each in findings if each.level == "not asked"]
    tail = f"; mind {', '.join(doubts)}" if doubts else ""
    tail += f"; not asked: {', '.join(unasked)}" if unasked else ""
    return f"{report.victim} is fit for {box} attacks{where}: {best.attack} by default{takes}{tail}"
