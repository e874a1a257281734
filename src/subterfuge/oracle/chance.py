"""Random generators, one a row, so that a clip does not feel its batch."""

from __future__ import annotations

import hashlib

import torch


def dice(key: str, rows: int) -> list[torch.Generator]:
    """Give one random generator a row, seeded from a key and the row's number alone.

    >>> a, b = dice("seed 0", 2)
    >>> torch.rand(1, generator=a).item() == torch.rand(1, generator=dice("seed 0", 1)[0]).item()
    True
    """
    seeds = [int.from_bytes(hashlib.sha256(f"{key}/{row}".encode()).digest()[:8]) >> 1 for row in range(rows)]
    return [torch.Generator().manual_seed(seed) for seed in seeds]
