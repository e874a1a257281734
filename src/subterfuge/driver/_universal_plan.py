"""What a universal sound is to be made of and judged on; what cannot be is refused here, before any work is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from subterfuge.audio import Clip
from subterfuge.audio.place import check_target
from subterfuge.driver._universal_climb import Climb, Heard
from subterfuge.driver._universal_evolve import Evolve
from subterfuge.driver._universal_record import universal_path
from subterfuge.driver._universal_split import deal, hold_out, recordings
from subterfuge.driver.heard import check_heard
from subterfuge.driver.judge import read
from subterfuge.driver.place import place_for
from subterfuge.errors import AttackError, ClipError, InputError, OutputError
from subterfuge.oracle import dice, passband
from subterfuge.threat import Goal, Maximise
from subterfuge.victim import Gives, Victim

SECONDS = 3.0
"""Length of the sound, where none is given and no clip is longer."""


@dataclass(frozen=True, eq=False)
class Case:
    """A clip as it comes."""

    clip: Clip
    heard: Heard
    said: int
    met: bool

    @property
    def focus(self) -> int:
        return self.heard.focus


def checked(
    victim: Victim, goal: Goal, on: Victim | None, how: Climb | Evolve | None, starts: int, draws: int
) -> tuple[Victim, Climb | Evolve]:
    """Refuse what cannot be before any sound is read; give what is learned on, and how."""
    if isinstance(goal, Maximise):
        raise AttackError("the goal maximise has no end, and a share of clips is judged here; use targeted, untargeted "
                          "or confident")  # fmt: skip
    if starts < 0 or draws < 0:
        raise InputError(f"{starts} starts and {draws} draws of noise: 0 or more of each were expected")
    given = on or victim
    learned_on = given if given.gives >= Gives.GRADIENTS or given.twin is None else given.twin
    if tuple(learned_on.labels) != tuple(victim.labels) or learned_on.sample_rate != victim.sample_rate:
        raise AttackError(
            f"{given.name} has the labels {', '.join(given.labels)} at {given.sample_rate} Hz, and the victim "
            f"{victim.name} {', '.join(victim.labels)} at {victim.sample_rate} Hz; a sound learned on it needs the same"
        )
    how = how or (Climb() if learned_on.gives >= Gives.GRADIENTS else Evolve())
    if isinstance(how, Evolve):
        learned_on = given if given.gives >= Gives.SCORES else learned_on  # the victim's own scores are the truest
    needs = Gives.GRADIENTS if isinstance(how, Climb) else Gives.SCORES
    if learned_on.gives < needs:
        why = getattr(given, "no_twin", None)
        raise AttackError(
            f"a universal sound is learned {'along gradients' if needs is Gives.GRADIENTS else 'from scores'}, and the "
            f"victim {given.name} gives {given.gives.name.lower()} only{f' ({why})' if why else ''}; learn it on a "
            "victim of the same labels and rate that gives more, with --on CARD, and let this one judge"
        )
    goal.focus(victim.labels, 0)
    return learned_on, how


def groups_of(clips: Sequence[Clip], given: int, victim: Victim, folds: int | None, tested: bool) -> list[int]:
    """Give each clip's recording; refuse clips that cannot be learned from or judged."""
    if tested and folds is not None:
        raise InputError(f"{folds} folds judge on the clips themselves, and clips to judge on were given too; leave "
                         "one of them out")  # fmt: skip
    known: dict[str, Clip] = {}
    for clip in clips:
        check_heard(clip, victim)
        if clip.fingerprint in known:
            other = known[clip.fingerprint]
            raise ClipError(f"{clip.path or clip.name} is the same sound as {other.path or other.name}; every clip "
                            "counts once, so give it once")  # fmt: skip
        known[clip.fingerprint] = clip
    groups = recordings(clips)
    for place in range(given, len(clips)):
        if groups[place] in groups[:given]:
            twin = clips[groups.index(groups[place])]
            raise InputError(
                f"{clips[place].name}, to judge on, and {twin.name}, to learn from, are excerpts of one recording: "
                "their names are the same up to the last __; a sound is judged on recordings that it never met"
            )
    return groups


def places_of(
    clips: Sequence[Clip],
    goal: Goal,
    victim: Victim,
    out: str | Path | None,
    keep: str | Path | None,
    force: bool,
    notes: list[str],
) -> tuple[Path, dict[int, Path]]:
    """Say where the sound goes, and each clip's file if it is kept; refuse what cannot be before any work is done."""
    nothing = Clip.of(np.zeros(victim.sample_rate), victim.sample_rate, subtype="FLOAT", name="universal")
    place = place_for(nothing, getattr(goal, "target", None), out, force, False, notes.append)
    kept: dict[int, Path] = {}
    if keep is not None:
        folder = Path.cwd() / keep
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{keep} is a file; the judged sounds need a folder")
        kept = {n: folder / f"{clip.name}-with-{place.stem}{clip.output_suffix()}" for n, clip in enumerate(clips)}
        if len(set(kept.values())) < len(clips):
            twice = next(one for one in kept.values() if list(kept.values()).count(one) > 1)
            raise OutputError(f"the files of two clips would both be {twice}; rename one, or keep none")
    for where in (place, universal_path(place), *kept.values()):
        check_target(where, None, force)
        for clip in clips:
            check_target(where, clip.path, True)
    return place, kept


def case_of(clip: Clip, victim: Victim, goal: Goal) -> Case:
    """Ask the true victim about a clip as it comes."""
    rate = victim.sample_rate
    wave = torch.from_numpy(clip.mono(rate))
    index, chances = read(victim, wave[None])
    said = int(index[0])
    focus = goal.focus(victim.labels, said)
    if goal.asks == "probabilities" and chances is None:
        raise AttackError(f"the goal {goal.name} needs probabilities, and the victim {victim.name} has none; use the "
                          "goal targeted")  # fmt: skip
    met = bool(goal.reached(index.cpu(), None if chances is None else chances.cpu(), torch.tensor([focus]))[0])
    band = None
    if clip.sample_rate != rate:
        band = passband(len(wave), rate, 0.9 * min(clip.sample_rate, rate) / 2)
    return Case(clip, Heard(wave, focus, band), said, met)


def rounds_of(
    groups: list[int],
    given: int,
    already: list[bool],
    folds: int | None,
    held_out: float,
    tested: bool,
    seed: int,
) -> list[tuple[list[int], list[int]]]:
    """Say which clips each sound is learned from and judged on; the last sound is the one that is written."""
    left = [place for place in range(given) if not already[place]]
    out = f" ({sum(already)} meet the goal as they come and are left out)" if any(already) else ""
    if len(left) < 2:
        raise InputError(
            f"a sound would be learned from {len(left)} clip{'s' * (len(left) != 1)} of {given}{out}; two or more were "
            "expected, and others to judge: give more clips"
        )
    die = dice(f"universal/{seed}/split", 1)[0]
    if tested:
        judged = [place for place in range(given, len(groups)) if not already[place]]
        rounds = [(left, judged)]
    elif folds is not None:
        dealt = [[left[one] for one in fold] for fold in deal([groups[place] for place in left], folds, die)]
        rounds = [([one for one in left if one not in fold], fold) for fold in dealt] + [(left, [])]
    else:
        held = [left[one] for one in hold_out([groups[place] for place in left], held_out, die)]
        rounds = [([one for one in left if one not in held], held)]
    fewest = min(len(learned) for learned, _ in rounds)
    if fewest < 2:
        raise InputError(
            f"a sound would be learned from {fewest} clip{'s' * (fewest != 1)} of {given}{out}; two or more were "
            "expected, and others to judge: give more clips"
        )
    if not any(judged for _, judged in rounds):
        raise InputError(f"no clip is left to judge the sound on{out}; give more clips, or others with --test")
    return rounds


def samples_of(seconds: float | None, rate: int, longest: int) -> int:
    """Give the length of the sound, for the length of the longest clip."""
    if seconds is None:
        return min(round(SECONDS * rate), longest)
    if not 0.01 <= seconds <= 60:
        raise InputError(f"{seconds:g} seconds of sound: 0.01 to 60 were expected, such as 3")
    return max(32, round(seconds * rate))


def protocol_of(folds: int | None, tested: bool, rounds: Sequence[tuple[list[int], list[int]]]) -> str:
    """Say which clips judge."""
    learned, judged = len(rounds[-1][0]), sum(len(judged) for _, judged in rounds)
    if folds is None:
        which = "other clips" if tested else "clips held out"
        return f"learned from {learned} clips, judged on {judged} {which}"
    return (
        f"{folds}-fold cross-validation: each of {judged} clips judged by a sound learned without its recording, "
        f"and the sound that is written learned from all {learned}"
    )
