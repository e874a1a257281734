"""Twins of decision trees, forests and boosted trees: exact answers, and soft splits to climb.

A tree answers in steps, so its own gradient is zero wherever it has one. As in BPDA (Athalye, Carlini, Wagner 2018,
https://arxiv.org/abs/1802.00420) the answer forward is the model's own and the slope is that of something smooth: the
same trees with every split softened to a sigmoid, and every leaf weighed by the product of the shares along its path
(soft decision trees: Irsoy, Yıldız, Alpaydın 2012; Frosst, Hinton 2017, https://arxiv.org/abs/1711.09784).

A narrow sigmoid says where the next split is, and is flat away from all of them; a wide one knows the way from far
off, and not where to stop. So the stand-in is the mean of several.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.errors import VictimError
from subterfuge.victim import Kind
from subterfuge.victims.twins._trees_grove import Grove, Tree, grove_of
from subterfuge.victims.twins._trees_read import binned, boosted, voting
from subterfuge.victims.twins.links import log_softmax
from subterfuge.victims.twins.twin import admit

SCALES = (1.0, 0.3, 0.1, 0.03)
"""Widths of a softened split, in standard deviations of all the thresholds that the model has for that feature."""
FLOOR = 1e-12
"""Added to the softened vote of forests before its logarithm."""
NOTE = (
    "trees answer in steps: the search climbs the same trees with softened splits, and what counts as a win is their "
    "exact answer"
)


@dataclass(frozen=True, eq=False)
class Trees:
    """A tree, a forest, or boosted trees.

    `decide`, `probabilities` and `decision` are scikit-learn's in value; the gradient of the latter two is that of
    the trees with softened splits. `scores` are the softened trees in value, too: the differences of their
    log-probabilities, class against class (`Kind.DUELS`, for they are no probabilities of the model), whose winner is
    not always what `decide` answers. They can be differentiated once.
    """

    classes: NDArray[Any]
    n_features: int
    grove: Grove
    widths: Tensor
    """Of each split in each softening, (S, W)."""
    votes: int | None
    """How many trees share the vote, or None where leaves add up to decision values."""
    single: bool
    """Whether features are rounded to float32 before they are compared, as in all but histogram boosting."""
    steepness: float
    """By which decision values are multiplied before they become probabilities: 2 for the exponential loss."""
    tie: int
    """Which of two classes a boosted model answers where its decision value is 0."""
    kind: Kind = Kind.DUELS
    note: str | None = NOTE
    jumps: bool = True

    def scores(self, x: Tensor) -> Tensor:
        """Give the differences of the softened trees' log-probabilities, (N, K, K)."""
        soft = self._soft(admit(x, self.n_features))
        if self.votes is not None:
            soft = (soft + FLOOR).log()
        elif soft.shape[1] == 1:
            soft = torch.cat([-soft, soft], 1) * (self.steepness / 2)
        return soft[:, :, None] - soft[:, None, :]

    def decide(self, x: Tensor) -> Tensor:
        """Give the class of most votes or of the largest decision value, the first of equals but for `tie`."""
        with torch.no_grad():
            exact = self._exact(admit(x, self.n_features))
        if exact.shape[1] > 1 or self.votes is not None:
            return exact.argmax(1)
        return (exact[:, 0] >= 0 if self.tie else exact[:, 0] > 0).long()

    def probabilities(self, x: Tensor) -> Tensor:
        """Give ``predict_proba``, (N, K)."""
        answer = self._straight_through(admit(x, self.n_features))
        return answer if self.votes is not None else log_softmax(self.steepness * answer).exp()

    def decision(self, x: Tensor) -> Tensor | None:
        """Give the ``decision_function`` of boosted trees, (N, 1) or (N, K); a vote has none."""
        return None if self.votes is not None else self._straight_through(admit(x, self.n_features))

    def _straight_through(self, x: Tensor) -> Tensor:
        exact = self._exact(x.detach())
        if not x.requires_grad:
            return exact
        soft = self._soft(x)
        return exact + (soft - soft.detach())

    def _exact(self, x: Tensor) -> Tensor:
        if bool(x.isnan().any()):
            raise VictimError("the features hold NaN, where trees have no answer of their own; numbers were expected")
        return self.grove.sum_at(x.float().double() if self.single else x) / (self.votes or 1)

    def _soft(self, x: Tensor) -> Tensor:
        return self.grove.soft_sum_at(x, self.widths) / (self.votes or 1)


def build_tree(estimator: Any) -> Trees:
    """Build the twin of a fitted DecisionTreeClassifier or ExtraTreeClassifier.

    Raises:
        NoTwin: it answers several labels at once.
    """
    return _trees(estimator, voting([estimator]), votes=1)


def build_forest(estimator: Any) -> Trees:
    """Build the twin of a fitted RandomForestClassifier or ExtraTreesClassifier.

    Raises:
        NoTwin: it answers several labels at once.
    """
    return _trees(estimator, voting(list(estimator.estimators_)), votes=len(estimator.estimators_))


def build_boosted(estimator: Any) -> Trees:
    """Build the twin of a fitted GradientBoostingClassifier, of the log or the exponential loss.

    Raises:
        NoTwin: it begins with the guesses of another model.
    """
    steepness = 2.0 if estimator.loss == "exponential" else 1.0
    return _trees(estimator, boosted(estimator), steepness=steepness, tie=1)


def build_binned(estimator: Any) -> Trees:
    """Build the twin of a fitted HistGradientBoostingClassifier.

    Raises:
        NoTwin: it takes categories.
    """
    return _trees(estimator, binned(estimator), single=False)


def spreads(grove: Grove, n_features: int) -> Tensor:
    """Give the standard deviation of the thresholds that a model has for each feature, shape (F,).

    It stands for that of the training data, which no fitted tree keeps. Of a feature with one threshold it is a tenth
    of that, and 1 where nothing is known.
    """
    out = torch.ones(n_features, dtype=torch.float64)
    known = grove.threshold.isfinite()
    for f in set(grove.feature[known].tolist()):
        thresholds = grove.threshold[known & (grove.feature == f)]
        out[f] = float(thresholds.std(correction=0)) or 0.1 * float(thresholds.abs().max()) or 1.0
    return out


def _trees(
    estimator: Any,
    trees: list[Tree],
    *,
    votes: int | None = None,
    single: bool = True,
    steepness: float = 1.0,
    tie: int = 0,
) -> Trees:
    grove, n_features = grove_of(trees), int(estimator.n_features_in_)
    widths = spreads(grove, n_features)[grove.feature][:, None] * torch.tensor(SCALES, dtype=torch.float64)
    return Trees(np.asarray(estimator.classes_), n_features, grove, widths, votes, single, steepness, tie)
