"""Several victims that answer together: the mean of their probabilities, whatever each of them gives."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.attacks.toys import Toy, bands, dark, linear, tones
from tests.world import card

from subterfuge.errors import CardError, InputError
from subterfuge.training.demo_data import embedded_card
from subterfuge.victim import Gives, Kind, Victim, duels_of
from subterfuge.victims import check_victim, load_victim
from subterfuge.victims.ensemble import EnsembleVictim

T = 128


def net(seed: int, labels: tuple[str, ...] = ("a", "b", "c"), **about: object) -> Toy:
    return linear(
        torch.randn(3, T, generator=torch.Generator().manual_seed(seed)), torch.zeros(3), labels=labels, **about
    )


def test_it_answers_the_mean_of_the_probabilities() -> None:
    members, wave = [net(0), net(1), bands(T)], dark(4, T)
    victim = EnsembleVictim.of(members)
    mean = sum(one.function(wave).softmax(1).double() for one in members) / 3
    torch.testing.assert_close(victim.probabilities(wave), mean)
    torch.testing.assert_close(victim.scores(wave), mean.log())
    assert torch.equal(victim.decide(wave), mean.argmax(1))
    assert victim.name == "toy + toy + toy"


@given(st.permutations(["a", "b", "c"]), st.permutations(["a", "b", "c"]))
def test_labels_in_any_order_mean_the_same(first: list[str], second: list[str]) -> None:
    weights, wave = torch.randn(3, T, generator=torch.Generator().manual_seed(0)), tones(2, T)

    def turned(order: list[str]) -> Toy:
        return linear(weights[["abc".index(label) for label in order]], torch.zeros(3), labels=tuple(order))

    victim = EnsembleVictim.of([turned(first), turned(second)], labels=("a", "b", "c"))
    assert victim.labels == ("a", "b", "c")
    torch.testing.assert_close(victim.probabilities(wave), turned(["a", "b", "c"]).function(wave).softmax(1).double())


def test_one_that_gives_labels_only_counts_by_its_vote() -> None:
    mute, wave = net(1, gives=Gives.LABELS, has_probabilities=False), tones(5, T)
    victim = EnsembleVictim.of([net(0), mute])
    vote = torch.nn.functional.one_hot(mute.function(wave).argmax(1), 3)
    torch.testing.assert_close(victim.probabilities(wave), (net(0).function(wave).softmax(1).double() + vote) / 2)
    assert victim.twin is None
    assert victim.no_twin == "what it wraps, toy, has none"


def test_decision_values_and_duels_count_by_their_softmax() -> None:
    table = net(1, kind=Kind.DUELS, has_probabilities=False)
    table.function = lambda wave: duels_of(net(1).function(wave))
    wave = 0.01 * tones(3, T)
    found = EnsembleVictim.of([net(0, has_probabilities=False), table]).probabilities(wave)
    scores = net(1).function(wave)
    least = torch.stack(
        [-sum((-4 * (scores[:, k] - scores[:, j])).exp() for j in range(3) if j != k).log() for k in range(3)], 1
    )
    mean = (net(0).function(wave).softmax(1) + least.softmax(1)) / 2
    torch.testing.assert_close(found, mean.double(), rtol=1e-5, atol=1e-6)


def test_two_that_contradict_each_other_for_certain_leave_finite_scores() -> None:
    sure = Toy(lambda wave: torch.tensor([[0.0, -2000.0, -2000.0]]).expand(len(wave), 3), labels=("a", "b", "c"))
    victim = EnsembleVictim.of([sure, sure])
    assert bool(torch.isfinite(victim.scores(tones(1, T))).all())


def test_the_twin_is_the_truth_with_a_gradient() -> None:
    members: list[Victim] = [net(0), bands(T, has_probabilities=False)]
    victim, wave = EnsembleVictim.of(members, labels=("c", "a", "b")), dark(3, T)
    twin = victim.twin
    assert twin is not None
    torch.testing.assert_close(twin.scores(wave), victim.scores(wave))
    assert torch.equal(twin.decide(wave), victim.decide(wave))
    wave, step = dark(1, T).double().requires_grad_(), tones(1, T).double()
    (slope,) = torch.autograd.grad(twin.scores(wave)[0, 0], wave)
    h = 1e-5
    by_steps = (twin.scores(wave.detach() + h * step) - twin.scores(wave.detach() - h * step))[0, 0] / (2 * h)
    assert float((slope * step).sum()) == pytest.approx(float(by_steps), rel=1e-4)


def test_a_member_whose_twin_is_searched_on_lends_its_twin() -> None:
    demo = load_victim(embedded_card())
    victim = EnsembleVictim.of([demo, demo])
    assert victim.twin is not None
    assert victim.twin.members == (demo.twin, demo.twin)
    wave = tones(1, 8192).clone()
    torch.testing.assert_close(victim.twin.probabilities(wave), demo.probabilities(wave), rtol=0, atol=1e-4)


def test_warnings_of_all_are_handed_on_once() -> None:
    members = [net(0, warnings=("old", "odd")), net(1, warnings=("old",))]
    assert EnsembleVictim.of(members).warnings == ("old", "odd")


def test_the_fingerprint_is_of_every_member_and_of_the_order_of_labels() -> None:
    one, two = net(0, fingerprint="1"), net(1, fingerprint="2")
    prints = [
        EnsembleVictim.of([one, two]),
        EnsembleVictim.of([two, one]),
        EnsembleVictim.of([one, one]),
        EnsembleVictim.of([one, two], labels=("b", "a", "c")),
    ]
    assert len({victim.fingerprint for victim in prints}) == 4


# --- cards -----------------------------------------------------------------------------------------------------------


def ensemble(folder: Path, members: str, more: str = "") -> Path:
    path = folder / "e.toml"
    path.write_text(f'schema = 1\nkind = "ensemble"\nsample_rate = 8000\nmembers = {members}\n{more}\n')
    return path


def test_a_card_maps_members_of_other_orders_and_passes_the_check(tmp_path: Path) -> None:
    card(tmp_path, "bands")
    turned = card(tmp_path, "label").read_text().replace('["low", "middle", "high"]', '["high", "low", "middle"]')
    (tmp_path / "turned.toml").write_text(turned)
    card(tmp_path, "uncertain")
    victim = load_victim(ensemble(tmp_path, '["turned.toml", "bands.toml", "uncertain.toml"]'))
    assert victim.labels == ("high", "low", "middle")
    assert check_victim(victim).failures == ()


@pytest.mark.parametrize(
    ("members", "more", "told"),
    [
        ('["bands.toml"]', "", "an ensemble of 1; 2 to 64 members were expected"),
        ("[]", "", "an ensemble of 0"),
        ('["bands.toml", 3]', "", "entry 2 of members is 3, where a text was expected"),
        ('["bands.toml", "bands.toml"]', "", "members names bands.toml twice"),
        ('["bands.toml", "none.toml"]', "", 'members = "none.toml", but there is no file'),
        ('["bands.toml", "e.toml"]', "", 'members = "e.toml" leads back'),
        ('["bands.toml", "fast.toml"]', "", r"hear at 8000 Hz \(bands\) and 16000 Hz \(fast\)"),
        ('["bands.toml", "odd.toml"]', "", r"labels low, middle, high \(bands\) and low, middle, top \(odd\)"),
        ('["bands.toml", "label.toml"]', 'labels = ["a", "b", "c"]', "labels are a, b, c, and those of the members"),
    ],
)
def test_a_wrong_card_is_refused(members: str, more: str, told: str, tmp_path: Path) -> None:
    plain = card(tmp_path).read_text()
    card(tmp_path, "label")
    (tmp_path / "fast.toml").write_text(plain.replace("8000", "16000"))
    (tmp_path / "odd.toml").write_text(plain.replace('"high"', '"top"'))
    with pytest.raises(CardError, match=told):
        load_victim(ensemble(tmp_path, members, more))


def test_another_rate_on_the_card_is_refused(tmp_path: Path) -> None:
    card(tmp_path)
    card(tmp_path, "label")
    path = ensemble(tmp_path, '["bands.toml", "label.toml"]')
    path.write_text(path.read_text().replace("8000", "22050"))
    with pytest.raises(CardError, match="sample_rate = 22050, and the victim bands hears at 8000 Hz"):
        load_victim(path)


def test_members_of_other_labels_are_refused_in_the_library_too() -> None:
    with pytest.raises(InputError, match=r"labels a, b, c \(toy\) and a, b, d \(toy\)"):
        EnsembleVictim.of([net(0), net(1, labels=("a", "b", "d"))])
