"""The gate in torch is noisereduce, sample by sample, and its gradient is its slope."""

from __future__ import annotations

import builtins
import importlib.util
from pathlib import Path
from typing import Any

import noisereduce
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import filtfilt
from tests.transforms.sounds import die, music

from subterfuge.audio import Clip
from subterfuge.errors import MissingExtra, TransformError
from subterfuge.transforms import Denoise, parse_transforms
from subterfuge.transforms._denoise_gate import CHUNK, PADDING, _slow_mean, _smoothed, spectral_gate
from subterfuge.transforms.denoise import LEAST_HZ, MOST_HZ, gate, reduce_noise

RATE = 44_100
RATES = (8000, 16_000, 22_050, 44_100, 48_000)


def noise(length: int, channels: int = 1, *, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).normal(size=(channels, length))).astype(np.float32)


def seconds_of(rate: int) -> np.ndarray:
    return np.arange(rate)[None] / rate


SOUNDS = {
    "music": lambda rate: music(rate, 2),
    "noise": lambda rate: noise(rate),
    "a sine": lambda rate: 0.5 * np.sin(2 * np.pi * 440 * seconds_of(rate)),
    "a sine on a bin": lambda rate: 0.5 * np.sin(2 * np.pi * rate / 1024 * 20 * seconds_of(rate)),
    "a sweep": lambda rate: 0.5 * np.sin(2 * np.pi * (100 + 1000 * seconds_of(rate)) * seconds_of(rate)),
    "a square wave": lambda rate: np.sign(np.sin(2 * np.pi * np.arange(rate)[None] / 64 + 0.1)),
    "a constant": lambda rate: np.full((1, rate), 0.3),
    "a click": lambda rate: np.eye(1, rate, rate // 2),
    "a whisper": lambda rate: 1e-6 * noise(rate),
    "a sound that ends": lambda rate: noise(rate) * (seconds_of(rate) < 0.4),
}


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("sound", SOUNDS.values(), ids=SOUNDS)
def test_the_gate_is_noisereduce(sound: Any, rate: int) -> None:
    wave = sound(rate).astype(np.float32)
    truth = noisereduce.reduce_noise(y=wave, sr=rate)
    np.testing.assert_allclose(gate(torch.from_numpy(wave), rate).numpy(), truth, rtol=0, atol=1e-8)
    assert 0 < np.abs(truth).max() <= 2 * np.abs(wave).max()


@pytest.mark.parametrize("length", [CHUNK - 1, CHUNK, CHUNK + 1, CHUNK + PADDING, 2 * CHUNK + 12_345])
def test_a_long_sound_is_gated_in_the_same_pieces(length: int) -> None:
    wave = noise(length) * (1 + np.sin(np.arange(length) / 30_000)).astype(np.float32)
    truth = noisereduce.reduce_noise(y=wave, sr=RATE)
    np.testing.assert_allclose(gate(torch.from_numpy(wave), RATE).numpy(), truth, rtol=0, atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(1, 4000),
    rate=st.one_of(st.sampled_from([LEAST_HZ, MOST_HZ]), st.integers(LEAST_HZ, MOST_HZ)),
    level=st.floats(-120, 0),
    seed=st.integers(0, 99),
)
def test_a_short_sound_of_any_rate_and_level_is_gated_alike(length: int, rate: int, level: float, seed: int) -> None:
    wave = 10 ** (level / 20) * noise(length, seed=seed).astype(np.float64)
    truth = noisereduce.reduce_noise(y=wave, sr=rate)
    np.testing.assert_allclose(
        gate(torch.from_numpy(wave), rate).numpy(), truth, rtol=0, atol=1e-10 * np.abs(wave).max()
    )


def test_real_recordings_are_gated_alike(seed_study: Path) -> None:
    for path in sorted((seed_study / "clips").glob("*.wav")):
        wave = Clip.read(path).mono(RATE)
        heard = gate(torch.from_numpy(wave)[None], RATE)[0].numpy()
        np.testing.assert_allclose(heard, noisereduce.reduce_noise(y=wave, sr=RATE), rtol=0, atol=1e-8)


def test_the_slow_mean_is_scipys_filter_there_and_back() -> None:
    x = np.random.default_rng(0).random((77, 3))
    for before, after in ((0, 0), (5, 0), (0, 40), (116, 119)):
        whole = np.pad(x, ((before, after), (0, 0)))
        t = 12.5
        b = (np.sqrt(1 + 4 * t**2) - 1) / (2 * t**2)
        truth = filtfilt([b], [1, b - 1], whole, axis=0, padtype=None)[before : before + 77]
        np.testing.assert_allclose(_slow_mean(torch.from_numpy(x), before, after, t), truth, rtol=1e-12)


def test_smoothing_spreads_a_point_to_a_pyramid_of_volume_one() -> None:
    mask = torch.zeros(1, 20, 15, dtype=torch.float64)
    mask[0, 10, 6] = 1.0
    spread = _smoothed(_smoothed(mask, 2, -2), 3, -1)[0]
    pyramid = np.outer([1, 2, 3, 2, 1], [1, 2, 3, 4, 3, 2, 1]) / (9 * 16)
    np.testing.assert_allclose(spread[8:13, 3:10], pyramid, atol=1e-14)
    assert spread.sum().item() == pytest.approx(1.0)


@pytest.mark.parametrize(("length", "rate"), [(6000, 44_100), (3000, 8000)])
def test_its_gradient_is_its_slope(length: int, rate: int) -> None:
    x = torch.from_numpy(music(rate, 2, length / rate)).double().requires_grad_()
    mix = torch.randn(x.shape, generator=die(), dtype=torch.float64)

    def value(wave: torch.Tensor) -> torch.Tensor:
        return (gate(wave, rate) * mix).sum()

    (slope,) = torch.autograd.grad(value(x), x)
    h = 1e-8
    for along in (slope / slope.norm(), torch.randn(x.shape, generator=die(1), dtype=torch.float64)):
        with torch.no_grad():
            by_steps = float(value(x + h * along) - value(x - h * along)) / (2 * h)
        assert float((slope * along).sum()) == pytest.approx(by_steps, rel=1e-5)


def test_the_gradient_of_a_long_sound_crosses_the_borders_of_its_pieces() -> None:
    x = torch.from_numpy(noise(CHUNK + 2000)).double().requires_grad_()
    around = slice(CHUNK - 700, CHUNK + 700)
    (slope,) = torch.autograd.grad(spectral_gate(x, RATE)[:, around].square().sum(), x)
    along = torch.zeros_like(x)
    along[:, around] = torch.randn(1, 1400, generator=die(), dtype=torch.float64)
    with torch.no_grad():
        up, down = (spectral_gate(x + h * along, RATE)[:, around].square().sum() for h in (1e-6, -1e-6))
    assert float((slope * along).sum()) == pytest.approx(float(up - down) / 2e-6, rel=1e-5)


def test_silence_stays_silence_beside_a_sound_and_within_a_long_one() -> None:
    wave = noise(CHUNK + 100, 2)
    wave[0] = 0
    wave[1, CHUNK // 2 :] = 0
    for heard in (reduce_noise(wave, RATE), gate(torch.from_numpy(wave), RATE).numpy()):
        assert np.isfinite(heard).all()
        assert not heard[0].any()
        assert heard[1, :CHUNK].any()
        assert not heard[1, CHUNK:].any()


def test_a_steady_noise_is_taken_away_and_what_comes_and_goes_is_kept() -> None:
    steady = noise(3 * RATE)
    t = np.arange(3 * RATE) / RATE
    bursts = (0.5 * np.sin(2 * np.pi * 1000 * t) * (t % 1 < 0.1)).astype(np.float32)[None]
    heard = gate(torch.from_numpy(np.concatenate([steady, bursts])), RATE).numpy()
    power, left = (np.square(np.concatenate([steady, bursts])).mean(-1), np.square(heard).mean(-1))
    assert left[0] < power[0] / 10
    assert left[1] > power[1] / 2


@pytest.mark.parametrize("rate", [LEAST_HZ - 1, MOST_HZ + 1, 100])
def test_what_noisereduce_refuses_is_refused(rate: int) -> None:
    with pytest.raises(ValueError, match="needs to be at least"):
        noisereduce.reduce_noise(y=noise(100)[0], sr=rate)
    for ask in (lambda: Denoise().real(noise(100), rate, die()), lambda: gate(torch.zeros(1, 100), rate)):
        with pytest.raises(TransformError, match=f"denoise: .*5120 to 256000 Hz, and the sound is at {rate}"):
            ask()


@pytest.mark.parametrize("text", ["denoise=3", "denoise="])
def test_it_takes_no_value(text: str) -> None:
    with pytest.raises(TransformError, match="denoise takes no value"):
        parse_transforms(text)


def test_without_the_package_only_the_real_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    imports, find = builtins.__import__, importlib.util.find_spec

    def without(name: str, *args: Any, **named: Any) -> Any:
        if name == "noisereduce":
            raise ImportError(name)
        return imports(name, *args, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "noisereduce" else find(name))
    wave = noise(5000)
    assert "sonic-subterfuge[denoise]" in str(Denoise().why_not(wave, RATE))
    with pytest.raises(MissingExtra, match=r"pip install 'sonic-subterfuge\[denoise\]'"):
        Denoise().real(wave, RATE, die())
    assert Denoise().stand_in(torch.from_numpy(wave), RATE, die()).any()
