"""What a transform is, and what all of them share: names, ranges, draws, a gradient of one's choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.errors import TransformError

Samples = NDArray[np.floating[Any]]
Dice = torch.Generator | Sequence[torch.Generator]
"""One generator for all rows, drawn from in their order, or one a row, so that no row feels its batch."""


class Transform(Protocol):
    """One thing that the world does to a sound: the real one, and one that a gradient goes through.

    A frozen dataclass with at most one field, its value; a value of None is drawn anew in every call.
    """

    word: ClassVar[str]
    """Its name on the command line."""
    says: ClassVar[str]
    """What it does, and what its value is, in one line."""

    @property
    def name(self) -> str:
        """As the command line says it: ``mp3=128``, or ``gain`` where the value is drawn."""
        ...

    def why_not(self, samples: Samples, sample_rate: int) -> str | None:
        """Say why a sound (C, T) cannot be put through it, or None where it can."""
        ...

    def real(self, samples: Samples, sample_rate: int, die: torch.Generator) -> Samples:
        """Put a sound (C, T) through it: (C, T), in time with what came in, of its dtype; only a crop gives less.

        Raises:
            TransformError: `why_not` says why.
        """
        ...

    def stand_in(self, wave: Tensor, sample_rate: int, dice: Dice) -> Tensor:
        """Do the same to waves (N, T), each by itself, with a gradient: (N, T), of their dtype and device.

        Where that means something it does what it can of what `real` refuses: a gain stops at full scale.

        Raises:
            TransformError: it cannot be done to such waves.
        """
        ...


def spell(word: str, value: float | None) -> str:
    """Give a transform's name from its word and value.

    >>> spell("gain", -6.0), spell("gain", None), spell("resample", 48000)
    ('gain=-6', 'gain', 'resample=48000')
    """
    return word if value is None else f"{word}={value:.10g}"


def in_range(word: str, value: float | None, low: float, high: float, unit: str, *, whole: bool = False) -> None:
    """Refuse a value outside its range; None is inside.

    Raises:
        TransformError: it is outside, or no whole number where one was expected.
    """
    if value is None or (low <= value <= high and not (whole and value != int(value))):
        return
    kind = "a whole number" if whole else "a number"
    raise TransformError(f"{spell(word, value)}: {kind} of {unit} from {low:g} to {high:g} was expected")


def refuse(one: Transform, samples: Samples, sample_rate: int) -> None:
    """Refuse a sound (C, T) that cannot be put through a transform.

    Raises:
        TransformError: it cannot.
    """
    why = one.why_not(samples, sample_rate)
    if why is not None:
        raise TransformError(f"{one.name}: {why}")


def drawn(value: float | None, low: float, high: float, die: torch.Generator) -> float:
    """Give the value, or where there is none a number drawn evenly from `low` to `high`."""
    if value is not None:
        return float(value)
    return low + (high - low) * float(torch.rand((), generator=die, dtype=torch.float64))


def each(dice: Dice, rows: int) -> Sequence[torch.Generator]:
    """Give the generator of each row.

    Raises:
        ValueError: there are more or fewer generators than rows.
    """
    given = [dice] * rows if isinstance(dice, torch.Generator) else list(dice)
    if len(given) != rows:
        raise ValueError(f"{len(given)} generators for {rows} rows")
    return given


class _Through(torch.autograd.Function):
    """A value computed elsewhere, with a gradient of one's choice."""

    @staticmethod
    def forward(ctx: Any, wave: Tensor, value: Tensor, back: Callable[[Tensor], Tensor] | None) -> Tensor:
        """Give the value as it is."""
        ctx.back = back
        return value

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        """Give the slope, or what `back` makes of it."""
        return slopes[0] if ctx.back is None else ctx.back(slopes[0]), None, None


def through(wave: Tensor, value: Tensor, back: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Give `value` (N, T) with the gradient of `wave` (N, T): straight through, or by the adjoint map `back`.

    The straight-through estimator: Bengio, Léonard, Courville (2013), https://arxiv.org/abs/1308.3432; as an attack
    on what has no gradient, BPDA: Athalye, Carlini, Wagner (2018), https://arxiv.org/abs/1802.00420.

    >>> wave = torch.tensor([[0.4, 1.6]], requires_grad=True)
    >>> through(wave, wave.detach().round()).sum().backward()
    >>> wave.grad
    tensor([[1., 1.]])
    """
    out: Tensor = _Through.apply(wave, value.detach(), back)  # type: ignore[no-untyped-call]
    return out
