"""The largest margin inside a limit: projected gradient ascent (Madry et al. 2018) with momentum.

The step is the limit's own steepest ascent, as long as a part of the limit and shrinking like a cosine. Each start but
the first begins at white noise inside the limit.

Source: https://arxiv.org/abs/1706.06083; momentum as in https://arxiv.org/abs/1710.06081 (Dong et al. 2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from subterfuge.attacks.knobs import expect
from subterfuge.oracle import Oracle, Seeks
from subterfuge.victim import Gives


@dataclass(frozen=True, kw_only=True)
class PGD:
    """Most margin inside the limit."""

    steps: int = 250
    """Gradients of each start."""
    starts: int = 3
    """How many starts."""
    stride: float = 0.2
    """The first step, in parts of the limit."""
    momentum: float = 0.75
    needs: ClassVar[Gives] = Gives.GRADIENTS
    seeks: ClassVar[Seeks] = "margin"
    says: ClassVar[str] = "the largest margin inside a limit: projected gradient ascent (white box)"

    def __post_init__(self) -> None:
        expect("pgd", "steps", self.steps, 1)
        expect("pgd", "starts", self.starts, 1)
        expect("pgd", "stride", self.stride, 1e-6, 10)
        expect("pgd", "momentum", self.momentum, 0, 0.999)

    def __call__(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator]) -> None:
        """Ascend from each start."""
        for start in range(self.starts):
            delta = oracle.start.clone()
            if start:
                noise = torch.stack([torch.randn(clean.shape[-1], generator=die) for die in dice]).to(clean)
                delta = oracle.project(delta + oracle.steepest(noise) / 2)
            drift = torch.zeros_like(clean)
            for k in range(self.steps):
                _, slope = oracle.gradient(delta, pull=k < self.steps // 2)
                drift = self.momentum * drift + slope / slope.norm(dim=-1, keepdim=True).clamp_min(1e-30)
                cool = 0.5 * (1 + math.cos(math.pi * k / self.steps))
                delta = oracle.project(delta + self.stride * cool * oracle.steepest(drift))
