"""What an audit asks: its setting, the sounds that are scored, the cases that are attacked, and the job of each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from subterfuge.campaign.cases import (
    Case,
    can_be_turned,
    check_numbers,
    draw_clips,
    name_of,
    place_of,
    targets_of,
)
from subterfuge.campaign.clips import names_of
from subterfuge.campaign.protocol import NAME, VERSION, Protocol, Search
from subterfuge.campaign.rows import Audit, Job, Row
from subterfuge.campaign.words import said
from subterfuge.errors import InputError
from subterfuge.training.examples import Dataset, Example
from subterfuge.victim import Victim

MOST_NAMED = 10
"""Classes that are not attacked, and are named one by one."""


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
    """Draw the sounds that are scored: labelled as the victim answers, or not at all; each content once.

    Those of a smaller number are among those of a larger one. Only what is drawn is read, so the draw is by names.
    """
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
    order = sorted(range(len(known)), key=lambda place: place_of(seed, "heard", name_of(known[place])))
    chosen = [known[place] for place in sorted(order[:most])]
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
    """Draw clips and targets among what can be heard; an unlabelled clip is what the victim says it is.

    A clip whose job failed keeps its place, and no other takes it: when it is done again, nothing else moves.
    """
    check_numbers(victim.labels, protocol.clips, protocol.targets, seed)
    rows = {Path(row.job.path): row for row in audit.of("clean")}
    if not any(one.example.path in rows for one in heard):
        if any("VictimError" in str(row.error) for row in audit.rows):
            return (), rows
        failed = next((row.error for row in audit.rows if row.error), "no reason was told")
        raise InputError(f"none of the {len(heard)} clips could be scored; the first: {failed}")
    unknown = sum(not one.example.label for one in heard if one.example.path in rows)
    if unknown:
        many = "1 clip has" if unknown == 1 else f"{unknown} clips have"
        notes.append(f"{many} no label: what the victim says of it as it comes counts as right")
    unreadable = {Path(row.job.path) for row in audit.rows if row.unreadable}
    names = {one.example.path: one.sha256 for one in heard if one.example.path not in unreadable}
    known = [one.example for one in heard if one.example.path in names and can_be_turned(one.example, victim.labels)]
    if not known:
        raise InputError(f"every label that the victim knows is heard in each of the {len(names)} clips: none is wrong")
    drawn = draw_clips(known, names, protocol.clips, seed)
    notes += _short(drawn, known, protocol.clips, [one for one in drawn if one.path not in rows])
    cases: list[Case] = []
    for one in drawn:
        if one.path in rows:
            named = one if one.label else replace(one, label=str(rows[one.path].result["answer"]))
            for target in targets_of(named, names[one.path], victim.labels, protocol.targets, seed):
                cases.append(Case(len(cases), named.path, named.label, target, named.also))
    return tuple(cases), rows


def _short(drawn: Sequence[Example], known: Sequence[Example], asked: int, failed: Sequence[Example]) -> list[str]:
    """Say what of all that could be attacked is not: too few clips, classes that no clip was drawn of, failures."""
    notes = []
    if len(drawn) < asked:
        notes.append(f"{len(drawn)} clips were attacked where {asked} were asked for: there are no more")
    classes, taken = ({one.label for one in some} for some in (known, drawn))
    without = sorted(classes - taken)
    if without:
        names = ", ".join(said(one or "no label") for one in without[:MOST_NAMED])
        more = f" and {len(without) - MOST_NAMED} more" if len(without) > MOST_NAMED else ""
        notes.append(
            f"no clip of {len(without)} of {len(classes)} classes is attacked ({names}{more}), drawn by the seed: "
            f"--clips {len(classes)} attacks one of each"
        )
    if failed:
        many = "1 clip that was drawn was" if len(failed) == 1 else f"{len(failed)} clips that were drawn were"
        notes.append(f"{many} not scored, and no other is attacked in its place: --retry asks again")
    return notes


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
