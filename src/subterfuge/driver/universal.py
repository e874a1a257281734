"""One sound that, added to most clips, makes the victim say the target, or leave what it says of each.

Learned on some clips, along the gradients of the victim or its twin or else from scores, and judged on others by the
true victim, beside noise as loud. After Moosavi-Dezfooli, Fawzi, Fawzi, Frossard, "Universal adversarial perturbations"
(2017), https://arxiv.org/abs/1610.08401, and, for sound, Abdoli, Hafemann, Rony, Ben Ayed, Cardinal, Koerich,
"Universal Adversarial Audio Perturbations" (2019), https://arxiv.org/abs/1908.03173.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.driver._universal_climb import Climb, climb
from subterfuge.driver._universal_evolve import Evolve, evolve
from subterfuge.driver._universal_judge import Beside, Judge, Share, Unseen, beside, share_of
from subterfuge.driver._universal_plan import (
    case_of,
    checked,
    groups_of,
    places_of,
    protocol_of,
    rounds_of,
    samples_of,
)
from subterfuge.driver._universal_record import Universal, publish, universal_path, verdict_of
from subterfuge.driver._universal_sound import Mix, level_of
from subterfuge.driver.place import workshop
from subterfuge.driver.record import clip_record, goal_text, versions, victim_record
from subterfuge.errors import InputError, OutputError
from subterfuge.oracle import dice
from subterfuge.threat import Goal, Threat, Untargeted, fitted
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
        InputError: clips, a goal, a level, a split or an output that cannot be; nothing is written.
        VictimError: the victim died or answered nonsense.
    """
    goal, mix = fitted(goal or Untargeted(), victim), mix or Mix(snr_db=20.0)
    learned_on, how = checked(victim, goal, on, how, starts, draws)
    everything = [one if isinstance(one, Clip) else Clip.read(one) for one in (*clips, *test)]
    notes = [*victim.warnings, *(learned_on.warnings if learned_on is not victim else ())]
    part = _part(held_out, folds, bool(test))
    _apart(everything, keep)
    groups = groups_of(everything, len(clips), victim, folds, bool(test))
    place, kept = places_of(everything, goal, victim, out, keep, force, notes)
    cases = [case_of(clip, victim, goal) for clip in everything]
    already = [case.met for case in cases]
    if any(already):
        names = ", ".join(case.clip.name for case in cases if case.met)
        notes.append(f"left out, since the victim's answer meets the goal as they come: {names}")
    rounds = rounds_of(groups, len(clips), already, folds, part, bool(test), seed)
    longest = max(len(case.heard.wave) for case in cases)
    samples = samples_of(seconds, victim.sample_rate, longest)
    asks = sum(len(judged) for _, judged in rounds) * (1 + starts + 2 * draws)
    steps = how.steps if isinstance(how, Climb) else how.queries
    tally = _Tally(progress, len(rounds) * steps + asks)
    rows, spent, sound = list[Unseen](), 0, torch.zeros(0)
    judge = Judge(victim, goal, mix, starts, draws, tally.add)
    with workshop(place) as folder:
        for turn, (learned, judged) in enumerate(rounds):
            die = dice(f"universal/{seed}/{turn if judged and folds else 'all'}", 1)[0]
            about = [cases[one].heard for one in learned]
            if isinstance(how, Climb):
                sound, more = climb(learned_on, goal, about, mix, samples, how, die, lambda: tally.add(1))
            else:
                sound, more = evolve(learned_on, goal, about, mix, samples, how, die, tally.add)
                tally.add(how.queries - more)  # too few for one more generation
            spent += more
            written = _written(sound, mix, victim.sample_rate)
            sound = level_of(torch.from_numpy(written.samples[0].copy()))
            for one in judged:
                case, die = cases[one], dice(f"universal/{seed}/judge/{cases[one].clip.fingerprint}", 1)[0]
                fold = turn if folds else None
                file = folder / str(one)
                row = judge.says(case.clip, case.focus, case.said, sound, die, file, fold, notes.append)
                if one not in kept:
                    file.with_name(f"{one}{case.clip.output_suffix()}").unlink()
                rows.append(replace(row, file=str(kept[one]) if one in kept else None))
        file = written.write(folder / "sound.wav")
        made = Universal(
            goal=goal_text(Threat(goal)),
            target=getattr(goal, "target", None),
            limit=str(mix),
            seconds=samples / victim.sample_rate,
            anywhere=how.anywhere,
            protocol=protocol_of(folds, bool(test), rounds),
            learned_from=tuple(cases[one].clip.name for one in rounds[-1][0]),
            success=share_of(rows),
            begun_anywhere=beside(rows, lambda row: row.begun_anywhere, lambda row: row.starts),
            same_spectrum=beside(rows, lambda row: row.same_spectrum, lambda row: row.draws),
            white_noise=beside(rows, lambda row: row.white_noise, lambda row: row.draws),
            snr_db=_span([row.snr_db for row in rows]),
            verdict="",
            clips=tuple(rows),
            left_out=tuple(case.clip.name for case in cases if case.met),
            gradients=spent if isinstance(how, Climb) else 0,
            queries=0 if isinstance(how, Climb) else spent,
            judgements=len(cases) + asks,
            method="climb" if isinstance(how, Climb) else "evolve",
            knobs=asdict(how),
            seed=seed,
            file=str(place),
            file_sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            sources=tuple(clip_record(clip) for clip in everything),
            victim=victim_record(victim, card or getattr(victim, "card", None), learned_on),
            warnings=tuple(dict.fromkeys(notes)),
            versions=versions(),
            command=command,
        )
        made = replace(made, verdict=verdict_of(made))
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


def _span(levels: Sequence[float]) -> tuple[float, float, float]:
    return min(levels), statistics.median(levels), max(levels)
