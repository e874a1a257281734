"""`subterfuge harden` and `subterfuge matrix`: what can be done about it, and what carries over."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from subterfuge.cli.options import PATH, as_json, examples, group_option, seed_option, trust_option
from subterfuge.cli.show import echo, print_json, print_table
from subterfuge.cli.watch import Watch
from subterfuge.errors import InputError, VictimError

jobs_option = click.option("--jobs", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes.")


@click.command(
    epilog=examples(
        "subterfuge harden svc.toml IRMAS-TrainingData --with noise,denoise,mp3=64 --out hardened --jobs 2",
        "subterfuge harden svc.toml clips --with adversarial,smooth=0.003,adversarial+smooth=0.003 --out hardened",
        "subterfuge harden onnx.toml clips.csv --with lowpass=4000,detector --effort quick --out hardened --json",
    )
)
@click.argument("card", type=PATH)
@click.argument("data", metavar="DATA")
@click.option("--with", "defences", required=True, metavar="LIST", help="Defences, as noise,mp3=64,adversarial+smooth.")
@click.option("--out", required=True, type=PATH, help="A folder for cards, models, sounds that won, and the tables.")
@click.option("--clips", default=11, show_default=True, type=click.IntRange(1), help="Held-out clips to attack.")
@click.option("--targets", default=1, show_default=True, type=click.IntRange(1), help="Targets of each of them.")
@click.option(
    "--effort",
    default="standard",
    show_default=True,
    type=click.Choice(["quick", "standard", "thorough"]),
    help="How hard each search tries.",
)
@click.option("--goal", default="targeted", show_default=True, help="Of the targeted searches: or confident=0.9.")
@click.option("--no-masking", is_flag=True, help="Do not attack below the masking threshold, the dearest search.")
@click.option("--test-clips", type=click.IntRange(1), help="Most held-out clips to measure clean accuracy on.")
@click.option(
    "--transfer", "transfer_db", default=30.0, show_default=True, help="SNR in dB of the changes in the matrix."
)
@click.option("--no-transfer", is_flag=True, help="Leave the transfer matrix out.")
@click.option("--beside", multiple=True, type=PATH, help="A further card for the matrix; may be repeated.")
@click.option("--layout", default="auto", show_default=True, help="Of DATA: irmas, irmas-test, folders, csv, embedded.")
@group_option
@seed_option()
@click.option("--epochs", type=click.IntRange(1), help="Of training a network; by the number of clips without.")
@click.option("--cache", type=PATH, help="A Parquet file that keeps features from one run to the next.")
@click.option("--force", is_flag=True, help="Go on in a folder that holds another run.")
@jobs_option
@trust_option
@as_json
def harden(
    card: Path,
    data: str,
    defences: str,
    out: Path,
    clips: int,
    targets: int,
    effort: str,
    goal: str,
    no_masking: bool,
    test_clips: int | None,
    transfer_db: float,
    no_transfer: bool,
    beside: tuple[Path, ...],
    layout: str,
    group: str | None,
    seed: int,
    epochs: int | None,
    cache: Path | None,
    force: bool,
    jobs: int,
    trust_pickle: bool,
    as_json: bool,
) -> None:
    """Defend a victim in several ways, and audit it before and after.

    CARD is the victim's, DATA a set of labelled clips: a folder a class, IRMAS, a table. A defence is a word, or
    several joined by +: an augmentation of the training (noise-study, noise), a transform that every sound passes first
    (denoise, requantise=8, lowpass=4000, mp3=64), adversarial training (adversarial, adversarial=40/30), randomised
    smoothing (smooth=0.003), ensemble, detector. Every defence is attacked by one who knows it, on the same clips and
    targets, and by one who does not. A run that was ended goes on where it was. The exit code is 4 where a search
    failed: what came to an end is in the table, and the same command tries the rest again.
    """
    from subterfuge.harden import HEAD, matrix_rows, parse_defences, remarks, rows_of
    from subterfuge.harden import harden as run
    from subterfuge.threat import parse_goal
    from subterfuge.training.datasets import read_dataset

    if goal.partition("=")[0].strip() not in ("targeted", "confident"):
        raise InputError(f"--goal {goal}: targeted or confident=P was expected; the untargeted searches run anyway")
    parse_goal(goal, "a target")
    wanted = parse_defences(defences)
    with Watch("harden", quiet=as_json and not sys.stderr.isatty()) as watch:
        found = run(
            card,
            read_dataset(data, layout=layout, group=group),
            wanted,
            out=out,
            clips=clips,
            targets=targets,
            effort=effort,
            goal=goal,
            masked=not no_masking,
            test_clips=test_clips,
            transfer_db=None if no_transfer else transfer_db,
            beside=beside,
            seed=seed,
            jobs=jobs,
            epochs=epochs,
            cache=cache,
            trust_pickle=trust_pickle,
            force=force,
            tell=watch.stage,
        )
    ending = VictimError.exit_code if found.failed else 0
    if as_json:
        print_json(found.json())
        sys.exit(ending)
    print_table(HEAD, rows_of(found))
    for line in remarks(found):
        echo(line)
    if found.transfer is not None:
        echo("", f"Changes {found.transfer.snr_db:g} dB below the clip, answered as the target / turned at all:")
        print_table(("found on \\ judged on", *found.transfer.names), matrix_rows(found.transfer))
    for note in found.notes:
        echo(note, err=True)
    echo(f"* gave 10 dB or more for 5 points of clean accuracy at most. Tables, cards and sounds: {out}")
    sys.exit(ending)


@click.command(
    epilog=examples(
        "subterfuge matrix svc.toml forest.toml cnn.toml --clips held-out --count 40",
        "subterfuge matrix *.toml --clips IRMAS-TrainingData --snr 40 --json",
    )
)
@click.argument("cards", nargs=-1, required=True, type=PATH)
@click.option(
    "--clips", "data", required=True, metavar="DATA", help="Labelled clips: a folder a class, IRMAS, a table."
)
@click.option("--count", default=20, show_default=True, type=click.IntRange(1), help="Clips to attack on each victim.")
@click.option("--targets", default=1, show_default=True, type=click.IntRange(1), help="Targets of each of them.")
@click.option("--snr", "snr_db", default=30.0, show_default=True, help="How far below the clip the changes are, in dB.")
@click.option("--layout", default="auto", show_default=True, help="Of DATA: irmas, irmas-test, folders, csv, embedded.")
@group_option
@seed_option()
@jobs_option
@trust_option
@as_json
def matrix(
    cards: tuple[Path, ...],
    data: str,
    count: int,
    targets: int,
    snr_db: float,
    layout: str,
    group: str | None,
    seed: int,
    jobs: int,
    trust_pickle: bool,
    as_json: bool,
) -> None:
    """Find changes on each victim, and ask every other one about them.

    Row: where a change was found. Column: who judged the written file. In each cell how often the target was answered,
    and how often a right answer was turned at all; below, the same for noise of the same level and spectrum.
    """
    from subterfuge.campaign.pool import victim_of
    from subterfuge.harden import draw_cases, matrix_rows
    from subterfuge.harden import matrix as carry
    from subterfuge.training.datasets import read_dataset

    there = [card.absolute() for card in cards]
    cases = draw_cases(
        read_dataset(data, layout=layout, group=group), victim_of(there[0], trust_pickle).labels, count, targets, seed
    )
    with Watch("matrix", quiet=as_json and not sys.stderr.isatty()) as watch:
        found = carry(
            there, cases, snr_db=snr_db, seed=seed, jobs=jobs, trust_pickle=trust_pickle, progress=watch.count
        )
    if as_json:
        result: dict[str, Any] = found.json()
        print_json(result)
        return
    echo(f"{len(cases)} changes a row, {snr_db:g} dB below the clip: answered as the target / turned at all")
    print_table(("found on \\ judged on", *found.names), matrix_rows(found))
    for one in found.skipped:
        echo(f"left out: {one}", err=True)
