"""The fitted trees inside scikit-learn's models, as plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from subterfuge.victims.twins._trees_grove import Tree
from subterfuge.victims.twins.twin import NoTwin


def voting(members: list[Any]) -> list[Tree]:
    """Give the trees of classification trees; a leaf adds the class shares of its training rows, (K,).

    Raises:
        NoTwin: they answer several labels at once.
    """
    if members[0].n_outputs_ > 1:
        raise NoTwin(f"this {type(members[0]).__name__} gives several labels at once")
    return [_tree(member.tree_, np.array(member.tree_.value[:, 0], dtype=np.float64)) for member in members]


def boosted(model: Any) -> list[Tree]:
    """Give the trees of a GradientBoostingClassifier behind one of a single leaf, which is its first guess.

    Raises:
        NoTwin: its first guess is that of a model, and not the same for every sound.
    """
    guess = model.init_
    constant = isinstance(guess, str) or getattr(guess, "strategy", "stratified") != "stratified"
    if not constant:
        raise NoTwin(f"this {type(model).__name__} corrects the guesses of a {type(guess).__name__}, and has no twin")
    first = model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype=np.float32))
    trees = [_lone_leaf(first[0])]
    for stage in model.estimators_:
        for column, member in enumerate(stage):
            own = model.learning_rate * member.tree_.value[:, 0, 0]
            trees.append(_tree(member.tree_, _in_column(own, column, len(stage))))
    return trees


def binned(model: Any) -> list[Tree]:
    """Give the trees of a HistGradientBoostingClassifier behind one of a single leaf, its baseline.

    Raises:
        NoTwin: it takes categories, which have no order along which a split could be softened.
    """
    if getattr(model, "is_categorical_", None) is not None:
        raise NoTwin(f"this {type(model).__name__} splits by categories, which have no slope")
    first = np.asarray(model._baseline_prediction, dtype=np.float64).ravel()
    trees = [_lone_leaf(first)]
    for stage in model._predictors:
        for column, member in enumerate(stage):
            nodes = member.nodes
            sides = nodes["feature_idx"], nodes["num_threshold"], nodes["left"], nodes["right"]
            leaf = nodes["is_leaf"].astype(bool)
            trees.append(_looped(leaf, *sides, _in_column(nodes["value"], column, len(stage))))
    return trees


def _tree(tree: Any, values: NDArray[np.float64]) -> Tree:
    leaf = tree.children_left == -1
    return _looped(leaf, tree.feature, tree.threshold, tree.children_left, tree.children_right, values)


def _looped(
    leaf: NDArray[np.bool_],
    feature: NDArray[Any],
    threshold: NDArray[Any],
    left: NDArray[Any],
    right: NDArray[Any],
    values: NDArray[np.float64],
) -> Tree:
    own = np.arange(len(leaf))
    return Tree(
        np.where(leaf, 0, feature).astype(np.int64),
        np.where(leaf, np.inf, threshold).astype(np.float64),
        np.where(leaf, own, left).astype(np.int64),
        np.where(leaf, own, right).astype(np.int64),
        values,
    )


def _lone_leaf(values: NDArray[np.float64]) -> Tree:
    nothing = np.zeros(1, dtype=np.int64)
    return _looped(np.ones(1, dtype=bool), nothing, nothing, nothing, nothing, values[None])


def _in_column(values: NDArray[Any], column: int, columns: int) -> NDArray[np.float64]:
    table = np.zeros((len(values), columns))
    table[:, column] = values
    return table
