"""Teach one model, and examine it on what was held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from subterfuge.errors import InputError
from subterfuge.training._train_score import Score, score
from subterfuge.training.examples import Dataset
from subterfuge.training.families import By, fit
from subterfuge.training.tables import Table

RECIPE, RATE = "librosa-mean-25", 44100
"""What models on features hear."""
NETWORK_RATE = 22050
"""The rate in Hz at which a network hears."""
Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Learned:
    """A model, and what it was taught and examined with."""

    model: Any
    score: Score
    taught: dict[str, int]
    held_out: tuple[str, ...]
    """Recordings none of whose sounds were taught."""
    skipped: tuple[str, ...]
    notes: tuple[str, ...]


def on_features(taught: Table, examined: Table, model: str, way: By, tune: int, seed: int, tell: Progress) -> Learned:
    """Fit a family, and count its right answers."""
    if lacking := sorted(set(examined.labels) - set(taught.labels)):
        raise InputError(
            f"no sound of the class {lacking[0]} that was to be learned can be used: {taught.skipped[0].rstrip('.')}. "
            "Mend the files, or leave the class out."
        )
    fitted = fit(model, taught, seed=seed, tune=tune, by=way, progress=lambda done, total: tell("search", done, total))
    answers = fitted.estimator.predict(examined.X)
    return Learned(
        fitted,
        score(examined.y.tolist(), answers.tolist(), examined.groups.tolist()),
        {"rows": len(taught), "sounds": sum("#" not in name for name in taught.names.tolist())},
        tuple(sorted(set(examined.groups.tolist()) - set(taught.groups.tolist()))),
        tuple(dict.fromkeys((*taught.skipped, *examined.skipped))),
        fitted.notes,
    )


def on_sounds(
    data: Dataset,
    learn: Any,
    examine: Any,
    through: str,
    augment: str,
    seed: int,
    epochs: int | None,
    tell: Progress,
) -> Learned:
    """Teach the network, and count its right answers."""
    from subterfuge.training._cnn_sounds import Sounds
    from subterfuge.training.cnn import train_cnn

    trained = train_cnn(
        data,
        learn,
        through=through,
        augment=augment,
        seed=seed,
        epochs=epochs,
        sample_rate=NETWORK_RATE,
        progress=lambda done, total: tell("training", done, total),
    )
    truth, answers, groups, skipped = [], [], [], list(trained.skipped)
    for done, place in enumerate(examine.tolist()):
        tell("held-out sounds", done, len(examine))
        one = Sounds.read(
            data,
            [place],
            trained.labels,
            NETWORK_RATE,
            through=through,
            augment="",
            seed=seed,
            told=lambda: None,
        )
        skipped.extend(one.skipped)
        for wave in one.waves:
            truth.append(data.examples[place].label)
            groups.append(data.examples[place].group)
            answers.append(trained.labels[int(trained.module(wave[None]).argmax())])
    if not truth:
        raise InputError(f"none of the {len(examine)} sounds that were held out can be used: {skipped[-1]}")
    known = {data.examples[place].group for place in learn.tolist()}
    sounds = len(learn) - len(trained.skipped)
    held = tuple(sorted(set(groups) - known))
    return Learned(
        trained,
        score(truth, answers, groups),
        {"rows": sounds, "sounds": sounds},
        held,
        tuple(skipped),
        trained.notes,
    )
