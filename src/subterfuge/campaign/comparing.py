"""Two audits side by side: on the clips, searches and targets that both have, what is more than noise?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from subterfuge.campaign._comparing_tests import mcnemar, medians_apart, ratios_apart
from subterfuge.campaign._figures_clips import CLEAN, Tries, Try, tries_of
from subterfuge.campaign._figures_curves import judged
from subterfuge.campaign._figures_draws import Floats, dice, median
from subterfuge.campaign._figures_survival import tells
from subterfuge.campaign.holm import holm
from subterfuge.campaign.rows import Audit
from subterfuge.campaign.words import counted, said
from subterfuge.errors import InputError
from subterfuge.outcome import finite

ALPHA = 0.05
"""A difference is told from noise where Holm's p is at most this."""
Word = Literal["better", "worse", "no more than noise"]
Key = tuple[str, str, str | None]


@dataclass(frozen=True)
class Difference:
    """One figure of both audits, on what they have in common."""

    name: str
    unit: str
    """Empty for a share, or dB."""
    a: float | None
    b: float | None
    """None as a median: half of the searches or more are lost."""
    difference: float | None
    """B less A; None where either is."""
    low: float | None
    high: float | None
    """95 %, of draws of whole clips, not adjusted; None as an end that is infinite, and where p alone is told."""
    p: float
    """Of a share, McNemar's or of swapping clips; of a median, of swapping clips, by ranks."""
    p_holm: float
    """Adjusted for all the differences that are told."""
    word: Word
    """What B is beside A."""
    of: int
    """Pairs."""
    says: str
    """What is behind the figures: how many won, or changed."""


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
    notes = _fit(a, b)
    sides = tries_of(a), tries_of(b)
    done = [_done(one) for one in (a, b)]
    unlike = _unlike(a, b, notes)
    rows = [_clean(a, b), _masked(*sides) if "masked" not in unlike else None]
    limited = {str(one["name"]) for side in (a, b) for one in side.setting.get("searches", ()) if one.get("limit")}
    free = [probe for probe in sides[0].sees if probe in sides[1].sees and probe not in unlike | limited]
    rows += [_needed(probe, *sides, seed) for probe in free]
    if a.setting.get("survives") == b.setting.get("survives"):
        rows.append(_survival(*sides, unlike, seed))
    else:
        notes.append("their wins were put through different transforms: survival is not compared")
    there = [one for one in rows if one is not None]
    if not there:
        raise InputError(
            "the two audits have nothing in common: no clip of the same content that both answered, or attacked with "
            "the same search and target; audit both victims on the same clips with the same seed"
        )
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


def _fit(a: Audit, b: Audit) -> list[str]:
    """Refuse what cannot be compared; give notes of what else differs."""
    for key in ("protocol", "version", "level"):
        first, second = (one.setting.get(key) for one in (a, b))
        if first != second:
            raise InputError(
                f"the audits are of different {key}s, {said(first)} and {said(second)}, so their figures do not mean "
                f"the same; audit both with one {key} (--quick, --standard, --thorough; one version of subterfuge)"
            )
    notes = []
    prints = [one.setting.get("victim", {}).get("fingerprint") for one in (a, b)]
    if prints[0] is not None and prints[0] == prints[1]:
        notes.append("both audits are of the same victim, by its fingerprint")
    if a.setting.get("seed") != b.setting.get("seed"):
        notes.append(
            f"they were drawn with different seeds, {a.setting.get('seed')} and {b.setting.get('seed')}: only what "
            "both have counts"
        )
    for name, one in (("A", a), ("B", b)):
        if not one.complete:
            left = sum(row.state != "done" for row in one.rows)
            notes.append(f"{name} is incomplete: {left} of its {len(one.rows)} jobs failed or are left")
    return notes


def _unlike(a: Audit, b: Audit, notes: list[str]) -> set[str]:
    """Give the searches that had other budgets, attacks or limits in the two audits; they are not compared."""
    told = [{str(one["name"]): one for one in side.setting.get("searches", ())} for side in (a, b)]
    unlike: dict[str, list[str]] = {}
    for probe in told[0].keys() & told[1].keys():
        for key in ("attack", "sees", "limit", "queries", "knobs"):
            if told[0][probe].get(key) != told[1][probe].get(key):
                unlike.setdefault(probe, []).append(key)
    for probe in (probe for probe in told[0] if probe in unlike):
        notes.append(f"the search {probe} is not compared, for the two audits made it with other {unlike[probe][0]}")
    return set(unlike)


def _clean(a: Audit, b: Audit) -> Difference | None:
    right = [
        {row.job.sha256: bool(row.result["right"]) for row in one.of(CLEAN) if row.result.get("right") is not None}
        for one in (a, b)
    ]
    return _shares("clean accuracy", *right)


def _masked(first: Tries, second: Tries) -> Difference | None:
    if not first.of("masked") and not second.of("masked"):
        return None
    stands = [
        {
            clip.sha256: bool(clip.right) and not any(one.turned for one in asked)
            for clip, asked in judged(side, ("masked",))
        }
        for side in (first, second)
    ]
    return _shares("robust accuracy below masking", *stands)


def _shares(name: str, first: Mapping[str, bool], second: Mapping[str, bool]) -> Difference | None:
    common = [clip for clip in first if clip in second]
    if not common:
        return None
    one, other = ([side[clip] for clip in common] for side in (first, second))
    before, after = sum(one) / len(common), sum(other) / len(common)
    gained = sum(y and not x for x, y in zip(one, other, strict=True))
    lost = sum(x and not y for x, y in zip(one, other, strict=True))
    word: Word = "better" if after > before else "worse" if after < before else "no more than noise"
    says = f"{gained} of {counted(len(common), 'clip')} gained, {lost} lost"
    p = mcnemar(one, other)
    return Difference(name, "", before, after, after - before, None, None, p, p, word, len(common), says)


def _needed(probe: str, first: Tries, second: Tries, seed: int) -> Difference | None:
    one, other = (_by_key(side, probe) for side in (first, second))
    common = [key for key in one if key in other]
    if not common:
        return None
    numbers = tuple(np.array([side[key].snr_db for key in common]) for side in (one, other))
    apart, (low, high), p, side = medians_apart(numbers[0], numbers[1], _places(common), dice(seed, "compare", probe))
    before, after = (median(side.tolist()) for side in numbers)
    known = before is not None and after is not None
    won = [sum(side[key].won for key in common) for side in (one, other)]
    says = f"won {won[0]} and {won[1]} of {len(common)}"
    told = side if side * apart >= 0 else 0  # ranks and medians that disagree tell nothing
    word: Word = "worse" if told > 0 else "better" if told < 0 else "no more than noise"
    if not known:
        low = high = None
    found = apart if known else None
    return Difference(
        f"median SNR needed, {probe}", "dB", before, after, found, low, high, p, p, word, len(common), says
    )


def _survival(first: Tries, second: Tries, unlike: set[str], seed: int) -> Difference | None:
    keys = [{_key(one): one for one in side.tries if one.probe not in unlike} for side in (first, second)]
    common = [key for key in keys[0] if key in keys[1]]
    if not common:
        return None
    places = _places(common)
    sides = [_survived([side[key] for key in common], places) for side in keys]
    if not all(side[1].sum() for side in sides):
        return None
    apart, (low, high), p = ratios_apart(sides[0], sides[1], dice(seed, "compare", "survival"))
    before, after = (float(hits.sum() / of.sum()) for hits, of in sides)
    word: Word = "worse" if apart > 0 else "better" if apart < 0 else "no more than noise"
    says = f"{sides[0][0].sum():.0f} of {sides[0][1].sum():.0f}, and {sides[1][0].sum():.0f} of {sides[1][1].sum():.0f}"
    return Difference("share of wins that survive", "", before, after, apart, low, high, p, p, word, len(common), says)


def _survived(tries: list[Try], places: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Give by clip how many telling trials were survived, and how many there were."""
    hits, of = np.zeros(int(places.max()) + 1), np.zeros(int(places.max()) + 1)
    for one, place in zip(tries, places.tolist(), strict=True):
        if one.won:
            for trial in (one.row.result.get("survival") or {}).get("trials") or ():
                of[place] += tells(trial)
                hits[place] += tells(trial) and bool(trial.get("reached"))
    return hits, of


def _done(audit: Audit) -> set[Key]:
    return {
        (row.job.sha256, row.job.probe, row.job.target)
        for row in audit.rows
        if row.state == "done" and row.job.probe != CLEAN
    }


def _by_key(tries: Tries, probe: str) -> dict[Key, Try]:
    return {_key(one): one for one in tries.of(probe)}


def _key(one: Try) -> Key:
    return one.clip.sha256, one.probe, one.row.job.target


def _places(keys: list[Key]) -> NDArray[np.int64]:
    known = {clip: place for place, clip in enumerate(dict.fromkeys(key[0] for key in keys))}
    return np.array([known[key[0]] for key in keys], dtype=np.int64)


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
