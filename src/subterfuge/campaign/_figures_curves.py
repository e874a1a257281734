"""Robustness curves: the share of clips turned against what is allowed to turn them."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

import numpy as np

from subterfuge.campaign._figures_clips import Heard, Tries, Try
from subterfuge.campaign._figures_draws import Estimate, dice, share, shares_of

ALL = "all searches"
SNRS_DB = (60.0, 50.0, 40.0, 30.0, 20.0)
"""Signal-to-noise ratios that robust accuracy is told at."""
SNR_GRID_DB = tuple(60.0 - 2.5 * k for k in range(25))
NMR_GRID_DB = tuple(float(x) for x in range(-20, 21, 2))
A_DECADE = 4
"""Points of a grid of queries or seconds for every factor of ten."""
WITHIN_DB = 20.0
"""A clip counts as turned, against queries and seconds, once it is by a change that is so far below it. A search by
labels begins at another sound, which is a win by itself, so without this every curve would be full at one query."""


Cost = Callable[[Try], float]
"""What a try spent of a budget; infinity where it turned nothing."""


@dataclass(frozen=True)
class Curve:
    """One family of searches against one budget."""

    family: str
    """What its searches see of the victim: white box, scores, labels, substitute; or all searches together."""
    axis: str
    """``snr_db``, ``nmr_db``, ``queries`` (with gradients), or ``seconds``."""
    clips: int
    """That count at the loosest budget."""
    budget: tuple[float, ...]
    """From the tightest to the loosest."""
    share: tuple[float | None, ...]
    """Of the clips that count there, turned within it, 0 .. 1; None where none counts."""
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    """95 %, by the bootstrap over clips; None with one clip."""
    of: tuple[int, ...]
    """Clips that count at each budget: all but those that stand there, and of which a search failed or is left."""


@dataclass(frozen=True)
class Robust:
    """How many clips are right, and stay so."""

    family: str
    snr_db: float | None
    """At changes so far below the clip; None: below its masking threshold."""
    stands: int
    right: int
    """As they come."""
    accuracy: Estimate
    """Those that stand, of all; a clip that is wrong as it comes does not."""
    left_out: int
    """Clips that seem to stand, and count neither way: a search of them failed or is left."""


def curves_of(tries: Tries, seed: int) -> tuple[Curve, ...]:
    """Give every curve of every family, and of all searches together where there are several."""
    most = max((one.calls for one in tries.tries), default=1.0), max((one.seconds for one in tries.tries), default=1.0)
    axes: tuple[tuple[str, Sequence[float], Cost], ...] = (
        ("snr_db", SNR_GRID_DB, _loudness),
        ("nmr_db", NMR_GRID_DB, lambda one: one.nmr_db if one.turned else math.inf),
        ("queries", _log_grid(0, most[0]), lambda one: one.calls_within(WITHIN_DB)),
        ("seconds", _log_grid(-1, most[1]), lambda one: one.seconds_within(WITHIN_DB)),
    )
    found: list[Curve] = []
    for family, probes in families(tries).items():
        clips = judged(tries, probes)
        if not clips:
            continue
        whole = np.array([not tries.waits(clip, probes) for clip, _ in clips])
        for axis, grid, cost in axes:
            needs = np.array([_needs(clip, asked, cost) for clip, asked in clips])
            allowed = -np.array(grid) if axis == "snr_db" else np.array(grid)
            turned = needs[:, None] <= allowed
            counts = turned | whole[:, None]
            of = counts.sum(0).tolist()
            if of[-1]:
                told = shares_of(turned, dice(seed, "curve", family, axis), counts)
                part, low, high = (tuple(None if math.isnan(x) else x for x in side.tolist()) for side in told)
                found.append(Curve(family, axis, of[-1], tuple(grid), part, low, high, tuple(of)))
    return tuple(found)


def robust_of(tries: Tries) -> tuple[Robust, ...]:
    """Give robust accuracy of all searches together and of each family, at each SNR and below the threshold."""
    found = []
    for family, probes in families(tries).items():
        clips = judged(tries, probes)
        if not clips:
            continue
        for snr_db in SNRS_DB:
            turned = {clip.sha256 for clip, asked in clips if _needs(clip, asked, _loudness) <= -snr_db}
            found.append(_robust(tries, family, probes, snr_db, turned))
        if "masked" in probes:
            clips = judged(tries, ("masked",))
            if any(asked for _, asked in clips):
                turned = {one.sha256 for one, asked in clips if not one.right or any(each.turned for each in asked)}
                found.append(_robust(tries, family, ("masked",), None, turned))
    return tuple(found)


def families(tries: Tries) -> dict[str, tuple[str, ...]]:
    """Give the searches of all and of each family; of all alone under the name of the only one."""
    found = tries.families
    return found if len(found) == 1 else {ALL: tuple(tries.sees), **found} if found else {}


def judged(tries: Tries, probes: Sequence[str]) -> list[tuple[Heard, list[Try]]]:
    """Give the clips that count, each with its tries: wrong as they come, or asked by one of some searches."""
    by: dict[str, list[Try]] = {}
    for one in tries.tries:
        if one.probe in probes:
            by.setdefault(one.clip.sha256, []).append(one)
    if not by:
        return []
    return [(clip, by.get(clip.sha256, [])) for clip in tries.drawn if clip.right is False or clip.sha256 in by]


def _loudness(one: Try) -> float:
    """Give the level of the change beside the clip's, in dB: minus the SNR."""
    return -one.snr_db if one.turned else math.inf


def _needs(clip: Heard, asked: Sequence[Try], cost: Cost) -> float:
    """Give the least budget at which a clip is turned: less than any where it is wrong as it comes."""
    return -math.inf if clip.right is False else min(map(cost, asked), default=math.inf)


def _robust(tries: Tries, family: str, probes: Sequence[str], snr_db: float | None, turned: Container[str]) -> Robust:
    """Count who stands; who seems to, and was not asked all that was planned, counts neither way."""
    known = [clip for clip, _ in judged(tries, probes) if clip.sha256 in turned or not tries.waits(clip, probes)]
    stands = sum(clip.sha256 not in turned for clip in known)
    out = sum(
        clip.sha256 not in turned and tries.waits(clip, probes) for clip in tries.drawn if clip.right is not False
    )
    right = sum(bool(clip.right) for clip in known)
    return Robust(family, snr_db, stands, right, share(stands, len(known)), out)


def _log_grid(first: int, most: float) -> tuple[float, ...]:
    """Give the numbers from 10 ** first to `most` or just above it, evenly on a log axis, in three digits."""
    last = max(first + 1, math.ceil(math.log10(max(most, 10.0**first)) - 1e-9))
    powers = (10 ** (first + k / A_DECADE) for k in range((last - first) * A_DECADE + 1))
    return tuple(float(f"{one:.3g}") for one in powers)
