"""Spectrograms for a page: few cells, even in mels, as bytes; and what the sound masks, and where a change shows."""

from __future__ import annotations

import base64
import math
import zlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from subterfuge.hearing.masking import cells, masking_threshold

ROWS, COLUMNS = 96, 160
"""Of a picture, at most: bands even in mels from 0 Hz to half the sampling rate, and stretches of time."""
FLOOR_DB = -200.0
"""Of the byte 0; each further one is a dB more. 0 dB is a sine of full scale."""

Samples = NDArray[np.floating[Any]]


def pictures(before: Samples, after: Samples, rate: int) -> dict[str, Any]:
    """Draw two sounds (channels, T), their difference and the masking threshold of the first, as plain JSON values.

    The powers of short-time spectra (`subterfuge.hearing.masking.cells`), mean over the cells of a picture's cell and
    over channels. `above` is the part of them in which the difference exceeds the threshold of its own channel.

    Returns:
        ``rows``, ``columns``, ``rate``, ``share_above`` (of all cells), and ``before``, ``after``, ``change``,
        ``threshold`` (bytes, a dB each above `FLOOR_DB`), ``above`` (bytes, 255 for all): each row's differences from
        column to column modulo 256, lowest row first, deflated, in base64.
    """
    first, second = (torch.from_numpy(np.array(one, dtype=np.float32)) for one in (before, after))
    change = torch.from_numpy(np.asarray(after, dtype=np.float64) - before)
    powers = [cells(one, rate).abs().square().numpy() for one in (first, second)]
    changed = cells(change, rate).abs().square().numpy()
    threshold = masking_threshold(first, rate).numpy()
    over = changed > threshold
    frequencies, frames = threshold.shape[1:]
    fold = _bands(frequencies, rate)
    spread = _stretches(frames)

    def small(power: NDArray[Any]) -> NDArray[np.float64]:
        drawn: NDArray[np.float64] = fold @ power.mean(axis=0, dtype=np.float64) @ spread
        return drawn

    drawn = {"before": powers[0], "after": powers[1], "change": changed, "threshold": threshold}
    told = {name: _packed(_bytes(small(power))) for name, power in drawn.items()}
    share = np.ceil(255 * small(over)).clip(0, 255).astype(np.uint8)
    return {
        "rows": len(fold),
        "columns": int(spread.shape[1]),
        "rate": rate,
        "share_above": float(over.mean()),
        **told,
        "above": _packed(share),
    }


def outline(samples: Samples, columns: int = 600) -> list[list[int]]:
    """Give the least and the largest sample of each of some stretches, in thousandths of full scale."""
    edges = np.linspace(0, samples.shape[-1], min(columns, samples.shape[-1]) + 1).astype(int)[:-1]
    low, high = np.minimum.reduceat(samples.min(axis=0), edges), np.maximum.reduceat(samples.max(axis=0), edges)
    return [np.rint(1000 * one).astype(int).tolist() for one in (low, high)]


def mel(hz: float) -> float:
    """Give a frequency in mels (O'Shaughnessy 1987).

    >>> round(mel(1000))
    1000
    """
    return 2595 * math.log10(1 + hz / 700)


def _bands(frequencies: int, rate: int) -> NDArray[np.float64]:
    """Give the matrix (rows, F) that takes the mean over the lines of each band, of the nearest where it has none."""
    top = mel(rate / 2)
    place = np.array([mel(hz) for hz in np.linspace(0, rate / 2, frequencies)]) / top
    rows = min(ROWS, frequencies)
    matrix = np.zeros((rows, frequencies))
    for row in range(rows):
        inside = (place >= row / rows) & ((place < (row + 1) / rows) | (row == rows - 1))
        if not inside.any():
            inside[np.argmin(np.abs(place - (row + 0.5) / rows))] = True
        matrix[row, inside] = 1 / np.count_nonzero(inside)
    return matrix


def _stretches(frames: int) -> NDArray[np.float64]:
    """Give the matrix (frames, columns) that takes the mean over the part of the frames that a column covers."""
    columns = min(COLUMNS, frames)
    edges = np.linspace(0, frames, columns + 1)
    at = np.arange(frames)[:, None]
    covered = (np.minimum(at + 1, edges[1:]) - np.maximum(at, edges[:-1])).clip(0, None)
    share: NDArray[np.float64] = covered / covered.sum(axis=0)
    return share


def _bytes(power: NDArray[np.float64]) -> NDArray[np.uint8]:
    level = 10 * np.log10(np.maximum(power, 1e-30))
    return np.rint(level - FLOOR_DB).clip(0, 255).astype(np.uint8)


def _packed(picture: NDArray[np.uint8]) -> str:
    steps = np.diff(picture, axis=1, prepend=np.uint8(0))  # modulo 256
    return base64.b64encode(zlib.compress(steps.tobytes(), 9)).decode()
