"""Noise-to-mask ratio: how far a change reaches above what the sound itself hides."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.hearing.masking import cells, frame_size, masking_threshold

LOUDEST = 1e6
"""Peak, in parts of full scale, beyond which a float file is no sound that a model of hearing knows."""
_FRAMES = 1024
"""Measured at a time, so that a long clip takes no more memory than a short one."""


@dataclass(frozen=True)
class NoiseToMask:
    """A change against the masking threshold of the clean sound, over cells of time and frequency."""

    mean_db: float
    """10 log10 of the mean over all cells of abs(cell of the change)**2 / threshold; -inf for no change. Below 0 the
    change is masked on average."""
    worst_frame_db: float
    """The same mean over the cells of one frame, for the frame where it is largest."""
    share_above: float
    """Part of all cells in which the change lies above the threshold, 0 .. 1."""
    largest_db: float = -math.inf
    """The largest ratio of any cell."""


def noise_to_mask(
    clean: NDArray[np.floating[Any]], changed: NDArray[np.floating[Any]], rate: int
) -> NoiseToMask | None:
    """Measure a change of one channel against the masking threshold of the clean sound.

    The noise-to-mask ratio of Brandenburg, "Evaluation of quality for audio encoding at low bit rates" (AES 82nd
    convention, 1987), over cells rather than critical bands, with the threshold of `subterfuge.hearing.masking`.

    Args:
        clean: mono, shape (T,), in [-1, 1].
        changed: as `clean`.
        rate: of both, in Hz.

    Returns:
        The ratios, or None for sounds without a sample or with one beyond a million times full scale.

    Raises:
        ValueError: the shapes differ, or are not (T,).
    """
    if clean.ndim != 1:
        raise ValueError(f"mono sounds were expected, not {clean.shape}")
    return noise_to_mask_of_channels(clean[None], changed[None], rate)


def noise_to_mask_of_channels(
    clean: NDArray[np.floating[Any]], changed: NDArray[np.floating[Any]], rate: int
) -> NoiseToMask | None:
    """Measure the change of each channel against that channel's own threshold; shape (channels, T).

    Returns:
        The means of the worst channel, the worst frame of any, and the share over the cells of all; None as of
        `noise_to_mask`. A change that is masked in the mean of the channels need not be in one that is silent.

    Raises:
        ValueError: the shapes differ, or are not (channels, T).
    """
    if clean.ndim != 2 or clean.shape != changed.shape:
        raise ValueError(f"two sounds of one shape were expected, not {clean.shape} and {changed.shape}")
    if not clean.size or max(float(np.max(np.abs(wave))) for wave in (clean, changed)) > LOUDEST:
        return None
    change = np.asarray(changed, dtype=np.float64) - clean
    top = float(np.max(np.abs(change)))
    if top == 0.0:
        return NoiseToMask(-math.inf, -math.inf, 0.0)
    means, above, count, largest = torch.zeros(0), 0, 0, 0.0
    for power, threshold in _pieces(clean, change / top, rate):
        ratio = power.double() / threshold
        means = torch.cat([means, ratio.mean(-2)], dim=-1)
        above += int((ratio * top**2 > 1).sum())
        largest = max(largest, float(ratio.max()))
        count += ratio.numel()
    level = 20 * math.log10(top)
    mean, worst = float(means.mean(-1).max()), float(means.max())
    return NoiseToMask(_db(mean) + level, _db(worst) + level, above / count, _db(largest) + level)


def _pieces(
    clean: NDArray[np.floating[Any]], change: NDArray[np.float64], rate: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Give the power of the change, float32, and the threshold, of some frames at a time: (channels, F, frames).

    Frame k lies around sample k hop, and a frame is four hops long.
    """
    hop, samples = frame_size(rate) // 4, clean.shape[-1]
    for first in range(0, 1 + samples // hop, _FRAMES):
        last = min(first + _FRAMES, 1 + samples // hop)
        begin = max(0, first - 2)
        here = slice(begin * hop, (last + 1) * hop)
        sound, part = (torch.from_numpy(wave[:, here].astype(np.float32)) for wave in (clean, change))
        wanted = slice(first - begin, last - begin)
        yield cells(part, rate)[..., wanted].abs().square(), masking_threshold(sound, rate)[..., wanted]


def _db(ratio: float) -> float:
    return 10 * math.log10(ratio) if ratio > 0 else -math.inf
