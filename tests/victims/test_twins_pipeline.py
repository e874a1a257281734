"""Feature transforms, and twins behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from subterfuge.victims.twins import NoTwin, behind, transform_of, twin_of

X = np.random.default_rng(0).standard_normal((90, 6)) * [1, 5, 0.1, 1, 2, 3] + [0, 100, -4, 1, 2, 3]
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 102)


@pytest.mark.parametrize(
    "transform",
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        StandardScaler(with_mean=False, with_std=False),
        MinMaxScaler(),
        MinMaxScaler((-2, 3), clip=True),
        PCA(),
        PCA(3),
        PCA(4, whiten=True),
        make_pipeline(StandardScaler(), "passthrough", PCA(2)),
    ],
    ids=str,
)
def test_a_transform_and_its_gradient_are_the_estimators(transform: Any) -> None:
    transform.fit(X)
    beyond = 1.7 * X
    twin = transform_of(transform)
    assert twin.n_features == 6
    np.testing.assert_allclose(twin(torch.from_numpy(beyond)).numpy(), transform.transform(beyond), atol=1e-11)
    assert torch.autograd.gradcheck(twin, torch.from_numpy(beyond[:3]).requires_grad_())


def test_a_feature_that_never_varied_is_only_centred() -> None:
    constant = np.where(np.arange(6) == 2, 7.0, X)
    scaler = StandardScaler().fit(constant)
    np.testing.assert_allclose(transform_of(scaler)(torch.from_numpy(X)).numpy(), scaler.transform(X), atol=1e-12)


def test_components_without_variance_are_whitened_as_the_estimator_does() -> None:
    flat = X[:, [0, 1, 1]]
    pca = PCA(whiten=True).fit(flat)
    ours = transform_of(pca)(torch.from_numpy(flat)).numpy()
    np.testing.assert_allclose(ours[:, :2], pca.transform(flat)[:, :2], atol=1e-9)


def test_a_scaler_and_a_model_from_two_files_are_put_together_by_hand() -> None:
    scaler = StandardScaler().fit(X)
    model = SVC().fit(scaler.transform(X), Y)
    twin = behind([transform_of(scaler)], twin_of(model))
    np.testing.assert_array_equal(twin.decide(torch.from_numpy(X)).numpy(), model.predict(scaler.transform(X)))
    assert twin.n_features == 6


def test_nothing_in_front_is_the_twin_itself() -> None:
    twin = twin_of(LogisticRegression().fit(X, Y > 0))
    assert behind([], twin) is twin
    empty = make_pipeline("passthrough").fit(X)
    assert behind([transform_of(empty)], twin) is twin


def test_a_scaler_of_other_features_than_the_models_is_refused() -> None:
    model = SVC().fit(X[:, :4], Y)
    with pytest.raises(ValueError, match="Standardise gives 6 features, but 4 are wanted"):
        behind([transform_of(StandardScaler().fit(X))], twin_of(model))


def test_steps_may_be_none() -> None:
    model = Pipeline([("none", None), ("scale", StandardScaler()), ("model", LogisticRegression())]).fit(X, Y)
    answers = twin_of(model).probabilities(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(answers, model.predict_proba(X), rtol=0, atol=1e-9)


def test_a_pipeline_without_a_classifier_at_its_end_is_refused() -> None:
    with pytest.raises(NoTwin, match="ends in 'passthrough'"):
        twin_of(make_pipeline(StandardScaler(), "passthrough").fit(X))
    with pytest.raises(NoTwin, match="no twin of StandardScaler is written"):
        twin_of(make_pipeline(StandardScaler()).fit(X))
