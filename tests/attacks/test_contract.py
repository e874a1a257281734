"""What every attack in the registry promises: a new entry is held to it without a line here."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from tests.attacks.kit import quick, search, search_by_ear, usual_limit
from tests.attacks.toys import Toy, at_distance, bands, dark, tones, two_sided
from torch import Tensor

from subterfuge.attacks import ATTACKS, Attack, knobs_of, make_attack
from subterfuge.errors import AttackError
from subterfuge.oracle import Oracle, dice
from subterfuge.threat import Budget, LeastSNR, Limit, Masking, Peak, Targeted, Threat, Unlimited
from subterfuge.victim import Gives

T = 512
STEP = 2.0**-15
names = pytest.mark.parametrize("name", list(ATTACKS))
by_ear = pytest.mark.parametrize(
    "name", [name for name, kind in ATTACKS.items() if not getattr(kind, "keeps_to_waves", False)]
)
"""Of the attacks that the driver hands the ear's coordinates."""


def easy(rows: int = 3, snr_db: float = 40.0) -> tuple[Toy, Tensor]:
    """A linear victim, and sounds whose boundary is at a distance, on the grid of a 16-bit file."""
    victim, w = two_sided(T)
    clean = at_distance(tones(rows, T), w, snr_db)
    return victim, (clean / STEP).round() * STEP


def text_of(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


# --- what it is ------------------------------------------------------------------------------------------------------


@names
def test_an_attack_is_a_frozen_dataclass_of_keyword_knobs_that_says_what_it_does(name: str) -> None:
    kind = ATTACKS[name]
    assert dataclasses.is_dataclass(kind)
    assert all(knob.kw_only for knob in dataclasses.fields(kind))
    attack = kind()
    first = dataclasses.fields(kind)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(attack, first, getattr(attack, first))
    assert isinstance(attack.needs, Gives)
    assert attack.seeks in ("quiet", "margin")
    assert 10 < len(attack.says) < 110
    assert "\n" not in attack.says
    assert (kind.__doc__ or "").strip().endswith(".")


@names
def test_every_knob_is_read_back_from_its_text(name: str) -> None:
    for knob, value in knobs_of(ATTACKS[name]).items():
        assert knobs_of(make_attack(name, {knob: text_of(value)}))[knob] == value
    everything = {knob: text_of(value) for knob, value in knobs_of(ATTACKS[name]).items()}
    assert make_attack(name, everything) == ATTACKS[name]()


@names
def test_an_unknown_knob_or_attack_is_refused_with_the_nearest(name: str) -> None:
    knob = dataclasses.fields(ATTACKS[name])[0].name
    with pytest.raises(AttackError, match=rf"{name} has no knob '{knob}x'; did you mean .*\b{knob}\b"):
        make_attack(name, {knob + "x": "1"})
    with pytest.raises(AttackError, match=rf"attack '{name}x' is not known; did you mean .*\b{name}\b"):
        make_attack(name + "x")


@names
def test_a_value_of_another_type_is_refused_and_named(name: str) -> None:
    hints = get_type_hints(ATTACKS[name])
    for knob in knobs_of(ATTACKS[name]):
        wrong = ["much", ""] if get_origin(hints[knob]) is Literal else ["much", "", "nan", "1;2"]
        for text in wrong:
            with pytest.raises(AttackError, match=f"{name} {knob}=.* expected"):
                make_attack(name, {knob: text})


@names
def test_every_choice_of_a_knob_with_choices_can_be_made_and_wins(name: str) -> None:
    hints = get_type_hints(ATTACKS[name])
    victim, clean = easy(1)
    for knob, hint in hints.items():
        for choice in get_args(hint) if get_origin(hint) is Literal else ():
            made = dataclasses.replace(quick(name), **{knob: choice})  # type: ignore[type-var]
            assert made == dataclasses.replace(quick(name), **{knob: knobs_of(make_attack(name, {knob: choice}))[knob]})  # type: ignore[type-var]
            assert search(made, victim, clean).won.all()


# --- what it finds ---------------------------------------------------------------------------------------------------


def poorest(attack: Attack) -> Toy:
    """A victim that gives just what the attack needs and no more."""
    victim, _ = two_sided(T)
    if attack.needs is Gives.SCORES:
        whole = victim.function
        return Toy(lambda wave: whole(wave.detach()), labels=victim.labels, gives=Gives.SCORES)
    return dataclasses.replace(victim, gives=attack.needs)


@names
def test_it_wins_on_an_easy_victim_that_gives_just_what_it_needs(name: str) -> None:
    attack = quick(name)
    _, clean = easy()
    victim = poorest(attack)
    oracle = search(attack, victim, clean)
    assert oracle.won.all()
    assert (victim.function(clean + oracle.best).argmax(1) == 1).all()


@names
@pytest.mark.parametrize("limit", [None, LeastSNR(25.0), Peak(0.01)], ids=str)
def test_the_oracles_record_agrees_with_what_the_victim_says(name: str, limit: Limit | None) -> None:
    attack = quick(name)
    victim, clean = easy()
    limit = limit or usual_limit(attack)
    oracle = search(attack, victim, clean, limit=limit, grid=[STEP] * 3)
    answer = victim.function(clean + oracle.best)
    assert torch.equal(answer.diff(dim=1)[:, 0].double(), oracle.best_margin)
    assert torch.equal(oracle.won, oracle.best_margin > 0)
    assert torch.equal(oracle.best.norm(dim=1).double()[oracle.won], oracle.best_size[oracle.won])
    assert limit.allows(oracle.best, clean).all()
    assert torch.equal((oracle.best / STEP).round() * STEP, oracle.best)
    for row in range(3):
        assert oracle.history[row][-1].margin == oracle.best_margin[row]


@names
def test_it_wins_on_a_curved_victim(name: str) -> None:
    victim, clean = bands(T), dark(2, T)
    assert victim.function(clean).argmax(1).tolist() == [0, 0]
    attack = quick(name)
    oracle = search(attack, victim, clean, limit=LeastSNR(3.0) if attack.seeks == "margin" else None)
    assert oracle.won.all()
    assert victim.function(clean + oracle.best).argmax(1).tolist() == [1, 1]


@names
def test_a_sound_that_meets_the_goal_already_is_no_trouble(name: str) -> None:
    victim, clean = easy()
    oracle = search(quick(name), victim, -clean)
    assert oracle.won.all()
    assert oracle.best.isfinite().all()
    assert (oracle.best_size < 0.1 * clean.norm(dim=1)).all()


@names
def test_a_row_that_cannot_win_does_not_stop_the_others(name: str) -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(3, T), w, torch.tensor([46.0, 3.0, 46.0]))
    oracle = search(quick(name), victim, clean, limit=LeastSNR(12.0))
    assert oracle.won.tolist() == [True, False, True]
    assert oracle.best_margin[1] > victim.function(clean).diff(dim=1)[1, 0]  # it came as near as it could


@names
def test_it_wins_by_a_wider_margin_where_one_is_asked(name: str) -> None:
    attack = quick(name)
    victim, clean = easy(2)
    oracle = search(attack, victim, clean)
    before = [(float(oracle.best_size[row]), oracle.best[row].clone()) for row in range(2)]
    needed = float(oracle.best_margin[0]) * (0.5 if attack.seeks == "margin" else 1.5)
    oracle.raise_bar(0, needed, oracle.best[0].clone())
    start = oracle.start.clone()
    victim.forget()
    search(attack, victim, clean, oracle=oracle, key="seed 1")
    if attack.needs is Gives.GRADIENTS:  # it climbs, and so it begins where the last search ended
        assert torch.equal(victim.asked[0], (clean + start)[0])
    assert oracle.won.all()
    assert oracle.best_margin[0] > needed
    assert torch.equal(oracle.start, start)
    if attack.seeks == "quiet":
        assert oracle.best_size[1] <= before[1][0]


# --- what it spends --------------------------------------------------------------------------------------------------


@names
@pytest.mark.parametrize("most", [1, 2, 7, 23])
def test_it_spends_its_budget_to_the_last_and_never_more(name: str, most: int) -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(2, T), w, 1.0)  # too far to be won
    oracle = search(quick(name), victim, clean, limit=LeastSNR(40.0), budget=Budget(queries=most, gradients=most))
    for row in range(2):
        assert max(oracle.queries[row], oracle.gradients[row]) == most
    assert len(victim.asked) == sum(oracle.queries) + sum(oracle.gradients)
    assert victim.with_slope == sum(oracle.gradients)


@names
def test_a_row_that_is_closed_does_not_close_the_others(name: str) -> None:
    victim, clean = easy()
    attack = quick(name)
    threat = Threat(Targeted("b"), usual_limit(attack), Budget(queries=200, gradients=200))
    oracle = Oracle(victim, threat, clean, torch.ones(3, dtype=torch.long), seeks=attack.seeks)
    oracle.queries[1] = oracle.gradients[1] = 200
    search(attack, victim, clean, oracle=oracle)
    assert oracle.won.tolist() == [True, False, True]


@names
def test_it_ends_when_the_time_is_over(name: str) -> None:
    victim, clean = easy()
    now = [0.0]

    def tick() -> float:
        now[0] += 0.1
        return now[0]

    oracle = search(quick(name), victim, clean, budget=Budget(seconds=1.0), limit=LeastSNR(55.0), clock=tick)
    assert oracle.out_of_time
    assert 1 <= max(oracle.queries[0], oracle.gradients[0]) <= 10


@names
@pytest.mark.parametrize("limit", [LeastSNR(35.0), LeastSNR(72.0), Peak(0.002), Peak(0.00005)], ids=str)
def test_it_never_asks_about_a_sound_past_the_limit_the_grid_or_full_scale(name: str, limit: Limit) -> None:
    victim, clean = easy(1)
    clean[0, :4] = torch.tensor([1.0, -1.0, 1 - STEP, STEP - 1])
    oracle = search(quick(name), victim, clean, limit=limit, grid=[STEP], budget=Budget(queries=150, gradients=150))
    asked = torch.stack(victim.asked)
    assert limit.allows(asked - clean, clean.expand_as(asked)).all()
    assert asked.abs().max() <= 1
    assert torch.equal((asked / STEP).round() * STEP, asked)
    assert len(asked) == oracle.queries[0] + oracle.gradients[0] > 5


# --- what it does not feel -------------------------------------------------------------------------------------------


@names
def test_the_clean_sounds_are_not_touched(name: str) -> None:
    victim, clean = easy()
    before = clean.clone()
    search(quick(name), victim, clean)
    assert torch.equal(clean, before)


@names
def test_the_same_seed_gives_the_same_result_and_nothing_else_is_random(name: str) -> None:
    victim, clean = bands(T), dark(2, T)
    attack = quick(name)
    limit = LeastSNR(5.0)
    first = search(attack, victim, clean, limit=limit)
    state = torch.get_rng_state()
    with torch.random.fork_rng():
        torch.manual_seed(12345)
        again = search(attack, victim, clean, limit=limit)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.best, again.best)
    assert first.history == again.history
    other = search(attack, victim, clean, limit=limit, key="seed 1")
    assert other.best.isfinite().all()


SHORT = Budget(queries=45, gradients=45)
CROWDS: dict[str, tuple[Limit | None, Budget]] = {
    "linear as it comes": (None, Budget()),
    "linear and short of budget": (LeastSNR(20.0), SHORT),
    "curved and limited": (LeastSNR(20.0), Budget()),
    "curved and short of budget": (LeastSNR(20.0), SHORT),
}


@names
@pytest.mark.parametrize("crowd", CROWDS)
def test_a_clip_does_not_feel_its_batch(name: str, crowd: str) -> None:
    attack = quick(name)
    limit, budget = CROWDS[crowd]
    if "linear" in crowd:
        victim, w = two_sided(T)
        clean = at_distance(tones(3, T), w, torch.tensor([40.0, 16.0, 52.0]))
    else:
        victim, clean = bands(T), dark(3, T, seed=4) * torch.tensor([[1.0], [0.1], [3.0]])
    together = search(attack, victim, clean, limit=limit, budget=budget)
    for row in range(3):
        one = slice(row, row + 1)
        alone = search(attack, victim, clean[one], limit=limit, budget=budget, rolls=dice("seed 0", 3)[one])
        assert bool(alone.won[0]) == bool(together.won[row])
        assert (alone.queries[0], alone.gradients[0]) == (together.queries[row], together.gradients[row])
        assert torch.equal(alone.best[0], together.best[row])
        assert alone.history[0] == together.history[row]


@names
def test_an_attack_keeps_nothing_from_one_call_to_the_next(name: str) -> None:
    victim, clean = easy()
    used = quick(name)
    search(used, victim, 0.5 * clean.flip(0), key="another")
    fresh = search(quick(name), victim, clean)
    assert torch.equal(search(used, victim, clean).best, fresh.best)
    assert used == quick(name)


@names
def test_doubling_every_score_changes_nothing(name: str) -> None:
    _, clean = easy()
    attack = quick(name)
    results = [search(attack, two_sided(T, scale=scale)[0], clean, limit=LeastSNR(30.0)) for scale in (1.0, 2.0)]
    assert torch.equal(results[0].best, results[1].best)
    assert torch.equal(2 * results[0].best_margin, results[1].best_margin)


@names
def test_a_slope_of_zero_everywhere_is_survived(name: str) -> None:
    flat = Toy(lambda wave: torch.stack([0 * wave.sum(1), 0 * wave.sum(1) - 1], 1), labels=("a", "b"))
    attack = quick(name)
    oracle = search(attack, flat, tones(2, T), limit=LeastSNR(30.0), budget=Budget(queries=200, gradients=200))
    assert not oracle.won.any()
    assert oracle.best.isfinite().all()
    assert oracle.best_margin.tolist() == [-1, -1]


@names
def test_no_number_for_a_knob_is_met_with_a_traceback(name: str) -> None:
    victim, clean = easy(1)
    for knob, value in knobs_of(ATTACKS[name]).items():
        if isinstance(value, str):
            continue
        for number in ("-1", "0", "1", "3", "1e9", "-inf", "inf"):
            budget = Budget(queries=3, gradients=3)
            try:
                attack = make_attack(name, {knob: number})
            except AttackError:
                continue
            search(attack, victim, clean, budget=budget)


def test_no_limit_is_the_limit_of_those_that_seek_quiet_and_infinity_is_a_number_to_a_knob() -> None:
    assert isinstance(usual_limit(make_attack("quietest")), Unlimited)
    assert knobs_of(make_attack("quietest", {"starts": "inf,40"}))["starts"] == (math.inf, 40.0)


# --- in the ear's coordinates ----------------------------------------------------------------------------------------

ODD = 600
"""Two blocks of the ear's transform and a part of a third."""


@by_ear
@pytest.mark.parametrize("limit", [None, LeastSNR(12.0), Masking(-3.0)], ids=["none", "snr", "masking"])
def test_by_ear_it_wins_and_the_record_says_what_the_victim_says_and_the_ear_measures(
    name: str, limit: Limit | None
) -> None:
    attack = quick(name)
    victim, w = two_sided(ODD)
    clean = (at_distance(tones(2, ODD), w, 42.0) / STEP).round() * STEP
    oracle, ear = search_by_ear(attack, victim, clean, limit=limit, step=STEP)
    assert oracle.won.all()
    margin = victim.function(clean + oracle.best).diff(dim=1)[:, 0].double()
    assert torch.equal(margin.sign() if attack.needs is Gives.LABELS else margin, oracle.best_margin)
    assert torch.equal(ear.length_of(oracle.best).double(), oracle.best_size)
    assert torch.equal((oracle.best / STEP).round() * STEP, oracle.best)
    if isinstance(limit, Masking):
        assert (ear.ratios(oracle.best) <= 10**0.3).all()
    elif limit is not None:
        assert limit.allows(oracle.best, clean).all()
    assert len(victim.asked) == sum(oracle.queries) + sum(oracle.gradients)
    for row in range(2):
        assert oracle.history[row][-1].margin == oracle.best_margin[row]
        assert oracle.history[row][-1].snr_db == pytest.approx(float(oracle.snr_db(oracle.best)[row]), abs=1e-3)


@by_ear
@pytest.mark.parametrize("margin_db", [0.0, 30.0])
def test_by_ear_it_never_asks_about_a_change_above_the_masking_limit_off_the_grid_or_past_full_scale(
    name: str, margin_db: float
) -> None:
    victim, w = two_sided(ODD)
    clean = (at_distance(tones(1, ODD), w, 30.0) / STEP).round() * STEP
    clean[0, :4] = torch.tensor([1.0, -1.0, 1 - STEP, STEP - 1])
    budget = Budget(queries=80, gradients=80)
    oracle, ear = search_by_ear(quick(name), victim, clean, limit=Masking(margin_db), step=STEP, budget=budget)
    asked = torch.stack(victim.asked)
    assert (ear.ratios(asked - clean) <= 10 ** (-margin_db / 10)).all()
    assert asked.abs().max() <= 1
    assert torch.equal((asked / STEP).round() * STEP, asked)
    assert len(asked) == oracle.queries[0] + oracle.gradients[0] > 5
    assert len({tuple(one.tolist()) for one in asked}) > 3  # the limit leaves something to ask about


@by_ear
@pytest.mark.parametrize("kind", ["curved", "limited and short of budget"])
def test_by_ear_a_clip_does_not_feel_its_batch(name: str, kind: str) -> None:
    attack = quick(name)
    limit, budget = (Masking(), Budget(queries=60, gradients=60)) if "limited" in kind else (None, None)
    if kind == "curved":
        victim, clean = bands(T), dark(3, T, seed=4) * torch.tensor([[1.0], [0.1], [3.0]])
    else:
        victim, w = two_sided(ODD)
        clean = at_distance(tones(3, ODD), w, torch.tensor([40.0, 16.0, 52.0]))
    together, _ = search_by_ear(attack, victim, clean, limit=limit, budget=budget)
    for row in (0, 2):
        one = slice(row, row + 1)
        alone, _ = search_by_ear(attack, victim, clean[one], limit=limit, budget=budget, rolls=dice("seed 0", 3)[one])
        assert bool(alone.won[0]) == bool(together.won[row])
        assert (alone.queries[0], alone.gradients[0]) == (together.queries[row], together.gradients[row])
        assert torch.equal(alone.best[0], together.best[row])
        assert alone.history[0] == together.history[row]


@by_ear
@pytest.mark.parametrize("most", [1, 23])
def test_by_ear_it_spends_its_budget_to_the_last_and_never_more(name: str, most: int) -> None:
    victim, w = two_sided(ODD)
    clean = at_distance(tones(2, ODD), w, 1.0)  # too far to be won
    budget = Budget(queries=most, gradients=most)
    oracle, _ = search_by_ear(quick(name), victim, clean, limit=Masking(20.0), budget=budget)
    for row in range(2):
        assert max(oracle.queries[row], oracle.gradients[row]) == most
    assert len(victim.asked) == sum(oracle.queries) + sum(oracle.gradients)


@by_ear
def test_by_ear_it_wins_by_a_wider_margin_where_one_is_asked_and_what_climbs_begins_where_it_ended(name: str) -> None:
    attack = quick(name)
    victim, w = two_sided(ODD)
    clean = at_distance(tones(2, ODD), w, 42.0)
    oracle, _ = search_by_ear(attack, victim, clean)
    before = oracle.best_size.clone()
    needed = float(oracle.best_margin[0]) * (0.5 if attack.seeks == "margin" else 1.5)
    needed = 0.0 if attack.needs is Gives.LABELS else needed  # a label has no margin to widen
    oracle.raise_bar(0, needed, oracle.best[0].clone())
    start = oracle.start.clone()
    victim.forget()
    search_by_ear(attack, victim, clean, oracle=oracle, key="seed 1")
    if attack.needs is Gives.GRADIENTS:
        assert torch.allclose(victim.asked[0], (clean + start)[0], atol=1e-6)
    assert oracle.won.all()
    assert oracle.best_margin[0] > needed
    assert torch.equal(oracle.start, start)
    if attack.seeks == "quiet":
        assert oracle.best_size[1] <= before[1]


@by_ear
def test_by_ear_a_silent_clip_a_flat_victim_and_a_goal_that_is_met_are_no_trouble(name: str) -> None:
    flat = Toy(lambda wave: torch.stack([0 * wave.sum(1), 0 * wave.sum(1) - 1], 1), labels=("a", "b"))
    clean = tones(2, ODD) * torch.tensor([[1.0], [0.0]])
    budget = Budget(queries=60, gradients=60)
    oracle, _ = search_by_ear(quick(name), flat, clean, limit=Masking(), budget=budget)
    assert not oracle.won.any()
    assert oracle.best.isfinite().all()
    victim, w = two_sided(ODD)
    clean = -at_distance(tones(2, ODD), w, 40.0)
    oracle, ear = search_by_ear(quick(name), victim, clean)
    assert oracle.won.all()
    if quick(name).seeks == "quiet":
        assert (ear.length_of(oracle.best) < 0.1 * clean.norm(dim=1)).all()
