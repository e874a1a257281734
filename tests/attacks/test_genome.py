"""The genome of band energies, and the population that is asked about."""

from __future__ import annotations

import math

import pytest
import torch
from tests.attacks.toys import at_distance, tones, two_sided

from subterfuge.attacks.genome import genes_of
from subterfuge.oracle import BudgetSpent, Oracle, dice
from subterfuge.threat import Budget, Targeted, Threat

RATE = 8000


def test_the_gain_genes_add_up_to_the_clip() -> None:
    clean = torch.randn(4000, generator=dice("clip", 1)[0])
    genes = genes_of(clean, RATE, 12, dice("genes", 1)[0])
    assert torch.allclose(genes[0::2].sum(0), clean, atol=1e-4)


def test_a_noise_gene_is_about_as_loud_as_its_cell() -> None:
    clean = torch.randn(16000, generator=dice("clip", 1)[0])
    genes = genes_of(clean, RATE, 8, dice("genes", 1)[0]).norm(dim=1)
    ratio_db = 20 * torch.log10(genes[1::2] / genes[0::2])
    assert ratio_db.abs().max() < 6


def test_genes_stay_in_their_band() -> None:
    clean = torch.randn(16000, generator=dice("clip", 1)[0])
    genes = genes_of(clean, RATE, 2, dice("genes", 1)[0])
    hz = torch.fft.rfftfreq(16000, 1 / RATE)
    border = 700 * ((1 + RATE / 2 / 700) ** 0.5 - 1)
    power = torch.fft.rfft(genes).abs() ** 2
    above = power[:, hz > border + 200].sum(1) / power.sum(1)
    assert (above[:6] < 0.01).all()  # three tiers of a gain and a noise in the lower band
    assert (above[6:] > 0.5).all()


def oracle_of(budget: Budget, **options: object) -> tuple[Oracle, torch.Tensor]:
    victim, w = two_sided(512)
    clean = at_distance(tones(2, 512), w, 30.0)
    return Oracle(
        victim, Threat(Targeted("b"), budget=budget), clean, torch.ones(2, dtype=torch.long), **options
    ), clean  # type: ignore[arg-type]


def test_a_population_is_counted_and_its_quietest_win_is_remembered() -> None:
    oracle, clean = oracle_of(Budget())
    steps = torch.linspace(-0.5, 0.5, 70)[:, None]
    _, slope = oracle.gradient(torch.zeros_like(clean))
    up = slope[0] / slope[0].norm() * clean[0].norm()
    margin, pull = oracle.population(steps * up, 0)
    assert (len(margin), len(pull)) == (70, 70)
    assert oracle.queries == [70, 0]
    wins = margin > 0
    quietest = (steps * up).norm(dim=1)[wins].min()
    assert math.isclose(float(oracle.best_size[0]), float(quietest), rel_tol=1e-5)
    assert not oracle.won[1]


def test_a_population_ends_with_the_budget_and_a_closed_row_answers_nothing() -> None:
    oracle, clean = oracle_of(Budget(queries=40))
    changes = torch.zeros(50, clean.shape[1])
    assert len(oracle.population(changes, 0)[0]) == 40
    assert len(oracle.population(changes, 0)[0]) == 0
    assert oracle.queries == [40, 0]
    oracle.population(changes, 1)
    with pytest.raises(BudgetSpent):
        oracle.population(changes, 0)


def test_answers_that_were_paid_for_are_given_where_the_budget_ends_between_two_parts() -> None:
    oracle, clean = oracle_of(Budget(queries=64))
    oracle.queries[1] = 64
    assert len(oracle.population(torch.zeros(70, clean.shape[1]), 0)[0]) == 64
    assert oracle.queries == [64, 64]
