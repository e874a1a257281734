"""Two audits side by side: on the clips, searches and targets that both have, what is more than noise?"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from subterfuge.campaign._comparing_figures import (
    Difference,
    Key,
    clean_apart,
    masked_apart,
    needed_apart,
    survival_apart,
)
from subterfuge.campaign._comparing_fit import apart, fit, unlike_searches
from subterfuge.campaign._figures_clips import CLEAN, tries_of
from subterfuge.campaign.holm import holm
from subterfuge.campaign.rows import Audit
from subterfuge.campaign.words import said
from subterfuge.errors import InputError
from subterfuge.outcome import finite

__all__ = ["ALPHA", "Comparison", "Difference", "compare", "value"]

ALPHA = 0.05
"""A difference is told from noise where Holm's p is at most this."""


@dataclass(frozen=True)
class Comparison:
    """What two audits say together."""

    a: str
    b: str
    """The victims' names."""
    common: int
    """Searches of one clip for one target that both have done."""
    only_a: int
    only_b: int
    rows: tuple[Difference, ...]
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    schema: int = 1

    def json(self) -> dict[str, Any]:
        """Give everything as plain JSON values."""
        plain = finite(asdict(self))
        assert isinstance(plain, dict)
        return plain


def compare(a: Audit, b: Audit, seed: int = 0) -> Comparison:
    """Set two audits side by side, on the clips (by content), searches and targets that both have.

    Args:
        a: what is compared with: the victim before.
        b: the victim after.
        seed: of the draws.

    Raises:
        InputError: they are of different protocols, versions or levels, or have no clip in common.
    """
    notes = fit(a, b)
    sides = tries_of(a), tries_of(b)
    done = [_done(one) for one in (a, b)]
    unlike = unlike_searches(a, b, notes)
    rows = [clean_apart(a, b), masked_apart(*sides) if "masked" not in unlike else None]
    limited = {str(one["name"]) for side in (a, b) for one in side.setting.get("searches", ()) if one.get("limit")}
    free = [probe for probe in sides[0].sees if probe in sides[1].sees and probe not in unlike | limited]
    rows += [needed_apart(probe, *sides, seed) for probe in free]
    if a.setting.get("survives") == b.setting.get("survives"):
        rows.append(survival_apart(*sides, unlike, seed))
    else:
        notes.append("their wins were put through different transforms: survival is not compared")
    there = [one for one in rows if one is not None]
    why = apart(a, b)
    if not there:
        raise InputError(
            "the two audits have nothing in common: no clip of the same content that both answered, or attacked with "
            "the same search and target; audit both victims on the same clips with the same seed"
            + "".join(f". Here {one}" for one in why)
        )
    notes += [f"little is in both: {one}" for one in why]
    adjusted = [
        replace(one, p_holm=p, word=one.word if p <= ALPHA else "no more than noise")
        for one, p in zip(there, holm([one.p for one in there]), strict=True)
    ]
    names = _name(a), _name(b)
    common = len(done[0] & done[1])
    return Comparison(
        *names,
        common,
        len(done[0]) - common,
        len(done[1]) - common,
        tuple(adjusted),
        tuple(_sentences(*names, adjusted)),
        tuple(notes),
    )


def _done(audit: Audit) -> set[Key]:
    return {
        (row.job.sha256, row.job.probe, row.job.target)
        for row in audit.rows
        if row.state == "done" and row.job.probe != CLEAN
    }


def _name(audit: Audit) -> str:
    return said(audit.setting.get("victim", {}).get("name", "victim"))


def _sentences(a: str, b: str, rows: list[Difference]) -> list[str]:
    told = []
    for word in ("better", "worse"):
        told += [
            f"B ({b}) is {word} than A ({a}) in {one.name}: {value(one.a, one.unit)} before, {value(one.b, one.unit)} "
            f"after (Holm's p {one.p_holm:.2g})."
            for one in rows
            if one.word == word
        ]
    rest = [one.name for one in rows if one.word == "no more than noise"]
    if rest:
        told.append(f"No more than noise: {'; '.join(rest)}.")
    told.append(
        f"{len(rows)} difference{'s were' if len(rows) > 1 else ' was'} looked at, so each p is adjusted for all of "
        f"them (Holm) and told from noise at {ALPHA:g}; the intervals are not adjusted."
    )
    return told


def value(number: float | None, unit: str) -> str:
    """Show a figure in its unit; a median that is none, as lost."""
    if number is None:
        return "lost"
    return f"{number:.1f} dB" if unit == "dB" else f"{100 * number:.0f} %"
