"""The victim: any function of a sound that answers with labels or scores."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


class Gives(IntEnum):
    """What a victim lets an attack see, from least to most."""

    LABELS = 0
    SCORES = 1
    GRADIENTS = 2


class Kind(StrEnum):
    """What the numbers of `Victim.scores` are.

    Each but ``DUELS`` is one number a class, shape (N, K), the largest of which is the answer. ``DUELS`` is an
    antisymmetric table, shape (N, K, K): entry [n, i, j] is above 0 where class i beats class j, and the class
    with most wins is the answer, the first of equals (libsvm's one-versus-one vote). Of ``TAGS`` each number is about
    its own label alone: the logarithm of the odds that the sound has it, so several labels may be right at once. The
    answer is the tag of the largest number, and `Victim.probabilities` are their sigmoids, which need not add up to 1.
    """

    DECISION = "decision values"
    LOG_PROBABILITY = "log-probabilities"
    DUELS = "pairwise decision values"
    TAGS = "tag log-odds"


@runtime_checkable
class Victim(Protocol):
    """A classifier of sounds.

    Every method takes a batch of mono waveforms, float32 or float64, shape (N, T), in [-1, 1], at `sample_rate` Hz,
    on the CPU or where the victim lives, and treats each row by itself.
    """

    @property
    def name(self) -> str:
        """As reports call it."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the scores."""
        ...

    @property
    def sample_rate(self) -> int:
        """The rate in Hz at which it hears."""
        ...

    @property
    def gives(self) -> Gives:
        """What it lets an attack see."""
        ...

    @property
    def kind(self) -> Kind:
        """What `scores` are."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of everything that the answer depends on: model files, recipe, labels, rate."""
        ...

    @property
    def twin(self) -> Victim | None:
        """The differentiable re-expression that a white-box attack searches on, if it has no gradients itself."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user must know of it, such as a model file of another scikit-learn."""
        ...

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of the label that the deployed model answers, int64, shape (N,)."""
        ...

    def scores(self, wave: Tensor) -> Tensor:
        """Give the scores of the kind `kind`, shape (N, K) or (N, K, K), differentiable where `gives` says so.

        Raises:
            VictimError: the victim gives labels only.
        """
        ...

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give the model's own probability of each label, shape (N, K), or None if it has none."""
        ...


def duels_of(scores: Tensor) -> Tensor:
    """Turn class scores (N, K) into the table of their differences (N, K, K); leave a table as it is.

    >>> duels_of(torch.tensor([[3.0, 1.0]]))
    tensor([[[ 0.,  2.],
             [-2.,  0.]]])
    """
    return scores if scores.ndim == 3 else scores[:, :, None] - scores[:, None, :]


def winner(duels: Tensor) -> Tensor:
    """Give the class with the most won duels, the first of equals, shape (N,), for duels (N, K, K).

    The rule of libsvm's ``svm_predict``, and so of `sklearn.svm.SVC.predict`: a duel of i < j is won by i where its
    decision value is above 0, else by j.
    """
    upper = torch.triu(torch.ones(duels.shape[-2:], dtype=torch.bool, device=duels.device), diagonal=1)
    first = (duels > 0) & upper
    second = ((duels <= 0) & upper).mT
    return (first | second).sum(-1).argmax(-1)
