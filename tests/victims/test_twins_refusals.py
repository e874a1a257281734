"""An estimator without a twin says why, in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

from subterfuge.errors import SubterfugeError
from subterfuge.victims.twins import FLAT, TRANSFORMS, TWINS, NoTwin, transform_of, twin_of

X = np.random.default_rng(0).standard_normal((60, 3))
Y = (X[:, 0] > 0).astype(int)
SEVERAL = np.stack([Y, X[:, 1] > 0, X[:, 2] > 0], 1).astype(int)


class MySVC(SVC):
    pass


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: AdaBoostClassifier(n_estimators=2).fit(X, Y), "boosted models vote in steps"),
        (lambda: RandomForestClassifier(2).fit(X, SEVERAL), "gives several labels at once"),
        (lambda: DecisionTreeClassifier().fit(X, SEVERAL), "gives several labels at once"),
        (lambda: ExtraTreesClassifier(2), "this ExtraTreesClassifier is not fitted"),
        (
            lambda: GradientBoostingClassifier(init=LogisticRegression(), n_estimators=2).fit(X, Y),
            "corrects the guesses of a LogisticRegression",
        ),
        (
            lambda: HistGradientBoostingClassifier(max_iter=2, categorical_features=[0]).fit(np.round(X + 3), Y),
            "splits by categories",
        ),
        (lambda: KNeighborsClassifier().fit(X, Y), "neighbours vote in steps"),
        (
            lambda: make_pipeline(StandardScaler(), KNeighborsClassifier()).fit(X, Y),
            "neighbours vote in steps",
        ),
        (
            lambda: OneVsRestClassifier(LogisticRegression()).fit(X, Y),
            "no twin of OneVsRestClassifier is written",
        ),
        (lambda: GaussianProcessClassifier().fit(X, Y), "no twin of GaussianProcessClassifier is written"),
        (lambda: GridSearchCV(SVC(), {"C": [1.0]}, cv=2).fit(X, Y), "its best_estimator_ may have a twin"),
        (lambda: SVC(kernel=lambda a, b: a @ b.T).fit(X, Y), "is a Python function"),
        (lambda: SVC(kernel="precomputed").fit(X @ X.T, Y), "is precomputed"),
        (lambda: MySVC().fit(X, Y), "MySVC is not a class of scikit-learn"),
        (lambda: MLPClassifier((), max_iter=2, solver="sgd"), "this MLPClassifier is not fitted"),
        (lambda: SVC(), "this SVC is not fitted"),
        (lambda: make_pipeline(StandardScaler(), SVC()), "is not fitted"),
        (lambda: RidgeClassifier().fit(X, SEVERAL), "gives several labels at once"),
        (lambda: RidgeClassifier().fit(X, SEVERAL[:, :2]), "gives several labels at once"),
        (lambda: "a string", "builtins.str is not a class of scikit-learn"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_classifier_without_a_twin_is_refused_in_one_sentence(make: Callable[[], Any], why: str) -> None:
    estimator = make()
    with pytest.raises(NoTwin, match=why) as refusal:
        twin_of(estimator)
    assert isinstance(refusal.value, SubterfugeError)
    assert "\n" not in str(refusal.value)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("labels", [2, 3])
def test_a_network_of_several_labels_is_refused(labels: int) -> None:
    with pytest.raises(NoTwin, match="gives several labels at once"):
        twin_of(MLPClassifier((), max_iter=2).fit(X, SEVERAL[:, :labels]))


def test_a_transform_without_a_twin_is_refused_in_one_sentence() -> None:
    binned = KBinsDiscretizer(3, encode="ordinal", strategy="uniform", subsample=None).fit(X)
    with pytest.raises(NoTwin, match="it cuts features into bins"):
        transform_of(binned)
    with pytest.raises(NoTwin, match="no twin of SVC is written"):
        transform_of(SVC().fit(X, Y))
    with pytest.raises(NoTwin, match="this StandardScaler is not fitted"):
        transform_of(StandardScaler())


def test_every_name_in_the_tables_is_a_class_of_scikit_learn() -> None:
    known = {name for name, _ in all_estimators()} | {"FrozenEstimator"}
    assert set(TWINS) | set(TRANSFORMS) | set(FLAT) <= known
    assert not (set(TWINS) | set(TRANSFORMS)) & set(FLAT)


def test_a_logistic_regression_of_an_older_version_answers_as_the_installed_one_makes_it() -> None:
    y = Y + (X[:, 1] > 0.5)
    model = LogisticRegression().fit(X, y)
    model.multi_class = "ovr"  # what a model file of 1.3 may say
    answers = twin_of(model).probabilities(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(answers, model.predict_proba(X), rtol=0, atol=1e-9)
