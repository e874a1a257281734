"""Support vector machines: ties, the far field, Platt's probabilities and their stand-in gradient."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.svm import SVC

from subterfuge.victims.twins import twin_of
from subterfuge.victims.twins.coupling import FLOOR, couple_exactly
from subterfuge.victims.twins.svm import VOTE_WIDTH


def clouds(k: int, f: int = 4, n: int = 240, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    dice = np.random.default_rng(seed)
    which = dice.integers(0, k, n)
    return 1.2 * dice.standard_normal((k, f))[which] + dice.standard_normal((n, f)), which


def fit(x: Any, y: NDArray[np.int64], **knobs: Any) -> SVC:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The `probability` parameter", FutureWarning)
        return SVC(random_state=0, **knobs).fit(x, y)


def exact_log_probabilities(estimator: SVC, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the logarithm of the exact coupling of scikit-learn's own pairwise decision values."""
    k = len(estimator.classes_)
    i, j = np.triu_indices(k, 1)
    duels = estimator.set_params(decision_function_shape="ovo").decision_function(x)
    pair = 1 / (1 + np.exp(estimator._probA * duels + estimator._probB))
    r = np.zeros((len(x), k, k))
    r[:, i, j] = pair
    r[:, j, i] = 1 - pair
    return np.log(couple_exactly(torch.from_numpy(r)).numpy())


def test_of_equal_votes_the_first_class_wins_unless_ties_are_broken() -> None:
    x, y = clouds(5)
    estimator = fit(x, y, gamma=0.2)
    hard = 2 * np.random.default_rng(1).standard_normal((6000, 4))
    q = torch.from_numpy(hard)
    votes = (twin_of(estimator).scores(q) > 0).sum(-1)
    tied = ((votes == votes.amax(1, keepdim=True)).sum(1) > 1).numpy()
    assert tied.sum() > 20
    first = twin_of(estimator).decide(q).numpy()
    np.testing.assert_array_equal(first, estimator.predict(hard))
    estimator.break_ties = True
    broken = twin_of(estimator).decide(q).numpy()
    np.testing.assert_array_equal(broken, estimator.predict(hard))
    assert (first != broken).any()
    assert not (first != broken)[~tied].any()


@pytest.mark.parametrize("k", [3, 5])
def test_log_probabilities_climb_as_the_exact_coupling_does(k: int) -> None:
    x, y = clouds(k)
    estimator = fit(x, y, gamma=0.2, probability=True)
    q = torch.from_numpy(x[:4]).requires_grad_()
    log_p = twin_of(estimator).probabilities(q).log()
    step = 1e-6
    for target in range(k):
        (slope,) = torch.autograd.grad(log_p[:, target].sum(), q, retain_graph=True)
        for f in range(x.shape[1]):
            move = step * np.eye(x.shape[1])[f]
            up, down = (exact_log_probabilities(estimator, x[:4] + s * move)[:, target] for s in (1, -1))
            np.testing.assert_allclose(slope[:, f].numpy(), (up - down) / (2 * step), rtol=1e-5, atol=1e-7)


def test_a_clipped_pair_keeps_a_slope_that_leads_out_of_the_clip() -> None:
    x, y = clouds(2)
    estimator = fit(np.where(y[:, None] == 1, x + 9, x - 9), y, kernel="linear", probability=True)
    q = torch.full((1, 4), -3000.0, dtype=torch.float64, requires_grad=True)
    p = twin_of(estimator).probabilities(q)
    np.testing.assert_allclose(p.detach().numpy(), estimator.predict_proba(q.detach().numpy()), atol=1e-12)
    (slope,) = torch.autograd.grad(p[:, 1].log().sum(), q)
    direction = torch.from_numpy(estimator.coef_.copy())
    assert torch.cosine_similarity(slope, direction).item() == pytest.approx(1)
    # d log r / d logit is 1 − r at the clip
    expected = -float(estimator._probA[0]) * (1 - FLOOR) * float(direction.norm())
    assert float(slope.norm()) == pytest.approx(abs(expected), rel=1e-6)


def test_far_from_every_support_vector_the_gradient_keeps_its_true_direction() -> None:
    x, y = clouds(3)
    estimator = fit(x, y, gamma=0.7, decision_function_shape="ovo")
    dice = np.random.default_rng(3)
    for distance in (3.0, 30.0, 80.0):
        far = dice.standard_normal(4)
        far *= distance / np.linalg.norm(far)
        q = torch.from_numpy(far[None]).requires_grad_()
        table = twin_of(estimator).scores(q)[0]
        duel = table[0, 1]
        assert duel.item() == pytest.approx(estimator.decision_function(far[None])[0, 0], abs=1e-9)
        (slope,) = torch.autograd.grad(duel, q, retain_graph=True)
        # the same sum in extended precision, whose exponents reach to 10^-4932
        away = far.astype(np.longdouble) - estimator.support_vectors_
        kernel = np.exp(np.longdouble(-0.7) * (away**2).sum(1))
        ends = np.cumsum(estimator.n_support_)
        weight = np.where(np.arange(ends[-1]) < ends[1], estimator.dual_coef_[0], 0)
        truth = (np.longdouble(-1.4) * (weight * kernel)[:, None] * away).sum(0)
        size = np.sqrt((truth**2).sum())
        unit = torch.from_numpy((truth / size).astype(np.float64))
        assert float((slope[0] / slope.norm()) @ unit) == pytest.approx(1, abs=1e-9)
        if distance == 3.0:
            assert float(slope.norm()) == pytest.approx(float(size), rel=1e-9)
        else:
            assert size < 1e-200
            loudest = max(
                float(torch.autograd.grad(table[i, j], q, retain_graph=True)[0].norm())
                for i, j in ((0, 1), (0, 2), (1, 2))
            )
            assert 1e-14 < loudest < 1e-6


def test_a_row_far_away_leaves_the_gradient_of_its_neighbours_alone() -> None:
    x, y = clouds(3)
    twin = twin_of(fit(x, y, gamma=0.7))
    slopes = []
    for rows in (x[:1], np.concatenate([x[:1], x[:1] + 500])):
        q = torch.from_numpy(rows).requires_grad_()
        slopes.append(torch.autograd.grad(twin.scores(q)[:, 0, 1].sum(), q)[0][0])
    assert torch.allclose(slopes[0], slopes[1], rtol=1e-12, atol=0)


def test_the_gradient_at_a_support_vector_is_finite() -> None:
    x, y = clouds(3)
    estimator = fit(x, y, gamma=0.7)
    q = torch.from_numpy(estimator.support_vectors_[:5]).requires_grad_()
    assert torch.autograd.gradcheck(twin_of(estimator).scores, q)


def test_features_far_from_the_origin_lose_no_precision() -> None:
    x, y = clouds(4)
    estimator = fit(x + 1e4, y, gamma=0.7, C=100, decision_function_shape="ovo")
    i, j = np.triu_indices(4, 1)
    table = twin_of(estimator).scores(torch.from_numpy(x + 1e4)).numpy()
    np.testing.assert_allclose(table[:, i, j], estimator.decision_function(x + 1e4), rtol=0, atol=1e-9)


def test_a_model_fitted_on_sparse_features_has_a_twin() -> None:
    x, y = clouds(3)
    estimator = fit(sparse.csr_matrix(x), y, probability=True)
    twin, q = twin_of(estimator), torch.from_numpy(x)
    np.testing.assert_allclose(twin.probabilities(q).numpy(), estimator.predict_proba(x), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(twin.decide(q).numpy(), estimator.predict(x))


def test_the_gradient_of_votes_is_that_of_smooth_votes() -> None:
    x, y = clouds(4)
    twin = twin_of(fit(x, y, gamma=0.2))
    q = torch.from_numpy(x[:6]).requires_grad_()
    weights = torch.arange(1.0, 5.0, dtype=torch.float64)
    (slope,) = torch.autograd.grad((twin.decision(q) * weights).sum(), q)

    def smooth(z: torch.Tensor) -> torch.Tensor:
        table = twin.scores(z)
        total = table.sum(-1)
        return (table / VOTE_WIDTH).sigmoid().sum(-1) + total / (3 * total.abs() + 3)

    step = 1e-6
    for f in range(4):
        move = torch.zeros(4, dtype=torch.float64)
        move[f] = step
        with torch.no_grad():
            truth = ((smooth(q + move) - smooth(q - move)) @ weights) / (2 * step)
        assert torch.allclose(slope[:, f], truth, rtol=1e-6, atol=1e-7)
