"""The outcome of a search for a sound: of what every one of them knows, and what is known of one sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from subterfuge.attacks import Attack, knobs_of
from subterfuge.driver import NOT_ASKED
from subterfuge.driver._synthesis_begin import Beginnings
from subterfuge.driver._synthesis_bill import Bill
from subterfuge.driver._synthesis_climb import Try
from subterfuge.driver.judge import Verdict
from subterfuge.driver.record import clip_record, name_of, thinned, versions, victim_record
from subterfuge.driver.search import Search
from subterfuge.driver.service import Bill as Service
from subterfuge.hearing.levels import level_db, snr_db
from subterfuge.outcome import Outcome
from subterfuge.threat import Budget, Threat
from subterfuge.victim import Victim


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of every search for one sound."""

    victim: Victim
    threat: Threat
    target: str
    method: Attack
    seed: int
    begins: Beginnings
    bill: Bill
    service: Service | None
    """Of a victim that is paid by the query."""
    budget: Budget
    """What was allowed."""
    command: str | None
    card: str | Path | None

    def outcome(
        self,
        search: Search,
        before: Verdict | None,
        heard: Tensor,
        tries: Sequence[Try],
        raced: int,
        notes: Sequence[str],
        **about: Any,
    ) -> Outcome:
        """Give the outcome.

        Args:
            search: that found the sound.
            before: what the victim said of where it began, None where it was not asked.
            heard: the sound (T,) as the victim hears its file.
            tries: every climb that came to an end.
            raced: how many beginnings were asked about.
            notes: for the warnings.
            about: the other fields of `Outcome`.
        """
        oracle, clean = search.oracle, search.clean[0]
        snr = snr_db(clean.numpy(), heard.numpy())
        return Outcome(
            goal=self.threat.goal.name,
            target=self.target,
            predicted_before=NOT_ASKED if before is None else before.label,
            probability_before=None if before is None else before.probability,
            snr_db=snr,
            file_snr_db=snr,
            peak=float((heard - clean).abs().max()),
            zimtohrli_mos=None,
            queries=self.bill.queries,
            gradients=self.bill.gradients,
            judgements=search.judgements + sum(one.search.judgements for one in tries if one.search is not search),
            seconds=round(self.bill.seconds, 3),
            margin=float(oracle.best_margin[0]),
            control=about.pop("control", None),
            attack=name_of(self.method),
            knobs=knobs_of(self.method),
            limit=str(self.threat.limit),
            budget=asdict(self.budget),
            service=None if self.service is None else self.service.since(),
            seed=self.seed,
            repeatable=not self.bill.out_of_time,
            clip=clip_record(search.clip),
            victim=victim_record(self.victim, self.card or getattr(self.victim, "card", None), search.on),
            warnings=tuple(dict.fromkeys([*self.victim.warnings, *notes])),
            history=thinned(oracle.history[0]),
            findings={
                "from": self.begins.name,
                "level_dbfs": level_db(heard.numpy()),
                "peak": float(heard.abs().max()),
                "seconds": self.begins.samples / self.victim.sample_rate,
                "raced": raced,
                "tries": [
                    {"began": one.before.label, "says": one.verdict.label, "probability": one.verdict.probability}
                    for one in tries
                ],
                **oracle.findings[0],
            },
            versions=versions(),
            command=self.command,
            **about,
        )
