"""Every twin answers as its estimator does, and its gradients are true."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import sklearn
import torch
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from subterfuge.threat.margins import log_odds
from subterfuge.victim import Kind, winner
from subterfuge.victims.twins import TRANSFORMS, TWINS, Twin, twin_of

F = 5
SEED = 0


def platt(**knobs: Any) -> SVC:
    return SVC(probability=True, random_state=SEED, **knobs)


def mlp(activation: str) -> MLPClassifier:
    return MLPClassifier((7, 6), activation=activation, learning_rate_init=0.02, max_iter=60, random_state=SEED)


ZOO: dict[str, Callable[[], Any]] = {
    "SVC rbf": lambda: SVC(gamma=0.3),
    "SVC rbf, gamma scale": lambda: SVC(gamma="scale", C=10),
    "SVC rbf, gamma auto, ties": lambda: SVC(gamma="auto", break_ties=True),
    "SVC linear": lambda: SVC(kernel="linear", decision_function_shape="ovo"),
    "SVC poly": lambda: SVC(kernel="poly", degree=3, coef0=0.5, gamma=0.2),
    "SVC poly of even degree": lambda: SVC(kernel="poly", degree=2, coef0=0.0),
    "SVC sigmoid": lambda: SVC(kernel="sigmoid", coef0=-0.2, gamma=0.1),
    "SVC rbf with probability": lambda: platt(gamma=0.3, C=5),
    "SVC linear with probability": lambda: platt(kernel="linear"),
    "NuSVC with probability": lambda: NuSVC(nu=0.2, probability=True, random_state=SEED),
    "LinearSVC": lambda: LinearSVC(random_state=SEED),
    "LinearSVC, Crammer and Singer": lambda: LinearSVC(multi_class="crammer_singer", random_state=SEED),
    "LogisticRegression": lambda: LogisticRegression(),
    "LogisticRegression without intercept": lambda: LogisticRegression(fit_intercept=False, solver="saga"),
    "LogisticRegressionCV": lambda: LogisticRegressionCV(Cs=2, cv=2),
    "SGD hinge": lambda: SGDClassifier(random_state=SEED),
    "SGD log loss": lambda: SGDClassifier(loss="log_loss", random_state=SEED),
    "SGD modified Huber": lambda: SGDClassifier(loss="modified_huber", random_state=SEED),
    "Perceptron": lambda: Perceptron(random_state=SEED),
    "RidgeClassifier": lambda: RidgeClassifier(),
    "RidgeClassifierCV": lambda: RidgeClassifierCV(),
    "LDA": lambda: LinearDiscriminantAnalysis(),
    "LDA with shrinkage": lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    "QDA": lambda: QuadraticDiscriminantAnalysis(reg_param=0.1),
    "GaussianNB": lambda: GaussianNB(),
    "MLP relu": lambda: mlp("relu"),
    "MLP tanh": lambda: mlp("tanh"),
    "MLP logistic": lambda: mlp("logistic"),
    "MLP identity": lambda: mlp("identity"),
    "MLP without hidden layer": lambda: MLPClassifier((), max_iter=60, random_state=SEED),
    "DecisionTree": lambda: DecisionTreeClassifier(random_state=SEED),
    "ExtraTree": lambda: ExtraTreeClassifier(max_depth=4, random_state=SEED),
    "RandomForest": lambda: RandomForestClassifier(7, random_state=SEED),
    "ExtraTrees": lambda: ExtraTreesClassifier(7, random_state=SEED),
    "GradientBoosting": lambda: GradientBoostingClassifier(n_estimators=6, random_state=SEED),
    "HistGradientBoosting": lambda: HistGradientBoostingClassifier(max_iter=6, random_state=SEED),
    "calibrated RandomForest": lambda: CalibratedClassifierCV(RandomForestClassifier(7, random_state=SEED), cv=3),
    "calibrated GradientBoosting": lambda: CalibratedClassifierCV(
        GradientBoostingClassifier(n_estimators=4, random_state=SEED), cv=2
    ),
    "calibrated SVC": lambda: CalibratedClassifierCV(SVC(gamma=0.3), cv=3),
    "calibrated SVC, no ensemble": lambda: CalibratedClassifierCV(SVC(gamma=0.3), cv=3, ensemble=False),
    "calibrated SVC of shape ovo": lambda: CalibratedClassifierCV(SVC(decision_function_shape="ovo"), cv=3),
    "calibrated LinearSVC": lambda: CalibratedClassifierCV(LinearSVC(random_state=SEED), cv=3),
    "calibrated GaussianNB": lambda: CalibratedClassifierCV(GaussianNB(), cv=3),
    "calibrated QDA": lambda: CalibratedClassifierCV(QuadraticDiscriminantAnalysis(reg_param=0.1), cv=3),
    "calibrated MLP, no ensemble": lambda: CalibratedClassifierCV(mlp("tanh"), cv=3, ensemble=False),
    "calibrated pipeline": lambda: CalibratedClassifierCV(make_pipeline(StandardScaler(), SVC()), cv=3),
    "calibrated twice": lambda: CalibratedClassifierCV(CalibratedClassifierCV(SVC(), cv=2), cv=2),
    "pipeline": lambda: make_pipeline(StandardScaler(), platt()),
    "nested pipeline": lambda: make_pipeline(
        make_pipeline(StandardScaler(), "passthrough"),
        MinMaxScaler(clip=True),
        PCA(3, whiten=True),
        mlp("relu"),
    ),
}
if "multi_class" in LogisticRegression().get_params():
    ZOO |= {
        f"LogisticRegression, {how}": lambda how=how: LogisticRegression(multi_class=how)
        for how in ("ovr", "multinomial")
    }
    ZOO["LogisticRegression by liblinear"] = lambda: LogisticRegression(solver="liblinear")
if tuple(int(part) for part in sklearn.__version__.split(".")[:2]) >= (1, 8):
    ZOO |= {
        f"{name} by temperature": lambda model=model, ensemble=ensemble: CalibratedClassifierCV(
            model, method="temperature", cv=3, ensemble=ensemble
        )
        for name, model, ensemble in (
            ("calibrated LDA", LinearDiscriminantAnalysis(), True),
            ("calibrated GaussianNB", GaussianNB(), False),
            ("calibrated SVC", SVC(), True),
        )
    }


def data(k: int) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Give overlapping clouds of `k` classes on features of unlike sizes."""
    dice = np.random.default_rng(k)
    centres = 1.3 * dice.standard_normal((k, F))
    which = dice.integers(0, k, 45 * k)
    x = (centres[which] + dice.standard_normal((len(which), F))) * [1.0, 2.0, 0.5, 1.0, 1.0] + [
        0,
        1,
        0,
        -2,
        0,
    ]
    return x, np.array([f"class {i}" for i in range(k)])[which]


@cache
def fitted(name: str, k: int) -> tuple[Any, Twin]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unconverged networks, and SVC(probability=True) from 1.9 on
        estimator = ZOO[name]().fit(*data(k))
    return estimator, twin_of(estimator)


@cache
def questions(estimator: Any, k: int) -> NDArray[np.float64]:
    """Give easy, far and hard inputs: the hard ones lie within 1e-7 of where the answer changes."""
    x, _ = data(k)
    dice = np.random.default_rng(SEED)
    near, far = dice.permutation(x)[:60], 4 * dice.standard_normal((40, F))
    a, b = dice.permutation(x), dice.permutation(x)
    here = estimator.predict(a)
    differ = here != estimator.predict(b)
    a, b, here = a[differ][:60], b[differ][:60], here[differ][:60]
    for _ in range(26):
        middle = (a + b) / 2
        same = (estimator.predict(middle) == here)[:, None]
        a, b = np.where(same, middle, a), np.where(same, b, middle)
    return np.concatenate([near, far, a, b])


def off_the_kinks(k: int) -> torch.Tensor:
    """Give three rows where no scaler begins to clip, as one does at the training data's extremes."""
    return torch.from_numpy(0.97 * data(k)[0][:3]).requires_grad_()


every = pytest.mark.parametrize("name", ZOO)
classes = pytest.mark.parametrize("k", [2, 4])


@every
@classes
def test_the_twin_decides_as_the_estimator_predicts_also_at_its_boundaries(name: str, k: int) -> None:
    estimator, twin = fitted(name, k)
    x = questions(estimator, k)
    answers = twin.decide(torch.from_numpy(x))
    assert answers.dtype == torch.int64
    np.testing.assert_array_equal(twin.classes[answers.numpy()], estimator.predict(x))


@every
@classes
def test_the_twin_gives_the_estimators_decision_function_or_none(name: str, k: int) -> None:
    estimator, twin = fitted(name, k)
    x = questions(estimator, k)[:100]
    decision = twin.decision(torch.from_numpy(x))
    assert (decision is None) != hasattr(estimator, "decision_function")
    if decision is not None:
        truth = estimator.decision_function(x)
        np.testing.assert_allclose(decision.numpy(), truth.reshape(len(x), -1), rtol=0, atol=1e-9)


@every
@classes
def test_the_twin_gives_the_estimators_probabilities_or_none(name: str, k: int) -> None:
    estimator, twin = fitted(name, k)
    x = questions(estimator, k)[:100]
    probabilities = twin.probabilities(torch.from_numpy(x))
    assert (probabilities is None) != hasattr(estimator, "predict_proba")
    if probabilities is not None:
        np.testing.assert_allclose(probabilities.numpy(), estimator.predict_proba(x), rtol=0, atol=1e-9)


@every
@classes
def test_the_scores_are_of_the_kind_that_the_twin_declares(name: str, k: int) -> None:
    estimator, twin = fitted(name, k)
    x = torch.from_numpy(questions(estimator, k)[:100])
    scores = twin.scores(x)
    if twin.kind is Kind.DUELS:
        assert scores.shape == (100, k, k)
        assert torch.equal(scores, -scores.mT)
        leader = winner(scores)
        if estimator.get_params().get("break_ties"):
            return
    else:
        assert scores.shape == (100, k)
        leader = scores.argmax(1)
    if twin.kind is Kind.LOG_PROBABILITY:
        assert torch.allclose(scores.exp(), twin.probabilities(x), rtol=0, atol=1e-12)
    if twin.note is None:
        assert torch.equal(leader, twin.decide(x))


@every
@classes
def test_the_gradient_of_the_scores_is_that_of_finite_differences(name: str, k: int) -> None:
    _, twin = fitted(name, k)
    x = off_the_kinks(k)
    assert torch.autograd.gradcheck(twin.scores, x)


@every
@classes
def test_the_gradient_of_smooth_probabilities_is_that_of_finite_differences(name: str, k: int) -> None:
    estimator, twin = fitted(name, k)
    x = off_the_kinks(k)
    probabilities = twin.probabilities(x)
    if probabilities is None:
        assert not hasattr(estimator, "predict_proba")
    elif twin.kind is Kind.DUELS:  # stepped in value: their stand-ins have tests of their own
        (slope,) = torch.autograd.grad(log_odds(probabilities, torch.zeros(len(x), dtype=torch.int64)).sum(), x)
        assert slope.isfinite().all()
        assert (slope.norm(dim=1) > 0).all()
    else:
        assert torch.autograd.gradcheck(twin.probabilities, x)


@every
def test_a_row_does_not_feel_its_batch(name: str) -> None:
    estimator, twin = fitted(name, 4)
    x = torch.from_numpy(questions(estimator, 4)[::9])
    assert torch.allclose(torch.cat([twin.scores(row[None]) for row in x]), twin.scores(x), rtol=0, atol=1e-11)
    if hasattr(estimator, "predict_proba"):
        alone = torch.cat([twin.probabilities(row[None]) for row in x])
        assert torch.allclose(alone, twin.probabilities(x), rtol=0, atol=1e-11)


@every
def test_features_of_single_precision_are_computed_in_double(name: str) -> None:
    _, twin = fitted(name, 4)
    x = torch.from_numpy(data(4)[0][:4]).float().requires_grad_()
    scores = twin.scores(x)
    assert scores.dtype == torch.float64
    assert torch.equal(scores, twin.scores(x.double()))
    scores.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.float32


@every
def test_features_of_another_shape_are_refused_with_both_shapes(name: str) -> None:
    _, twin = fitted(name, 4)
    assert twin.n_features == F
    with pytest.raises(ValueError, match=rf"\(2, {F + 1}\).*\(N, {F}\)"):
        twin.scores(torch.zeros(2, F + 1))


@every
def test_a_note_stands_exactly_where_something_else_stands_in_for_the_gradient(name: str) -> None:
    _, twin = fitted(name, 4)
    on_votes = name.startswith("calibrated") and "Linear" not in name and "ovo" not in name and twin.kind is Kind.DUELS
    on_trees = any(word in name for word in ("Tree", "Forest", "Boosting"))
    assert (twin.note is not None) == (on_votes or on_trees)
    if twin.note is not None:
        assert ("trees answer in steps" if on_trees else "votes") in twin.note


def test_every_builder_is_met_by_these_tests() -> None:
    met: set[str] = set()

    def meet(estimator: Any) -> None:
        met.add(type(estimator).__name__)
        for value in estimator.get_params(deep=True).values():
            if hasattr(value, "get_params"):
                met.add(type(value).__name__)

    for make in ZOO.values():
        meet(make())
    assert set(TWINS) | set(TRANSFORMS) == met | {"FrozenEstimator"}
