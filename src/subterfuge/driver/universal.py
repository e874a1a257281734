"""One sound that, added to most clips, makes the victim say the target, or leave what it says of each.

Learned on some clips, along the gradients of the victim or its twin or else from scores, and judged on others by the
true victim, beside noise as loud. After Moosavi-Dezfooli, Fawzi, Fawzi, Frossard, "Universal adversarial perturbations"
(2017), https://arxiv.org/abs/1610.08401, and, for sound, Abdoli, Hafemann, Rony, Ben Ayed, Cardinal, Koerich,
"Universal Adversarial Audio Perturbations" (2019), https://arxiv.org/abs/1908.03173.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.driver._universal_climb import Climb, climb
from subterfuge.driver._universal_evolve import Evolve, HalfLearned, evolve
from subterfuge.driver._universal_judge import Beside, Judge, Share, Unseen
from subterfuge.driver._universal_known import Known
from subterfuge.driver._universal_plan import (
    case_of,
    checked,
    groups_of,
    places_of,
    protocol_of,
    rounds_of,
    samples_of,
)
from subterfuge.driver._universal_price import check_affordable
from subterfuge.driver._universal_record import Universal, publish, universal_path, verdict_of
from subterfuge.driver._universal_sound import Mix, level_of
from subterfuge.driver.place import workshop
from subterfuge.driver.service import bill_of
from subterfuge.errors import InputError, OutputError, VictimError
from subterfuge.oracle import dice
from subterfuge.threat import Goal, Untargeted, fitted
from subterfuge.victim import Victim

__all__ = [
    "Beside",
    "Climb",
    "Evolve",
    "Mix",
    "Share",
    "Universal",
    "Unseen",
    "universal",
    "universal_path",
    "verdict_of",
]

HELD_OUT = 0.3
"""Part of the clips that judges, where nothing else is said."""
LOUDNESS_DBFS = -20.0
"""Level of the written sound, where its level on a clip depends on the clip."""
CEILING = 0.9
"""Its largest sample then, in parts of full scale."""


def universal(
    clips: Sequence[Clip | str | Path],
    victim: Victim,
    goal: Goal | None = None,
    *,
    mix: Mix | None = None,
    test: Sequence[Clip | str | Path] = (),
    held_out: float | None = None,
    folds: int | None = None,
    seconds: float | None = None,
    how: Climb | Evolve | None = None,
    starts: int = 5,
    draws: int = 5,
    on: Victim | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    keep: str | Path | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
    command: str | None = None,
    card: str | Path | None = None,
) -> Universal:
    """Learn one sound for many clips, write it, and ask the true victim about clips that it never met.

    Args:
        clips: sounds or their paths, to learn from, and, but for `test`, to judge on. Excerpts of one recording (the
            same name up to a last ``__`` and number, or the same samples) never stand on both sides.
        victim: whom to fool.
        goal: targeted, untargeted or confident; untargeted by default.
        mix: how loud the sound is on a clip; 20 dB below it by default.
        test: clips to judge on instead of a part of `clips`.
        held_out: the part of the clips that is not learned from and judges, drawn by the seed; 0.3 by default, and
            refused beside `test` or `folds`, which judge otherwise.
        folds: judge by cross-validation instead: so many sounds are learned, each without a fold of the clips, which
            it is judged on; the one that is written is learned from all.
        seconds: length of the sound; 3, or the longest clip if that is shorter, by default.
        how: the knobs of the learning; by default `Climb` where there are gradients, and else `Evolve`.
        starts: moments drawn at random at which the sound begins on each judged clip, besides its start.
        draws: of each kind of noise on each judged clip.
        on: what to learn on instead of the victim or its twin: one of the same labels and rate.
        seed: of everything random.
        out: file or folder of the sound, by default ``universal-to-TARGET.wav`` in the current folder: mono float WAV
            at the victim's rate.
        keep: a folder for the judged files, none that a clip is in; they are not kept by default.
        force: overwrite existing results (never a clip).
        progress: called with how many steps and questions are done, of how many.
        command: how a user can repeat this, for the record.
        card: the victim's card, for the record.

    Returns:
        What is also written beside the sound as ``FILE.universal.json``.

    Raises:
        InputError: clips, a goal, a level, a split or an output that cannot be, or more questions than the victim has
            queries left; nothing is written.
        VictimError: the victim died or answered nonsense; a sound that was paid for is kept as ``NAME.unjudged.wav``.
    """
    service = bill_of(victim)
    goal, mix = fitted(goal or Untargeted(), victim), mix or Mix(snr_db=20.0)
    learned_on, how = checked(victim, goal, on, how, starts, draws)
    everything = [one if isinstance(one, Clip) else Clip.read(one) for one in (*clips, *test)]
    notes = [*victim.warnings, *(learned_on.warnings if learned_on is not victim else ())]
    part = _part(held_out, folds, bool(test))
    _apart(everything, keep)
    groups = groups_of(everything, len(clips), victim, folds, bool(test))
    place, kept = places_of(everything, goal, victim, out, keep, force, notes)
    each = 1 + starts + 2 * draws
    if service is not None:
        most = rounds_of(groups, len(clips), [False] * len(everything), folds, part, bool(test), seed)
        check_affordable(service, how, len(everything), most, each, on_itself=learned_on is victim)
    cases = [case_of(clip, victim, goal) for clip in everything]
    already = [case.met for case in cases]
    if any(already):
        names = ", ".join(case.clip.name for case in cases if case.met)
        notes.append(f"left out, since the victim's answer meets the goal as they come: {names}")
    rounds = rounds_of(groups, len(clips), already, folds, part, bool(test), seed)
    longest = max(len(case.heard.wave) for case in cases)
    samples = samples_of(seconds, victim.sample_rate, longest)
    asks = sum(len(judged) for _, judged in rounds) * each
    steps = how.steps if isinstance(how, Climb) else how.queries
    tally = _Tally(progress, len(rounds) * steps + asks)
    lasts = samples / victim.sample_rate
    known = Known(victim, learned_on, goal, mix, how, lasts, cases, seed, service, command, card)
    rows, spent, judge = list[Unseen](), 0, Judge(victim, goal, mix, starts, draws, tally.add)
    written: Clip | None = None  # the last sound that was learned, the clips that it knows, and what was said of it
    knows, ours = list[int](), list[Unseen]()
    with workshop(place) as folder:
        for turn, (learned, judged) in enumerate(rounds):
            die = dice(f"universal/{seed}/{turn if judged and folds else 'all'}", 1)[0]
            about = [cases[one].heard for one in learned]
            try:
                if isinstance(how, Climb):
                    sound, more = climb(learned_on, goal, about, mix, samples, how, die, lambda: tally.add(1))
                else:
                    sound, more = evolve(learned_on, goal, about, mix, samples, how, die, tally.add)
                    tally.add(how.queries - more)  # too few for one more generation
                spent += more
                written, knows, ours = _written(sound, mix, victim.sample_rate), learned, []
                sound = level_of(torch.from_numpy(written.samples[0].copy()))
                for one in judged:
                    case, die = cases[one], dice(f"universal/{seed}/judge/{cases[one].clip.fingerprint}", 1)[0]
                    fold = turn if folds else None
                    file = folder / str(one)
                    row = judge.says(case.clip, case.focus, case.said, sound, die, file, fold, notes.append)
                    if one not in kept:
                        file.with_name(f"{one}{case.clip.output_suffix()}").unlink()
                    ours.append(replace(row, file=str(kept[one]) if one in kept else None))
                    rows.append(ours[-1])
            except VictimError as death:
                if isinstance(death, HalfLearned):
                    spent += death.spent
                    if written is None:
                        written, knows = _written(death.sound, mix, victim.sample_rate), learned
                if service is None or written is None:
                    raise
                asked = len(cases) + len(rows) * each
                known.leave_unjudged(death, written, folder, place, force, knows, ours, spent, asked, notes)
        assert written is not None
        file = written.write(folder / "sound.wav")
        protocol = protocol_of(folds, bool(test), rounds)
        made = known.record(file, place, rounds[-1][0], rows, protocol, spent, len(cases) + asks, notes)
        publish(made, file, place, {folder / f"{one}{cases[one].clip.output_suffix()}": kept[one] for one in kept})
    return made


def _part(held_out: float | None, folds: int | None, tested: bool) -> float:
    """Give the part that is held out; refuse one that would go unheard."""
    if held_out is not None and (folds is not None or tested):
        judges = "clips to judge on" if tested else f"{folds} folds"
        raise InputError(
            f"a part of {held_out:g} to hold out was given, and {judges} too, by which every clip given is learned "
            "from; leave one of them out"
        )
    return HELD_OUT if held_out is None else held_out


def _apart(clips: Sequence[Clip], keep: str | Path | None) -> None:
    """Refuse to keep the judged files among the clips."""
    for clip in clips:
        if keep is not None and clip.path is not None and clip.path.resolve().parent == Path(keep).resolve():
            raise OutputError(
                f"{keep} is the folder of the clip {clip.path}; the judged files would lie among the clips, and be "
                "taken for some later. Give a folder of their own, such as kept."
            )


@dataclass(eq=False)
class _Tally:
    """Tells of progress."""

    tell: Callable[[int, int], None] | None
    total: int
    done: int = 0

    def add(self, more: int) -> None:
        self.done += more
        if self.tell is not None:
            self.tell(self.done, self.total)


def _written(sound: Tensor, mix: Mix, rate: int) -> Clip:
    """Give the sound (P,) of rms 1 as its file holds it: at its level, or else as loud as any other file."""
    level = LOUDNESS_DBFS if mix.level_dbfs is None else mix.level_dbfs
    wave = sound * 10 ** (level / 20)
    if mix.level_dbfs is None:
        wave = wave * min(1.0, CEILING / float(wave.abs().max()))
    return Clip.of(np.asarray(wave.numpy()), rate, subtype="FLOAT", name="universal")
