"""Bars that a figure must reach, as `--fail-under` takes them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from subterfuge.campaign._figures_curves import SNR_GRID_DB
from subterfuge.campaign.figures import Figures
from subterfuge.campaign.words import counted
from subterfuge.errors import InputError, nearest

SAYS = {
    "robust": "robust accuracy below the masking threshold is at least this, 0 to 1",
    "robust@DB": f"robust accuracy at so many dB SNR is, {SNR_GRID_DB[-1]:g} to {SNR_GRID_DB[0]:g} in steps of 2.5",
    "clean": "clean accuracy is at least this, 0 to 1",
    "snr": "the median SNR that the white box needs is at MOST this many dB: an attacker must be that loud",
}
"""What each word asks."""
MOST_DB = 150.0


@dataclass(frozen=True)
class Bar:
    """One figure and where its bar is."""

    name: str
    """robust, clean or snr."""
    snr_db: float | None
    """At which robust accuracy is meant; None for below the masking threshold."""
    value: float

    @property
    def word(self) -> str:
        """Give it as it is written."""
        return self.name + ("" if self.snr_db is None else f"@{self.snr_db:g}") + f"={self.value:g}"


def check_bars(text: str) -> tuple[Bar, ...]:
    """Read bars, as ``robust=0.5,robust@30=0.7,clean=0.8,snr=40``; each figure at most once.

    ``robust`` and ``clean`` are least values; ``snr`` is a most: the median SNR that the white box needs (of a victim
    without gradients, the untargeted search) must not be above it.

    >>> [one.word for one in check_bars("robust=0.5, robust@30=0.7")]
    ['robust=0.5', 'robust@30=0.7']

    Raises:
        InputError: a word that is none of these, or a number out of its range.
    """
    found: list[Bar] = []
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if not equals or not name or not number:
            raise InputError(f"bar '{part.strip()}': NAME=NUMBER was expected, as in robust=0.5,clean=0.8,snr=40")
        bar = _bar(name, number)
        if any((one.name, one.snr_db) == (bar.name, bar.snr_db) for one in found):
            raise InputError(f"bar '{name}' is given twice in '{text}'; once was expected")
        found.append(bar)
    return tuple(found)


def bars(figures: Figures, text: str) -> list[str]:
    """Give the bars that are missed, each in a few words with the figure; one that was not measured is missed.

    Raises:
        InputError: as `check_bars`.
    """
    return [words for bar in check_bars(text) if (words := _missed(figures, bar)) is not None]


def _bar(name: str, number: str) -> Bar:
    word, at, level = name.partition("@")
    if word not in ("robust", "clean", "snr") or (at and word != "robust"):
        raise InputError(f"bar '{name}' is not known; {nearest(name, SAYS)}")
    snr_db = None
    if at:
        snr_db = _number(level, f"bar '{name}={number}'", SNR_GRID_DB[-1], SNR_GRID_DB[0], "dB after the @")
        if snr_db not in SNR_GRID_DB:
            near = min(SNR_GRID_DB, key=lambda one: abs(one - snr_db))
            raise InputError(
                f"bar '{name}={number}': robust accuracy is known in steps of 2.5 dB; try robust@{near:g}={number}"
            )
    low, high = (-MOST_DB, MOST_DB) if word == "snr" else (0.0, 1.0)
    return Bar(word, snr_db, _number(number, f"bar '{name}={number}'", low, high, "dB" if word == "snr" else "a share"))


def _number(text: str, where: str, low: float, high: float, what: str) -> float:
    plain = re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text.strip(), re.ASCII)
    value = float(text) if plain else math.nan
    if not low <= value <= high:
        hint = (
            f"; as a share, {text.strip().rstrip('%')} % is {value / 100:g}" if 1 < value <= 100 and high == 1 else ""
        )
        raise InputError(f"{where}: {what} from {low:g} to {high:g} was expected, and '{text}' is none{hint}")
    return value


def _missed(figures: Figures, bar: Bar) -> str | None:
    nothing = f"{bar.word}: it could not be measured, which counts as missed"
    if bar.name == "snr":
        search = figures.white
        if search is None or not search.asked:
            return nothing
        needed = search.snr_db.value
        if needed is None or needed <= bar.value:
            return None
        return f"{bar.word}: the search {search.probe} needs no louder a change than {needed:.1f} dB SNR (median)"
    if bar.name == "clean":
        hits, of, what = figures.clean.right, figures.clean.of, "clean accuracy"
    else:
        hits, of = _stands(figures, bar.snr_db)
        what = "robust accuracy " + (
            "below the masking threshold" if bar.snr_db is None else f"at {bar.snr_db:g} dB SNR"
        )
    if not of:
        return nothing
    if bar.name == "robust" and hits / of >= bar.value:
        for one in figures.unasked:
            if (one.probe == "masked") == (bar.snr_db is None):
                return (
                    f"{bar.word}: the search {one.probe} was not made of {one.clips} of {counted(one.of, 'clip')}, "
                    "which counts as missed"
                )
    return (
        None if hits / of >= bar.value else f"{bar.word}: {what} is {hits / of:.3g} ({hits} of {counted(of, 'clip')})"
    )


def _stands(figures: Figures, snr_db: float | None) -> tuple[int, int]:
    """Give how many clips stand of how many."""
    if snr_db is None:
        found = figures.robust_at(None)
        return (found.stands, found.accuracy.of) if found else (0, 0)
    curve = figures.curve("snr_db")
    if curve is None:
        return 0, 0
    place = curve.budget.index(snr_db)
    of, turned = curve.of[place], curve.share[place] or 0.0
    return round(of * (1 - turned)), of
