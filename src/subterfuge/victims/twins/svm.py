"""The twin of `sklearn.svm.SVC` and `NuSVC`: duels of classes, their votes, Platt's probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.victim import Kind, winner
from subterfuge.victims.twins import kernels
from subterfuge.victims.twins.coupling import FLOOR, couple
from subterfuge.victims.twins.twin import NoTwin, admit, constant

VOTE_WIDTH = 0.25
"""In the gradient of a vote, the vote of a duel D is sigmoid(D / VOTE_WIDTH); a margin is D = ±1."""


@dataclass(frozen=True, eq=False)
class SupportVectors:
    """A one-versus-one support vector classifier.

    `scores` are the pairwise decision values (N, K, K), above 0 where the row's class beats the column's,
    exact in value and gradient (for the radial kernel's far field see `kernels.radial`).

    `probabilities` are libsvm's in value. Their gradient is that of the exact coupling (see
    `coupling.couple`), and a pairwise probability clipped to [1e-7, 1 − 1e-7] keeps the slope that the
    sigmoid has at that bound, so that log P(class) can be climbed from anywhere. They can be differentiated
    once.

    `decision` with the shape "ovr" counts votes and so jumps: exact in value, its gradient has each vote
    replaced by sigmoid(D / `VOTE_WIDTH`).
    """

    classes: NDArray[Any]
    n_features: int
    kernel: kernels.Kernel
    weights: Tensor
    """Coefficients (S, P) of the support vectors in the P duels, (0, 1), (0, 2) ... (1, 2) ..."""
    intercept: Tensor
    """(P,)"""
    platt: tuple[Tensor, Tensor] | None
    """A and B of P(i beats j) = 1 / (1 + exp(A D + B)), each (P,)."""
    one_against_rest: bool
    """Whether ``decision_function`` has the shape "ovr"."""
    break_ties: bool
    kind: Kind = Kind.DUELS
    note: str | None = None

    @property
    def jumps(self) -> bool:
        """Whether `decision` counts votes."""
        return self.one_against_rest and len(self.classes) > 2

    def scores(self, x: Tensor) -> Tensor:
        """Give the table of pairwise decision values (N, K, K)."""
        return self._table(self._duels(x))

    def decide(self, x: Tensor) -> Tensor:
        """Give the class with most votes, the first of equals; with `break_ties` that of largest decision."""
        with torch.no_grad():
            if self.break_ties and self.jumps:
                return self._one_against_rest(self.scores(x)).argmax(-1)
            return winner(self.scores(x))

    def probabilities(self, x: Tensor) -> Tensor | None:
        """Give libsvm's probabilities (N, K), or None if it was fitted without."""
        if self.platt is None:
            return None
        a, b = self.platt
        logit = -(a * self._duels(x) + b)
        r = torch.sigmoid(logit.detach()).clamp(FLOOR, 1 - FLOOR)
        r = r + r * (1 - r) * (logit - logit.detach())
        return couple(_square(r, 1 - r, len(self.classes)))

    def decision(self, x: Tensor) -> Tensor:
        """Give ``decision_function``, (N, 1), (N, K) or (N, P) by ``decision_function_shape``."""
        duels = self._duels(x)
        if len(self.classes) == 2:
            return -duels
        return self._one_against_rest(self._table(duels)) if self.one_against_rest else duels

    def _duels(self, x: Tensor) -> Tensor:
        return self.kernel(admit(x, self.n_features)) @ self.weights + self.intercept

    def _table(self, duels: Tensor) -> Tensor:
        return _square(duels, -duels, len(self.classes))

    @staticmethod
    def _one_against_rest(table: Tensor) -> Tensor:
        """Give votes plus the squashed sum of decision values (scikit-learn's ``_ovr_decision_function``)."""
        upper = torch.triu(torch.ones(table.shape[-2:], dtype=torch.bool), diagonal=1)
        hard = (((table >= 0) & upper) | ((table > 0) & upper.mT)).sum(-1)
        soft = torch.sigmoid(table / VOTE_WIDTH).sum(-1)
        total = table.sum(-1)
        return hard + total / (3 * (total.abs() + 1)) + (soft - soft.detach())


def _square(upper: Tensor, lower: Tensor, k: int) -> Tensor:
    """Arrange the values of the pairs i < j (N, P), and those of j against i, into (N, K, K); else 0."""
    first, second = torch.triu_indices(k, k, 1)
    table = upper.new_zeros(len(upper), k, k)
    table[:, first, second] = upper
    table[:, second, first] = lower
    return table


def build(estimator: Any) -> SupportVectors:
    """Build the twin of a fitted SVC or NuSVC.

    Raises:
        NoTwin: the kernel is a Python function or a precomputed matrix.
    """
    kernel = _kernel(estimator)
    classes = np.asarray(estimator.classes_)
    two = len(classes) == 2
    # for two classes scikit-learn turns the public attributes' sign; here D > 0 means the first class wins
    sign = -1.0 if two else 1.0
    return SupportVectors(
        classes=classes,
        n_features=int(estimator.n_features_in_),
        kernel=kernel,
        weights=sign * _pair_weights(constant(estimator.dual_coef_), np.asarray(estimator.n_support_)),
        intercept=sign * constant(estimator.intercept_),
        platt=_platt(estimator),
        one_against_rest=estimator.decision_function_shape == "ovr",
        break_ties=bool(estimator.break_ties),
    )


def _kernel(estimator: Any) -> kernels.Kernel:
    name, vectors = estimator.kernel, estimator.support_vectors_
    if callable(name) or name == "precomputed":
        what = "a Python function" if callable(name) else "precomputed"
        raise NoTwin(f"the kernel of this {type(estimator).__name__} is {what}, which torch cannot differentiate")
    vectors = constant(vectors)
    gamma = float(estimator._gamma)  # what "scale" and "auto" came to; no public name has it
    if name == "linear":
        return kernels.linear(vectors)
    if name == "poly":
        return kernels.polynomial(vectors, gamma, float(estimator.coef0), int(estimator.degree))
    if name == "sigmoid":
        return kernels.sigmoid(vectors, gamma, float(estimator.coef0))
    return kernels.radial(vectors, gamma)


def _pair_weights(dual: Tensor, n_support: NDArray[np.int32]) -> Tensor:
    """Spread libsvm's dual coefficients (K − 1, S) over the duels, (S, P).

    The support vectors lie class by class. In the duel of i < j, those of i weigh by row j − 1 and those of j
    by row i.
    """
    ends = np.cumsum(n_support)
    spans = [slice(int(end - n), int(end)) for end, n in zip(ends, n_support, strict=True)]
    columns = []
    for i in range(len(spans)):
        for j in range(i + 1, len(spans)):
            column = torch.zeros(dual.shape[1], dtype=torch.float64)
            column[spans[i]] = dual[j - 1, spans[i]]
            column[spans[j]] = dual[i, spans[j]]
            columns.append(column)
    return torch.stack(columns, 1)


def _platt(estimator: Any) -> tuple[Tensor, Tensor] | None:
    if not hasattr(estimator, "predict_proba"):
        return None
    # the public probA_ warns from 1.9 on, and the private name is in every version
    a, b = constant(estimator._probA), constant(estimator._probB)
    return (a, b) if len(a) else None
