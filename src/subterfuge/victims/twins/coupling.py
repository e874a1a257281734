"""From pairwise probabilities to class probabilities, as libsvm does it.

Wu, Lin and Weng, "Probability Estimates for Multi-class Classification by Pairwise Coupling", JMLR 5 (2004),
section 4, method 2: with r_ij the probability of class i against class j,

    p* = argmin pᵀQp  where  Σp = 1,  Q_tt = Σ_{j≠t} r_jt²,  Q_tj = −r_jt r_tj.

libsvm approaches p* by their algorithm 2 and stops early, with a visible error (1e-3), so its rule is
repeated here to the letter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

FLOOR = 1e-7
"""Pairwise probabilities stay within [FLOOR, 1 − FLOOR] (libsvm's ``min_prob``)."""


def couple(r: Tensor) -> Tensor:
    """Give libsvm's class probabilities (N, K) of pairwise probabilities (N, K, K), float64.

    Entry [n, i, j] is the probability of class i against class j, within [`FLOOR`, 1 − `FLOOR`] off the
    diagonal, and r_ij + r_ji = 1; the diagonal is not read.

    The value is that of libsvm's early-stopped iteration, a stepped function. The gradient is that of the
    exact solution in logarithms: ∂ log p = ∂ log p*. So it is right in relative size also for a class whose p
    is mostly stopping error, and finite, as r ≥ `FLOOR` keeps p* above `FLOOR` / K.
    """
    p: Tensor = _Couple.apply(r)  # type: ignore[no-untyped-call]
    return p


def couple_exactly(r: Tensor) -> Tensor:
    """Give p*, the exact solution, (N, K), of pairwise probabilities (N, K, K), with its own gradient."""
    system, k = _system(r), r.shape[-1]
    one = torch.zeros_like(system[..., 0])
    one[..., k] = 1
    solution: Tensor = torch.linalg.solve(system, one)
    return solution[..., :k]


def _quadratic(r: Tensor) -> Tensor:
    """Give Q (N, K, K)."""
    off = r * (1 - torch.eye(r.shape[-1], dtype=r.dtype))
    return torch.diag_embed(off.square().sum(-2)) - off.mT * off


def _system(r: Tensor) -> Tensor:
    """Give the matrix [[Q, 1], [1ᵀ, 0]] of the optimality conditions, (N, K + 1, K + 1)."""
    border = torch.nn.functional.pad(_quadratic(r), (0, 1, 0, 1), value=1.0)
    k = r.shape[-1]
    corner = torch.zeros(k + 1, k + 1, dtype=r.dtype)
    corner[k, k] = 1
    return border - corner


def _iterate(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Run algorithm 2 on Q (K, K, N), from 1/K, each column until it stops by itself; give p (K, N).

    The state is z = [Qp; p]. Raising p_t by d and rescaling to Σp = 1 turns z into (z + d [Q_t; e_t]) / (1 +
    d).
    """
    k, _, n = q.shape
    p = np.full((k, n), 1.0 / k)
    eps = 0.005 / k
    live = np.arange(n)
    step = np.concatenate([q, np.broadcast_to(np.eye(k)[:, :, None], q.shape)], axis=1)
    diagonal = np.ascontiguousarray(q[np.arange(k), np.arange(k)])
    z = np.empty((2 * k, n))
    for _ in range(max(100, k)):
        now = p[:, live]
        qp = (step[:, :k] * now[None]).sum(1)
        pqp = (now * qp).sum(0)
        going = ~(np.abs(qp - pqp).max(0) < eps)
        if not going.all():
            live, step, diagonal = live[going], step[..., going], diagonal[:, going]
            now, qp, pqp = now[:, going], qp[:, going], pqp[going]
            if not live.size:
                break
        z = np.concatenate([qp, now])
        for t in range(k):
            q_t = z[t]
            d = (pqp - q_t) / diagonal[t]
            scale = 1 + d
            pqp = (pqp + d * (d * diagonal[t] + 2 * q_t)) / scale / scale
            z += d * step[t]
            z /= scale
        p[:, live] = z[k:]
    return p


class _Couple(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, r: Tensor) -> Tensor:
        q = np.ascontiguousarray(_quadratic(r).permute(1, 2, 0).numpy())
        p = torch.from_numpy(np.ascontiguousarray(_iterate(q).T))
        ctx.save_for_backward(r, p)
        return p

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        # M [p*; λ] = [0; 1] for M = [[Q, 1], [1ᵀ, 0]], hence M d[p*; λ] = −[dQ p*; 0].
        # For weights w on p* and M [v; μ] = [w; 0]: w·dp* = −vᵀ dQ p*.
        r: Tensor
        p: Tensor
        r, p = ctx.saved_tensors
        k = r.shape[-1]
        lu, pivots = torch.linalg.lu_factor(_system(r))
        one = torch.zeros(len(r), k + 1, 1, dtype=r.dtype)
        one[:, k] = 1
        exact = torch.linalg.lu_solve(lu, pivots, one)[:, :k, 0]
        right = torch.zeros_like(one)
        right[:, :k, 0] = grad * p / exact
        v = torch.linalg.lu_solve(lu, pivots, right)[:, :k, 0]
        by_q = -v[:, :, None] * exact[:, None, :]
        on_diagonal = 2 * r * torch.diagonal(by_q, dim1=1, dim2=2)[:, None, :]
        off_diagonal = -r.mT * (by_q + by_q.mT)
        by_r: Tensor = (on_diagonal + off_diagonal) * (1 - torch.eye(k, dtype=r.dtype))
        return by_r
