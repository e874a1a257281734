"""The command `evaluate`: how well a victim hears a set of sounds."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from subterfuge.cli.options import (
    PATH,
    as_json,
    device_option,
    examples,
    group_option,
    seconds_option,
    seed_option,
    set_threads,
    threads_option,
    trust_option,
)
from subterfuge.cli.show import echo, print_json, print_paid, print_table, print_warnings
from subterfuge.cli.watch import Watch

if TYPE_CHECKING:
    from subterfuge.training.evaluation import Evaluation
    from subterfuge.training.examples import Dataset

MISSED = 1
"""The exit code where fewer answers are right than the caller asks for."""
RECORD = "evaluation.json"
SHOWN = 5


@click.command(
    epilog=examples(
        "subterfuge evaluate tuned.toml IRMAS-TrainingData",
        "subterfuge evaluate models/svc.toml sounds --only-held-out --out svc-evaluation",
        "subterfuge evaluate net.toml IRMAS-TestingData-Part1 --layout irmas-test --json",
        "subterfuge evaluate net.toml sounds.csv --fail-under 0.8",
    )
)
@click.argument("card", type=PATH)
@click.argument("data")
@click.option("--layout", default="auto", show_default=True, help="irmas, irmas-test, folders, csv or embedded.")
@group_option
@click.option(
    "--only-held-out",
    is_flag=True,
    help="Ask only about recordings that the training held out, as the record beside the card says.",
)
@click.option(
    "--held-out",
    "record",
    type=PATH,
    metavar="FILE",
    help="The record, if it is not beside the card: NAME.training.json; means --only-held-out.",
)
@click.option("--out", type=PATH, metavar="DIR", help="A folder for evaluation.json and the pictures.")
@click.option("--force", is_flag=True, help="Overwrite an earlier evaluation there.")
@click.option("--fail-under", metavar="SHARE", type=click.FloatRange(0, 1), help="Exit with 1 where fewer are right.")
@seed_option("Of the interval by recordings.")
@device_option
@threads_option
@trust_option
@seconds_option
@as_json
def evaluate(
    card: Path,
    data: str,
    layout: str,
    group: str | None,
    only_held_out: bool,
    record: Path | None,
    out: Path | None,
    force: bool,
    fail_under: float | None,
    seed: int,
    device: str,
    threads: int,
    trust_pickle: bool,
    max_seconds: float,
    as_json: bool,
) -> None:
    """Ask the victim of CARD about every sound of DATA, and say how often, and where, it is right.

    DATA is a folder of sounds (IRMAS, or a folder for each class), a CSV of path and label, or the word embedded. Of
    sounds with several labels, an answer that is one of them is right.
    """
    from subterfuge.driver.service import bill_of
    from subterfuge.training.datasets import read_dataset
    from subterfuge.training.evaluation import evaluate as run
    from subterfuge.victims import load_victim

    if out is not None:
        _check_out(out, force)
    set_threads(threads)
    victim = load_victim(card, trust_pickle=trust_pickle, device=device)
    bill = bill_of(victim)
    asked, notes = _asked(read_dataset(data, layout=layout, group=group), card, record, only_held_out)
    with Watch(f"{victim.name} hears", quiet=as_json and not sys.stderr.isatty()) as watch:
        found = run(victim, asked, seed=seed, max_seconds=max_seconds, progress=watch.count)
    if out is not None:
        _write(found, out)
    if as_json:
        print_json(found.as_json())
    else:
        _print(found)
        if out is not None:
            echo(str(out / RECORD))
        print_paid(None if bill is None else bill.since())
    print_warnings([*notes, *found.notes, *victim.warnings])
    missed = fail_under is not None and found.accuracy < fail_under
    if missed:
        echo(f"  note: {found.accuracy:.3f} is under --fail-under {fail_under:g}", err=True)
    sys.exit(MISSED if missed else 0)


def _asked(data: Dataset, card: Path, record: Path | None, only: bool) -> tuple[Dataset, list[str]]:
    """Give what to ask about, and what one must know of it."""
    from subterfuge.errors import InputError
    from subterfuge.training.held_out import ENDING, learned_set, only_held_out, read_held_out, record_beside

    place = record or record_beside(card)
    if place is None:
        if only:
            raise InputError(
                f"there is no record of a training beside {card}, so nobody knows what it held out; give it with "
                f"--held-out NAME{ENDING}"
            )
        return data, []
    held = read_held_out(place)
    if only or record is not None:
        return only_held_out(data, held), []
    inside = sum(one.group in set(held) for one in data.examples)
    if 0 < inside < len(data):
        return data, [
            f"{len(data) - inside} of {len(data)} clips are of recordings that the training did not hold out, and "
            "which it may have learned by heart: --only-held-out leaves them out"
        ]
    if not inside:
        name, same = learned_set(place, data)
        told = f"none of the {len(data)} clips is of a recording that the training held out"
        learned = f"the set that it learned from{f' ({name})' if name else ''}"
        told += f", and this is {learned}:" if same else f": if they are of {learned},"
        return data, [f"{told} the figure is of what it learned by heart"]
    return data, []


def _check_out(out: Path, force: bool) -> None:
    """Refuse, before any work, a folder that cannot be written, and pictures that cannot be drawn."""
    from subterfuge.audio.place import check_target
    from subterfuge.errors import OutputError
    from subterfuge.training.pictures import NAMES, check_matplotlib

    check_matplotlib()
    if out.exists() and not out.is_dir():
        raise OutputError(f"--out {out}: that is a file; a folder was expected")
    for name in (RECORD, *NAMES):
        check_target(out / name, None, force)


def _write(found: Evaluation, out: Path) -> None:
    """Write pictures and record, each in one step, the record last; what an earlier evaluation left is taken away."""
    from subterfuge.audio.place import put
    from subterfuge.training.pictures import NAMES, draw

    pictures = draw(found)
    text = json.dumps(found.as_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    for name, content in {**pictures, RECORD: text.encode(errors="backslashreplace")}.items():
        put(content, out / name, check=lambda _: None)
    for name in set(NAMES) - set(pictures):
        (out / name).unlink(missing_ok=True)


def _print(found: Evaluation) -> None:
    rows = [
        [one.label, str(one.clips), str(one.answered), *map(_part, (one.precision, one.recall, one.f1))]
        for one in found.classes
    ]
    rows.append(["all", str(found.clips), str(found.clips), "", _part(found.accuracy), _part(found.macro_f1)])
    print_table(["class", "clips", "answered", "precision", "recall", "F1"], rows)
    print_table(
        ["truth \\ answer", *found.labels],
        [
            [label, *(str(count) if count else "." for count in counts)]
            for label, counts in zip(found.labels, found.confusion, strict=True)
            if sum(counts)
        ],
    )
    low, high = found.interval
    echo(
        f"{found.victim} is right in {found.hits} of {found.clips} clips: {100 * found.accuracy:.1f} %, 95 % interval "
        f"{100 * low:.1f} to {100 * high:.1f} %"
    )
    low, high = found.interval_by_recording
    echo(f"  drawing its {found.recordings} recordings, not clips: {100 * low:.1f} to {100 * high:.1f} %")
    if found.several:
        echo(f"  clips with several labels: {found.several}; an answer that is one of them counts as right")
    told = found.calibration
    if told is None:
        echo("  it has no probabilities, so there is no calibration")
    else:
        echo(
            f"  mean probability of its answers {told.confidence:.3f}; expected calibration error "
            f"{told.expected_error:.3f}, Brier score {told.brier:.3f} (0 to 2)"
        )
    if found.variance is not None:
        from subterfuge.training.pictures import components

        parts = ", ".join(f"{share:.0%} in {components(found.variance, share)}" for share in (0.8, 0.9, 0.99))
        echo(f"  of the variance of its {len(found.variance)} features, by principal components: {parts}")
    for one in found.skipped[:SHOWN]:
        echo(f"  left out: {one}")
    if len(found.skipped) > SHOWN:
        echo(f"  left out: {len(found.skipped) - SHOWN} more; --json names all")


def _part(share: float | None) -> str:
    return "-" if share is None else f"{share:.3f}"
