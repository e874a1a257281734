"""The kernels of libsvm, against fixed support vectors."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import torch
from torch import Tensor

Kernel = Callable[[Tensor], Tensor]
"""Features (N, F) to their kernel values with each support vector (N, S)."""

FAINT = 1e-12
"""The largest kernel value of a row below which `radial` gives the gradient a floor."""


def linear(vectors: Tensor) -> Kernel:
    """Give K(x, s) = x·s for support vectors (S, F)."""
    return lambda x: x @ vectors.mT


def polynomial(vectors: Tensor, gamma: float, coef0: float, degree: int) -> Kernel:
    """Give K(x, s) = (γ x·s + c)^d for support vectors (S, F)."""
    return lambda x: torch.pow(gamma * (x @ vectors.mT) + coef0, degree)


def sigmoid(vectors: Tensor, gamma: float, coef0: float) -> Kernel:
    """Give K(x, s) = tanh(γ x·s + c) for support vectors (S, F)."""
    return lambda x: torch.tanh(gamma * (x @ vectors.mT) + coef0)


def radial(vectors: Tensor, gamma: float) -> Kernel:
    """Give K(x, s) = exp(−γ |x − s|²) for support vectors (S, F).

    The distance is expanded, |x|² − 2 x·s + |s|², about the mean of the support vectors, where it rounds
    least.

    The gradient is exact in direction everywhere. Its length has a floor: far from every support vector all
    kernel values underflow, and with them the gradient. So where the largest value of a row is below `FAINT`,
    too small to be seen in a decision value, the row's gradient is that of its kernels scaled up together
    until the largest is `FAINT`.
    """
    centre = vectors.mean(0)
    offset = vectors - centre
    norms = gamma * offset.square().sum(1)
    double = 2 * gamma * offset.mT

    def values(x: Tensor) -> Tensor:
        y = x - centre
        exponent = y @ double - norms - gamma * y.square().sum(1, keepdim=True)
        value = exponent.exp()
        if not x.requires_grad:
            return value
        lift = (log(FAINT) - exponent.detach().amax(1, keepdim=True)).clamp(min=0)
        if not bool(lift.any()):
            return value
        loud = (exponent + lift).exp()
        return value.detach() + (loud - loud.detach())

    return values
