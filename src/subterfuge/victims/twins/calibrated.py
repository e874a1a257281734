"""The twin of `sklearn.calibration.CalibratedClassifierCV`: sigmoid curves or a temperature over models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.victim import Kind
from subterfuge.victims.twins.links import LOGISTIC, SOFTMAX, Link
from subterfuge.victims.twins.svm import VOTE_WIDTH
from subterfuge.victims.twins.twin import NoTwin, Twin, constant

JUMPS = (
    "the calibration sees votes of one-versus-one duels, so its probabilities jump: the search climbs the "
    "pairwise decision values, and gradients of the probabilities are those of smooth votes, "
    f"sigmoid(duel / {VOTE_WIDTH})"
)


@dataclass(frozen=True, eq=False)
class Member:
    """One fitted model and its calibration."""

    twin: Twin
    slope: Tensor
    """a of a z + b, 0-d or one a column of what the calibration sees."""
    shift: Tensor
    """b, shaped as a."""
    link: Link

    def seen(self, x: Tensor) -> Tensor:
        """Give a z + b for what the calibration sees of the inner model, its decisions or probabilities z."""
        z = self.twin.decision(x)
        if z is None:
            z = self.twin.probabilities(x)
            assert z is not None, "scikit-learn would not have calibrated it"
            if self.link is SOFTMAX:
                z = (z + 1e-12).log()
            elif z.shape[1] == 2:
                z = z[:, 1:]
        elif self.link is SOFTMAX and z.shape[1] == 1:
            z = torch.cat([-z, z], 1)
        if self.slope.ndim:
            # scikit-learn, too, leaves out the further columns of an SVC of shape "ovo"
            z = z[:, : len(self.slope)]
        return self.slope * z + self.shift


@dataclass(frozen=True, eq=False)
class Calibrated:
    """The mean of calibrated probabilities of one model or several.

    `probabilities` and `decide` (their argmax) follow the calibrated model exactly. `scores` are its
    log-probabilities, computed without underflow, except over one-versus-one support vector machines of more
    than two classes. What the calibration sees of those counts votes and so jumps; there `scores` are the
    mean of the inner pairwise decision values (`Kind.DUELS`), whose winner is not always what `decide`
    answers, and the gradient of `probabilities` is that of smooth votes (see `svm.SupportVectors`). `note`
    says so. Over trees, which step, it is their own scores and stand-ins that serve (see `trees.Trees`).
    """

    classes: NDArray[Any]
    n_features: int
    members: tuple[Member, ...]

    @property
    def jumps(self) -> bool:
        """Whether the probabilities are a stepped function of the features."""
        return any(member.twin.jumps for member in self.members)

    @property
    def kind(self) -> Kind:
        """Duels where the probabilities jump, else log-probabilities."""
        return Kind.DUELS if self.jumps else Kind.LOG_PROBABILITY

    @property
    def note(self) -> str | None:
        """What stands in for gradients that a jump has not."""
        return (self.members[0].twin.note or JUMPS) if self.jumps else None

    def scores(self, x: Tensor) -> Tensor:
        """Give log-probabilities (N, K), or the mean duels (N, K, K) of inner models that jump."""
        if self.jumps:
            return torch.stack([member.twin.scores(x) for member in self.members]).mean(0)
        each = [member.link.log(member.seen(x)) for member in self.members if member.link.log is not None]
        return torch.stack(each).logsumexp(0) - log(len(each))

    def decide(self, x: Tensor) -> Tensor:
        """Give the class of largest calibrated probability, the first of equals."""
        with torch.no_grad():
            return self.probabilities(x).argmax(1)

    def probabilities(self, x: Tensor) -> Tensor:
        """Give the mean of the members' calibrated probabilities (N, K)."""
        each = [member.link.probabilities(member.seen(x)) for member in self.members]
        return torch.stack(each).mean(0)

    def decision(self, x: Tensor) -> None:
        """Give None: a calibrated model has no decision function."""


def build(estimator: Any, twin_of: Callable[[Any], Twin]) -> Calibrated:
    """Build the twin of a fitted CalibratedClassifierCV.

    Raises:
        NoTwin: the calibration is isotonic, the inner model has no twin, or one never saw some of the
        classes.
    """
    classes = np.asarray(estimator.classes_)
    members = tuple(_member(each, classes, twin_of) for each in estimator.calibrated_classifiers_)
    return Calibrated(classes, members[0].twin.n_features, members)


def _member(calibrated: Any, classes: NDArray[Any], twin_of: Callable[[Any], Twin]) -> Member:
    if calibrated.method == "isotonic":
        raise NoTwin("isotonic calibration is a step function, flat wherever it has a gradient")
    twin = twin_of(calibrated.estimator)
    if len(twin.classes) != len(classes):
        raise NoTwin("one of the calibrated models never saw some of the classes, and that no twin repeats")
    if calibrated.method == "temperature":
        beta = constant(calibrated.calibrators[0].beta_).reshape(())
        return Member(twin, beta, torch.zeros((), dtype=torch.float64), SOFTMAX)
    slopes = constant([float(calibrator.a_) for calibrator in calibrated.calibrators])
    shifts = constant([float(calibrator.b_) for calibrator in calibrated.calibrators])
    return Member(twin, -slopes, -shifts, LOGISTIC)
