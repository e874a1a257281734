"""Whether two audits can be compared, and what of them."""

from __future__ import annotations

from subterfuge.campaign.rows import Audit
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
