"""The command `train`: a classifier to attack and to defend, from a set of sounds."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from subterfuge.cli.options import PATH, as_json, examples, group_option, seed_option, set_threads, threads_option
from subterfuge.cli.show import echo, print_json, print_table, print_warnings
from subterfuge.cli.watch import Watch

if TYPE_CHECKING:
    from subterfuge.training.train import Trained


@click.command(
    epilog=examples(
        "subterfuge train embedded",
        "subterfuge train IRMAS-TrainingData --model svc --tune 50 --cache features.parquet",
        "subterfuge train sounds --model forest --split both --out models",
        "subterfuge train sounds --model svc --through mp3=128 --name svc-mp3",
        "subterfuge train sounds --model cnn --augment noise",
    )
)
@click.argument("data")
@click.option(
    "--model",
    default="svc",
    show_default=True,
    metavar="MODEL",
    help="svc (the study's), logistic, tree, forest, boosting, dense, or cnn.",
)
@click.option("--layout", default="auto", show_default=True, help="irmas, irmas-test, folders, csv.")
@group_option
@click.option("--tune", default=0, metavar="N", type=click.IntRange(0), help="Search so many settings on five folds.")
@click.option(
    "--split",
    "by",
    default="recording",
    show_default=True,
    type=click.Choice(["recording", "random", "both"]),
    help="What is held out: recordings, or any sounds, as in the study, which flatters; both shows by how much.",
)
@click.option("--test", default=0.25, show_default=True, help="The part that is held out.")
@click.option(
    "--through", default="", metavar="LIST", help="What every sound passes, in use too, as mp3=128,lowpass=8000."
)
@click.option(
    "--augment", default="", metavar="LIST", help="What becomes of sounds in training, as noise or noise-study."
)
@click.option("--epochs", type=click.IntRange(1), help="How often a network hears each sound (cnn).")
@seed_option()
@click.option(
    "--out", default=".", type=PATH, help="The folder for the model, its card and its record; here by default."
)
@click.option("--name", help="What the model and its files are called; as --model by default.")
@click.option("--cache", type=PATH, help="A Parquet file that keeps features, so that no sound is described twice.")
@click.option("--jobs", default=0, type=click.IntRange(0), help="Processes for the features; one a core by default.")
@click.option("--force", is_flag=True, help="Overwrite an earlier model of that name.")
@threads_option
@as_json
def train(
    data: str,
    model: str,
    layout: str,
    group: str | None,
    tune: int,
    by: Literal["recording", "random", "both"],
    test: float,
    through: str,
    augment: str,
    epochs: int | None,
    seed: int,
    out: Path,
    name: str | None,
    cache: Path | None,
    jobs: int,
    force: bool,
    threads: int,
    as_json: bool,
) -> None:
    """Train a classifier on DATA, measure it on recordings that it never heard, and write its card.

    DATA is a folder of sounds (IRMAS, or a folder for each class), a CSV of path and label, or the word embedded: a
    table of features that comes with the package. The card NAME.toml is then what other commands take as a victim.
    """
    from subterfuge.training.train import train as run

    set_threads(threads)
    notes: list[str] = []
    with ExitStack() as stack:
        watches: dict[str, Watch] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in watches:
                quiet = as_json and not sys.stderr.isatty()
                watches[stage] = stack.enter_context(Watch(f"{model}, {stage}", quiet=quiet))
            watches[stage].count(done, total)

        trained = run(
            data,
            model,
            layout=layout,
            group=group,
            tune=tune,
            by=by,
            test=test,
            through=through,
            augment=augment,
            seed=seed,
            out=out,
            name=name,
            cache=cache,
            jobs=jobs,
            epochs=epochs,
            force=force,
            progress=tell,
            announce=notes.append,
        )
    if as_json:
        print_json({"card": str(trained.card), **trained.record})
        return
    _print(trained)
    print_warnings([*notes, *trained.notes])
    echo(str(trained.card))


def _print(trained: Trained) -> None:
    """Tell how well a model hears, class by class, and how much a random split would have flattered it."""
    from subterfuge.training._train_record import SAID

    by = trained.record["split"]["by"]
    columns = [(f"held out by {by}" if by == "recording" else "held out at random", trained.score)]
    if trained.random is not None:
        columns.append(("held out at random", trained.random))
    rows = []
    for label in trained.score.classes:
        cells = [one.classes.get(label, (0, 0)) for _, one in columns]
        rows.append([label, *(f"{right} of {of}" for right, of in cells)])
    rows.append(["all", *(f"{one.right} of {one.of}" for _, one in columns)])
    rows.append(["", *(f"{100 * one.share:.1f} %" for _, one in columns)])
    print_table(["class", *(head for head, _ in columns)], rows)
    for head, one in columns:
        echo(
            f"{head} ({SAID['random' if head.endswith('random') else 'recording']}): {100 * one.share:.1f} % right, "
            f"95 % interval {100 * one.low:.1f} to {100 * one.high:.1f} %, of {one.recordings} recordings"
        )
    found = trained.record.get("parameters")
    if found:
        told = ", ".join(f"{key.rpartition('__')[2]} = {_short(value)}" for key, value in found.items())
        echo(f"found by the search of {len(trained.record['search'])}: {told}")
    skipped = trained.record["data"]["skipped"]
    for one in skipped[:5]:
        echo(f"left out: {one}")
    if len(skipped) > 5:
        echo(f"left out: {len(skipped) - 5} more, all named in the record beside the card")


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
