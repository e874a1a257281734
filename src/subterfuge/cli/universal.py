"""The command `universal`: one sound that fools the victim on most clips."""

from __future__ import annotations

import shlex
import sys
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
from subterfuge.cli.show import echo, print_json, print_paid, print_table, print_warnings
from subterfuge.cli.watch import Watch
from subterfuge.errors import AttackError, ClipError, ThreatError

if TYPE_CHECKING:
    from subterfuge.driver.universal import Beside, Climb, Evolve, Mix, Universal
    from subterfuge.victim import Victim


@click.command(
    epilog=examples(
        "subterfuge universal clips/*.wav --victim tuned.toml --target tru --limit snr=20",
        "subterfuge universal clips/*.wav --victim tuned.toml --folds 5 --out anything.wav",
        "subterfuge universal train/*.wav --test test/ --victim tuned.toml --target tru",
        "subterfuge universal clips/*.wav --victim tuned.toml --level -45 --seconds 1 --keep heard/ --json",
    )
)
@click.argument("clips", nargs=-1, required=True, type=PATH)
@card_option
@click.option("--target", help="The label that the victim is to answer; left out, any but what it says of each clip.")
@click.option("--limit", metavar="snr=DB", help="The sound lies so far below every clip; snr=20 by default.")
@click.option("--level", type=float, help="Instead, its level on every clip, in dB of full scale.")
@click.option("--seconds", type=float, help="Its length; it is repeated or cut to the clips'; by default 3 at most.")
@click.option(
    "--anywhere/--in-step",
    default=True,
    help="Learn it to begin at any moment (default), or with the clip.",
)
@click.option("--held-out", type=float, help="Part of the clips that judges and is not learned; 0.3 by default.")
@click.option(
    "--test", multiple=True, type=PATH, help="A clip, or a folder of them, to judge on instead; may be repeated."
)
@click.option("--folds", type=int, help="Judge by cross-validation with so many sounds; the one written knows all.")
@click.option("--steps", type=click.IntRange(1), help="Of learning along gradients, on four clips each; default 200.")
@click.option("--queries", type=int, help="Most clips through a victim that gives scores only; default 2000.")
@click.option("--starts", default=5, show_default=True, type=click.IntRange(0), help="Moments to begin at, in judging.")
@click.option("--draws", default=5, show_default=True, type=click.IntRange(0), help="Of each noise on each clip.")
@click.option("--on", "elsewhere", type=PATH, help="The card of a victim to learn on; that of --victim judges.")
@seed_option()
@click.option("--out", metavar="FILE|DIR", help="Where the sound goes; universal-to-TARGET.wav here by default.")
@click.option("--keep", metavar="DIR", type=PATH, help="A folder for the judged files.")
@click.option("--force", is_flag=True, help="Overwrite existing results (never a clip).")
@device_option
@threads_option
@trust_option
@seconds_option
@as_json
def universal(
    clips: tuple[Path, ...],
    card: Path,
    target: str | None,
    limit: str | None,
    level: float | None,
    seconds: float | None,
    anywhere: bool,
    held_out: float | None,
    test: tuple[Path, ...],
    folds: int | None,
    steps: int | None,
    queries: int | None,
    starts: int,
    draws: int,
    elsewhere: Path | None,
    seed: int,
    out: str | None,
    keep: Path | None,
    force: bool,
    device: str,
    threads: int,
    trust_pickle: bool,
    max_seconds: float,
    as_json: bool,
) -> None:
    """Make one sound that fools the victim on most clips, and judge it on clips that it never met.

    The sound is learned on some of the CLIPS, along gradients or else from scores, and written beside a record
    (FILE.universal.json). It is added to the other clips, 20 dB below each; these files are written, read back, and the
    true victim asked, beside noise as loud. Excerpts of one recording (the same name up to a last __ and number) never
    stand on both sides. The exit code is 3 when not one of the judged clips met the goal.
    """
    from subterfuge.audio import Clip
    from subterfuge.driver.universal import universal
    from subterfuge.threat import parse_goal
    from subterfuge.victims import load_victim

    mix = _mix(limit, level)
    set_threads(threads)
    victim = load_victim(card, trust_pickle=trust_pickle, device=device)
    on = None if elsewhere is None else load_victim(elsewhere, trust_pickle=trust_pickle, device=device)
    with Watch(
        f"universal{'' if target is None else f' to {target}'}", quiet=as_json and not sys.stderr.isatty()
    ) as watch:
        made = universal(
            [Clip.read(path, max_seconds=max_seconds) for path in clips],
            victim,
            parse_goal(None, target),
            mix=mix,
            test=[Clip.read(path, max_seconds=max_seconds) for path in _sounds(test)],
            held_out=held_out,
            folds=folds,
            seconds=seconds,
            how=_how(victim if on is None else on, steps, queries, anywhere),
            starts=starts,
            draws=draws,
            on=on,
            seed=seed,
            out=out,
            keep=keep,
            force=force,
            progress=watch.count,
            command=shlex.join(["subterfuge", *sys.argv[1:]]),
            card=card,
        )
    if as_json:
        print_json(made.as_json())
    else:
        _print(made)
    print_warnings(made.warnings)
    sys.exit(0 if made.success.hits else LOST)


def _sounds(paths: tuple[Path, ...]) -> list[Path]:
    """Give files, and for folders the sounds in them."""
    from subterfuge.driver.place import SOUND_SUFFIXES

    found = []
    for path in paths:
        inside = (
            [one for one in sorted(path.iterdir()) if one.suffix.lower() in SOUND_SUFFIXES] if path.is_dir() else [path]
        )
        if not inside:
            raise ClipError(f"--test {path}: no sound is in this folder; a clip, or a folder of clips, was expected")
        found.extend(inside)
    return found


def _how(on: Victim, steps: int | None, queries: int | None, anywhere: bool) -> Climb | Evolve:
    """Say how to learn on a victim: along gradients where it or its twin has them, else from scores."""
    from subterfuge.driver.universal import Climb, Evolve
    from subterfuge.victim import Gives

    if steps is not None and queries is not None:
        raise AttackError(
            "--steps are of learning along gradients, and --queries of learning from scores; leave one out"
        )
    slopes = max(on.gives, on.twin.gives if on.twin is not None else Gives.LABELS) >= Gives.GRADIENTS
    if queries is not None or (steps is None and not slopes):
        return Evolve(anywhere=anywhere) if queries is None else Evolve(queries=queries, anywhere=anywhere)
    return Climb(anywhere=anywhere) if steps is None else Climb(steps=steps, anywhere=anywhere)


def _mix(limit: str | None, level: float | None) -> Mix:
    """Read how loud the sound is to be."""
    from subterfuge.driver.universal import Mix
    from subterfuge.threat import LeastSNR, parse_limit

    if level is not None:
        if limit is not None:
            raise ThreatError(
                f"--limit {limit} lets the sound follow each clip's level, and --level {level:g} does not; leave one "
                "of them out"
            )
        return Mix(level_dbfs=level)
    bound = parse_limit(limit or "snr=20")
    if not isinstance(bound, LeastSNR):
        raise ThreatError(
            f"--limit {limit}: a universal sound lies so many decibels below each clip, as snr=20, or has one level on "
            "all, as --level -45"
        )
    return Mix(snr_db=bound.snr_db)


def _print(made: Universal) -> None:
    rows = [
        [
            one.name,
            one.predicted_before,
            one.predicted,
            "yes" if one.met else "no",
            f"{one.snr_db:.1f}",
            f"{one.begun_anywhere} of {one.starts}",
            f"{one.same_spectrum} of {one.draws}",
            f"{one.white_noise} of {one.draws}",
        ]
        for one in made.clips
    ]
    won = made.success
    rows.append(
        [
            "all",
            "",
            "",
            f"{100 * won.share:.0f} %",
            f"{made.snr_db[1]:.1f}",
            _share(made.begun_anywhere),
            _share(made.same_spectrum),
            _share(made.white_noise),
        ]
    )
    heads = ["clip", "says", "file says", "goal met", "SNR dB", "begun anywhere", "own spectrum", "white noise"]
    print_table(heads, rows)
    echo(made.protocol)
    echo(made.verdict, made.file)
    print_paid(made.service)


def _share(one: Beside | None) -> str:
    return "" if one is None else f"{100 * one.share:.0f} %"
