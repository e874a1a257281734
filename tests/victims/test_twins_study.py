"""The study's own victims: an SVC of 11 instruments on 25 features."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from subterfuge.victims.twins import Twin, behind, transform_of, twin_of

SUFFIXES = ["", "_noisy", "_denoise"]


@pytest.fixture(scope="module", params=SUFFIXES, ids=["clean", "noisy", "denoise"])
def study(request: pytest.FixtureRequest, seed_study: Path) -> tuple[Any, Any, Twin]:
    models = seed_study / "models"
    model = pickle.loads((models / f"their_tuned_model{request.param}.pkl").read_bytes())
    scaler = joblib.load(models / f"std_scaler{request.param}.bin")
    return model, scaler, behind([transform_of(scaler)], twin_of(model))


def features(model: Any, scaler: Any, n: int) -> NDArray[np.float64]:
    """Give raw features at support vectors, near them and far from all of them."""
    dice = np.random.default_rng(0)
    here = dice.permutation(model.support_vectors_)[:n]
    near = here + 0.5 * dice.standard_normal(here.shape)
    far = 20 * dice.standard_normal((n, 25))
    return scaler.inverse_transform(np.concatenate([here, near, far]))


def test_answers_duels_and_probabilities_are_the_studys(study: tuple[Any, Any, Twin]) -> None:
    model, scaler, twin = study
    raw = features(model, scaler, 60)
    scaled, x = scaler.transform(raw), torch.from_numpy(raw)
    np.testing.assert_array_equal(twin.classes[twin.decide(x).numpy()], model.predict(scaled))
    np.testing.assert_allclose(twin.probabilities(x).numpy(), model.predict_proba(scaled), rtol=0, atol=1e-9)
    np.testing.assert_allclose(twin.decision(x).numpy(), model.decision_function(scaled), rtol=0, atol=1e-9)


def test_from_a_small_probability_the_gradient_climbs_to_the_target(study: tuple[Any, Any, Twin]) -> None:
    model, _, twin = study
    twin = twin_of(model)
    x = torch.from_numpy(np.random.default_rng(1).permutation(model.support_vectors_)[:200])
    p = twin.probabilities(x)
    reached = 0
    for target in (1, 5, 8):
        worst = p[:, target].argsort()[:6]
        q = x[worst]
        assert (p[worst, target] < 5e-3).all()
        for _ in range(80):
            q = q.requires_grad_()
            (slope,) = torch.autograd.grad(twin.probabilities(q)[:, target].log().sum(), q)
            q = q.detach() + 0.15 * slope / slope.norm(dim=1, keepdim=True)
        reached += int((model.predict_proba(q.numpy())[:, target] > 0.5).sum())
    assert reached >= 17  # of 18
