"""Silero VAD rebuilt, beside the wheel's own program and its own rules."""

from __future__ import annotations

import tomllib
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.victims.voices import RATE, by_path, spoken

from subterfuge.attacks.quietest import Quietest
from subterfuge.audio import Clip
from subterfuge.driver import attack
from subterfuge.errors import CardError, MissingExtra, VictimError
from subterfuge.threat import Targeted, Threat
from subterfuge.training.demo_data import embedded_clips
from subterfuge.victims import _speech_wheel, load_victim, silero_vad
from subterfuge.victims.card import COMMON
from subterfuge.victims.check.gradient import slopes_at
from subterfuge.victims.silero_vad.net import load_program, original_chances, silero_of
from subterfuge.victims.silero_vad.pool import POOLS, Pool

pytestmark = pytest.mark.skipif(find_spec("silero_vad") is None, reason="pip install --no-deps silero-vad==6.2.3")
QUICK = Quietest(starts=(np.inf,), even=0, climb=100, resort=1, race=(10,), keep=())


def card(folder: Path, more: str = "", rate: int = RATE) -> Path:
    path = folder / "card.toml"
    path.write_text(f'schema = 1\nkind = "silero-vad"\nsample_rate = {rate}\n{more}')
    return path


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> silero_vad.SileroVictim:
    found = load_victim(card(tmp_path_factory.mktemp("silero")))
    assert isinstance(found, silero_vad.SileroVictim)
    return found


def wheel(inside: str) -> Path:
    return _speech_wheel.wheel_file("silero_vad", "silero-vad", inside)


@pytest.fixture(scope="module")
def program() -> torch.jit.ScriptModule:
    return load_program(wheel("data/silero_vad.jit"))


@pytest.fixture(scope="module")
def rules() -> ModuleType:
    """The file of the wheel that says where in a clip there is speech; it can be imported by itself."""
    pytest.importorskip("packaging")
    return by_path("silero_rules", wheel("utils_vad.py"))


def instrument(place: int) -> torch.Tensor:
    return torch.from_numpy(Clip.read(embedded_clips()[place]).mono(RATE).copy())


def test_the_example_shows_every_key_and_loads(tmp_path: Path) -> None:
    shown = tomllib.loads(silero_vad.EXAMPLE)
    assert shown.keys() == COMMON.keys() | silero_vad.KEYS.keys()
    (tmp_path / "example.toml").write_text(silero_vad.EXAMPLE)
    assert load_victim(tmp_path / "example.toml").labels == ("no speech", "speech")


def test_every_frame_has_the_chance_that_the_wheels_program_gives(
    victim: silero_vad.SileroVictim, program: torch.jit.ScriptModule
) -> None:
    dice = torch.Generator().manual_seed(3)
    sounds = {
        "speech": spoken("en-us+f3"),
        "loud speech": 1.4 * spoken("en-us"),
        "an instrument": instrument(0),
        "noise": 0.3 * torch.randn(5000, generator=dice),
        "silence": torch.zeros(1000),
    }
    for name, wave in sounds.items():
        mine = victim.frames(wave[None])[0].sigmoid()
        torch.testing.assert_close(mine, original_chances(program, wave), rtol=0, atol=5e-5, msg=name)


def test_every_frame_has_the_chance_that_onnxruntime_gives(victim: silero_vad.SileroVictim) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(wheel("data/silero_vad.onnx"), providers=["CPUExecutionProvider"])
    wave = spoken("en-us+m3")[: 20 * 512]
    state, before, found = np.zeros((2, 1, 128), np.float32), np.zeros((1, 64), np.float32), []
    for frame in wave.numpy().reshape(-1, 1, 512):
        heard = np.concatenate([before, frame], axis=1)
        chance, state = session.run(None, {"input": heard, "state": state, "sr": np.array(RATE)})
        found.append(chance[0, 0])
        before = heard[:, -64:]
    np.testing.assert_allclose(victim.frames(wave[None])[0].sigmoid().numpy(), found, rtol=0, atol=5e-5)


def test_it_hears_speech_in_speech_and_none_in_noise_tones_and_instruments(victim: silero_vad.SileroVictim) -> None:
    for voice in ("en-us", "en-us+f3", "en-us+m3"):
        assert int(victim.decide(spoken(voice)[None])) == 1
    time, dice = torch.arange(RATE) / RATE, torch.Generator().manual_seed(0)
    others = torch.stack(
        [
            torch.zeros(RATE),
            0.1 * torch.randn(RATE, generator=dice),
            0.5 * torch.sin(2 * torch.pi * 440 * time),
            *[instrument(place)[:RATE] for place in range(11)],
        ]
    )
    assert not victim.decide(others).any()


ODDS = st.lists(st.floats(-6, 6, width=32), min_size=12, max_size=60)


@given(ODDS, st.sampled_from([0.1, 0.3, 0.5, 0.8]), st.integers(1, 512), st.sampled_from([100, 250]))
def test_timestamps_finds_speech_exactly_where_the_wheel_does(
    rules: ModuleType, odds: list[float], threshold: float, last: int, shortest: int
) -> None:
    samples = 512 * (len(odds) - 1) + last
    pool = Pool(threshold=threshold, min_speech_ms=shortest)
    edge = float(pool(torch.tensor([odds], dtype=torch.float64), samples)[0]) - pool.edge

    def wheel_finds(shift: float) -> bool:  # the wheel at thresholds that lie so much higher, in log-odds
        enters, leaves = (
            1 / (1 + np.exp(-(np.log(p / (1 - p)) + shift))) for p in (threshold, max(threshold - 0.15, 0.01))
        )
        found = rules.get_speech_timestamps_from_probs(
            (1 / (1 + np.exp(-np.array(odds)))).tolist(),
            threshold=enters,
            neg_threshold=leaves,
            min_speech_duration_ms=shortest,
            audio_length_samples=samples,
        )
        return bool(found)

    assert wheel_finds(edge - 1e-6)
    assert not wheel_finds(edge + 1e-6)


@settings(max_examples=20)
@given(ODDS, st.sampled_from(sorted(POOLS)))
def test_more_speech_in_every_frame_is_as_much_more_in_the_clip(odds: list[float], name: str) -> None:
    pool, frames = Pool(name=name), torch.tensor([odds], dtype=torch.float64)
    low, high = (float(pool(each, 512 * len(odds))[0]) for each in (frames, frames + 2))
    assert high - low == pytest.approx(2, abs=2 if name == "mean" else 1e-9)
    assert high > low


def test_the_pools_are_the_largest_the_mean_and_the_share() -> None:
    chances = torch.tensor([[0.1, 0.9, 0.2, 0.6]], dtype=torch.float64)
    for pool, expected in (
        (Pool(name="max"), 0.9),
        (Pool(name="mean"), 0.45),
        (Pool(name="share", share=0.5), 0.6),
        (Pool(name="share", share=0.51), 0.2),
        (Pool(name="share", share=0.0), 0.9),
        (Pool(name="share", share=1.0), 0.1),
    ):
        assert float(pool(chances.logit(), 2048).sigmoid()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("pool", POOLS)
def test_gradients_are_finite_differences(tmp_path: Path, pool: str) -> None:
    victim = load_victim(card(tmp_path, f'pool = "{pool}"\n'))
    slope = slopes_at(victim, spoken("en-us+f3")[None, 3000:9000], 0)
    assert slope.exact
    assert slope.error < 1e-4


def test_decisions_follow_the_threshold_and_scores_lie_on_its_sides(tmp_path: Path) -> None:
    wave = spoken("en-us")[None] * torch.tensor([[1.0], [1e-3]]) + 0.01 * torch.randn(
        1, spoken("en-us").shape[0], generator=torch.Generator().manual_seed(0)
    )
    for threshold in (0.02, 0.5, 0.98):
        victim = load_victim(card(tmp_path, f'pool = "mean"\nthreshold = {threshold}\n'))
        chances = victim.probabilities(wave)
        assert chances is not None
        assert torch.equal(victim.decide(wave), (chances[:, 1] >= threshold).long())
        assert torch.equal(victim.decide(wave), victim.scores(wave).argmax(-1))


@pytest.mark.parametrize(
    ("more", "rate", "says"),
    [
        ("", 8000, "sample_rate = 8000; .* 16000 Hz"),
        ('labels = ["a", "b", "c"]', RATE, "labels has 3 entries; two"),
        ('pool = "maximum"', RATE, 'pool = "maximum"; .*max'),
        ("threshold = 1", RATE, "threshold = 1; a number from 0.01 to 0.99"),
        ("threshold = nan", RATE, "threshold = nan"),
        ("min_speech_ms = -1", RATE, "min_speech_ms = -1; a number from 0"),
        ("share = 1.5", RATE, "share = 1.5; a number from 0 to 1"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(tmp_path: Path, more: str, rate: int, says: str) -> None:
    with pytest.raises(CardError, match=says):
        load_victim(card(tmp_path, more, rate))


def test_a_clip_too_short_to_hold_speech_is_told(victim: silero_vad.SileroVictim, tmp_path: Path) -> None:
    with pytest.raises(VictimError, match="a clip of 250 ms holds no speech where min_speech_ms = 250"):
        victim.decide(torch.zeros(1, 4000))
    assert int(victim.decide(torch.zeros(1, 4001))) == 0
    loudest = load_victim(card(tmp_path, 'pool = "max"\n'))
    assert int(loudest.decide(torch.zeros(1, 1))) == 0
    with pytest.raises(VictimError, match="no samples"):
        loudest.decide(torch.zeros(1, 0))


def test_without_the_wheel_the_pip_line_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_speech_wheel, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install --no-deps silero-vad==6\.2\.3"):
        load_victim(card(tmp_path))


def test_a_wheel_without_the_program_and_a_damaged_one_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingExtra, match=r"has no file data/other\.jit"):
        wheel("data/other.jit")
    (tmp_path / "damaged.jit").write_bytes(b"PK no program")
    monkeypatch.setattr(silero_vad, "wheel_file", lambda *_: tmp_path / "damaged.jit")
    with pytest.raises(MissingExtra, match=r"damaged\.jit is damaged"):
        load_victim(card(tmp_path))


def test_another_network_in_the_wheel_is_refused() -> None:
    with pytest.raises(MissingExtra, match=r"another network .*pip install --no-deps silero-vad==6\.2\.3"):
        silero_of(torch.nn.Linear(2, 2))


def test_a_rebuilt_network_that_answers_otherwise_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(program: torch.jit.ScriptModule) -> torch.nn.Module:
        net = silero_of(program)
        net.final_conv.bias.add_(0.01)
        return net

    monkeypatch.setattr(silero_vad, "silero_of", spoilt)
    assert "differ from the original's" in load_victim(card(tmp_path)).warnings[0]


def test_the_fingerprint_knows_the_pool_and_its_numbers(tmp_path: Path) -> None:
    cards = ("", 'pool = "max"\n', "threshold = 0.4\n", "min_speech_ms = 200\n", 'labels = ["n", "y"]\n')
    assert len({load_victim(card(tmp_path, more)).fingerprint for more in cards}) == len(cards)


def test_an_attack_makes_speech_unheard_by_the_wheel_itself(
    tmp_path: Path, victim: silero_vad.SileroVictim, program: torch.jit.ScriptModule, rules: ModuleType
) -> None:
    clip = Clip.of(spoken("en-us+f3").double().numpy(), RATE, name="speech")
    assert rules.get_speech_timestamps(torch.from_numpy(clip.mono(RATE).copy()), program)
    outcome = attack(clip, victim, Threat(goal=Targeted("no speech")), by=QUICK, out=tmp_path, control=0)
    assert outcome.won
    written = torch.from_numpy(Clip.read(next(tmp_path.glob("*.wav"))).mono(RATE).copy())
    assert not rules.get_speech_timestamps(written, program)
    assert outcome.snr_db is not None
    assert outcome.snr_db > 15


def test_an_attack_makes_music_heard_as_speech_by_the_wheel_itself(
    tmp_path: Path, victim: silero_vad.SileroVictim, program: torch.jit.ScriptModule, rules: ModuleType
) -> None:
    clip = Clip.of(instrument(2)[:RATE].double().numpy(), RATE, name="flute")
    assert not rules.get_speech_timestamps(torch.from_numpy(clip.mono(RATE).copy()), program)
    outcome = attack(clip, victim, Threat(goal=Targeted("speech")), by=QUICK, out=tmp_path, control=0)
    assert outcome.won
    written = torch.from_numpy(Clip.read(next(tmp_path.glob("*.wav"))).mono(RATE).copy())
    assert rules.get_speech_timestamps(written, program)
    assert outcome.snr_db is not None
    assert outcome.snr_db > 30
