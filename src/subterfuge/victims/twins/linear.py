"""The twins of linear classifiers: logistic regression, linear SVM, SGD, linear discriminants and kin."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.victim import Kind
from subterfuge.victims.twins.links import HUBER, LOGISTIC, ONE_AGAINST_REST, SOFTMAX, SOFTMAX_OF_BOTH, Link
from subterfuge.victims.twins.twin import NoTwin, admit, constant


@dataclass(frozen=True, eq=False)
class Linear:
    """Decision values x·w + b, one for two classes and one a class for more, and a link to probabilities.

    `scores` are log-probabilities where the link has them, else decision values (−d, d for two
    classes).
    """

    classes: NDArray[Any]
    n_features: int
    weights: Tensor
    """(F, C), C = 1 for two classes, else K."""
    intercept: Tensor
    """(C,)"""
    link: Link | None
    note: str | None = None
    jumps: bool = False

    @property
    def kind(self) -> Kind:
        """Log-probabilities or decision values."""
        return Kind.LOG_PROBABILITY if self.link is not None and self.link.log is not None else Kind.DECISION

    def scores(self, x: Tensor) -> Tensor:
        """Give log-probabilities or decision values (N, K)."""
        z = self.decision(x)
        if self.link is not None and self.link.log is not None:
            return self.link.log(z)
        return torch.cat([-z, z], 1) if z.shape[1] == 1 else z

    def decide(self, x: Tensor) -> Tensor:
        """Give the class of largest decision value; of two, the second where it is above 0."""
        with torch.no_grad():
            z = self.decision(x)
            return (z[:, 0] > 0).long() if z.shape[1] == 1 else z.argmax(1)

    def probabilities(self, x: Tensor) -> Tensor | None:
        """Give the link's probabilities (N, K), or None without a link."""
        return None if self.link is None else self.link.probabilities(self.decision(x))

    def decision(self, x: Tensor) -> Tensor:
        """Give x·w + b, (N, C)."""
        return admit(x, self.n_features) @ self.weights + self.intercept


def build(estimator: Any, link: Link | None = None) -> Linear:
    """Build the twin of any fitted classifier with ``coef_`` and ``intercept_``.

    Raises:
        NoTwin: it was fitted on several outputs at once.
    """
    coefficients = constant(estimator.coef_)
    weights = coefficients.reshape(-1, coefficients.shape[-1]).mT
    classes = np.asarray(estimator.classes_)
    labels = getattr(estimator, "_label_binarizer", None)  # the only place where a RidgeClassifier says so
    if getattr(labels, "y_type_", "").startswith("multilabel"):
        raise NoTwin(f"this {type(estimator).__name__} gives several labels at once, and a twin gives one")
    intercept = constant(estimator.intercept_).reshape(-1).expand(weights.shape[1])
    return Linear(classes, weights.shape[0], weights, intercept, link)


def build_logistic(estimator: Any) -> Linear:
    """Build the twin of a LogisticRegression or LogisticRegressionCV.

    Its link is that of the scikit-learn installed: before 1.8 the parameter ``multi_class`` chose it, since
    then every model, also one fitted before, answers with a softmax.
    """
    if "multi_class" not in signature(type(estimator).__init__).parameters:
        return build(estimator, SOFTMAX)
    asked, two = estimator.multi_class, len(estimator.classes_) == 2
    undecided = asked in ("auto", "deprecated")
    if asked in ("ovr", "warn") or (undecided and (two or estimator.solver == "liblinear")):
        return build(estimator, LOGISTIC if two else ONE_AGAINST_REST)
    return build(estimator, SOFTMAX_OF_BOTH)


def build_sgd(estimator: Any) -> Linear:
    """Build the twin of an SGDClassifier; its loss decides whether it has probabilities."""
    logistic = LOGISTIC if len(estimator.classes_) == 2 else ONE_AGAINST_REST
    return build(estimator, {"log_loss": logistic, "modified_huber": HUBER}.get(estimator.loss))


def build_discriminant(estimator: Any) -> Linear:
    """Build the twin of a LinearDiscriminantAnalysis."""
    return build(estimator, SOFTMAX)
