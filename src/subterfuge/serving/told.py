"""What the server tells of each question."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Told:
    """One answer to ``POST /score``."""

    status: int | None
    """The HTTP status; None where the connection was closed without one."""
    label: str | None = None
    """What the victim answered."""
    error: str | None = None
    """Why it answered nothing."""
    fault: str | None = None
    """Which of `FAULTS` was put in the place of an answer."""
