"""A linear model of everything that a victim scores, and the nearest point where the goal is met by the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CUTS = 40
"""Most planes that are laid to find a point of the model."""
KEPT = 16
"""Of them, the latest, which count at a time."""
FLAT = 1e-100
"""A slope that counts as none: its square is still a number."""


@dataclass(frozen=True)
class Model:
    """Answers near a point: ``answer + (z - place) @ slopes``, in G coordinates z."""

    answer: Tensor
    """What the victim scores there, shape (K,) or (K, K)."""
    slopes: Tensor
    """By how much each score moves along each coordinate, shape (G, K) or (G, K, K)."""
    place: Tensor
    """Where that is, shape (G,)."""
    margin_of: Callable[[Tensor], Tensor]
    """From answers (P, ...) to margins (P,)."""

    def at(self, answer: Tensor, place: Tensor) -> Model:
        """Give the same slopes from another point whose answer is known."""
        return Model(answer, self.slopes, place, self.margin_of)

    def margin(self, z: Tensor) -> tuple[float, Tensor]:
        """Give the model's margin at z (G,), and its slope there (G,)."""
        z = z.detach().clone().requires_grad_()
        answer = self.answer + torch.tensordot(z - self.place, self.slopes, dims=1)
        margin = self.margin_of(answer[None])[0]
        slope = torch.autograd.grad(margin, z)[0] if margin.requires_grad else torch.zeros_like(z)
        return float(margin.detach()), slope

    def least(self, stay: float, needed: float, tolerance: float) -> Tensor:
        """Give z of the least ``|z|² + stay |z - place|²`` whose margin is `needed`, or within `tolerance` of it.

        The margin is a minimum, or a vote, of planes. Each point tried adds the plane that is active there, and the
        next point is the nearest above all planes (Kelley's cutting planes, https://doi.org/10.1137/0108053); where a
        vote makes the model other than concave this finds a near point, not always the nearest.
        """
        middle = self.place * (stay / (1 + stay))
        z, slopes, bounds = self.place.clone(), [], []
        near, highest = z, -np.inf
        for cut in range(CUTS):
            margin, slope = self.margin(z)
            if cut and margin >= needed - tolerance:
                return z
            if cut and margin > highest:
                highest, near = margin, z
            if not bool((slope.abs() > FLAT).any()):
                break
            slopes.append(slope.numpy())
            bounds.append(needed - margin + float(slope @ z))
            z = middle + torch.from_numpy(_least_above(np.stack(slopes[-KEPT:]), np.array(bounds[-KEPT:]), middle))
        return near


def _least_above(slopes: NDArray[np.float64], bounds: NDArray[np.float64], middle: Tensor) -> NDArray[np.float64]:
    """Give the shortest step from `middle` after which every ``slopes @ z`` reaches its bound, by its dual."""
    from scipy.optimize import nnls

    short = bounds - slopes @ middle.numpy()
    inner = slopes @ slopes.T
    scale = inner.diagonal().max()
    root = np.linalg.cholesky(inner / scale + 1e-6 * np.eye(len(short))).T
    weights, _ = nnls(root, np.linalg.solve(root.T, short / np.sqrt(scale)))
    step: NDArray[np.float64] = weights @ slopes / np.sqrt(scale)
    return step
