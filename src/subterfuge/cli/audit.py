"""`subterfuge audit`: the standard protocol over many clips, and what an engineer can do with it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from subterfuge.cli.harden import jobs_option
from subterfuge.cli.options import (
    PATH,
    as_json,
    examples,
    group_option,
    seconds_option,
    seed_option,
    set_threads,
    trust_option,
)
from subterfuge.cli.show import echo, print_json, print_table
from subterfuge.cli.watch import Watch

MISSED, VICTIM_DIED = 1, 4


@contextlib.contextmanager
def _kept(out: Path) -> Iterator[None]:
    """Say, when interrupted, that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        told = f"every finished attack is kept in {out}: the same command goes on, and `subterfuge report {out}` tells"
        echo(told, err=True)
        raise


@click.command(
    epilog=examples(
        "subterfuge audit svc.toml held-out --out audit --jobs 2",
        "subterfuge audit svc.toml embedded --out audit --clips 4 --targets 2 --only white,scores",
        "subterfuge audit cnn.toml clips.csv --standard --out audit --fail-under robust=0.2,clean=0.8",
    )
)
@click.argument("card", type=PATH)
@click.argument("clips", nargs=-1, required=True, metavar="CLIPS...")
@click.option("--out", required=True, type=PATH, help="A folder for the ledger, the sounds that won, and the page.")
@click.option("--quick", "level", flag_value="quick", default="quick", help="11 clips: some minutes (the default).")
@click.option("--standard", "level", flag_value="standard", help="22 clips, two targets each: an hour or so.")
@click.option("--thorough", "level", flag_value="thorough", help="55 clips, four targets each: a night.")
@click.option("--clips", "count", type=click.IntRange(1), help="Clips to attack, instead of the level's.")
@click.option("--targets", type=click.IntRange(1), help="Targets of each clip, instead of the level's.")
@click.option("--queries", type=click.IntRange(1), help="Of each black box, instead of the level's.")
@click.option("--only", metavar="LIST", help="Searches: white,untargeted,masked,scores,labels,substitute.")
@click.option(
    "--layout", default="auto", show_default=True, help="Of CLIPS: irmas, irmas-test, folders, csv, embedded."
)
@group_option
@seed_option()
@jobs_option
@click.option(
    "--batch",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Attacks on clips of one length at once, in each process.",
)
@click.option("--retry", is_flag=True, help="Do again what failed.")
@click.option("--fail-under", "bars", metavar="LIST", help="Exit with 1 where a figure misses a bar, as robust=0.2.")
@trust_option
@seconds_option
@as_json
def audit(
    card: Path,
    clips: tuple[str, ...],
    out: Path,
    level: str,
    count: int | None,
    targets: int | None,
    queries: int | None,
    only: str | None,
    layout: str,
    group: str | None,
    seed: int,
    jobs: int,
    batch: int,
    retry: bool,
    bars: str | None,
    trust_pickle: bool,
    max_seconds: float,
    as_json: bool,
) -> None:
    """How strong is a victim? Attack it by a standard protocol, and write one page that tells.

    CARD is the victim's; CLIPS are sounds, folders of them (flat, a folder a class, IRMAS), tables, or embedded. Every
    clip is scored as it comes, some are attacked: by gradients, below the masking threshold, by scores, by labels
    alone, and on a substitute. Each result is kept as soon as it is there; the same command goes on where it was ended.
    """
    from subterfuge.campaign.audit import audit as run
    from subterfuge.campaign.clips import read_clips
    from subterfuge.campaign.scorecard import bars as missed_bars
    from subterfuge.campaign.scorecard import check_bars
    from subterfuge.report.audited import HEAD, write_audit

    if bars is not None:
        check_bars(bars)
    set_threads(1)  # a process that searches gains nothing by more, and loses much where cores are busy
    quiet = as_json and not sys.stderr.isatty()
    with Watch("audit", quiet=quiet) as watch, _kept(out):
        found = run(
            card,
            read_clips(clips, layout=layout, group=group),
            out,
            level=level,
            count=count,
            targets=targets,
            queries=queries,
            only=[one.strip() for one in (only or "").split(",") if one.strip()],
            seed=seed,
            jobs=jobs,
            batch=batch,
            retry=retry,
            trust_pickle=trust_pickle,
            max_seconds=max_seconds,
            tell=watch.stage,
            announce=lambda line: None if quiet else echo(line, err=True),
        )
    with Watch("page", quiet=quiet) as watch:
        written = write_audit(found, out, watch.count)
    missed = [] if bars is None else missed_bars(written.figures, bars)
    if as_json:
        print_json(written.json() | {"missed": missed})
    else:
        print_table(HEAD, written.rows())
        for note in found.notes:
            echo(note, err=True)
        for line in (*written.scorecard.sentences, *(f"next: {one}" for one in written.scorecard.next)):
            echo(line)
        for one in missed:
            echo(f"missed: {one}", err=True)
        echo(written.scorecard.line)
        echo(str(written.page))
    if not found.complete:
        sys.exit(VICTIM_DIED)
    if missed:
        sys.exit(MISSED)
