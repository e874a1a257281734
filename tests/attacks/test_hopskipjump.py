"""The label-only attack against boundaries whose nearest point is known, and what it says of its starts."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch
from tests.attacks.kit import quick, search
from tests.attacks.toys import RATE, Toy, at_distance, bands, dark, linear, tones, two_sided
from torch import Tensor

from subterfuge.attacks import HopSkipJump, Noise
from subterfuge.attacks._hop_labels import Labels
from subterfuge.attacks._hop_space import space_of
from subterfuge.attacks._hop_starts import at_level, filtered, genomes
from subterfuge.attacks.genome import genes_of
from subterfuge.errors import AttackError
from subterfuge.oracle import Oracle, dice
from subterfuge.threat import Budget, LeastSNR, Targeted, Threat, Unlimited, Untargeted
from subterfuge.victim import Gives

T = 512
NEAR = 1.05
"""Times the least change that it may need on a linear victim, with the knobs of `FINE`; it reaches 1.004 to 1.02."""
FINE = HopSkipJump(starts=4, runners=1, race=1, rounds=32, patience=1000)


def only_labels(victim: Toy) -> Toy:
    return dataclasses.replace(victim, gives=Gives.LABELS, asked=[])


# --- how near it comes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("snr_db", [30.0, 50.0])
def test_labels_lead_to_the_nearest_point_of_a_plane_among_the_genomes_changes(snr_db: float) -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, snr_db)
    distance = -(clean.double() @ w)[0]
    basis = space_of(genes_of(clean[0], RATE, FINE.bands, dice("seed 0", 1)[0]), clean[0]).basis
    assert basis is not None
    reach = torch.linalg.qr(basis.double().T)[0]
    least = float(distance / (reach.T @ w).norm())
    oracle = search(FINE, only_labels(victim), clean)
    assert distance / w.norm() <= oracle.best_size[0] <= least * NEAR
    kicked = search(dataclasses.replace(FINE, patience=6, rounds=40), only_labels(victim), clean)
    assert distance / w.norm() <= kicked.best_size[0] <= 0.95 * least  # new noise is a new dimension


def test_labels_lead_to_the_nearest_point_of_a_plane_in_the_waveform() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 40.0)
    least = float(-(clean.double() @ w)[0] / w.norm())
    attack = dataclasses.replace(FINE, space="waveform", rounds=62)
    oracle = search(attack, only_labels(victim), clean)
    assert least <= oracle.best_size[0] <= least * NEAR


def test_labels_lead_out_of_a_class_across_the_nearest_of_its_planes() -> None:
    die = torch.Generator().manual_seed(3)
    weights = torch.randn(4, T, generator=die, dtype=torch.float64)
    victim = linear(weights, torch.zeros(4, dtype=torch.float64))
    clean = tones(1, T, seed=3)
    scores = clean[0].double() @ weights.T
    said = int(scores.argmax())
    far = [float((scores[said] - scores[k]) / (weights[said] - weights[k]).norm()) for k in range(4) if k != said]
    attack = dataclasses.replace(FINE, space="waveform", rounds=62)
    oracle = search(attack, only_labels(victim), clean, goal=Untargeted(), focus=said)
    assert min(far) * (1 - 1e-5) <= oracle.best_size[0] <= sorted(far)[1] * NEAR


def test_it_is_far_below_the_noise_that_wins_on_a_curved_victim() -> None:
    victim, clean = only_labels(bands(T)), dark(1, T, seed=4)
    quiet = search(dataclasses.replace(FINE, rounds=10), victim, clean)
    loud = search(Noise(), victim, clean)
    assert quiet.won.all()
    assert loud.won.all()
    assert 20 * torch.log10(loud.best_size / quiet.best_size) > 6


def test_it_uses_nothing_but_labels() -> None:
    victim, clean = bands(T), dark(1, T)
    attack = quick("hopskipjump")
    seen, blind = (search(attack, toy, clean, budget=Budget(queries=400)) for toy in (victim, only_labels(victim)))
    assert torch.equal(seen.best, blind.best)
    assert blind.best_margin.tolist() == [1.0]


def test_more_rounds_never_end_louder() -> None:
    victim, clean = only_labels(bands(T)), dark(1, T)
    sizes = [search(dataclasses.replace(FINE, rounds=n), victim, clean).best_size[0] for n in (1, 4, 12)]
    assert sizes[0] > sizes[1] > sizes[2]


# --- where it begins -------------------------------------------------------------------------------------------------


def like_one_sound() -> tuple[Toy, Tensor, Tensor]:
    """A victim that says b of what is more than half of one sound, a clip, and that sound at the clip's level."""
    clean, other = tones(2, T, seed=5).split(1)
    other = other - (other[0] @ clean[0]) / clean.norm() ** 2 * clean
    other = other * clean.norm() / other.norm()
    slope = other / other.norm() ** 2
    return linear(torch.cat([0 * slope, slope]), torch.tensor([0.0, -0.55])), clean, other


def test_another_sound_is_a_start_where_noise_and_genomes_find_none() -> None:
    victim, clean, other = like_one_sound()
    attack = quick("hopskipjump")
    alone = search(attack, only_labels(victim), clean)
    assert not alone.won.any()
    note = f"the target was never seen in {alone.queries[0]} queries"
    assert alone.findings[0] == {"start": None, "steps": [], "note": note}
    helped = search(attack, only_labels(victim), clean, others=3 * other)  # its level is no matter
    assert helped.won.all()
    assert helped.findings[0]["start"]["kind"] == "other"
    assert helped.findings[0]["note"] is None
    assert helped.snr_db(helped.best)[0] > -20 * math.log10(0.6 * math.sqrt(2))  # the mixture that won had 0.6 of it


def test_a_given_sound_of_the_target_wins_within_60_queries_where_nothing_else_does() -> None:
    victim, clean, other = like_one_sound()
    strangers = torch.cat([tones(10, T, seed=6), other])
    oracle = search(HopSkipJump(), only_labels(victim), clean, others=strangers, budget=Budget(queries=60))
    assert oracle.won.all()
    assert oracle.history[0][-1].snr_db is not None
    assert oracle.history[0][-1].snr_db > -20 * math.log10(0.65 * math.sqrt(2))  # a mixture, not the sound alone
    alone = search(HopSkipJump(), only_labels(victim), clean, others=strangers[:10], budget=Budget(queries=60))
    assert not alone.won.any()


def test_where_noise_loses_and_a_given_sound_wins_no_genome_is_drawn_before_the_walk() -> None:
    victim, clean, other = like_one_sound()
    oracle = search(HopSkipJump(), only_labels(victim), clean, others=other, budget=Budget(queries=500))
    start = oracle.findings[0]["start"]
    assert start["kind"] == "other"
    assert start["queries"] < 60
    assert oracle.findings[0]["steps"][-1]["snr_db"] > start["snr_db"]


def test_sounds_that_lose_cost_one_query_each() -> None:
    victim, clean, _ = like_one_sound()
    attack = quick("hopskipjump")
    alone, beside = (
        search(attack, only_labels(victim), clean, others=tones(count, T, seed=6)).queries[0] for count in (0, 9)
    )
    assert beside == alone + 9


def test_a_sound_that_is_given_is_tried_also_where_noise_wins() -> None:
    victim, clean, other = only_labels(bands(T)), dark(1, T), tones(1, T, seed=9)
    attack = dataclasses.replace(quick("hopskipjump"), runners=1)
    alone = search(attack, victim, clean).findings[0]["start"]
    given = search(attack, victim, clean, others=other).findings[0]["start"]
    assert alone["kind"] == "noise"
    assert given["queries"] >= alone["queries"] + 5  # the sound, three mixtures and the filtered clip


def test_what_it_found_is_told_in_plain_json() -> None:
    victim, clean = bands(T), dark(1, T)
    oracle = search(quick("hopskipjump"), only_labels(victim), clean)
    told = json.loads(json.dumps(oracle.findings[0], allow_nan=False))
    assert told["start"].keys() == {"kind", "snr_db", "queries"}
    assert told["start"]["kind"] in ("noise", "found")
    queries = [step["queries"] for step in told["steps"]]
    assert queries == sorted(queries)
    assert queries[-1] == oracle.queries[0]
    assert told["steps"][-1]["snr_db"] == pytest.approx(float(oracle.snr_db(oracle.best)[0]), abs=0.1)
    assert told["steps"][-1]["snr_db"] > told["start"]["snr_db"]


def test_the_start_is_told_also_where_the_budget_ends_on_the_first_steps_from_it() -> None:
    victim, clean = bands(T), dark(1, T)
    attack = quick("hopskipjump")
    start = search(attack, only_labels(victim), clean).findings[0]["start"]
    oracle = search(attack, only_labels(victim), clean, budget=Budget(queries=start["queries"] + 1))
    assert oracle.findings[0]["start"]["queries"] == start["queries"]
    assert oracle.findings[0]["steps"] == []


def test_the_last_win_is_a_start_where_a_wider_margin_is_asked() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 40.0)
    attack = quick("hopskipjump")
    oracle = search(attack, victim, clean)
    oracle.raise_bar(0, 2 * float(oracle.best_margin[0]), oracle.best[0].clone())
    before = oracle.queries[0]
    search(attack, victim, clean, oracle=oracle, key="seed 1")
    assert oracle.won.all()
    assert torch.equal(victim.asked[before], (clean + oracle.start)[0])
    assert oracle.findings[0]["start"]["kind"] == "last"


def test_a_filtered_sound_has_the_others_long_term_spectrum() -> None:
    clean, other = dark(1, 4096)[0], tones(1, 4096)[0]
    power = [torch.fft.rfft(sound).abs().square()[:2048].reshape(8, -1).mean(1) for sound in (clean, other)]
    shaped = torch.fft.rfft(filtered(clean, other)).abs().square()[:2048].reshape(8, -1).mean(1)
    assert (power[0] / power[1]).log().abs().max() > 0.5
    assert (shaped / power[1]).log().abs().max() < 0.15


def test_random_genomes_have_the_level_that_is_asked_and_quiet_ones_spend_it_in_quiet_cells() -> None:
    clean = dark(1, T)[0]
    genes = genes_of(clean, RATE, 8, dice("a", 1)[0])
    for quiet in (True, False):
        drawn = at_level(genomes(genes, 50, dice("b", 1)[0], quiet=quiet), 30.0, float(clean.norm()))
        assert torch.allclose(drawn.norm(dim=1), clean.norm() * 10 ** (-30 / 20), rtol=1e-4)
    level = genes.norm(dim=1)
    loudest = genes[level.argmax()] / level.max()
    spent = [
        (at_level(genomes(genes, 400, dice("b", 1)[0], quiet=quiet), 0.0, 1.0) @ loudest).square().mean()
        for quiet in (True, False)
    ]
    assert spent[0] < 0.8 * spent[1]


# --- its parts -------------------------------------------------------------------------------------------------------


def asking(victim: Toy, clean: Tensor, limit: LeastSNR | Unlimited | None = None) -> Labels:
    threat = Threat(Targeted("b"), limit or Unlimited(), Budget())
    return Labels(Oracle(victim, threat, clean, torch.ones(1, dtype=torch.long)), 0, float(clean.norm()))


def test_shrinking_ends_within_the_step_of_the_edge() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 60.0)
    least = float(-(clean.double() @ w)[0] / w.norm())
    loud = (w / w.norm()).to(clean)
    for step in (0.1, 0.001):
        size = float(asking(victim, clean).shrink(loud, step).norm())
        assert least <= size <= least * (1 + 1.01 * step)


def test_shrinking_what_wins_at_any_size_ends() -> None:
    victim, w = two_sided(T)
    clean = -at_distance(tones(1, T), w, 20.0)
    labels = asking(victim, clean)
    assert float(labels.shrink(clean[0], 0.01).norm()) < 2e-6 * float(clean.norm())
    assert labels.oracle.queries[0] < 50


def test_a_start_louder_than_the_limit_is_brought_inside_it() -> None:
    victim, clean = bands(T), dark(1, T)
    labels = asking(victim, clean, LeastSNR(20.0))
    assert float(labels.inside(clean[0]).norm()) == pytest.approx(0.1 * float(clean.norm()), rel=1e-5)


def test_lengths_in_the_space_of_the_cells_are_those_of_the_changes() -> None:
    clean = dark(1, 4096)[0]
    space = space_of(genes_of(clean, RATE, 12, dice("a", 1)[0]), clean)
    x = torch.randn(20, len(space.level), generator=dice("b", 1)[0])
    assert torch.allclose(space.wave(x).norm(dim=1), x.norm(dim=1), rtol=1e-3)


def test_probes_are_small_in_cells_that_hold_little_and_plain_in_loud_ones() -> None:
    clean = dark(1, 4096)[0]
    space = space_of(genes_of(clean, RATE, 12, dice("a", 1)[0]), clean)
    assert space.basis is not None
    faint = 1e-3 * float(space.level.min()) * space.basis.sum(0)
    assert space.spread(faint).min() > 0.99
    loud = 1e3 * float(clean.norm()) * space.basis[0]
    spread = space.spread(loud)
    assert spread[0] > 0.99
    assert spread[1:].max() < 0.05


def test_a_silent_clip_is_searched_in_the_waveform() -> None:
    silent = torch.zeros(T)
    assert space_of(genes_of(silent, RATE, 12, dice("a", 1)[0]), silent).basis is None
    victim = Toy(lambda wave: torch.stack([0 * wave[:, 0] + 1e-3, wave.square().mean(1)], 1), labels=("a", "b"))
    assert search(quick("hopskipjump"), only_labels(victim), silent[None]).won.all()


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"space": "phase"}, "space=phase is not known; cells or waveform"),
        ({"bands": 0}, "bands=0: 1 to 256"),
        ({"patience": 0}, "patience=0: 1 or more"),
        ({"starts": 0}, "starts=0: 1 to"),
        ({"runners": 0}, "runners=0: 1 or more"),
        ({"race": -1}, "race=-1: 0 or more"),
        ({"rounds": 0}, "rounds=0: 1 or more"),
        ({"probes": 1}, "probes=1: 2 to"),
        ({"radius": 0.0}, r"radius=0: 0\.0001 to 1"),
        ({"memory": 1.0}, r"memory=1: 0 to 0\.99"),
    ],
)
def test_knobs_that_make_no_sense_are_refused(knobs: dict[str, float], says: str) -> None:
    with pytest.raises(AttackError, match=says):
        HopSkipJump(**knobs)  # type: ignore[arg-type]
