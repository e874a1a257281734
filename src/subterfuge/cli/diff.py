"""`subterfuge diff`: how one sound differs from another."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from subterfuge.cli.options import PATH, as_json, examples, seconds_option
from subterfuge.cli.show import number, plain, print_json, print_table, print_warnings
from subterfuge.cli.watch import Watch
from subterfuge.errors import InputError


@click.command(
    epilog=examples(
        "subterfuge diff flute.wav flute-to-tru.wav",
        "subterfuge diff flute.wav flute.mp3 --align",
        "subterfuge diff a.wav b.wav --json",
    )
)
@click.argument("before", type=PATH)
@click.argument("after", type=PATH)
@click.option("--rate", type=int, help="Rate in Hz at which the mono folds are compared; that of BEFORE by default.")
@click.option("--align", is_flag=True, help="Where AFTER is late or early, compare what overlaps.")
@click.option(
    "--visqol/--no-visqol",
    default=None,
    help="Ask ViSQOL (an extra); by default where it is installed and BEFORE has at most 10 s.",
)
@seconds_option
@as_json
def diff(
    before: Path,
    after: Path,
    rate: int | None,
    align: bool,
    visqol: bool | None,
    max_seconds: float,
    as_json: bool,
) -> None:
    """Measure how the sound AFTER differs from BEFORE, in every metric there is.

    Files of another rate, number of channels or length are brought together where that is honest, and it is said how.
    """
    from dataclasses import asdict

    from subterfuge.audio import Clip
    from subterfuge.hearing.metrics import METRICS
    from subterfuge.hearing.pairing import compare_files

    if rate is not None and not 1000 <= rate <= 384000:
        raise InputError(f"--rate {rate}: a rate from 1000 to 384000 Hz was expected")
    clean, changed = (Clip.read(path, max_seconds=max_seconds) for path in (before, after))
    with Watch(changed.name, quiet=as_json and not sys.stderr.isatty()) as watch:
        found = asdict(compare_files(clean, changed, rate, align=align, visqol=visqol, progress=watch.count))
    if as_json:
        print_json(plain(found))
        return
    rows = [[one.title, number(found[key]), one.unit, one.good] for key, one in METRICS.items()]
    print_table(["measure", "value", "unit", "good"], rows)
    print_warnings(found["notes"])
