"""What a victim does to a wave before its features: named filters that a card can ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.transforms.denoise import gate, reduce_noise, why_not_denoised
from subterfuge.transforms.transform import through


@dataclass(frozen=True)
class Filter:
    """A filter as the deployed model applies it, and as a gradient goes through it."""

    name: str
    true: Callable[[NDArray[np.float32], int], NDArray[np.float32]]
    """Of one mono wave (T,) at a rate: (T,)."""
    why_not: Callable[[int], str | None] = lambda sample_rate: None
    """Why it refuses a rate, or None."""
    twin: Callable[[Tensor, int], Tensor] | None = None
    """The same in torch, of waves (N, T), with its own gradient; without one, gradients pass straight through."""

    @property
    def note(self) -> str | None:
        """What a user must know of gradients through it."""
        return None if self.twin else f"gradients pass {self.name} as if it did nothing"

    def searched(self, wave: Tensor, sample_rate: int) -> Tensor:
        """Filter waves (N, T) with a gradient: the twin's, or else the identity's on the true filter (BPDA)."""
        if self.twin is not None:
            return self.twin(wave, sample_rate)
        rows = [self.true(row, sample_rate) for row in wave.detach().cpu().float().numpy()]
        return through(wave, torch.from_numpy(np.stack(rows)).to(wave))


FILTERS: dict[str, Filter] = {"noisereduce": Filter("noisereduce", reduce_noise, why_not_denoised, gate)}
"""From the name on a card to the filter."""
