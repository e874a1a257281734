"""The command `report`: the page of an audit made again from what is stored, or made of single outcomes."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from subterfuge.cli.options import PATH, as_json, examples
from subterfuge.cli.show import echo, print_json
from subterfuge.cli.watch import Watch


@click.command(
    epilog=examples(
        "subterfuge report audit/",
        "subterfuge report audit/audit.ledger --out page.html",
        "subterfuge report results/*.outcome.json --out results.html",
        "subterfuge report audit/ --json",
    )
)
@click.argument("sources", nargs=-1, required=True, type=PATH, metavar="LEDGER|DIR|OUTCOME...")
@click.option("--out", type=PATH, help="The page; audit.html beside the ledger, or in the current folder, by default.")
@click.option("--force", is_flag=True, help="Overwrite another page (never a victim, a clip, a sound or a record).")
@as_json
def report(sources: tuple[Path, ...], out: Path | None, force: bool, as_json: bool) -> None:
    """Make the page of an audit again: one HTML file with the verdict, and every attack to hear and see.

    LEDGER is what an audit keeps its results in, DIR the folder that holds it. OUTCOMES are records of single attacks
    (FILE.outcome.json), the sounds beside them, or folders of them. Nothing is searched, and no victim is asked. An
    audit's own page, and audit.json, audit.csv and junit.xml beside it, are made anew; any other only with --force.
    """
    from subterfuge.report.audited import write_report

    with Watch("page", quiet=as_json and not sys.stderr.isatty()) as watch:
        found = write_report(sources, out, force=force, progress=watch.count)
    if as_json:
        print_json(found.json())
        return
    for sentence in (found.scorecard.line, *found.scorecard.next):
        echo(sentence)
    echo(str(found.page))
