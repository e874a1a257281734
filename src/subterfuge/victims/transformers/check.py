"""Whether a front end in torch gives what the feature extractor gives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from subterfuge.victims._answers import noise
from subterfuge.victims.transformers.front import Front


def front_gap(extractor: Front, front: Front, rate: int, lengths: Sequence[float], device: torch.device) -> float:
    """Give the largest difference between two ways to the model's inputs, as a share of the spread of these.

    Each is asked noise of several lengths that fades by 80 dB. Other names, shapes or whole numbers are infinite gaps.

    Args:
        extractor: the library's own.
        front: its re-expression.
        rate: Hz.
        lengths: seconds.
        device: where the re-expression computes.
    """
    gaps = [0.0]
    for seconds in lengths:
        wave = noise(rate, seconds)
        wave = wave * torch.logspace(0, -4, wave.shape[-1])
        with torch.no_grad():
            true, guess = extractor(wave), front(wave.to(device))
        if true.keys() != guess.keys():
            return float("inf")
        gaps.extend(_gap(value, guess[key].cpu()) for key, value in true.items())
    return max(gaps)


def _gap(true: Tensor, guess: Tensor) -> float:
    if true.shape != guess.shape or not (true.is_floating_point() or torch.equal(true.long(), guess.long())):
        return float("inf")
    spread = float(true.max() - true.min())
    return float((true.double() - guess.double()).abs().max()) / max(spread, 1e-12)
