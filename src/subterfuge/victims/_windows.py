"""Ask about a long sound window by window, with a gradient whose memory is that of a few windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

GRAPH_SAMPLES = 1 << 18
"""Most samples of windows whose graph is held at once, where more than one window is."""
ASKED_SAMPLES = 1 << 20
"""Most samples of windows that are asked about at once without a graph, where more than one window is."""
Ask = Callable[[Tensor], Tensor]
"""From windows (W, L) to numbers (W, ...)."""


def starts_of(samples: int, window: int, hop: int, rest: str) -> list[int]:
    """Give where the windows of a sound begin.

    Args:
        samples: length of the sound.
        window: length of a window.
        hop: from the start of one to the start of the next.
        rest: for the end that no whole window reaches: "shift" (one more window, which ends at the end), "pad" (one
            more, filled up with zeros) or "drop".

    >>> [starts_of(10, 4, 4, rest) for rest in ("shift", "pad", "drop")]
    [[0, 4, 6], [0, 4, 8], [0, 4]]
    """
    starts = list(range(0, samples - window + 1, hop)) or [0]
    if starts[-1] + window < samples:
        if rest == "shift":
            starts.append(samples - window)
        elif rest == "pad" and starts[-1] + hop < samples:
            starts.append(starts[-1] + hop)
    return starts


def cut(row: Tensor, starts: Sequence[int], window: int) -> Tensor:
    """Give windows (W, L) of a sound (T,), what lies beyond its end being zeros."""
    parts = [row[start : start + window] for start in starts]
    return torch.stack([part if len(part) == window else pad(part, (0, window - len(part))) for part in parts])


def asked(
    make: Callable[[Tensor], Ask],
    wave: Tensor,
    starts: Sequence[int],
    window: int,
    *,
    most: int,
    of: Tensor | None = None,
) -> Tensor:
    """Ask about every window of waves (N, T), each wave by itself: (N, W, ...), as a function of the waves.

    Going back, a few windows at a time are asked again with their graph, and their slopes added where they overlap: so
    no more than `GRAPH_SAMPLES` are held (Chen et al. 2016, https://arxiv.org/abs/1604.06174).

    Args:
        make: from windows to what is asked about them; see `of`.
        wave: (N, T).
        starts: where windows begin.
        window: their length.
        most: the most windows worth asking at once.
        of: waves, whose windows `make` gets; `wave` itself without it.
    """
    fixed = wave.detach() if of is None else of.detach()
    if wave.requires_grad and torch.is_grad_enabled():
        answers: Tensor = _Windows.apply(wave, make, fixed, tuple(starts), window, most)  # type: ignore[no-untyped-call]
        return answers
    return _plain(make, wave, fixed, starts, window, most)


def _plain(
    make: Callable[[Tensor], Ask], wave: Tensor, of: Tensor, starts: Sequence[int], window: int, most: int
) -> Tensor:
    """Ask without a graph."""
    rows = []
    with torch.no_grad():
        for row, near in zip(wave, of, strict=True):
            parts = _parts(starts, max(1, min(most, ASKED_SAMPLES // window)))
            rows.append(torch.cat([make(cut(near, part, window))(cut(row, part, window)) for part in parts]))
    return torch.stack(rows)


def _parts(starts: Sequence[int], size: int) -> list[Sequence[int]]:
    return [starts[first : first + size] for first in range(0, len(starts), size)]


class _Windows(torch.autograd.Function):
    """The answers to all windows; their graph is made anew, a few windows at a time, when slopes are asked for."""

    @staticmethod
    def forward(
        ctx: Any,
        wave: Tensor,
        make: Callable[[Tensor], Ask],
        of: Tensor,
        starts: tuple[int, ...],
        window: int,
        most: int,
    ) -> Tensor:
        ctx.save_for_backward(wave, of)
        ctx.rest = make, starts, window, most
        return _plain(make, wave.detach(), of, starts, window, most)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        wave, of = ctx.saved_tensors
        make, starts, window, most = ctx.rest
        slopes = torch.zeros_like(wave)
        size = max(1, min(most, GRAPH_SAMPLES // window))
        for row, near, slope, pull in zip(wave, of, slopes, upstream[0], strict=True):
            for part, force in zip(_parts(starts, size), pull.split(size), strict=True):
                if not bool(force.any()):  # of the largest alone, the others have no slope
                    continue
                with torch.enable_grad():
                    heard = cut(row.detach(), part, window).requires_grad_()
                    answer = make(cut(near, part, window))(heard)
                for start, own in zip(part, torch.autograd.grad(answer, heard, force)[0], strict=True):
                    there = slope[start : start + window]
                    there += own[: len(there)]
        return slopes, None, None, None, None, None
