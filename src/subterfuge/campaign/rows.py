"""What an audit asked and what came of it: one row a job, and all rows of one audit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

State = Literal["left", "done", "failed"]
VERSION = 1
"""Of what a job's result holds: another version is another key."""


@dataclass(frozen=True)
class Job:
    """One piece of work: one probe of one clip, or, of an attack, one clip and one target."""

    number: int
    """Its place in the audit, from 0; no part of its key."""
    probe: str
    """What is asked: ``clean``, or the name of one of the protocol's searches."""
    name: str
    """Of the clip, once only in an audit: its file's name, with folders where two have the same."""
    path: str
    """Where the clip is; no part of the key."""
    sha256: str
    """Of the clip's file."""
    label: str | None
    """What it is, as far as anyone said."""
    also: tuple[str, ...] = ()
    """What else is heard in it."""
    target: str | None = None
    """What it is to be taken for; None for a probe without a target."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Every right answer; none where the label is not known."""
        return () if self.label is None else (self.label, *self.also)

    def key(self, *setting: object) -> str:
        """Name the job by everything that its result depends on: itself, and what the whole audit has in common.

        Neither its place, nor the folder or the name of its clip is part of it.
        """
        own = [VERSION, self.probe, self.sha256, self.label, list(self.also), self.target]
        return hashlib.sha256(json.dumps([own, [str(part) for part in setting]]).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Row:
    """One job and what came of it."""

    job: Job
    key: str
    state: State = "left"
    result: Mapping[str, Any] = field(default_factory=dict)
    """Of a job that is done, plain JSON values.

    Of the probe ``clean``: ``answer`` (a label), ``probabilities`` and ``scores`` (by label, or None), ``right`` (None
    where the label is not known). Of a search: ``outcome`` (as `Outcome.as_json` gives it, its ``file`` relative to the
    audit's folder, or None), ``probabilities_before`` and ``probabilities`` (by label, of clip and file; None where the
    victim has none), and ``survival`` (as `Survival` records it; None where nothing won, or nothing was to be
    survived).
    """
    error: str | None = None
    """Of a job that failed: the kind of the error and its message."""
    seconds: float = 0.0
    """That the job took; no part of what two runs must agree in."""

    @property
    def unreadable(self) -> bool:
        """Whether it failed because its clip is no sound, or one that nobody hears."""
        return self.job.probe == "clean" and self.state == "failed" and str(self.error).startswith("ClipError")

    @property
    def outcome(self) -> Mapping[str, Any] | None:
        """The record of a search that is done; None of every other row."""
        found: Mapping[str, Any] | None = self.result.get("outcome")
        return found


@dataclass(frozen=True)
class Audit:
    """All that is known of one victim under one protocol."""

    setting: Mapping[str, Any]
    """Plain JSON values: ``protocol`` (name), ``version``, ``level``, ``seed``, ``clips`` (how many), ``targets`` (of
    each), ``queries`` (of the black boxes), ``searches`` (a list of mappings: ``name``, ``says``, ``sees``, ``attack``,
    ``goal``, ``limit``, ``queries``), ``survives`` (transforms), ``data`` (a name), and ``victim`` (a mapping:
    ``name``, ``card``, ``fingerprint``, ``labels``, ``sample_rate``, ``gives``)."""
    rows: tuple[Row, ...]
    """In the order of the jobs."""
    doubts: tuple[Mapping[str, Any], ...] = ()
    """What speaks against the figures: mappings of ``sign``, ``hides`` and ``words``."""
    notes: tuple[str, ...] = ()
    """What a reader should know: clips that were left out, and why."""
    folder: Path = Path()
    """Where the sounds are, and what the files of outcomes are relative to."""

    @property
    def complete(self) -> bool:
        """Whether every job is done; a sound that cannot be read is named, and was never one."""
        return all(row.state == "done" or row.unreadable for row in self.rows)

    def of(self, probe: str) -> tuple[Row, ...]:
        """Give the rows of one probe that are done."""
        return tuple(row for row in self.rows if row.job.probe == probe and row.state == "done")

    def json(self) -> dict[str, Any]:
        """Give everything but the folder as plain JSON values."""
        told = asdict(self)
        del told["folder"]
        return told
