"""Pairwise coupling: libsvm's value, the exact solution's gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from subterfuge.victims.twins.coupling import FLOOR, couple, couple_exactly


def pairwise(k: int, n: int, *, spread: float, seed: int) -> Tensor:
    """Give random pairwise probabilities (n, k, k), more saturated the wider their logits spread."""
    dice = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(n, k, k, dtype=torch.float64, generator=dice)
    upper = torch.triu(torch.sigmoid(logits).clamp(FLOOR, 1 - FLOOR), diagonal=1)
    return upper + torch.tril(1 - upper.mT, diagonal=-1)


def one_row_at_a_time(r: Tensor) -> list[float]:
    """Run algorithm 2 of Wu, Lin and Weng on one row in plain Python numbers, with libsvm's stopping rule."""
    k = len(r)
    rest = [[j for j in range(k) if j != t] for t in range(k)]
    q = [[-float(r[j, t] * r[t, j]) for j in range(k)] for t in range(k)]
    for t in range(k):
        q[t][t] = sum(float(r[j, t]) ** 2 for j in rest[t])
    p = [1 / k] * k
    for _ in range(max(100, k)):
        qp = [sum(a * b for a, b in zip(row, p, strict=True)) for row in q]
        mean = sum(a * b for a, b in zip(p, qp, strict=True))
        if max(abs(each - mean) for each in qp) < 0.005 / k:
            break
        for t in range(k):
            # libsvm updates these two in place; from p itself they are the same numbers
            others = sum(q[t][j] * p[j] for j in range(k))
            mean = sum(p[i] * q[i][j] * p[j] for i in range(k) for j in range(k))
            raised = p[t] + (mean - others) / q[t][t]
            p[t] = raised
            total = sum(p)
            p = [each / total for each in p]
    return p


@pytest.mark.parametrize("k", [2, 3, 7, 11])
@pytest.mark.parametrize("spread", [0.5, 3.0, 30.0])
def test_the_value_is_that_of_the_early_stopped_iteration(k: int, spread: float) -> None:
    r = pairwise(k, 6, spread=spread, seed=k)
    truth = [one_row_at_a_time(row) for row in r]
    np.testing.assert_allclose(couple(r).numpy(), truth, rtol=0, atol=1e-12)


def test_the_early_stop_is_visible_so_an_exact_solver_would_not_do() -> None:
    r = pairwise(11, 200, spread=2.0, seed=0)
    assert (couple(r) - couple_exactly(r)).abs().max() > 2e-4


def test_pairs_that_agree_with_each_other_have_their_own_probabilities_as_exact_solution() -> None:
    p = torch.rand(5, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    p = p / p.sum(1, keepdim=True)
    r = p[:, :, None] / (p[:, :, None] + p[:, None, :])
    assert torch.allclose(couple_exactly(r), p, rtol=0, atol=1e-12)


def test_the_gradient_of_the_exact_solution_is_that_of_finite_differences() -> None:
    assert torch.autograd.gradcheck(couple_exactly, pairwise(4, 2, spread=1.0, seed=2).requires_grad_())


@pytest.mark.parametrize("spread", [0.5, 3.0, 30.0])
def test_log_probabilities_have_the_gradient_of_the_exact_log_probabilities(spread: float) -> None:
    r = pairwise(11, 5, spread=spread, seed=3).requires_grad_()
    weights = torch.randn(5, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    (ours,) = torch.autograd.grad((couple(r).log() * weights).sum(), r)
    (exact,) = torch.autograd.grad((couple_exactly(r).log() * weights).sum(), r)
    assert torch.allclose(ours, exact, rtol=1e-8, atol=1e-8 * float(exact.abs().max()))


@pytest.mark.parametrize("k", [2, 3, 11])
def test_the_gradient_of_every_log_probability_is_finite_however_saturated_the_pairs(k: int) -> None:
    r = pairwise(k, 40, spread=1e4, seed=5)
    assert set(r[:, 0, 1].tolist()) <= {FLOOR, 1 - FLOOR}
    r.requires_grad_()
    p = couple(r)
    assert (p > 0).all()
    for target in range(k):
        (slope,) = torch.autograd.grad(p[:, target].log().sum(), r, retain_graph=True)
        assert slope.isfinite().all()
        assert (slope.flatten(1).norm(dim=1) > 0).all()


def test_each_row_stops_by_itself() -> None:
    r = torch.cat([pairwise(11, 5, spread=spread, seed=6) for spread in (0.01, 1.0, 30.0)])
    alone = torch.cat([couple(row[None]) for row in r])
    assert torch.allclose(couple(r), alone, rtol=0, atol=1e-15)


def test_what_is_not_a_number_stays_so_and_leaves_other_rows_alone() -> None:
    r = pairwise(4, 2, spread=1.0, seed=7)
    spoilt = r.clone()
    spoilt[0, 0, 1] = torch.nan
    p = couple(spoilt)
    assert p[0].isnan().all()
    assert torch.equal(p[1], couple(r)[1])
