"""What a scorecard advises: what to do next, with commands that can be typed."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path

from subterfuge.campaign._figures_asked import altered, short_of
from subterfuge.campaign._figures_clips import CLEAN
from subterfuge.campaign._scorecard_words import attacked, by_need, pair_words
from subterfuge.campaign.figures import Figures
from subterfuge.campaign.rows import Audit
from subterfuge.campaign.words import counted, said

FIRST = ("denoise", "requantise", "lowpass", "mp3")
"""Transforms that `subterfuge harden` can put before a victim."""
BLIND = ("scores", "labels")
"""Searches that hidden gradients do not stop, and that more queries help."""
DEADLY = 0.25
"""A transform that at most this part of the wins survives is worth trying before the victim."""
POOR = 0.6
"""Clean accuracy under which the clips, or the model, want work before its robustness does."""
MORE = 11
"""Clips that are advised where too few were attacked: as many as the least level has."""
NEXT_LEVEL = {"quick": "standard", "standard": "thorough"}


def next_of(audit: Audit, figures: Figures, verdict: str, few: bool) -> list[str]:
    """Say what to do next, with commands; CLIPS and DATA are the user's own.

    Args:
        audit: finished, or as far as it came.
        figures: of this audit.
        verdict: what it comes to.
        few: whether that rests on few clips.
    """
    card, folder = str(audit.setting.get("victim", {}).get("card", "CARD")), audit.folder
    again = f"subterfuge audit {shlex.quote(said(card))} CLIPS"
    steps: list[str] = []
    if figures.left:
        steps.append(f"Give the same command once more: it goes on with the {counted(figures.left, 'job')} left.")
    failed = sum(row.state == "failed" and not row.unreadable for row in audit.rows)
    if failed:
        where = shlex.quote(said(folder))
        steps.append(f"Do the {counted(failed, 'job')} that failed again: `{again} --out {where} --retry`.")
    if not steps and not any(one.asked for one in figures.searches):
        steps.append(_unasked(audit, again))
    if verdict == "unproven":
        steps.append(f"Ask what is missing before anything is said of it: `{again}{_missing(audit, figures)}`.")
    if any(one.get("hides") for one in audit.doubts):
        blind = ",".join(one.probe for one in figures.searches if one.probe in BLIND) or "labels"
        steps.append(
            "Do not trust what looks robust: gradients may be hidden. See `subterfuge check "
            f"{shlex.quote(said(card))}`, then give the black boxes more, "
            f"`{again} --only {blind} --queries 10000 --out black-box`."
        )
    accuracy = figures.clean.accuracy.value
    if accuracy is not None and accuracy < POOR:
        steps.append(
            "It is wrong about many clips as they come. Look at which first: `subterfuge evaluate "
            f"{shlex.quote(said(card))} DATA --out evaluation`; then at robustness."
        )
    if verdict in ("fooled", "weak", "doubtful"):
        steps.append(_harden(figures, card))
    if verdict in ("fooled", "weak"):
        steps += _listen(figures, folder)
    steps += _look(figures)
    level = NEXT_LEVEL.get(str(audit.setting.get("level")))
    if level and verdict in ("weak", "robust", "doubtful"):
        steps.append(f"Make sure, on more clips and with more effort: `{again} --{level} --out {level}`.")
    if few and attacked(audit) < audit.setting.get("clips", 0):
        steps.append("Give more clips before anything is built on this: there were no others.")
    elif few:
        more = max(MORE, 2 * attacked(audit))
        steps.append(f"Attack more clips before anything is built on this: `{again} --clips {more} --out more`.")
    elif verdict == "robust":
        steps.append(
            f"Keep it so: `{again} --out audit --fail-under {_bars(figures)}` in CI, and the line in the notes."
        )
    return steps


def _missing(audit: Audit, figures: Figures) -> str:
    """Give the options by which an audit is asked what is missing: in its own folder, unless queries were too few."""
    setting, others = audit.setting, altered(audit)
    short = bool(short_of(audit))
    words = [] if setting.get("level") == "quick" else [f"--{setting.get('level')}"]
    words += [f"--seed {setting['seed']}"] if setting.get("seed") else []
    words += [
        f"{name} {others[name]}"
        for name in ("--clips", "--targets", "--queries")[: 2 if short else 3]
        if name in others
    ]
    if not short:
        words.append(f"--only {','.join(one.probe for one in figures.unasked)}")
    where = "whole" if short else shlex.quote(said(audit.folder))
    return "".join(f" {said(one)}" for one in words) + f" --out {where}"


def _unasked(audit: Audit, again: str) -> str:
    """Say how to attack anything, where every job is done and no search had anything to do."""
    if any(row.job.probe != CLEAN for row in audit.rows):
        return f"Every attacked clip met its goal as it came: ask for more, `{again} --clips {MORE} --out more`."
    aimed = [str(one["name"]) for one in audit.setting.get("searches", ()) if one.get("goal") == "targeted"]
    only = f" --only {shlex.quote(said(','.join(aimed)))}" if aimed else ""
    return (
        f"Nothing was attacked: ask for searches with a target, which attack every clip, `{again}{only} --out audit`."
    )


def _harden(figures: Figures, card: str) -> str:
    words = ["noise", "adversarial"] if _can_be_taught(card) else ["smooth=0.003"]
    for one in figures.survival.transforms:
        if one.share.value is not None and one.share.value <= DEADLY and one.transform.partition("=")[0] in FIRST:
            words.insert(0, one.transform)
            break
    return (
        f"Try what can be done: `subterfuge harden {shlex.quote(said(card))} DATA --with {','.join(words)} --out "
        "hardened`, DATA being its training set; it attacks every defence by one who knows it."
    )


def _can_be_taught(card: str) -> bool:
    """Say whether `harden` can train such a victim anew: scikit-learn on a recipe, our own network; unknown, yes."""
    try:
        found = tomllib.loads(Path(card).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return True
    return found.get("kind") == "sklearn" or str(found.get("module", "")).startswith("subterfuge.")


def _listen(figures: Figures, folder: Path) -> list[str]:
    won = {one.probe: one for one in figures.searches if one.won}
    if not won:
        return []
    probe = "masked" if "masked" in won else max(won, key=lambda name: won[name].mos.value or 0.0)
    sounds = shlex.quote(said(folder / "sounds" / probe))
    return [f"Ask ears whether anyone hears it: `subterfuge listen {sounds}/*.outcome.json --out listening.html`."]


def _look(figures: Figures) -> list[str]:
    pairs = by_need(figures)
    if len(pairs) < 2 or pairs[0].tally.snr_db is None:
        return []
    return [
        f"Look at {pair_words(pairs[0])}: more, and more varied, clips of these two classes are where it gains most."
    ]


def _bars(figures: Figures) -> str:
    bars: Mapping[str, float | None] = {
        "clean": figures.clean.accuracy.low,
        "robust": None if (below := figures.robust_at(None)) is None else below.accuracy.low,
    }
    told = [f"{name}={int(100 * value) / 100:g}" for name, value in bars.items() if value is not None]
    return ",".join(told) or "robust@20=0.5"
