"""A twin behind feature transforms: `sklearn.pipeline.Pipeline`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.victim import Kind
from subterfuge.victims.twins.twin import NoTwin, Transform, Twin, admit


@dataclass(frozen=True, eq=False)
class Chain:
    """Transforms in a row, from the left."""

    steps: tuple[Transform, ...]

    @property
    def n_features(self) -> int:
        """How many features the first step takes."""
        return self.steps[0].n_features

    def __call__(self, x: Tensor) -> Tensor:
        """Send features (N, F) through every step."""
        for step in self.steps:
            x = step(x)
        return x


@dataclass(frozen=True, eq=False)
class Behind:
    """A twin that sees its features through a transform; everything else is the inner twin's."""

    transform: Transform
    inner: Twin

    @property
    def classes(self) -> NDArray[Any]:
        """The inner twin's classes."""
        return self.inner.classes

    @property
    def n_features(self) -> int:
        """How many features the transform takes."""
        return self.transform.n_features

    @property
    def kind(self) -> Kind:
        """The inner twin's kind."""
        return self.inner.kind

    @property
    def note(self) -> str | None:
        """The inner twin's note."""
        return self.inner.note

    @property
    def jumps(self) -> bool:
        """Whether the inner twin's decision jumps."""
        return self.inner.jumps

    def scores(self, x: Tensor) -> Tensor:
        """Give the inner twin's scores of the transformed features."""
        return self.inner.scores(self._seen(x))

    def decide(self, x: Tensor) -> Tensor:
        """Give the inner twin's answer to the transformed features."""
        return self.inner.decide(self._seen(x))

    def probabilities(self, x: Tensor) -> Tensor | None:
        """Give the inner twin's probabilities of the transformed features."""
        return self.inner.probabilities(self._seen(x))

    def decision(self, x: Tensor) -> Tensor | None:
        """Give the inner twin's decision function of the transformed features."""
        return self.inner.decision(self._seen(x))

    def _seen(self, x: Tensor) -> Tensor:
        return self.transform(admit(x, self.n_features))


def behind(transforms: Iterable[Transform], twin: Twin) -> Twin:
    """Put transforms, applied from the first to the last, before a twin.

    Raises:
        ValueError: one of them takes another number of features than it would be given.
    """
    steps = tuple(s for each in transforms for s in (each.steps if isinstance(each, Chain) else (each,)))
    if not steps:
        return twin
    x = torch.zeros(1, steps[0].n_features, dtype=torch.float64)
    following: list[Transform | Twin] = [*steps[1:], twin]
    for step, after in zip(steps, following, strict=True):
        x = step(x)
        if x.shape[1] != after.n_features:
            raise ValueError(f"{type(step).__name__} gives {x.shape[1]} features, but {after.n_features} are wanted")
    return Behind(Chain(steps), twin)


def build(pipeline: Any, transform_of: Callable[[Any], Transform], twin_of: Callable[[Any], Twin]) -> Twin:
    """Build the twin of a fitted Pipeline that ends in a classifier.

    Raises:
        NoTwin: a step has none, or the last one is "passthrough".
    """
    *before, last = (step for _, step in pipeline.steps)
    if _is_nothing(last):
        raise NoTwin("this Pipeline ends in 'passthrough', not in a classifier")
    return behind(_transforms(before, transform_of), twin_of(last))


def build_transform(pipeline: Any, transform_of: Callable[[Any], Transform]) -> Chain:
    """Build the twin of a fitted Pipeline of transforms only.

    Raises:
        NoTwin: a step has none.
    """
    return Chain(_transforms((step for _, step in pipeline.steps), transform_of))


def _transforms(steps: Iterable[Any], transform_of: Callable[[Any], Transform]) -> tuple[Transform, ...]:
    return tuple(transform_of(step) for step in steps if not _is_nothing(step))


def _is_nothing(step: Any) -> bool:
    return step is None or (isinstance(step, str) and step == "passthrough")
