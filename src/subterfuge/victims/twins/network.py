"""The twin of `sklearn.neural_network.MLPClassifier`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.victim import Kind
from subterfuge.victims.twins.links import log_softmax
from subterfuge.victims.twins.twin import NoTwin, admit, constant

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda z: z,
    "logistic": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
}


@dataclass(frozen=True, eq=False)
class Network:
    """A feed-forward network; `scores` are log-probabilities, which do not saturate as probabilities do."""

    classes: NDArray[Any]
    n_features: int
    layers: tuple[tuple[Tensor, Tensor], ...]
    """Weights (in, out) and biases (out,); the last has 1 output for two classes, else K."""
    activation: Callable[[Tensor], Tensor]
    kind: Kind = Kind.LOG_PROBABILITY
    note: str | None = None
    jumps: bool = False

    def scores(self, x: Tensor) -> Tensor:
        """Give log-probabilities (N, K)."""
        z = admit(x, self.n_features)
        for weights, bias in self.layers[:-1]:
            z = self.activation(z @ weights + bias)
        weights, bias = self.layers[-1]
        return log_softmax(z @ weights + bias)

    def decide(self, x: Tensor) -> Tensor:
        """Give the class of largest probability; of two, the second where it is above one half."""
        with torch.no_grad():
            p = self.probabilities(x)
            return (p[:, 1] > 0.5).long() if len(self.classes) == 2 else p.argmax(1)

    def probabilities(self, x: Tensor) -> Tensor:
        """Give the softmax of the last layer, or its logistic curve for two classes, (N, K)."""
        return self.scores(x).exp()

    def decision(self, x: Tensor) -> None:
        """Give None: the network has no decision function."""


def build(estimator: Any) -> Network:
    """Build the twin of a fitted MLPClassifier.

    Raises:
        NoTwin: it was fitted on several outputs at once.
    """
    classes = np.asarray(estimator.classes_)
    if estimator.n_outputs_ > 1 and estimator.out_activation_ == "logistic":
        raise NoTwin("this MLPClassifier gives several labels at once, and a twin gives one")
    layers = tuple(
        (constant(weights), constant(bias))
        for weights, bias in zip(estimator.coefs_, estimator.intercepts_, strict=True)
    )
    return Network(classes, layers[0][0].shape[0], layers, ACTIVATIONS[estimator.activation])
