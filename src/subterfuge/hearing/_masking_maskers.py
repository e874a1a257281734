"""The maskers of a spectrum: steps 4 and 5 of psychoacoustic model 1, for many frames at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from subterfuge.hearing._masking_tables import Tables

STANDS_OUT = 10 ** (7 / 10)
"""Power by which a tonal masker exceeds the lines around it: 7 dB."""


class Maskers(NamedTuple):
    """What hides other sounds, in frames (B, F). Levels are in dB SPL."""

    frame: Tensor
    """Of each tonal masker, shape (M,), int64; its level in `tone` and its line go with it, from frame to frame and
    line to line."""
    line: Tensor
    tone: Tensor
    noise: Tensor
    """Of the noise masker in each critical band, shape (B, bands); -inf where there is none."""


def maskers(power: Tensor, known: Tables) -> Maskers:
    """Find the maskers of frames, powers re 0 dB SPL, shape (B, F).

    A tonal masker is a line above its lower and not below its upper neighbour, 7 dB or more above the lines 2 to
    `known.reach` lines away, with the power of the three. It uses up the lines within its reach. What is left in
    each critical band is one noise masker. Whatever lies below the threshold in quiet goes; then every tonal masker
    goes that has a stronger one, or one as strong and lower in frequency, within less than half a Bark. That stronger
    one need not stay itself: the rule depends on no order.
    """
    frame, line = _stand_out(power, known.rows).nonzero(as_tuple=True)
    tone = power[frame, line - 1] + power[frame, line] + power[frame, line + 1]

    reach = known.reach[line]
    edges = power.new_zeros(len(power), power.shape[1] + 1)
    edges.index_put_((frame, line - reach), power.new_ones(1), accumulate=True)
    edges.index_put_((frame, line + reach + 1), -power.new_ones(1), accumulate=True)
    left = power.where(edges.cumsum_(-1)[:, :-1] < 0.5, 0)
    noise = left @ known.bands
    noise = noise.where(noise >= known.quiet[known.noise_lines], 0)

    heard = (tone >= known.quiet[line]).nonzero()[:, 0]
    frame, line, tone = frame[heard], line[heard], tone[heard]
    stays = _strongest(frame, line, tone, known).nonzero()[:, 0]
    return Maskers(frame[stays], line[stays], 10 * tone[stays].log10(), 10 * noise.log10())


def _stand_out(power: Tensor, rows: tuple[tuple[int, int, int], ...]) -> Tensor:
    """Mark the lines of frames (B, F) that are tonal maskers."""
    tonal = torch.zeros_like(power, dtype=torch.bool)
    for first, last, reach in rows:
        count = last + 1 - first
        here, lower, upper = (power[:, start : start + count] for start in (first, first - 1, first + 1))
        sides = _sliding_max(power[:, first - reach : last + reach + 1], reach - 1)
        around = torch.maximum(sides[:, :count], sides[:, -count:])
        tonal[:, first : last + 1] = (here > lower) & (here >= upper) & (here >= STANDS_OUT * around) & (here > 0)
    return tonal


def _sliding_max(x: Tensor, length: int) -> Tensor:
    """Give the largest of each `length` neighbours, shape (..., L) to (..., L - length + 1)."""
    have = 1
    while have < length:
        step = min(have, length - have)
        x = torch.maximum(x[..., :-step], x[..., step:])
        have += step
    return x


def _strongest(frame: Tensor, line: Tensor, tone: Tensor, known: Tables) -> Tensor:
    """Mark the tonal maskers that have no stronger one within half a Bark, shape (M,)."""
    stays = torch.ones_like(line, dtype=torch.bool)
    for apart in range(1, known.crowd + 1):
        near = (frame[apart:] == frame[:-apart]) & (line[apart:] <= known.near[line[:-apart]])
        louder = tone[apart:] > tone[:-apart]
        stays[:-apart] &= ~(near & louder)
        stays[apart:] &= ~near | louder
    return stays
