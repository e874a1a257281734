"""What came of each search, of the clips of each class, and of each pair of source and target."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from subterfuge.campaign._figures_clips import CLEAN, Tries, Try
from subterfuge.campaign._figures_draws import Estimate, dice, median, median_of, share
from subterfuge.campaign.rows import Audit, Row


@dataclass(frozen=True)
class Clean:
    """The victim on clips that nobody changed."""

    right: int
    of: int
    """Clips that were answered and whose label is known; only these count."""
    accuracy: Estimate
    """With Wilson's interval."""
    unknown: int
    """Answered, and their label is not known."""
    failed: int
    left: int


@dataclass(frozen=True)
class Noise:
    """What noise does that knows nothing, beside the wins of one search."""

    wins: int
    """That were held against noise."""
    hits: int
    draws: int
    """Of noise as loud and of the same spectrum, over all these wins: so often it met the goal too."""
    as_good: int
    """Wins of which half of the draws, or more, met the goal too: these gain nothing over noise."""
    white: int
    """Wins whose goal white noise meets at any of its levels."""
    white_snr_db: float | None
    """Median SNR that white noise needs; None where it never does for half of the wins or more."""


@dataclass(frozen=True)
class Searched:
    """What came of one search."""

    probe: str
    says: str
    sees: str
    family: str
    """White box, scores, labels, substitute: the searches that see as much."""
    attack: str
    goal: str
    limit: str
    """Empty for none."""
    most_queries: int | None
    jobs: int
    asked: int
    """Done, and the clip did not meet the goal as it came."""
    won: int
    already: int
    """The clip met the goal as it came: they count in no median."""
    failed: int
    left: int
    clips: int
    """Different ones among those asked."""
    right: int
    """Of these, as they come."""
    snr_db: Estimate
    """Median needed; a lost search counts as worse than any."""
    nmr_db: Estimate
    """Median noise-to-mask ratio needed, likewise; smaller is quieter."""
    mos: Estimate
    """Median zimtohrli score of the wins, 1 to 5."""
    queries: Estimate
    """Median spent, won or lost."""
    gradients: Estimate
    seconds: Estimate
    noise: Noise


@dataclass(frozen=True)
class Tally:
    """One search on some clips: those of a class, or of a pair."""

    probe: str
    asked: int
    won: int
    snr_db: float | None
    """Median needed; None where half of the searches or more are lost."""


@dataclass(frozen=True)
class OfClass:
    """The clips of one label."""

    label: str
    clips: int
    """In the audit, whether or not they were attacked."""
    right: int
    of: int
    accuracy: Estimate
    """Clean, of those whose label is known, with Wilson's interval."""
    searches: tuple[Tally, ...]
    """On clips of this label: every search that was asked."""


@dataclass(frozen=True)
class OfPair:
    """The clips of one label, each to be taken for one other."""

    source: str
    target: str
    tally: Tally


def clean_of(audit: Audit) -> Clean:
    """Count the answers to unchanged clips."""
    rows = [row for row in audit.rows if row.job.probe == CLEAN]
    done = [row for row in rows if row.state == "done"]
    known = [row for row in done if row.result.get("right") is not None]
    right = sum(bool(row.result["right"]) for row in known)
    failed, left = (sum(row.state == state for row in rows) for state in ("failed", "left"))
    return Clean(right, len(known), share(right, len(known)), len(done) - len(known), failed, left)


def searches_of(audit: Audit, tries: Tries, seed: int) -> tuple[Searched, ...]:
    """Sum every search up, in the audit's order."""
    told: dict[str, Mapping[str, Any]] = {str(one["name"]): one for one in audit.setting.get("searches", ())}
    family = {probe: name for name, probes in tries.families.items() for probe in probes}
    found = []
    for probe, sees in tries.sees.items():
        rows = [row for row in audit.rows if row.job.probe == probe]
        one, asked = told.get(probe, {}), tries.of(probe)
        won = [each for each in asked if each.won]

        def middle(name: str, of: Sequence[Try], number: Callable[[Try], Any], probe: str = probe) -> Estimate:
            pairs = [(value, each.clip.sha256) for each in of if (value := number(each)) is not None]
            return median_of([v for v, _ in pairs], [c for _, c in pairs], dice(seed, probe, name))

        found.append(
            Searched(
                probe=probe,
                says=str(one.get("says") or ""),
                sees=sees,
                family=family[probe],
                attack=str(one.get("attack") or (asked[0].outcome.get("attack", "") if asked else "")),
                goal=str(one.get("goal") or ("targeted" if any(row.job.target for row in rows) else "untargeted")),
                limit=str(one.get("limit") or ""),
                most_queries=one.get("queries"),
                jobs=len(rows),
                asked=len(asked),
                won=len(won),
                already=sum(_already(row) for row in rows),
                failed=sum(row.state == "failed" for row in rows),
                left=sum(row.state == "left" for row in rows),
                clips=len({each.clip.sha256 for each in asked}),
                right=len({each.clip.sha256 for each in asked if each.clip.right}),
                snr_db=middle("snr", asked, lambda each: each.snr_db),
                nmr_db=middle("nmr", asked, _nmr),
                mos=middle("mos", won, lambda each: each.outcome.get("zimtohrli_mos")),
                queries=middle("queries", asked, lambda each: each.outcome["queries"]),
                gradients=middle("gradients", asked, lambda each: each.outcome["gradients"]),
                seconds=middle("seconds", asked, lambda each: each.seconds),
                noise=noise_of(won),
            )
        )
    return tuple(found)


def noise_of(won: Sequence[Try]) -> Noise:
    """Sum up the controls of some wins."""
    controls = [one.outcome["control"] for one in won if one.outcome.get("control")]
    same = [one["same_level_and_spectrum"] for one in controls]
    white = [one.get("white_noise_snr_db") for one in controls]
    return Noise(
        wins=len(controls),
        hits=sum(one["hits"] for one in same),
        draws=sum(one["draws"] for one in same),
        as_good=sum(one["draws"] > 0 and 2 * one["hits"] >= one["draws"] for one in same),
        white=sum(one is not None for one in white),
        white_snr_db=median([-math.inf if one is None else float(one) for one in white]),
    )


def classes_of(audit: Audit, tries: Tries) -> tuple[OfClass, ...]:
    """Sum up the clips of each label, in the order of the victim's labels."""
    order = [str(one) for one in audit.setting.get("victim", {}).get("labels", ())]
    sources = {clip.source for clip in tries.clips.values() if clip.source is not None}
    rows = {row.job.sha256: row for row in audit.of(CLEAN)}
    found = []
    for label in [*(one for one in order if one in sources), *sorted(sources - set(order))]:
        clips = [clip for clip in tries.clips.values() if clip.source == label]
        known = [bool(clip.right) for clip in clips if clip.known and clip.sha256 in rows]
        mine = [one for one in tries.tries if one.clip.source == label]
        tallies = tuple(_tally(probe, mine) for probe in tries.sees if any(one.probe == probe for one in mine))
        found.append(OfClass(label, len(clips), sum(known), len(known), share(sum(known), len(known)), tallies))
    return tuple(found)


def pairs_of(tries: Tries) -> tuple[OfPair, ...]:
    """Sum up each pair of source and target, of each search that has targets, in the order in which they come."""
    groups: dict[tuple[str, str, str], list[Try]] = {}
    for one in tries.tries:
        if one.row.job.target is not None and one.clip.source is not None:
            groups.setdefault((one.probe, one.clip.source, one.row.job.target), []).append(one)
    return tuple(OfPair(source, target, _tally(probe, of)) for (probe, source, target), of in groups.items())


def _tally(probe: str, tries: Sequence[Try]) -> Tally:
    mine = [one for one in tries if one.probe == probe]
    return Tally(probe, len(mine), sum(one.won for one in mine), median([one.snr_db for one in mine]))


def _already(row: Row) -> bool:
    return row.state == "done" and (row.outcome is None or bool(row.outcome.get("already")))


def _nmr(one: Try) -> float | None:
    """Give what counts: nothing of a win whose ratio was not measured."""
    return None if one.won and math.isinf(one.nmr_db) else one.nmr_db
