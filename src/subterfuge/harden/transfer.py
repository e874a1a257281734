"""The transfer matrix: a change found on the row, judged on the column.

Papernot, McDaniel, Goodfellow 2016, https://arxiv.org/abs/1605.07277. Beside it stands noise of the same level and
spectrum, without which transfer is not to be read: much that looks like transfer is noise.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from subterfuge.attacks.evolution import Evolution
from subterfuge.attacks.noise import same_spectrum
from subterfuge.attacks.pgd import PGD
from subterfuge.audio import Clip
from subterfuge.campaign.cases import Case
from subterfuge.campaign.effort import has_slope
from subterfuge.campaign.pool import each, victim_of
from subterfuge.errors import ClipError, InputError, check_seed
from subterfuge.oracle import BudgetSpent, Oracle, dice
from subterfuge.threat import Budget, LeastSNR, Targeted, Threat
from subterfuge.victim import Gives, Victim

STEPS = 60
"""Gradients of one search."""
QUERIES = 600
"""Queries of a search on a victim without gradients."""


@dataclass(frozen=True)
class Share:
    """How many of some changes did what they were to do."""

    hits: int
    of: int

    @property
    def part(self) -> float | None:
        """The share, 0 .. 1."""
        return self.hits / self.of if self.of else None


@dataclass(frozen=True)
class Matrix:
    """Which changes carry over."""

    names: tuple[str, ...]
    snr_db: float
    """Of every change."""
    targeted: tuple[tuple[Share, ...], ...]
    """Row: found on. Column: judged on. How often the target was answered."""
    turned: tuple[tuple[Share, ...], ...]
    """How often a right answer became a wrong one."""
    noise_targeted: tuple[tuple[Share, ...], ...]
    """The same for noise of the level and the spectrum of each change."""
    noise_turned: tuple[tuple[Share, ...], ...]
    skipped: tuple[str, ...] = ()
    """Clips that cannot be read: one sentence each. They are in no share."""

    def json(self) -> dict[str, Any]:
        """Give it as plain JSON values."""
        return asdict(self)


def matrix(
    cards: Sequence[Path],
    cases: Sequence[Case],
    *,
    snr_db: float = 30.0,
    seed: int = 0,
    jobs: int = 1,
    trust_pickle: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Matrix:
    """Find a change of each case on each victim, write it, and ask every victim about the file.

    Args:
        cards: of victims with the same labels; each hears at its own rate.
        cases: clips and targets.
        snr_db: as loud as every change may be; the search is for the largest margin within it.
        seed: of everything random.
        jobs: processes.
        trust_pickle: load pickled models.
        progress: told how many searches of how many are done.

    Raises:
        InputError: the victims have different labels, no clip can be read, or the seed makes no sense.
    """
    check_seed(seed)
    victims = [victim_of(card, trust_pickle) for card in cards]
    for one in victims[1:]:
        if set(one.labels) != set(victims[0].labels):
            raise InputError(
                f"{one.name} has the labels {', '.join(one.labels)}, and {victims[0].name} "
                f"{', '.join(victims[0].labels)}; a change can be carried over between victims of the same labels"
            )
    things = [(row, case) for row in range(len(cards)) for case in cases]
    work = partial(_carried, tuple(cards), snr_db, seed, trust_pickle)
    hits = [[[[0, 0] for _ in cards] for _ in cards] for _ in range(4)]
    skipped: dict[Path, str] = {}
    for done, (place, told) in enumerate(each(work, things, jobs), 1):
        row, case = things[place]
        if isinstance(told, str):
            skipped[case.path] = told
            told = []
        for column, (clean, change, noise) in enumerate(told):
            for table, said in ((0, change), (2, noise)):
                if clean != case.target:
                    hits[table][row][column][0] += said == case.target
                    hits[table][row][column][1] += 1
            for table, said in ((1, change), (3, noise)):
                if clean == case.label:
                    hits[table][row][column][0] += said != case.label
                    hits[table][row][column][1] += 1
        if progress is not None:
            progress(done, len(things))
    if cases and len(skipped) == len({case.path for case in cases}):
        raise InputError(f"none of the {len(skipped)} clips can be read: {next(iter(skipped.values()))}")
    tables = [tuple(tuple(Share(*cell) for cell in row) for row in table) for table in hits]
    names, why = tuple(one.name for one in victims), tuple(skipped[path] for path in sorted(skipped))
    return Matrix(names, snr_db, tables[0], tables[1], tables[2], tables[3], why)


def _carried(
    cards: tuple[Path, ...], snr_db: float, seed: int, trust_pickle: bool, thing: tuple[int, Case]
) -> list[tuple[str, str, str]] | str:
    """Give for each victim what it says of the clip, of the change found on one of them, and of noise like it.

    Of a clip that cannot be read, why.
    """
    row, case = thing
    source = victim_of(cards[row], trust_pickle)
    try:
        clip = Clip.read(case.path)
    except ClipError as error:
        return str(error)
    clean = torch.from_numpy(clip.mono(source.sample_rate))[None]
    die = dice(f"{seed}/transfer/{case.target}/{clip.fingerprint}", 1)
    change = found_on(source, clean, case.target, snr_db, die)
    sounds = [clip.mono, _written(clip, change, source.sample_rate)]
    sounds.append(_written(clip, same_spectrum(change, die[0]), source.sample_rate))
    told = []
    for card in cards:
        victim = victim_of(card, trust_pickle)
        heard = [torch.from_numpy(mono(victim.sample_rate))[None] for mono in sounds]
        clean_said, change_said, noise_said = (victim.labels[int(victim.decide(one)[0])] for one in heard)
        told.append((clean_said, change_said, noise_said))
    return told


def found_on(victim: Victim, clean: Tensor, target: str, snr_db: float, die: Sequence[torch.Generator]) -> Tensor:
    """Give the change (T,) within an SNR that has the largest margin for a target on a victim, or on its twin."""
    seen = victim if victim.gives is Gives.GRADIENTS or victim.twin is None else victim.twin
    threat = Threat(Targeted(target), LeastSNR(snr_db), Budget() if has_slope(victim) else Budget(queries=QUERIES))
    oracle = Oracle(seen, threat, clean, torch.tensor([victim.labels.index(target)]), seeks="margin")
    with contextlib.suppress(BudgetSpent):
        (PGD(steps=STEPS, starts=1) if has_slope(victim) else Evolution())(oracle, clean, die)
    return oracle.best[0]


def _written(clip: Clip, change: Tensor, rate: int) -> Callable[[int], Any]:
    """Write a changed clip and read it back."""
    with tempfile.TemporaryDirectory() as folder:
        path = clip.add(change.numpy(), rate).write(f"{folder}/changed{clip.output_suffix(False)}")
        return Clip.read(path).mono
