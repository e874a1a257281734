"""Calibrated models: what the search sees where probabilities jump, and what it sees where they vanish."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.svm import SVC, LinearSVC

from subterfuge.victim import Kind
from subterfuge.victims.twins import NoTwin, twin_of


def clouds(k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    dice = np.random.default_rng(k)
    which = dice.integers(0, k, 60 * k)
    return 1.5 * dice.standard_normal((k, 4))[which] + dice.standard_normal((len(which), 4)), which


def test_the_scores_over_one_versus_one_machines_are_the_mean_duels_of_the_folds() -> None:
    x, y = clouds(4)
    model = CalibratedClassifierCV(SVC(decision_function_shape="ovr"), cv=3).fit(x, y)
    twin = twin_of(model)
    duels = []
    for member in model.calibrated_classifiers_:
        member.estimator.decision_function_shape = "ovo"
        duels.append(member.estimator.decision_function(x))
    i, j = np.triu_indices(4, 1)
    assert twin.kind is Kind.DUELS
    np.testing.assert_allclose(twin.scores(torch.from_numpy(x)).numpy()[:, i, j], np.mean(duels, 0), rtol=0, atol=1e-9)


def test_climbing_a_probability_that_jumps_mostly_ends_in_the_wanted_class() -> None:
    x, y = clouds(4)
    model = CalibratedClassifierCV(SVC(), cv=3).fit(x, y)
    twin = twin_of(model)
    reached = 0
    for target in range(4):
        q = torch.from_numpy(x[y != target][:20])
        for _ in range(60):
            q = q.requires_grad_()
            (slope,) = torch.autograd.grad(twin.probabilities(q)[:, target].log().sum(), q)
            q = q.detach() + 0.1 * slope / slope.norm(dim=1, keepdim=True)
        reached += int((model.predict(q.numpy()) == target).sum())
    assert reached >= 60  # of 80; some rows end on a hill of another class


@pytest.mark.parametrize("k", [2, 3])
def test_where_every_sigmoid_underflows_probabilities_follow_the_model_and_scores_go_on(k: int) -> None:
    x, y = clouds(k)
    model = CalibratedClassifierCV(LinearSVC(dual="auto", random_state=0), cv=2, ensemble=False).fit(x, y)
    twin = twin_of(model)
    q = torch.from_numpy(1e6 * x[:40]).requires_grad_()
    probabilities, scores = twin.probabilities(q), twin.scores(q)
    np.testing.assert_allclose(probabilities.detach().numpy(), model.predict_proba(q.detach().numpy()), atol=1e-9)
    assert (probabilities == 0).any()
    np.testing.assert_array_equal(twin.decide(q).numpy(), model.predict(q.detach().numpy()))
    assert scores.isfinite().all()
    lost = scores.argmin(1)
    (slope,) = torch.autograd.grad(scores.gather(1, lost[:, None]).sum(), q)
    assert slope.isfinite().all()
    assert (slope.norm(dim=1) > 0).all()


def test_one_logistic_curve_a_class_that_all_underflow_are_uniform_as_in_the_model() -> None:
    x, y = clouds(3)
    model = SGDClassifier(loss="log_loss", random_state=0).fit(x, y)
    far = np.linalg.pinv(model.coef_) @ [-1e5, -2e5, -3e5]
    far = np.stack([far, x[0]])
    ours = twin_of(model).probabilities(torch.from_numpy(far)).numpy()
    assert (ours[0] == 1 / 3).all()
    with np.errstate(invalid="ignore"):
        truth = model.predict_proba(far)
    truth[np.isnan(truth)] = 1 / 3  # scikit-learn before 1.8 divides zero by zero here
    np.testing.assert_allclose(ours, truth, rtol=0, atol=1e-9)


def test_a_frozen_model_inside_is_looked_through() -> None:
    frozen = pytest.importorskip("sklearn.frozen", reason="FrozenEstimator came with scikit-learn 1.6")
    x, y = clouds(3)
    model = CalibratedClassifierCV(frozen.FrozenEstimator(LogisticRegression().fit(x, y))).fit(x, y)
    answers = twin_of(model).probabilities(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(answers, model.predict_proba(x), rtol=0, atol=1e-9)


def test_isotonic_calibration_is_refused_because_it_is_a_step_function() -> None:
    model = CalibratedClassifierCV(LinearSVC(dual="auto", random_state=0), method="isotonic", cv=2).fit(*clouds(3))
    with pytest.raises(NoTwin, match="isotonic calibration is a step function"):
        twin_of(model)


def test_a_fold_that_never_saw_a_class_is_refused() -> None:
    x, y = clouds(4)
    rows = np.arange(len(y))
    folds = [(rows[y != 3], rows), (rows, rows)]
    model = CalibratedClassifierCV(LinearSVC(dual="auto", random_state=0), cv=folds).fit(x, y)
    with pytest.raises(NoTwin, match="never saw some of the classes"):
        twin_of(model)
