"""What came of one case under one victim: of each search what its outcome says, and which of them failed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from subterfuge.harden.memory import content_of
from subterfuge.outcome import Outcome

UNCHANGED_DB = 200.0
"""What a win counts as that changed nothing, as against a victim that draws its answers: quieter than any change."""
ELSEWHERE = "found elsewhere"
"""What `Faced.failures` calls the attack that does not adapt."""


@dataclass(frozen=True)
class Attempt:
    """One search: what an outcome says of it."""

    won: bool
    snr_db: float | None
    """Of the written file, where it won."""
    probability: float | None
    """Of the goal's class in the file that was judged last."""
    zimtohrli_mos: float | None
    answer: str
    queries: int
    gradients: int
    seconds: float
    attack: str
    file: str | None
    already: bool = False
    """Whether the clip met the goal unchanged; it counts in no median."""
    sha256: str | None = None
    """Of the file's bytes as it was judged."""

    @property
    def needed_db(self) -> float | None:
        """SNR of a win, `UNCHANGED_DB` of one without any change; None of a loss."""
        if not self.won:
            return None
        return UNCHANGED_DB if self.snr_db is None else self.snr_db

    @classmethod
    def of(cls, outcome: Outcome) -> Attempt:
        """Take what matters from an outcome."""
        finite = outcome.won and outcome.snr_db is not None and math.isfinite(outcome.snr_db)
        return cls(
            won=outcome.won,
            snr_db=outcome.snr_db if finite else None,
            probability=outcome.probability,
            zimtohrli_mos=outcome.zimtohrli_mos,
            answer=outcome.predicted,
            queries=outcome.queries,
            gradients=outcome.gradients,
            seconds=outcome.seconds,
            attack=outcome.attack,
            file=outcome.file,
            already=outcome.already,
            sha256=outcome.file_sha256,
        )

    def there(self, folder: Path) -> Attempt | None:
        """Give it with the path at which its file is now, the same or below a folder that was moved; None if nowhere.

        A file that holds something else, as after a run of another setting, is not it.
        """
        if self.file is None:
            return self
        for path in (Path(self.file), folder.joinpath(*Path(self.file).parts[-2:])):
            if content_of(str(path)) == self.sha256:
                return replace(self, file=str(path))
        return None


@dataclass(frozen=True)
class Faced:
    """What one victim did with one case."""

    case: int
    answer: str
    """To the clip as it is."""
    right: bool
    attempts: dict[str, Attempt]
    """By the name of the search: targeted, untargeted, masked, black box."""
    found_elsewhere_db: float | None = None
    """The SNR at which a change that was found on the undefended victim, made louder, turns this one into the target.

    The attack that does not adapt. None where it never did, or was not tried.
    """
    failed: str | None = None
    """Why the case could not be asked."""
    failures: dict[str, str] = field(default_factory=dict)
    """By the names of those searches that failed, and of the attack that does not adapt (`ELSEWHERE`): why."""
    carried: bool = False
    """Whether the attack that does not adapt was tried."""

    def failed_any(self, searches: Sequence[str]) -> bool:
        """Say whether one of some searches failed."""
        return self.failed is not None or any(name in self.failures for name in searches)

    def json(self) -> dict[str, Any]:
        """Give it as plain JSON values."""
        return asdict(self)

    @classmethod
    def of_json(cls, value: dict[str, Any]) -> Faced:
        """Read what `json` gave."""
        attempts = {name: Attempt(**one) for name, one in value["attempts"].items()}
        return cls(**(value | {"attempts": attempts}))

    def there(self, folder: Path) -> Faced:
        """Give it without those attempts whose files are nowhere, and with the paths of the others."""
        found = {name: one.there(folder) for name, one in self.attempts.items()}
        return replace(self, attempts={name: one for name, one in found.items() if one is not None})
