"""From decision values to log-probabilities, in the four ways of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

LogLink = Callable[[Tensor], Tensor]
"""Decision values (N, C) to log-probabilities (N, K), C = 1 and K = 2 for two classes, else C = K."""


class Link(NamedTuple):
    """How a model turns decision values (N, C) into probabilities (N, K)."""

    log: LogLink | None
    """Smooth log-probabilities, or None where they would hide what the decision values tell apart."""
    probabilities: Callable[[Tensor], Tensor]


def log_logistic(z: Tensor) -> Tensor:
    """Give log-probabilities of one logistic curve a class, normalised over the classes (K > 2)."""
    if z.shape[1] == 1:
        return torch.cat([logsigmoid(-z), logsigmoid(z)], 1)
    return logsigmoid(z).log_softmax(1)


def logistic(z: Tensor) -> Tensor:
    """Give probabilities of one logistic curve a class, uniform where all of them underflow to 0."""
    p = log_logistic(z).exp()
    nothing = torch.sigmoid(z.detach()).sum(1, keepdim=True) == 0
    if z.shape[1] == 1 or not bool(nothing.any()):
        return p
    return torch.where(nothing, torch.full_like(p, 1 / p.shape[1]), p)


def log_softmax(z: Tensor) -> Tensor:
    """Give log-probabilities of a softmax; for two classes of one logistic curve, which is the same thing."""
    return log_logistic(z) if z.shape[1] == 1 else z.log_softmax(1)


def log_softmax_of_both(z: Tensor) -> Tensor:
    """Give log-probabilities of a softmax, for two classes of (−z, z), as a forced multinomial model does."""
    return (torch.cat([-z, z], 1) if z.shape[1] == 1 else z).log_softmax(1)


def huber(z: Tensor) -> Tensor:
    """Give the modified Huber loss's probabilities, (clip(z, −1, 1) + 1) / 2, normalised for K > 2 classes.

    Zhang, Oles, "Text categorization based on regularized linear classification methods" (2001); uniform
    where all are 0. They are exactly 0 or 1, with no gradient, outside [−1, 1].
    """
    p = (z.clamp(-1, 1) + 1) / 2
    if z.shape[1] == 1:
        return torch.cat([1 - p, p], 1)
    total = p.sum(1, keepdim=True)
    nothing = total == 0
    return torch.where(nothing, torch.full_like(p, 1 / p.shape[1]), p / torch.where(nothing, 1.0, total))


LOGISTIC = Link(log_logistic, logistic)
SOFTMAX = Link(log_softmax, lambda z: log_softmax(z).exp())
SOFTMAX_OF_BOTH = Link(log_softmax_of_both, lambda z: log_softmax_of_both(z).exp())
ONE_AGAINST_REST = Link(None, logistic)
"""For K > 2, where curves that saturate at 1 share the probability evenly, whatever their decision values."""
HUBER = Link(None, huber)
