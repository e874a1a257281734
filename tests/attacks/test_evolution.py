"""CMA-ES over floors of bands: the genome's arithmetic, closed forms, and that nothing global is touched."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.attacks.kit import search
from tests.attacks.toys import Toy, at_distance, bands, dark, tones, two_sided

from subterfuge.attacks import Evolution, Noise
from subterfuge.attacks._es_cma import Strategy
from subterfuge.attacks._es_fill import between, fill_of, gain_of
from subterfuge.attacks._es_space import Space
from subterfuge.errors import AttackError
from subterfuge.oracle import Oracle, dice
from subterfuge.threat import LeastSNR, Maximise, Threat

T = 512
RATE = 8000
FACTOR = 3.5
"""How many times the least change it may need on a linear victim of random weights, of 512 numbers; it reaches 3."""


def climber(victim: Toy, clean: torch.Tensor, limit: LeastSNR) -> Oracle:
    """An oracle that seeks the largest margin."""
    threat = Threat(Maximise("b", asks="scores"), limit)
    return Oracle(victim, threat, clean, torch.ones(len(clean), dtype=torch.long), seeks="margin")


def clip(length: int = 8000) -> torch.Tensor:
    """Noise that comes and goes, so that its bands have quiet frames."""
    swell = torch.linspace(0, 20, length).sin().abs() + 0.001
    return swell * tones(1, length)[0]


def test_the_gain_solves_its_equation_where_it_has_a_root() -> None:
    ratio = torch.linspace(-0.2, 50, 200)
    gain = gain_of(ratio)
    assert torch.allclose(gain * (gain - 1), ratio, atol=1e-4)
    assert (gain_of(torch.tensor([-0.3, -9.0])) < 0.04).all()


def test_no_other_gains_of_the_same_mean_logarithm_spend_less_energy() -> None:
    die = dice("energies", 1)[0]
    energy = torch.rand(40, generator=die) ** 4 + 1e-4
    gain = gain_of(0.05 / energy).double()
    least = ((gain - 1) ** 2 * energy).sum()
    for _ in range(200):
        turn = torch.randn(40, generator=die).double()
        other = gain * (0.1 * (turn - turn.mean())).exp()
        assert ((other - 1) ** 2 * energy).sum() >= least


def test_the_energy_that_a_genome_foretells_is_that_of_its_change() -> None:
    clean = clip()
    fill = fill_of(clean, RATE, 12, dice("fill", 1)[0])
    for snr_db in (10.0, 30.0, 50.0):
        made = fill.changes(fill.even(snr_db)[None])[0]
        assert abs(20 * float(torch.log10(clean.norm() / made.norm())) - snr_db) < 3


def test_floors_come_back_from_their_roots_and_their_rises() -> None:
    fill = fill_of(clip(), RATE, 12, dice("fill", 1)[0])
    floors = torch.stack([fill.even(20.0), fill.even(40.0)])
    assert torch.allclose(fill.by_roots(fill.roots(floors)), floors, rtol=1e-6)
    assert torch.allclose(fill.by_rises(fill.rises(floors)), floors, rtol=1e-6)
    assert not fill.changes(torch.zeros(1, fill.genes)).any()


def test_a_finer_genome_begins_with_the_change_of_the_coarser() -> None:
    clean, die = clip(), dice("fill", 1)[0]
    coarse = Space(fill_of(clean, RATE, 12, die), None, float(clean.norm()))
    point = 0.05 * torch.randn(coarse.numbers, generator=die, dtype=torch.float64)
    fine, same = coarse.finer(fill_of(clean, RATE, 24, die), point)
    assert fine.numbers > coarse.numbers
    before, after = coarse.changes(point[None])[0], fine.changes(same[None])[0]
    assert (before - after).norm() < 0.02 * before.norm()


def test_points_beyond_a_table_are_its_ends() -> None:
    x = torch.tensor([[0.0, 1.0, 1.0]])
    assert between(torch.tensor([[-5.0], [1.0], [7.0]]), x, torch.tensor([[3.0, 4.0, 4.0]])).tolist() == [[3], [4], [4]]


def test_the_strategy_finds_the_bottom_of_a_bowl_and_touches_nothing_global(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]  # noqa: NPY002
    drawn = torch.get_rng_state()
    for diagonal in (False, True):
        found = Strategy(torch.ones(6).double(), 0.5, dice("bowl", 1)[0], 0, diagonal=diagonal)
        for _ in range(150):
            points = found.ask()
            found.tell(((points - 3) ** 2 * torch.arange(1, 7)).sum(1))
        assert (found.ask() - 3).abs().max() < 1e-3
    assert (np.random.get_state()[1] == before).all()  # type: ignore[index]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), drawn)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_on_a_linear_victim_it_comes_within_a_factor_of_the_nearest_point() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 40.0)
    oracle = search(Evolution(), victim, clean)
    assert oracle.queries == [5000]
    assert 1 <= float(oracle.best_size[0] / -(clean[0].double() @ w) * w.norm()) < FACTOR


def test_on_a_curved_victim_it_is_far_below_the_noise_that_wins() -> None:
    victim, clean = bands(T), dark(1, T, seed=4)
    quiet = search(Evolution(queries=1000), victim, clean)
    loud = search(Noise(), victim, clean)
    assert 20 * torch.log10(loud.best_size / quiet.best_size) > 6


def test_it_climbs_within_a_limit_until_its_queries_end() -> None:
    victim, clean = bands(T), dark(1, T, seed=4)
    limit = LeastSNR(6.0)
    short, long = (
        search(Evolution(queries=q), victim, clean, oracle=climber(victim, clean, limit)) for q in (60, 1000)
    )
    assert long.queries == [1000]
    assert limit.allows(long.best, clean).all()
    assert long.best_margin[0] > short.best_margin[0]


def test_its_story_is_told_in_the_findings() -> None:
    victim, clean = bands(T), dark(1, T, seed=4)
    told = search(Evolution(queries=900, patience=5, bands=6, finest=12), victim, clean).findings[0]
    assert json.loads(json.dumps(told)) == told
    assert [one["queries"] for one in told["generations"]] == sorted(one["queries"] for one in told["generations"])
    assert {"best", "mean", "sigma", "axis_ratio", "stage"} <= set(told["generations"][-1])
    assert told["restarts"][0]["stage"] == "scout"
    assert len(told["restarts"]) > 2


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"bands": 0}, "bands=0: 1 to 256"),
        ({"population": -1}, "population=-1: 0 to 10000"),
        ({"population": 1}, "population=1: 0, or 2 to 10000, was expected"),
        ({"spread": 0.0}, "spread=0: 0.0001 to 10"),
        ({"queries": 0}, "queries=0"),
    ],
)
def test_knobs_of_evolution_that_make_no_sense_are_refused(knobs: dict[str, float], says: str) -> None:
    with pytest.raises(AttackError, match=says):
        Evolution(**knobs)  # type: ignore[arg-type]


def test_the_population_that_is_asked_for_is_the_population() -> None:
    for asked, made in ((0, 4 + int(3 * math.log(9))), (2, 2), (7, 7)):
        assert Strategy(torch.zeros(9).double(), 1.0, dice("a", 1)[0], asked, diagonal=False).population == made
