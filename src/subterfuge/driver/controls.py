"""Is an attack doing anything? Its change against the same change robbed of its knowledge, drawn many times.

Three kinds of noise as loud as the change: the change with its moments shuffled, the change with the same spectrum and
phases at random, and white noise. A class that all of these raise is where noise drifts anyway, by the victim's prior;
a class that the attack alone raises is its doing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from subterfuge.attacks.noise import same_spectrum, white
from subterfuge.audio import MAX_SECONDS, hear
from subterfuge.driver._controls_noise import heard_through, shuffled
from subterfuge.driver._controls_words import verdict_of
from subterfuge.driver.controls_case import Case, find_case
from subterfuge.driver.controls_figures import CHANCE, ENOUGH, Asked, Draws, drift_of, summed
from subterfuge.driver.judge import read
from subterfuge.driver.service import bill_of
from subterfuge.errors import ClipError, InputError, VictimError
from subterfuge.hearing.levels import snr_db
from subterfuge.oracle import dice
from subterfuge.outcome import finite
from subterfuge.threat import Maximise, Threat, index_of
from subterfuge.victim import Gives, Victim, duels_of

BLOCK_SECONDS = 0.032
"""Length of the moments that are shuffled."""
OF_LABELS = "share of the answers"
"""What is counted where the victim gives labels only."""
TOGETHER = 16
"""Sounds that are asked about at once of a victim that does not say how many are worth it (`at_once`)."""
TOGETHER_SAMPLES = 2**22
"""Most samples of them all: of long sounds fewer are asked at once, since a victim may need a thousand times that."""


@dataclass(frozen=True)
class Control:
    """Attack and noise side by side, all asked of the true victim."""

    goal: str
    focus: str
    """The class that the goal is about."""
    measure: str
    """What `value` and `rise` are: the probability of the target, say."""
    classes: str
    """What the numbers by class are."""
    clean: Asked
    attacked: Asked
    rise: float
    """Of the measure, from the clean clip to the attack's file."""
    moved: Mapping[str, float]
    """Of each class, from the clean clip to the attack's file."""
    snr_db: float
    kinds: Mapping[str, Draws]
    drift: tuple[str, ...]
    """The classes that every kind of noise raises by more than an even share, the most first."""
    does_something: bool | None
    """None where there are too few draws to tell."""
    verdict: str
    queries: int
    """Sounds that the true victim was asked about."""
    seed: int
    file: str
    clip: str
    victim: str
    service: Mapping[str, Any] | None = None
    """Of a victim that is reached over a network, what this cost: as in `Outcome`; None of others."""
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give a dictionary of plain JSON values."""
        plain = finite(asdict(self))
        assert isinstance(plain, dict)
        return plain


def control(
    outcome: str | Path | Mapping[str, Any] | Case,
    victim: Victim,
    *,
    draws: int = 100,
    queries: int | None = None,
    seed: int = 0,
    max_seconds: float = MAX_SECONDS,
    progress: Callable[[int, int], None] | None = None,
) -> Control:
    """Ask the true victim about a recorded attack and about noise as loud as its change.

    Args:
        outcome: FILE.outcome.json, the sound beside it, the record itself, or what `find_case` made of one.
        victim: whom the attack was against.
        draws: of each kind of noise.
        queries: most sounds to ask about; by default as many as the draws need, 3 draws + 2.
        seed: of the noise.
        max_seconds: refuse a longer clip.
        progress: called with the sounds asked and to be asked.

    Raises:
        InputError: the outcome is none or of a lost attack, its sounds are gone or others, its label is none of the
            victim's, or the queries are too few.
        VictimError: the victim died or answered nonsense.
    """
    notes, service = list[str](), bill_of(victim)
    found = outcome if isinstance(outcome, Case) else find_case(outcome, notes.append, max_seconds=max_seconds)
    if draws < 1:
        raise InputError(f"{draws} draws: 1 or more were expected, such as 100")
    if queries is not None and queries < 5:
        raise InputError(f"{queries} queries: clip, file and a draw of each kind need 5 or more")
    if queries is not None and 3 * draws + 2 > queries:
        notes.append(f"{queries} queries: {(queries - 2) // 3} draws of each kind instead of {draws}")
        draws = (queries - 2) // 3
    told = found.record["victim"].get("fingerprint")
    if told != victim.fingerprint:
        notes.append(
            f"this victim is not the one of the outcome: its fingerprint begins with {victim.fingerprint[:12]}, and "
            f"{str(told)[:12]} was recorded; what the attack did to that one may be nothing to this one"
        )
    notes.extend(victim.warnings)
    rate = victim.sample_rate
    clean, changed = torch.from_numpy(found.clip.mono(rate)), torch.from_numpy(hear(found.file, rate))
    if clean.shape != changed.shape:
        raise ClipError(
            f"{found.file} has {len(changed)} samples at {rate} Hz and the clip {found.clip.name} has {len(clean)}; "
            "sounds of one length were expected"
        )
    change = changed - clean
    if not bool(change.any()):
        raise ClipError(f"{found.file} is {found.clip.name} unchanged; there is no change to compare noise with")
    look = _Look(victim, found.threat, index_of(found.focus, victim.labels))
    die = dice(f"controls/{seed}/{found.clip.fingerprint}", 1)[0]
    before, after = look.at(torch.stack([clean, changed]))
    together = max(1, min(getattr(victim, "at_once", TOGETHER), TOGETHER_SAMPLES // len(clean)))
    total, asked = 3 * draws + 2, 2
    kinds = {}
    block = round(BLOCK_SECONDS * rate)
    ways: dict[str, Callable[[], Tensor]] = {
        "shuffled in time": lambda: shuffled(change, die, block),
        "random phase": lambda: same_spectrum(change, die),
        "white noise": lambda: white(change, die),
    }
    for name, draw in ways.items():
        answers, levels = list[Asked](), list[float]()
        while len(answers) < draws:
            if progress is not None:
                progress(asked, total)
            some = [
                heard_through(found.clip, clean, draw(), float(change.norm()), rate)
                for _ in range(min(together, draws - len(answers)))
            ]
            answers.extend(look.at(torch.stack(some)))
            levels.extend(snr_db(clean.numpy(), heard.numpy()) for heard in some)
            asked += len(some)
        kinds[name] = summed(answers, levels, before, after, of_labels=look.of_labels)
    drift = drift_of(kinds)
    rise = after.value - before.value
    does = all(kind.chance <= CHANCE for kind in kinds.values()) if draws >= ENOUGH else None
    return Control(
        goal=str(found.record["goal"]),
        focus=found.focus,
        measure=look.measure(found.focus),
        classes=look.classes,
        clean=before,
        attacked=after,
        rise=rise,
        moved={label: after.by_class[label] - before.by_class[label] for label in victim.labels},
        snr_db=snr_db(clean.numpy(), changed.numpy()),
        kinds=kinds,
        drift=drift,
        does_something=does,
        verdict=verdict_of(does, rise, look.measure(found.focus), kinds, drift, after.label),
        queries=asked,
        seed=seed,
        file=str(found.file.absolute()),
        clip=str(found.clip.path),
        victim=victim.name,
        service=None if service is None else service.since(),
        warnings=tuple(dict.fromkeys(notes)),
    )


class _Look:
    """Asks the true victim about sounds, in the terms of a goal."""

    def __init__(self, victim: Victim, threat: Threat, focus: int) -> None:
        self._victim, self._threat, self._focus = victim, threat, focus
        goal = threat.goal
        self._margin = replace(goal, asks="scores").margin if isinstance(goal, Maximise) else goal.margin
        self.classes = "probability"

    @property
    def of_labels(self) -> bool:
        """Whether the numbers are 0 or 1, since the victim gives labels and nothing else."""
        return self.classes == OF_LABELS

    def at(self, waves: Tensor) -> list[Asked]:
        """Ask about waves (N, T), all at once."""
        labels, goal = self._victim.labels, self._threat.goal
        said, chances = (None if one is None else one.cpu() for one in read(self._victim, waves))
        assert said is not None
        focus = torch.full((len(waves),), self._focus)
        reached = goal.reached(said, chances, focus)
        if chances is not None:
            numbers = chances.double()
            mine = numbers[:, self._focus]
            values = 1 - mine if goal.name in ("untargeted", "tag-") else mine
        elif goal.asks == "probabilities" and not isinstance(goal, Maximise):
            raise VictimError(f"the goal {goal.name} asks for probabilities, and this victim has none")
        elif self._victim.gives >= Gives.SCORES:
            with torch.no_grad():
                scores = self._victim.scores(waves).double().cpu()
            values = self._margin(scores, focus)
            self.classes = "score" if scores.ndim == 2 else "duels won"
            numbers = scores if scores.ndim == 2 else (duels_of(scores) > 0).sum(2).double()
        else:
            self.classes = OF_LABELS
            numbers = torch.nn.functional.one_hot(said, len(labels)).double()
            values = reached.double()
        return [
            Asked(labels[place], bool(met), float(value), dict(zip(labels, row, strict=True)))
            for place, met, value, row in zip(
                said.tolist(), reached.tolist(), values.tolist(), numbers.tolist(), strict=True
            )
        ]

    def measure(self, focus: str) -> str:
        """Say what `Asked.value` is."""
        what = f"not {focus}" if self._threat.goal.name in ("untargeted", "tag-") else focus
        if self.classes == "probability":
            return f"probability of {what}"
        return f"share of {what}" if self.of_labels else f"margin of {what}"
