"""One sound for many clips: stochastic ascent of what a goal asks of all of them, along a victim's gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from subterfuge.driver._universal_sound import Mix, level_of, piece_of
from subterfuge.errors import AttackError, VictimError
from subterfuge.oracle import answer_for, within
from subterfuge.oracle.asking import slope_of
from subterfuge.threat import Goal
from subterfuge.victim import Victim


@dataclass(frozen=True, eq=False)
class Heard:
    """A clip as the victim hears it."""

    wave: Tensor
    """Shape (T,)."""
    focus: int
    """The class that the goal is about."""
    band: Tensor | None = None
    """What of a change reaches its file, as factors of `torch.fft.rfft`'s bins."""


@dataclass(frozen=True, kw_only=True)
class Climb:
    """How a sound is learned."""

    steps: int = 200
    batch: int = 4
    """Clips of a step, drawn anew for each."""
    stride: float = 0.2
    """Length of the first steps, in parts of the sound's; they shrink like a cosine."""
    momentum: float = 0.75
    rise_db: float = 30.0
    """How far below its level the sound begins; it rises over the first half of the steps."""
    smooth: float = 0.8
    """The part of the steps that climbs the goal's smoother hill (`Goal.pull`); the rest climb the margin itself."""
    ease: float = 0.3
    """How soon a clip that meets the goal is let be, in parts of the spread of the victim's scores."""
    anywhere: bool = True
    """Let the sound begin at a moment of its own on every clip and in every step."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise AttackError(f"{self.steps} steps: 1 or more were expected, such as 200")
        if self.batch < 1:
            raise AttackError(f"a batch of {self.batch} clips: 1 or more were expected, such as 4")


def climb(
    on: Victim,
    goal: Goal,
    clips: Sequence[Heard],
    mix: Mix,
    samples: int,
    how: Climb,
    die: torch.Generator,
    progress: Callable[[], None] = lambda: None,
) -> tuple[Tensor, int]:
    """Learn the sound (samples,) of rms 1 that meets a goal on most of some clips; give it and the gradients asked for.

    It maximises the mean over the clips of log sigmoid(margin / ease), so that a clip well past the goal pulls no more
    (the penalty method of Abdoli et al. 2019, https://arxiv.org/abs/1908.03173, with a smooth hinge), by projected
    ascent along the normed slope with momentum, on a few clips a step. The sound begins as white noise far below its
    level and rises: a model that is flat far from what it knows has a slope beside the clips themselves.

    Raises:
        VictimError: the victim died, or answered nonsense.
    """
    sound = level_of(torch.randn(samples, generator=die))
    drift, asked, ease = torch.zeros_like(sound), 0, how.ease * spread_of(on, goal, clips)
    for step in range(how.steps):
        few = torch.randperm(len(clips), generator=die)[: how.batch].tolist()
        begins = torch.randint(samples, (len(few),), generator=die).tolist() if how.anywhere else [0] * len(few)
        raised = -how.rise_db * max(0.0, 1 - 2 * step / how.steps)
        slope = torch.zeros_like(sound)
        for rows in alike([clips[one] for one in few]):
            leaf = sound.clone().requires_grad_()
            some = [clips[few[row]] for row in rows]
            wave = heard_with([leaf] * len(rows), [begins[row] for row in rows], some, mix, raised)
            hill = hill_of(on, goal, wave, some, smooth=step < how.smooth * how.steps)
            slope += slope_of(torch.nn.functional.logsigmoid(hill / ease), leaf)
            asked += len(rows)
        slope -= sound * (slope @ sound) / samples  # its level is fixed, so only what turns it counts
        drift = how.momentum * drift + slope / slope.norm().clamp_min(1e-30)
        cool = 0.5 * (1 + math.cos(math.pi * step / how.steps))
        sound = level_of(sound + how.stride * cool * math.sqrt(samples) * drift / drift.norm().clamp_min(1e-30))
        progress()
    return sound, asked


def alike(clips: Sequence[Heard]) -> list[list[int]]:
    """Group the places of clips by their lengths."""
    lengths = [len(one.wave) for one in clips]
    return [[row for row, length in enumerate(lengths) if length == one] for one in dict.fromkeys(lengths)]


def heard_with(
    sounds: Sequence[Tensor], begins: Sequence[int], clips: Sequence[Heard], mix: Mix, raised_db: float
) -> Tensor:
    """Give what is heard of clips of one length, each with a sound (P,) begun at a moment of its own, shape (N, T)."""
    clean = torch.stack([one.wave for one in clips])
    pieces = [piece_of(sound, begin, clean.shape[-1]) for sound, begin in zip(sounds, begins, strict=True)]
    reaching = [
        piece if one.band is None else within(piece, one.band) for piece, one in zip(pieces, clips, strict=True)
    ]
    wave: Tensor = (clean + mix.scaled(torch.stack(reaching), clean, raised_db)).clamp(-1, 1)
    return wave


def hill_of(on: Victim, goal: Goal, wave: Tensor, clips: Sequence[Heard], *, smooth: bool) -> Tensor:
    """Give how far past the goal each wave (N, T) is, shape (N,), or the goal's smoother hill to there.

    Raises:
        AttackError: the goal needs probabilities, and there are none.
        VictimError: the victim died, or answered nonsense.
    """
    answer = answer_for(goal, on, wave)
    if answer is None:
        raise AttackError(
            f"the goal {goal.name} needs probabilities, and the victim {on.name} has none; use the goal targeted"
        )
    focus = torch.tensor([one.focus for one in clips], device=answer.device)
    hill = (goal.pull if smooth else goal.margin)(answer, focus)
    if not bool(torch.isfinite(hill).all()):
        raise VictimError("the victim's scores hold NaN or infinite numbers, where finite ones were expected")
    return hill


def spread_of(on: Victim, goal: Goal, clips: Sequence[Heard]) -> float:
    """Give the standard deviation of what a victim says of the first clip, the unit of its margins; 1 if it is flat."""
    if goal.asks == "probabilities":
        return 1.0  # of log-odds
    with torch.no_grad():
        spread = float(on.scores(clips[0].wave[None]).double().std())
    return spread if 0 < spread < math.inf else 1.0
