"""What an audit asked beside what its level asks: what was altered, and what is missing before a victim is robust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from subterfuge.campaign._figures_clips import CLEAN, Tries
from subterfuge.campaign.protocol import PROTOCOLS, Protocol
from subterfuge.campaign.rows import Audit
from subterfuge.campaign.words import said

MASKED = "masked"


@dataclass(frozen=True)
class Unasked:
    """A search that a victim must stand to be called robust, and that some of its clips were not asked by."""

    probe: str
    clips: int
    """Right as they come, attacked otherwise, and not by it."""
    of: int
    """Right as they come, and attacked in any way."""


def strongest_of(audit: Audit) -> str:
    """Name the strongest search for a target that a victim allows: by its slopes, else by scores, else by labels."""
    names = {str(one["name"]) for one in audit.setting.get("searches", ())}
    gives = str(audit.setting.get("victim", {}).get("gives", ""))
    for probe, needs in (("white", "gradients"), ("scores", "scores")):
        if probe in names or gives == needs:
            return probe
    return "labels"


def unasked_of(audit: Audit, tries: Tries) -> tuple[Unasked, ...]:
    """Say of which of the attacked clips the strongest search, or the one below the masking threshold, is not done."""
    right = [clip.sha256 for clip in tries.drawn if clip.right]
    done = {(row.job.sha256, row.job.probe) for row in audit.rows if row.state == "done"}
    found = [
        Unasked(probe, sum((clip, probe) not in done for clip in right), len(right))
        for probe in (strongest_of(audit), MASKED)
    ]
    return tuple(one for one in found if one.clips)


def short_of(audit: Audit, *, made: bool = False) -> list[str]:
    """Say which of these searches have fewer queries than the level gives them; all, or those that were `made`."""
    level, probes = _level(audit), {row.job.probe for row in audit.rows}
    told: list[Mapping[str, Any]] = [one for one in audit.setting.get("searches", ()) if level is not None]
    return [
        f"{said(one['name'])} had {one['queries']} queries of {level.queries}"
        for one in told
        if level is not None
        and one["name"] in (strongest_of(audit), MASKED)
        and (one["name"] in probes or not made)
        and one.get("queries") is not None
        and one["queries"] < level.queries
    ]


def altered(audit: Audit) -> dict[str, str]:
    """Give the options by which an audit differs from its level, with their values; nothing of an unknown level."""
    level, setting = _level(audit), audit.setting
    if level is None:
        return {}
    told = {}
    probes = {row.job.probe for row in audit.rows} - {CLEAN}
    right = any(row.result.get("right") is not False for row in audit.of(CLEAN))
    searches = {
        str(one["name"])
        for one in setting.get("searches", ())
        if right or one.get("goal") != "untargeted"  # which are made of clips that are right alone
    }
    if probes and searches - probes:
        told["--only"] = ",".join(str(one["name"]) for one in setting["searches"] if one["name"] in probes)
    most = max(1, len(setting.get("victim", {}).get("labels", ())) - 1)
    usual = {"clips": level.clips, "targets": min(level.targets, most), "queries": level.queries}
    return told | {f"--{key}": str(setting[key]) for key, own in usual.items() if setting.get(key, own) != own}


def _level(audit: Audit) -> Protocol | None:
    return PROTOCOLS.get(str(audit.setting.get("level")))
