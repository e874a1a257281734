"""The command `synthesise`: the sound that the victim takes for most of one class."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from subterfuge.cli.options import (
    LOST,
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
from subterfuge.cli.show import echo, percent, print_json, print_paid, print_table, print_warnings
from subterfuge.cli.watch import Watch
from subterfuge.errors import InputError

if TYPE_CHECKING:
    from subterfuge.outcome import Outcome


@click.command(
    epilog=examples(
        "subterfuge synthesise --victim tuned.toml --target tru",
        "subterfuge synthesise --victim tuned.toml --all --out sounds/",
        "subterfuge synthesise --victim tuned.toml --target voi --from silence --level -30 --band 100..8000",
        "subterfuge synthesise --victim tuned.toml --from flute.wav --limit snr=30",
        "subterfuge synthesise --victim tuned.toml --target tru --attack evolution --queries 10000",
    )
)
@card_option
@click.option("--target", help="The label; left out, more of what the clip of --from is already.")
@click.option("--all", "every", is_flag=True, help="One sound for each label.")
@click.option("--from", "start", default="noise", show_default=True, help="noise, silence, or the path of a clip.")
@click.option("--seconds", default=3.0, show_default=True, help="Of sound, where it begins with noise or silence.")
@click.option("--level", default=-20.0, show_default=True, help="Most root mean square, in dB of full scale.")
@click.option("--band", default="60..16000", show_default=True, help="Where the sound may lie, in Hz.")
@click.option("--limit", metavar="snr=DB|peak=PART", help="Of a clip's change, instead of --level and --band.")
@click.option("--attack", "by", help="Name of an attack that climbs; the best that the victim serves by default.")
@click.option("-o", "knobs", multiple=True, metavar="KNOB=VALUE", help="A knob of the attack; may be repeated.")
@click.option("--queries", type=int, help="Most clips through the victim that is searched on; a black box's: 5000.")
@click.option("--gradients", type=int, help="Most backward passes through it.")
@seed_option()
@click.option("--out", metavar="FILE|DIR", help="Where the sound goes; noise-to-TARGET.wav here by default.")
@click.option("--force", is_flag=True, help="Overwrite an existing result (never a clip).")
@device_option
@threads_option
@trust_option
@seconds_option
@as_json
def synthesise(
    card: Path,
    target: str | None,
    every: bool,
    start: str,
    seconds: float,
    level: float,
    band: str,
    limit: str | None,
    by: str | None,
    knobs: tuple[str, ...],
    queries: int | None,
    gradients: int | None,
    seed: int,
    out: str | None,
    force: bool,
    device: str,
    threads: int,
    trust_pickle: bool,
    max_seconds: float,
    as_json: bool,
) -> None:
    """Make the sound that the victim takes for most of one class, and prove it on the file.

    It begins with noise, silence or a clip, and stays below a level, below nine tenths of full scale, and inside a
    band, so that it can be played. The sound is written beside a record (FILE.outcome.json), read back, and the true
    victim asked. The exit code is 0 when the victim says the label of every file and 3 when not.
    """
    from subterfuge.audio import Clip
    from subterfuge.driver.synthesis import QUIETER_DB, climber, places, synthesise
    from subterfuge.threat import Budget, Unlimited, index_of, parse_limit
    from subterfuge.threat.level import Level, parse_band
    from subterfuge.victims import load_victim

    if every and target is not None:
        raise InputError(f"--all makes a sound for each label, and --target {target} names one; leave one of them out")
    low_hz, high_hz = parse_band(band)
    bound = parse_limit(limit)
    limit_given = None if isinstance(bound, Unlimited) else bound
    near = limit_given is not None or (target is None and not every)  # the change is bound, not the sound
    _check_options(start, near=near and start not in QUIETER_DB)
    budget = None if queries is None and gradients is None else Budget(queries, gradients)
    set_threads(threads)
    victim = load_victim(card, trust_pickle=trust_pickle, device=device)
    loud = Level(sample_rate=victim.sample_rate, rms_dbfs=level, low_hz=low_hz, high_hz=high_hz)
    method = climber(victim, by, _pairs(knobs))
    if target is not None:
        index_of(target, victim.labels)
    begin = start if start in QUIETER_DB else Clip.read(start, max_seconds=max_seconds)
    where = _folder(out, start) if every else out
    if every:
        places(victim, victim.labels, start=begin, limit=limit_given, out=where, force=force)
    made: list[Outcome] = []
    for label in victim.labels if every else [target]:
        with Watch(label or start, quiet=as_json and not sys.stderr.isatty()) as watch:
            made.append(
                synthesise(
                    victim,
                    label,
                    start=begin,
                    seconds=seconds,
                    level=None if near else loud,
                    limit=limit_given,
                    by=method,
                    budget=budget,
                    seed=seed,
                    out=where,
                    force=force,
                    progress=watch,
                    command=shlex.join(["subterfuge", *sys.argv[1:]]),
                    card=card,
                )
            )
        if not (as_json or every):
            _print(made[-1])
    if as_json:
        records = [one.as_json() for one in made]
        print_json(records if every else records[0])
    elif every:
        _print_table(made, str(where))
    sys.exit(0 if all(one.won for one in made) else LOST)


def _check_options(start: str, *, near: bool) -> None:
    """Refuse options that were given and would mean nothing: those of a sound that begins elsewhere."""
    from subterfuge.driver.synthesis import QUIETER_DB

    context = click.get_current_context()
    given = [
        name
        for name in ("seconds", "level", "band")
        if context.get_parameter_source(name) not in (None, click.core.ParameterSource.DEFAULT)
    ]
    if "seconds" in given and start not in QUIETER_DB:
        raise InputError(f"--seconds is the length of noise or silence, and --from {start} has its own; leave it out")
    vain = [f"--{name}" for name in given if name != "seconds"]
    if near and vain:
        raise InputError(
            f"{' and '.join(vain)} bind{'s' * (len(vain) == 1)} a sound that is made for a --target without a --limit; "
            f"here --limit binds the change of {start} instead; leave {'it' if len(vain) == 1 else 'them'} out"
        )


def _print(one: Outcome) -> None:
    before = f"{one.predicted_before}{percent(one.probability_before)}"
    if one.won:
        level = one.findings.get("level_dbfs")
        how = f"{one.snr_db:.1f} dB SNR" if level is None else f"{level:.1f} dB of full scale"
        echo(f"{one.target}: the file says {one.predicted}{percent(one.probability)}, {how}, {one.seconds:.0f} s")
        echo(f"  from {one.clip['name']}, which says {before}", f"  {one.file}")
    else:
        echo(f"{one.target}: lost; {one.advice}")
    print_paid(one.service)
    print_warnings(one.warnings)


def _print_table(made: list[Outcome], folder: str) -> None:
    rows = []  # of a label that was lost no file stands
    for one in made:
        level = one.findings.get("level_dbfs")
        rows.append(
            [
                str(one.target),
                one.predicted if one.won else "lost",
                "" if one.probability is None or not one.won else f"{one.probability:.4f}",
                "" if level is None or not one.won else f"{level:.1f}",
                str(one.queries),
                str(one.gradients),
                f"{one.seconds:.0f}",
            ]
        )
    print_table(["label", "file says", "P", "level dB", "queries", "gradients", "s"], rows)
    if any(one.won for one in made):
        echo(f"The sounds and their records are in {folder}")
    print_paid(*(one.service for one in made))
    print_warnings(list(dict.fromkeys(note for one in made for note in one.warnings)))


def _folder(out: str | None, start: str) -> str:
    """Give a folder for a sound of each label, with a slash at its end."""
    folder = Path(out or f"from-{Path(start).stem}")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {out} is a file; --all writes a sound for each label, and needs a folder")
    return f"{folder}/"


def _pairs(knobs: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in knobs:
        knob, equals, value = text.partition("=")
        if not equals or not knob:
            raise InputError(f"-o {text}: KNOB=VALUE was expected, such as -o steps=200")
        pairs[knob] = value
    return pairs
