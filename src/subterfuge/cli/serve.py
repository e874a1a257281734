"""The command `serve`: any victim behind an address."""

from __future__ import annotations

import json
from collections import Counter
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
from subterfuge.cli.show import echo, print_warnings

if TYPE_CHECKING:
    from subterfuge.serving import Told
    from subterfuge.victim import Victim


@click.command(
    epilog=examples(
        "subterfuge serve tuned.toml",
        "subterfuge serve tuned.toml --port 0 --json",
        "subterfuge serve tuned.toml --gives labels",
        "subterfuge serve tuned.toml --fault-rate 0.2 --faults 429,cut --seed 3",
    )
)
@click.argument("card", type=PATH)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", default=8000, show_default=True, type=int, help="0 takes any that is free.")
@click.option("--gives", type=click.Choice(["labels", "scores"]), help="What it answers; by default all it has.")
@click.option("--max-mb", default=64.0, show_default=True, help="Refuse larger requests, before reading them whole.")
@click.option("--fault-rate", default=0.0, metavar="SHARE", help="Answer this share with a fault, to test a client.")
@click.option("--faults", metavar="LIST", help="Which, as 429,500,503,broken,cut,closed (all by default).")
@click.option("--retry-after", default=1, show_default=True, metavar="SECONDS", help="What the faults 429 and 503 say.")
@seed_option("Of the faults.")
@device_option
@threads_option
@trust_option
@seconds_option
@as_json
def serve(
    card: Path,
    host: str,
    port: int,
    gives: str | None,
    max_mb: float,
    fault_rate: float,
    faults: str | None,
    retry_after: int,
    seed: int,
    device: str,
    threads: int,
    trust_pickle: bool,
    max_seconds: float,
    as_json: bool,
) -> None:
    """Serve the victim of a CARD over HTTP, until Ctrl-C.

    POST /score takes a sound file (as a form's "file", as the body, or as base64 in JSON {"audio": ...}) and answers
    the label, the probabilities and the scores, in JSON; GET / tells whose they are. There is no password.
    """
    from subterfuge.serving import FAULTS, Faults, exposed
    from subterfuge.serving import serve as run
    from subterfuge.victims import load_victim

    kinds = tuple(FAULTS) if faults is None else tuple(word.strip() for word in faults.split(","))
    injected = Faults(fault_rate, seed, kinds, retry_after)
    set_threads(threads)
    victim = load_victim(card, trust_pickle=trust_pickle, device=device)
    count: Counter[str] = Counter()

    def tell(told: Told) -> None:
        count["injected" if told.fault else "answered" if told.status == 200 else "refused"] += 1

    def ready(url: str) -> None:
        if as_json:
            click.echo(json.dumps({"url": url, "score": f"{url}/score", "name": victim.name}))
        else:
            echo(*_says(victim, url))
        print_warnings(victim.warnings)
        if exposed(host):
            echo(
                f"WARNING: {host} can be reached from other machines. There is no password: whoever can reach port "
                f"{url.rpartition(':')[2]} can ask this model as often as they like. --host 127.0.0.1 keeps it to this "
                "machine.",
                err=True,
            )

    try:
        run(
            victim,
            host=host,
            port=port,
            gives=gives,
            max_seconds=max_seconds,
            max_mb=max_mb,
            faults=injected if fault_rate else None,
            ready=ready,
            tell=tell,
        )
    finally:
        if count:
            told = [f"{number} {what}" for what, number in count.items()]
            echo(f"questions: {', '.join(told)}", err=True)


def _says(victim: Victim, url: str) -> tuple[str, ...]:
    return (
        f"{victim.name}: {len(victim.labels)} labels, {victim.sample_rate} Hz",
        f"{url}/score",
        f"  curl -F file=@SOUND.wav {url}/score",
        "Ctrl-C ends it.",
    )
