"""Is the twin of an ONNX model the same as the model? Asked on noise, as it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from subterfuge.errors import VictimError
from subterfuge.victims._answers import noise
from subterfuge.victims.onnx.twin import OnnxTwin
from subterfuge.victims.twins import NoTwin

ROUNDING, NEAR = 1e-4, 1e-2
"""Gaps of the twin, as shares of the spread of the numbers: below the first is rounding, above the second a fault."""
PROBES = ((1.0, (5.0, 0.5)), (0.73, (1.0, 0.03)), (1.37, (3.0, 0.1)))
"""Lengths, as shares of the probe's, and levels, as shares of the noise's, at which the twin is compared."""
SEEN = 1e-6
"""The least probability that is compared, by its logarithm."""


def compared(twin: OnnxTwin, truth: Callable[[Tensor], Tensor], seconds: float) -> OnnxTwin:
    """Give a twin that answers as the model does on noise, with a warning where the two differ by more than rounding.

    Args:
        twin: the twin.
        truth: from waves (N, T) to what onnxruntime answers.
        seconds: a length that it takes.

    Raises:
        NoTwin: they differ by more, or the twin has no slope there; the message says by how much.
    """
    gap = steepest = 0.0
    least, most, dead = torch.inf, -torch.inf, ""
    for place, (share, levels) in enumerate(PROBES):
        share = 1.0 if twin.interface.length is not None else share
        wave = noise(twin.sample_rate, share * seconds, 2) * torch.tensor(levels)[:, None]
        wave = wave.roll(place, -1).clamp(-1, 1).requires_grad_()
        try:
            true = _seen(truth(wave), twin.output)
        except VictimError as reason:
            dead = str(reason)
            continue  # a length that it does not take; it took the first one
        try:
            guess, scores = _seen(twin.numbers(wave), twin.output), twin.scores(wave)
        except VictimError as reason:
            raise NoTwin(str(reason.__cause__ or reason)) from reason
        if not scores.requires_grad:
            raise NoTwin("its answers are cut off from its input, by steps that round or compare")
        mix = torch.randn(scores.shape, generator=torch.Generator().manual_seed(place))
        (slope,) = torch.autograd.grad((scores * mix).sum(), wave)
        if not bool(torch.isfinite(slope).all()):
            raise NoTwin(f"its gradient at {share * seconds:.3g} s of noise holds NaN or infinite numbers")
        steepest = max(steepest, float(slope.abs().max()))
        gap = max(gap, float((true - guess).abs().max()))
        least, most = min(least, float(true.min())), max(most, float(true.max()))
    if least > most:
        raise NoTwin(f"it could not be compared, for of two sounds at once {dead}")
    if not steepest:
        raise NoTwin("its gradient is zero at noise of every level, so there is nothing to climb")
    share = gap / max(most - least, 1e-30)
    if share > NEAR:
        raise NoTwin(
            f"its graph in torch differs from onnxruntime by {gap:.2g}, {share:.2g} of the spread of its answers"
        )
    if share <= ROUNDING:
        return twin
    note = f"the twin differs from onnxruntime by {gap:.2g} at most, {share:.2g} of the spread of its answers"
    return replace(twin, warnings=(note,))


def _seen(raw: Tensor, output: str) -> Tensor:
    """Give numbers as they are compared: probabilities by their logarithms, none below `SEEN`."""
    raw = raw.detach().double()
    return raw.clamp_min(SEEN).log() if output in ("probabilities", "tag probabilities") else raw
