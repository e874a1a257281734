"""`subterfuge compare`: two audits side by side, and which differences are more than noise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from subterfuge.cli.options import PATH, as_json, examples, seed_option
from subterfuge.cli.show import echo, print_json, print_table, print_warnings

if TYPE_CHECKING:
    from subterfuge.campaign.comparing import Difference

HEAD = ("figure", "A", "B", "B - A", "95 %", "p", "Holm's p", "B is", "cases")


@click.command(
    epilog=examples(
        "subterfuge compare audit-tuned audit-noisy",
        "subterfuge compare before/audit.ledger after/audit.ledger --json",
    )
)
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@seed_option("Of the draws.")
@as_json
def compare(a: Path, b: Path, seed: int, as_json: bool) -> None:
    """Is victim B stronger than victim A? Set two audits side by side, on the cases that both have.

    A and B are folders of audits, or their ledgers, of one protocol and level. Clips are paired by their content. A
    difference counts as more than noise where its p, adjusted for all that are told, is at most 0.05.
    """
    from subterfuge.campaign.comparing import compare as run
    from subterfuge.campaign.ledger import Ledger

    found = run(Ledger.read(a), Ledger.read(b), seed)
    if as_json:
        print_json(found.json())
    else:
        echo(f"A: {found.a} ({a})", f"B: {found.b} ({b})")
        echo(f"searches in common: {found.common}; in A alone: {found.only_a}; in B alone: {found.only_b}")
        print_table(HEAD, [_cells(one) for one in found.rows])
        for line in found.sentences:
            echo(line)
    print_warnings(found.notes)


def _cells(one: Difference) -> list[str]:
    from subterfuge.campaign.comparing import value

    ends = "" if one.low is None and one.high is None else f"{_change(one.low, one)} .. {_change(one.high, one)}"
    return [
        one.name,
        value(one.a, one.unit),
        value(one.b, one.unit),
        _change(one.difference, one) if one.difference is not None else "",
        ends,
        f"{one.p:.2g}",
        f"{one.p_holm:.2g}",
        one.word,
        one.says,
    ]


def _change(number: float | None, one: Difference) -> str:
    if number is None:
        return "lost"
    return f"{number:+.1f} dB" if one.unit == "dB" else f"{100 * number:+.0f} points"
