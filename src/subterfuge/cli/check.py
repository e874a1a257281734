"""The command `check`: is a victim sound, and what can be done to it?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from subterfuge.cli.options import (
    PATH,
    as_json,
    device_option,
    examples,
    seconds_option,
    set_threads,
    threads_option,
    trust_option,
)
from subterfuge.cli.show import echo, print_json, print_warnings
from subterfuge.cli.watch import Watch

UNFIT = 4


@click.command(
    epilog=examples(
        "subterfuge check tuned.toml",
        "subterfuge check tuned.toml flute.wav --json",
        "subterfuge check service.toml flute.wav --queries 4",
    )
)
@click.argument("card", type=PATH)
@click.argument("clips", nargs=-1, type=PATH)
@click.option(
    "--queries",
    metavar="N",
    type=click.IntRange(2),
    help="Most questions to the victim; by default what the checks need, and 10 of one that counts them (http).",
)
@device_option
@threads_option
@trust_option
@seconds_option
@as_json
def check(
    card: Path,
    clips: tuple[Path, ...],
    queries: int | None,
    device: str,
    threads: int,
    trust_pickle: bool,
    max_seconds: float,
    as_json: bool,
) -> None:
    """Say whether the victim of a CARD is sound, and what each attack can do with it.

    It is asked about CLIPS, without them about two of the demo's, and about made sounds. Its access, determinism,
    batches, probabilities, twin and gradients are looked at, and its speed. The exit code is 4 where something is wrong
    with it.
    """
    from subterfuge.driver.reach import planned, reach, sounds_for
    from subterfuge.victims import load_victim

    set_threads(threads)
    victim = load_victim(card, trust_pickle=trust_pickle, device=device)
    sounds, names = sounds_for(victim, clips, max_seconds=max_seconds)
    most, bill = planned(victim, len(sounds), queries)
    if bill is not None:
        each = f", {bill['price']:g} {bill['currency'] or ''}".rstrip() + " each" if bill["price"] else ""
        echo(f"{victim.name} counts its queries: {most} questions at the most follow{each}", err=True)
    with Watch("check", quiet=as_json and not sys.stderr.isatty()) as watch:
        found = reach(victim, sounds, names=names, borrowed=not clips, queries=queries, progress=watch.stage)
    if as_json:
        print_json(found.as_json())
    else:
        for finding in found.findings:
            echo(f"{finding.level:9} {finding.name}: {finding.says}")
        if found.spent is not None:
            echo(f"spent     {_bill(found.spent)}")
        echo("", found.verdict)
        print_warnings(found.warnings)
    sys.exit(0 if found.fit else UNFIT)


def _bill(spent: dict[str, Any]) -> str:
    says = f"{spent['queries']} queries since it was loaded, {spent['cached']} answers that were known, "
    says += f"{spent['retries']} retries"
    if spent["total"] is not None:
        says += f"; {spent['total']:g} {spent['currency'] or ''}".rstrip()
    return says
