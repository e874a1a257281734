"""An oracle in the ear's coordinates: the same questions, the same answers, and another idea of what is small."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from tests.attacks.toys import RATE, Toy, at_distance, bands, dark, linear, tones, two_sided
from torch import Tensor

from subterfuge.attacks import Quietest
from subterfuge.hearing.ear import Ear
from subterfuge.oracle import BudgetSpent, Oracle, dice
from subterfuge.oracle.masked import MaskedOracle
from subterfuge.threat import Budget, LeastSNR, Limit, Masking, Targeted, Threat, Unlimited
from subterfuge.victim import Gives

T = 700
"""At 8 kHz: two blocks of the ear's transform, and a part of a third."""
STEP = 2.0**-15


def pair(
    victim: Toy, clean: Tensor, limit: Limit | None = None, budget: Budget | None = None, **options: object
) -> tuple[Oracle, MaskedOracle, Ear]:
    """An oracle, the same in the ear's coordinates, and the ear."""
    ear = Ear.beside(clean, RATE)
    limit = limit or Unlimited()
    if isinstance(limit, Masking):
        limit = limit.beside(ear, STEP if options.get("grid") else 0.0)
    threat = Threat(Targeted(victim.labels[1]), limit, budget or Budget())
    focus = torch.ones(len(clean), dtype=torch.long)
    oracle = Oracle(victim, threat, clean, focus, ear=ear, **options)  # type: ignore[arg-type]
    return oracle, MaskedOracle(oracle, ear), ear


def coloured(rows: int, length: int) -> Tensor:
    """Sounds with a loud tone over a quiet floor, so that what hides is far from even."""
    t = torch.arange(length) / RATE
    hz = torch.tensor([[500.0], [900.0], [1600.0]])[:rows]
    return 0.3 * torch.sin(2 * math.pi * hz * t) + dark(rows, length, level=0.01)


def drawn(rows: int, masked: MaskedOracle, seed: int = 0) -> Tensor:
    """Random coordinates, some 30 dB below the clips."""
    v = torch.randn(rows, masked.clean.shape[-1], generator=torch.Generator().manual_seed(seed))
    return v * masked.clean.norm(dim=-1).mean() / v.norm(dim=-1, keepdim=True) * 0.03


# --- the same questions, the same answers ----------------------------------------------------------------------------

ASKED = {
    "margins": lambda oracle, v, row: oracle.margins(v),
    "margins of rows": lambda oracle, v, row: oracle.margins(v[[2, 0]], torch.tensor([2, 0])),
    "gradient": lambda oracle, v, row: oracle.gradient(v)[0],
    "gradient of rows": lambda oracle, v, row: oracle.gradient(v[[1]], torch.tensor([1]), pull=True)[0],
    "population": lambda oracle, v, row: torch.stack(oracle.population(v, row)),
    "population by odds": lambda oracle, v, row: torch.stack(oracle.population(v, row, "odds")),
    "answers": lambda oracle, v, row: torch.cat([one.flatten() for one in oracle.answers(v, row)]),
}


@pytest.mark.parametrize("limit", [None, LeastSNR(35.0), Masking(-3.0)], ids=str)
@pytest.mark.parametrize("how", ASKED)
def test_it_asks_what_the_oracle_would_ask_of_the_change_and_counts_alike(how: str, limit: Limit | None) -> None:
    victim, clean = bands(T), coloured(3, T)
    oracle, masked, ear = pair(victim, clean, limit, grid=[STEP] * 3)
    v = drawn(3, masked)
    one = ear.of(slice(1, 2))
    changes = one.plain(v) if how.startswith(("population", "answers")) else ear.plain(v)
    said = ASKED[how](masked, v, 1)
    mine, counted = list(victim.asked), (list(oracle.queries), list(oracle.gradients))
    victim.forget()
    plain, _, _ = pair(victim, clean, limit, grid=[STEP] * 3)
    assert torch.equal(said, ASKED[how](plain, changes, 1))
    assert torch.equal(torch.stack(mine), torch.stack(victim.asked))
    assert counted == (plain.queries, plain.gradients)
    assert torch.equal(oracle.best, plain.best)


def test_its_record_is_the_oracles_own() -> None:
    oracle, masked, _ = pair(two_sided(T)[0], tones(3, T))
    for name in ("labels", "sample_rate", "seeks", "needed", "won", "met", "queries", "findings", "history", "rows"):
        assert getattr(masked, name) is getattr(oracle, name) or getattr(masked, name) == getattr(oracle, name)
    with pytest.raises(AttributeError):
        masked.nothing_of_the_kind  # noqa: B018


def test_a_budget_ends_in_these_coordinates_too() -> None:
    oracle, masked, _ = pair(two_sided(T)[0], tones(3, T), budget=Budget(queries=2))
    v = drawn(3, masked)
    assert len(masked.population(v, 0)[0]) == 2
    assert len(masked.answers(v, 1)[0]) == 2
    masked.margins(v)
    masked.margins(v)
    assert oracle.queries == [2, 2, 2]
    with pytest.raises(BudgetSpent):
        masked.margins(v)


def test_nothing_is_asked_of_no_rows() -> None:
    _, masked, _ = pair(two_sided(T)[0], tones(3, T), Masking())
    nobody, none = torch.tensor([], dtype=torch.long), torch.zeros(0, 768)
    assert masked.margins(none, nobody).shape == (0,)
    assert masked.gradient(none, nobody)[1].shape == (0, 768)
    for give in (masked.project, masked.steepest, masked.admit):
        assert give(none, nobody).shape == (0, 768)
    assert masked.heard(none, 1).shape == (0, T)
    assert masked.population(none, 1)[0].shape == (0,)


# --- coordinates -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [T, 768, 60])
@pytest.mark.parametrize("pull", [False, True])
def test_its_gradient_is_the_slope_along_its_coordinates(length: int, pull: bool) -> None:
    victim, clean = bands(length), coloured(2, length).double()
    oracle, masked, _ = pair(victim, clean)
    v = 0.1 * drawn(2, masked).double()
    _, slope = masked.gradient(v, pull=pull)
    ways = [drawn(2, masked, seed).double() for seed in (1, 2, 3)] + [slope / slope.norm() * v.norm()]
    goal, focus, ear = Targeted("b"), torch.ones(2, dtype=torch.long), masked._ear
    hill = goal.pull if pull else goal.margin
    for way in ways:
        step = 1e-4
        high, low = (hill(victim.function(clean + ear.plain(v + sign * step * way)), focus) for sign in (1, -1))
        measured = (high - low) / (2 * step)
        size = slope.norm(dim=-1) * way.norm(dim=-1)
        assert ((measured - (slope * way).sum(-1)).abs() < 1e-4 * size).all()
    assert oracle.gradients == [1, 1]


def test_a_closed_row_gets_no_slope_in_these_coordinates_either() -> None:
    _, masked, _ = pair(two_sided(T)[0], tones(3, T), budget=Budget(gradients=1))
    v = drawn(3, masked)
    masked.gradient(v[:1], torch.tensor([1]))
    _, slope = masked.gradient(v)
    assert (slope[1] == 0).all()
    assert (slope[[0, 2]] != 0).any(-1).all()


def test_where_to_begin_and_what_was_best_come_as_coordinates_and_no_change_as_exactly_nothing() -> None:
    oracle, masked, ear = pair(two_sided(T)[0], coloured(3, T))
    assert (masked.start == 0).all()
    assert (masked.best == 0).all()
    delta = ear.plain(drawn(3, masked))
    v = ear.masked(delta)
    masked.begin(1, v[1])
    assert torch.allclose(oracle.start[1], delta[1], atol=1e-6)
    assert (oracle.start[[0, 2]] == 0).all()
    assert torch.allclose(masked.start[1], v[1], atol=1e-5 * float(v.abs().max()))
    masked.margins(v)
    assert torch.allclose(masked.best, v, atol=1e-5 * float(v.abs().max()))
    oracle.raise_bar(2, 1.0, delta[2])
    assert torch.allclose(masked.start[2], v[2], atol=1e-5 * float(v.abs().max()))


def test_a_clip_is_as_long_here_as_there_and_so_levels_below_it_mean_what_they_meant() -> None:
    clean = coloured(3, T)
    _, masked, _ = pair(two_sided(T)[0], clean)
    assert torch.allclose(masked.clean.norm(dim=-1), clean.norm(dim=-1), rtol=1e-5)
    v = drawn(3, masked)
    assert torch.allclose(masked.snr_db(v), 20 * torch.log10(masked.clean.norm(dim=-1) / v.norm(dim=-1)), atol=1e-3)
    assert masked.snr_db(0 * v).tolist() == [math.inf] * 3


def test_a_size_here_is_the_size_that_the_oracle_measures_by() -> None:
    oracle, masked, ear = pair(two_sided(2048)[0], coloured(3, 2048))
    v = drawn(3, masked)
    assert torch.equal(masked.size(v), v.norm(dim=-1))
    assert torch.allclose(masked.size(v), oracle.size(ear.plain(v)), rtol=0.1)
    rows = torch.tensor([2, 0])
    assert torch.equal(masked.size(v[rows], rows), masked.size(v)[rows])
    assert torch.equal(oracle.size(v[rows, :2048], rows), oracle.size(v[:, :2048])[rows])


@pytest.mark.parametrize("limit", [LeastSNR(30.0), Masking(), Unlimited()], ids=str)
@pytest.mark.parametrize("rows", [None, torch.tensor([2, 0])], ids=["all", "some"])
def test_a_limit_binds_the_change_and_not_its_coordinates(limit: Limit, rows: Tensor | None) -> None:
    clean = coloured(3, 768)
    oracle, masked, ear = pair(two_sided(768)[0], clean, limit)
    some = ear if rows is None else ear.of(rows)
    v = 30 * drawn(3, masked)[slice(None) if rows is None else rows]
    delta = some.plain(v)
    near = 1e-4 * float(v.abs().max())
    assert torch.allclose(masked.project(v, rows), some.masked(oracle.project(delta, rows)), atol=near)
    assert torch.allclose(masked.admit(v, rows), some.masked(oracle.admit(delta, rows)), atol=near)
    edge = oracle.steepest(delta, rows)
    there = some.plain(masked.steepest(some.turned(delta), rows))
    assert torch.allclose(there, edge, atol=1e-3 * float(edge.abs().max()))


def test_what_is_heard_and_lifted_is_what_the_victim_is_asked_about_and_lets_a_slope_through() -> None:
    victim, clean = bands(T), coloured(3, T)
    _, masked, ear = pair(victim, clean, Masking(), grid=[STEP] * 3)
    v = 10 * drawn(3, masked)
    masked.population(v, 2)
    assert torch.equal(masked.heard(v, 2), torch.stack(victim.asked))
    leaf = v.clone().requires_grad_()
    (slope,) = torch.autograd.grad((masked.lift(leaf, 2) * tones(3, T)).sum(), leaf)
    assert torch.allclose(slope, ear.of(slice(2, 3)).turned(tones(3, T)), atol=1e-5 * float(slope.abs().max()))


def test_other_sounds_are_seen_in_the_coordinates_of_each_clip() -> None:
    clean, others = coloured(3, T), tones(4, T, seed=9)
    _, masked, ear = pair(two_sided(T)[0], clean, others=others)
    for row in range(3):
        assert torch.allclose(ear.of(slice(row, row + 1)).plain(masked.others_of(row)), others, atol=1e-5)
    _, alone, _ = pair(two_sided(T)[0], clean)
    assert alone.others_of(1).shape == (0, 768)


def test_over_another_victim_it_measures_by_the_same_ear_counts_anew_and_leaves_a_masking_limit_to_the_outer() -> None:
    victim, clean = bands(T), coloured(3, T)
    oracle, masked, _ = pair(victim, clean, Masking(6.0))
    inner = masked.over(two_sided(T)[0], Targeted("b"), 1)
    assert inner.rows == 1
    assert torch.equal(inner.clean, masked.clean[1:2])
    v = 10 * drawn(1, masked)
    inner.margins(v)
    assert inner.queries == [1]
    assert oracle.queries == [0, 0, 0]
    assert victim.asked == []
    near = 1e-4 * float(v.abs().max())
    assert torch.allclose(inner.best, inner._masked(inner.lift(v, 0), None), atol=near)  # as loud as it came
    bound = MaskedOracle(pair(victim, clean, LeastSNR(40.0))[0], masked._ear).over(victim, Targeted("b"), 1)
    assert float(bound._oracle.snr_db(bound._oracle.admit(bound.lift(v, 0)))) > 39.9


# --- another idea of what is small -----------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", ["white", "coloured"])
def test_beside_a_linear_victim_the_least_audible_change_is_found(colour: str) -> None:
    length = 1024
    victim, w = two_sided(length)
    sounds = tones(3, length) if colour == "white" else coloured(3, length)
    clean = at_distance(sounds, w, torch.tensor([30.0, 40.0, 50.0]))
    oracle, masked, ear = pair(victim, clean)
    method = Quietest(starts=(math.inf, 46.0, 46.0), even=1, race=(20, 40, 100))
    method(cast(Oracle, masked), masked.clean, dice("seed 0", 3))
    assert oracle.won.all()
    short = -(clean.double() @ w)
    turned = ear.turned(w.float().expand(3, -1)).double()
    least = short / turned.norm(dim=-1)
    v = masked.best.double()
    assert (v.norm(dim=-1) >= least * (1 - 1e-4)).all()
    assert (v.norm(dim=-1) <= least * 1.02).all()
    along = (v * turned).sum(-1) / v.norm(dim=-1) / turned.norm(dim=-1)
    assert (along > 0.98).all()
    plain = Oracle(victim, Threat(Targeted("b")), clean, torch.ones(3, dtype=torch.long))
    method(plain, clean, dice("seed 0", 3))
    quieter_db = 20 * (ear.length_of(plain.best) / ear.length_of(oracle.best)).log10()
    assert (quieter_db > (0.5 if colour == "white" else 6.0)).all()
    assert (oracle.best.norm(dim=-1) > plain.best.norm(dim=-1)).all()  # which it pays with energy
    assert torch.allclose(oracle.best_size, ear.length_of(oracle.best).double(), rtol=1e-5)


def test_of_two_wins_the_less_audible_is_the_better_although_it_has_more_energy() -> None:
    t = torch.arange(2048) / RATE
    clean = 0.3 * torch.sin(2 * math.pi * 1000 * t)[None]
    hidden = 3e-3 * torch.sin(2 * math.pi * 1060 * t)[None]
    heard = 1e-3 * torch.sin(2 * math.pi * 3300 * t)[None]
    weights = torch.stack([torch.zeros(2048), 1e6 * (hidden / hidden.norm() + heard / heard.norm())[0]])
    victim = linear(weights, torch.tensor([1.0, 0.0]))
    for seeks_audible, best in ((True, hidden), (False, heard)):
        oracle = Oracle(
            victim,
            Threat(Targeted("b")),
            clean,
            torch.ones(1, dtype=torch.long),
            ear=Ear.beside(clean, RATE) if seeks_audible else None,
        )
        for change in (hidden, heard, hidden):
            assert oracle.margins(change) > 0
        assert torch.equal(oracle.best, best)


def test_labels_alone_are_seen_alone_here_too() -> None:
    victim = Toy(two_sided(T)[0].function, labels=("a", "b"), gives=Gives.LABELS)
    _, masked, _ = pair(victim, tones(3, T), labels_only=True)
    assert set(masked.margins(drawn(3, masked)).tolist()) <= {1.0, -1.0}
