"""The record of what survives: one transform, one attack, several attacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from subterfuge.outcome import finite

SCHEMA = 1
"""Of the record of several survivals."""


@dataclass(frozen=True)
class Trial:
    """One transform, done to the attack's file and to the clean clip."""

    transform: str
    why_not: str | None
    """Why it was not tried; None where it was, and what follows is known."""
    answer: str | None = None
    """What the victim says of the transformed file."""
    probability: float | None = None
    """Of the class that the goal is about; None of a victim that has none."""
    reached: bool | None = None
    """Whether the transformed file meets the goal still."""
    clean_answer: str | None = None
    """What the victim says of the transformed clean clip."""
    clean_probability: float | None = None
    clean_kept: bool | None = None
    """Whether that is what it says of the clip as it is."""
    alone: bool | None = None
    """Whether the transformed clean clip meets the goal too: the trial then tells nothing of the attack."""
    snr_db: float | None = None
    """Clean clip to what the transform changes of it, all channels; None of a crop, infinite (null) of no change."""
    note: str | None = None
    """What was done where it is less than the transform's name says."""

    @property
    def tried(self) -> bool:
        """Whether it was tried."""
        return self.why_not is None

    @property
    def tells(self) -> bool:
        """Whether it was tried, and the transform does not meet the goal by itself."""
        return self.tried and not self.alone

    @property
    def survived(self) -> bool:
        """Whether it tells something, and the attack came through."""
        return self.tells and bool(self.reached)


@dataclass(frozen=True)
class Survival:
    """What of one attack survives which transforms."""

    goal: str
    focus: str
    """The class that the goal is about."""
    clean: str
    """What the victim says of the clip."""
    attacked: str
    """What it says of the attack's file, untransformed."""
    probability: float | None
    """Of the focus, for that file."""
    reached: bool
    """Whether that file meets the goal; it does not where this victim is another than the one attacked."""
    trials: tuple[Trial, ...]
    survived: int
    """Trials that tell something and that the attack came through."""
    telling: int
    """Trials that tell something: tried, and not met by the transform alone."""
    tried: int
    not_tried: int
    share: float | None
    """Survived of telling; None of nothing."""
    clean_kept: int
    """Tried transforms after which the clean clip is answered as before."""
    queries: int
    """Sounds that the true victim was asked about."""
    seed: int
    file: str
    clip: str
    victim: str
    service: Mapping[str, Any] | None = None
    """Of a victim that is reached over a network, what this cost: as in `Outcome`; None of others."""
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give a dictionary of plain JSON values."""
        plain = finite(asdict(self))
        assert isinstance(plain, dict)
        for trial, one in zip(plain["trials"], self.trials, strict=True):
            trial.update(tried=one.tried, survived=one.survived if one.tried else None)
        return plain


def share_of(trials: Sequence[Trial]) -> float | None:
    """Give the part that the attack came through of the trials that tell something, or None where none does."""
    telling = sum(one.tells for one in trials)
    return sum(one.survived for one in trials) / telling if telling else None


def record_of(survivals: Sequence[Survival]) -> dict[str, Any]:
    """Give several survivals of the same transforms as plain JSON values, with the share that survives each."""
    by_transform = {}
    for trials in zip(*(one.trials for one in survivals), strict=True):
        by_transform[trials[0].transform] = {
            "survived": sum(one.survived for one in trials),
            "telling": sum(one.tells for one in trials),
            "tried": sum(one.tried for one in trials),
            "clean_kept": sum(bool(one.clean_kept) for one in trials),
            "share": share_of(trials),
        }
    return {
        "schema": SCHEMA,
        "share": share_of([trial for one in survivals for trial in one.trials]),
        "transforms": by_transform,
        "outcomes": [one.as_json() for one in survivals],
    }
