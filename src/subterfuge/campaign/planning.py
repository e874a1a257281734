"""What an audit asks: its setting, the sounds that are scored, the cases that are attacked, and the job of each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from subterfuge.campaign.cases import Case, draw_cases
from subterfuge.campaign.clips import names_of
from subterfuge.campaign.protocol import NAME, VERSION, Protocol, Search
from subterfuge.campaign.rows import Audit, Job, Row
from subterfuge.errors import InputError
from subterfuge.training.examples import Dataset, Example
from subterfuge.victim import Victim


@dataclass(frozen=True)
class Heard:
    """A sound of the audit."""

    example: Example
    name: str
    sha256: str


def fitted(protocol: Protocol, count: int | None, targets: int | None, queries: int | None, labels: int) -> Protocol:
    """Give a level's protocol with other numbers than its own, where they are asked for."""
    return replace(
        protocol,
        clips=count or protocol.clips,
        clean=max(protocol.clean, count or 0),
        targets=min(targets or protocol.targets, labels - 1),
        queries=queries or protocol.queries,
    )


def setting_of(
    protocol: Protocol, searches: Sequence[Search], victim: Victim, card: Path, data: Dataset, seed: int, survives: str
) -> dict[str, Any]:
    """Give the setting of an audit, as `Audit.setting` tells it."""
    return {
        "protocol": NAME,
        "version": VERSION,
        "level": protocol.level,
        "seed": seed,
        "clips": protocol.clips,
        "targets": protocol.targets,
        "queries": protocol.queries,
        "searches": [one.json() for one in searches],
        "survives": survives,
        "data": data.name,
        "victim": {
            "name": victim.name,
            "card": str(card),
            "fingerprint": victim.fingerprint,
            "labels": list(victim.labels),
            "sample_rate": victim.sample_rate,
            "gives": victim.gives.name.lower(),
        },
    }


def shared_by(setting: dict[str, Any]) -> tuple[str, ...]:
    """Give what the result of every job depends on beside itself, as texts."""
    parts = [setting["victim"]["fingerprint"], *(setting[key] for key in ("protocol", "version", "level", "seed"))]
    return tuple(str(part) for part in [*parts, setting["queries"], setting["survives"]])


def heard_of(data: Dataset, most: int, seed: int, labels: Sequence[str], notes: list[str]) -> list[Heard]:
    """Draw the sounds that are scored: labelled as the victim answers, or not at all; each content once."""
    known = [one for one in data.examples if not one.label or one.label in labels]
    strange = sorted({one.label for one in data.examples if one.label} - set(labels))
    if strange:
        left_out = len(data) - len(known)
        notes.append(f"{left_out} clips are of classes that the victim does not know: {', '.join(strange)}")
    if not known:
        raise InputError(
            f"none of the {len(data)} clips of {data.name} has a label that the victim knows; it knows "
            f"{', '.join(labels)}, and the clips are {', '.join(strange)}: rename their folders, or the card's labels"
        )
    order = sorted(np.random.default_rng([seed, 0xA0D1]).permutation(len(known))[:most].tolist())
    chosen = [known[place] for place in order]
    names = names_of([one.path for one in chosen])
    heard: dict[str, Heard] = {}
    for one in chosen:
        try:
            sha256 = hashlib.sha256(one.path.read_bytes()).hexdigest()
        except OSError as reason:
            notes.append(f"{one.path} cannot be read: {reason.strerror or reason}")
            continue
        first = heard.setdefault(sha256, Heard(one, names[one.path], sha256))
        if first.example is not one:
            notes.append(f"{names[one.path]} is the same file as {first.name}, and was left out")
    if not heard:
        raise InputError(f"none of the {len(chosen)} clips of {data.name} can be read; the first: {notes[0]}")
    return list(heard.values())


def clean_job(number: int, one: Heard) -> Job:
    """Give the job of scoring a sound as it comes."""
    example = one.example
    return Job(number, "clean", one.name, str(example.path), one.sha256, example.label or None, example.also)


def cases_of(
    audit: Audit, heard: Sequence[Heard], victim: Victim, protocol: Protocol, seed: int, notes: list[str]
) -> tuple[tuple[Case, ...], dict[Path, Row]]:
    """Draw clips and targets among what could be scored; an unlabelled clip is what the victim says it is."""
    rows = {Path(row.job.path): row for row in audit.of("clean")}
    scored = [one.example for one in heard if one.example.path in rows]
    if not scored and any("VictimError" in str(row.error) for row in audit.rows):
        return (), rows
    if not scored:
        failed = next((row.error for row in audit.rows if row.error), "no reason was told")
        raise InputError(f"none of the {len(heard)} clips could be scored; the first: {failed}")
    unknown = sum(not one.label for one in scored)
    if unknown:
        many = "1 clip has" if unknown == 1 else f"{unknown} clips have"
        notes.append(f"{many} no label: what the victim says of it as it comes counts as right")
    labelled = [one if one.label else replace(one, label=str(rows[one.path].result["answer"])) for one in scored]
    data = Dataset(audit.setting["data"], tuple(labelled))
    cases = draw_cases(data, victim.labels, protocol.clips, protocol.targets, seed)
    drawn = len({case.path for case in cases})
    if drawn < protocol.clips:
        notes.append(f"{drawn} clips were attacked where {protocol.clips} were asked for: there are no more")
    return cases, rows


def attack_jobs(cases: Sequence[Case], rows: dict[Path, Row], searches: Sequence[Search], begin: int) -> list[Job]:
    """Give the jobs of every search: of each case, or, without a target, once of each clip that is answered rightly."""
    jobs: list[Job] = []
    for search in searches:
        asked: set[Path] = set()
        for case in cases:
            row = rows[case.path]
            target = case.target if search.goal == "targeted" else None
            if target is None and (case.path in asked or row.result["right"] is False):
                continue
            asked.add(case.path)
            jobs.append(replace(row.job, number=begin + len(jobs), probe=search.name, target=target))
    return jobs
