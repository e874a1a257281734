"""What a victim does to a wave before its features: named filters that a card can ask for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.errors import MissingExtra

Filter = Callable[[NDArray[np.float32], int], NDArray[np.float32]]


def reduce_noise(wave: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Give `noisereduce.reduce_noise(y, sr)` of one mono wave (T,): its non-stationary spectral gate.

    Of digital silence noisereduce makes NaN, 0 by 0; here it stays silence.

    Raises:
        MissingExtra: the package noisereduce is not installed.
    """
    try:
        import noisereduce
    except ImportError:
        raise MissingExtra(
            'this victim\'s card says preprocess = "noisereduce", and the package noisereduce is not installed; '
            "install it with: pip install 'sonic-subterfuge[denoise]'"
        ) from None
    if not wave.any():
        return wave
    reduced: NDArray[np.float32] = noisereduce.reduce_noise(y=wave, sr=sample_rate)
    return reduced


FILTERS: dict[str, Filter] = {"noisereduce": reduce_noise}
"""From the name on a card to the filter."""


class StraightThrough(torch.autograd.Function):
    """A filter's true output forward; backward its input's gradient is its output's, as if it did nothing.

    Backward pass differentiable approximation with the identity (BPDA, Athalye, Carlini and Wagner 2018).
    """

    @staticmethod
    def forward(ctx: object, wave: Tensor, true: Filter, sample_rate: int) -> Tensor:
        """Filter each row of waves (N, T)."""
        rows = [true(row, sample_rate) for row in wave.detach().cpu().float().numpy()]
        return torch.from_numpy(np.stack(rows)).to(wave)

    @staticmethod
    def backward(ctx: object, *grads: Tensor) -> tuple[Tensor, None, None]:
        """Pass the gradient through."""
        return grads[0], None, None


def straight_through(wave: Tensor, true: Filter, sample_rate: int) -> Tensor:
    """Filter waves (N, T) truly, with the identity's gradient."""
    filtered: Tensor = StraightThrough.apply(wave, true, sample_rate)  # type: ignore[no-untyped-call]
    return filtered
