"""The command `transfer`: do attacks found on one victim fool others?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from subterfuge.cli.options import (
    PATH,
    as_json,
    device_option,
    examples,
    seconds_option,
    seed_option,
    set_threads,
    threads_option,
    trust_option,
)
from subterfuge.cli.show import echo, print_json, print_table, print_warnings
from subterfuge.cli.watch import Watch
from subterfuge.errors import InputError, VictimError

if TYPE_CHECKING:
    from subterfuge.driver.transfer import OnCard, Row


@click.command(
    epilog=examples(
        "subterfuge transfer flute-to-tru.wav.outcome.json --to other.toml",
        "subterfuge transfer results/*.outcome.json --to svc.toml --to network.toml --control 50",
        "subterfuge transfer results/*.wav --to models/*.toml --json",
    )
)
@click.argument("outcomes", nargs=-1, required=True, type=PATH)
@click.option(
    "--to", "cards", multiple=True, type=PATH, metavar="CARD...", help="Victims to ask; further .toml files may follow."
)
@click.option(
    "--control",
    default=20,
    show_default=True,
    type=click.IntRange(0),
    help="Draws of noise that each file is compared with; 0 for none.",
)
@seed_option("Of the noise.")
@device_option
@threads_option
@trust_option
@seconds_option
@as_json
def transfer(
    outcomes: tuple[Path, ...],
    cards: tuple[Path, ...],
    control: int,
    seed: int,
    device: str,
    threads: int,
    trust_pickle: bool,
    max_seconds: float,
    as_json: bool,
) -> None:
    """Do the attacks of OUTCOMES fool other victims? Ask each CARD's about clip, file, and noise as loud.

    OUTCOME is a record (FILE.outcome.json) or the sound beside it. A victim that has the target must answer it; of one
    that has no such label only a changed answer counts. Clips that meet the goal as they come are left out.
    """
    from subterfuge.driver.transfer import find
    from subterfuge.driver.transfer import transfer as run
    from subterfuge.victims import load_victim

    places = [*cards, *(path for path in outcomes if path.suffix == ".toml")]
    records = [path for path in outcomes if path.suffix != ".toml"]
    if not places or not records:
        lacks = "no outcome" if places else "no victim to ask"
        raise InputError(f"there is {lacks}; give outcomes, and after --to one card or more")
    set_threads(threads)
    wins = [find(path, max_seconds=max_seconds) for path in records]
    there: dict[Path, Path] = {}
    for path in places:
        there.setdefault(path.resolve(), path)
    victims = {str(path): load_victim(path, trust_pickle=trust_pickle, device=device) for path in there.values()}
    with Watch("transfer", quiet=as_json and not sys.stderr.isatty()) as watch:
        found = run(wins, victims, draws=control, seed=seed, progress=watch.count)
    if as_json:
        print_json(found.as_json())
    else:
        _print(found.rows)
        for card in found.cards:
            echo(_sentence(card))
    print_warnings([*_reasons(found.rows), *found.warnings])
    sys.exit(VictimError.exit_code if any(card.died for card in found.cards) else 0)


def _print(rows: tuple[Row, ...]) -> None:
    cells = []
    for row in rows:
        chance = [_part(row.before_probability), _part(row.after_probability)]
        noise = f"{row.noise_hits} of {row.noise_draws}" if row.noise_draws else ""
        said = [row.before or "", chance[0], row.after or "", chance[1]]
        cells.append([Path(row.file).name, row.victim, row.target or "another", *said, _met(row), noise])
    heads = ["file", "judged by", "wanted", "clip says", "P", "file says", "P", "goal", "noise"]
    print_table(heads, cells)


def _met(row: Row) -> str:
    if not row.counts:
        return "left out"
    return "met" if row.reached else "lost"


def _part(p: float | None) -> str:
    return "" if p is None else f"{p:.3f}"


def _sentence(card: OnCard) -> str:
    says = f"{card.victim}: {card.carried} of {card.of} carried over"
    if card.low is not None and card.high is not None:
        says += f" [{100 * card.low:.0f} .. {100 * card.high:.0f} %]"
    if card.noise_draws:
        says += f"; noise as loud: {card.noise_hits} of {card.noise_draws} draws"
    if card.chance is not None and card.carried:
        says += f", which alone would do as much with a chance of {card.chance:.2g}"
    if card.left_out:
        says += f"; {card.left_out} left out"
    if card.spent is not None:
        says += f"; it counted {card.spent['queries']} queries"
        if card.spent["total"] is not None:
            says += f", {card.spent['total']:g} {card.spent['currency'] or ''}".rstrip()
    return f"{says}; it died: {card.died}" if card.died else says


def _reasons(rows: tuple[Row, ...]) -> list[str]:
    """Say once a reason which rows were left out, and where only a changed answer counts."""
    told: dict[str, list[str]] = {}
    for row in rows:
        if row.why_not is not None:
            told.setdefault(f"left out: {row.why_not}", []).append(f"{Path(row.file).name} on {row.victim}")
    return [f"{why} ({', '.join(where)})" for why, where in told.items()]
