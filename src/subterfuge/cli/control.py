"""The command `control`: is an attack doing anything?"""

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
from subterfuge.cli.show import echo, print_json, print_paid, print_table, print_warnings
from subterfuge.cli.watch import Watch

if TYPE_CHECKING:
    from subterfuge.driver.controls import Control
    from subterfuge.driver.controls_figures import Estimate


@click.command(
    epilog=examples(
        "subterfuge control flute-to-tru.wav.outcome.json",
        "subterfuge control flute-to-tru.wav --draws 300 --json",
        "subterfuge control flute-to-tru.wav --victim other.toml --out flute-to-tru.wav.control.json",
    )
)
@click.argument("outcome", type=PATH)
@click.option("--victim", "card", type=PATH, help="The victim's card; the one of the outcome by default.")
@click.option("--draws", default=100, show_default=True, type=click.IntRange(1), help="Of each kind of noise.")
@click.option("--queries", type=click.IntRange(5), help="Most sounds to ask about; 3 draws + 2 by default.")
@seed_option("Of the noise.")
@click.option("--out", type=PATH, help="A JSON file to write the result to.")
@click.option("--force", is_flag=True, help="Overwrite it (never what it reads).")
@device_option
@threads_option
@trust_option
@seconds_option
@as_json
def control(
    outcome: Path,
    card: Path | None,
    draws: int,
    queries: int | None,
    seed: int,
    out: Path | None,
    force: bool,
    device: str,
    threads: int,
    trust_pickle: bool,
    max_seconds: float,
    as_json: bool,
) -> None:
    """Is the attack of OUTCOME doing anything? Compare its change with noise as loud.

    OUTCOME is a record (FILE.outcome.json) or the sound beside it. The true victim is asked about the clip, the file,
    and many draws of the change shuffled in time, of its spectrum with random phase, and of white noise.
    """
    from subterfuge.driver.controls import control as run
    from subterfuge.driver.controls_case import card_of, check_out, find_case, save
    from subterfuge.victims import load_victim

    set_threads(threads)
    notes: list[str] = []
    case = find_case(outcome, notes.append, max_seconds=max_seconds)
    card = card_of(case, card)
    if out is not None:
        check_out(out, case, card, force)
    victim = load_victim(card, trust_pickle=trust_pickle, device=device)
    with Watch(case.file.name, quiet=as_json and not sys.stderr.isatty()) as watch:
        found = run(case, victim, draws=draws, queries=queries, seed=seed, progress=watch.count)
    if out is not None:
        save(found.as_json(), out)
    if as_json:
        print_json(found.as_json())
    else:
        _print(found)
    print_warnings([*notes, *found.warnings])


def _print(found: Control) -> None:
    rows = [
        ["the clip", "", found.clean.label, "", "", "", ""],
        ["the attack", f"{found.snr_db:.1f}", found.attacked.label, f"{found.rise:+.3g}", "", _met(found), ""],
    ]
    for name, kind in found.kinds.items():
        said = "  ".join(f"{label} {100 * share:.0f} %" for label, share in list(kind.answers.items())[:3])
        hits = f"{kind.hits} of {kind.draws}"
        span = f"{100 * (kind.share.low or 0):.1f} .. {100 * (kind.share.high or 0):.1f} %"
        as_good = f"{kind.as_good} of {kind.draws}"
        rows.append([name, f"{kind.snr_db:.1f}", said, _change(kind.rise), as_good, hits, span])
    heads = ["", "SNR dB", "victim says", found.measure, "as much", "goal met", "95 %"]
    print_table(heads, rows)
    order = sorted(found.moved, key=lambda label: -found.moved[label])
    cells = [
        [label, f"{found.moved[label]:+.3g}", *(_change(kind.moved[label]) for kind in found.kinds.values())]
        for label in order
    ]
    print_table([f"{found.classes} of", "the attack", *found.kinds], cells)
    echo(found.verdict)
    print_paid(found.service)
    echo("")


def _met(found: Control) -> str:
    return "yes" if found.attacked.reached else "no"


def _change(one: Estimate) -> str:
    span = "" if one.low is None or one.high is None else f" ({one.low:+.2g} .. {one.high:+.2g})"
    return f"{one.mean:+.2g}{span}"
