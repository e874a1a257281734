"""What wrappers share: dice that a sound brings along, sounds through transforms, questions of bounded size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from typing import overload

import torch
from torch import Tensor

from subterfuge.errors import InputError, TransformError, VictimError
from subterfuge.transforms import Transform, parse_transforms
from subterfuge.victim import Kind, Victim

TOGETHER, TOGETHER_SAMPLES = 32, 1 << 22
"""Most sounds, and most samples, that a victim is asked about at once."""
SMOOTH = ("gain", "resample", "shift", "crop", "lowpass", "highpass", "denoise")
"""Words of the transforms whose stand-in has its own slope, while its dice lie still."""
ALWAYS_DRAWN = ("noise", "dither")
"""Words of the transforms that draw whatever their value."""
VOTE_WIDTH = 0.25
"""In a soft vote the least duel of a class is divided by this: a margin of a support vector machine is 1."""


def plain(wave: Tensor) -> Tensor:
    """Give waves (N, T) as a file brings them: float32, on the CPU, without a gradient."""
    return wave.detach().to("cpu", torch.float32)


def dice_of(wave: Tensor, key: str) -> list[torch.Generator]:
    """Give one generator a row, seeded from a key and the row's own samples as float32.

    So each sound meets the same draws whenever it comes, and none feels its batch.

    >>> one, other = dice_of(torch.tensor([[0.5, -0.0], [0.5, 0.0]]), "seed 0")
    >>> one.initial_seed() == other.initial_seed()
    True
    """
    rows = (plain(wave) + 0.0).numpy()  # of -0 it makes 0
    seeds = [hashlib.sha256(key.encode() + b"\0" + row.tobytes()).digest()[:8] for row in rows]
    return [torch.Generator().manual_seed(int.from_bytes(seed) >> 1) for seed in seeds]


def transforms_of(text: str, key: str, sample_rate: int) -> tuple[Transform, ...]:
    """Read a list of transforms that sounds of one channel can be put through at a rate.

    Raises:
        InputError: there is no such transform, or it cannot be done at this rate.
        MissingExtra: one needs a package that is not installed.
    """
    try:
        found = parse_transforms(text)
        die = torch.Generator().manual_seed(0)
        probe = 1e-4 * torch.randn(1, sample_rate, generator=die).numpy()
        for one in found:
            one.real(probe, sample_rate, torch.Generator().manual_seed(0))
    except TransformError as reason:
        raise InputError(f'{key} = "{text}": {reason}') from None
    return found


def draws(transforms: Sequence[Transform]) -> bool:
    """Say whether one of some transforms draws anything."""
    values = [(one, getattr(one, each.name)) for one in transforms for each in fields(one)]  # type: ignore[arg-type]
    return any(one.word in ALWAYS_DRAWN or value is None for one, value in values)


def notes(transforms: Sequence[Transform]) -> tuple[str, ...]:
    """Say through which of some transforms gradients go by a stand-in."""
    names = [one.name for one in transforms if one.word not in SMOOTH]
    return (f"gradients pass {', '.join(names)} by way of stand-ins",) if names else ()


def valued(value: Tensor, slope: Tensor) -> Tensor:
    """Give numbers with the value of one tensor and the gradient of another of its shape.

    >>> x = torch.tensor([2.0], requires_grad=True)
    >>> valued(x.detach().round(), 3 * x).backward()
    >>> x.grad
    tensor([3.])
    """
    return value.detach().to(slope) + (slope - slope.detach())


def mean_slope(found: Sequence[Tensor]) -> Tensor:
    """Give the first of some tensors with the mean gradient of all."""
    return found[0] if len(found) == 1 else valued(found[0], torch.stack(list(found)).mean(0))


def heard(wave: Tensor, transforms: Sequence[Transform], sample_rate: int, name: str, key: str) -> list[Tensor]:
    """Put each of some waves (N, T), float32, truly through transforms, one after the other: N sounds (T',).

    Raises:
        VictimError: a sound cannot be put through one of them.
    """
    rows = [row[None].numpy() for row in wave]
    for place, one in enumerate(transforms):
        for k, die in enumerate(dice_of(wave, f"{key}/{place}/{one.name}")):
            try:
                rows[k] = one.real(rows[k], sample_rate, die)
            except TransformError as reason:
                raise VictimError(f"the victim {name} cannot hear this sound: {reason}") from None
    return [torch.from_numpy(row[0].copy()) for row in rows]


def stood_in(
    wave: Tensor, transforms: Sequence[Transform], sample_rate: int, key: str, *, of: Tensor | None = None
) -> Tensor:
    """Put waves (N, T) through the stand-ins of transforms, with a gradient: (N, T).

    The dice are those of `heard`, of the waves themselves or, where they are to lie still, `of` others.
    """
    source = wave if of is None else of
    for place, one in enumerate(transforms):
        wave = one.stand_in(wave, sample_rate, dice_of(source, f"{key}/{place}/{one.name}"))
    return wave


def held_in(
    at: Tensor, transforms: Sequence[Transform], sample_rate: int, key: str
) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """Give a function like `stood_in` near waves (N, T) whose gradient is its own slope, and what it makes of them.

    Dice lie still, and what a transform without a slope of its own adds to the sound stays what it is there.
    """
    steps: list[Callable[[Tensor], Tensor]] = []
    here = at.detach()
    for place, one in enumerate(transforms):

        def step(wave: Tensor, one: Transform = one, where: str = f"{key}/{place}/{one.name}") -> Tensor:
            return one.stand_in(wave, sample_rate, dice_of(at, where))

        with torch.no_grad():
            there = step(here)
        steps.append(step if one.word in SMOOTH else partial(torch.add, there - here))
        here = there

    def through(wave: Tensor) -> Tensor:
        for step in steps:
            wave = step(wave)
        return wave

    return through, here


@overload
def asked(ask: Callable[[Tensor], Tensor], sounds: Sequence[Tensor]) -> Tensor: ...
@overload
def asked(ask: Callable[[Tensor], Tensor | None], sounds: Sequence[Tensor]) -> Tensor | None: ...
def asked(ask: Callable[[Tensor], Tensor | None], sounds: Sequence[Tensor]) -> Tensor | None:
    """Ask about sounds, each (T,), those of one length together, as many at once as is bearable.

    Returns:
        The answers, one row a sound, without gradients; None, if that is an answer.
    """
    rows: dict[int, Tensor] = {}
    for length in dict.fromkeys(len(sound) for sound in sounds):
        places = [place for place, sound in enumerate(sounds) if len(sound) == length]
        together = max(1, min(TOGETHER, TOGETHER_SAMPLES // max(1, length)))
        for first in range(0, len(places), together):
            some = places[first : first + together]
            with torch.no_grad():
                answer = ask(torch.stack([sounds[place] for place in some]))
            if answer is None:
                return None
            rows.update(zip(some, answer, strict=True))
    return torch.stack([rows[place] for place in range(len(sounds))])


def own_slope(victim: Victim, at: Tensor) -> Callable[[Tensor], Tensor]:
    """Give a function like a differentiable victim's scores near waves (N, T), whose gradient is its own slope."""
    make = getattr(victim, "without_stand_ins", None)
    return victim.scores if make is None else make(at)


def in_float64(victim: Victim) -> Victim:
    """Give the same victim computing in float64, where it can."""
    make = getattr(victim, "in_float64", None)
    return victim if make is None else make()


def log(chances: Tensor) -> Tensor:
    """Give the logarithms of probabilities, finite where they are 0."""
    return chances.clamp_min(1e-300 if chances.dtype == torch.float64 else 1e-37).log()


def soft_votes(scores: Tensor, kind: Kind) -> Tensor:
    """Give the logarithms of the shares (N, K) that each class has of a vote, smooth, for scores or duels.

    The softmax of scores; of duels (N, K, K), that of the soft least duel of each class, in units of `VOTE_WIDTH`.
    """
    if kind is Kind.DUELS:
        self_duel = torch.eye(scores.shape[1], dtype=torch.bool, device=scores.device)
        scores = -torch.logsumexp((-scores / VOTE_WIDTH).masked_fill(self_duel, -torch.inf), dim=2)
    return scores.log_softmax(-1)
