"""The command line: parse, one library call, print.

Exit codes: 0 won or done; 1 a bar that the caller set was missed; 2 the user's mistake; 3 the search ended without a
win; 4 the victim died; 130 interrupted; 141 whoever read the output went away; 143 told to stop.
"""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from subterfuge.cli.audit import audit as audit_command
from subterfuge.cli.card import card as card_command
from subterfuge.cli.check import check as check_command
from subterfuge.cli.compare import compare as compare_command
from subterfuge.cli.control import control as control_command
from subterfuge.cli.data import data as data_command
from subterfuge.cli.ending import INTERRUPTED, STOPPED, Stopped, watch_for_signals
from subterfuge.cli.evaluate import evaluate as evaluate_command
from subterfuge.cli.harden import harden as harden_command
from subterfuge.cli.harden import matrix as matrix_command
from subterfuge.cli.listen import listen as listen_command
from subterfuge.cli.options import (
    LOST,
    PATH,
    Group,
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
from subterfuge.cli.report import report as report_command
from subterfuge.cli.serve import serve as serve_command
from subterfuge.cli.show import number, plain, print_json, print_outcome, print_table, print_table_of, print_warnings
from subterfuge.cli.survive import survive as survive_command
from subterfuge.cli.survive import transforms as transforms_command
from subterfuge.cli.synthesise import synthesise as synthesise_command
from subterfuge.cli.train import train as train_command
from subterfuge.cli.transfer import transfer as transfer_command
from subterfuge.cli.universal import universal as universal_command
from subterfuge.cli.watch import Watch
from subterfuge.errors import InputError, SubterfugeError

if TYPE_CHECKING:
    from subterfuge.threat import Measure

PIPE_CLOSED = 141


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "subterfuge demo",
        "subterfuge attack flute.wav --victim tuned.toml --target tru",
        "subterfuge score *.wav --victim tuned.toml",
    ),
)
@click.version_option(package_name="sonic-subterfuge", prog_name="subterfuge")
def cli() -> None:
    """How little must change in a sound before a classifier believes something else?"""


@cli.command(
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


@cli.command(
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
    from subterfuge.victims import load_victim

    set_threads(threads)
    victim = load_victim(card, trust_pickle=trust_pickle, device=device)
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
    print_warnings(victim.warnings)


cli.add_command(control_command)
cli.add_command(survive_command)
cli.add_command(harden_command)
cli.add_command(matrix_command)
cli.add_command(transfer_command)
cli.add_command(synthesise_command)
cli.add_command(universal_command)
cli.add_command(train_command)
cli.add_command(evaluate_command)
cli.add_command(listen_command)
cli.add_command(audit_command)
cli.add_command(compare_command)
cli.add_command(report_command)
cli.add_command(serve_command)


@cli.command(epilog=examples("subterfuge attacks", "subterfuge attacks --json"))
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
        click.echo(f"{name}: {kind.says}; needs {kind.needs.name.lower()}")
        for knob, value in knobs_of(kind).items():
            shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
            click.echo(f"    -o {knob}={shown}")


cli.add_command(transforms_command)


@cli.command(epilog=examples("subterfuge victims", "subterfuge victims --json"))
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
        click.echo(f"{kind}: {one.says}{code}")
        click.echo(f"    keys: {', '.join(sorted(one.keys))}; ! must be there")
    click.echo(f"every kind: {', '.join(COMMON)}")


cli.add_command(card_command)
cli.add_command(check_command)


@cli.command(
    epilog=examples(
        "subterfuge diff flute.wav flute-to-tru.wav",
        "subterfuge diff flute.wav flute.mp3 --align",
        "subterfuge diff a.wav b.wav --json",
    )
)
@click.argument("before", type=PATH)
@click.argument("after", type=PATH)
@click.option("--rate", type=int, help="Rate in Hz at which the mono folds are compared; that of BEFORE by default.")
@click.option("--align", is_flag=True, help="Where AFTER is late or early, compare what overlaps.")
@click.option(
    "--visqol/--no-visqol",
    default=None,
    help="Ask ViSQOL (an extra); by default where it is installed and BEFORE has at most 10 s.",
)
@seconds_option
@as_json
def diff(
    before: Path,
    after: Path,
    rate: int | None,
    align: bool,
    visqol: bool | None,
    max_seconds: float,
    as_json: bool,
) -> None:
    """Measure how the sound AFTER differs from BEFORE, in every metric there is.

    Files of another rate, number of channels or length are brought together where that is honest, and it is said how.
    """
    from dataclasses import asdict

    from subterfuge.audio import Clip
    from subterfuge.hearing.metrics import METRICS
    from subterfuge.hearing.pairing import compare_files

    if rate is not None and not 1000 <= rate <= 384000:
        raise InputError(f"--rate {rate}: a rate from 1000 to 384000 Hz was expected")
    clean, changed = (Clip.read(path, max_seconds=max_seconds) for path in (before, after))
    with Watch(changed.name, quiet=as_json and not sys.stderr.isatty()) as watch:
        found = asdict(compare_files(clean, changed, rate, align=align, visqol=visqol, progress=watch.count))
    if as_json:
        print_json(plain(found))
        return
    rows = [[one.title, number(found[key]), one.unit, one.good] for key, one in METRICS.items()]
    print_table(["measure", "value", "unit", "good"], rows)
    print_warnings(found["notes"])


cli.add_command(data_command)


@cli.command(epilog=examples("subterfuge demo", "subterfuge demo --out somewhere"))
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
        click.echo(f"victim: {embedded_card()}\nclips:  {clips['cel'].parent}\n")
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
        click.echo("\nThis victim and these clips are a stand-in to try the set-up on, not a study of IRMAS.")
        click.echo(f"The sounds and their records are in {out}. Hear and see them, before and after, in your browser:")
        click.echo(str(page or out))
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


def guarded(run: Callable[[], Any]) -> int:
    """Run a command; turn errors into one paragraph and an exit code."""
    stdout = sys.stdout
    try:
        run()
    except SubterfugeError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Stopped:
        return STOPPED
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; nothing half-written was left", err=True)
        return INTERRUPTED
    except SystemExit:
        if sys.stdout is stdout:
            raise
        return PIPE_CLOSED  # click has met it, put another stdout there, and would exit with 1, which is a bar's
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {what}{error.strerror or error}. Is the disk full, or a file in use?", err=True)
        return InputError.exit_code
    return 0


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):  # a name that a terminal cannot show must not end the work
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    watch_for_signals()
    sys.exit(guarded(lambda: cli.main(prog_name="subterfuge", standalone_mode=False)))
