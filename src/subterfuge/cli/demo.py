"""`subterfuge demo`: the whole road on embedded data."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from subterfuge.cli.options import LOST, PATH, as_json, examples, set_threads
from subterfuge.cli.show import echo, print_json, print_table_of
from subterfuge.cli.watch import Watch


@click.command(epilog=examples("subterfuge demo", "subterfuge demo --out somewhere"))
@click.option("--out", default="demo-out", show_default=True, type=PATH, help="Folder of the results, written anew.")
@as_json
def demo(out: Path, as_json: bool) -> None:
    """Fool the embedded classifier on embedded clips, prove it on the files, make a page of it (a minute or two)."""
    from subterfuge.driver import attack as run
    from subterfuge.outcome import outcome_path
    from subterfuge.report.audited import PAGE, write_report
    from subterfuge.threat import Threat, parse_goal
    from subterfuge.training.demo_data import DEMO, embedded_card, embedded_clips
    from subterfuge.victims import load_victim

    set_threads(1)
    victim = load_victim(embedded_card())
    clips = {path.name[1:4]: path for path in embedded_clips()}
    outcomes = []
    if not as_json:
        echo(f"victim: {embedded_card()}", f"clips:  {clips['cel'].parent}", "")
    for source, target, goal in DEMO:
        with Watch(f"{source} -> {target}", quiet=as_json) as watch:
            threat = Threat(parse_goal(goal, target))
            where = out / f"{clips[source].stem}-to-{target}-{threat.goal.name}{clips[source].suffix}"
            words = ["subterfuge", "attack", str(clips[source]), "--victim", str(embedded_card()), "--target", target]
            command = shlex.join([*words, *(["--goal", goal] if goal else [])])
            card, clip = embedded_card(), clips[source]
            outcome = run(clip, victim, threat, out=where, force=True, progress=watch, command=command, card=card)
        outcomes.append(outcome)
    won = [outcome_path(Path(outcome.file)) for outcome in outcomes if outcome.file is not None]
    with Watch("page", quiet=as_json) as watch:
        page = write_report(won, out / PAGE, force=True, progress=watch.count).page if won else None
    if as_json:
        print_json([outcome.as_json() for outcome in outcomes])
    else:
        print_table_of(outcomes)
        echo("", "This victim and these clips are a stand-in to try the set-up on, not a study of IRMAS.")
        echo(f"The sounds and their records are in {out}. Hear and see them, before and after, in your browser:")
        echo(str(page or out))
    sys.exit(0 if all(outcome.won for outcome in outcomes) else LOST)
