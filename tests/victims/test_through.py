"""A victim behind transforms: the truth is the real thing, the twin its stand-in; and cards that name cards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.attacks.toys import RATE, Toy, bands, linear, tones
from tests.world import card as world_card
from tests.world import sound
from torch import Tensor

from subterfuge.dsp.recipes import true_librosa_mean_25
from subterfuge.errors import CardError, InputError, UntrustedModel, VictimError
from subterfuge.training.demo_data import embedded_card
from subterfuge.transforms import MP3, LowPass, Requantise
from subterfuge.victim import Gives, Kind, Victim, duels_of
from subterfuge.victims import check_victim, load_victim
from subterfuge.victims.through import ThroughVictim

T = 4000


def wave_of(rows: int = 2) -> Tensor:
    return torch.from_numpy(np.stack([sound(seed=k)[:, 0] for k in range(rows)])).float()


def energies(wave: Tensor) -> Tensor:
    """Three numbers of a wave that any change of it moves."""
    return torch.stack(
        [wave.square().mean(-1), wave.diff().square().mean(-1), wave[:, ::3].square().mean(-1)], -1
    ).log()


def toy(**about: object) -> Toy:
    return Toy(energies, labels=("a", "b", "c"), **about)  # type: ignore[arg-type]


# --- truth -----------------------------------------------------------------------------------------------------------


def test_it_answers_to_what_comes_out_of_the_real_transforms_one_after_the_other() -> None:
    inner, wave, die = toy(), wave_of(), torch.Generator()
    rows = []
    for row in wave.numpy():
        heard = MP3(32).real(row[None], RATE, die)
        rows.append(Requantise(8).real(LowPass(2000).real(heard, RATE, die), RATE, die))
    heard = torch.from_numpy(np.concatenate(rows))
    victim = ThroughVictim.of(inner, "mp3=32,lowpass=2000,requantise=8")
    assert torch.equal(victim.scores(wave), inner.scores(heard))
    assert torch.equal(victim.decide(wave), inner.decide(heard))
    chances = inner.probabilities(heard)
    assert chances is not None
    assert torch.equal(victim.probabilities(wave), chances)  # type: ignore[arg-type]


def test_the_order_of_the_transforms_matters() -> None:
    first, second = (
        ThroughVictim.of(toy(), text) for text in ("requantise=6,lowpass=2000", "lowpass=2000,requantise=6")
    )
    assert not torch.equal(first.scores(wave_of()), second.scores(wave_of()))
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize("text", ["noise=20", "gain", "shift", "crop", "dither=6", "resample"])
def test_what_is_drawn_is_drawn_from_the_sound_and_not_from_its_batch_or_its_precision(text: str) -> None:
    victim, wave = ThroughVictim.of(toy(), text), wave_of(3)
    scores = victim.scores(wave)
    assert torch.equal(victim.scores(wave), scores)
    assert torch.equal(victim.scores(wave[[2, 0]]), scores[[2, 0]])
    assert torch.equal(victim.scores(wave.double()), scores)


def test_another_sound_meets_another_draw() -> None:
    heard: list[Tensor] = []
    inner = Toy(lambda wave: (heard.append(wave.clone()), energies(wave))[1], labels=("a", "b", "c"))
    victim, wave = ThroughVictim.of(inner, "noise=20"), wave_of(1)
    near = wave.clone()
    near[0, 100] += 2**-15
    victim.scores(wave)
    victim.scores(near)
    apart = (heard[1] - near) - (heard[0] - wave)
    assert float(apart.norm()) > 0.5 * float((heard[0] - wave).norm())


def test_a_sound_that_cannot_be_put_through_is_an_error_of_the_victim() -> None:
    with pytest.raises(VictimError, match=r"toy through gain=6 cannot hear this sound: gain=6: would clip"):
        ThroughVictim.of(toy(), "gain=6").decide(0.9 * torch.ones(1, 100))


def test_a_victim_of_labels_stays_one() -> None:
    victim = ThroughVictim.of(toy(gives=Gives.LABELS, has_probabilities=False), "requantise=8")
    assert (victim.gives, victim.twin, victim.probabilities(wave_of())) == (Gives.LABELS, None, None)
    assert victim.no_twin == "what it wraps, toy, has none"
    assert victim.decide(wave_of()).shape == (2,)
    with pytest.raises(VictimError, match="labels only"):
        victim.scores(wave_of())


# --- the twin --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["mp3=32", "requantise=8", "lowpass=2000", "noise=20", "shift", "gain", "mp3=32,highpass=200,dither=8,gain=-3"],
)
def test_the_twin_answers_what_the_truth_answers(text: str) -> None:
    victim, wave = ThroughVictim.of(toy(), text), wave_of(3)
    twin = victim.twin
    assert twin is not None
    torch.testing.assert_close(twin.scores(wave), victim.scores(wave), rtol=0, atol=1e-4)
    assert torch.equal(twin.decide(wave), victim.decide(wave))
    torch.testing.assert_close(twin.probabilities(wave), victim.probabilities(wave), rtol=0, atol=1e-4)


def test_behind_a_filter_the_twins_gradient_is_that_of_the_filtered_sound() -> None:
    inner = linear(torch.randn(2, T, generator=torch.Generator().manual_seed(3)), torch.zeros(2))
    twin = ThroughVictim.of(inner, "lowpass=1000").twin
    assert twin is not None
    wave, step = tones(1, T).double().requires_grad_(), tones(1, T, seed=5).double()
    (slope,) = torch.autograd.grad(twin.scores(wave)[0, 0], wave)
    by_steps = twin.scores(wave.detach() + step) - twin.scores(wave.detach() - step)  # linear: any step will do
    assert float((slope * step).sum()) == pytest.approx(float(by_steps[0, 0]) / 2, rel=1e-6)


def test_behind_a_quantiser_the_twins_gradient_is_that_of_the_sound_that_comes_out() -> None:
    inner = bands(T)
    twin = ThroughVictim.of(inner, "requantise=6").twin
    assert twin is not None
    wave = wave_of(1)[:, :T].requires_grad_()
    (slope,) = torch.autograd.grad(twin.scores(wave)[0, 0], wave)
    out = torch.from_numpy(Requantise(6).real(wave.detach().numpy(), RATE, torch.Generator())).requires_grad_()
    (there,) = torch.autograd.grad(inner.scores(out)[0, 0], out)
    torch.testing.assert_close(slope, there)


def test_a_gradient_through_drawn_noise_is_the_mean_over_draws() -> None:
    wave = wave_of(1)

    def slope(draws: int) -> Tensor:
        twin = ThroughVictim.of(toy(), "noise=0", twin_draws=draws).twin
        assert twin is not None
        point = wave.clone().requires_grad_()
        (found,) = torch.autograd.grad(twin.scores(point)[0, 0], point)
        return found

    def across(draws: int) -> float:
        """How much of the gradient of the log energy lies not along the sound: noise, which averages out."""
        along = (slope(draws) @ wave[0]) / wave.norm() ** 2
        return float((slope(draws) - along * wave).norm())

    assert across(64) == pytest.approx(across(1) / 8, rel=0.25)


def test_nothing_is_averaged_where_nothing_is_drawn() -> None:
    for text, draws in (("mp3=32,gain=-6,denoise", 1), ("gain", 4), ("mp3=32,noise=40", 4), ("shift=3", 1)):
        twin = ThroughVictim.of(toy(sample_rate=16_000), text).twin
        assert twin is not None
        assert twin.draws == draws, text


def test_what_a_user_must_know_of_the_inner_ones_is_handed_on() -> None:
    victim = ThroughVictim.of(toy(warnings=("old",)), "mp3=32,lowpass=2000")
    assert victim.warnings == ("old",)
    assert victim.twin is not None
    assert victim.twin.warnings == ("old", "gradients pass mp3=32 by way of stand-ins")


def test_duels_come_through_as_duels() -> None:
    inner = toy(kind=Kind.DUELS, has_probabilities=False)
    inner.function = lambda wave: duels_of(energies(wave))
    victim = ThroughVictim.of(inner, "requantise=8")
    assert victim.kind is Kind.DUELS
    assert victim.scores(wave_of()).shape == (2, 3, 3)


# --- cards -----------------------------------------------------------------------------------------------------------


def wrapper(folder: Path, name: str, kind: str, rest: str, rate: int = 8000) -> Path:
    path = folder / name
    path.write_text(f'schema = 1\nkind = "{kind}"\nsample_rate = {rate}\n{rest}\n')
    return path


def through(folder: Path, named: str, name: str = "t.toml", more: str = "", through: str = "requantise=8") -> Path:
    return wrapper(folder, name, "through", f'victim = "{named}"\nthrough = "{through}"\n{more}')


def test_a_card_names_the_inner_card_from_where_it_lies_itself(tmp_path: Path) -> None:
    inner = load_victim(world_card(tmp_path / "inner"))
    victim = load_victim(through(tmp_path, "inner/bands.toml"))
    assert (victim.name, victim.labels, victim.sample_rate) == ("t", inner.labels, 8000)
    assert victim.card == tmp_path / "t.toml"  # type: ignore[attr-defined]
    wave = wave_of()
    heard = torch.from_numpy(
        np.stack([Requantise(8).real(row[None], RATE, torch.Generator())[0] for row in wave.numpy()])
    )
    assert torch.equal(victim.scores(wave), inner.scores(heard))


def test_wrappers_nest_and_pass_the_check(tmp_path: Path) -> None:
    world_card(tmp_path)
    through(tmp_path, "bands.toml", "1.toml", "twin_draws = 1", through="lowpass=3000,noise=30")
    wrapper(tmp_path, "2.toml", "smoothed", 'victim = "1.toml"\nsd = 0.003\ndraws = 3')
    wrapper(tmp_path, "3.toml", "ensemble", 'members = ["2.toml", "bands.toml"]')
    victim = load_victim(wrapper(tmp_path, "4.toml", "detector", 'victim = "3.toml"\nsurvives = "requantise=8"'))
    assert victim.labels == ("low", "middle", "high", "suspicious")
    report = check_victim(victim, [sound()[:800, 0]])
    assert report.failures == ()


WRONG: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "no inner card": ('victim = "none.toml", but there is no file', lambda at: through(at, "none.toml")),
    "a folder": ('victim = ".", but that is a folder', lambda at: through(at, ".")),
    "itself": (
        r'victim = "t.toml" leads back to a card that it comes from \(t.toml, t.toml\)',
        lambda at: through(at, "t.toml"),
    ),
    "another rate": (
        "sample_rate = 16000, and the victim bands hears at 8000 Hz",
        lambda at: wrapper(at, "t.toml", "through", 'victim = "bands.toml"\nthrough = "gain=-6"', 16000),
    ),
    "other labels": (
        "labels are a, b, c, and those of what it wraps low, middle, high",
        lambda at: through(at, "bands.toml", more='labels = ["a", "b", "c"]'),
    ),
    "labels in another order": (
        "labels are middle, low, high, and those",
        lambda at: through(at, "bands.toml", more='labels = ["middle", "low", "high"]'),
    ),
    "an unknown transform": (
        r'through = "mp33=128": transform .mp33. is not known; did you mean mp3',
        lambda at: through(at, "bands.toml", through="mp33=128"),
    ),
    "a codec that lacks the rate": (
        'through = "mp3=320": mp3=320: MP3 at 8000 Hz has 8 to 64',
        lambda at: through(at, "bands.toml", through="mp3=320"),
    ),
    "a cut-off beyond the rate": (
        "nothing above 4000 Hz",
        lambda at: through(at, "bands.toml", through="lowpass=8000"),
    ),
    "no draws": ("twin_draws = 0; a whole number", lambda at: through(at, "bands.toml", more="twin_draws = 0")),
    "an inner card that is wrong": (
        r"in.toml: the key .modul. is not known",
        lambda at: (
            wrapper(at, "in.toml", "torch", 'labels = ["a", "b"]\nmodul = "x"'),
            through(at, "in.toml"),
        )[1],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_wrapper_is_refused_with_the_way_out(case: str, tmp_path: Path) -> None:
    told, write = WRONG[case]
    world_card(tmp_path)
    with pytest.raises(CardError, match=told):
        load_victim(write(tmp_path))


def test_cards_in_a_circle_are_refused_by_name(tmp_path: Path) -> None:
    through(tmp_path, "b.toml", "a.toml")
    through(tmp_path, "c.toml", "b.toml")
    wrapper(tmp_path, "c.toml", "ensemble", 'members = ["bands.toml", "a.toml"]')
    world_card(tmp_path)
    with pytest.raises(CardError, match=r'c.toml: members = "a.toml" leads back .*a.toml, b.toml, c.toml, a.toml'):
        load_victim(tmp_path / "a.toml")


def test_a_circle_through_a_link_is_seen(tmp_path: Path) -> None:
    through(tmp_path, "b.toml", "a.toml")
    (tmp_path / "b.toml").symlink_to(tmp_path / "a.toml")
    with pytest.raises(CardError, match="leads back"):
        load_victim(tmp_path / "a.toml")


def test_eight_wrappers_nest_and_nine_do_not(tmp_path: Path) -> None:
    world_card(tmp_path)
    through(tmp_path, "bands.toml", "1.toml", through="gain=-1")
    for k in range(2, 10):
        through(tmp_path, f"{k - 1}.toml", f"{k}.toml", through="gain=-1")
    assert load_victim(tmp_path / "8.toml").labels == ("low", "middle", "high")
    with pytest.raises(CardError, match=r"1.toml: more than 8 wrappers lie around one another, from 9.toml"):
        load_victim(tmp_path / "9.toml")
    assert load_victim(tmp_path / "8.toml").labels, "a refusal leaves nothing behind"


def test_trust_and_device_are_handed_on(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(b"\x80\x04\x8c\x02os\x8c\x06getcwd\x93)R.")
    wrapper(tmp_path, "in.toml", "sklearn", 'labels = ["a", "b"]\nfeatures = "librosa-mean-25"\nmodel = "m.pkl"')
    with pytest.raises(UntrustedModel):
        load_victim(through(tmp_path, "in.toml"))
    with pytest.raises(CardError, match="a classifier was expected"):
        load_victim(through(tmp_path, "in.toml"), trust_pickle=True)
    world_card(tmp_path)
    with pytest.raises(InputError, match='device = "cuda:77" cannot be used'):
        load_victim(through(tmp_path, "bands.toml"), device="cuda:77")


def test_the_fingerprint_is_of_the_inner_one_and_of_every_setting(tmp_path: Path) -> None:
    inner: Victim = toy()
    prints = {ThroughVictim.of(inner, text).fingerprint for text in ("mp3=32", "mp3=64", "gain", "gain=-6")}
    assert len(prints) == 4
    assert ThroughVictim.of(toy(fingerprint="other"), "mp3=32").fingerprint not in prints
    assert ThroughVictim.of(inner, "mp3=32", name="x", twin_draws=9).fingerprint in prints, "what answers no other"


def test_the_embedded_victim_behind_mp3_hears_the_features_of_the_mp3() -> None:
    inner = load_victim(embedded_card())
    wave = torch.from_numpy(sound(44100, seconds=0.3).T.copy()).float()
    heard = MP3(128).real(wave.numpy(), 44100, torch.Generator())
    features = true_librosa_mean_25(heard[0], 44100)[None]
    told = inner.estimator.predict_proba(features)  # type: ignore[attr-defined]
    found = ThroughVictim.of(inner, "mp3=128").probabilities(wave)
    np.testing.assert_allclose(found, told, rtol=0, atol=1e-12)
