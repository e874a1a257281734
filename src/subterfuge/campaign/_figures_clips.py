"""What the rows of an audit say of each clip and of each search, in numbers: what every figure is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from subterfuge.campaign.rows import Audit, Row

CLEAN = "clean"
WHITE_BOX, SUBSTITUTE = "white box", "substitute"
SEES = {
    "white": "gradients",
    "untargeted": "gradients",
    "masked": "gradients",
    "scores": "scores",
    "labels": "labels",
    "substitute": "a substitute",
}
"""What a search sees where the audit's setting does not say."""
NO_CHANGE_DB = 150.0
"""What a win counts as of which the file is the clip: some dB below the last bit of 24."""


@dataclass(frozen=True)
class Heard:
    """One clip as it comes."""

    sha256: str
    name: str
    truth: tuple[str, ...]
    """Every right answer; the victim's own where no label is known."""
    known: bool
    """Whether a label is."""
    right: bool | None
    """Whether the victim is right about it; True where no label is known, None where it did not answer."""

    @property
    def source(self) -> str | None:
        """The label by which it is counted."""
        return self.truth[0] if self.truth else None


@dataclass(frozen=True)
class Try:
    """One search that is done and had something to do."""

    row: Row
    outcome: Mapping[str, Any]
    clip: Heard
    sees: str

    @property
    def probe(self) -> str:
        """The search's name."""
        return self.row.job.probe

    @property
    def won(self) -> bool:
        """Whether the file met the goal."""
        return bool(self.outcome["won"])

    @property
    def turned(self) -> bool:
        """Whether the victim is wrong about the file that won."""
        return self.won and self.outcome["predicted"] not in self.clip.truth

    @property
    def snr_db(self) -> float:
        """Signal to change of the win; minus infinity, worse than any, of a lost search."""
        return _or(self.outcome.get("snr_db"), NO_CHANGE_DB) if self.won else -math.inf

    @property
    def nmr_db(self) -> float:
        """Noise-to-mask ratio of the win; infinity, worse than any, of a lost search or one without."""
        if not self.won:
            return math.inf
        silent = -NO_CHANGE_DB if self.outcome.get("snr_db") is None else math.inf
        return _or(self.outcome.get("nmr_db"), silent)

    @property
    def calls(self) -> float:
        """Queries of the victim and gradients through it; of a search on a substitute the queries alone."""
        spent = float(self.outcome["queries"])
        return spent if self.sees == SEES[SUBSTITUTE] else spent + float(self.outcome["gradients"])

    @property
    def seconds(self) -> float:
        """That the search took."""
        return float(self.outcome["seconds"])

    def calls_within(self, snr_db: float) -> float:
        """Give the calls after which it first had a win as quiet as that; infinity where it never had.

        The history tells of them; without one, or on a substitute, which is taught first, it is all that was spent.
        """
        if not self.turned or self.snr_db < snr_db:
            return math.inf
        if self.sees == SEES[SUBSTITUTE]:
            return self.calls
        steps = [
            float(step["queries"] + step["gradients"])
            for step in self.outcome.get("history") or ()
            if (step.get("margin") or 0.0) > 0 and step.get("snr_db") is not None and step["snr_db"] >= snr_db
        ]
        return min([self.calls, *steps])

    def seconds_within(self, snr_db: float) -> float:
        """Give the seconds of the same: of all seconds as large a part as those calls are of all calls."""
        calls = self.calls_within(snr_db)
        if not math.isfinite(calls):
            return math.inf
        return self.seconds * (calls / self.calls if self.calls else 1.0)


@dataclass(frozen=True)
class Tries:
    """An audit's clips and searches."""

    clips: Mapping[str, Heard]
    """By the hash of the file, every one."""
    drawn: tuple[Heard, ...]
    """Those that were to be attacked in any way."""
    tries: tuple[Try, ...]
    sees: Mapping[str, str]
    """What each search sees, by name, in the audit's order."""
    waiting: frozenset[tuple[str, str]]
    """The hash of each clip of which a search failed or is left, with that search's name."""

    def waits(self, clip: Heard, probes: Iterable[str]) -> bool:
        """Say whether one of some searches of a clip was planned, and is not done."""
        return any((clip.sha256, probe) in self.waiting for probe in probes)

    def of(self, probe: str) -> tuple[Try, ...]:
        """Give the tries of one search."""
        return tuple(one for one in self.tries if one.probe == probe)

    @property
    def families(self) -> dict[str, tuple[str, ...]]:
        """Give the searches that see the same of the victim, by what that is."""
        found: dict[str, tuple[str, ...]] = {}
        for probe, sees in self.sees.items():
            name = {"gradients": WHITE_BOX, SEES[SUBSTITUTE]: SUBSTITUTE}.get(sees, sees)
            found[name] = (*found.get(name, ()), probe)
        return found


def tries_of(audit: Audit) -> Tries:
    """Read an audit's rows."""
    told = {str(one["name"]): str(one.get("sees") or "") for one in audit.setting.get("searches", ())}
    there = dict.fromkeys(row.job.probe for row in audit.rows if row.job.probe != CLEAN)
    sees = {name: told.get(name) or SEES.get(name, name) for name in [*(one for one in told if one in there), *there]}
    clips = _clips(audit)
    tries = tuple(
        Try(row, row.outcome, clips[row.job.sha256], sees[row.job.probe])
        for row in audit.rows
        if row.job.probe != CLEAN and row.state == "done" and row.outcome is not None and not row.outcome.get("already")
    )
    drawn = dict.fromkeys(row.job.sha256 for row in audit.rows if row.job.probe != CLEAN)
    waiting = frozenset((row.job.sha256, row.job.probe) for row in audit.rows if row.state != "done")
    return Tries(clips, tuple(clips[one] for one in drawn), tries, sees, waiting)


def _clips(audit: Audit) -> dict[str, Heard]:
    answers: dict[str, str] = {}
    for row in audit.rows:
        if row.state == "done":
            said = row.result.get("answer") if row.job.probe == CLEAN else (row.outcome or {}).get("predicted_before")
            if said is not None and (row.job.probe == CLEAN or row.job.sha256 not in answers):
                answers[row.job.sha256] = str(said)
    clips: dict[str, Heard] = {}
    for row in audit.rows:
        job, answer = row.job, answers.get(row.job.sha256)
        if job.sha256 not in clips:
            truth = job.labels or (() if answer is None else (answer,))
            right = None if answer is None else answer in truth
            clips[job.sha256] = Heard(job.sha256, job.name, truth, job.label is not None, right)
    return clips


def _or(value: Any, other: float) -> float:
    return other if value is None else float(value)
