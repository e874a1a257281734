"""Small audits to make pages of: noise, changed a little, with records as attacks write them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from subterfuge.campaign.rows import Audit, Job, Row
from subterfuge.report.audit_page import page

RATE = 8000
LABELS = ("low", "middle", "high")


def row(
    folder: Path,
    number: int,
    *,
    probe: str = "white",
    name: str | None = None,
    label: str = "low",
    target: str | None = "high",
    snr_db: float = 40.0,
    seconds: float = 0.25,
    rate: int = RATE,
    channels: int = 1,
    subtype: str = "PCM_16",
    level: float = 0.1,
    clip: int | None = None,
    change: Callable[[Any], Any] | None = None,
    **more: Any,
) -> Row:
    """A won search: the clip and its changed file are written, the file below the folder."""
    which = number if clip is None else clip
    before = level * np.random.default_rng(which).normal(size=(round(rate * seconds), channels)).clip(-4, 4)
    added = level * 10 ** (-snr_db / 20) * np.random.default_rng([number, 1]).normal(size=before.shape)
    after = before + added if change is None else change(before)
    place, file = folder / "clips" / f"clip{which}.wav", folder / "sounds" / probe / f"{number}.wav"
    for path, samples in ((place, before), (file, after)):
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples.clip(-1, 1 - 2**-15), rate, subtype=subtype)
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (place, file)]
    outcome = {
        "won": True, "already": False, "goal": "targeted" if target else "untargeted", "target": target,
        "predicted_before": label, "predicted": target or "middle", "probability_before": 0.01, "probability": 0.6,
        "snr_db": snr_db, "nmr_db": -12.0, "zimtohrli_mos": 4.5, "queries": 10 * number, "gradients": 5,
        "judgements": 1, "seconds": 1.5, "margin": 0.1, "attack": "quietest", "knobs": {"climb": 600}, "limit": "none",
        "budget": {"queries": None}, "seed": 3, "file": str(file.relative_to(folder)), "file_sha256": hashes[1],
        "clip": {"name": name or place.stem, "label": label, "path": str(place), "sha256": hashes[0]},
        "victim": {"name": "bands", "fingerprint": "0", "card": None, "labels": list(LABELS)}, "warnings": [],
        "history": [{"gradients": i, "queries": 0, "margin": i - 2.0, "snr_db": 30.0 + i} for i in range(6)],
        "schema": 1, "control": None, "advice": None, "findings": {}, "command": None,
    }  # fmt: skip
    said: Mapping[str, Any] = dict(zip(LABELS, (0.9, 0.09, 0.01), strict=True))
    result = {
        "outcome": outcome | more,
        "probabilities_before": said,
        "probabilities": dict(zip(LABELS, (0.3, 0.1, 0.6), strict=True)),
        "survival": None,
    }
    job = Job(number, probe, name or f"clip{which}", str(place), hashes[0], label, (), target)
    return Row(job, f"{number}", "done", result)


def audit(folder: Path, *rows: Row, **more: Any) -> Audit:
    """An audit of these rows."""
    victim = {"name": "bands", "card": "bands.toml", "fingerprint": "0", "labels": list(LABELS), "sample_rate": RATE}
    setting = {"protocol": "subterfuge", "version": 1, "level": "quick", "seed": 0, "data": "noise", "victim": victim}
    return Audit(setting | {"searches": []}, rows, folder=folder, **more)


def written(one: Audit, place: Path | None = None, **more: Any) -> Path:
    """Its page, with real figures, in its folder."""
    from subterfuge.campaign.figures import figures_of
    from subterfuge.campaign.scorecard import scorecard_of

    figures = figures_of(one)
    path = place or one.folder / "audit.html"
    path.write_text(page(one, figures.json(), scorecard_of(one, figures).json(), path, **more), encoding="utf-8")
    return path
