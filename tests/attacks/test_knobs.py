"""What a budget and an attack's own count of queries come to together."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from tests.attacks.kit import quick, search
from tests.attacks.toys import at_distance, tones, two_sided

from subterfuge.attacks import NES, Attack, Evolution, Genetic, Guided, HopSkipJump, Square
from subterfuge.attacks.knobs import most_queries
from subterfuge.oracle import Oracle
from subterfuge.threat import Budget, LeastSNR, Targeted, Threat, Unlimited

T = 512
CAPPED: list[Attack] = [
    Evolution(bands=8, finest=8, queries=60, scout=1),
    Genetic(population=8, offspring=10, generations=3, bands=10),
    Guided(evolve=30, starts=(40.0,), bands=8, rounds=2, queries=60),
    HopSkipJump(starts=4, runners=1, race=1, rounds=1, probes=20),
    NES(space="waveform", queries=60),
    Square(queries=60, grow_every=5, grow_db=3.0),
    dataclasses.replace(quick("substitute"), queries=60, patience=1000),  # type: ignore[type-var]
]


@pytest.mark.parametrize("attack", CAPPED, ids=lambda attack: type(attack).__name__)
@pytest.mark.parametrize("snr_db", [1.0, 46.0], ids=["beyond the limit", "within it"])
def test_a_budget_larger_than_an_attacks_own_count_is_spent_to_the_last(attack: Attack, snr_db: float) -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, snr_db)
    oracle = search(attack, victim, clean, limit=LeastSNR(25.0), budget=Budget(queries=400))
    assert oracle.queries == [400]
    assert bool(oracle.won[0]) == (snr_db == 46.0)


@pytest.mark.parametrize(("queries", "most"), [(None, 50), (20, 50), (50, 50), (900, 900)])
def test_the_larger_of_the_budget_and_the_knob_is_what_an_attack_may_plan(queries: int | None, most: int) -> None:
    victim, _ = two_sided(T)
    threat = Threat(Targeted("b"), Unlimited(), Budget(queries=queries))
    assert most_queries(Oracle(victim, threat, tones(1, T), torch.ones(1, dtype=torch.long)), 50) == most
