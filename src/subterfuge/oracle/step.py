"""A point of a search's history."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One point of a clip's history."""

    gradients: int
    queries: int
    margin: float
    snr_db: float | None
