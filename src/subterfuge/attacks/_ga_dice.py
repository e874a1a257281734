"""DEAP draws from Python's one global generator: lend it a state of our own, and give the caller's back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Lent:
    """A state for the module `random`, seeded by one draw of a generator."""

    def __init__(self, die: torch.Generator) -> None:
        self._other: Any = random.Random(int(torch.randint(2**62, (1,), generator=die))).getstate()

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Exchange the global state with this one; a second exchange inside the first gives the caller's back.

        >>> state = random.getstate()
        >>> with Lent(torch.Generator().manual_seed(1)).swapped():
        ...     drawn = random.random()
        >>> state == random.getstate()
        True
        """
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        outer = random.getstate()
        random.setstate(self._other)
        self._other = outer
