"""Several listeners together: who hears which pair, and in how much of the trials anybody does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subterfuge.campaign.holm import holm
from subterfuge.report.results import Read, Run, read_results
from subterfuge.report.trials import Count


@dataclass(frozen=True)
class Row:
    """One count, of one listener or of all, on one pair or on all."""

    pair: str | None
    """None: all pairs."""
    listener: str | None
    """None: all listeners."""
    runs: int
    count: Count
    p_holm: float | None
    """Adjusted for the rows beside it: all listeners on all pairs, or all pairs; None where it stands alone."""

    def as_json(self, alpha: float) -> dict[str, Any]:
        """Give plain JSON values."""
        (low, high), (heard_low, heard_high) = self.count.share, self.count.heard
        decides = self.count.p if self.p_holm is None else self.p_holm
        return {
            "pair": self.pair,
            "listener": self.listener,
            "runs": self.runs,
            "right": self.count.right,
            "trials": self.count.trials,
            "p": self.count.p,
            "p_holm": self.p_holm,
            "heard": decides <= alpha,
            "share_right_low": low,
            "share_right_high": high,
            "share_heard_low": heard_low,
            "share_heard_high": heard_high,
        }


@dataclass(frozen=True)
class Pooled:
    """What some listeners' results say together."""

    test: dict[str, Any]
    listeners: tuple[Row, ...]
    """Each listener on each pair."""
    pairs: tuple[Row, ...]
    """All listeners on each pair. If nobody hears anything, a sum of binomial counts is binomial too."""
    everything: Row
    skipped: tuple[str, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        alpha = self.test["settings"]["alpha"]
        return {
            "test": self.test,
            "listeners": [row.as_json(alpha) for row in self.listeners],
            "pairs": [row.as_json(alpha) for row in self.pairs],
            "everything": self.everything.as_json(alpha),
            "skipped": list(self.skipped),
            "notes": list(self.notes),
        }


def pool(paths: Sequence[str | Path]) -> Pooled:
    """Read what listeners saved, and count it together; every run counts that is whole and of the test.

    Raises:
        InputError: the files are of different tests, or hold no complete run.
    """
    return pooled(read_results(paths))


def pooled(read: Read) -> Pooled:
    """Count runs that were read."""
    names = [str(pair["name"]) for pair in read.test["pairs"]]
    of: dict[str, list[Run]] = {}
    for run in read.runs:
        of.setdefault(run.who, []).append(run)
    listeners = [
        Row(name, who, len(runs), _count(runs, number), None)
        for number, name in enumerate(names)
        for who, runs in of.items()
    ]
    pairs = [Row(name, None, len(read.runs), _count(read.runs, number), None) for number, name in enumerate(names)]
    total = Count(sum(row.count.right for row in pairs), sum(row.count.trials for row in pairs))
    return Pooled(
        read.test,
        _adjusted(listeners),
        _adjusted(pairs),
        Row(None, None, len(read.runs), total, None),
        read.skipped,
        tuple(_notes(of, len(names))),
    )


def _count(runs: Sequence[Run], pair: int) -> Count:
    return Count(sum(sum(run.rights[pair]) for run in runs), sum(len(run.rights[pair]) for run in runs))


def _adjusted(rows: Sequence[Row]) -> tuple[Row, ...]:
    if len(rows) < 2:
        return tuple(rows)
    ps = holm([row.count.p for row in rows])
    return tuple(Row(row.pair, row.listener, row.runs, row.count, p) for row, p in zip(rows, ps, strict=True))


def _notes(of: dict[str, list[Run]], pairs: int) -> list[str]:
    notes = []
    if len(of) * pairs > 1:
        notes.append(
            f"{len(of) * pairs} counts of single listeners: among so many some look good by chance, so judge each by "
            "Holm's p, not its own"
        )
    again = [f"{who} ({len(runs)})" for who, runs in of.items() if len(runs) > 1]
    if again:
        notes.append(
            f"several runs are counted together: {', '.join(again)}; that is exact if their number was fixed before, "
            "and not if a listener stopped at a good one"
        )
    return notes
