"""Compare a victim's gradient with finite differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from subterfuge.victim import Victim

STEPS = {torch.float64: (1e-8, 1e-7, 1e-6, 1e-5, 1e-4), torch.float32: (1e-3, 3e-3, 1e-2)}
"""Steps tried, as shares of the wave's norm: the best is taken, small ones round, large ones bend."""


@dataclass(frozen=True)
class Slope:
    """How a gradient compares at one sound."""

    error: float
    """The largest difference along a direction, as a share of the slope there."""
    directions: int
    exact: bool
    """Whether it was computed in float64."""
    stand_ins: float | None
    """The share of the gradient's length that is of stated stand-ins, which the comparison leaves out, or None."""


def slopes_at(victim: Victim, wave: Tensor, seed: int) -> Slope:
    """Compare the gradient of a fixed mix of the scores with central differences at one wave (1, T).

    The directions are the gradient itself and three random ones. Along a random one the slope is by chance near 0, so
    the difference is measured against the larger of the slope and a tenth of what is typical there, |g| / sqrt(T).

    A victim with ``in_float64`` is asked in float64 through it; one with ``without_stand_ins`` is asked through that,
    for where a gradient is a stand-in's it cannot be that of the value.
    """
    dice = torch.Generator().manual_seed(seed)
    doubled = victim.in_float64() if hasattr(victim, "in_float64") else victim
    x = wave.detach().double()
    try:
        scores = doubled.scores(x)
    except Exception:
        if doubled is victim:
            raise
        doubled = victim
        scores = doubled.scores(x)
    exact = scores.dtype == torch.float64
    step_sizes = STEPS[torch.float64 if exact else torch.float32]
    mix = torch.randn(scores.shape, generator=dice, dtype=torch.float64)
    own = getattr(doubled, "without_stand_ins", None)
    function = own(x) if own is not None else doubled.scores

    def value(point: Tensor) -> Tensor:
        return (function(point).double() * mix).sum()

    gradient = _gradient(value, x)
    share = None
    if own is not None:
        plain = doubled.unfiltered() if hasattr(doubled, "unfiltered") else doubled
        whole = _gradient(lambda point: (plain.scores(point).double() * mix).sum(), x)
        share = float((whole - gradient).norm() / whole.norm().clamp_min(1e-300))
    directions = [gradient] + [torch.randn(x.shape, generator=dice, dtype=torch.float64) for _ in range(3)]
    if not exact:
        directions = directions[:1]  # rounding drowns the slope along random ones
    typical = float(gradient.norm()) / x.shape[1] ** 0.5
    errors = []
    for direction in directions:
        if not float(direction.norm()):
            direction = torch.randn(x.shape, generator=dice, dtype=torch.float64)
        unit = direction / direction.norm()
        by_gradient = float((gradient * unit).sum())
        found = []
        for size in step_sizes:
            h = size * max(float(x.norm()), 1e-3)
            with torch.no_grad():
                by_steps = float(value(x + h * unit) - value(x - h * unit)) / (2 * h)
            largest = max(abs(by_gradient), abs(by_steps), typical / 10)
            found.append(abs(by_gradient - by_steps) / largest if largest else 0.0)
        errors.append(min(found))
    return Slope(max(errors), len(directions), exact, share)


def _gradient(value: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    point = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(value(point), point)
    return slope
