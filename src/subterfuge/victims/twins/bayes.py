"""The twins of Gaussian models of each class: naive Bayes and quadratic discriminants."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.victim import Kind
from subterfuge.victims.twins.twin import admit, constant


@dataclass(frozen=True, eq=False)
class Gaussians:
    """One Gaussian a class: log p(k, x) = c_k − ½ |(x − m_k) U_k|²; `scores` are log p(k | x)."""

    classes: NDArray[Any]
    n_features: int
    means: Tensor
    """(K, F)"""
    whiteners: Tensor
    """U, (K, F, R)."""
    constants: Tensor
    """c, (K,)."""
    decides_by_likelihood: bool
    """Whether ``decision_function`` exists: the joint log-likelihoods, their difference for two classes."""
    kind: Kind = Kind.LOG_PROBABILITY
    note: str | None = None
    jumps: bool = False

    def joint(self, x: Tensor) -> Tensor:
        """Give log p(k, x) up to a constant, (N, K)."""
        apart = admit(x, self.n_features)[:, None, :] - self.means
        white = torch.einsum("nkf,kfr->nkr", apart, self.whiteners)
        return self.constants - 0.5 * white.square().sum(-1)

    def scores(self, x: Tensor) -> Tensor:
        """Give log p(k | x), (N, K)."""
        return self.joint(x).log_softmax(1)

    def decide(self, x: Tensor) -> Tensor:
        """Give the class of largest likelihood, the first of equals."""
        with torch.no_grad():
            return self.joint(x).argmax(1)

    def probabilities(self, x: Tensor) -> Tensor:
        """Give p(k | x), (N, K)."""
        return self.scores(x).exp()

    def decision(self, x: Tensor) -> Tensor | None:
        """Give the joint log-likelihoods (N, K), for two classes their difference (N, 1), or None."""
        if not self.decides_by_likelihood:
            return None
        joint = self.joint(x)
        return joint[:, 1:] - joint[:, :1] if len(self.classes) == 2 else joint


def build_naive(estimator: Any) -> Gaussians:
    """Build the twin of a fitted GaussianNB."""
    means, variances = constant(estimator.theta_), constant(estimator.var_)
    constants = constant(estimator.class_prior_).log() - 0.5 * (variances.log() + log(2 * pi)).sum(1)
    whiteners = torch.diag_embed(variances.rsqrt())
    return Gaussians(np.asarray(estimator.classes_), means.shape[1], means, whiteners, constants, False)


def build_quadratic(estimator: Any) -> Gaussians:
    """Build the twin of a fitted QuadraticDiscriminantAnalysis.

    Its classes may differ in rank R; the missing directions are zero.
    """
    means = constant(estimator.means_)
    scalings = [constant(s) for s in estimator.scalings_]
    whiteners = torch.zeros(*means.shape, max(len(s) for s in scalings), dtype=torch.float64)
    for k, (rotation, scaling) in enumerate(zip(estimator.rotations_, scalings, strict=True)):
        whiteners[k, :, : len(scaling)] = constant(rotation) * scaling.rsqrt()
    volumes = torch.stack([s.log().sum() for s in scalings])
    constants = constant(estimator.priors_).log() - 0.5 * volumes
    return Gaussians(np.asarray(estimator.classes_), means.shape[1], means, whiteners, constants, True)
