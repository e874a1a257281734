"""The command `card new`: a commented card of any kind, to fill in."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from subterfuge.cli.options import PATH, Group, examples
from subterfuge.cli.show import echo


@click.group(cls=Group, epilog=examples("subterfuge card new --kind onnx --out my-model.toml"))
def card() -> None:
    """Write the cards that tell how to reach a victim."""


@card.command(
    epilog=examples(
        "subterfuge card new --kind sklearn",
        "subterfuge card new --kind torch --out my-network.toml",
        "subterfuge victims",
    )
)
@click.option("--kind", metavar="KIND", help="The kind of victim; `subterfuge victims` lists them.")
@click.option("--out", type=PATH, metavar="CARD", help="Where the card goes; standard output by default.")
@click.option("--force", is_flag=True, help="Overwrite a card that is there (nothing that is none).")
def new(kind: str | None, out: Path | None, force: bool) -> None:
    """Write a commented card of a KIND, with every key that it can have, to fill in.

    Paths on a card are relative to it. Delete the lines marked "optional" that you do not need.
    """
    from subterfuge.victims.new_card import example_of, write_card

    if out is None:
        click.echo(example_of(kind), nl=False)
        return
    echo(f"{write_card(kind, out, force=force)}: fill it in, then run: subterfuge check {shlex.quote(str(out))}")
