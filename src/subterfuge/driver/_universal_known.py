"""The record of a universal sound: of what is known before one is learned, and what is known of that one."""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NoReturn

from subterfuge.audio import Clip
from subterfuge.driver._universal_climb import Climb
from subterfuge.driver._universal_evolve import Evolve
from subterfuge.driver._universal_judge import Unseen, beside, share_of
from subterfuge.driver._universal_plan import Case
from subterfuge.driver._universal_record import Universal, publish, universal_path, verdict_of
from subterfuge.driver._universal_sound import Mix
from subterfuge.driver.place import unjudged_place
from subterfuge.driver.record import clip_record, goal_text, versions, victim_record
from subterfuge.driver.service import Bill
from subterfuge.errors import VictimError
from subterfuge.threat import Goal, Threat
from subterfuge.victim import Victim


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of every sound."""

    victim: Victim
    learned_on: Victim
    goal: Goal
    mix: Mix
    how: Climb | Evolve
    seconds: float
    cases: Sequence[Case]
    seed: int
    service: Bill | None
    command: str | None
    card: str | Path | None

    def record(
        self,
        file: Path,
        place: Path,
        learned: Sequence[int],
        rows: Sequence[Unseen],
        protocol: str,
        spent: int,
        judgements: int,
        notes: Sequence[str],
        verdict: str | None = None,
    ) -> Universal:
        """Give the record.

        Args:
            file: the written sound.
            place: where it will stand.
            learned: the places of the clips that it was learned from.
            rows: the judged clips.
            protocol: which clips judge.
            spent: gradients, or queries.
            judgements: questions besides.
            notes: for the warnings.
            verdict: instead of what the rows say.
        """
        snr = [row.snr_db for row in rows] or [math.nan]
        made = Universal(
            goal=goal_text(Threat(self.goal)),
            target=getattr(self.goal, "target", None),
            limit=str(self.mix),
            seconds=self.seconds,
            anywhere=self.how.anywhere,
            protocol=protocol,
            learned_from=tuple(self.cases[one].clip.name for one in learned),
            success=share_of(rows),
            begun_anywhere=beside(rows, lambda row: row.begun_anywhere, lambda row: row.starts),
            same_spectrum=beside(rows, lambda row: row.same_spectrum, lambda row: row.draws),
            white_noise=beside(rows, lambda row: row.white_noise, lambda row: row.draws),
            snr_db=(min(snr), statistics.median(snr), max(snr)),
            verdict=verdict or "",
            clips=tuple(rows),
            left_out=tuple(case.clip.name for case in self.cases if case.met),
            gradients=spent if isinstance(self.how, Climb) else 0,
            queries=0 if isinstance(self.how, Climb) else spent,
            judgements=judgements,
            method="climb" if isinstance(self.how, Climb) else "evolve",
            knobs=asdict(self.how),
            seed=self.seed,
            file=str(place),
            file_sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            sources=tuple(clip_record(case.clip) for case in self.cases),
            victim=victim_record(self.victim, self.card or getattr(self.victim, "card", None), self.learned_on),
            service=None if self.service is None else self.service.since(),
            warnings=tuple(dict.fromkeys(notes)),
            versions=versions(),
            command=self.command,
        )
        return made if verdict else replace(made, verdict=verdict_of(made))

    def leave_unjudged(
        self,
        death: VictimError,
        sound: Clip,
        folder: Path,
        place: Path,
        force: bool,
        learned: Sequence[int],
        rows: Sequence[Unseen],
        spent: int,
        judgements: int,
        notes: list[str],
    ) -> NoReturn:
        """Keep a sound that was not judged to the end beside where a result would stand, and let the death pass.

        Args:
            death: of the victim.
            sound: to be kept.
            folder: to write it in first.
            place: of a result.
            force: overwrite what was kept before.
            learned: the places of the clips that it was learned from.
            rows: what the victim said of it before.
            spent: gradients, or queries.
            judgements: questions besides.
            notes: for the warnings.

        Raises:
            VictimError: always; it names what was kept.
            OutputError: the sound or its record cannot be written.
        """
        file, kept = sound.write(folder / "sound.wav"), unjudged_place(place, force, universal_path)
        clips = f"{len(learned)} clips, and not judged to the end"
        hits = sum(row.met for row in rows)
        verdict = f"The victim died before this sound was judged: {hits} of {len(rows)} clips asked about met the goal."
        notes.append(f"nobody has judged this sound to the end: {death}")
        rows = [replace(row, file=None) for row in rows]
        made = self.record(file, kept, learned, rows, f"learned from {clips}", spent, judgements, notes, verdict)
        publish(made, file, kept, {})
        raise VictimError(f"{death}; the sound so far, not judged to the end, is kept in {kept}") from death
