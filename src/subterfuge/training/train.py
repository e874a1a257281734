"""Train one model on a set, measure it on recordings that it never heard, and save it as a victim."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from subterfuge.errors import InputError, check_seed, nearest
from subterfuge.training._train_learn import NETWORK_RATE, RATE, RECIPE, Learned, Progress, on_features, on_sounds
from subterfuge.training._train_record import SAID, about, record_of
from subterfuge.training._train_score import Score
from subterfuge.training.examples import Dataset
from subterfuge.training.families import FAMILIES, By
from subterfuge.training.saving import Places, save
from subterfuge.training.splits import split
from subterfuge.training.tables import Table, embedded_table, feature_table

NETWORK = "cnn"
MODELS = (*FAMILIES, NETWORK)
"""What ``--model`` takes."""


@dataclass(frozen=True)
class Trained:
    """A model that was trained and saved."""

    card: Path
    score: Score
    """On what was held out, by the split that it was trained with."""
    random: Score | None
    """Of another model, trained the same way on a random split, where both were asked for."""
    record: Mapping[str, Any]
    """What NAME.training.json holds."""
    notes: tuple[str, ...]
    """What its user must know."""


def train(
    where: str | Path,
    model: str = "svc",
    *,
    layout: str = "auto",
    group: str | None = None,
    tune: int = 0,
    by: Literal["recording", "random", "both"] = "recording",
    test: float = 0.25,
    through: str = "",
    augment: str = "",
    seed: int = 0,
    out: Path = Path(),
    name: str | None = None,
    cache: Path | None = None,
    jobs: int = 0,
    epochs: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    announce: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Train a model and write its files into a folder (see `saving`).

    Args:
        where: a set, as `read_dataset` reads it; ``embedded`` is the table of features that comes with the package.
        model: one of `MODELS`.
        layout: of the set, for `read_dataset`.
        group: a regular expression that finds the recording in a path, for `read_dataset`.
        tune: how many settings a randomised search tries; 0 for none.
        by: how the set is split. With ``both`` the model that is saved is that of ``recording``, and another one is
            trained on a random split, to show by how much that flatters.
        test: the part that is held out.
        through: transforms that every sound passes, in training and in use.
        augment: what becomes of a sound in training.
        seed: of everything random.
        out: the folder for the files.
        name: of the model and of its files; that of the model by default.
        cache: a Parquet file of features.
        jobs: processes for the features; 0 is one a core.
        epochs: how often the network hears each clip; by their number, if None.
        force: overwrite what is there.
        progress: told of everything that takes time.
        announce: told what a user should know at once.

    Raises:
        InputError: a set, a number or a combination that makes no sense.
        OutputError: something is there (and not `force`), or cannot be written.
    """
    _check(where, model, by=by, tune=tune, through=through, augment=augment, cache=cache, epochs=epochs, seed=seed)
    network = model == NETWORK
    through = _written_out(through, NETWORK_RATE if network else RATE)
    places = Places.of(Path(out), name or model, network=network, through=through)
    places.check(force)
    data = _data(where, layout, group)
    for note in data.notes if isinstance(data, Dataset) else ():
        announce(note)
    tell = progress or (lambda stage, done, total: None)

    def learn(way: By) -> Learned:
        if isinstance(data, Table):
            learn_rows, score_rows = split(data.y, data.groups, by=way, test=test, seed=seed)
            return on_features(data.at(learn_rows), data.at(score_rows), model, way, tune, seed, tell)
        y, groups = [one.label for one in data.examples], [one.group for one in data.examples]
        learn_rows, score_rows = split(y, groups, by=way, test=test, seed=seed)
        if network:
            return on_sounds(data, learn_rows, score_rows, through, augment, seed, epochs, tell)
        tables = []
        for stage, rows, extra in (("features to learn", learn_rows, augment), ("features to score", score_rows, "")):
            table = feature_table(
                data.only(rows.tolist()),
                recipe=RECIPE,
                sample_rate=RATE,
                through=through,
                augment=extra,
                seed=seed,
                cache=cache,
                jobs=jobs,
                progress=lambda done, total, stage=stage: tell(stage, done, total),  # type: ignore[misc]
                announce=announce,
            )
            tables.append(table)
        return on_features(tables[0], tables[1], model, way, tune, seed, tell)

    way: By = "random" if by == "random" else "recording"
    learned = learn(way)
    flattered = learn("random").score if by == "both" else None
    sentences = about(model, learned, where, way, through, augment, seed)
    record = record_of(model, learned, flattered, data, by=way, test=test, through=through, augment=augment, seed=seed)
    rate = NETWORK_RATE if network else RATE
    card = save(
        learned.model,
        places,
        sample_rate=rate,
        recipe=RECIPE,
        through=through,
        about=sentences,
        record=record,
        force=force,
    )
    return Trained(card, learned.score, flattered, record, learned.notes)


def _check(where: str | Path, model: str, **asked: Any) -> None:
    """Refuse at the door what cannot be.

    Raises:
        InputError: an unknown model or split, or things that do not go together.
        TransformError: an unknown transform.
    """
    check_seed(asked["seed"])
    if model not in MODELS:
        raise InputError(f"the model {model!r} is not known; {nearest(model, MODELS)}")
    if asked["by"] not in (*SAID, "both"):
        raise InputError(f"the split {asked['by']!r} is not known; {nearest(asked['by'], (*SAID, 'both'))}")
    if asked["tune"] < 0:
        raise InputError(f"a search of {asked['tune']} settings was asked for; a number from 0 was expected")
    if str(where) == "embedded":
        if model == NETWORK:
            raise InputError(
                "a network needs sounds, and embedded is a table of features with eleven sounds beside it, which teach "
                "none; give a folder of sounds (see tools/render_clips.py, or `subterfuge data irmas`)"
            )
        for word in ("through", "augment", "cache"):
            if asked[word]:
                raise InputError(
                    f"--{word} {asked[word]} needs sounds, and embedded is a table of features that are there already; "
                    f"give a folder of sounds, or leave --{word} out"
                )
    if model == NETWORK and asked["tune"]:
        raise InputError("--tune searches the settings of models on features; a network (--model cnn) has no search")
    if model == NETWORK and asked["cache"]:
        raise InputError(
            "--cache keeps features, and a network (--model cnn) hears the sounds themselves; leave it out"
        )
    if model != NETWORK and asked["epochs"] is not None:
        raise InputError(f"--epochs is of the network (--model cnn), and the model is {model}; leave it out")


def _written_out(through: str, sample_rate: int) -> str:
    """Give a list of transforms in full, as a card shall name them: ``mp3`` becomes ``mp3=128``.

    Raises:
        TransformError: one is unknown, or cannot be done at the rate that the model hears at.
    """
    from subterfuge.transforms import parse_transforms
    from subterfuge.transforms.transform import refuse

    passes = parse_transforms(through) if through else ()
    for one in passes:
        refuse(one, np.zeros((1, sample_rate), np.float32), sample_rate)
    return ",".join(one.name for one in passes)


def _data(where: str | Path, layout: str, group: str | None) -> Dataset | Table:
    if str(where) == "embedded":
        return embedded_table()
    from subterfuge.training.datasets import read_dataset

    return read_dataset(where, layout=layout, group=group)
