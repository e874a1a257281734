"""A victim without what it remembers."""

from __future__ import annotations

from typing import TypeVar

V = TypeVar("V")


def forgetful(victim: V) -> V:
    """Give the same victim with what it remembers forgotten, where it can forget (`afresh()`); else itself."""
    fresh: V = victim.afresh() if hasattr(victim, "afresh") else victim
    return fresh
