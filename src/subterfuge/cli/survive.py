"""The commands `survive` and `transforms`: what of an attack is left after MP3, a room and the like."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
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
from subterfuge.cli.show import echo, number, print_json, print_paid, print_table, print_warnings
from subterfuge.cli.watch import Watch
from subterfuge.errors import InputError

if TYPE_CHECKING:
    from subterfuge.driver.controls_case import Case
    from subterfuge.driver.survival import Survival, Trial

MISSED = 1
"""The exit code where fewer survive than the caller asks for."""


@click.command(
    epilog=examples(
        "subterfuge survive flute-to-tru.wav.outcome.json",
        "subterfuge survive flute-to-tru.wav --transforms mp3=128,gain=-6,room",
        "subterfuge survive results/*.outcome.json --out survival.json",
        "subterfuge survive flute-to-tru.wav --transforms mp3=128,mp3=64 --fail-under 1",
    )
)
@click.argument("outcomes", nargs=-1, required=True, type=PATH)
@click.option("--victim", "card", type=PATH, help="The victim's card; the one of each outcome by default.")
@click.option(
    "--transforms",
    "words",
    metavar="LIST",
    help="What to survive, as mp3=128,gain=-6,room (see `subterfuge transforms`); a list of 23 by default.",
)
@seed_option("Of the noise, and of what is drawn.")
@click.option("--fail-under", metavar="SHARE", type=click.FloatRange(0, 1), help="Exit with 1 where less survives.")
@click.option("--out", type=PATH, help="A JSON file to write the result to.")
@click.option("--force", is_flag=True, help="Overwrite it (never what is read).")
@device_option
@threads_option
@trust_option
@seconds_option
@as_json
def survive(
    outcomes: tuple[Path, ...],
    card: Path | None,
    words: str | None,
    seed: int,
    fail_under: float | None,
    out: Path | None,
    force: bool,
    device: str,
    threads: int,
    trust_pickle: bool,
    max_seconds: float,
    as_json: bool,
) -> None:
    """Does the attack of each OUTCOME survive MP3, noise, a room? Put it through, and ask the true victim again.

    OUTCOME is a record (FILE.outcome.json) or the sound beside it. The clean clip goes through the same: where the
    transform alone meets the goal, surviving it is worth nothing and counts in no share.
    """
    from subterfuge.driver.controls_case import card_of, check_out, save
    from subterfuge.driver.survival import find_win, record_of, share_of
    from subterfuge.driver.survival import survive as run
    from subterfuge.transforms import DEFAULT, parse_transforms
    from subterfuge.victims import load_victim

    transforms = DEFAULT if words is None else parse_transforms(words)
    set_threads(threads)
    notes: list[str] = []
    cases = [find_win(outcome, notes.append, max_seconds=max_seconds) for outcome in outcomes]
    cards = [card_of(case, card) for case in cases]
    _check_each_once(outcomes, cases, cards)
    if out is not None:
        for case, one in zip(cases, cards, strict=True):
            check_out(out, case, one, force)
    victims = {one: load_victim(one, trust_pickle=trust_pickle, device=device) for one in dict.fromkeys(cards)}
    found = []
    for case, one in zip(cases, cards, strict=True):
        with Watch(case.file.name, quiet=as_json and not sys.stderr.isatty()) as watch:
            found.append(run(case, victims[one], transforms, seed, progress=watch.count))
    record = record_of(found)
    if out is not None:
        save(record, out)
    if as_json:
        print_json(record)
    elif len(found) == 1:
        _print_one(found[0])
    else:
        _print_all(found)
    share = share_of([trial for one in found for trial in one.trials])
    missed = fail_under is not None and (share or 0.0) < fail_under
    if share is None:
        notes.append(_nothing(found) + (f"; --fail-under {fail_under:g} is missed" if missed else ""))
    print_warnings([*notes, *_warnings(found)])
    sys.exit(MISSED if missed else 0)


@click.command(epilog=examples("subterfuge transforms", "subterfuge transforms --json"))
@as_json
def transforms(as_json: bool) -> None:
    """List what the world does to a sound, as --transforms takes it."""
    from subterfuge.transforms import DEFAULT, TRANSFORMS

    if as_json:
        print_json(
            {
                "transforms": {word: {"says": kind.says} for word, kind in TRANSFORMS.items()},
                "default": [one.name for one in DEFAULT],
            }
        )
        return
    for word, kind in TRANSFORMS.items():
        echo(f"{word}: {kind.says}")
    echo(f"by default: {','.join(one.name for one in DEFAULT)}")


def _check_each_once(outcomes: Sequence[Path], cases: Sequence[Case], cards: Sequence[Path]) -> None:
    """Refuse an outcome that would be counted twice: the same two sounds, goal and victim."""
    known: dict[object, Path] = {}
    for path, case, card in zip(outcomes, cases, cards, strict=True):
        told = case.record
        key = (told["clip"]["sha256"], told["file_sha256"], told["goal"], case.focus, card.resolve())
        if key in known:
            raise InputError(
                f"{path} is the same outcome as {known[key]}, of the same two sounds; each would count twice in what "
                "survives, so give it once"
            )
        known[key] = path


def _nothing(found: Sequence[Survival]) -> str:
    """Say why there is no share."""
    untried, alone = sum(one.not_tried for one in found), sum(one.tried - one.telling for one in found)
    why = [f"{untried} could not be tried"] if untried else []
    if alone:
        why.append(f"of {alone} the transform alone meets the goal")
    return f"no trial tells whether the attack survives: {', and '.join(why)}; give other transforms"


def _print_one(found: Survival) -> None:
    chance = f"P({found.focus})"
    rows = [["as it is", found.attacked, _part(found.probability), _yes(found.reached), found.clean, "", ""]]
    for one in found.trials:
        if not one.tried:
            rows.append([one.transform, "", "", "not tried", "", "", ""])
            continue
        sides = [str(one.answer), _part(one.probability), _result(one), str(one.clean_answer)]
        level = "no change" if one.snr_db == math.inf else number(one.snr_db)
        rows.append([one.transform, *sides, _part(one.clean_probability), level])
    print_table(["transform", "file says", chance, "goal", "clean clip says", chance, "its SNR dB"], rows)
    _print_notes([found])
    echo(_sentence(found))
    print_paid(found.service)
    echo("")


def _print_all(found: Sequence[Survival]) -> None:
    heads = ["transform", *(f"{k} {one.clean}->{_aim(one)}" for k, one in enumerate(found, 1)), "survives"]
    rows = []
    for trials in zip(*(one.trials for one in found), strict=True):
        rows.append([trials[0].transform, *(_short(one) for one in trials), _of(trials)])
    rows.append(["all", *(_of(one.trials) for one in found), _of([trial for one in found for trial in one.trials])])
    print_table(heads, rows)
    for k, one in enumerate(found, 1):
        echo(f"  {k}: {one.file}")
    print_paid(*(one.service for one in found))
    echo("  (yes): the transform alone meets the goal, which tells nothing; -: not tried")
    _print_notes(found)


def _print_notes(found: Sequence[Survival]) -> None:
    reasons: dict[tuple[str, str | None], list[str]] = {}
    for k, one in enumerate(found, 1):
        for trial in one.trials:
            if not trial.tried or trial.note is not None:
                said = trial.note if trial.tried else f"not tried, {trial.why_not}"
                reasons.setdefault((trial.transform, said), []).append(str(k))
    for (transform, said), which in reasons.items():
        where = f" with {', '.join(which)}" if len(which) < len(found) else ""
        echo(f"  {transform}{where}: {said}")


def _warnings(found: Sequence[Survival]) -> list[str]:
    """Give the warnings of all once, and before those of some which ones they are of."""
    of: dict[str, list[str]] = {}
    for k, one in enumerate(found, 1):
        for text in one.warnings:
            of.setdefault(text, []).append(str(k))
    return [text if len(which) == len(found) else f"{', '.join(which)}: {text}" for text, which in of.items()]


def _sentence(found: Survival) -> str:
    alone = found.tried - found.telling
    rest = [f"{alone} tell nothing, for the transform alone meets the goal"] if alone else []
    if found.not_tried:
        rest.append(f"{found.not_tried} not tried")
    after = f" ({'; '.join(rest)})" if rest else ""
    kept = f"the clean clip keeps its answer in {found.clean_kept} of {found.tried}"
    return f"survives {found.survived} of {found.telling}{after}; {kept}"


def _result(one: Trial) -> str:
    if one.alone:
        return "tells nothing" if one.reached else "lost, and met without it"
    return _yes(one.reached)


def _short(one: Trial) -> str:
    if not one.tried:
        return "-"
    word = "yes" if one.reached else "no"
    return f"({word})" if one.alone else word


def _of(trials: Sequence[Trial]) -> str:
    return f"{sum(one.survived for one in trials)} of {sum(one.tells for one in trials)}"


def _part(p: float | None) -> str:
    return "" if p is None else f"{p:.3f}"


def _yes(reached: bool | None) -> str:
    return "met" if reached else "lost"


def _aim(found: Survival) -> str:
    return "other" if found.goal == "untargeted" else found.focus
