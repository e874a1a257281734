"""What an audit leaves beside its ledger: the page, JSON, a table, a test report; and what a terminal shows of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subterfuge.campaign.figures import Estimate, Figures, figures_of
from subterfuge.campaign.rows import Audit
from subterfuge.campaign.scorecard import Scorecard, scorecard_of
from subterfuge.report._audit_outcomes import audit_of, check_place, fitted, is_ledger
from subterfuge.report.audit_page import write_page
from subterfuge.report.exports import write_exports

PAGE = "audit.html"
Progress = Callable[[int, int], None]
HEAD = ("search", "won", "median SNR", "95 %", "noise to mask", "MOS", "queries", "gradients", "noise wins")


@dataclass(frozen=True)
class Audited:
    """An audit, what it comes to, and where that was written."""

    audit: Audit
    figures: Figures
    scorecard: Scorecard
    page: Path

    def rows(self) -> list[tuple[str, ...]]:
        """Give a line for each search, as texts, in the order of `HEAD`."""
        return [
            (
                one.probe,
                f"{one.won}/{one.asked}" + (f", {one.failed} failed" if one.failed else ""),
                _number(one.snr_db, " dB"),
                _interval(one.snr_db),
                _number(one.nmr_db, " dB"),
                _number(one.mos, "", 2),
                _number(one.queries, "", 0),
                _number(one.gradients, "", 0),
                f"{one.noise.as_good}/{one.noise.wins}",
            )
            for one in self.figures.searches
        ]

    def json(self) -> dict[str, Any]:
        """Give what was found as plain JSON values, without the rows, which stand in audit.json."""
        return {
            "schema": 1,
            "setting": dict(self.audit.setting),
            "complete": self.audit.complete,
            "figures": self.figures.json(),
            "scorecard": self.scorecard.json(),
            "doubts": [dict(one) for one in self.audit.doubts],
            "notes": list(self.audit.notes),
            "page": str(self.page),
        }


def write_audit(audit: Audit, folder: Path, progress: Progress = lambda done, total: None) -> Audited:
    """Write the page and its companions into an audit's folder, each in one step.

    Args:
        audit: finished, or as far as it came.
        folder: of the audit.
        progress: called with how many wins are drawn on the page, and of how many.

    Raises:
        OutputError: the folder cannot be written.
    """
    figures = figures_of(audit)
    scorecard = scorecard_of(audit, figures)
    write_exports(audit, figures, scorecard, folder)
    page = write_page(audit, figures, scorecard, folder / PAGE, progress=progress)
    return Audited(audit, figures, scorecard, page)


def write_report(
    sources: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> Audited:
    """Make the page again from what is stored: a ledger, or outcomes of single attacks. Nobody is asked anything.

    A ledger's own page, and the exports beside it, are made of the ledger, and so are written over without `force`.

    Args:
        sources: a ledger or the folder of one, or outcomes, sounds beside them, folders of them.
        out: the page; beside the ledger, or ``audit.html`` in the current folder, if None.
        force: overwrite what stands there, unless the page is made of it.
        progress: called with how much of how much is read, and then drawn.

    Raises:
        InputError: there is nothing to be read, or something else than results.
        OutputError: the place cannot be written, or holds something.
    """
    audit = audit_of(sources, progress)
    stored = is_ledger(Path(sources[0]))
    place = Path(out) if out is not None else (audit.folder if stored else Path()) / PAGE
    own = stored and place.resolve() == (audit.folder / PAGE).resolve()
    check_place(place, audit, sources, force or own)
    figures = figures_of(audit)
    scorecard = scorecard_of(audit, figures)
    scorecard = scorecard if stored else fitted(scorecard, audit)
    if own:
        write_exports(audit, figures, scorecard, audit.folder)
    written = write_page(audit, figures, scorecard, place, force=force or own, progress=progress)
    return Audited(audit, figures, scorecard, written)


def _number(one: Estimate, unit: str, digits: int = 1) -> str:
    return "none" if one.value is None else f"{one.value:.{digits}f}{unit}"


def _interval(one: Estimate) -> str:
    ends = ("none" if end is None else f"{end:.1f}" for end in (one.low, one.high))
    return " to ".join(ends) if one.value is not None else ""
