"""The command that repeats a recorded attack, for a shell."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from subterfuge.attacks import ATTACKS, knobs_of
from subterfuge.report._audit_parts import mapping, real


def command_of(outcome: Mapping[str, Any]) -> str:
    """Give the recorded command, or put one together from what the record holds.

    Knobs stand there where they are not the attack's usual ones. A victim that was searched on beside the one that
    judged, by ``--on``, is in no record, so it is not in the command either.
    """
    told = outcome.get("command")
    if isinstance(told, str) and told:
        return told
    clip, victim, budget = (mapping(outcome.get(key)) for key in ("clip", "victim", "budget"))
    words = ["subterfuge", "attack", _word(clip.get("path"), str(clip.get("name") or "CLIP"))]
    words += ["--victim", _word(victim.get("card"), "CARD")]
    goal, target = outcome.get("goal"), outcome.get("target")
    words += ["--target", str(target)] if target else []
    words += ["--goal", str(goal)] if goal and not (goal == "targeted" and target) else []
    attack = str(outcome.get("attack") or "")
    words += ["--attack", attack] if attack else []
    usual = knobs_of(ATTACKS[attack]) if attack in ATTACKS else {}
    for knob, value in mapping(outcome.get("knobs")).items():
        if _said(value) != _said(usual.get(knob)):
            words += ["-o", f"{knob}={_said(value)}"]
    limit, measure = outcome.get("limit"), outcome.get("measure")
    words += ["--limit", str(limit)] if limit and limit != "none" else []
    if measure and measure != ("nmr" if str(limit).startswith("masking") else "snr"):
        words += ["--measure", str(measure)]
    robust = mapping(outcome.get("robust")).get("asked")
    words += ["--robust", ",".join(map(str, robust))] if robust else []
    for kind in ("queries", "gradients", "seconds"):
        most = real(budget.get(kind))
        words += [f"--{kind}", f"{most:g}" if kind == "seconds" else str(int(most))] if most is not None else []
    words += ["--seed", str(outcome["seed"])] if outcome.get("seed") is not None else []
    return shlex.join(words)


def listen_command(file: str) -> str:
    """Give the command that makes a listening test of a file."""
    return shlex.join(["subterfuge", "listen", _word(file, "FILE")])


def _word(value: object, otherwise: str) -> str:
    told = str(value) if value else otherwise
    return f"./{told}" if told.startswith("-") else told


def _said(value: object) -> str:
    """Write a knob's value as the command line takes it; what JSON cannot hold is infinite.

    >>> _said([None, 46.0])
    'inf,46'
    """
    if isinstance(value, list | tuple):
        return ",".join(map(_said, value))
    if value is None:
        return "inf"
    return f"{value:g}" if isinstance(value, float) else str(value)
