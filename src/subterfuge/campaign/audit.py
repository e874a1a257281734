"""The audit: a protocol over many clips, every job kept in the ledger as soon as it is done.

First every clip is scored as it comes; then the drawn cases are attacked, those that are answered rightly in every way.
A run that was ended, however it was, goes on where it was, and comes to what it would have come to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from subterfuge.campaign._resumed import check_same
from subterfuge.campaign.cases import Case
from subterfuge.campaign.clips import read_clips
from subterfuge.campaign.doubts import Doubt, look
from subterfuge.campaign.expected import expected
from subterfuge.campaign.ledger import Ledger
from subterfuge.campaign.planning import attack_jobs, cases_of, clean_job, fitted, heard_of, setting_of, shared_by
from subterfuge.campaign.pool import victim_of
from subterfuge.campaign.protocol import PROTOCOLS, SURVIVES, Search
from subterfuge.campaign.rows import Audit, Job
from subterfuge.campaign.running import Run, Tell
from subterfuge.campaign.suspicion import suspect
from subterfuge.campaign.work import Bench
from subterfuge.driver.service import JUDGING, bill_of
from subterfuge.errors import InputError, OutputError, VictimError, nearest
from subterfuge.training.examples import Dataset

UNFINISHED = "this audit is at work, or was ended before its end"


def audit(
    card: str | Path,
    clips: Sequence[str | Path] | Dataset,
    out: str | Path,
    *,
    level: str = "quick",
    count: int | None = None,
    targets: int | None = None,
    queries: int | None = None,
    only: Sequence[str] = (),
    seed: int = 0,
    jobs: int = 1,
    batch: int = 1,
    retry: bool = False,
    trust_pickle: bool = False,
    max_seconds: float = 600.0,
    tell: Tell = lambda _, __, ___: None,
    announce: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Run the protocol against a victim, or go on with it, and give all that is known then.

    Args:
        card: the victim's.
        clips: sounds, folders, tables, as `read_clips` takes them; or a set.
        out: the audit's folder: the ledger and the sounds that won.
        level: of `PROTOCOLS`: quick, standard or thorough.
        count: clips to attack, instead of the level's.
        targets: of each of them, instead of the level's.
        queries: of each black box, instead of the level's.
        only: names of searches; all that the victim can be asked, where there is none.
        seed: of everything random.
        jobs: processes.
        batch: attacks on clips of one length that each process makes at once, as one batch of questions to the victim.
        retry: do again what failed.
        trust_pickle: load pickled models.
        max_seconds: refuse a longer clip.
        tell: told what is being done, and how much of how much is.
        announce: told what a user should know at once: the time that it will take, and what was left out.

    Raises:
        InputError: nothing can be audited as asked.
        OutputError: the folder holds another audit, or one of another model behind the same card, or cannot be
            written; or another process is at work there.
    """
    if level not in PROTOCOLS:
        raise InputError(f"level '{level}' is not known; {nearest(level, PROTOCOLS)}")
    for what, number in (
        ("clips", count),
        ("targets", targets),
        ("queries", queries),
        ("jobs", jobs),
        ("batch", batch),
    ):
        if number is not None and number < 1:
            raise InputError(f"{number} {what}: one or more were expected")
    card, out = Path(card).absolute(), Path(out).absolute()
    victim = victim_of(card, trust_pickle)
    protocol = fitted(PROTOCOLS[level], count, targets, queries, len(victim.labels))
    searches = protocol.searches(victim, only)
    bill = bill_of(victim)
    left = None if bill is None else bill.queries_left
    if left is not None and jobs > 1:
        announce(f"the victim answers {left} more queries, which processes would take from one another: one is used")
        jobs = 1
    data = clips if isinstance(clips, Dataset) else read_clips(clips)
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; a folder was expected for --out")
    bench = Bench(card, out, searches, SURVIVES, protocol.draws, seed, trust_pickle, max_seconds)
    setting = setting_of(protocol, protocol.searches(victim), victim, card, data, seed, SURVIVES)
    with Ledger.open(out, setting) as ledger:
        run = Run(ledger, bench, shared_by(setting), jobs, batch, retry, tell, lonely=left is not None)
        run.recover()
        unfinished = UNFINISHED in ledger.audit("").notes
        notes = list(data.skipped)
        heard = heard_of(data, protocol.clean, seed, victim.labels, notes)
        notes += check_same(
            ledger.audit("clean"), victim, {one.sha256: one.example.path for one in heard}, max_seconds, announce
        )
        scored = [clean_job(number, one) for number, one in enumerate(heard)]
        run.work(run.plan(scored), "clips as they come")
        cases, rows = cases_of(ledger.audit("clean"), heard, victim, protocol, seed, notes)
        attacks = attack_jobs(cases, rows, protocol.searches(victim), len(scored))
        todo = run.plan([*scored, *run.asked(attacks, {one.name for one in searches})])
        if todo or unfinished:
            ledger.note([*notes, UNFINISHED])
            if left is not None:
                announce(_affordable(searches, todo, left))
            with contextlib.suppress(VictimError):  # who dies of two questions is told by the rows
                ask = partial(_expected, card, trust_pickle, searches, todo, jobs, max_seconds, level)
                announce(run.aside("expected", ask))
            run.work(todo, "attacks")
            found = [*_looked(run, partial(_look, card, trust_pickle, cases), notes), *suspect(ledger.audit())]
            ledger.doubt([asdict(one) for one in found])
        ledger.note([*notes, run.ended] if run.ended else notes)
        run.tidy()
        return ledger.audit()


def _affordable(searches: Sequence[Search], todo: Sequence[tuple[str, Job]], left: int) -> str:
    """Say what the attacks may ask of a victim that answers so many more queries.

    Raises:
        InputError: the least of them asks more.
    """
    each = {one.name: (one.queries or 0) + JUDGING for one in searches}
    asked = [each[job.probe] for _, job in todo if job.probe in each]
    if asked and min(asked) > left:
        raise InputError(
            f"the victim answers {left} more queries, and every attack may ask {min(asked)} or more, the judge's "
            "included; allow fewer (--queries), or raise most_queries on its card"
        )
    short = ": those for which too few are left will fail; raise most_queries on its card" if sum(asked) > left else ""
    return f"the attacks may ask {sum(asked)} queries, survival apart, and the victim answers {left} more{short}"


def _expected(card: Path, trust_pickle: bool, *about: Any) -> str:
    return expected(victim_of(card, trust_pickle), *about)


def _look(card: Path, trust_pickle: bool, cases: Sequence[Case]) -> list[Doubt]:
    return look(victim_of(card, trust_pickle), cases)


def _looked(run: Run, ask: Callable[[], list[Doubt]], notes: list[str]) -> list[Doubt]:
    try:
        return run.aside("doubts", ask)
    except VictimError as death:
        notes.append(f"the victim was not asked whether it hides its gradients: {death}")
        return []
