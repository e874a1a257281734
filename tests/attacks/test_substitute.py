"""The substitute attack against victims whose nearest point is known, and what it keeps of the labels and the limit."""

from __future__ import annotations

import math

import pytest
import torch
from tests.attacks.kit import quick, search
from tests.attacks.toys import Toy, at_distance, bands, dark, linear, tones, two_sided

from subterfuge.attacks import Substitute
from subterfuge.errors import AttackError
from subterfuge.threat import Budget, LeastSNR
from subterfuge.victim import Gives

T = 128


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_a_substitute_that_can_hold_the_victim_finds_its_nearest_point(scale: float) -> None:
    victim, w = two_sided(T, scale=scale)
    clean = at_distance(tones(2, T), w, torch.tensor([30.0, 45.0]))
    least = -(clean.double() @ w) / w.norm()
    attack = Substitute(front="wave", first=T + 20, queries=400, climb=40, walk=(20, 40))
    oracle = search(attack, victim, clean)
    assert (oracle.best_size >= least * (1 - 1e-5)).all()
    assert (oracle.best_size <= 1.01 * least).all()
    assert max(oracle.queries) <= 400
    assert oracle.gradients == [0, 0]


def test_it_agrees_with_the_victim_better_than_a_coin_and_says_of_how_many() -> None:
    victim, clean = bands(512), dark(1, 512)
    oracle = search(Substitute(front="logmel", first=60, queries=200, walk=(10, 20)), victim, clean)
    told = oracle.findings[0]["substitute"]
    assert told["front"] == "logmel"
    assert told["examples"] == oracle.queries[0]
    assert 0 < told["agreement_of"] < told["examples"]
    assert told["agreement"] > 0.6
    assert 0 < told["leave_one_out_error"] < 0.6


def test_of_three_front_ends_it_takes_the_one_that_explains_the_victim() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 30.0)
    oracle = search(Substitute(first=T + 20, queries=T + 260, walk=(5, 5)), victim, clean)
    assert oracle.findings[0]["substitute"]["front"] == "wave"


def test_on_a_curved_victim_that_it_hears_it_comes_within_a_decibel_of_the_white_box() -> None:
    victim, clean = bands(512), dark(2, 512)
    oracle = search(Substitute(front="logmel", first=60, queries=300, walk=(20, 40)), victim, clean)
    white = search(quick("quietest"), victim, clean)
    assert (20 * torch.log10(oracle.best_size / white.best_size) < 1).all()


def test_with_labels_it_needs_no_more_than_labels_and_learns_from_other_sounds() -> None:
    attack = Substitute(learn="labels", front="wave", first=T, queries=400, walk=(20, 40))
    assert attack.needs is Gives.LABELS
    assert Substitute().needs is Gives.SCORES
    victim, w = two_sided(T, gives=Gives.LABELS)
    clean = at_distance(tones(1, T), w, 20.0)
    oracle = search(attack, victim, clean, others=-at_distance(tones(1, T, seed=5), w, 20.0), labels_only=True)
    least = float(-(clean.double() @ w) / w.norm())
    assert oracle.won.all()
    assert least < float(oracle.best_size[0]) < 2 * least


def test_it_climbs_inside_a_limit_to_nearly_the_largest_margin() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 40.0)
    limit = LeastSNR(30.0)
    most = float(clean.double() @ w + w.norm() * limit.radius(clean)[:, 0])
    attack = Substitute(front="wave", first=T + 20, queries=250)
    oracle = search(attack, victim, clean, limit=limit)
    oracle.seeks = "margin"
    search(attack, victim, clean, oracle=oracle)
    assert 0.98 * most < float(oracle.best_margin[0]) <= most * (1 + 1e-5)


def test_the_number_of_queries_is_its_own_where_the_budget_has_none() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 1.0)
    for queries in (1, 2, 30, 71):
        attack = Substitute(front="wave", first=40, queries=queries, walk=(5, 5))
        assert search(attack, victim, clean, limit=LeastSNR(40.0)).queries == [queries]
    assert search(attack, victim, clean, limit=LeastSNR(40.0), budget=Budget(queries=55)).queries == [55]


def test_where_nothing_was_won_guided_takes_over_and_the_record_says_when() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 1.0)
    told = {"front": "wave", "first": 40, "queries": 100, "walk": (5, 5)}
    stays = search(Substitute(**told, resign=0), victim, clean, limit=LeastSNR(40.0))
    assert "resigned_after_queries" not in stays.findings[0]
    gives_way = search(Substitute(**told, resign=60), victim, clean, limit=LeastSNR(40.0))
    assert 60 <= gives_way.findings[0]["resigned_after_queries"] < 100 < gives_way.queries[0]
    assert gives_way.findings[0]["starts"], "what guided tells of itself"
    won = search(Substitute(front="wave", first=T + 20, queries=400, climb=40, walk=(20, 40)), victim, clean)
    assert won.won.all()
    assert "resigned_after_queries" not in won.findings[0]


def test_a_victim_that_dies_is_not_silenced() -> None:
    def dies(wave: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("out of order")

    with pytest.raises(RuntimeError, match="out of order"):
        search(Substitute(front="wave"), Toy(dies), tones(1, T))
    five = linear(torch.zeros(5, T), torch.zeros(5))
    assert not search(Substitute(front="wave", first=10, queries=40), five, tones(1, T), focus=3).won.any()


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"learn": "all"}, "learn=all is not known; scores or labels"),
        ({"front": "ear"}, "front=ear"),
        ({"queries": 0}, "queries=0: 1 or more"),
        ({"memory": 5}, "memory=5: 20 to 4000"),
        ({"walk": (3,)}, "1 walks; 2 were expected"),
        ({"walk": (3, 0)}, "walk=0: 1 to 10000"),
        ({"caution": -1.0}, "caution=-1: 0 to 100"),
        ({"loudest_db": 50.0, "quietest_db": 40.0}, "quietest_db=40: 50 to 150"),
        ({"patience": math.nan}, "patience=nan"),
    ],
)
def test_knobs_of_the_substitute_that_make_no_sense_are_refused(knobs: dict[str, float], says: str) -> None:
    with pytest.raises(AttackError, match=says):
        Substitute(**knobs)  # type: ignore[arg-type]
