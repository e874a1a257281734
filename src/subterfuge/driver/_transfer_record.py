"""The record of what carries over: one attack on one victim, one victim over all attacks, everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from subterfuge.outcome import finite
from subterfuge.training.substitute import wilson

SCHEMA = 1


@dataclass(frozen=True)
class Row:
    """What one victim says of one attack's clip and file."""

    outcome: str
    file: str
    card: str
    victim: str
    goal: str
    """What counts here: the recorded goal, or what of it this victim can be asked."""
    target: str | None
    """The label that the goal is about, where this victim has it."""
    before: str | None = None
    """What it says of the clip; None where that is gone."""
    before_probability: float | None = None
    """Its own, of the target."""
    after: str | None = None
    """What it says of the file; None where it was not asked."""
    after_probability: float | None = None
    changed: bool | None = None
    """Whether its answer is another one than before."""
    reached: bool | None = None
    """Whether the file meets the goal here; None where that cannot be told."""
    why_not: str | None = None
    """Why the row counts in no share; None where it counts."""
    noise_hits: int = 0
    """Draws of noise, as loud as the change and of its spectrum, that meet the goal too."""
    noise_draws: int = 0

    @property
    def counts(self) -> bool:
        """Whether it tells something of the attack."""
        return self.why_not is None and self.reached is not None


@dataclass(frozen=True)
class OnCard:
    """What carried over to one victim."""

    card: str
    victim: str
    carried: int
    of: int
    """Attacks that count: the victim was asked about both sounds, and the clip did not meet the goal as it came."""
    share: float | None
    low: float | None
    """Wilson's 95 % interval of the share."""
    high: float | None
    left_out: int
    noise_hits: int
    noise_draws: int
    chance: float | None
    """How often noise, of each row's own rate of hits, would carry over as many times; None without draws."""
    queries: int
    """Sounds that it was asked about."""
    spent: dict[str, Any] | None
    """What it counted meanwhile, if it counts."""
    died: str | None
    """What it died of; what follows was not asked."""


@dataclass(frozen=True)
class Transfer:
    """What carries over from some attacks to some victims."""

    rows: tuple[Row, ...]
    cards: tuple[OnCard, ...]
    draws: int
    seed: int
    warnings: tuple[str, ...]
    schema: int = SCHEMA

    def as_json(self) -> dict[str, Any]:
        """Give a dictionary of plain JSON values."""
        plain = finite(asdict(self))
        assert isinstance(plain, dict)
        for told, row in zip(plain["rows"], self.rows, strict=True):
            told["counts"] = row.counts
        return plain


def summed(
    rows: Sequence[Row], card: str, victim: str, queries: int, spent: dict[str, Any] | None, died: str | None
) -> OnCard:
    """Sum up the rows of one victim."""
    some = [row for row in rows if row.counts]
    carried = sum(bool(row.reached) for row in some)
    low, high = wilson(carried, len(some)) if some else (None, None)
    return OnCard(
        card=card,
        victim=victim,
        carried=carried,
        of=len(some),
        share=carried / len(some) if some else None,
        low=low,
        high=high,
        left_out=len(rows) - len(some),
        noise_hits=sum(row.noise_hits for row in some),
        noise_draws=sum(row.noise_draws for row in some),
        chance=chance_of(some),
        queries=queries,
        spent=spent,
        died=died,
    )


def chance_of(rows: Sequence[Row]) -> float | None:
    """Give how likely noise is to meet the goal in as many rows or more, 0 .. 1; None without draws.

    Each row by its own rate, (hits + 1) / (draws + 1), the upper end of what its draws say: a Poisson binomial tail.

    >>> rows = [Row("o", "f", "c", "v", "targeted", "a", reached=True, noise_hits=0, noise_draws=19)] * 2
    >>> round(chance_of(rows), 4)
    0.0025
    """
    drawn = [row for row in rows if row.noise_draws]
    if not drawn:
        return None
    carried = sum(bool(row.reached) for row in drawn)
    ways = [1.0]
    for row in drawn:
        p = (row.noise_hits + 1) / (row.noise_draws + 1)
        ways = [a * (1 - p) + b * p for a, b in zip([*ways, 0.0], [0.0, *ways], strict=True)]
    return min(1.0, sum(ways[carried:]))
