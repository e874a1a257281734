"""`subterfuge score`: what a victim says of sounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from subterfuge.cli.options import (
    PATH,
    as_json,
    card_option,
    device_option,
    examples,
    seconds_option,
    set_threads,
    threads_option,
    trust_option,
)
from subterfuge.cli.show import print_json, print_paid, print_table, print_warnings
from subterfuge.cli.watch import Watch


@click.command(
    epilog=examples("subterfuge score *.wav --victim tuned.toml", "subterfuge score a.flac --victim t.toml --json")
)
@click.argument("clips", nargs=-1, required=True, type=PATH)
@card_option
@click.option("--top", default=3, show_default=True, type=click.IntRange(1), help="How many classes to show.")
@device_option
@threads_option
@trust_option
@seconds_option
@as_json
def score(
    clips: tuple[Path, ...],
    card: Path,
    top: int,
    device: str,
    threads: int,
    trust_pickle: bool,
    max_seconds: float,
    as_json: bool,
) -> None:
    """Say what the victim says of each CLIP."""
    from subterfuge.driver import score as run
    from subterfuge.driver.service import bill_of
    from subterfuge.victims import load_victim

    set_threads(threads)
    victim = load_victim(card, trust_pickle=trust_pickle, device=device)
    bill = bill_of(victim)
    rows: list[dict[str, Any]] = []
    with Watch("score", quiet=as_json) as watch:
        for path in clips:
            watch.count(len(rows), len(clips))
            rows.append(run(path, victim, max_seconds=max_seconds))
    if as_json:
        print_json(rows[0] if len(rows) == 1 else rows)
        return
    cells = []
    for row in rows:
        numbers = row["probabilities"] or row["scores"] or {}
        best = sorted(numbers.items(), key=lambda item: -item[1])[:top]
        cells.append([row["clip"], row["predicted"], "  ".join(f"{label} {value:.3f}" for label, value in best)])
    what = "probability" if rows[0]["probabilities"] else rows[0]["kind"] or "labels only"
    print_table(["clip", "predicted", what], cells)
    print_paid(None if bill is None else bill.since())
    print_warnings(victim.warnings)
