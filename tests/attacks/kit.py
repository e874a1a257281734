"""How the tests of attacks run one: quick knobs, an oracle around toy victims, and what it came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from tests.attacks.toys import RATE, Toy
from torch import Tensor

from subterfuge.attacks import ATTACKS, Attack
from subterfuge.hearing.ear import Ear
from subterfuge.oracle import BudgetSpent, Oracle, dice
from subterfuge.oracle.masked import MaskedOracle
from subterfuge.threat import Budget, Goal, LeastSNR, Limit, Masking, Targeted, Threat, Unlimited
from subterfuge.victim import Gives

QUICK: dict[str, dict[str, Any]] = {
    "quietest": {"starts": (float("inf"), 46.0, 46.0), "even": 1, "climb": 60, "resort": 2, "race": (10, 20, 30)},
    "guided": {"evolve": 40, "starts": (float("inf"), 40.0), "bands": 6, "rounds": 6},
    "pgd": {"steps": 30, "starts": 2},
    "study-ga": {"population": 8, "offspring": 16, "generations": 12, "sd": 0.3},
    "hopskipjump": {"starts": 4, "runners": 2, "race": 1, "rounds": 7, "probes": 24},
    "substitute": {
        "front": "wave",
        "queries": 100,
        "first": 20,
        "loudest_db": 10.0,
        "each": 20,
        "climb": 15,
        "walk": (6, 10),
    },
    "evolution": {"bands": 8, "finest": 8, "queries": 160, "scout": 3},
    "nes": {"bands": 8, "finest": 16, "queries": 150},
    "square": {"queries": 120, "grow_every": 5, "grow_db": 3.0},
    "kenansville": {"beyond": 60},
    "genetic": {"population": 8, "offspring": 10, "generations": 14, "bands": 10, "patience": 3, "informed": 0.3},
}
"""Knobs with which an attack is quick on a toy; an attack that is not named here runs as it comes."""


def quick(name: str) -> Attack:
    """Give an attack with quick knobs."""
    return ATTACKS[name](**QUICK.get(name, {}))


def usual_limit(attack: Attack) -> Limit:
    """Give what an attack needs to have an end: a limit where it looks for margin, else none."""
    return LeastSNR(30.0) if attack.seeks == "margin" else Unlimited()


def search(
    attack: Attack,
    victim: Toy,
    clean: Tensor,
    *,
    goal: Goal | None = None,
    focus: int = 1,
    limit: Limit | None = None,
    budget: Budget | None = None,
    key: str = "seed 0",
    rolls: Sequence[torch.Generator] | None = None,
    oracle: Oracle | None = None,
    **options: Any,
) -> Oracle:
    """Run an attack until it ends or its budget does, and give the oracle that it held."""
    if oracle is None:
        threat = Threat(goal or Targeted(victim.labels[focus]), limit or usual_limit(attack), budget or Budget())
        oracle = Oracle(victim, threat, clean, torch.full((len(clean),), focus), seeks=attack.seeks, **options)
    try:
        attack(oracle, clean, dice(key, len(clean)) if rolls is None else rolls)
    except BudgetSpent:
        assert not oracle.open().any()
    return oracle


def search_by_ear(
    attack: Attack,
    victim: Toy,
    clean: Tensor,
    *,
    limit: Limit | None = None,
    budget: Budget | None = None,
    key: str = "seed 0",
    rolls: Sequence[torch.Generator] | None = None,
    oracle: Oracle | None = None,
    step: float = 0.0,
) -> tuple[Oracle, Ear]:
    """Run an attack in the coordinates of an ear beside the sounds, as the driver does, for the label after the first.

    Give the oracle behind them, and the ear.
    """
    ear = Ear.beside(clean, RATE)
    limit = limit or (Masking(-6.0) if attack.seeks == "margin" else Unlimited())
    if isinstance(limit, Masking):
        limit = limit.beside(ear, step)
    if oracle is None:
        oracle = Oracle(
            victim,
            Threat(Targeted(victim.labels[1]), limit, budget or Budget()),
            clean,
            torch.ones(len(clean), dtype=torch.long),
            grid=[step] * len(clean),
            seeks=attack.seeks,
            ear=ear,
            labels_only=attack.needs is Gives.LABELS,
        )
    masked = MaskedOracle(oracle, ear)
    try:
        attack(cast(Oracle, masked), masked.clean, dice(key, len(clean)) if rolls is None else rolls)
    except BudgetSpent:
        assert not oracle.open().any()
    return oracle, ear
