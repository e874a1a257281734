"""Square Attack on sounds: its patches, its energy, and how near it comes to a linear victim's nearest point."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from tests.attacks.kit import search
from tests.attacks.toys import RATE, Toy, at_distance, dark, tones, two_sided
from torch import Tensor

from subterfuge.attacks import make_attack
from subterfuge.attacks._square_board import Board, levelled
from subterfuge.attacks.square import Square, part_at
from subterfuge.errors import AttackError
from subterfuge.oracle import Oracle, Seeks, dice
from subterfuge.threat import Budget, LeastSNR, Limit, Peak, Targeted, Threat, Unlimited


def plain(length: int, db: float = 40.0) -> tuple[Toy, Tensor, Tensor]:
    victim, w = two_sided(length)
    return victim, w, at_distance(tones(1, length), w, db)


def board_of(clean: Tensor, seed: str = "board") -> Board:
    return Board(clean, RATE, dice(seed, 1)[0])


def test_it_comes_within_half_of_the_nearest_point_of_a_linear_victim() -> None:
    victim, w, clean = plain(128)
    nearest = float(-(clean[0].double() @ w) / w.norm())
    found = search(Square(queries=1000, grow_every=20), victim, clean)
    chance = search(make_attack("noise"), victim, clean)
    assert nearest <= float(found.best_size[0]) < 1.5 * nearest
    assert float(chance.best_size[0]) > 2 * nearest


def climb(limit: Limit, queries: int, seeks: Seeks = "margin") -> tuple[Oracle, Tensor, Tensor]:
    victim, w, clean = plain(128)
    threat = Threat(Targeted("b"), limit, Budget())
    oracle = Oracle(victim, threat, clean, torch.ones(1, dtype=torch.long), seeks=seeks)
    Square(queries=queries)(oracle, clean, dice("seed 0", 1))
    return oracle, clean[0].double(), w


def test_where_a_margin_is_sought_it_fills_the_limit_and_gains_half_of_what_the_best_direction_would() -> None:
    oracle, clean, w = climb(LeastSNR(30.0), 600)
    radius = float(clean.norm()) * 10**-1.5
    assert math.isclose(float(oracle.best.norm()), radius, rel_tol=1e-3)
    assert float(oracle.best_margin[0]) > 0.4 * (radius * float(w.norm()) + float(clean @ w))
    assert oracle.queries == [600]


def test_under_a_limit_on_samples_it_climbs_as_well() -> None:
    oracle, clean, w = climb(Peak(0.003), 600)
    assert float(oracle.best.abs().max()) <= 0.003 * 1.0001
    assert float(oracle.best_margin[0]) > 0.25 * (0.003 * float(w.abs().sum()) + float(clean @ w))


def test_more_queries_make_it_quieter() -> None:
    victim, _, clean = plain(128)
    sizes = [float(search(Square(queries=q, grow_every=20), victim, clean).best_size[0]) for q in (100, 400)]
    assert sizes[1] < sizes[0]


def test_without_a_budget_it_ends_after_its_queries() -> None:
    victim, _, clean = plain(128)
    assert search(Square(queries=50), victim, clean, limit=Unlimited()).queries == [50]


def test_the_energy_grows_until_it_wins() -> None:
    victim, w = two_sided(128)
    clean = at_distance(tones(1, 128), w, 3.0)
    oracle = search(Square(queries=400, start_db=60.0, grow_every=4, grow_db=3.0), victim, clean)
    sizes = [float((wave - clean[0]).norm() / clean.norm()) for wave in victim.asked]
    assert math.isclose(20 * math.log10(sizes[0]), -60.0, abs_tol=0.01)
    first = next(place for place, wave in enumerate(victim.asked) if float(victim.function(wave[None]).diff()) > 0)
    assert all(later > 0.999 * before for before, later in pairwise(sizes[:first]))
    assert oracle.won.all()


def test_a_level_spends_the_energy_on_the_quietest_cells_first() -> None:
    loudness = torch.rand(9, 7, generator=dice("level", 1)[0])
    whole = float(loudness.square().sum())
    for part in (0.01, 0.3, 0.99):
        level = levelled(loudness, part * whole)
        assert math.isclose(float(level.square().sum()), part * whole, rel_tol=1e-5)
        assert torch.equal(level, loudness.clamp_max(float(level.max())))
    assert torch.allclose(levelled(loudness, 4 * whole), 2 * loudness)
    assert torch.equal(levelled(torch.zeros(3), 1.0), torch.zeros(3))


def test_a_move_keeps_the_energy_and_touches_two_patches_alone() -> None:
    clean = dark(1, 4000)[0]
    board = board_of(clean)
    before = board.scaled(board.tiles(), 1.0)[0]
    after = board.move(before, 0.05, 1.0)
    untouched = (after == before).double().mean()
    assert 0.7 < float(untouched) < 1
    gone = (after == 0) & (before != 0)
    rows, columns = gone.any(1).nonzero()[:, 0], gone.any(0).nonzero()[:, 0]
    assert len(rows) <= int(rows[-1] - rows[0]) + 1
    assert len(columns) <= int(columns[-1] - columns[0]) + 1
    assert math.isclose(float(after.norm()), float(before.norm()), rel_tol=0.2)


def test_patches_shrink_by_the_papers_schedule() -> None:
    assert part_at(0.8, 0.0) == 0.8
    assert [part_at(1.0, step / 10000) for step in (10, 11, 51, 201, 501, 8001)] == [
        1,
        1 / 2,
        1 / 4,
        1 / 8,
        1 / 16,
        2**-9,
    ]


@pytest.mark.parametrize("length", [1, 2, 5, 17, 100])
def test_a_very_short_or_silent_sound_is_survived(length: int) -> None:
    victim, _ = two_sided(length)
    for clean in (tones(1, length), torch.zeros(1, length)):
        oracle = search(Square(queries=30), victim, clean)
        assert oracle.queries == [30]
        assert oracle.best.isfinite().all()


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"queries": 0}, "queries=0: 1 or more"),
        ({"patch": 0.0}, r"patch=0: 0\.0001 to 1"),
        ({"patch": 2.0}, "patch=2"),
        ({"start_db": math.inf}, "start_db=inf: -20 to 150"),
        ({"grow_every": 0}, "grow_every=0"),
        ({"shrink": 1.0}, "shrink=1"),
    ],
)
def test_knobs_that_make_no_sense_are_refused(knobs: dict[str, float], says: str) -> None:
    with pytest.raises(AttackError, match=says):
        Square(**knobs)  # type: ignore[arg-type]
