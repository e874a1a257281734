"""Slopes along band energies: the gradients, the model's nearest points, the oracle's answers, and what a search does.

The truth is autograd for the directions, closed forms and SLSQP for the model, and a linear victim's nearest point.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.attacks.kit import search
from tests.attacks.toys import Toy, at_distance, bands, dark, linear, nearest_in_cone, tones, two_sided
from torch import Tensor

from subterfuge.attacks import PGD, Guided, Noise
from subterfuge.attacks._guided_compass import Compass, orthonormal
from subterfuge.attacks._guided_model import Model
from subterfuge.attacks.guided import Walk
from subterfuge.errors import AttackError
from subterfuge.oracle import Oracle, dice
from subterfuge.threat import Budget, Confident, Goal, LeastSNR, Maximise, Targeted, Threat, Untargeted
from subterfuge.victim import Kind, duels_of

T = 512
RATE = 8000
FACTOR = 2.1
"""How many times the least change it may need on a linear victim of random weights; it reaches 1.82 to 1.96."""
HASTY = Guided(evolve=0, starts=(math.inf,), bands=8)
"""From the clip alone."""


def swell(length: int, rate: int, *, seed: int = 1) -> Tensor:
    """Noise that comes and goes twice a second, falling by pitch, so that bands and frames differ."""
    loud = (torch.arange(length) * (2 * math.pi / rate)).cos().abs() + 0.01
    spectrum = torch.fft.rfft(tones(1, length, seed=seed)[0] * loud)
    return torch.fft.irfft(spectrum * torch.linspace(0, -4, len(spectrum)).exp(), n=length)


def oracle_of(victim: Toy, clean: Tensor, goal: Goal, *, focus: int = 1, budget: Budget | None = None) -> Oracle:
    return Oracle(
        victim, Threat(goal, budget=budget or Budget()), clean, torch.full((len(clean),), focus, dtype=torch.long)
    )


def vote(weights: Tensor, bias: Tensor) -> Toy:
    """A one-versus-one vote whose duels are not differences of scores: weights (K, K, T), made antisymmetric."""
    tilt, shift = weights - weights.mT.transpose(0, 2).mT, bias - bias.T
    labels = tuple("abcdefghijk"[: len(bias)])
    return Toy(lambda x: (x.double() @ tilt.flatten(0, 1).T).unflatten(1, bias.shape) + shift, labels, kind=Kind.DUELS)


# --- the compass -----------------------------------------------------------------------------------------------------


def gradients(compass: Compass, wave: Tensor) -> Tensor:
    wave = wave.clone().requires_grad_()
    return torch.stack([torch.autograd.grad(one, wave, retain_graph=True)[0] for one in compass.read(wave)])


@pytest.mark.parametrize(
    ("length", "rate", "least"),
    [(T, RATE, 0.99), (4000, RATE, 0.99), (44100, 44100, 0.999), (8 * RATE, RATE, 0.999)],
    ids=["short", "half a second", "a second at 44.1 kHz", "long"],
)
def test_each_direction_is_the_gradient_of_its_statistic_but_for_the_ends(length: int, rate: int, least: float) -> None:
    for wave in (tones(1, length)[0], swell(length, rate)):
        compass = Compass.of(length, rate, 32)
        found, true = compass.directions(wave), gradients(compass, wave)
        assert len(found) == len(true) == 34
        assert torch.allclose(found.norm(dim=1), torch.ones(34), atol=1e-4)
        assert torch.nn.functional.cosine_similarity(found, true, dim=1).min() > least
        size = len(compass.window)
        if length > 4 * size:
            inner = slice(size, -size)
            assert torch.nn.functional.cosine_similarity(found[:, inner], true[:, inner], dim=1).min() > 0.9999


def test_a_sound_twice_as_loud_has_the_same_centroid_and_bandwidth_and_log_energies_that_are_log_4_more() -> None:
    for wave in (tones(1, T)[0], swell(RATE, RATE)):
        compass = Compass.of(len(wave), RATE, 12)
        moved = compass.read(2 * wave) - compass.read(wave)
        assert torch.allclose(moved[:-2], torch.full((12,), math.log(4)), atol=1e-4)
        assert torch.allclose(moved[-2:], torch.zeros(2), atol=1e-5)


def test_along_its_direction_a_bands_energy_rises_as_its_slope_says() -> None:
    wave = swell(RATE, RATE)
    compass = Compass.of(RATE, RATE, 8)
    step = 1e-3 * float(wave.norm())
    for band, direction in enumerate(compass.directions(wave)[:8]):
        rise = compass.read(wave + step * direction) - compass.read(wave - step * direction)
        assert float(rise[band]) / (2 * step) == pytest.approx(float(gradients(compass, wave)[band].norm()), rel=0.02)


@pytest.mark.parametrize("length", [16, 33, T])
@pytest.mark.parametrize("count", [1, 32, 256])
def test_bands_too_narrow_for_a_bin_are_left_out_without_a_warning(length: int, count: int) -> None:
    compass = Compass.of(length, RATE, count)
    assert 1 <= len(compass.filters) <= count
    assert torch.allclose(compass.filters.sum(1), torch.ones(len(compass.filters)))
    found = compass.directions(tones(1, length)[0])
    assert found.isfinite().all()
    assert len(found) == len(compass.filters) + 2


def test_silence_has_no_directions_and_one_pitch_or_a_near_silence_has_finite_ones() -> None:
    compass = Compass.of(T, RATE, 8)
    assert compass.directions(torch.zeros(T)).shape == (0, T)
    for wave in (0.1 * (0.3 * torch.arange(T)).sin(), torch.full((T,), 0.1), 1e-8 * tones(1, T)[0]):
        found = compass.directions(wave)
        assert found.isfinite().all()
        assert len(found) > 5


def test_the_compass_follows_the_kind_of_number_of_the_clip() -> None:
    wave = tones(1, T)[0]
    single, double = Compass.of(T, RATE, 8, wave), Compass.of(T, RATE, 8, wave.double())
    assert double.directions(wave.double()).dtype == torch.float64
    assert torch.allclose(single.directions(wave), double.directions(wave.double()).float(), atol=1e-4)


def test_the_basis_spans_the_directions_with_waves_of_length_one_at_right_angles() -> None:
    rows = Compass.of(RATE, RATE, 16).directions(swell(RATE, RATE))
    found = orthonormal(rows, 1e-6)
    inner = (found @ found.T).double()
    assert (inner.diagonal() - 1).abs().max() < 1e-2
    assert (inner - torch.eye(len(rows))).abs().max() < 1e-2
    part = torch.linalg.lstsq(found.T.double(), rows.T.double()).solution
    assert (part.T.float() @ found - rows).norm(dim=1).max() < 1e-4
    assert torch.allclose(orthonormal(rows[:1]), rows[:1], rtol=1e-3, atol=1e-6)


def test_two_rows_that_say_the_same_become_one_strong_and_one_weak() -> None:
    row = torch.nn.functional.normalize(tones(1, T), dim=1)
    found = orthonormal(torch.cat([row, row])).norm(dim=1)
    assert found[0] == pytest.approx(1, abs=1e-3)
    assert found[1] < 0.1


# --- the model -------------------------------------------------------------------------------------------------------


def gap(answer: Tensor) -> Tensor:
    """The margin of class 1."""
    return Targeted("b").margin(answer, torch.ones(len(answer), dtype=torch.long))


def model_of(classes: int, numbers: int, seed: int) -> Model:
    die = torch.Generator().manual_seed(seed)
    answer = torch.randn(classes, generator=die, dtype=torch.float64)
    answer[1] = answer.amin() - 2
    slopes = torch.randn(numbers, classes, generator=die, dtype=torch.float64)
    return Model(answer, slopes, 0.3 * torch.randn(numbers, generator=die, dtype=torch.float64), gap)


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e9])
@pytest.mark.parametrize("stay", [0.0, 1.0, 40.0])
def test_across_one_plane_the_model_goes_to_the_nearest_point_from_where_it_is_held(stay: float, scale: float) -> None:
    one = model_of(2, 20, 0)
    model = Model(scale * one.answer, scale * one.slopes, one.place, gap)
    normal = one.slopes[:, 1] - one.slopes[:, 0]
    middle = one.place * stay / (1 + stay)
    short = 0.5 - float(one.answer[1] - one.answer[0]) - float(normal @ (middle - one.place))
    found = model.least(stay, 0.5 * scale, 1e-4 * scale)
    assert torch.allclose(found, middle + short * normal / normal.dot(normal), atol=1e-4)
    assert abs(model.margin(found)[0] - 0.5 * scale) <= 1e-4 * scale


def test_the_slope_of_the_models_margin_is_that_of_finite_differences() -> None:
    model = model_of(5, 6, 1)
    z = model.place + 0.1
    value, slope = model.margin(z)
    for number in range(6):
        step = torch.zeros(6, dtype=torch.float64)
        step[number] = 1e-6
        assert (model.margin(z + step)[0] - value) / 1e-6 == pytest.approx(float(slope[number]), abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stay", [0.0, 0.3, 3.0])
def test_into_a_cone_of_planes_the_model_goes_to_the_nearest_point_which_slsqp_finds_too(
    stay: float, seed: int
) -> None:
    from scipy.optimize import minimize

    model = model_of(6, 10, seed)
    rivals = [k for k in range(6) if k != 1]
    normals = (model.slopes[:, [1]] - model.slopes[:, rivals]).T.numpy()
    bounds = 0.2 - (model.answer[1] - model.answer[rivals]).numpy() + normals @ model.place.numpy()
    place = model.place.numpy()

    def energy(z: np.ndarray) -> float:
        return float(z @ z + stay * (z - place) @ (z - place))

    # the first guess, a large step along the sum of the planes, is inside the cone or near it
    true = minimize(
        energy,
        np.linalg.lstsq(normals, bounds + 1, rcond=None)[0],
        jac=lambda z: 2 * z + 2 * stay * (z - place),
        constraints={"type": "ineq", "fun": lambda z: normals @ z - bounds, "jac": lambda _: normals},
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 300},
    )
    assert true.success
    found = model.least(stay, 0.2, 1e-3)
    assert model.margin(found)[0] >= 0.2 - 1e-3
    assert energy(found.numpy()) == pytest.approx(true.fun, rel=3e-3)
    assert np.linalg.norm(found.numpy() - true.x) < 0.03 * np.linalg.norm(true.x)


def test_a_point_that_meets_the_goal_with_room_to_spare_is_drawn_to_the_clip_and_no_further_than_the_goal() -> None:
    one = model_of(2, 12, 2)
    normal = one.slopes[:, 1] - one.slopes[:, 0]
    there = one.place + (20 - float(one.answer[1] - one.answer[0])) * normal / normal.dot(normal)
    model = one.at(one.answer + (there - one.place) @ one.slopes, there)
    assert model.margin(there)[0] == pytest.approx(20)
    sizes = [float(model.least(stay, 0.0, 1e-3).norm()) for stay in (0.0, 0.3, 3.0, 1e6)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == pytest.approx(float(there.norm()), rel=1e-3)
    assert abs(model.margin(model.least(0.0, 0.0, 1e-3))[0]) < 1e-2


def test_a_step_that_is_held_back_goes_to_where_the_goal_is_nearest_from_the_place() -> None:
    model = model_of(2, 12, 3)
    normal = model.slopes[:, 1] - model.slopes[:, 0]
    short = -float(model.answer[1] - model.answer[0])
    step = model.least(1e9, 0.0, 1e-6) - model.place
    assert torch.allclose(step, short * normal / normal.dot(normal), atol=1e-4)


@pytest.mark.parametrize("scale", [0.0, 1e-160, 1e-300])
def test_a_model_without_a_slope_gives_its_place_back(scale: float) -> None:
    slopes = scale * torch.randn(7, 3, generator=dice("flat", 1)[0], dtype=torch.float64)
    model = Model(torch.tensor([1.0, 0.0, 2.0]).double(), slopes, torch.ones(7).double(), gap)
    assert torch.equal(model.least(1.0, 0.0, 1e-6), torch.ones(7).double())
    assert torch.equal(model.least(0.0, 0.0, 0.0), torch.ones(7).double())


def test_a_model_whose_margin_does_not_hang_on_its_answers_gives_its_place_back() -> None:
    model = Model(torch.zeros(3).double(), torch.ones(7, 3).double(), torch.ones(7).double(), lambda a: -torch.ones(1))
    assert torch.equal(model.least(1.0, 0.0, 1e-6), torch.ones(7).double())


@pytest.mark.parametrize("seed", range(4))
def test_a_vote_of_duels_is_won_near_the_nearest_of_the_cones_that_win_it(seed: int) -> None:
    # with three classes and numbers that move each duel alone, the nearest win is one or two duels turned
    die = torch.Generator().manual_seed(seed)
    own = torch.rand(2, generator=die, dtype=torch.float64) + 0.5  # by how much class 1 loses to 0 and to 2
    rivals = torch.rand(1, generator=die, dtype=torch.float64) + 0.5  # by how much 0 beats 2
    table = torch.zeros(3, 3, dtype=torch.float64)
    slopes = torch.zeros(3, 3, 3, dtype=torch.float64)
    for number, (i, j, value) in enumerate(((1, 0, -own[0]), (1, 2, -own[1]), (0, 2, rivals[0]))):
        table[i, j], table[j, i] = value, -value
        slopes[number, i, j], slopes[number, j, i] = 1, -1
    model = Model(table, slopes, torch.zeros(3).double(), gap)
    found = model.least(0.0, 0.0, 1e-6)
    assert model.margin(found)[0] >= -1e-6
    assert float(found.norm()) <= 1.01 * float(own.norm())  # both own duels
    assert float(found.norm()) >= float(own[0]) - 1e-5  # who does not beat 0 has at most one vote, and 0 is before it


# --- what the oracle answers -----------------------------------------------------------------------------------------


def five(seed: int) -> tuple[Tensor, Tensor]:
    die = torch.Generator().manual_seed(seed)
    return torch.randn(5, T, generator=die, dtype=torch.float64), torch.randn(5, generator=die, dtype=torch.float64)


def plain(seed: int) -> Toy:
    return linear(*five(seed))


def of_votes(seed: int) -> Toy:
    die = torch.Generator().manual_seed(seed)
    return vote(
        torch.randn(5, 5, T, generator=die, dtype=torch.float64), torch.randn(5, 5, generator=die, dtype=torch.float64)
    )


def of_differences(seed: int) -> Toy:
    scores = plain(seed)
    return Toy(lambda wave: duels_of(scores.function(wave)), labels=scores.labels, kind=Kind.DUELS)


GOALS: list[Goal] = [Targeted("d"), Untargeted(), Maximise("d", asks="scores")]


@pytest.mark.parametrize(
    ("make", "goal"),
    [(make, goal) for make in (plain, of_votes, of_differences) for goal in GOALS] + [(plain, Confident("d", 0.8))],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_margins_of_the_answers_are_the_margins(make: Callable[[int], Toy], goal: Goal) -> None:
    for seed in range(3):
        victim, clean = make(seed), tones(2, T, seed=seed)
        oracle = oracle_of(victim, clean, goal, focus=3)
        deltas = tones(70, T, seed=9, level=0.05)
        margins, answers = oracle.answers(deltas, 1)
        assert oracle.queries == [0, 70]
        assert len(victim.asked) == 70
        assert answers.dtype == margins.dtype == torch.float64
        assert answers.shape == (70, 5, 5) if victim.kind is Kind.DUELS else (70, 5)
        assert torch.allclose(oracle.margin_of(answers, 1), margins, rtol=1e-5, atol=1e-5)
        if goal.asks == "scores":
            truth = victim.function(clean[1] + deltas).double()
            assert torch.allclose(answers, truth, rtol=1e-5, atol=1e-5)
            assert torch.allclose(goal.margin(truth, torch.full((70,), 3)), margins, rtol=1e-5, atol=1e-5)


def test_a_victim_is_asked_in_parts_of_32_and_one_by_one_where_time_counts() -> None:
    for budget, parts in ((Budget(), [32, 32, 6]), (Budget(queries=66), [32, 32, 2]), (Budget(seconds=1e9), [1] * 70)):
        sizes: list[int] = []
        whole = two_sided(T)[0]

        def counted(wave: Tensor, sizes: list[int] = sizes, whole: Toy = whole) -> Tensor:
            sizes.append(len(wave))
            return whole.function(wave)

        oracle = oracle_of(Toy(counted), tones(1, T), Targeted("yes"), budget=budget)
        oracle.answers(tones(70, T), 0)
        assert sizes == parts


def test_answers_end_where_the_budget_does_and_a_closed_row_has_none() -> None:
    victim, _ = two_sided(T)
    oracle = oracle_of(victim, tones(2, T), Targeted("b"), budget=Budget(queries=45))
    deltas = tones(70, T, seed=9)
    margins, answers = oracle.answers(deltas, 0)
    assert margins.shape == (45,)
    assert answers.shape == (45, 2)
    assert torch.allclose(answers, victim.function(tones(2, T)[0] + deltas[:45]).double())
    margins, answers = oracle.answers(deltas, 0)
    assert len(margins) == len(answers) == 0
    assert oracle.queries == [45, 0]


def test_the_margin_of_answers_has_a_gradient() -> None:
    answer = torch.tensor([[1.0, 3.0, 2.5, 0.0, 2.0]], dtype=torch.float64, requires_grad=True)
    oracle = oracle_of(plain(0), tones(1, T), Targeted("c"), focus=2)
    slope = torch.autograd.grad(oracle.margin_of(answer, 0).sum(), answer)[0]
    assert slope.tolist() == [[0, -1, 1, 0, 0]]


# --- the search ------------------------------------------------------------------------------------------------------


def test_on_a_linear_victim_it_comes_within_a_factor_of_the_nearest_point() -> None:
    victim, w = two_sided(T, seed=1)
    clean = at_distance(tones(1, T, seed=2), w, 40.0)
    least = float(-(clean[0].double() @ w) / w.norm())
    oracle = search(Guided(), victim, clean)
    assert 1 - 1e-5 <= float(oracle.best_size[0]) / least < FACTOR


def test_it_comes_as_near_to_a_cone_of_four_planes() -> None:
    weights, bias = five(5)
    clean = tones(1, T, seed=5)
    target = int((clean[0].double() @ weights.T + bias).argmin())
    least = float(nearest_in_cone(weights, bias, clean[0], target).norm())
    oracle = search(Guided(), linear(weights, bias), clean, focus=target)
    assert 1 - 1e-5 <= float(oracle.best_size[0]) / least < FACTOR


def test_it_goes_to_the_goal_and_no_further_where_two_scores_meet() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 40.0)
    oracle = search(HASTY, victim, clean)
    assert 0 < float(oracle.best_margin[0]) < 1e-3 * float(-(clean[0].double() @ w))


@pytest.mark.parametrize(("seed", "gain_db"), [(4, 22.0), (5, 14.0), (6, 17.0)])
def test_on_a_curved_victim_it_is_that_much_quieter_than_the_noise_that_wins(seed: int, gain_db: float) -> None:
    victim, clean = bands(T), dark(1, T, seed=seed)
    quiet, loud = search(HASTY, victim, clean), search(Noise(), victim, clean)
    assert quiet.queries[0] < 300
    assert 20 * torch.log10(loud.best_size / quiet.best_size) > gain_db


def test_it_does_as_well_under_a_limit_that_lets_it_through() -> None:
    victim, clean = bands(T), dark(1, T, seed=4)
    free = search(HASTY, victim, clean)
    snr_db = float(free.snr_db(free.best)[0])
    for limit in (LeastSNR(snr_db - 10), LeastSNR(snr_db - 0.5)):
        held = search(HASTY, victim, clean, limit=limit)
        assert held.won.all()
        assert limit.allows(torch.stack(victim.asked[-held.queries[0] :]) - clean, clean).all()
        assert float(held.snr_db(held.best)[0]) > snr_db - 0.5


@pytest.mark.parametrize(("snr_db", "part"), [(30.0, 0.85), (6.0, 0.9)])
def test_climbing_inside_a_limit_it_gains_most_of_what_gradients_gain(snr_db: float, part: float) -> None:
    victim, clean, limit = bands(T), dark(1, T, seed=4), LeastSNR(snr_db)
    goal = Maximise("b", asks="scores")
    focus = torch.ones(1, dtype=torch.long)
    reached = []
    for attack in (HASTY, PGD()):
        oracle = Oracle(victim, Threat(goal, limit), clean, focus, seeks="margin")
        search(attack, victim, clean, oracle=oracle)
        assert limit.allows(oracle.best, clean).all()
        reached.append(float(oracle.best_margin[0] - goal.margin(victim.function(clean), focus)[0]))
    assert part < reached[0] / reached[1]


def test_a_vote_of_duels_is_won_near_where_the_gradients_win_it() -> None:
    victim, clean = of_votes(1), tones(1, T, seed=1)
    said = int(victim.decide(clean)[0])
    oracle = search(HASTY, victim, clean, focus=(said + 1) % 5)
    assert oracle.won.all()
    assert victim.decide(clean + oracle.best).tolist() == [(said + 1) % 5]


def test_a_confident_win_is_one_by_the_victims_own_probabilities() -> None:
    victim, clean = bands(T), dark(1, T, seed=4)
    oracle = search(HASTY, victim, clean, goal=Confident("b", 0.4))
    chance = float(victim.function(clean + oracle.best).softmax(1)[0, 1])
    assert 0.4 < chance < 0.41


# --- what it tells ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 5, 44, 45, 100, 200, None])
def test_what_each_start_came_to_is_told_in_plain_numbers_wherever_the_budget_ends(most: int | None) -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(2, T), w, 40.0)
    attack = Guided(evolve=40, bands=8, starts=(math.inf, 40.0), rounds=3)
    oracle = search(attack, victim, clean, budget=Budget(queries=most))
    for row in range(2):
        told = oracle.findings[row].get("starts", [])
        assert json.loads(json.dumps(told, allow_nan=False)) == told
        spent = sum(start["queries"] for start in told)
        assert oracle.queries[row] - 40 <= spent <= oracle.queries[row] <= (most or math.inf)
        won = [start["snr_db"] for start in told if start["snr_db"] is not None]
        if most is None:
            assert len(told) == 3
            assert spent == oracle.queries[row] - 40
            assert max(won) == pytest.approx(float(oracle.snr_db(oracle.best)[row]), abs=1e-3)
            assert told[1]["start_db"] is None
            assert told[2]["start_db"] == pytest.approx(40, abs=1e-3)


def test_noise_starts_come_again_with_other_noise_while_a_larger_budget_lasts() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 40.0)
    attack = Guided(evolve=40, bands=8, starts=(math.inf, 40.0, 46.0), rounds=1, queries=50)
    oracle = search(attack, victim, clean, budget=Budget(queries=900))
    assert oracle.queries == [900]
    begun = [start["start_db"] for start in oracle.findings[0]["starts"]][2:]
    assert len(begun) > 6
    assert begun == [pytest.approx(40.0 + 6.0 * (turn % 2), abs=1e-3) for turn in range(len(begun))]
    heard = torch.stack(victim.asked)
    assert len(heard.unique(dim=0)) > 0.95 * len(heard)
    silent = search(dataclasses.replace(attack, starts=(math.inf,)), victim, clean, budget=Budget(queries=900))
    assert silent.queries[0] < 300  # the same walk again would come to the same


def test_what_it_learns_of_a_start_is_of_where_it_set_out_inside_the_limit() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 30.0)
    attack = Guided(evolve=0, bands=8, starts=(20.0,), rounds=1)
    told = search(attack, victim, clean, limit=LeastSNR(35.0)).findings[0]["starts"]
    assert [start["start_db"] for start in told] == [pytest.approx(35.0, abs=1e-2)]


def test_without_evolution_it_sets_out_from_the_clip() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 40.0)
    oracle = search(HASTY, victim, clean)
    assert oracle.won.all()
    assert torch.equal(victim.asked[0], clean[0])
    assert len(oracle.findings[0]["starts"]) == 1
    assert "generations" not in oracle.findings[0]


def test_a_second_search_spends_as_much_as_the_first_may_and_goes_on_from_its_win() -> None:
    # both counts once began at what the first had spent: evolution had too many, and the other starts none
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 40.0)
    for evolve in (0, 40):
        attack = Guided(evolve=evolve, bands=8, rounds=2, queries=50)
        oracle = search(attack, victim, clean)
        first = oracle.queries[0]
        oracle.raise_bar(0, 0.5, oracle.best[0].clone())
        search(attack, victim, clean, oracle=oracle, key="seed 1")
        assert oracle.won.all()
        assert 20 < oracle.queries[0] - first < 300
        assert sum(start["queries"] for start in oracle.findings[0]["starts"]) == oracle.queries[0] - 2 * evolve


def test_it_ends_at_once_where_no_change_wins() -> None:
    victim, w = two_sided(T)
    clean = -at_distance(tones(1, T), w, 40.0)
    oracle = search(Guided(), victim, clean)
    assert not oracle.best.any()
    assert oracle.queries[0] < 100


# --- odd sounds and odd victims --------------------------------------------------------------------------------------


@pytest.mark.parametrize("evolve", [0, 40])
@pytest.mark.parametrize(
    "sound",
    [
        torch.zeros(T),
        1e-8 * tones(1, T)[0],
        torch.full((T,), 0.1),
        0.1 * (0.3 * torch.arange(T)).sin(),
        torch.eye(T)[9],
    ],
    ids=["silence", "near silence", "a constant", "one pitch", "a click"],
)
def test_odd_sounds_are_searched_and_what_is_asked_is_finite(sound: Tensor, evolve: int) -> None:
    _, w = two_sided(T)
    away = float(sound.double() @ w) + 0.01 * (float(sound.norm()) or 0.02) * float(w.norm())
    victim = linear(torch.stack([-w / 2, w / 2]), torch.tensor([away / 2, -away / 2], dtype=torch.float64))
    attack = Guided(evolve=evolve, bands=8, starts=(math.inf, 30.0), rounds=5)
    oracle = search(attack, victim, sound[None], budget=Budget(queries=250))
    assert torch.stack(victim.asked).isfinite().all()
    assert oracle.won.all()
    json.dumps(oracle.findings, allow_nan=False)


def test_sixteen_samples_and_the_default_bands_are_enough() -> None:
    victim, w = two_sided(16)
    clean = at_distance(tones(1, 16), w, 20.0)
    least = float(-(clean[0].double() @ w) / w.norm())
    oracle = search(Guided(evolve=60, queries=200), victim, clean)
    assert float(oracle.best_size[0]) < 1.01 * least  # its directions span all that there is


def test_a_clip_of_double_precision_is_searched_as_well() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 40.0).double()
    oracle = search(Guided(evolve=40, bands=8, starts=(math.inf,), rounds=5), victim, clean)
    assert oracle.won.all()
    assert oracle.best.dtype == torch.float64


@pytest.mark.parametrize("chance", [1e-40, 1e-90, 1e-200])
def test_a_victim_so_sure_that_its_scores_hardly_move_is_asked_about_finite_sounds(chance: float) -> None:
    # the slopes' squares are below any number, or the step to the goal is longer than any wave
    _, w = two_sided(T)
    victim = Toy(lambda x: torch.stack([1 + 0 * x.double().sum(1), chance * (0.01 * (x.double() @ w)).exp()], 1))
    oracle = search(HASTY, victim, tones(1, T), budget=Budget(queries=300))
    assert torch.stack(victim.asked).isfinite().all()
    assert not oracle.won.any()


def test_scores_that_never_move_are_survived_and_the_same_for_all_too() -> None:
    for scores in ([0.0, 0.0], [0.5, 0.0]):
        victim = Toy(lambda wave, scores=scores: torch.tensor([scores]).expand(len(wave), 2))
        oracle = search(Guided(evolve=40, bands=8, starts=(math.inf,)), victim, tones(1, T))
        assert not oracle.won.any()
        assert oracle.best.isfinite().all()


def test_noise_is_as_loud_as_told() -> None:
    clean = tones(1, T)
    oracle = oracle_of(two_sided(T)[0], clean, Targeted("b"))
    walk = Walk(Guided(), oracle, clean[0], 0, dice("noise", 1)[0])
    for db in (0.0, 46.0):
        assert float(oracle.snr_db(walk.noise(db)[None])[0]) == pytest.approx(db, abs=1e-3)
    assert not walk.noise(math.inf).any()


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"evolve": -1}, "evolve=-1: 0 or more"),
        ({"bands": 0}, "bands=0: 1 to 256"),
        ({"probe": 0.0}, r"probe=0: 0\.0001 to 1"),
        ({"stride_db": math.inf}, "stride_db=inf: 0 to 150"),
        ({"starts": (math.inf, -1.0)}, "starts=-1: 0 or more"),
        ({"starts": (math.nan,)}, "starts=nan: 0 or more"),
        ({"over": ()}, r"over=\(\): at least one"),
        ({"over": (0.1, math.inf)}, "over=inf: 0 to 100"),
        ({"rounds": 0}, "rounds=0: 1 or more"),
    ],
)
def test_knobs_of_guided_that_make_no_sense_are_refused(knobs: dict[str, float], says: str) -> None:
    with pytest.raises(AttackError, match=says):
        Guided(**knobs)  # type: ignore[arg-type]
