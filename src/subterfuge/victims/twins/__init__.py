"""Differentiable torch twins of fitted scikit-learn classifiers, on a matrix of features.

`twin_of` gives the twin of a classifier or a whole pipeline, `transform_of` that of a feature transform, and
`behind` puts the second before the first. An estimator without gradients raises `NoTwin`, whose message says
why.

A new estimator is a builder and one line in `TWINS` or `TRANSFORMS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from subterfuge.victims.twins import bayes, calibrated, linear, network, pipeline, scalers, svm, trees
from subterfuge.victims.twins.pipeline import behind
from subterfuge.victims.twins.twin import NoTwin, Transform, Twin

__all__ = ["FLAT", "TRANSFORMS", "TWINS", "NoTwin", "Transform", "Twin", "behind", "transform_of", "twin_of"]


def twin_of(estimator: Any) -> Twin:
    """Give the differentiable twin of a fitted scikit-learn classifier, or of a Pipeline that ends in one.

    Raises:
        NoTwin: it has no gradients, is not fitted, or has no twin written; the message is one sentence.
    """
    name = _known(estimator, TWINS)
    if name == "Pipeline" and not estimator.steps:
        raise NoTwin("this Pipeline has no steps")
    if name not in ("FrozenEstimator", "Pipeline") and not hasattr(estimator, "classes_"):
        raise NoTwin(f"this {name} is not fitted")
    return TWINS[name](estimator)


def transform_of(estimator: Any) -> Transform:
    """Give the differentiable twin of a fitted scikit-learn feature transform, or of a Pipeline of such.

    Raises:
        NoTwin: it has no gradients, is not fitted, or has no twin written; the message is one sentence.
    """
    name = _known(estimator, TRANSFORMS)
    if name not in ("FrozenEstimator", "Pipeline") and not hasattr(estimator, "n_features_in_"):
        raise NoTwin(f"this {name} is not fitted")
    return TRANSFORMS[name](estimator)


TWINS: dict[str, Callable[[Any], Twin]] = {
    "SVC": svm.build,
    "NuSVC": svm.build,
    "LinearSVC": linear.build,
    "LogisticRegression": linear.build_logistic,
    "LogisticRegressionCV": linear.build_logistic,
    "SGDClassifier": linear.build_sgd,
    "Perceptron": linear.build,
    "RidgeClassifier": linear.build,
    "RidgeClassifierCV": linear.build,
    "LinearDiscriminantAnalysis": linear.build_discriminant,
    "QuadraticDiscriminantAnalysis": bayes.build_quadratic,
    "GaussianNB": bayes.build_naive,
    "MLPClassifier": network.build,
    "DecisionTreeClassifier": trees.build_tree,
    "ExtraTreeClassifier": trees.build_tree,
    "RandomForestClassifier": trees.build_forest,
    "ExtraTreesClassifier": trees.build_forest,
    "GradientBoostingClassifier": trees.build_boosted,
    "HistGradientBoostingClassifier": trees.build_binned,
    "CalibratedClassifierCV": lambda model: calibrated.build(model, twin_of),
    "FrozenEstimator": lambda model: twin_of(model.estimator),
    "Pipeline": lambda model: pipeline.build(model, transform_of, twin_of),
}
"""From the class name of a scikit-learn classifier to the builder of its twin."""

TRANSFORMS: dict[str, Callable[[Any], Transform]] = {
    "StandardScaler": scalers.standardise,
    "MinMaxScaler": scalers.stretch,
    "PCA": scalers.project,
    "FrozenEstimator": lambda model: transform_of(model.estimator),
    "Pipeline": lambda model: pipeline.build_transform(model, transform_of),
}
"""From the class name of a scikit-learn transform to the builder of its twin."""

_NEIGHBOURS = "neighbours vote in steps, flat wherever they have a gradient"

FLAT: dict[str, str] = {
    "AdaBoostClassifier": "boosted models vote in steps, flat wherever they have a gradient",
    "KNeighborsClassifier": _NEIGHBOURS,
    "RadiusNeighborsClassifier": _NEIGHBOURS,
    "DummyClassifier": "it does not look at its features",
    "KBinsDiscretizer": "it cuts features into bins, flat wherever it has a gradient",
    "Binarizer": "it cuts features in two, flat wherever it has a gradient",
}
"""Why a scikit-learn estimator has no gradient."""


def _known(estimator: Any, builders: dict[str, Callable[[Any], Any]]) -> str:
    """Give the class name of an estimator that has a builder, or say why it has none."""
    kind = type(estimator)
    name = kind.__name__
    if kind.__module__.partition(".")[0] != "sklearn":
        raise NoTwin(f"{kind.__module__}.{name} is not a class of scikit-learn, and only those have twins")
    if name in FLAT:
        raise NoTwin(f"{name} has no gradients: {FLAT[name]}")
    if name not in builders:
        if hasattr(estimator, "best_estimator_"):
            raise NoTwin(f"{name} only looks for a model; its best_estimator_ may have a twin")
        raise NoTwin(f"no twin of {name} is written; there are {', '.join(builders)}")
    return name
