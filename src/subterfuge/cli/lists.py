"""`subterfuge attacks` and `subterfuge victims`: what there is to name."""

from __future__ import annotations

import click

from subterfuge.cli.options import as_json, examples
from subterfuge.cli.show import echo, plain, print_json


@click.command(epilog=examples("subterfuge attacks", "subterfuge attacks --json"))
@as_json
def attacks(as_json: bool) -> None:
    """List the attacks and their knobs."""
    from subterfuge.attacks import ATTACKS, knobs_of

    if as_json:
        print_json(
            {
                name: {"says": kind.says, "needs": kind.needs.name.lower(), "knobs": plain(knobs_of(kind))}
                for name, kind in ATTACKS.items()
            }
        )
        return
    for name, kind in ATTACKS.items():
        echo(f"{name}: {kind.says}; needs {kind.needs.name.lower()}")
        for knob, value in knobs_of(kind).items():
            shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
            echo(f"    -o {knob}={shown}")


@click.command(epilog=examples("subterfuge victims", "subterfuge victims --json"))
@as_json
def victims(as_json: bool) -> None:
    """List the kinds of victim that a card can name, and their keys."""
    from subterfuge.victims import LOADERS
    from subterfuge.victims.card import COMMON

    if as_json:
        print_json(
            {
                kind: {"says": one.says, "runs_code": one.runs_code, "keys": [*COMMON, *sorted(one.keys)]}
                for kind, one in LOADERS.items()
            }
        )
        return
    for kind, one in LOADERS.items():
        code = " (its card runs code)" if one.runs_code else ""
        echo(f"{kind}: {one.says}{code}")
        echo(f"    keys: {', '.join(sorted(one.keys))}; ! must be there")
    echo(f"every kind: {', '.join(COMMON)}")
