"""The command that repeats a recorded attack, for a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from subterfuge.attacks import ATTACKS, knobs_of
from subterfuge.campaign.rows import Row
from subterfuge.report._audit_parts import mapping, real

_ANOTHER = re.compile(r".* \([0-9a-f]{12}\)", re.DOTALL)
"""What is recorded as searched on, where that was neither the victim nor its twin: a name and a fingerprint."""


def command_of(outcome: Mapping[str, Any]) -> str | None:
    """Give the recorded command, or put one together from what the record holds; None where that would not repeat it.

    Knobs stand there where they are not the attack's usual ones. A victim that was searched on beside the one that
    judged is in a record by its name alone: without the recorded command nothing repeats such a search.
    """
    told = outcome.get("command")
    if isinstance(told, str) and told:
        return told
    if _ANOTHER.fullmatch(str(mapping(outcome.get("victim")).get("searched_on") or "")):
        return None
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


def repeat_of(row: Row, setting: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Give the command that repeats a search, and, where no single command does, in words what does.

    Args:
        row: of the search.
        setting: of its audit.
    """
    if row.outcome is None:
        return None, None
    if "substitute" not in row.result:
        told = command_of(row.outcome)
        another = mapping(row.outcome.get("victim")).get("searched_on")
        why = f"It was searched on another than the victim, {another}, so no command is put together from the record."
        return told, None if told else why
    words = ["subterfuge", "audit", _word(mapping(setting.get("victim")).get("card"), "CARD"), "CLIPS"]
    words += [f"--{setting['level']}"] if setting.get("level") else []
    for option in ("clips", "targets", "queries", "seed"):
        words += [f"--{option}", str(setting[option])] if setting.get(option) is not None else []
    again = shlex.join([*words, "--out", "DIR", "--only", row.job.probe])
    return None, (
        "It learnt a substitute first, which no command for a single clip does: repeat it by the audit, CLIPS being "
        f"those of this one: `{again}`."
    )


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
