"""What an audit's own rows say against its white box: an attack that sees less did better, or any size was too small.

Those signs of Athalye, Carlini, Wagner 2018 (https://arxiv.org/abs/1802.00420, section 3.1) that ask no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from subterfuge.campaign.doubts import BETTER_DB, Doubt
from subterfuge.campaign.rows import Audit

BLIND = ("scores", "labels", "substitute")
"""Searches that follow no gradients of the victim."""


def suspect(audit: Audit) -> list[Doubt]:
    """Hold the white box of every case against the searches that see less, and against what must always work."""
    white = {(row.job.sha256, row.job.target): row.outcome for row in audit.of("white") if _counts(row.outcome)}
    doubts = []
    for search in BLIND:
        rows = [row for row in audit.of(search) if (row.job.sha256, row.job.target) in white]
        beaten = sum(_reach(row.outcome) > _reach(white[row.job.sha256, row.job.target]) + BETTER_DB for row in rows)
        if beaten:
            words = f"the search {search}, which sees no gradients, does better than the white box on {beaten} of "
            doubts.append(Doubt("black box", True, f"{words}{len(rows)} cases"))
    lost = sum(not one["won"] for one in white.values() if one is not None)
    if lost:
        doubts.append(
            Doubt(
                "lost without a limit",
                True,
                f"{lost} of {len(white)} searches by gradients found no change at all, though any size was allowed, "
                "and the sound of the target itself is one",
            )
        )
    return doubts


def _counts(outcome: Mapping[str, Any] | None) -> bool:
    return outcome is not None and not outcome["already"]


def _reach(outcome: Mapping[str, Any] | None) -> float:
    """Give the SNR of a win in dB, far below every win for a loss."""
    if outcome is None or not outcome["won"] or outcome["snr_db"] is None:
        return -999.0
    return float(outcome["snr_db"])
