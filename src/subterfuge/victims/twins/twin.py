"""What a twin is: a fitted estimator said again in torch, with gradients."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.errors import SubterfugeError
from subterfuge.victim import Kind


class NoTwin(SubterfugeError):
    """This estimator has no differentiable twin; the message is one sentence that says why."""


class Transform(Protocol):
    """A fitted preprocessing step: features (N, n_features) to features (N, F')."""

    @property
    def n_features(self) -> int:
        """How many features go in."""
        ...

    def __call__(self, x: Tensor) -> Tensor:
        """Transform float64 features as the estimator's ``transform`` does, with gradients."""
        ...


class Twin(Protocol):
    """A fitted classifier in torch: features (N, F), float32 or float64, to answers in float64 on the CPU.

    The values are scikit-learn's, computed in float64. Where a gradient is not that of the value (a clipped,
    stepped or early-stopped computation), the docstring of the class says what stands in for it.
    """

    @property
    def classes(self) -> NDArray[Any]:
        """The estimator's ``classes_``, shape (K,)."""
        ...

    @property
    def n_features(self) -> int:
        """F, the number of features that it was fitted on."""
        ...

    @property
    def kind(self) -> Kind:
        """What `scores` gives."""
        ...

    @property
    def note(self) -> str | None:
        """A sentence that a user of the gradients must know, or None."""
        ...

    @property
    def jumps(self) -> bool:
        """Whether `decision` (or `probabilities`, if it has none) is a stepped function of the features."""
        ...

    def scores(self, x: Tensor) -> Tensor:
        """Give what gradient searches use, smooth, shape (N, K), or (N, K, K) for duels."""
        ...

    def decide(self, x: Tensor) -> Tensor:
        """Give the index in `classes` of what ``predict`` answers, int64, shape (N,)."""
        ...

    def probabilities(self, x: Tensor) -> Tensor | None:
        """Give ``predict_proba``, shape (N, K), or None if the estimator has none."""
        ...

    def decision(self, x: Tensor) -> Tensor | None:
        """Give ``decision_function`` (N, C), C = 1 for two classes, or None if the estimator has none."""
        ...


def constant(values: Any) -> Tensor:
    """Copy a fitted parameter, dense or sparse, into a float64 tensor."""
    dense = values.toarray() if hasattr(values, "toarray") else values
    return torch.from_numpy(np.array(dense, dtype=np.float64))


def admit(x: Tensor, n_features: int) -> Tensor:
    """Take features (N, n_features) of any float type and device as float64 on the CPU, with their gradient.

    Raises:
        ValueError: the shape is another.
    """
    if x.ndim != 2 or x.shape[1] != n_features:
        raise ValueError(f"features of shape {tuple(x.shape)}; this model takes (N, {n_features})")
    return x.to(device="cpu", dtype=torch.float64)
