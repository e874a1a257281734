"""What of an attack survives the world: its file through codecs, rooms and all else, and the true victim asked again.

Beside each transform stands its control: the clean clip through the same. Where the transform alone makes the victim
say what the goal wants, the attack had no part in it, and what it survives there is worth nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from subterfuge.audio import MAX_SECONDS, Clip
from subterfuge.audio.rates import fold, to_rate
from subterfuge.driver._survival_record import Survival, Trial, record_of, share_of
from subterfuge.driver.controls_case import Case, checked, find_case, read_record
from subterfuge.driver.judge import Verdict, ask
from subterfuge.driver.service import bill_of
from subterfuge.errors import ClipError, InputError, TransformError
from subterfuge.hearing.levels import snr_db
from subterfuge.oracle import dice
from subterfuge.threat import index_of
from subterfuge.transforms import DEFAULT, Samples, Transform
from subterfuge.transforms.moments import Crop
from subterfuge.victim import Victim

__all__ = ["Survival", "Trial", "find_win", "record_of", "share_of", "survive"]


def survive(
    outcome: str | Path | Mapping[str, Any] | Case,
    victim: Victim,
    transforms: Sequence[Transform] = DEFAULT,
    seed: int = 0,
    *,
    max_seconds: float = MAX_SECONDS,
    progress: Callable[[int, int], None] | None = None,
) -> Survival:
    """Put a recorded attack's file, and the clean clip, through transforms, and ask the true victim about each.

    The transforms work on the samples of the files, all channels at their own rate; the victim hears what comes out as
    its users would: folded to mono and resampled, with no file between.

    Args:
        outcome: FILE.outcome.json, the sound beside it, the record itself, or what `find_win` made of one.
        victim: whom the attack was against.
        transforms: what to survive.
        seed: of the noise and of all that is drawn; the file and the clean clip meet the same draws.
        max_seconds: refuse a longer clip.
        progress: called with the transforms done and to do.

    Raises:
        InputError: the outcome is none or of a lost attack, its sounds are gone or others, its label is none of the
            victim's, or there is no transform.
        VictimError: the victim died or answered nonsense.
    """
    notes, service = list[str](), bill_of(victim)
    found = outcome if isinstance(outcome, Case) else find_win(outcome, notes.append, max_seconds=max_seconds)
    if not transforms:
        raise TransformError("no transform was given; name some, such as mp3=128,gain=-6")
    told = found.record["victim"].get("fingerprint")
    if told != victim.fingerprint:
        notes.append(
            f"this victim is not the one of the outcome: its fingerprint begins with {victim.fingerprint[:12]}, and "
            f"{str(told)[:12]} was recorded"
        )
    notes.extend(victim.warnings)
    clean, changed = found.clip, Clip.read(found.file, max_seconds=max_seconds)
    if (clean.samples.shape, clean.sample_rate) != (changed.samples.shape, changed.sample_rate):
        shapes = [
            f"{one.channels} channels of {one.frames} samples at {one.sample_rate} Hz" for one in (changed, clean)
        ]
        raise ClipError(
            f"{found.file} has {shapes[0]}, and the clip {clean.name} {shapes[1]}; sounds of one shape were expected"
        )
    look = _Look(victim, found, index_of(found.focus, victim.labels))
    before, after = look.at(clean.samples), look.at(changed.samples)
    if not after.reached:
        notes.append(f"this victim says {after.label} of the file as it is: there is nothing that could survive")
    trials = []
    for done, transform in enumerate(transforms):
        if progress is not None:
            progress(done, len(transforms))
        trials.append(_try(transform, clean, changed, look, before, f"survive/{seed}/{clean.fingerprint}"))
    telling, survived = sum(one.tells for one in trials), sum(one.survived for one in trials)
    tried = sum(one.tried for one in trials)
    alone = [one.transform for one in trials if one.alone]
    if alone:
        notes.append(
            f"{', '.join(alone)}: the clean clip meets the goal after it too, so that the attack survives it is worth "
            "nothing, and it counts in no share"
        )
    return Survival(
        goal=str(found.record["goal"]),
        focus=found.focus,
        clean=before.label,
        attacked=after.label,
        probability=after.probability,
        reached=after.reached,
        trials=tuple(trials),
        survived=survived,
        telling=telling,
        tried=tried,
        not_tried=len(trials) - tried,
        share=share_of(trials),
        clean_kept=sum(bool(one.clean_kept) for one in trials),
        queries=look.asked,
        seed=seed,
        file=str(found.file.absolute()),
        clip=str(clean.path),
        victim=victim.name,
        service=None if service is None else service.since(),
        warnings=tuple(dict.fromkeys(notes)),
    )


def find_win(
    outcome: str | Path | Mapping[str, Any],
    announce: Callable[[str], None] = lambda _: None,
    *,
    max_seconds: float = MAX_SECONDS,
) -> Case:
    """Find the clip and the file of a won attack and check their hashes, as `find_case` does.

    Raises:
        InputError: the outcome is none, or of a lost attack.
        ClipError: a sound is missing, or is not the one that was recorded.
    """
    if isinstance(outcome, Mapping):
        record, name = checked(dict(outcome), "the outcome"), "the outcome"
    else:
        record, place = read_record(outcome)
        name = str(place)
    if record["file"] is None:
        raise InputError(
            f"{name} tells of a lost attack, which wrote no file, so there is nothing that could survive; give the "
            "outcome of a won one"
        )
    return find_case(outcome, announce, max_seconds=max_seconds)


class _Look:
    """Asks the true victim about the samples of a file."""

    def __init__(self, victim: Victim, case: Case, focus: int) -> None:
        self._victim, self._threat, self._focus = victim, case.threat, focus
        self._rate = case.clip.sample_rate
        self.asked = 0

    def at(self, samples: Samples) -> Verdict:
        """Ask about samples (C, T)."""
        self.asked += 1
        heard = to_rate(fold(samples), self._rate, self._victim.sample_rate)
        return ask(self._victim, self._threat, torch.from_numpy(heard)[None], self._focus)


def _try(transform: Transform, clean: Clip, changed: Clip, look: _Look, before: Verdict, key: str) -> Trial:
    rate = clean.sample_rate
    sounds = []
    for clip in (changed, clean):
        why = transform.why_not(clip.samples, rate)
        if why is not None:
            return Trial(transform.name, why)
        try:
            sounds.append(transform.real(clip.samples, rate, dice(f"{key}/{transform.name}", 1)[0]))
        except TransformError as error:
            return Trial(transform.name, str(error))
    attacked, control = (look.at(sound) for sound in sounds)
    return Trial(
        transform=transform.name,
        why_not=None,
        answer=attacked.label,
        probability=attacked.probability,
        reached=attacked.reached,
        clean_answer=control.label,
        clean_probability=control.probability,
        clean_kept=control.index == before.index,
        alone=control.reached,
        snr_db=snr_db(clean.samples, sounds[1]) if sounds[1].shape == clean.samples.shape else None,
        note=transform.note(clean.samples, rate) if isinstance(transform, Crop) else None,
    )
