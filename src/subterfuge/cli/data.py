"""The commands `data ...`: fetch the data sets that the study stands on."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from subterfuge.cli.options import PATH, Group, as_json, examples
from subterfuge.cli.show import echo, plain, print_json
from subterfuge.cli.watch import Watch

PARTS = ("training", "testing1", "testing2", "testing3")


@click.group(cls=Group, epilog=examples("subterfuge data seed-study --to study", "subterfuge data irmas --to irmas"))
def data() -> None:
    """Fetch data sets and studies."""


@data.command(
    "seed-study",
    epilog=examples(
        "subterfuge data seed-study --to study",
        "subterfuge data seed-study --to study --from ~/copies/seed-study",
    ),
)
@click.option("--to", "to", required=True, type=PATH, help="The folder to fill.")
@click.option("--from", "source", type=PATH, help="A local copy of the study, or of IRMAS-TrainingData.")
@click.option("--force", is_flag=True, help="Overwrite files that differ.")
@as_json
def seed_study(to: Path, source: Path | None, force: bool, as_json: bool) -> None:
    """Fetch the original study's models, results and clips, checked, and write three ready cards."""
    from dataclasses import asdict

    from subterfuge.training.seed_study import fetch_seed_study

    with Watch("seed-study", quiet=as_json) as watch:
        report = fetch_seed_study(to, source=source, force=force, progress=watch.files)
    if as_json:
        print_json(plain(asdict(report)))
        return
    echo(f"{len(report.fetched)} files fetched, {len(report.kept)} already there, in {report.folder}")
    if report.advice:
        echo(*report.advice.split("\n"))
    echo("cards: " + ", ".join(str(path) for path in report.cards))


@data.command(
    epilog=examples(
        "subterfuge data irmas --to irmas",
        "subterfuge data irmas --to irmas --part training --part testing1",
        "subterfuge data irmas --to irmas --from ~/downloads",
    )
)
@click.option("--to", "to", required=True, type=PATH, help="The folder to fill.")
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(PARTS),
    default=("training",),
    show_default=True,
    help="What to fetch; may be repeated.",
)
@click.option("--from", "source", type=PATH, help="An archive of IRMAS, or a folder of them, instead of a download.")
@click.option("--keep-zip", is_flag=True, help="Keep what was downloaded once it is unpacked.")
@click.option("--force", is_flag=True, help="Overwrite files that differ from those in the archive.")
@as_json
def irmas(to: Path, parts: tuple[str, ...], source: Path | None, keep_zip: bool, force: bool, as_json: bool) -> None:
    """Fetch IRMAS, 6,705 clips of eleven instruments: download, check, unpack. The same command goes on after a break.

    The training part is an archive of gigabytes, and takes as much again while it is unpacked.
    """
    from dataclasses import asdict

    from subterfuge.training.irmas import fetch_irmas

    told = _Megabytes(quiet=as_json and not sys.stderr.isatty())
    try:
        report = fetch_irmas(
            to,
            parts,
            source=source,
            keep_zip=keep_zip,
            force=force,
            progress=told,
            say=lambda text: echo(text, err=True),
        )
    except KeyboardInterrupt:
        told.end()
        echo(f"what has come is kept in {to}; the same command goes on from there", err=True)
        raise
    finally:
        told.end()
    if as_json:
        print_json(plain(asdict(report)))
        return
    for one in report.parts:
        kept = f"; the archive is {one.archive}" if one.archive is not None else ""
        echo(f"{one.part}: {one.files} files in {one.folder}, {one.written} of them new{kept}")
    echo(report.licence)


class _Megabytes:
    """Tells how many megabytes are done, on one line for each file and what is done with it."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._place, self._done = "", -1
        self._watch: Watch | None = None

    def __call__(self, place: str, done: int, total: int) -> None:
        """Take the bytes that are done, and their number, 0 where nobody knows it."""
        if place != self._place or self._watch is None:
            self.end()
            self._place, self._done, self._watch = place, -1, Watch(f"{place}, MB", quiet=self._quiet)
        if done // 10**6 != self._done:
            self._done = done // 10**6
            self._watch.count(self._done, max(total, done) // 10**6)

    def end(self) -> None:
        """Leave the line."""
        if self._watch is not None:
            self._watch.__exit__()
            self._watch = None
