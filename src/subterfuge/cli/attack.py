"""`subterfuge attack`: change sounds so that a victim believes something else, and prove it on the files."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from subterfuge.cli.options import (
    LOST,
    PATH,
    as_json,
    card_option,
    device_option,
    examples,
    seconds_option,
    seed_option,
    set_threads,
    threads_option,
    trust_option,
)
from subterfuge.cli.show import print_json, print_outcome, print_table_of
from subterfuge.cli.watch import Watch
from subterfuge.errors import InputError

if TYPE_CHECKING:
    from subterfuge.threat import Measure


@click.command(
    epilog=examples(
        "subterfuge attack flute.wav --victim tuned.toml --target tru",
        "subterfuge attack flute.wav --victim tuned.toml --target tru --goal confident=0.9",
        "subterfuge attack *.wav --victim tuned.toml --attack pgd --limit snr=40 --out results/ --json",
        "subterfuge attack flute.wav --victim tuned.toml --target tru -o climb=600 --seed 3",
    )
)
@click.argument("clips", nargs=-1, required=True, type=PATH)
@card_option
@click.option("--target", help="The label that the victim is to answer.")
@click.option(
    "--goal",
    metavar="GOAL",
    help="targeted (default with --target), untargeted (default without), confident[=0.9], maximise, "
    "and of taggers tag+[=0.5] or tag-[=0.5].",
)
@click.option(
    "--attack",
    "by",
    help="Name of an attack; by default the best for what the victim gives (see `subterfuge attacks`).",
)
@click.option(
    "--start",
    "starts",
    multiple=True,
    type=PATH,
    help="A sound of the target that a label-only attack may start from; may be repeated.",
)
@click.option(
    "--on",
    "elsewhere",
    type=PATH,
    help="The card of a victim to search on instead, of the same labels and rate; the victim judges.",
)
@click.option("-o", "knobs", multiple=True, metavar="KNOB=VALUE", help="A knob of the attack; may be repeated.")
@click.option("--limit", metavar="LIMIT", help="What no candidate may exceed: snr=40, peak=0.001, masking, masking=6.")
@click.option(
    "--measure",
    type=click.Choice(["snr", "nmr"]),
    help="By what a change is small: its energy (snr), or how audible it is (nmr; default with --limit masking).",
)
@click.option(
    "--robust", metavar="LIST", help="What the win must survive, as mp3=128,gain,shift (see `subterfuge transforms`)."
)
@click.option("--queries", type=int, help="Most clips through the victim that is searched on.")
@click.option("--gradients", type=int, help="Most backward passes through it.")
@click.option("--seconds", type=float, help="Most seconds of search; a run that they end is not repeatable.")
@seed_option()
@click.option("--out", metavar="FILE|DIR", help="Where the result goes; CLIP-to-TARGET.EXT here by default.")
@click.option(
    "--control",
    default=20,
    show_default=True,
    type=click.IntRange(0),
    help="Draws of noise to compare a win with; 0 for none.",
)
@click.option("--keep-container", is_flag=True, help="Write a lossy source in kind, and not as 24-bit FLAC.")
@click.option("--force", is_flag=True, help="Overwrite an existing result (never a clip).")
@device_option
@threads_option
@trust_option
@seconds_option
@as_json
def attack(
    clips: tuple[Path, ...],
    card: Path,
    target: str | None,
    goal: str | None,
    by: str | None,
    starts: tuple[Path, ...],
    elsewhere: Path | None,
    knobs: tuple[str, ...],
    limit: str | None,
    measure: Measure | None,
    robust: str | None,
    queries: int | None,
    gradients: int | None,
    seconds: float | None,
    seed: int,
    out: str | None,
    control: int,
    keep_container: bool,
    force: bool,
    device: str,
    threads: int,
    trust_pickle: bool,
    max_seconds: float,
    as_json: bool,
) -> None:
    """Change sounds so that the victim believes something else, and prove it on the files.

    Every CLIP is attacked, its result written beside a record (FILE.outcome.json), read back, and the true victim
    asked. The exit code is 0 when every file won and 3 when one did not.
    """
    from subterfuge.attacks import make_attack
    from subterfuge.audio import Clip
    from subterfuge.driver import attack as run
    from subterfuge.driver.fit import default_attack
    from subterfuge.driver.heard import check_heard
    from subterfuge.driver.place import place_for
    from subterfuge.driver.record import file_word
    from subterfuge.threat import Budget, Threat, parse_goal, parse_limit
    from subterfuge.transforms import parse_transforms
    from subterfuge.victims import load_victim

    threat = Threat(parse_goal(goal, target), parse_limit(limit), Budget(queries, gradients, seconds), measure)
    options = _pairs(knobs)
    if by is not None:  # a mistake here is told before anything is loaded
        make_attack(by, options)
    transforms = parse_transforms(robust) if robust is not None else None
    _check_out(out, clips)
    set_threads(threads)
    victim = load_victim(card, trust_pickle=trust_pickle, device=device)
    on = None if elsewhere is None else load_victim(elsewhere, trust_pickle=trust_pickle, device=device)
    method = make_attack(by or default_attack(threat, on or victim), options)
    loaded = [Clip.read(path, max_seconds=max_seconds) for path in clips]
    begin = [Clip.read(path, max_seconds=max_seconds) for path in starts]
    for clip in loaded:
        check_heard(clip, victim)
    if target is not None or threat.goal.name == "untargeted":
        for clip in loaded:  # every place, before any work
            place_for(clip, file_word(threat.goal), out, force, keep_container)
    outcomes = []
    for clip in loaded:
        with Watch(clip.name, quiet=as_json and not sys.stderr.isatty()) as watch:
            outcome = run(
                clip,
                victim,
                threat,
                seed,
                by=method,
                out=out,
                force=force,
                keep_container=keep_container,
                control=control,
                on=on,
                starts=begin or None,
                robust=transforms,
                progress=watch,
                command=shlex.join(["subterfuge", *sys.argv[1:]]),
                card=card,
            )
        outcomes.append(outcome)
        if not as_json:
            print_outcome(outcome)
    if as_json:
        records = [outcome.as_json() for outcome in outcomes]
        print_json(records[0] if len(records) == 1 else records)
    elif len(outcomes) > 1:
        print_table_of(outcomes)
    sys.exit(0 if all(outcome.won for outcome in outcomes) else LOST)


def _pairs(knobs: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in knobs:
        knob, equals, value = text.partition("=")
        if not equals or not knob:
            raise InputError(f"-o {text}: KNOB=VALUE was expected, such as -o climb=600")
        pairs[knob] = value
    return pairs


def _check_out(out: str | None, clips: Sequence[Path]) -> None:
    if out is not None and len(clips) > 1 and not (Path(out).is_dir() or out.endswith("/")):
        raise InputError(f"--out {out}: {len(clips)} clips need a folder; end it with a slash, or name one that exists")
    stems = [path.stem for path in clips]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise InputError(f"two clips are called {twice[0]}: their results would have one name; attack them one by one")
