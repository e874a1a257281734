"""CMA-ES by the package cma, fed with a generator of its own and without a word."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor


class Strategy:
    """One run of CMA-ES (https://arxiv.org/abs/1604.00772): ask for a generation, tell what it costs.

    Args:
        mean: where to begin, (D,).
        spread: standard deviation of the first generation.
        die: every draw comes from it.
        population: candidates a generation; 0 for 4 + 3 ln D.
        diagonal: learn the spread of each number alone.
    """

    def __init__(self, mean: Tensor, spread: float, die: torch.Generator, population: int, *, diagonal: bool) -> None:
        import cma
        import numpy as np

        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=die)))
        options: dict[str, Any] = {
            "randn": lambda *shape: rng.standard_normal(shape),
            "seed": math.nan,  # numpy's global generator is neither seeded nor asked
            "CMA_diagonal": diagonal,
            "popsize": max(2, population or int(4 + 3 * math.log(max(1, len(mean))))),
            "verbose": -9,
            "verb_log": 0,
            "verb_disp": 0,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._cma: Any = cma.CMAEvolutionStrategy(mean.tolist(), spread, options)
        self._asked: list[Any] = []

    def ask(self) -> Tensor:
        """Draw a generation, (P, D)."""
        self._asked = self._cma.ask()
        return torch.tensor([one.tolist() for one in self._asked], dtype=torch.float64)

    def tell(self, costs: Tensor) -> None:
        """Learn from what the generation costs, (P,)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._cma.tell(self._asked, costs.tolist())

    @property
    def over(self) -> bool:
        """Whether a stopping rule of CMA-ES holds: costs all alike, a spread of nothing."""
        return bool(self._cma.stop())

    @property
    def population(self) -> int:
        """Candidates a generation."""
        return int(self._cma.popsize)

    def shape(self) -> dict[str, float]:
        """Give the mean spread of the numbers, and the longest over the shortest."""
        spreads = self._cma.stds
        return {"sigma": float(spreads.mean()), "axis_ratio": float(spreads.max() / max(spreads.min(), 1e-300))}
