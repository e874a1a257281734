"""The defence table: before and after, side by side, for a terminal, a file of Markdown, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from subterfuge.campaign.doubts import Doubt, verdict
from subterfuge.harden.strength import SNRS_DB, Strength
from subterfuge.harden.transfer import Matrix, Share

LEAST_GAIN_DB = 10.0
MOST_COST = 0.05
"""What makes a defence worth its cost, as `Hardened.holds` counts: so many dB for at most so much clean accuracy."""


@dataclass(frozen=True)
class Defended:
    """One victim of the table: the undefended one, or one defence."""

    name: str
    strength: Strength
    doubts: tuple[Doubt, ...]
    notes: tuple[str, ...] = ()
    certified: dict[str, Any] | None = None
    """For a smoothed victim: the certified radii of some clips, and what was reached by attack."""
    looked: bool = True
    """Whether it could be looked at for the doubts that need no search."""

    @property
    def verdict(self) -> str:
        """What the doubts come to; without an attack, or where it could not be looked at, none but a bad one."""
        if self.hides or (self.looked and self.strength.attacked):
            return verdict(self.doubts)
        why = "no attack came to an end" if self.looked else "it could not be looked at"
        return f"whether it hides its gradients is not known: {why}"

    @property
    def hides(self) -> bool:
        """Whether a doubt says that it hides its gradients."""
        return any(one.hides for one in self.doubts)


@dataclass(frozen=True)
class Hardened:
    """What came of a whole run; the first victim is the undefended one."""

    victims: tuple[Defended, ...]
    transfer: Matrix | None
    setting: dict[str, Any]
    notes: tuple[str, ...]

    def gain_db(self, one: Defended) -> float | None:
        """Give by how many dB the median SNR that an adaptive attack needs fell.

        None where either has no median, or a search of either failed, so that their medians are of different cases.
        """
        if self.victims[0].strength.failed or one.strength.failed:
            return None
        before, after = self.victims[0].strength.median_snr_db, one.strength.median_snr_db
        return None if before is None or after is None else before - after

    def cost(self, one: Defended) -> float | None:
        """Give what it cost in clean accuracy, as a share."""
        before, after = (each.strength.clean.get("accuracy") for each in (self.victims[0], one))
        return None if before is None or after is None else float(before - after)

    def holds(self, one: Defended) -> bool:
        """Say whether it gave 10 dB or more, for 5 points of accuracy at most, and hides nothing.

        The undefended victim gives nothing. Where that one too is lost to no attack, no defence can be told to give;
        nor where a search of either failed, so that their figures are of different cases.
        """
        before = self.victims[0].strength.median_snr_db
        if one is self.victims[0] or before is None or self.victims[0].strength.failed or one.strength.failed:
            return False
        gain, cost = self.gain_db(one), self.cost(one)
        lost_to_none = one.strength.median_snr_db is None and one.strength.measured > 0
        enough = lost_to_none or (gain is not None and gain >= LEAST_GAIN_DB)
        return enough and cost is not None and cost <= MOST_COST and not one.hides

    @property
    def failed(self) -> int:
        """How many cases, or searches of them, failed, over all victims; and victims that could not be looked at."""
        return sum(one.strength.failed + (not one.looked) for one in self.victims)

    def json(self) -> dict[str, Any]:
        """Give everything as plain JSON values."""
        return {
            "schema": 1,
            "setting": self.setting,
            "notes": list(self.notes),
            "victims": [
                one.strength.json()
                | {
                    "defence": one.name,
                    "gain_db": self.gain_db(one),
                    "cost": self.cost(one),
                    "holds": self.holds(one),
                    "verdict": one.verdict,
                    "doubts": [{"sign": each.sign, "hides": each.hides, "words": each.words} for each in one.doubts],
                    "notes": list(one.notes),
                    "certified": one.certified,
                }
                for one in self.victims
            ],
            "transfer": None if self.transfer is None else self.transfer.json(),
        }


NOTHING = "-"
"""Stands in the table where nothing was measured."""
HEAD = (
    "defence",
    "clean",
    *(f"{snr:g} dB" for snr in SNRS_DB),
    "masked",
    "won",
    "median SNR",
    "not adaptive",
    "gain",
    "P",
    "MOS",
    "doubt",
)


def rows_of(hardened: Hardened) -> list[tuple[str, ...]]:
    """Give the rows of the table, as texts, in the order of `HEAD`."""
    rows, first = [], hardened.victims[0]
    for one in hardened.victims:
        strength = one.strength
        gain = hardened.gain_db(one)
        rows.append(
            (
                one.name + (" *" if hardened.holds(one) else ""),
                _percent(strength.clean.get("accuracy")),
                *(_percent(strength.robust(snr)) for snr in SNRS_DB),
                _percent(strength.robust_masked),
                f"{strength.won}/{strength.asked}" if strength.asked else NOTHING,
                _db(strength.median_snr_db, strength.measured),
                "" if one is first else _db(strength.median_found_elsewhere_db, strength.carried),
                "" if one is first else _gain(gain, not (first.strength.failed or strength.failed)),
                _plain(strength.median_probability, ".2f"),
                _plain(strength.median_mos, ".2f"),
                ", ".join(each.sign for each in one.doubts),
            )
        )
    return rows


def matrix_rows(matrix: Matrix) -> list[tuple[str, ...]]:
    """Give the rows of the transfer matrix: changed to the target, and turned at all, beside what noise does."""
    return [
        (name, *(f"{_cell(hit)} / {_cell(turned)}" for hit, turned in zip(hits, turns, strict=True)))
        for name, hits, turns in [
            *zip(matrix.names, matrix.targeted, matrix.turned, strict=True),
            *zip(
                (f"noise like {name}" for name in matrix.names),
                matrix.noise_targeted,
                matrix.noise_turned,
                strict=True,
            ),
        ]
    ]


def remarks(hardened: Hardened) -> list[str]:
    """Say of each victim what the doubts come to, why, and what else is to be known of it."""
    told = ["; ".join([f"{one.name}: {one.verdict}", *(each.words for each in one.doubts)]) for one in hardened.victims]
    return [*told, *(f"{one.name}: {note}" for one in hardened.victims for note in one.notes)]


def markdown(hardened: Hardened) -> str:
    """Write the tables, with what is to be known of them, as Markdown."""
    lines = [_table(HEAD, rows_of(hardened)), ""]
    lines += [f"- {note}" for note in (*hardened.notes, *remarks(hardened))]
    if hardened.transfer is not None:
        head = ("found on \\ judged on", *hardened.transfer.names)
        lines += [
            "",
            f"Changes {hardened.transfer.snr_db:g} dB below the clip, answered as the target / turned at all:",
        ]
        lines += ["", _table(head, matrix_rows(hardened.transfer))]
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _cell(share: Share) -> str:
    return _percent(share.part)


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.0f} %"


def _db(value: float | None, measured: int) -> str:
    """Show a median of so many: none where at least half of them were never turned."""
    return NOTHING if not measured else "none" if value is None else f"{value:.1f}"


def _gain(value: float | None, measured: bool) -> str:
    return NOTHING if not measured else "" if value is None else f"{value:+.1f}"


def _plain(value: float | None, form: str) -> str:
    return NOTHING if value is None else format(value, form)
