"""What psychoacoustic model 1 knows before it hears anything: Barks, quiet, bands, slopes, at each line of a spectrum.

Line k of a frame of n samples lies at k rate / n Hz. Levels are in dB SPL, places z in Barks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

QUIET_AT_MOST_DB = 12.0
"""The highest threshold in quiet. The formula rises to 68 dB, where the standard's tables (D.1) end, at 16 kHz and at
30 Hz, and beyond. But that is for one tone: a change may fill 280 lines above 16 kHz, 92 dB in all. Searches went there
at once, and a model of hearing noticed: an estimated opinion score of 4.6 where a bound of 12 dB, the threshold at
200 Hz and 10 kHz, gave 4.9 and more. And nobody knows how loud a file will be played, or to how young an ear."""
NEAR = 0.5
"""Barks within which only the strongest tonal masker stays."""
BELOW, ABOVE = 3.0, 8.0
"""Barks below and above a masker that it reaches."""
DOUBLINGS = float(np.log2(10) / 10)
"""From dB to the binary logarithm of a power."""

Array = NDArray[np.float64]


def bark(hz: ArrayLike) -> Array:
    """Give the critical-band rate z in Barks of frequencies in Hz.

    Source: Zwicker, Terhardt, "Analytical expressions for critical-band rate and critical bandwidth as a function
    of frequency", JASA 68 (1980).

    >>> [round(float(z), 2) for z in bark([0, 100, 1000, 10000, 22050])]
    [0.0, 0.99, 8.51, 22.42, 24.74]
    """
    f = np.asarray(hz, dtype=np.float64)
    place: Array = 13 * np.arctan(0.00076 * f) + 3.5 * np.arctan((f / 7500) ** 2)
    return place


def quiet_db(hz: ArrayLike) -> Array:
    """Give the threshold in quiet in dB SPL at frequencies in Hz, held at 12 dB at most.

    Without the bound (see `QUIET_AT_MOST_DB`) a change at 20 kHz could be as loud as one likes.

    Source: Terhardt, "Calculating virtual pitch", Hearing Research 1 (1979).

    >>> [round(float(level), 2) for level in quiet_db([0, 1000, 3300, 20000])]
    [12.0, 3.37, -4.98, 12.0]
    """
    f = np.maximum(np.asarray(hz, dtype=np.float64), 1e-3) / 1000
    level: Array = 3.64 * f**-0.8 - 6.5 * np.exp(-0.6 * (f - 3.3) ** 2) + 1e-3 * f**4
    return np.minimum(level, QUIET_AT_MOST_DB)


def reaches(n: int) -> list[tuple[int, int, int]]:
    """Give how far around line k a tonal masker must stand out, as rows (first k, last k, reach in lines).

    A row of clause D.1, step 4, says that the line stands 7 dB above those 2 to `reach` lines away. The standard has
    rows for n of 512 (layer I: 2, 3 and 6 lines) and 1024 (layer II: a row of 12 more). Twice the samples halve the
    width of a line, keep the rows as they are, and add one for the new upper octave, twice as far-reaching as the
    last. So do we, for any n: at 2048 the reach is 24 lines (517 Hz at 44.1 kHz) from line 511 up. The last row ends
    where its reach meets the last line.

    >>> reaches(1024)
    [(3, 62, 2), (63, 126, 3), (127, 254, 6), (255, 500, 12)]
    """
    rows, first, end, reach = [], 3, 63, 2
    while first < n // 2 - reach:
        rows.append((first, min(end - 1, n // 2 - reach), reach))
        first, end, reach = end, 2 * end + 1, 2 * reach if reach > 2 else 3
    if rows:
        rows[-1] = (rows[-1][0], n // 2 - rows[-1][2], rows[-1][2])
    return rows


def spread(z: Array, masker_z: Array, index_offset: float, index_slope: float) -> tuple[Array, Array]:
    """Give the individual masking threshold as a straight line in the masker's level X: dB = a + b X.

    Args:
        z: places that are masked.
        masker_z: places of maskers, to be broadcast with `z`.
        index_offset: of the masking index av = index_offset + index_slope masker_z, dB.
        index_slope: dB a Bark.

    Returns:
        a and b; outside of -3 <= dz < 8 a is -inf, and b is 1.

    Source: ISO/IEC 11172-3, D.1, step 6: X + av + vf.
    """
    dz = z - masker_z
    where = [
        (dz >= -BELOW) & (dz < -1),
        (dz >= -1) & (dz < 0),
        (dz >= 0) & (dz < 1),
        (dz >= 1) & (dz < ABOVE),
    ]
    a = np.select(where, [17 * (dz + 1) - 6, 6 * dz, -17 * dz, -17 * dz], -np.inf)
    b = np.select(where, [-0.4 + 0 * dz, 0.4 * dz, 0 * dz, 0.15 * (dz - 1)], 0)
    return a + index_offset + index_slope * masker_z, 1 + b


@dataclass(frozen=True)
class Slot:
    """Where the maskers of one stretch of lines reach, and how: the binary logarithm of power is a + b X."""

    first: int
    """The first line where such a masker stands."""
    below: int
    """The first line that it reaches."""
    above: int
    """Past the last line that it reaches."""
    a: Tensor
    """Shape (lines of the slot, lines reached)."""
    b: Tensor


@dataclass(frozen=True)
class Tables:
    """Everything that depends only on rate, length of frame, device and precision. F lines, dc and Nyquist too."""

    quiet: Tensor
    """Power of the threshold in quiet, re 0 dB SPL, shape (F,)."""
    rows: tuple[tuple[int, int, int], ...]
    """See `reaches`."""
    reach: Tensor
    """Of each line, shape (F,), int64."""
    near: Tensor
    """Of each line the last line less than half a Bark above it, shape (F,), int64."""
    crowd: int
    """How many tonal maskers could stand within half a Bark above one, at most."""
    bands: Tensor
    """Shape (F, bands): 1 where the line lies in the critical band, else 0."""
    noise_lines: Tensor
    """Where each band's noise masker stands, shape (bands,), int64."""
    noise: tuple[Slot, ...]
    """Of each band."""
    half_barks: Tensor
    """Of each line its half-Bark, shape (F,), int64. No two tonal maskers share one, after decimation."""
    tonal: tuple[Slot, ...]
    """Of each half-Bark."""


@lru_cache(maxsize=8)
def tables(rate: int, n: int, device: torch.device, dtype: torch.dtype) -> Tables:
    """Work out the tables of frames of `n` samples at `rate` Hz."""
    z = bark(np.arange(n // 2 + 1) * rate / n)
    hz = np.arange(len(z)) * rate / n
    inner = np.arange(1, len(z) - 1)
    rows = reaches(n)
    reach = np.zeros(len(z), dtype=np.int64)
    for first, last, width in rows:
        reach[first : last + 1] = width
    near = np.searchsorted(z, z + NEAR, side="left") - 1
    homes = [lines for b in range(int(z[-1]) + 1) if len(lines := inner[np.floor(z[inner]).astype(int) == b])]
    centres = np.array([round(float(np.sqrt(float(lines[0]) * float(lines[-1])))) for lines in homes], dtype=np.int64)
    bands = np.zeros((len(z), len(homes)))
    for band, lines in enumerate(homes):
        bands[lines, band] = 1
    halves = np.floor(2 * z).astype(np.int64)

    def on(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(device, dtype if array.dtype == np.float64 else torch.int64)

    def slot(lines: NDArray[np.int64], offset: float, slope: float) -> Slot:
        below = int(np.searchsorted(z, z[lines[0]] - BELOW, side="left"))
        above = int(np.searchsorted(z, z[lines[-1]] + ABOVE, side="left"))
        a, b = spread(z[below:above], z[lines][:, None], offset, slope)
        return Slot(int(lines[0]), below, above, on(DOUBLINGS * a), on(DOUBLINGS * b))

    return Tables(
        quiet=on(10 ** (quiet_db(hz) / 10)),
        rows=tuple(rows),
        reach=on(reach),
        near=on(near),
        crowd=_crowd(near, reach),
        bands=on(bands),
        noise_lines=on(centres),
        noise=tuple(slot(line, -1.525 - 0.5, -0.175) for line in centres[:, None]),
        half_barks=on(halves),
        tonal=tuple(slot(np.flatnonzero(halves == h), -1.525 - 4.5, -0.275) for h in range(halves[-1] + 1)),
    )


def _crowd(near: NDArray[np.int64], reach: NDArray[np.int64]) -> int:
    """Count the tonal maskers that fit into half a Bark: the next stands past the reach of the one below it."""
    most = 0
    for k in np.flatnonzero(reach):
        count, line = 0, k + reach[k] + 1
        while line <= near[k] and reach[line]:
            count, line = count + 1, line + reach[line] + 1
        most = max(most, count)
    return most
