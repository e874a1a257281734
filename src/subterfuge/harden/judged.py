"""What became of each clip over all of its cases: turned or not, and whether a search that failed leaves that open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from subterfuge.campaign.cases import Case
from subterfuge.harden.faced import Faced

TO_TARGET = ("targeted", "black box")
"""Searches for the target of a case."""


@dataclass(frozen=True)
class Judged:
    """One clip."""

    right: bool
    """As it is. What a victim is wrong about stands at no level; what it could not be asked about counts as right."""
    turned_db: float = -math.inf
    """The highest SNR at which anything turned it."""
    open: bool = False
    """Whether a search of it failed, so that it may not stand where nothing turned it."""
    masked: bool | None = None
    """Whether it was turned below the masking threshold; None where that was not sought."""
    masked_open: bool = False
    """The same as `open`, of searches below the masking threshold."""

    def stands(self, snr_db: float) -> bool | None:
        """Say whether it is right, and stays so within a budget; None where that is not known."""
        if not self.right or self.turned_db >= snr_db:
            return False
        return None if self.open else True

    @property
    def stands_masked(self) -> bool | None:
        """The same for changes below the masking threshold."""
        if not self.right or self.masked:
            return False
        return None if self.masked_open else True

    @property
    def unsought(self) -> bool:
        """Whether nothing below the masking threshold was sought of it, though it is right."""
        return self.right and self.masked is None and not self.masked_open


def judged(cases: Sequence[Case], faced: Sequence[Faced]) -> tuple[Judged, ...]:
    """Put the cases of each clip together, in the order of the clips."""
    clips: dict[Path, Judged] = {}
    for case, one in zip(cases, faced, strict=True):
        before = clips.get(case.path, Judged(right=True))
        if one.failed is not None:
            clips[case.path] = replace(before, open=True, masked_open=True)
            continue
        reached = [found.needed_db for found in one.attempts.values() if found.answer not in case.labels]
        given = [snr_db for snr_db in (*reached, one.found_elsewhere_db) if snr_db is not None]
        below = one.attempts.get("masked")
        clips[case.path] = Judged(
            right=before.right and one.right,
            turned_db=max([*given, before.turned_db]),
            open=before.open or bool(one.failures),
            masked=before.masked if below is None else bool(below.won or before.masked),
            masked_open=before.masked_open or "masked" in one.failures,
        )
    return tuple(clips.values())


def asked(one: Faced) -> bool:
    """Say whether a case had something to be turned into: its targeted search ended so, or failed."""
    white = one.attempts.get("targeted")
    return "targeted" in one.failures if white is None else not white.already


def needed_db(one: Faced) -> float | None:
    """Give the highest SNR at which anything turned a case into its target."""
    reached = [one.attempts[name].needed_db for name in TO_TARGET if name in one.attempts]
    given = [snr_db for snr_db in (*reached, one.found_elsewhere_db) if snr_db is not None]
    return max(given, default=None)


def share(stands: Sequence[bool | None]) -> float | None:
    """Give the share of what stands, leaving out what is not known."""
    known = [one for one in stands if one is not None]
    return sum(known) / len(known) if known else None
