"""One sound that, added to most clips, makes the victim say the target, or leave what it says of each.

Learned on some clips along the gradients of the victim or its twin, and judged on others by the true victim, beside
noise as loud. After Moosavi-Dezfooli, Fawzi, Fawzi, Frossard, "Universal adversarial perturbations" (2017),
https://arxiv.org/abs/1610.08401, and, for sound, Abdoli, Hafemann, Rony, Ben Ayed, Cardinal, Koerich, "Universal
Adversarial Audio Perturbations" (2019), https://arxiv.org/abs/1908.03173.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.audio.place import check_target
from subterfuge.driver import check_heard
from subterfuge.driver._universal_climb import Climb, Heard, gives_slopes, learn
from subterfuge.driver._universal_judge import Beside, Judge, Share, Unseen, beside, share_of
from subterfuge.driver._universal_sound import Mix, level_of
from subterfuge.driver._universal_split import deal, hold_out, recordings
from subterfuge.driver.controls_case import save
from subterfuge.driver.judge import read
from subterfuge.driver.place import place_for, workshop
from subterfuge.driver.record import clip_record, goal_text, versions, victim_record
from subterfuge.errors import AttackError, ClipError, InputError, OutputError
from subterfuge.oracle import dice, passband
from subterfuge.outcome import finite
from subterfuge.threat import Goal, Maximise, Threat, Untargeted
from subterfuge.victim import Victim

__all__ = ["Beside", "Climb", "Mix", "Share", "Universal", "Unseen", "universal", "universal_path", "verdict_of"]

SCHEMA = 1
SECONDS = 3.0
"""Length of the sound, where none is given and no clip is longer."""
LOUDNESS_DBFS = -20.0
"""Level of the written sound, where its level on a clip depends on the clip."""
CEILING = 0.9
"""Its largest sample then, in parts of full scale."""


@dataclass(frozen=True)
class Universal:
    """A universal sound, how it was learned, and what it does to clips that it never met."""

    goal: str
    target: str | None
    limit: str
    """How loud it is on a clip: so far below it, or at one level."""
    seconds: float
    """Length of the sound, which is repeated or cut to a clip's."""
    anywhere: bool
    """Whether it was learned to begin at any moment."""
    protocol: str
    """Which clips judged it."""
    learned_from: tuple[str, ...]
    """The clips that the written sound was learned from."""
    success: Share
    """Clips that were never met and met the goal, each asked about once, as written and read back."""
    begun_anywhere: Beside | None
    """The same with the sound begun at moments drawn at random."""
    same_spectrum: Beside | None
    """The same of noise as loud, of the sound's spectrum and with random phases."""
    white_noise: Beside | None
    """The same of white noise as loud."""
    snr_db: tuple[float, float, float]
    """Clip to change as heard: the least, the median and the most over the judged clips."""
    verdict: str
    clips: tuple[Unseen, ...]
    """Each judged clip."""
    left_out: tuple[str, ...]
    """Clips of which the victim says the target as they come: neither learned from nor counted."""
    gradients: int
    """Gradients of one clip each, over all the sounds that were learned."""
    queries: int
    """Sounds that the true victim was asked about."""
    knobs: dict[str, Any]
    seed: int
    file: str
    file_sha256: str
    sources: tuple[dict[str, Any], ...]
    """Every clip that was given."""
    victim: dict[str, Any]
    warnings: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    command: str | None = None
    schema: int = SCHEMA

    def as_json(self) -> dict[str, Any]:
        """Give a dictionary of plain JSON values."""
        plain = finite(asdict(self))
        assert isinstance(plain, dict)
        return plain


def universal_path(sound: Path) -> Path:
    """Give where the record of a written universal sound stands.

    >>> universal_path(Path("a/b.wav")).name
    'b.wav.universal.json'
    """
    return sound.with_name(sound.name + ".universal.json")


def universal(
    clips: Sequence[Clip | str | Path],
    victim: Victim,
    goal: Goal | None = None,
    *,
    mix: Mix | None = None,
    test: Sequence[Clip | str | Path] = (),
    held_out: float = 0.3,
    folds: int | None = None,
    seconds: float | None = None,
    how: Climb | None = None,
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
        held_out: the part of the clips that is not learned from and judges, drawn by the seed.
        folds: judge by cross-validation instead: so many sounds are learned, each without a fold of the clips, which
            it is judged on; the one that is written is learned from all.
        seconds: length of the sound; 3, or the longest clip if that is shorter, by default.
        how: the knobs of the learning.
        starts: moments drawn at random at which the sound begins on each judged clip, besides its start.
        draws: of each kind of noise on each judged clip.
        on: what to learn on instead of the victim or its twin: one with gradients, of the same labels and rate.
        seed: of everything random.
        out: file or folder of the sound, by default ``universal-to-TARGET.wav`` in the current folder: mono float WAV
            at the victim's rate.
        keep: a folder for the judged files; they are not kept by default.
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
    goal, mix, how = goal or Untargeted(), mix or Mix(snr_db=20.0), how or Climb()
    slopes = _check(victim, goal, on, starts, draws)
    everything = [one if isinstance(one, Clip) else Clip.read(one) for one in (*clips, *test)]
    notes = [*victim.warnings, *(slopes.warnings if slopes is not victim else ())]
    groups = _groups(everything, len(clips), victim, folds, bool(test))
    place, kept = _places(everything, goal, victim, out, keep, force, notes)
    cases = [_case(clip, victim, goal) for clip in everything]
    already = [case.met for case in cases]
    if any(already):
        names = ", ".join(case.clip.name for case in cases if case.met)
        notes.append(f"left out, since the victim's answer meets the goal as they come: {names}")
    rounds = _rounds(groups, len(clips), already, folds, held_out, bool(test), seed)
    longest = max(len(case.heard.wave) for case in cases)
    samples = _samples(seconds, victim.sample_rate, longest)
    asks = sum(len(judged) for _, judged in rounds) * (1 + starts + 2 * draws)
    tally = _Tally(progress, len(rounds) * how.steps + asks)
    rows, gradients, sound = list[Unseen](), 0, torch.zeros(0)
    judge = Judge(victim, goal, mix, starts, draws, tally.add)
    with workshop(place) as folder:
        for turn, (learned, judged) in enumerate(rounds):
            die = dice(f"universal/{seed}/{turn if judged and folds else 'all'}", 1)[0]
            about = [cases[one].heard for one in learned]
            sound, spent = learn(slopes, goal, about, mix, samples, how, die, lambda: tally.add(1))
            written = _written(sound, mix, victim.sample_rate)
            sound, gradients = level_of(torch.from_numpy(written.samples[0].copy())), gradients + spent
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
            protocol=_protocol(folds, bool(test), rounds),
            learned_from=tuple(cases[one].clip.name for one in rounds[-1][0]),
            success=share_of(rows),
            begun_anywhere=beside(rows, lambda row: row.begun_anywhere, lambda row: row.starts),
            same_spectrum=beside(rows, lambda row: row.same_spectrum, lambda row: row.draws),
            white_noise=beside(rows, lambda row: row.white_noise, lambda row: row.draws),
            snr_db=_span([row.snr_db for row in rows]),
            verdict="",
            clips=tuple(rows),
            left_out=tuple(case.clip.name for case in cases if case.met),
            gradients=gradients,
            queries=len(cases) + asks,
            knobs=asdict(how),
            seed=seed,
            file=str(place),
            file_sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            sources=tuple(clip_record(clip) for clip in everything),
            victim=victim_record(victim, card or getattr(victim, "card", None), slopes),
            warnings=tuple(dict.fromkeys(notes)),
            versions=versions(),
            command=command,
        )
        made = replace(made, verdict=verdict_of(made))
        _publish(made, file, place, {folder / f"{one}{cases[one].clip.output_suffix()}": kept[one] for one in kept})
    return made


def verdict_of(made: Universal) -> str:
    """Say in a sentence or two what the sound does, and what of that noise as loud does too."""
    won = made.success
    what = f"say {made.target}" if made.target else "leave what it said"
    says = (
        f"{won.hits} of {won.of} clips that the sound never met {what} ({100 * won.share:.0f} %, 95 % interval "
        f"{100 * won.low:.0f} to {100 * won.high:.0f} %)"
    )
    own, flat = made.same_spectrum, made.white_noise
    if own is None or flat is None:
        return f"{says}."
    noise = (
        f"with noise as loud of its own spectrum {100 * own.share:.0f} % do, with white noise {100 * flat.share:.0f} %"
    )
    if won.hits == 0:
        return f"{says}; {noise}."
    if flat.chance > 0.05:
        gains = "That it does more than white noise cannot be told from these clips."
    elif own.chance > 0.05:
        as_much = own.share >= 0.9 * won.share
        gains = "It does more than white noise; " + (
            "what it does is in its spectrum, for noise of that does as much."
            if as_much
            else "that it does more than noise of its own spectrum cannot be told from these clips."
        )
    else:
        gains = "It does more than either noise."
    return f"{says}; {noise}. {gains}"


@dataclass(frozen=True, eq=False)
class _Case:
    """A clip as it comes."""

    clip: Clip
    heard: Heard
    said: int
    met: bool

    @property
    def focus(self) -> int:
        return self.heard.focus


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


def _check(victim: Victim, goal: Goal, on: Victim | None, starts: int, draws: int) -> Victim:
    """Refuse what cannot be before any sound is read; give what is learned on."""
    if isinstance(goal, Maximise):
        raise AttackError("the goal maximise has no end, and a share of clips is judged here; use targeted, untargeted "
                          "or confident")  # fmt: skip
    if starts < 0 or draws < 0:
        raise InputError(f"{starts} starts and {draws} draws of noise: 0 or more of each were expected")
    slopes = gives_slopes(on or victim)
    if tuple(slopes.labels) != tuple(victim.labels) or slopes.sample_rate != victim.sample_rate:
        raise AttackError(
            f"{slopes.name} has the labels {', '.join(slopes.labels)} at {slopes.sample_rate} Hz, and the victim "
            f"{victim.name} {', '.join(victim.labels)} at {victim.sample_rate} Hz; a sound learned on it needs the same"
        )
    goal.focus(victim.labels, 0)
    return slopes


def _groups(clips: Sequence[Clip], given: int, victim: Victim, folds: int | None, tested: bool) -> list[int]:
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


def _places(
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


def _case(clip: Clip, victim: Victim, goal: Goal) -> _Case:
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
    return _Case(clip, Heard(wave, focus, band), said, met)


def _rounds(
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
    out = f" ({sum(already)} are the target already and left out)" if any(already) else ""
    if fewest < 2:
        raise InputError(
            f"a sound would be learned from {fewest} clip{'s' * (fewest != 1)} of {given}{out}; two or more were "
            "expected, and others to judge: give more clips"
        )
    if not any(judged for _, judged in rounds):
        raise InputError(f"no clip is left to judge the sound on{out}; give more clips, or others with --test")
    return rounds


def _samples(seconds: float | None, rate: int, longest: int) -> int:
    if seconds is None:
        return min(round(SECONDS * rate), longest)
    if not 0.01 <= seconds <= 60:
        raise InputError(f"{seconds:g} seconds of sound: 0.01 to 60 were expected, such as 3")
    return max(32, round(seconds * rate))


def _written(sound: Tensor, mix: Mix, rate: int) -> Clip:
    """Give the sound (P,) of rms 1 as its file holds it: at its level, or else as loud as any other file."""
    level = LOUDNESS_DBFS if mix.level_dbfs is None else mix.level_dbfs
    wave = sound * 10 ** (level / 20)
    if mix.level_dbfs is None:
        wave = wave * min(1.0, CEILING / float(wave.abs().max()))
    return Clip.of(np.asarray(wave.numpy()), rate, subtype="FLOAT", name="universal")


def _protocol(folds: int | None, tested: bool, rounds: Sequence[tuple[list[int], list[int]]]) -> str:
    learned, judged = len(rounds[-1][0]), sum(len(judged) for _, judged in rounds)
    if folds is None:
        which = "other clips" if tested else "clips held out"
        return f"learned from {learned} clips, judged on {judged} {which}"
    return (
        f"{folds}-fold cross-validation: each of {judged} clips judged by a sound learned without its recording, "
        f"and the sound that is written learned from all {learned}"
    )


def _span(levels: Sequence[float]) -> tuple[float, float, float]:
    return min(levels), statistics.median(levels), max(levels)


def _publish(made: Universal, file: Path, place: Path, kept: dict[Path, Path]) -> None:
    """Move the kept files, then the record and the sound into place, so that no sound stands without its record.

    Raises:
        OutputError: one of them cannot be written.
    """
    record, final, anew = save(made.as_json(), file.with_suffix(".json")), universal_path(place), not place.exists()
    try:
        for source, target in kept.items():
            if source.exists():  # not all clips were judged
                target.parent.mkdir(parents=True, exist_ok=True)
                hidden = target.with_name(f".{target.name}.part")
                try:
                    shutil.copyfile(source, hidden)
                    os.replace(hidden, target)
                finally:
                    hidden.unlink(missing_ok=True)
        os.replace(record, final)
        os.replace(file, place)
    except BaseException as error:
        if anew:
            with contextlib.suppress(OSError):
                final.unlink(missing_ok=True)
        if isinstance(error, OSError):
            where = error.filename2 or error.filename or place
            raise OutputError(f"{where} cannot be written: {error.strerror or error}. Choose another place, or make "
                              "room there.") from None  # fmt: skip
        raise
