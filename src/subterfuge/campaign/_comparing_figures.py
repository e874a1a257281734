"""The figures of two audits, each on the clips, searches and targets that both have, and which is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from subterfuge.campaign._comparing_tests import mcnemar, medians_apart, ratios_apart
from subterfuge.campaign._figures_clips import CLEAN, Tries, Try
from subterfuge.campaign._figures_curves import judged
from subterfuge.campaign._figures_draws import Floats, dice, median
from subterfuge.campaign._figures_survival import tells
from subterfuge.campaign.rows import Audit
from subterfuge.campaign.words import counted

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


def clean_apart(a: Audit, b: Audit) -> Difference | None:
    right = [
        {row.job.sha256: bool(row.result["right"]) for row in one.of(CLEAN) if row.result.get("right") is not None}
        for one in (a, b)
    ]
    return _shares("clean accuracy", *right)


def masked_apart(first: Tries, second: Tries) -> Difference | None:
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


def needed_apart(probe: str, first: Tries, second: Tries, seed: int) -> Difference | None:
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


def survival_apart(first: Tries, second: Tries, unlike: set[str], seed: int) -> Difference | None:
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


def _by_key(tries: Tries, probe: str) -> dict[Key, Try]:
    return {_key(one): one for one in tries.of(probe)}


def _key(one: Try) -> Key:
    return one.clip.sha256, one.probe, one.row.job.target


def _places(keys: list[Key]) -> NDArray[np.int64]:
    known = {clip: place for place, clip in enumerate(dict.fromkeys(key[0] for key in keys))}
    return np.array([known[key[0]] for key in keys], dtype=np.int64)
