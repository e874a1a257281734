"""What is written down of a training: the head of the card, and the record beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from subterfuge.training._train_learn import NETWORK_RATE, RATE, RECIPE, Learned
from subterfuge.training._train_score import Score
from subterfuge.training.examples import Dataset, names_sha256
from subterfuge.training.families import FAMILIES, By, Fitted
from subterfuge.training.tables import Table

PACKAGES = ("sonic-subterfuge", "scikit-learn", "skops", "numpy", "scipy", "librosa", "torch")
SAID = {
    "recording": "no recording on both sides",
    "random": "excerpts of one recording on both sides, which flatters",
}


def about(model: str, learned: Learned, where: str | Path, way: By, through: str, augment: str, seed: int) -> list[str]:
    """Give the sentences at the head of a card."""
    told, says = learned.score, FAMILIES[model].says if model in FAMILIES else "a convolutional network"
    rows = f" (as {learned.taught['rows']} rows, by {augment})" if augment else ""
    heard = f", each through {through}" if through else ""
    return [
        f"{model}: {says}.",
        f"Trained with seed {seed} on {learned.taught['sounds']} sounds of {where}{heard}{rows}.",
        f"Right on {told.share:.1%} ({told.low:.1%} to {told.high:.1%}) of {told.of} held-out sounds of "
        f"{told.recordings} recordings; {SAID[way]}.",
    ]


def record_of(
    model: str,
    learned: Learned,
    flattered: Score | None,
    data: Dataset | Table,
    **asked: Any,
) -> dict[str, Any]:
    """Give the record of a training, of plain JSON values."""
    fitted = learned.model if isinstance(learned.model, Fitted) else None
    told: dict[str, Any] = {
        "model": model,
        "data": _data_record(data, learned.skipped),
        "split": {"by": asked["by"], "test": asked["test"], "seed": asked["seed"]},
        "seed": asked["seed"],
        "through": asked["through"],
        "augment": asked["augment"],
        "labels": list(learned.model.labels),
        "taught": learned.taught,
        "held_out": list(learned.held_out),
        "score": learned.score.as_json(),
        "random_split_score": None if flattered is None else flattered.as_json(),
        "notes": list(learned.notes),
        "versions": _versions(),
    }
    if fitted is not None:
        told |= {"recipe": RECIPE, "sample_rate": RATE, "parameters": _plain(fitted.parameters)}
        told["search"] = None if fitted.search is None else [_plain(asdict(one)) for one in fitted.search.tried]
    else:
        told |= {"sample_rate": NETWORK_RATE, "history": [asdict(one) for one in learned.model.history]}
    return told


def _data_record(data: Dataset | Table, skipped: Sequence[str]) -> dict[str, Any]:
    if isinstance(data, Table):
        name, labels, groups, left_out = "embedded", data.y.tolist(), data.groups.tolist(), list(data.skipped)
        content = names_sha256(zip(labels, groups, data.names.tolist(), strict=True))
    else:
        name, left_out = data.name, [*data.skipped, *skipped]
        labels, groups = [one.label for one in data.examples], [one.group for one in data.examples]
        content = data.names_sha256
    classes, counts = np.unique(labels, return_counts=True)
    return {
        "name": name,
        "sounds": len(labels),
        "recordings": len(set(groups)),
        "classes": dict(zip(classes.tolist(), counts.tolist(), strict=True)),
        "names_sha256": content,
        "skipped": left_out,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
