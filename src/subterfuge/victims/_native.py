"""Check the numbers that scikit-learn's compiled code follows without a look.

An SVC, a forest, a histogram gradient booster and a neighbours classifier hand their arrays to C, which reads
where they point. So a forged file could read outside of them although it names nothing but scikit-learn.
Neighbour trees are checked where they are made (`modelfile.makers`), and so are the trees of a pickle; here, the trees
of a skops file, which makes them itself, and what holds between objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeRegressor
from sklearn.tree._tree import Tree

from subterfuge.victims.modelfile.numpy import Damaged, Refused


def check(model: object) -> None:
    """Check a model and all that it holds.

    Raises:
        Refused: one of them has an attribute that Python or numpy would follow.
        Damaged: a table of one of them does not fit its others, or leads outside.
    """
    for part in _parts(model):
        kind = type(part).__name__
        special = [
            key for key in (*getattr(part, "__dict__", ()), *(part if isinstance(part, dict) else ())) if _special(key)
        ]
        if special:  # numpy would follow an __array_interface__ anywhere
            raise Refused(f"the special attribute {special[0]:.40} of a {kind}")
        if kind == "Tree" and (fault := _fault_of_made_tree(part)):
            raise Damaged(fault)
        if kind in _CHECKS and not _CHECKS[kind](part):
            raise Damaged(f"the tables of a {kind} do not agree")


def _parts(model: object) -> Iterator[Any]:
    """Give each object in a model once, the model included."""
    seen, todo = set(), [model]
    while todo:
        here = todo.pop()
        if id(here) in seen:
            continue
        seen.add(id(here))
        if isinstance(here, dict):
            todo.extend(here.values())
        if type(here).__module__.startswith("sklearn."):
            yield here
            todo.extend(getattr(here, "__dict__", {}).values())
        elif isinstance(here, list | tuple | set | frozenset):
            todo.extend(here)
        elif isinstance(here, np.ndarray):
            todo.extend(here.ravel().tolist() if here.dtype.hasobject else ())


def _special(key: object) -> bool:
    return isinstance(key, str) and key.startswith("__")


def fault_of_tree(nodes: Any, features: int, deepest: int) -> str | None:
    """Say where the nodes (a structured array) of a decision tree would lead its compiled code astray, or give None."""
    count = len(nodes)
    inner = nodes["left_child"] != -1
    ranks = np.arange(count)
    for side in ("left_child", "right_child"):
        if not np.all((nodes[side] > ranks)[inner] & (nodes[side] < count)[inner]):
            return "a decision tree with a branch that leads nowhere"
    if not np.all((nodes["feature"][inner] >= 0) & (nodes["feature"][inner] < features)):
        return "a decision tree that asks for a feature that there is not"
    depth, level = 0, np.zeros(1, np.intp)
    while (level := level[inner[level]]).size:
        level = np.unique([nodes["left_child"][level], nodes["right_child"][level]])
        depth += 1
    return "a decision tree that is deeper than it says" if depth > deepest else None


def _fault_of_made_tree(tree: Any) -> str | None:
    """Say what is wrong with a `sklearn.tree._tree.Tree` that was made unchecked, without reading beyond its arrays."""
    if tree.node_count < 1 or tree.node_count != tree.capacity:
        return "a decision tree whose tables are of different lengths"
    if tree.n_outputs < 1 or tree.n_features < 1 or np.min(tree.n_classes) < 1:
        return "a decision tree without its counts"
    return fault_of_tree(tree.__getstate__()["nodes"], tree.n_features, tree.max_depth)


def _support_vectors(model: Any) -> bool:
    if "_n_support" not in vars(model):
        return True  # not fitted
    sizes, vectors, support = model._n_support, model.support_vectors_, model.support_
    classes, count = len(sizes), len(support)
    pairs = classes * (classes - 1) // 2
    if model.kernel == "precomputed" or callable(model.kernel):
        placed = np.all((support >= 0) & (support < model.shape_fit_[0]))
        width = model.n_features_in_ == model.shape_fit_[0] if model.kernel == "precomputed" else True
    else:
        placed, width = vectors.shape == (count, model.n_features_in_), True
    return bool(
        not model._sparse
        and placed
        and width
        and support.ndim == 1
        and np.all(sizes >= 0)
        and sizes.sum() == count
        and len(model.classes_) == classes > 1
        and model._dual_coef_.shape == (classes - 1, count)
        and model._intercept_.shape == (pairs,)
        and model._probA.shape == model._probB.shape
        and model._probA.shape in ((0,), (pairs,))
    )


def _decision_tree(model: Any) -> bool:
    return "tree_" not in vars(model) or _fits(model, model)


def _ensemble_of_trees(model: Any) -> bool:
    trees = np.ravel(vars(model).get("estimators_", []))
    return all("tree_" not in vars(t) or _fits(t, model) for t in trees)


def _fits(tree: Any, model: Any) -> bool:
    return type(tree.tree_) is Tree and bool(tree.tree_.n_features == model.n_features_in_)


def _booster(model: Any) -> bool:
    """Compiled code adds each column of trees (stages, columns) to a column that the first guess must have made."""
    if "estimators_" not in vars(model):
        return True
    trees, first = model.estimators_, model.init_
    columns = 1 if model.n_classes_ == 2 else model.n_classes_
    guessed = first == "zero" or (
        type(first) is DummyClassifier and np.shape(first.class_prior_) == (model.n_classes_,) and first.n_outputs_ == 1
    )
    return bool(
        isinstance(trees, np.ndarray)
        and trees.ndim == 2
        and trees.shape[1] == columns == model.n_trees_per_iteration_
        and guessed
        and type(model._loss).__name__
        in (("HalfMultinomialLoss",) if columns > 1 else ("HalfBinomialLoss", "ExponentialLoss"))
        and all(type(t) is DecisionTreeRegressor and "tree_" in vars(t) and _fits(t, model) for t in trees.flat)
        and all(t.tree_.n_outputs == t.tree_.max_n_classes == 1 for t in trees.flat)
    )


def _histogram_booster(model: Any) -> bool:
    return getattr(model, "_preprocessor", None) is None and all(
        _histogram_tree(tree.nodes, model.n_features_in_)
        for trees in vars(model).get("_predictors", [])
        for tree in trees
    )


def _histogram_tree(nodes: Any, features: int) -> bool:
    inner, ranks = nodes["is_leaf"] == 0, np.arange(len(nodes))
    ahead = [(nodes[side] > ranks) & (nodes[side] < len(nodes)) for side in ("left", "right")]
    known = (nodes["feature_idx"] >= 0) & (nodes["feature_idx"] < features) & (nodes["is_categorical"] == 0)
    return bool(len(nodes) and np.all((ahead[0] & ahead[1] & known)[inner]))


def _neighbours(model: Any) -> bool:
    if "_fit_X" not in vars(model):
        return True
    labels, points = model._y, model._fit_X
    return bool(
        points.shape == (len(labels), model.n_features_in_)
        and labels.ndim == 1
        and np.all((labels >= 0) & (labels < len(model.classes_)))
        and (model._tree is None or model._tree.data.shape == points.shape)
    )


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "SVC": _support_vectors,
    "NuSVC": _support_vectors,
    "DecisionTreeClassifier": _decision_tree,
    "DecisionTreeRegressor": _decision_tree,
    "ExtraTreeClassifier": _decision_tree,
    "RandomForestClassifier": _ensemble_of_trees,
    "ExtraTreesClassifier": _ensemble_of_trees,
    "GradientBoostingClassifier": _booster,
    "HistGradientBoostingClassifier": _histogram_booster,
    "KNeighborsClassifier": _neighbours,
}
