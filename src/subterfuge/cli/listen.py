"""The command `listen`: a page on which people say whether they hear an attack, and what their answers say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from subterfuge.cli.options import PATH, as_json, examples, seconds_option
from subterfuge.cli.show import echo, number, print_json, print_table, print_warnings
from subterfuge.cli.watch import Watch
from subterfuge.errors import InputError

if TYPE_CHECKING:
    from subterfuge.report.listening import Made
    from subterfuge.report.pooling import Pooled, Row


@click.command(
    epilog=examples(
        "subterfuge listen flute-to-tru.wav --out flute.html",
        "subterfuge listen results/*.outcome.json --out all.html --p-heard 0.9",
        "subterfuge listen --read listening-*.json",
    )
)
@click.argument("files", nargs=-1, required=True, type=PATH, metavar="OUTCOMES...")
@click.option("--out", type=PATH, help="The page; listening.html here by default.")
@click.option("--trials", type=int, help="Of each pair; by default the fewest with the power asked for.")
@click.option("--alpha", default=0.05, show_default=True, help="How often, at most, a guesser may pass.")
@click.option("--power", default=0.8, show_default=True, help="How often, at least, one who hears must pass.")
@click.option("--p-heard", default=0.8, show_default=True, help="Share of right answers of one who hears.")
@click.option("--force", is_flag=True, help="Overwrite an existing page (never a clip or a record).")
@click.option("--read", is_flag=True, help="Read results that the page saved (JSON), and count them together.")
@seconds_option
@as_json
@click.pass_context
def listen(
    context: click.Context,
    files: tuple[Path, ...],
    out: Path | None,
    trials: int | None,
    alpha: float,
    power: float,
    p_heard: float,
    force: bool,
    read: bool,
    max_seconds: float,
    as_json: bool,
) -> None:
    """Can people hear the attacks of OUTCOMES? Make a page that tests it; it needs nothing but a browser.

    OUTCOMES are records (FILE.outcome.json) or the sounds beside them. The page holds an ABX test: X is the clip or the
    attacked file, drawn anew for each trial, and the listener says which. With --read give the JSON files that
    listeners saved instead: each is checked, and counted with the others.
    """
    if read:
        ours = ("read", "as_json", "files")
        given = [one for one in context.params if context.get_parameter_source(one) is ParameterSource.COMMANDLINE]
        other = [f"--{one.replace('_', '-')}" for one in given if one not in ours]
        if other:
            raise InputError(f"{', '.join(other)} shapes a page, and --read makes none; leave one of the two out")
        _read(files, as_json)
        return
    from subterfuge.report.listening import make_page
    from subterfuge.report.trials import design

    plan = design(alpha=alpha, power=power, p_heard=p_heard, trials=trials)
    place = out or Path("listening.html")
    with Watch(place.name, quiet=as_json and not sys.stderr.isatty()) as watch:
        made = make_page(files, place, plan, force=force, max_seconds=max_seconds, progress=watch.count)
    if as_json:
        print_json({"page": str(made.page), "test": made.test, "notes": list(made.notes)})
    else:
        _tell(made)
    print_warnings(made.notes)


def _tell(made: Made) -> None:
    plan, pairs = made.test["settings"], made.test["pairs"]
    several = f"{len(pairs)} pairs, {plan['trials']} trials each" if len(pairs) > 1 else f"{plan['trials']} trials"
    echo(f"{made.page}: {several}; heard means {plan['needed']} or more right of {plan['trials']}")
    echo(
        f"  a guesser passes with probability {plan['guesses_pass']:.3f}, one who is right in "
        f"{100 * plan['p_heard']:.3g} % of the trials with {plan['finds']:.2f}"
    )
    echo("  open it in a browser; read what listeners save with `subterfuge listen --read`")


def _read(files: tuple[Path, ...], as_json: bool) -> None:
    from subterfuge.report.pooling import pool

    found = pool(files)
    if as_json:
        print_json(found.as_json())
    else:
        _print(found)
    print_warnings([*found.skipped, *found.notes])


def _print(found: Pooled) -> None:
    heads = ["pair", "listener", "right", "p", "Holm's p", "", "heard in, 95 %"]
    several = len({row.listener for row in found.listeners}) > 1
    rows = [_cells(row, found) for row in found.listeners]
    if several:
        rows += [_cells(row, found) for row in found.pairs]
    if len(found.pairs) > 1:
        rows.append(_cells(found.everything, found))
    print_table(heads, rows)
    low, high = found.everything.count.heard
    whole = found.everything.as_json(found.test["settings"]["alpha"])
    ends = f"{100 * low:.0f} to {100 * high:.0f} %" if low else f"at most {100 * high:.0f} %"
    echo(
        f"{'heard' if whole['heard'] else 'not shown to be heard'}: {whole['right']} of {whole['trials']} right, "
        f"p = {number(found.everything.count.p)}; heard in {ends} of the trials, with 95 % confidence",
        "",
    )


def _cells(row: Row, found: Pooled) -> list[str]:
    told = row.as_json(found.test["settings"]["alpha"])
    return [
        row.pair or "all",
        row.listener or "all",
        f"{row.count.right} of {row.count.trials}",
        f"{row.count.p:.3g}",
        "" if row.p_holm is None else f"{row.p_holm:.3g}",
        "heard" if told["heard"] else "not shown",
        f"{100 * told['share_heard_low']:.0f} .. {100 * told['share_heard_high']:.0f} %",
    ]
