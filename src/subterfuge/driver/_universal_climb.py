"""One sound for many clips: stochastic ascent of what a goal asks of all of them, on a victim's gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from subterfuge.driver._universal_sound import Mix, level_of, piece_of
from subterfuge.errors import AttackError, VictimError
from subterfuge.oracle import answer_for
from subterfuge.oracle.asking import slope_of
from subterfuge.threat import Goal
from subterfuge.victim import Gives, Victim


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


def gives_slopes(victim: Victim) -> Victim:
    """Give what a sound is learned on: the victim itself where it has gradients, else its twin.

    Raises:
        AttackError: there is neither.
    """
    if victim.gives >= Gives.GRADIENTS:
        return victim
    if victim.twin is not None and victim.twin.gives >= Gives.GRADIENTS:
        return victim.twin
    why = getattr(victim, "no_twin", None)
    raise AttackError(
        f"a universal sound is learned along gradients, and the victim {victim.name} gives "
        f"{victim.gives.name.lower()} only{f' ({why})' if why else ''}; learn it on a differentiable victim of the "
        "same labels and rate with --on CARD, and let this one judge"
    )


def learn(
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
    drift, asked, ease = torch.zeros_like(sound), 0, how.ease * _spread(on, goal, clips)
    for step in range(how.steps):
        few = torch.randperm(len(clips), generator=die)[: how.batch].tolist()
        begins = torch.randint(samples, (len(few),), generator=die).tolist() if how.anywhere else [0] * len(few)
        raised = -how.rise_db * max(0.0, 1 - 2 * step / how.steps)
        slope = torch.zeros_like(sound)
        for rows in _alike(clips, few):
            leaf = sound.clone().requires_grad_()
            clean = torch.stack([clips[few[row]].wave for row in rows])
            pieces = [_reaches(piece_of(leaf, begins[row], clean.shape[-1]), clips[few[row]].band) for row in rows]
            wave = (clean + mix.scaled(torch.stack(pieces), clean, raised)).clamp(-1, 1)
            focus = torch.tensor([clips[few[row]].focus for row in rows])
            hill = _hill(on, goal, wave, focus, smooth=step < how.smooth * how.steps)
            slope += slope_of(torch.nn.functional.logsigmoid(hill / ease), leaf)
            asked += len(rows)
        slope -= sound * (slope @ sound) / samples  # its level is fixed, so only what turns it counts
        drift = how.momentum * drift + slope / slope.norm().clamp_min(1e-30)
        cool = 0.5 * (1 + math.cos(math.pi * step / how.steps))
        sound = level_of(sound + how.stride * cool * math.sqrt(samples) * drift / drift.norm().clamp_min(1e-30))
        progress()
    return sound, asked


def _alike(clips: Sequence[Heard], few: Sequence[int]) -> list[list[int]]:
    """Group the places in a batch by the length of their clips."""
    lengths = [len(clips[place].wave) for place in few]
    return [[row for row, length in enumerate(lengths) if length == one] for one in dict.fromkeys(lengths)]


def _reaches(piece: Tensor, band: Tensor | None) -> Tensor:
    if band is None:
        return piece
    low: Tensor = torch.fft.irfft(torch.fft.rfft(piece) * band, n=len(piece))
    return low


def _hill(on: Victim, goal: Goal, wave: Tensor, focus: Tensor, *, smooth: bool) -> Tensor:
    answer = answer_for(goal, on, wave)
    if answer is None:
        raise AttackError(
            f"the goal {goal.name} needs probabilities, and the victim {on.name} has none; use the goal targeted"
        )
    hill = (goal.pull if smooth else goal.margin)(answer, focus.to(answer.device))
    if not bool(torch.isfinite(hill).all()):
        raise VictimError("the victim's scores hold NaN or infinite numbers, where finite ones were expected")
    return hill


def _spread(on: Victim, goal: Goal, clips: Sequence[Heard]) -> float:
    """Give the standard deviation of what a victim says of the first clip, the unit of its margins; 1 if it is flat."""
    if goal.asks == "probabilities":
        return 1.0  # of log-odds
    with torch.no_grad():
        spread = float(on.scores(clips[0].wave[None]).double().std())
    return spread if 0 < spread < math.inf else 1.0
