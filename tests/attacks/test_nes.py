"""Estimated natural gradients: the estimate, the step that it promises, and closed forms."""

from __future__ import annotations

import json

import pytest
import torch
from tests.attacks.kit import search
from tests.attacks.toys import Toy, at_distance, bands, dark, tones, two_sided

from subterfuge.attacks import NES, Noise
from subterfuge.attacks._es_fill import fill_of
from subterfuge.attacks._es_slope import draws, scaled, sized
from subterfuge.errors import AttackError
from subterfuge.oracle import Oracle, dice
from subterfuge.threat import LeastSNR, Maximise, Threat

T = 512
WAVEFORM = 1.1
"""How many times the least change the waveform's search may need on a linear victim; it reaches 1.01 to 1.05."""
CELLS = 5.0
"""The same in bands, some twenty numbers for 512 weights at random; it reaches 4.8 on this clip, 6.3 on another."""


def climber(victim: Toy, clean: torch.Tensor, limit: LeastSNR) -> Oracle:
    """An oracle that seeks the largest margin."""
    threat = Threat(Maximise("b", asks="scores"), limit)
    return Oracle(victim, threat, clean, torch.ones(len(clean), dtype=torch.long), seeks="margin")


def test_draws_stand_at_right_angles_as_far_as_they_fit() -> None:
    drawn = draws(10, 6, dice("draws", 1)[0])
    assert drawn.shape == (10, 6)
    assert torch.allclose(drawn[:6] @ drawn[:6].T, 6 * torch.eye(6).double(), atol=1e-9)
    assert torch.allclose(drawn.norm(dim=1), torch.tensor(6.0).double().sqrt())


def test_a_scaled_genome_spends_what_it_was_told_to() -> None:
    fill = fill_of(tones(1, 8000)[0], 8000, 12, dice("fill", 1)[0])
    floors = torch.randn(3, fill.genes, generator=dice("floors", 1)[0], dtype=torch.float64)
    wanted = torch.tensor([0.001, 0.01, 0.1]).double()
    assert torch.allclose(fill.roots(sized(fill, floors, wanted)).norm(dim=1), wanted, rtol=1e-5)


def test_the_least_scale_that_is_enough_is_found() -> None:
    tried = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).double()
    assert torch.allclose(scaled(tried, lambda one: one.sum(1) >= 14), tried * torch.tensor([[14 / 3], [2.0]]).double())


@pytest.mark.parametrize(("space", "most"), [("waveform", WAVEFORM), ("cells", CELLS)])
def test_on_a_linear_victim_it_comes_within_a_factor_of_the_nearest_point(space: str, most: float) -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 40.0)
    oracle = search(NES(space=space), victim, clean)  # type: ignore[arg-type]
    assert oracle.queries[0] <= 5000
    assert 1 <= float(oracle.best_size[0] / -(clean[0].double() @ w) * w.norm()) < most


def test_on_a_curved_victim_it_is_far_below_the_noise_that_wins() -> None:
    victim, clean = bands(T), dark(1, T, seed=4)
    quiet = search(NES(queries=1000), victim, clean)
    loud = search(Noise(), victim, clean)
    assert 20 * torch.log10(loud.best_size / quiet.best_size) > 6


def test_in_the_waveform_it_climbs_to_the_largest_margin_in_a_ball() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 40.0)
    limit = LeastSNR(30.0)
    most = w.norm() * limit.radius(clean)[0, 0]
    oracle = search(NES(space="waveform", queries=3000), victim, clean, oracle=climber(victim, clean, limit))
    gained = oracle.best_margin[0] - clean[0].double() @ w
    assert 0.9 * most < gained <= most * (1 + 1e-5)


def test_in_cells_it_climbs_within_a_limit() -> None:
    victim, clean = bands(T), dark(1, T, seed=4)
    limit = LeastSNR(6.0)
    short, long = (search(NES(queries=q), victim, clean, oracle=climber(victim, clean, limit)) for q in (20, 1000))
    assert limit.allows(long.best, clean).all()
    assert long.best_margin[0] > short.best_margin[0]


@pytest.mark.parametrize("space", ["cells", "waveform"])
def test_its_steps_are_told_in_the_findings(space: str) -> None:
    victim, clean = bands(T), dark(1, T, seed=4)
    told = search(NES(space=space, queries=800, bands=6), victim, clean).findings[0]  # type: ignore[arg-type]
    assert json.loads(json.dumps(told)) == told
    assert {"queries", "best", "trust"} <= set(told["steps"][-1])


@pytest.mark.parametrize(
    ("knobs", "says"),
    [({"space": "air"}, "space=air is not known"), ({"memory": 1.0}, "memory=1: 0 to 0.99"), ({"bands": 0}, "bands=0")],
)
def test_knobs_of_nes_that_make_no_sense_are_refused(knobs: dict[str, float], says: str) -> None:
    with pytest.raises(AttackError, match=says):
        NES(**knobs)  # type: ignore[arg-type]
