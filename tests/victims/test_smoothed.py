"""Randomised smoothing: the vote, its noise, and the radius, against the closed form of a linear victim."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, norm
from tests.attacks.toys import Toy, bands, dark, linear, tones, two_sided
from tests.world import RATE, card, clip, sound
from torch import Tensor

from subterfuge.driver import attack
from subterfuge.errors import CardError, InputError
from subterfuge.threat import Confident, Targeted, Threat
from subterfuge.victim import Gives, Kind, duels_of
from subterfuge.victims import load_victim
from subterfuge.victims.smoothed import Certificate, SmoothedVictim, certify, shares

T = 256


def to_the_plane(w: Tensor, x: Tensor) -> float:
    """How far a sound lies from the plane between the two classes of `two_sided`, above 0 on the side of class 0."""
    return -float((w @ x.double()) / w.norm())


def beside(distance: float, seed: int = 1) -> tuple[Toy, Tensor, Tensor]:
    """The victim of two sides, w, and a sound (T,) of class 0 at a distance from the plane."""
    victim, w = two_sided(T)
    x = tones(1, T, seed=seed)[0].double()
    unit = w / w.norm()
    return victim, w, (x - (unit @ x + distance) * unit).float()


# --- the vote --------------------------------------------------------------------------------------------------------


def test_the_share_of_the_vote_is_that_of_the_closed_form() -> None:
    sd, draws = 0.02, 4000
    for distance in (-0.03, -0.01, 0.0, 0.005, 0.02):
        inner, _, x = beside(distance)
        p = float(norm.cdf(distance / sd))  # of class 0: w·(x + noise) is below 0
        found = float(SmoothedVictim.of(inner, sd, draws=draws).probabilities(x[None])[0, 0])
        assert found == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / draws) + 1e-3)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=12).filter(any))
def test_shares_are_probabilities_and_the_largest_is_the_first_with_most_votes(votes: list[int]) -> None:
    found = shares(torch.tensor([votes], dtype=torch.float64))
    assert float(found.sum()) == pytest.approx(1, abs=1e-12)
    assert bool((found > 0).all())
    assert int(found.argmax()) == votes.index(max(votes))


def test_what_it_decides_is_the_majority_of_what_the_inner_one_decides() -> None:
    inner = bands(T)
    victim, wave = SmoothedVictim.of(inner, 0.05, draws=9), dark(4, T)
    decided, chances = victim.decide(wave), victim.probabilities(wave)
    seen = torch.stack(inner.asked)
    for row, x in enumerate(wave):
        said = inner.decide(seen[9 * row : 9 * row + 9])
        assert float((seen[9 * row : 9 * row + 9] - x).std()) == pytest.approx(0.05, rel=0.1)
        assert int(decided[row]) == int(torch.bincount(said, minlength=3).argmax())
    assert torch.equal(decided, chances.argmax(1))
    assert torch.equal(victim.scores(wave), chances.log())


def test_noise_is_fresh_for_each_sound_the_same_when_it_comes_again_and_not_of_the_batch() -> None:
    inner = Toy(lambda wave: torch.stack([wave[:, 0], wave[:, 1]], 1))  # as good as a coin
    wave = 1e-6 * tones(40, T)
    votes = SmoothedVictim.of(inner, 0.5, draws=25).votes(wave)
    assert len({float(each) for each in votes[:, 0]}) > 5
    again = SmoothedVictim.of(inner, 0.5, draws=25)
    assert torch.equal(torch.cat([again.votes(x[None]) for x in wave]), votes)
    assert torch.equal(again.votes(wave.double().flip(0)).flip(0), votes)
    assert not torch.equal(SmoothedVictim.of(inner, 0.5, draws=25, seed=1).votes(wave), votes)


def test_many_draws_are_asked_a_bearable_number_at_a_time() -> None:
    sizes: list[int] = []
    inner = Toy(lambda wave: (sizes.append(len(wave)), wave[:, :2])[1])
    SmoothedVictim.of(inner, 0.1, draws=75).decide(tones(2, T))
    assert sizes == [32, 32, 11, 32, 32, 11]
    sizes.clear()
    SmoothedVictim.of(inner, 0.1, draws=5).decide(tones(1, 1_500_000))
    assert sizes == [2, 2, 1]


def test_a_victim_of_labels_votes_and_has_no_twin() -> None:
    victim = SmoothedVictim.of(bands(T, gives=Gives.LABELS, has_probabilities=False), 0.01)
    assert (victim.gives, victim.kind, victim.twin) == (Gives.SCORES, Kind.LOG_PROBABILITY, None)
    assert victim.no_twin == "what it wraps, toy, has none"
    assert victim.scores(dark(2, T)).shape == (2, 3)


# --- the twin --------------------------------------------------------------------------------------------------------


def test_the_twin_counts_the_votes_of_the_truth() -> None:
    victim, wave = SmoothedVictim.of(bands(T), 0.1), dark(5, T)
    twin = victim.twin
    assert twin is not None
    torch.testing.assert_close(twin.scores(wave), victim.scores(wave).float(), rtol=1e-6, atol=1e-6)
    assert torch.equal(twin.decide(wave), victim.decide(wave))
    torch.testing.assert_close(twin.probabilities(wave), victim.probabilities(wave).float(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("duels", [False, True])
def test_its_gradient_is_that_of_the_logarithm_of_the_mean_soft_vote(duels: bool) -> None:
    inner = bands(T)
    if duels:
        plain, inner.kind = inner.function, Kind.DUELS
        inner.function = lambda wave: duels_of(plain(wave))
    twin = SmoothedVictim.of(inner, 0.02, draws=8, twin_draws=3).twin
    assert twin is not None
    wave = dark(2, T)
    inner.forget()
    point = wave.clone().requires_grad_()
    (slope,) = torch.autograd.grad(twin.scores(point)[:, 1].sum(), point)
    noisy = torch.stack(list(inner.asked[16:22])).reshape(3, 2, T)  # after the 8 hard votes of each
    point = wave.clone().requires_grad_()
    scores = bands(T).function((noisy - wave + point).reshape(6, T))
    if duels:  # by hand: the soft least of the duels with the others, in quarters
        table = duels_of(scores) / 0.25
        off = torch.tensor([[1, 2], [0, 2], [0, 1]])
        scores = -torch.stack([(-table[:, k, off[k]]).exp().sum(-1).log() for k in range(3)], -1)
    votes = (scores.exp() / scores.exp().sum(-1, keepdim=True)).reshape(3, 2, 3).mean(0)
    (wanted,) = torch.autograd.grad(votes[:, 1].log().sum(), point)
    torch.testing.assert_close(slope, wanted, rtol=1e-3, atol=1e-5)


def test_fixed_noise_is_the_same_at_every_step_and_fresh_noise_is_not() -> None:
    for fixed in (False, True):
        inner = bands(T)
        twin = SmoothedVictim.of(inner, 0.02, draws=4, twin_draws=2, fixed_noise=fixed).twin
        assert twin is not None
        noises = []
        for x in dark(2, T):
            inner.forget()
            twin.scores(x[None].requires_grad_())
            noises.append(inner.asked[4].detach() - x)
        assert torch.allclose(*noises, atol=1e-6) == fixed


# --- the radius ------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), distance=st.floats(0.0005, 0.06))
def test_what_is_certified_of_a_linear_victim_is_below_its_true_distance(seed: int, distance: float) -> None:
    inner, w, x = beside(distance, seed)
    found = certify(SmoothedVictim.of(inner, 0.02), x, n0=20, n=200)
    assert found.radius_l2 <= to_the_plane(w, x) * 1.0001
    assert found.label in ("a", None)


def test_a_proof_is_wrong_as_seldom_as_it_says() -> None:
    """At alpha = 0.2, of 200 sounds at a distance some 40 get too large a radius; by the binomial hardly over 60."""
    sd, inner = 0.02, two_sided(T)[0]
    victim = SmoothedVictim.of(inner, sd)
    wrong = 0
    for seed in range(200):
        _, w, x = beside(0.7 * sd, seed)
        wrong += certify(victim, x, n0=20, n=100, alpha=0.2).radius_l2 > to_the_plane(w, x)
    assert 10 < wrong <= 60


def test_the_radius_grows_to_the_true_distance_with_the_number_of_draws() -> None:
    inner, w, x = beside(0.02)
    radii = [certify(SmoothedVictim.of(inner, 0.02), x, n=n).radius_l2 for n in (100, 1000, 20_000)]
    assert radii == sorted(radii)
    assert radii[-1] == pytest.approx(to_the_plane(w, x), rel=0.05)


def test_the_bound_is_that_of_clopper_and_pearson_and_the_radius_that_of_cohens_theorem() -> None:
    inner, _, x = beside(0.1)
    found = certify(SmoothedVictim.of(inner, 0.02), x, n=500, alpha=0.01)
    low = float(beta.ppf(0.01, 500, 1))  # every draw says class a
    radius = 0.02 * float(norm.ppf(low))
    assert found == Certificate(
        "a",
        pytest.approx(radius),
        pytest.approx(low),
        pytest.approx(20 * math.log10(float(x.norm()) / radius), abs=1e-4),
    )


def test_where_no_class_has_half_of_the_draws_nothing_is_certified() -> None:
    inner = linear(torch.randn(3, T, generator=torch.Generator().manual_seed(1)), torch.zeros(3))
    found = certify(SmoothedVictim.of(inner, 0.5), 1e-6 * tones(1, T))
    assert (found.label, found.radius_l2, found.snr_db) == (None, 0.0, math.inf)
    assert found.p_lower < 0.5


def test_of_silence_a_radius_has_no_snr_worth_the_name() -> None:
    inner = linear(torch.zeros(2, T), torch.tensor([1.0, 0.0]))
    assert certify(SmoothedVictim.of(inner, 0.1), torch.zeros(T), n=50).snr_db == -math.inf


@pytest.mark.parametrize("margin", [0.999, 1.001])
def test_the_smoothed_answer_holds_to_the_true_distance_and_no_further(margin: float) -> None:
    inner, w, x = beside(0.02)
    worst = x + (margin * to_the_plane(w, x) * w / w.norm()).float()
    votes = SmoothedVictim.of(inner, 0.0005, draws=4001).votes(worst[None])[0]
    wins = float(norm.cdf(0.02 * (1 - margin) / 0.0005)) * 4001
    assert float(votes[0]) == pytest.approx(wins, abs=150)


def test_no_attack_wins_inside_the_certified_radius(tmp_path: Path) -> None:
    inner = load_victim(card(tmp_path))
    victim = SmoothedVictim.of(inner, 0.003, draws=64, twin_draws=4)
    for seed in range(2):
        file = clip(tmp_path / f"{seed}.wav", seed=seed)
        proven = certify(victim, torch.from_numpy(sound(seed=seed).T.copy()), n=400)
        assert proven.label == "low"
        won = attack(file, victim, Threat(Targeted("middle")), by=quick(), control=0, out=tmp_path / f"{seed}-out.wav")
        assert won.won
        assert won.snr_db is not None
        assert won.snr_db < proven.snr_db


def test_the_attack_that_knows_the_noise_wins_on_file_with_the_confidence_asked_for(tmp_path: Path) -> None:
    victim = SmoothedVictim.of(load_victim(card(tmp_path)), 0.003, draws=16, twin_draws=4)
    file = clip(tmp_path / "a.wav")
    won = attack(file, victim, Threat(Confident("high", 0.9)), by=quick(), control=0, out=tmp_path / "b.wav")
    assert won.won
    assert won.probability is not None
    assert won.probability >= 0.9


def quick() -> object:
    from subterfuge.attacks.quietest import Quietest

    return Quietest(starts=(math.inf,), even=0, climb=100, resort=1, race=(20, 40), keep=(1,))


def test_progress_counts_every_draw() -> None:
    told: list[int] = []
    certify(SmoothedVictim.of(bands(T), 0.01), dark(1, T), n0=40, n=50, progress=told.append)
    assert told == [32, 40, 72, 90]


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("sd = 0", r"sd = 0; a part of full scale above 0"),
        ("sd = 1.5", r"sd = 1.5; a part"),
        ("sd = nan", r"sd = nan, where a finite number"),
        ("sd = 0.1\ndraws = 0", r"draws = 0; a whole number from 1 to 10000"),
        ("sd = 0.1\ndraws = 4\ntwin_draws = 5", r"twin_draws = 5; a whole number from 1 to draws = 4"),
        ("sd = 0.1\nseed = -1", r"seed = -1; a whole number from 0"),
        ("draws = 3", r"lacks the key 'sd', a number"),
        ("sd = 0.1\nsigma = 2", r"the key 'sigma' is not known on a card of kind"),
    ],
)
def test_a_wrong_card_is_refused(keys: str, told: str, tmp_path: Path) -> None:
    card(tmp_path)
    path = tmp_path / "s.toml"
    path.write_text(f'schema = 1\nkind = "smoothed"\nsample_rate = {RATE}\nvictim = "bands.toml"\n{keys}\n')
    with pytest.raises(CardError, match=told):
        load_victim(path)


def test_few_draws_on_a_card_need_no_number_for_the_twin(tmp_path: Path) -> None:
    card(tmp_path)
    path = tmp_path / "s.toml"
    path.write_text(
        f'schema = 1\nkind = "smoothed"\nsample_rate = {RATE}\nvictim = "bands.toml"\nsd = 0.1\ndraws = 3\n'
    )
    assert load_victim(path).twin_draws == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("more", "told"), [({"n": 0}, "n = 0"), ({"alpha": 1.0}, "alpha = 1"), ({"n0": 0}, "counts from 1")]
)
def test_a_certificate_of_nothing_is_refused(more: dict[str, float], told: str) -> None:
    with pytest.raises(InputError, match=told):
        certify(SmoothedVictim.of(bands(T), 0.1), dark(1, T), **more)  # type: ignore[arg-type]


def test_a_certificate_is_for_one_sound_and_for_what_is_smoothed() -> None:
    with pytest.raises(InputError, match=r"shape \(2, 256\): one sound was expected"):
        certify(SmoothedVictim.of(bands(T), 0.1), dark(2, T))
    with pytest.raises(InputError, match="toy is not smoothed"):
        certify(bands(T), dark(1, T))  # type: ignore[arg-type]


def test_the_fingerprint_is_of_the_noise_and_not_of_the_twin() -> None:
    inner = bands(T)
    first = SmoothedVictim.of(inner, 0.1)
    others = [
        SmoothedVictim.of(inner, 0.2),
        SmoothedVictim.of(inner, 0.1, draws=9),
        SmoothedVictim.of(inner, 0.1, seed=2),
    ]
    assert len({first.fingerprint, *(one.fingerprint for one in others)}) == 4
    assert SmoothedVictim.of(inner, 0.1, fixed_noise=True).fingerprint == first.fingerprint
