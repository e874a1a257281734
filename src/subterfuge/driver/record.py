"""What an outcome records of its ingredients, and what it advises when an attack is lost."""

from __future__ import annotations

import hashlib
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from subterfuge.attacks import ATTACKS, Attack, Quietest
from subterfuge.audio import Clip
from subterfuge.driver.judge import Verdict
from subterfuge.oracle import Oracle, Step
from subterfuge.threat import Goal, Threat
from subterfuge.victim import Gives, Victim

BLACK_BOX = {"substitute": Gives.SCORES, "guided": Gives.SCORES, "evolution": Gives.SCORES, "hopskipjump": Gives.LABELS}
"""What to try where an attack without gradients lost, the frugal first, and what it needs."""


def goal_text(threat: Threat) -> str:
    """Say a goal as the command line does, without its target."""
    p = getattr(threat.goal, "p", None)
    return threat.goal.name if p is None else f"{threat.goal.name}={p:g}"


def file_word(goal: Goal) -> str | None:
    """Give what a result's name says of the goal: the target, or that the tag is gone, or None without a target."""
    target = getattr(goal, "target", None)
    return f"no-{target}" if target is not None and goal.name == "tag-" else target


def limit_text(threat: Threat) -> str:
    """Say a limit as the command line does."""
    limit = threat.limit
    value = getattr(limit, "snr_db", getattr(limit, "peak", getattr(limit, "margin_db", None) or None))
    return threat.limit.name if value is None else f"{threat.limit.name}={value:g}"


def name_of(method: Attack) -> str:
    """Give the name of an attack."""
    kind = type(method)
    return next((name for name, known in ATTACKS.items() if known is kind), kind.__name__.lower())


def clip_record(clip: Clip) -> dict[str, Any]:
    """Say which sound it was."""
    path = clip.path
    return {
        "name": clip.name,
        "label": clip.label,
        "path": None if path is None else str(path.absolute()),
        "sha256": None if path is None else hashlib.sha256(path.read_bytes()).hexdigest(),
        "fingerprint": clip.fingerprint,
        "sample_rate": clip.sample_rate,
        "channels": clip.channels,
        "frames": clip.frames,
        "format": clip.format,
        "subtype": clip.subtype,
    }


def weighed(findings: Any) -> Any:
    """Call an attack's decibels below the clip what they are where it searched in the ear's coordinates: weighed."""
    if isinstance(findings, Mapping):
        return {("weighed_snr_db" if key == "snr_db" else key): weighed(value) for key, value in findings.items()}
    if isinstance(findings, list | tuple):
        return [weighed(value) for value in findings]
    return "weighed_snr_db" if isinstance(findings, str) and findings == "snr_db" else findings


def victim_record(victim: Victim, card: str | Path | None, searched: Victim) -> dict[str, Any]:
    """Say which victim it was, and what was searched on."""
    return {
        "name": victim.name,
        "fingerprint": victim.fingerprint,
        "card": None if card is None else str(Path(card).absolute()),
        "card_sha256": None if card is None else hashlib.sha256(Path(card).read_bytes()).hexdigest(),
        "sample_rate": victim.sample_rate,
        "labels": list(victim.labels),
        "searched_on": on_text(victim, searched),
    }


def on_text(victim: Victim, searched: Victim) -> str:
    """Say what was searched on."""
    if searched is victim:
        return "itself"
    return "its twin" if searched is victim.twin else f"{searched.name} ({searched.fingerprint[:12]})"


def thinned(history: Sequence[Step], most: int = 200) -> tuple[dict[str, Any], ...]:
    """Give at most `most` points of a history, evenly, the first and the last among them."""
    stride = max(1, -(-len(history) // (most - 1)))
    kept = list(history[::stride])
    if history and kept[-1] is not history[-1]:
        kept.append(history[-1])
    return tuple(asdict(step) for step in kept)


def advice_for(
    method: Attack, threat: Threat, victim: Victim, oracle: Oracle, after: Verdict, died_of: Sequence[str] = ()
) -> str:
    """Say how far a lost attack came, and what to try."""
    margin, endless = float(oracle.best_margin[0]), threat.goal.name == "maximise"
    wins = "" if endless else " (above 0 wins)"
    came = f"best margin {margin:.3g}{wins}" if math.isfinite(margin) else "every win died in the written file"
    if not oracle.queries[0] + oracle.gradients[0]:
        came = "nothing was asked before the budget ended"
    if method.needs is Gives.LABELS and margin < 0 and threat.goal.asks == "scores":
        came = f"the victim never gave the wanted answer in {oracle.queries[0]} queries"
    if after.probability is not None:
        came += f", probability {after.probability:.3f}"
    tries = []
    if died_of:
        came += f", held back by {', '.join(died_of)}"
        tries.append("--robust without that")
    if threat.limit.name == "masking":
        tries.append("--measure nmr without the limit")
    if threat.limit.name != "none":
        tries.append(f"loosen the limit {limit_text(threat)}")
    budget = threat.budget
    if any(value is not None for value in asdict(budget).values()) and not bool(oracle.open()[0]):
        tries.append("allow more queries, gradients or seconds")
    if isinstance(method, Quietest):
        tries.append("more climbing (-o climb=600), another --seed")
    elif endless:
        tries.append("--goal targeted")
    elif (victim.twin or victim).gives >= Gives.GRADIENTS:
        tries.append("--attack quietest")
    else:
        tried = {name_of(method), *(["guided"] if "resigned_after_queries" in oracle.findings[0] else [])}
        able = [one for one, needs in BLACK_BOX.items() if victim.gives >= needs and one not in tried]
        tries.extend([f"--attack {' or '.join(able)}"] if able else [])
    if threat.goal.name in ("confident", "tag+"):
        tries.append("a lower probability")
    if threat.goal.name == "tag-":
        tries.append("a higher probability")
    tries.append("another target")
    return f"{came}; try: {'; '.join(tries)}"


def versions() -> dict[str, str]:
    """Give the versions of what the numbers depend on."""
    return {"python": platform.python_version()} | _installed()


@cache
def _installed() -> dict[str, str]:
    found = {}
    for package in (
        "sonic-subterfuge",
        "torch",
        "librosa",
        "scikit-learn",
        "numpy",
        "scipy",
        "soundfile",
        "zimtohrli",
        "pyloudnorm",
        "visqol-python",
        "pyroomacoustics",
        "cma",
        "deap",
        "noisereduce",
        "onnxruntime",
        "transformers",
        "musicnn",
        "silero-vad",
        "resemblyzer",
    ):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
