"""Whether two audits can be compared, what of them, and why not more."""

from __future__ import annotations

from subterfuge.campaign._figures_clips import CLEAN
from subterfuge.campaign.rows import Audit, Job
from subterfuge.campaign.words import are, counted, said
from subterfuge.errors import InputError


def fit(a: Audit, b: Audit) -> list[str]:
    """Refuse what cannot be compared; give notes of what else differs."""
    for key in ("protocol", "version", "level"):
        first, second = (one.setting.get(key) for one in (a, b))
        if first != second:
            raise InputError(
                f"the audits are of different {key}s, {said(first)} and {said(second)}, so their figures do not mean "
                f"the same; audit both with one {key} (--quick, --standard, --thorough; one version of subterfuge)"
            )
    notes = []
    prints = [one.setting.get("victim", {}).get("fingerprint") for one in (a, b)]
    if prints[0] is not None and prints[0] == prints[1]:
        notes.append("both audits are of the same victim, by its fingerprint")
    if a.setting.get("seed") != b.setting.get("seed"):
        notes.append(
            f"they were drawn with different seeds, {a.setting.get('seed')} and {b.setting.get('seed')}: only what "
            "both have counts"
        )
    for name, one in (("A", a), ("B", b)):
        if not one.complete:
            left = sum(row.state != "done" for row in one.rows)
            notes.append(
                f"{name} is incomplete: {left} of its {counted(len(one.rows), 'job')} failed or {are(left)} left"
            )
    return notes


def apart(a: Audit, b: Audit) -> list[str]:
    """Say why less than half of the smaller audit is in the other: other labels, other clips, other targets.

    Nothing where they have more than that in common.
    """
    asked = [{(job.sha256, job.probe, job.target) for job in _jobs(one)} for one in (a, b)]
    least = min(map(len, asked))
    if least and 2 * len(asked[0] & asked[1]) >= least:
        return []
    told = []
    labels = [{str(label) for label in one.setting.get("victim", {}).get("labels", ())} for one in (a, b)]
    if labels[0] != labels[1]:
        alone = [("A", labels[0] - labels[1]), ("B", labels[1] - labels[0])]
        sides = [f"{name} alone {', '.join(sorted(map(said, mine)))}" for name, mine in alone if mine]
        told.append(f"the victims know other labels, {'; '.join(sides)}: clips and targets are drawn of what is known")
    heard = [{row.job.sha256 for row in one.rows} for one in (a, b)]
    clips = [{job.sha256 for job in _jobs(one)} for one in (a, b)]
    common, least = len(clips[0] & clips[1]), min(map(len, clips))
    if not least:
        told.append(f"{' and '.join(name for name, one in zip('AB', clips, strict=True) if not one)} attacked no clip")
    elif 2 * common < least:
        among = "" if heard[0] & heard[1] else ", and no sound was even scored in both"
        told.append(
            f"other clips were attacked: {len(clips[0])} in A, {len(clips[1])} in B, {common} in both{among}; audit "
            "both on the same files, with the same --clips and --seed"
        )
    probes = [{job.probe for job in _jobs(one)} for one in (a, b)]
    if all(probes) and not probes[0] & probes[1]:
        names = [", ".join(sorted(map(said, one))) for one in probes]
        told.append(f"other searches were made: {names[0]} in A, {names[1]} in B")
    aims = [
        {(job.sha256, job.target) for job in _jobs(one) if job.target is not None and job.sha256 in clips[0] & clips[1]}
        for one in (a, b)
    ]
    if all(aims) and 2 * len(aims[0] & aims[1]) < min(map(len, aims)):
        told.append(
            f"the {counted(common, 'clip')} in both had other targets: {len(aims[0] & aims[1])} of "
            f"{min(map(len, aims))} are the same"
        )
    return told


def _jobs(audit: Audit) -> list[Job]:
    return [row.job for row in audit.rows if row.job.probe != CLEAN]


def unlike_searches(a: Audit, b: Audit, notes: list[str]) -> set[str]:
    """Give the searches that had other budgets, attacks or limits in the two audits; they are not compared."""
    told = [{str(one["name"]): one for one in side.setting.get("searches", ())} for side in (a, b)]
    unlike: dict[str, list[str]] = {}
    for probe in told[0].keys() & told[1].keys():
        for key in ("attack", "sees", "limit", "queries", "knobs"):
            if told[0][probe].get(key) != told[1][probe].get(key):
                unlike.setdefault(probe, []).append(key)
    for probe in (probe for probe in told[0] if probe in unlike):
        notes.append(f"the search {probe} is not compared, for the two audits made it with other {unlike[probe][0]}")
    return set(unlike)
