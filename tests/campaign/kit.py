"""Audits made by hand: rows with the least that an outcome must hold.

audit_of([won("a", "low", "high", 40.0), lost("b", "high", "low")], clean={"a": "low", "b": "low"})
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from subterfuge.campaign.rows import Audit, Job, Row
from subterfuge.outcome import Outcome

LABELS = ("low", "middle", "high")
SEES = {
    "white": "gradients",
    "untargeted": "gradients",
    "masked": "gradients",
    "scores": "scores",
    "labels": "labels",
    "substitute": "a substitute",
}
BLIND = ("scores", "labels", "substitute")


def sha(name: str) -> str:
    """Give the hash that a clip of a name has here."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def outcome(**about: Any) -> dict[str, Any]:
    """Give a record with every field that `Outcome` has, as plain JSON values."""
    usual: dict[str, Any] = {
        "won": True,
        "goal": "targeted",
        "target": "high",
        "predicted_before": "low",
        "predicted": "high",
        "probability_before": 0.1,
        "probability": 0.6,
        "snr_db": 40.0,
        "file_snr_db": 40.0,
        "peak": 0.01,
        "zimtohrli_mos": 4.5,
        "queries": 100,
        "gradients": 0,
        "judgements": 1,
        "seconds": 2.0,
        "margin": 0.1,
        "twin_gap": None,
        "control": None,
        "attack": "quietest",
        "knobs": {},
        "limit": "none",
        "budget": {"queries": None, "gradients": None, "seconds": None},
        "seed": 0,
        "repeatable": True,
        "file": None,
        "file_sha256": None,
        "clip": {"name": "a"},
        "victim": {"name": "v"},
        "nmr_db": -5.0,
    }
    return Outcome(**(usual | about)).as_json()


def tried(
    name: str,
    source: str | None,
    target: str | None,
    snr_db: float | None,
    *,
    probe: str = "white",
    won: bool = True,
    answer: str | None = None,
    predicted: str | None = None,
    survival: Sequence[Mapping[str, Any]] | None = None,
    state: str = "done",
    error: str | None = None,
    also: tuple[str, ...] = (),
    **about: Any,
) -> Row:
    """Give the row of a search: of a clip of a label, for a target, with what its outcome is to hold.

    `answer` is what the victim says of the clip as it comes: its label without one.
    """
    before = answer or source or LABELS[0]
    after = predicted or (target or next(one for one in LABELS if one != before) if won else before)
    job = Job(0, probe, name, f"/clips/{name}", sha(name), source, also, target)
    if state != "done":
        return Row(job, f"{probe}/{name}/{target}", state, {}, error)  # type: ignore[arg-type]
    record = outcome(
        **{"goal": "targeted" if target else "untargeted", "target": target, "won": won, "snr_db": snr_db}
        | {"predicted_before": before, "predicted": after, "clip": {"name": name, "sha256": sha(name)}}
        | {"file": f"sounds/{probe}/{name}" if won else None}
        | about
    )
    telling = [each for each in survival or () if each["why_not"] is None and not each["alone"]]
    through = sum(bool(each["reached"]) for each in telling)
    passed = None if survival is None else {"trials": list(survival), "survived": through, "telling": len(telling)}
    if passed is not None:
        passed["share"] = through / len(telling) if telling else None
    chances = dict.fromkeys(LABELS, 1 / len(LABELS))
    result = {"outcome": record, "probabilities_before": chances, "probabilities": chances, "survival": passed}
    return Row(job, f"{probe}/{name}/{target}", "done", result, seconds=about.get("seconds", 2.0))


def won(name: str, source: str | None, target: str | None, snr_db: float, **about: Any) -> Row:
    """Give the row of a search that won."""
    return tried(name, source, target, snr_db, **about)


def lost(name: str, source: str | None, target: str | None, **about: Any) -> Row:
    """Give the row of a search that lost; the SNR is of the nearest that it came, and must count nowhere."""
    return tried(name, source, target, 55.0, won=False, **about)


def scored(name: str, label: str | None, answer: str | None, *, state: str = "done", also: tuple[str, ...] = ()) -> Row:
    """Give the row of a clip as it comes."""
    job = Job(0, "clean", name, f"/clips/{name}", sha(name), label, also)
    if state != "done":
        return Row(job, f"clean/{name}", state, {}, "ClipError: gone" if state == "failed" else None)  # type: ignore[arg-type]
    right = None if label is None else answer in (label, *also)
    chances = dict.fromkeys(LABELS, 1 / len(LABELS))
    return Row(job, f"clean/{name}", "done", {"answer": answer, "probabilities": chances, "right": right}, seconds=0.1)


def trial(transform: str, reached: bool | None, *, alone: bool = False, why_not: str | None = None) -> dict[str, Any]:
    """Give one trial of a survival, as it is recorded."""
    return {"transform": transform, "why_not": why_not, "reached": reached, "alone": None if why_not else alone}


def setting_of(rows: Sequence[Row], **about: Any) -> dict[str, Any]:
    """Give the setting that fits some rows."""
    probes = dict.fromkeys(row.job.probe for row in rows if row.job.probe != "clean")
    searches = [
        {
            "name": probe,
            "says": f"the search {probe}",
            "sees": SEES.get(probe, probe),
            "attack": "quietest",
            "goal": "untargeted" if probe in ("untargeted", "masked") else "targeted",
            "limit": "masking" if probe == "masked" else "",
            "queries": 600 if probe in BLIND else None,
        }
        for probe in probes
    ]
    victim = {"name": "tuned", "card": "/cards/tuned.toml", "fingerprint": "f" * 64, "labels": list(LABELS)}
    usual = {"protocol": "subterfuge", "version": 1, "level": "quick", "seed": 0, "clips": 11, "targets": 1}
    usual |= {"queries": 600, "searches": searches, "survives": "mp3=128,gain=-6", "data": "clips"}
    return usual | {"victim": victim | {"sample_rate": 22050, "gives": "gradients"}} | about


def audit_of(
    rows: Sequence[Row] = (),
    clean: Mapping[str, tuple[str | None, str] | str] | None = None,
    *,
    doubts: Sequence[Mapping[str, Any]] = (),
    notes: Sequence[str] = (),
    **setting: Any,
) -> Audit:
    """Give an audit of rows, after those of clips as they come: by name, the label and the answer, or both in one."""
    first = [scored(name, *((said, said) if isinstance(said, str) else said)) for name, said in (clean or {}).items()]
    every = [*first, *rows]
    numbered = [Row(**(vars(row) | {"job": Job(**(vars(row.job) | {"number": n}))})) for n, row in enumerate(every)]
    return Audit(setting_of(every, **setting), tuple(numbered), tuple(doubts), tuple(notes))
