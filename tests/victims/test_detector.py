"""A detector answers the inner label where it survives every transform, and one more label where it does not."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.attacks.toys import Toy, bands, dark, tones
from tests.world import card, clip
from torch import Tensor

from subterfuge.attacks.quietest import Quietest
from subterfuge.driver import attack
from subterfuge.errors import CardError, VictimError
from subterfuge.threat import Targeted, Threat, Untargeted
from subterfuge.victim import Gives, Kind, duels_of, winner
from subterfuge.victims import load_victim
from subterfuge.victims.detector import DetectorVictim, agreed, granted, judged

T = 512


def level(wave: Tensor) -> Tensor:
    """Three classes, by how loud a sound is: quiet, middling, loud; a gain turns them over."""
    db = 10 * wave.square().mean(-1, keepdim=True).clamp_min(1e-12).log10()
    return -(db - torch.tensor([-40.0, -30.0, -20.0])).abs()


def loud(*levels_db: float) -> Tensor:
    wave = tones(len(levels_db), T)
    wave = wave / wave.square().mean(-1, keepdim=True).sqrt()
    return wave * 10 ** (torch.tensor(levels_db)[:, None] / 20)


def toy(duels: bool = False, **about: object) -> Toy:
    inner = Toy(level, labels=("quiet", "middling", "loud"), **about)  # type: ignore[arg-type]
    if duels:
        inner.function, inner.kind, inner.has_probabilities = lambda wave: duels_of(level(wave)), Kind.DUELS, False
    return inner


@pytest.mark.parametrize("duels", [False, True])
def test_it_answers_what_survives_and_rejects_what_does_not(duels: bool) -> None:
    victim = DetectorVictim.of(toy(duels), "gain=-6,gain=-3")
    wave = loud(-15, -23, -27, -30, -33, -50)  # 6 dB softer, the second is middling, the next but one quiet
    assert victim.labels == ("quiet", "middling", "loud", "suspicious")
    assert victim.decide(wave).tolist() == [2, 3, 1, 3, 3, 0]
    scores = victim.scores(wave)
    answer = winner(scores) if duels else scores.argmax(-1)
    assert torch.equal(answer, victim.decide(wave))
    assert scores.shape == ((6, 4, 4) if duels else (6, 4))


@given(st.integers(0, 100_000), st.integers(1, 4), st.integers(2, 6))
def test_the_vote_of_its_duels_is_the_class_that_wins_all_in_every_view_or_else_the_rejection(
    seed: int, views: int, classes: int
) -> None:
    die = torch.Generator().manual_seed(seed)
    tables = torch.randint(-3, 4, (views, 8, classes, classes), generator=die).double()
    if seed % 2:  # often alike
        tables = tables[:1] + 0.1 * torch.randn(tables.shape, generator=die)
    tables = tables.triu(1) - tables.triu(1).mT
    whole = judged(tables, Kind.DUELS)
    assert torch.equal(whole, -whole.mT)
    assert torch.equal(whole[:, :-1, :-1], tables[0])
    for row in range(8):
        champions = []
        for view in tables[:, row]:
            ahead = [k for k in range(classes) if all(float(view[k, j]) > 0 for j in range(classes) if j != k)]
            champions.append(ahead[0] if ahead else classes)
        wanted = champions[0] if len(set(champions)) == 1 else classes
        assert int(winner(whole[row : row + 1])) == wanted


@given(st.integers(0, 100_000), st.integers(1, 4))
def test_of_plain_scores_the_largest_is_what_all_views_say_or_else_the_rejection(seed: int, views: int) -> None:
    die = torch.Generator().manual_seed(seed)
    scores = torch.randn(1, 20, 5, generator=die) + 0.3 * torch.randn(views, 20, 5, generator=die)
    assert torch.equal(judged(scores, Kind.DECISION).argmax(-1), agreed(scores.argmax(-1), 5))


def test_probabilities_are_what_every_view_grants() -> None:
    chances = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0)).double()
    chances = chances / chances.sum(-1, keepdim=True)
    found = granted(chances)
    torch.testing.assert_close(found.sum(-1), torch.ones(4, dtype=torch.float64))
    for row in range(4):
        for k in range(5):
            assert float(found[row, k]) == min(float(view[row, k]) for view in chances)
    one = DetectorVictim.of(toy(), "gain=-6").probabilities(loud(-15, -30))
    assert one is not None
    assert one.shape == (2, 4)
    assert DetectorVictim.of(toy(True), "gain=-6").probabilities(loud(-15)) is None


def test_its_answer_is_the_inner_ones_own_where_that_does_not_follow_from_its_scores() -> None:
    inner = toy()
    inner.decide = lambda wave: torch.ones(len(wave), dtype=torch.int64)  # type: ignore[method-assign]
    victim = DetectorVictim.of(inner, "gain=-6")
    assert victim.decide(loud(-15, -24, -50)).tolist() == [1, 1, 1]
    assert victim.scores(loud(-15, -24, -50)).argmax(-1).tolist() == [2, 3, 0]


def test_a_cropped_view_of_another_length_is_a_view_like_any_other() -> None:
    victim = DetectorVictim.of(toy(), "crop=0.005,gain=-6,crop")
    wave = loud(-15, -24, -50)
    assert victim.decide(wave).tolist() == [2, 3, 0]
    assert torch.equal(torch.cat([victim.scores(row[None]) for row in wave]), victim.scores(wave))


def test_a_victim_of_labels_can_be_doubted_too() -> None:
    victim = DetectorVictim.of(toy(gives=Gives.LABELS, has_probabilities=False), "gain=-6")
    assert victim.decide(loud(-15, -24)).tolist() == [2, 3]
    assert (victim.gives, victim.twin, victim.probabilities(loud(-15))) == (Gives.LABELS, None, None)
    with pytest.raises(VictimError, match="labels only"):
        victim.scores(loud(-15))


@pytest.mark.parametrize("duels", [False, True])
@pytest.mark.parametrize("text", ["gain=-6,requantise=6", "mp3=32,noise=10,shift"])
def test_the_twin_answers_what_the_truth_answers(duels: bool, text: str) -> None:
    victim, wave = DetectorVictim.of(toy(duels), text), loud(-15, -24, -27, -33, -50)
    twin = victim.twin
    assert twin is not None
    assert (twin.labels, twin.kind) == (victim.labels, victim.kind)
    torch.testing.assert_close(twin.scores(wave), victim.scores(wave), rtol=1e-4, atol=1e-4)
    assert torch.equal(twin.decide(wave), victim.decide(wave))
    if not duels:
        torch.testing.assert_close(twin.probabilities(wave), victim.probabilities(wave), rtol=1e-4, atol=1e-5)


def test_its_gradient_climbs_in_the_view_that_says_no() -> None:
    inner = bands(T)
    twin = DetectorVictim.of(inner, "requantise=12,lowpass=1000").twin
    assert twin is not None
    wave = dark(1, T)
    point = wave.clone().requires_grad_()
    twin.scores(point)[0, 0].backward()
    through = wave.clone().requires_grad_()
    views = [through, *(one.stand_in(through, 8000, torch.Generator()) for one in twin.transforms)]
    margins = [(lambda s: s[0, 0] - s[0, 1:].max())(inner.scores(view)) for view in views]
    min(margins, key=lambda one: one.detach()).backward()
    torch.testing.assert_close(point.grad, through.grad)
    assert bool(torch.stack(margins).amin() < margins[0])


def quick() -> Quietest:
    return Quietest(starts=(math.inf,), even=0, climb=100, resort=1, race=(20, 60), keep=(1,))


def test_an_attack_on_its_twin_survives_on_file_and_one_on_the_inner_one_is_rejected(tmp_path: Path) -> None:
    inner = load_victim(card(tmp_path))
    victim = DetectorVictim.of(inner, "lowpass=2700,gain=-6")
    file, threat = clip(tmp_path / "a.wav"), Threat(Targeted("high"))
    plain = attack(file, inner, threat, by=quick(), control=0, out=tmp_path / "b.wav")
    assert plain.won
    heard = torch.from_numpy(soundfile.read(tmp_path / "b.wav", dtype="float32")[0])[None]
    assert victim.labels[int(victim.decide(heard))] == "suspicious"
    found = attack(file, victim, threat, by=quick(), control=0, out=tmp_path / "c.wav")
    assert (found.won, found.predicted) == (True, "high")
    assert found.snr_db < plain.snr_db  # type: ignore[operator]


def test_an_untargeted_win_may_be_a_rejection(tmp_path: Path) -> None:
    victim = DetectorVictim.of(load_victim(card(tmp_path)), "lowpass=2700")
    found = attack(
        clip(tmp_path / "a.wav"), victim, Threat(Untargeted()), by=quick(), control=0, out=tmp_path / "b.wav"
    )
    assert found.won
    assert found.predicted == "suspicious"


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ('survives = "mp4"', r'survives = "mp4": transform .mp4. is not known; did you mean mp3'),
        ('survives = ""', 'survives = "": .* has an empty place'),
        ('survives = "gain=-6"\nrejects = "low"', 'rejects = "low"; a label that bands does not have'),
        ('survives = "gain=-6"\nrejects = " "', 'rejects = " "; a label'),
        (
            'survives = "gain=-6"\nlabels = ["low", "middle", "high"]',
            "those of what it wraps low, middle, high, suspicious",
        ),
        ('rejects = "x"', "lacks the key 'survives'"),
    ],
)
def test_a_wrong_card_is_refused(keys: str, told: str, tmp_path: Path) -> None:
    card(tmp_path)
    path = tmp_path / "d.toml"
    path.write_text(f'schema = 1\nkind = "detector"\nsample_rate = 8000\nvictim = "bands.toml"\n{keys}\n')
    with pytest.raises(CardError, match=told):
        load_victim(path)


def test_the_fingerprint_is_of_every_setting() -> None:
    victims = [
        DetectorVictim.of(toy(), "gain=-6"),
        DetectorVictim.of(toy(), "gain=-3"),
        DetectorVictim.of(toy(), "gain=-6", rejects="odd"),
        DetectorVictim.of(toy(fingerprint="other"), "gain=-6"),
    ]
    assert len({victim.fingerprint for victim in victims}) == 4
