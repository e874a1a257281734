"""Every figure of an audit: a pure function of its rows.

A lost search counts in a median as worse than any win; a clip that is wrong as it comes counts as turned at any budget;
intervals of medians, of curves and of survival are drawn over clips, for the targets of one clip are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from subterfuge.campaign._figures_asked import Unasked, unasked_of
from subterfuge.campaign._figures_clips import CLEAN, WHITE_BOX, Tries, tries_of
from subterfuge.campaign._figures_curves import ALL, SNRS_DB, WITHIN_DB, Curve, Robust, curves_of, robust_of
from subterfuge.campaign._figures_draws import DRAWS, Estimate, median
from subterfuge.campaign._figures_searches import (
    Clean,
    Noise,
    OfClass,
    OfPair,
    Searched,
    Tally,
    classes_of,
    clean_of,
    pairs_of,
    searches_of,
)
from subterfuge.campaign._figures_survival import Survived, Through, survived_of
from subterfuge.campaign.rows import Audit
from subterfuge.campaign.words import are, counted
from subterfuge.outcome import finite

__all__ = [
    "ALL",
    "SNRS_DB",
    "WHITE_BOX",
    "WITHIN_DB",
    "Clean",
    "Curve",
    "Estimate",
    "Figures",
    "Noise",
    "OfClass",
    "OfPair",
    "Robust",
    "Searched",
    "Survived",
    "Tally",
    "Through",
    "Unasked",
    "figures_of",
    "median",
]

SCHEMA = 1


@dataclass(frozen=True)
class Figures:
    """What an audit found, in numbers."""

    jobs: int
    done: int
    failed: int
    left: int
    clean: Clean
    searches: tuple[Searched, ...]
    """In the protocol's order."""
    robust: tuple[Robust, ...]
    """At 60, 50, 40, 30 and 20 dB and below the masking threshold, of all searches together and of each family."""
    curves: tuple[Curve, ...]
    classes: tuple[OfClass, ...]
    pairs: tuple[OfPair, ...]
    survival: Survived
    unasked: tuple[Unasked, ...]
    """What must be asked before a victim can be called robust, and was not asked of every attacked clip."""
    notes: tuple[str, ...]
    """What a reader must know to read the numbers."""
    schema: int = SCHEMA

    def search(self, probe: str) -> Searched | None:
        """Give what came of one search; None where it was not asked."""
        return next((one for one in self.searches if one.probe == probe), None)

    @property
    def white(self) -> Searched | None:
        """Give the search whose median SNR stands for the victim: ``white``, or, without gradients, ``untargeted``."""
        return self.search("white") or self.search("untargeted")

    def robust_at(self, snr_db: float | None, family: str | None = None) -> Robust | None:
        """Give robust accuracy at an SNR, or, for None, below the masking threshold; of all searches by default.

        Below the threshold there is one search, whatever family it is of.
        """
        for one in self.robust:
            if one.snr_db == snr_db and (family is None or one.family == family):
                return one
        return None

    def curve(self, axis: str, family: str | None = None) -> Curve | None:
        """Give a curve; of all searches together by default, or of the only family."""
        return next((one for one in self.curves if one.axis == axis and family in (None, one.family)), None)

    def json(self) -> dict[str, Any]:
        """Give everything as plain JSON values."""
        plain = finite(asdict(self))
        assert isinstance(plain, dict)
        return plain


def figures_of(audit: Audit, seed: int = 0) -> Figures:
    """Work out every figure of an audit.

    Args:
        audit: finished, or as far as it came.
        seed: of the bootstrap, each figure's draws by themselves: the same audit has the same intervals.
    """
    tries = tries_of(audit)
    done, failed, left = (sum(row.state == state for row in audit.rows) for state in ("done", "failed", "left"))
    searches, robust = searches_of(audit, tries, seed), robust_of(tries)
    return Figures(
        jobs=len(audit.rows),
        done=done,
        failed=failed,
        left=left,
        clean=clean_of(audit),
        searches=searches,
        robust=robust,
        curves=curves_of(tries, seed),
        classes=classes_of(audit, tries),
        pairs=pairs_of(tries),
        survival=survived_of(tries, seed),
        unasked=unasked_of(audit, tries),
        notes=(*_notes(audit, tries, searches), *_left_out(robust)),
    )


def _notes(audit: Audit, tries: Tries, searches: tuple[Searched, ...]) -> list[str]:
    notes = []
    unknown = sum(not clip.known and bool(clip.truth) for clip in tries.clips.values())
    if unknown:
        notes.append(
            f"{unknown} of {counted(len(tries.clips), 'clip')} {'has' if unknown == 1 else 'have'} no known label: "
            f"{'it counts' if unknown == 1 else 'they count'} in no clean accuracy, and in robust figures what the "
            f"victim says of {'it as it comes' if unknown == 1 else 'them as they come'} counts as right"
        )
    targeted = any(row.job.target is not None for row in audit.rows)
    if tries.drawn and not targeted and any(row.job.probe == CLEAN for row in audit.rows):
        notes.append(
            "no search had a target, and the others attack only clips that are right as they come: robust accuracy "
            "is of those alone"
        )
    if len({one.clip.sha256 for one in tries.tries}) == 1:
        notes.append("one clip alone was attacked: there are no intervals of medians and curves")
    if searches:
        notes.append(
            f"medians count a lost search as worse than any win; intervals hold 95 % of {DRAWS:,} draws of whole clips"
        )
        notes.append(
            f"against queries and seconds a clip counts as turned once it is at {WITHIN_DB:g} dB SNR or more; a "
            "gradient counts as a query, and seconds are shared out over them evenly"
        )
    worse = [one.probe for one in searches if one.noise.as_good]
    if worse:
        count = sum(one.noise.as_good for one in searches)
        gain = "gains" if count == 1 else "gain"
        notes.append(
            f"{counted(count, 'win')} ({', '.join(worse)}) {gain} nothing over noise as loud and of the same spectrum"
        )
    return notes


def _left_out(robust: Sequence[Robust]) -> list[str]:
    """Say how many clips count neither way, of all searches together."""
    told = []
    for one in robust:
        if one.left_out and one.family == robust[0].family and one.snr_db in (SNRS_DB[-1], None):
            where = "below the masking threshold" if one.snr_db is None else f"at {one.snr_db:g} dB SNR"
            them = "it" if one.left_out == 1 else "them"
            told.append(
                f"{counted(one.left_out, 'clip')} that {'was' if one.left_out == 1 else 'were'} not turned {where} "
                f"{are(one.left_out)} left out there, since a search of {them} failed or is left"
            )
    return told
