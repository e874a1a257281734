"""Is it still the model that was audited? A fingerprint covers what a card names, and not all that its code loads.

So before an audit goes on, some of the clips that were scored are asked about again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from subterfuge.audio import Clip
from subterfuge.campaign.rows import Audit, Row
from subterfuge.driver import score
from subterfuge.driver.service import bill_of
from subterfuge.errors import ClipError, OutputError, VictimError
from subterfuge.victim import Victim
from subterfuge.victims.afresh import forgetful

ALIKE = 5e-3
"""By how much a probability may differ, or a score as a part of the largest: other batches, cores and devices round
otherwise, and far less."""
NUMBERS, LABELS = 2, 8
"""Clips that are asked about where the victim gives numbers, and where it gives labels, which tell less."""
DRAWS, LABEL_DRAWS = 6, 40
"""Times that a victim is asked the same before it counts as one that does not draw its answers, or its labels, of which
a rare one may stand in the ledger."""

Said = Mapping[str, Any]


def said_of(clip: Clip, victim: Victim) -> dict[str, Any]:
    """Give what the row of a clip as it comes keeps of a victim's answer: `answer`, `probabilities`, `scores`.

    Raises:
        VictimError: the victim died or answered nonsense.
    """
    said = score(clip, victim)
    scores = None if said["kind"] == "votes" else said["scores"]
    return {"answer": said["predicted"], "probabilities": said["probabilities"], "scores": scores}


def check_same(
    audit: Audit, victim: Victim, paths: Mapping[str, Path], max_seconds: float, announce: Callable[[str], None]
) -> list[str]:
    """Ask a victim about clips that it was asked about before, and hold its answers against the ledger's.

    Numbers are compared where it gives any, else labels, of which one of many refuses nothing; what it remembers does
    not count. One that is paid is asked about one clip. One that died, or has no clip that was scored, is not compared:
    its rows tell.

    Args:
        audit: with the rows of the clips as they come.
        victim: as it is now.
        paths: of the clips of this run, by the hash of the file.
        max_seconds: refuse a longer clip.
        announce: told of a question that is paid.

    Returns:
        Notes for readers: that it draws its answers, so that nothing can be compared, or that one label differs.

    Raises:
        OutputError: the model has changed.
    """
    rows = [row for row in audit.of("clean") if row.job.sha256 in paths]
    paid = bill_of(victim) is not None
    numbers = any(_numbers(row.result) for row in rows)
    asked = sorted(rows, key=_sure)[: 1 if paid else NUMBERS if numbers else LABELS]
    if paid and asked:
        announce("the victim is asked about 1 clip again, to see whether it answers as it did when the audit began")
    differ: list[Row] = []
    try:
        for row in asked:
            clip = Clip.read(paths[row.job.sha256], max_seconds=max_seconds)
            now = said_of(clip, forgetful(victim))
            if alike(row.result, now):
                continue
            more = (said_of(clip, forgetful(victim)) for _ in range(1 if paid else DRAWS if numbers else LABEL_DRAWS))
            if _drawn(audit) or any(not alike(now, one) for one in more):
                return [
                    "whether the victim is still the one with which this audit began cannot be told: what it answers "
                    f"of {row.job.name} changes from one time to the next"
                ]
            differ.append(row)
            if numbers or len(differ) > 1 or (len(asked) <= NUMBERS + 1 and not paid):
                raise OutputError(_changed(audit, row, now))
    except (VictimError, ClipError):
        return []
    return [
        f"of {row.job.name} the victim gives another label than it gave when this audit began: if the model behind its "
        "card was changed since, this audit is of two models"
        for row in differ
    ]


def alike(one: Said, other: Said) -> bool:
    """Say whether two answers to one clip are the same, but for rounding."""
    for name, room in (("probabilities", 1.0), ("scores", 0.0)):
        first, second = one.get(name), other.get(name)
        if first and second:
            pairs = [(first[label], second[label]) for label in first if label in second]
            known = [(float(a), float(b)) for a, b in pairs if a is not None and b is not None]
            size = room or max((abs(value) for pair in known for value in pair), default=0.0)
            return all(abs(a - b) <= ALIKE * size for a, b in known)
    return bool(one["answer"] == other["answer"])


def _numbers(said: Said) -> Said | None:
    return said.get("probabilities") or said.get("scores")


def _sure(row: Row) -> float:
    """Rank clips by how sure the victim was: of another model the doubtful ones differ first."""
    known: Sequence[float | None] = list((row.result.get("probabilities") or {}).values())
    return max((value for value in known if value is not None), default=1.0)


def _drawn(audit: Audit) -> bool:
    return any(doubt.get("sign") == "random answers" for doubt in audit.doubts)


def _changed(audit: Audit, row: Row, now: Said) -> str:
    victim = audit.setting["victim"]
    return (
        f"{audit.folder} holds the audit of another model: of {row.job.name} the victim {victim.get('name')} said "
        f"{_words(row.result, now)} then, and says {_words(now, row.result)} now. The model behind the card has "
        f"changed, although its fingerprint ({str(victim.get('fingerprint'))[:12]}) has not. Choose another --out, or "
        "put the old model back. Where a card of this kind has the key `files`, name there what the code loads: the "
        "fingerprint then covers it"
    )


def _words(said: Said, other: Said) -> str:
    """Tell an answer, and the number of it that differs most."""
    numbers, others = _numbers(said), _numbers(other)
    if not numbers or not others:
        return str(said["answer"])
    gaps = {
        label: abs(float(numbers[label]) - float(others[label]))
        for label in numbers
        if numbers[label] is not None and others.get(label) is not None
    }
    if not gaps:
        return str(said["answer"])
    most = max(gaps, key=lambda label: gaps[label])
    return f"{said['answer']} ({most}: {float(numbers[most]):.4g})"
