"""Many decision trees as one set of arrays, level by level: exact walks down them, and soft ones with a slope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Tree(NamedTuple):
    """One fitted tree of M nodes, of which node 0 is the root; a leaf has itself on both sides."""

    feature: NDArray[np.int64]
    """(M,), of a leaf 0."""
    threshold: NDArray[np.float64]
    """(M,): x[feature] <= threshold goes left; of a leaf infinity."""
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    values: NDArray[np.float64]
    """What each leaf adds to the answer, (M, C); of other nodes anything."""


class Level(NamedTuple):
    """The nodes of one depth, over all trees: first the splits, then the leaves."""

    splits: slice
    """The level's splits among all splits."""
    order: Tensor
    """Where its nodes stand in (left, right) of the first split above, (left, right) of the second ..."""


@dataclass(frozen=True, eq=False)
class Grove:
    """T trees, whose leaves add up."""

    trees: int
    feature: Tensor
    """Of each split, (S,), by level."""
    threshold: Tensor
    """Of each split, (S,)."""
    sides: Tensor
    """The nodes left and right of each split, (S, 2); nodes count on through the levels from the T roots."""
    place: Tensor
    """Of each node, its place among the splits, or S plus its place among the leaves, (S + L,)."""
    values: Tensor
    """What each leaf adds, (L, C)."""
    levels: tuple[Level, ...]

    @property
    def splits(self) -> int:
        """S, how many splits there are."""
        return len(self.feature)

    def sum_at(self, x: Tensor) -> Tensor:
        """Give the sum over the trees of what the leaves add that features (N, F) fall in, shape (N, C)."""
        at = torch.arange(self.trees).repeat(len(x), 1)
        for _ in self.levels[1:]:
            place = self.place[at]
            inside = place < self.splits
            split = torch.where(inside, place, 0)
            right = (x.gather(1, self.feature[split]) > self.threshold[split]).long()
            at = torch.where(inside, self.sides[split, right], at)
        # one after the other, as scikit-learn adds: two classes that tie there have to tie here
        return self.values[self.place[at] - self.splits].cumsum(1)[:, -1]

    def soft_sum_at(self, x: Tensor, widths: Tensor) -> Tensor:
        """Give the same with every split softened, a smooth function of x, the mean over several widths.

        A split sends the share sigmoid((threshold - x) / width) to its left, and a leaf counts by the share of x
        that reaches it, the product along its path.

        Args:
            x: features (N, F), float64.
            widths: of each split, in each of W softenings, shape (S, W).
        """
        shares: Tensor = _Shares.apply(x, self, widths)  # type: ignore[no-untyped-call]
        sums = (self.values.T @ shares.flatten(1)).reshape(-1, len(x), widths.shape[1])
        return sums.mean(2).T


class _Shares(torch.autograd.Function):
    """What share of features (N, F) reaches each leaf, shape (L, N, W), with a gradient by hand."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, grove: Grove, widths: Tensor) -> Tensor:
        lefts = ((grove.threshold[:, None] - x.T[grove.feature])[:, :, None] / widths[:, None, :]).sigmoid()
        sent = torch.stack([lefts, 1 - lefts], 1)
        here = x.new_ones(grove.trees, len(x), widths.shape[1])
        arrived: list[Tensor] = []
        leaves: list[Tensor] = []
        for depth, level in enumerate(grove.levels):
            if depth:
                above = arrived[-1]
                here = (above[:, None] * sent[grove.levels[depth - 1].splits]).flatten(0, 1)[level.order]
            inner = level.splits.stop - level.splits.start
            arrived.append(here[:inner])
            leaves.append(here[inner:])
        ctx.grove, ctx.features = grove, x.shape[1]
        ctx.save_for_backward(sent, torch.cat(arrived), widths)
        return torch.cat(leaves)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        grove, (sent, arrived, widths) = ctx.grove, ctx.saved_tensors
        towards = torch.empty_like(sent)
        below, last = sent[:0, 0], len(slopes[0])
        for depth in range(len(grove.levels) - 1, -1, -1):
            level = grove.levels[depth]
            first = last - (len(level.order) - (level.splits.stop - level.splits.start))
            here = torch.cat([below, slopes[0][first:last]])
            last = first
            if depth:
                above = grove.levels[depth - 1].splits
                unsorted = torch.empty_like(here)
                unsorted[level.order] = here
                towards[above] = unsorted.reshape(-1, 2, *unsorted.shape[1:])
                below = (towards[above] * sent[above]).sum(1)
        slope = arrived * (towards[:, 0] - towards[:, 1]) * sent[:, 0] * sent[:, 1]
        slope = -(slope / widths[:, None, :]).sum(2)
        gradient = slope.new_zeros(ctx.features, slope.shape[1]).index_add_(0, grove.feature, slope)
        return gradient.T, None, None


def grove_of(trees: Sequence[Tree]) -> Grove:
    """Lay trees out level by level."""
    offsets = np.cumsum([0] + [len(tree.feature) for tree in trees])
    feature = np.concatenate([tree.feature for tree in trees])
    threshold = np.concatenate([tree.threshold for tree in trees])
    left = np.concatenate([tree.left + first for tree, first in zip(trees, offsets, strict=False)])
    right = np.concatenate([tree.right + first for tree, first in zip(trees, offsets, strict=False)])
    values = np.concatenate([tree.values for tree in trees])
    leaf = left == np.arange(len(left))

    node, counted = offsets[:-1], 0
    levels, order_of_splits, order_of_nodes = [], [], []
    while len(node):
        order = np.argsort(leaf[node], kind="stable")
        node = node[order]
        inner = node[~leaf[node]]
        levels.append(Level(slice(counted, counted + len(inner)), torch.from_numpy(order)))
        counted += len(inner)
        order_of_splits.append(inner)
        order_of_nodes.append(node)
        node = np.stack([left[inner], right[inner]], 1).ravel()
    nodes, splits = np.concatenate(order_of_nodes), np.concatenate(order_of_splits)
    leaves = nodes[leaf[nodes]]
    number = np.empty(len(nodes), dtype=np.int64)
    number[nodes] = np.arange(len(nodes))
    place = np.empty(len(nodes), dtype=np.int64)
    place[number[splits]] = np.arange(len(splits))
    place[number[leaves]] = len(splits) + np.arange(len(leaves))
    return Grove(
        len(trees),
        torch.from_numpy(feature[splits]),
        torch.from_numpy(threshold[splits]),
        torch.from_numpy(number[np.stack([left[splits], right[splits]], 1)]),
        torch.from_numpy(place),
        torch.from_numpy(values[leaves]),
        tuple(levels),
    )
