"""Substitutes of whole victims: what they learn, what they cost, and the statistics that tell of it."""

from __future__ import annotations

import math

import pytest
import torch
from tests.attacks.toys import Toy, bands, dark, linear, tones

from subterfuge.errors import InputError
from subterfuge.training._substitute_net import FLOOR, SubstituteNet, features_of, kernel, left_out
from subterfuge.training._substitute_sounds import variants
from subterfuge.training.substitute import SubstituteVictim, reservoir, train_substitute, wilson
from subterfuge.victim import Gives, Kind, Victim, duels_of

T, RATE = 512, 8000


def die(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_leaving_each_example_out_in_truth_gives_the_error_that_the_closed_form_says() -> None:
    x = torch.randn(12, 3, generator=die(), dtype=torch.float64)
    y = torch.randn(12, 2, generator=die(1), dtype=torch.float64)
    width, ridge = torch.tensor(1.5, dtype=torch.float64), 0.1
    errors = []
    for out in range(12):
        rest = [place for place in range(12) if place != out]
        weights = left_out(x[rest], y[rest], width, ridge)[1]
        errors.append(kernel(x[out : out + 1], x[rest], width) @ weights - y[out])
    assert left_out(x, y, width, ridge)[0] == pytest.approx(float(torch.cat(errors).square().mean().sqrt()))


def test_a_network_of_samples_repeats_a_linear_victim_off_its_examples() -> None:
    victim = linear(torch.randn(3, 20, generator=die(), dtype=torch.float64), torch.tensor([0.1, 0.2, -0.3]))
    seen, unseen = tones(60, 20), tones(10, 20, seed=2)
    net = SubstituteNet("wave", RATE, (3,)).fit(seen, victim.function(seen))
    assert net.error < 0.02
    assert (net(unseen) - victim.function(unseen)).abs().max() < 0.02  # of a deviation of 0.45


def test_the_gradient_of_a_network_is_the_slope_of_its_answers() -> None:
    waves = tones(30, 256).double()
    victim = bands(256)
    for front in ("logmel", "wave"):
        net = SubstituteNet(front, RATE, (3,))  # type: ignore[arg-type]
        net.fit(net.hear(waves), victim.function(waves))
        assert torch.autograd.gradcheck(lambda wave, net=net: net(wave).sum(0), waves[:1, :256].requires_grad_())


def test_the_log_mel_front_of_a_sound_twice_as_loud_is_log_4_higher_and_deviates_as_much() -> None:
    wave = tones(2, 4000)
    heard, louder = (features_of(part * wave, RATE, "logmel") for part in (1.0, 2.0))
    bands_ = heard.shape[1] // 2
    full = heard[:, :bands_] > math.log(FLOOR) + 5
    assert full.any()
    rise = (louder - heard)[:, :bands_][full]
    torch.testing.assert_close(rise, torch.full_like(rise, math.log(4)), rtol=0, atol=1e-2)
    torch.testing.assert_close(louder[:, bands_:][full], heard[:, bands_:][full], rtol=0, atol=1e-2)


@pytest.mark.parametrize("learn", ["labels", "scores"])
def test_a_substitute_of_a_curved_victim_agrees_and_costs_what_it_says(learn: str) -> None:
    victim = bands(T)
    seeds = torch.cat([dark(2, T), dark(2, T, seed=3).flip(-1), tones(2, T)])
    trained = train_substitute(victim, seeds, die(), queries=200, learn=learn, front="logmel", rounds=3, held_out=60)  # type: ignore[arg-type]
    assert trained.queries == sum(trained.rounds) == 200
    assert len(victim.asked) == 200 + 60
    assert victim.with_slope == 0
    assert trained.agreement > 0.7
    assert trained.interval == wilson(round(60 * trained.agreement), 60)
    assert isinstance(trained.substitute, Victim)
    assert trained.substitute.scores(seeds).shape == (6, 3)
    assert trained.as_json()["queries"] == 200


def test_a_substitute_of_duels_answers_duels_that_are_antisymmetric() -> None:
    plain = bands(T)
    victim = Toy(lambda wave: duels_of(plain.function(wave)), labels=plain.labels, kind=Kind.DUELS, gives=Gives.SCORES)
    trained = train_substitute(victim, dark(3, T), die(), queries=60, learn="scores", front="logmel", rounds=1)
    duels = trained.substitute.scores(tones(2, T))
    assert duels.shape == (2, 3, 3)
    assert torch.equal(duels, -duels.mT)


def test_the_same_generator_gives_the_same_substitute_and_nothing_else_is_random() -> None:
    def learned(seed: int) -> SubstituteVictim:
        return train_substitute(
            bands(T), dark(2, T), die(seed), queries=40, front="logmel", rounds=2, held_out=5
        ).substitute

    state = torch.get_rng_state()
    first = learned(0)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        assert learned(0).fingerprint == first.fingerprint
    assert learned(1).fingerprint != first.fingerprint


def test_labels_are_enough_for_a_substitute_of_labels_and_not_for_one_of_scores() -> None:
    plain = bands(T)
    mute = Toy(plain.function, labels=plain.labels, gives=Gives.LABELS)
    assert train_substitute(mute, dark(2, T), die(), queries=20, front="logmel", held_out=5).queries == 20
    with pytest.raises(InputError, match="gives labels only, so scores cannot be learned"):
        train_substitute(mute, dark(2, T), die(), queries=20, learn="scores")
    with pytest.raises(InputError, match="0 queries"):
        train_substitute(mute, dark(2, T), die(), queries=0)


def test_variants_keep_length_and_full_scale_and_three_of_four_are_of_the_seeds_at_home() -> None:
    seeds = torch.stack([0.3 * torch.sin(torch.arange(T) * step) for step in (0.2, 1.1)])
    made = variants(seeds, 200, 1, die())
    assert made.shape == (200, T)
    assert made.isfinite().all()
    assert made.abs().max() <= 1
    at_home = ((made @ seeds.T).abs().argmax(1) == 0).sum()
    assert 150 < int(at_home) < 195  # 3/4 + 1/4 · 1/2 of 200 is 175


def test_each_of_many_is_as_likely_to_be_in_the_reservoir() -> None:
    generator, counts = die(), torch.zeros(20)
    for _ in range(2000):
        kept = reservoir(20, 5, generator)
        assert len(set(kept)) == 5
        counts[kept] += 1
    spread = math.sqrt(2000 * 0.25 * 0.75)
    assert (counts - 500).abs().max() < 4.5 * spread
    assert reservoir(3, 5, generator) == [0, 1, 2]


def test_wilsons_interval_holds_the_proportions_that_do_not_reject_it() -> None:
    for hits, of in ((0, 40), (3, 40), (20, 40), (40, 40)):
        low, high = wilson(hits, of)
        for p in (low, high):
            if 0 < p < 1:
                assert abs(hits / of - p) == pytest.approx(1.959964 * math.sqrt(p * (1 - p) / of))
