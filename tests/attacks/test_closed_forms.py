"""Attacks against linear victims, whose nearest point and largest margin are known in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from tests.attacks.kit import quick, search
from tests.attacks.toys import Toy, at_distance, bands, dark, linear, nearest_in_cone, tones, two_sided
from torch import Tensor

from subterfuge.attacks import PGD, Noise, Quietest
from subterfuge.attacks.noise import levels_db, same_spectrum, white
from subterfuge.errors import AttackError
from subterfuge.oracle import dice
from subterfuge.threat import Confident, Goal, LeastSNR, Peak, Targeted, Unlimited, Untargeted
from subterfuge.victim import Kind, duels_of

T = 512
NEAR = 1.001
"""How many times the least change the quietest attack may need on a linear victim; it reaches 1.0001."""


def five(seed: int) -> tuple[Tensor, Tensor]:
    """Weights and biases of five classes."""
    die = torch.Generator().manual_seed(seed)
    return (torch.randn(5, T, generator=die, dtype=torch.float64), torch.randn(5, generator=die, dtype=torch.float64))


def as_duels(weights: Tensor, bias: Tensor) -> Toy:
    plain = linear(weights, bias)
    return Toy(lambda wave: duels_of(plain.function(wave)), labels=plain.labels, kind=Kind.DUELS)


# --- the quietest ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3, 1e-12])
def test_the_quietest_change_across_a_plane_is_found_whatever_the_scale_of_the_scores(scale: float) -> None:
    victim, w = two_sided(T, scale=scale)
    clean = at_distance(tones(3, T), w, torch.tensor([20.0, 40.0, 60.0]))
    least = -(clean.double() @ w) / w.norm()
    oracle = search(Quietest(race=(20, 40, 100)), victim, clean)
    assert oracle.won.all()
    assert (oracle.best_size >= least * (1 - 1e-5)).all()
    assert (oracle.best_size <= least * NEAR).all()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", [Kind.DECISION, Kind.DUELS], ids=lambda kind: kind.name.lower())
def test_the_quietest_change_into_a_cone_of_four_planes_is_found(seed: int, kind: Kind) -> None:
    weights, bias = five(seed)
    clean = tones(2, T, seed=seed)
    target = int((clean[0].double() @ weights.T + bias).argmin())
    nearest = [nearest_in_cone(weights, bias, wave, target) for wave in clean]
    least = torch.stack([change.norm() for change in nearest])
    there = (clean.double() + torch.stack(nearest)) @ weights.T + bias
    gaps = there[:, target, None] - there
    gaps[:, target] = math.inf
    assert torch.allclose(gaps.amin(1), torch.zeros(2).double(), atol=1e-6)  # on the cone's edge, by the programme
    assert (gaps < 1e-6).sum(1).max() >= 3  # an edge of several planes at once
    victim = as_duels(weights, bias) if kind is Kind.DUELS else linear(weights, bias)
    oracle = search(Quietest(), victim, clean, focus=target)
    assert oracle.won.all()
    assert (oracle.best_size >= least * (1 - 1e-5)).all()
    assert (oracle.best_size <= least * NEAR).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_quietest_change_that_leaves_a_class_crosses_the_nearest_of_its_planes(seed: int) -> None:
    weights, bias = five(seed)
    clean = tones(1, T, seed=seed)
    scores = clean[0].double() @ weights.T + bias
    said = int(scores.argmax())
    least = min(float((scores[said] - scores[k]) / (weights[said] - weights[k]).norm()) for k in range(5) if k != said)
    oracle = search(
        Quietest(race=(20, 40, 100)), linear(weights, bias), clean, goal=Untargeted(), focus=said, limit=Unlimited()
    )
    assert float(oracle.best_size[0]) == pytest.approx(least, rel=NEAR - 1)
    assert oracle.best_size[0] >= least * (1 - 1e-5)


@pytest.mark.parametrize("p", [0.6, 0.99])
def test_the_quietest_confident_change_goes_to_the_plane_of_those_odds(p: float) -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(2, T), w, 30.0)
    least = (math.log(p / (1 - p)) - clean.double() @ w) / w.norm()
    oracle = search(Quietest(race=(20, 40, 100)), victim, clean, goal=Confident("b", p))
    assert (oracle.best_size >= least * (1 - 1e-5)).all()
    assert (oracle.best_size <= least * NEAR).all()


def test_the_quietest_change_by_a_wider_margin_goes_that_much_further() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 40.0)
    oracle = search(Quietest(race=(20, 40, 100)), victim, clean)
    for needed in (0.5, 2.0):
        oracle.raise_bar(0, needed, oracle.best[0].clone())
        search(Quietest(race=(20, 40, 100)), victim, clean, oracle=oracle)
        assert float(oracle.best_size[0]) == pytest.approx(float((needed - clean.double() @ w) / w.norm()), rel=1e-2)


def test_within_a_limit_that_lets_it_through_the_quietest_change_is_the_same() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 40.0)
    least = float(-(clean.double() @ w) / w.norm())
    for limit in (LeastSNR(39.5), LeastSNR(10.0), Peak(0.1)):
        oracle = search(Quietest(race=(20, 40, 100)), victim, clean, limit=limit)
        assert float(oracle.best_size[0]) == pytest.approx(least, rel=NEAR - 1)


@pytest.mark.parametrize("snr_db", [60.0, 70.0])
def test_on_the_grid_of_a_file_the_quietest_change_is_louder_only_by_the_noise_of_rounding(snr_db: float) -> None:
    step = 2.0**-15
    victim, w = two_sided(T)
    clean = (at_distance(tones(2, T), w, snr_db) / step).round() * step
    least = -(clean.double() @ w) / w.norm()
    rounding = step**2 / 12 * T  # uniform within a step
    oracle = search(Quietest(race=(20, 40, 100)), victim, clean, grid=[step] * 2)
    assert oracle.won.all()
    assert (oracle.best_size <= 1.01 * (least**2 + rounding).sqrt()).all()


def test_on_a_curved_victim_the_quietest_is_far_below_the_noise_that_wins() -> None:
    victim, clean = bands(T), dark(3, T, seed=4)
    quiet = search(quick("quietest"), victim, clean)
    loud = search(Noise(), victim, clean)
    assert quiet.won.all()
    assert loud.won.all()
    assert (20 * torch.log10(loud.best_size / quiet.best_size) > 10).all()


# --- pgd -------------------------------------------------------------------------------------------------------------


def test_pgd_reaches_the_largest_margin_in_a_ball_which_is_its_radius_times_the_slope() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(3, T), w, torch.tensor([20.0, 40.0, 60.0]))
    limit = LeastSNR(30.0)
    most = clean.double() @ w + w.norm() * limit.radius(clean)[:, 0]
    oracle = search(PGD(steps=40), victim, clean, limit=limit)
    assert torch.allclose(oracle.best_margin, most, rtol=1e-5)
    assert oracle.won.tolist() == [False, True, True]


def test_pgd_reaches_the_largest_margin_in_a_box_which_is_the_sign_of_the_slope() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(3, T), w, 40.0)
    oracle = search(PGD(steps=40), victim, clean, limit=Peak(0.001))
    assert torch.allclose(oracle.best_margin, clean.double() @ w + 0.001 * w.abs().sum(), rtol=1e-5)
    assert torch.allclose(oracle.best.double(), 0.001 * w.sign().expand(3, T), rtol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_pgd_comes_near_the_largest_least_duel_of_five_classes(seed: int) -> None:
    weights, bias = five(seed)
    clean, target = tones(1, T, seed=seed), 2
    limit = LeastSNR(20.0)
    rows = weights[target] - weights[[k for k in range(5) if k != target]]
    gaps = rows @ clean[0].double() + (bias[target] - bias[[k for k in range(5) if k != target]])
    most = largest_least(rows, gaps, float(limit.radius(clean)))
    oracle = search(PGD(), linear(weights, bias), clean, focus=target, limit=limit)
    gained, could = float(oracle.best_margin[0] - gaps.min()), most - float(gaps.min())
    assert 0.999 * could < gained <= could * (1 + 1e-5)


def largest_least(rows: Tensor, gaps: Tensor, radius: float) -> float:
    """Give the largest over a ball of the least of planes, by its dual: the least over weights of an upper bound."""
    from scipy.optimize import minimize

    found = minimize(
        lambda part: float((gaps @ torch.from_numpy(part)) + radius * (rows.T @ torch.from_numpy(part)).norm()),
        [1 / len(rows)] * len(rows),
        bounds=[(0, 1)] * len(rows),
        constraints={"type": "eq", "fun": lambda part: part.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-12},
    )
    return float(found.fun)


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"steps": 0}, "steps=0: 1 or more"),
        ({"starts": -1}, "starts=-1: 1 or more"),
        ({"stride": 0.0}, "stride=0: 1e-06 to 10"),
        ({"stride": math.inf}, "stride=inf"),
        ({"momentum": 1.0}, r"momentum=1: 0 to 0\.999"),
    ],
)
def test_knobs_of_pgd_that_make_no_sense_are_refused(knobs: dict[str, float], says: str) -> None:
    with pytest.raises(AttackError, match=says):
        PGD(**knobs)  # type: ignore[arg-type]


# --- noise -----------------------------------------------------------------------------------------------------------


def test_noise_wins_at_the_level_that_chance_predicts_and_never_below_the_nearest_point() -> None:
    victim, w = two_sided(T)
    rows, distance_db = 120, 40.0
    clean = at_distance(tones(rows, T), w, distance_db)
    oracle = search(Noise(), victim, clean)
    least = -(clean.double() @ w) / w.norm()
    assert (oracle.best_size[oracle.won] >= least[oracle.won]).all()
    levels = torch.tensor(levels_db(70, 0, 2), dtype=torch.float64)
    # a direction at random has a part along w of 1 / sqrt(T), normally distributed
    chance = torch.special.ndtr(-math.sqrt(T) * 10 ** ((levels - distance_db) / 20))
    none_yet = ((1 - chance) ** 3).cumprod(0)
    here = torch.cat([torch.ones(1), none_yet[:-1]]) - none_yet
    mean = float((here * levels).sum() / here.sum())
    spread = math.sqrt(float((here * (levels - mean) ** 2).sum() / here.sum()))
    found = oracle.snr_db(oracle.best)[oracle.won].double()
    assert abs(float(found.mean()) - mean) < 4 * spread / math.sqrt(rows)
    expected = rows * float(here.sum())
    assert abs(int(oracle.won.sum()) - expected) < 4 * math.sqrt(expected * float(none_yet[-1])) + 1


def test_noise_of_the_clips_spectrum_has_its_magnitudes_and_white_noise_has_not() -> None:
    for length in (T, T + 1):
        clean = dark(1, length)[0]
        drawn = same_spectrum(clean, dice("a", 1)[0])
        assert torch.allclose(torch.fft.rfft(drawn).abs(), torch.fft.rfft(clean).abs(), atol=1e-4)
        assert abs(float(drawn @ clean) / float(clean @ clean)) < 0.3
        assert white(clean, dice("a", 1)[0]).shape == clean.shape


def test_noise_asks_each_level_as_often_as_told_until_it_wins() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 1.0)
    oracle = search(Noise(quietest_db=60.0, loudest_db=30.0, step_db=10.0, draws=2), victim, clean)
    assert oracle.queries == [8]
    asked = torch.stack(victim.asked) - clean
    assert torch.allclose(
        oracle.snr_db(asked), torch.tensor([60.0, 60.0, 50.0, 50.0, 40.0, 40.0, 30.0, 30.0]), atol=1e-2
    )


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"spectrum": "pink"}, "spectrum=pink is not known; white or clip"),
        ({"draws": 0}, "draws=0: 1 or more"),
        ({"step_db": 0.0}, r"step_db=0: 0\.01 to 210"),
        ({"step_db": -2.0}, "step_db=-2"),
        ({"quietest_db": math.inf}, "quietest_db=inf: 0 to 150"),
        ({"loudest_db": -math.inf}, "loudest_db=-inf: -60 to 150"),
        ({"quietest_db": 10.0, "loudest_db": 20.0}, "quietest_db=10: 20 to 150"),
    ],
)
def test_knobs_of_noise_that_make_no_sense_are_refused(knobs: dict[str, float], says: str) -> None:
    with pytest.raises(AttackError, match=says):
        Noise(**knobs)  # type: ignore[arg-type]


def test_every_goal_is_won_by_the_white_box_on_five_classes() -> None:
    weights, bias = five(0)
    clean = tones(1, T)
    said = int((clean[0].double() @ weights.T + bias).argmax())
    goals: list[Goal] = [Targeted("abcde"[(said + 1) % 5]), Untargeted(), Confident("abcde"[(said + 2) % 5], 0.95)]
    for goal in goals:
        victim = linear(weights, bias)
        focus = goal.focus(victim.labels, said)
        oracle = search(quick("quietest"), victim, clean, goal=goal, focus=focus)
        answer = victim.function(clean + oracle.best)
        assert goal.reached(answer.argmax(1), answer.softmax(1), torch.tensor([focus])).all()
