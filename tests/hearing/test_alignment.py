"""Lags that are known, found; and the correlation written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from subterfuge.hearing import alignment
from subterfuge.hearing.alignment import find_lag


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples) * 0.1


def moved(wave: np.ndarray, by: int) -> np.ndarray:
    return np.concatenate([np.zeros(by), wave[: len(wave) - by]]) if by >= 0 else wave[-by:]


@pytest.mark.parametrize("by", [-900, -1, 0, 1, 7, 999])
@pytest.mark.parametrize("gain", [1.0, 1e-6, -0.5, 1e8])
def test_a_sound_that_is_late_or_early_is_found_so_at_any_gain(by: int, gain: float) -> None:
    wave = noise(5000)
    lag = find_lag(wave, gain * moved(wave, by))
    assert lag.samples == by
    assert lag.correlation == pytest.approx(np.sign(gain), abs=1e-9)
    assert lag.overlap == 5000 - abs(by)
    assert lag.believable


def test_the_correlation_is_that_of_the_overlap_written_out() -> None:
    b, a = noise(3000), moved(noise(3000), 40) + noise(3000, 1)
    lag = find_lag(b, a)
    first, second = b[: 3000 - 40], a[40:]
    assert lag.samples == 40
    assert lag.correlation == pytest.approx(first @ second / np.linalg.norm(first) / np.linalg.norm(second), abs=1e-9)


def test_a_tone_is_not_a_period_late_and_neither_is_one_with_noise() -> None:
    tone = np.sin(2 * np.pi * np.arange(8000) / 50)
    for level in (0.0, 0.01, 0.5):
        assert find_lag(tone, tone + level * noise(8000)).samples == 0
    assert find_lag(tone, tone[:7000]).samples == 0


def test_unlike_sounds_and_silence_are_not_believed() -> None:
    silence = np.zeros(4000)
    for b, a in ((noise(4000), noise(4000, 1)), (silence, noise(4000)), (noise(4000), silence), (silence, silence)):
        assert not find_lag(b, a).believable


def test_a_sound_is_not_looked_for_in_one_a_quarter_longer() -> None:
    wave = noise(5000)
    assert find_lag(wave, wave[1000:]).believable
    assert not find_lag(wave, wave[1001:]).believable
    assert find_lag(wave[1001:], wave).correlation == 0


def test_a_change_as_loud_as_the_sound_is_just_believed() -> None:
    wave, other = noise(200_000), noise(200_000, 1)
    other -= wave * (wave @ other) / (wave @ wave)
    other *= np.linalg.norm(wave) / np.linalg.norm(other)
    assert find_lag(wave, wave + other).believable
    assert not find_lag(wave, wave + 1.1 * other).believable


def test_no_lag_is_longer_than_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "MOST_LAG", 100)
    wave = noise(5000)
    for by in (-100, 100):
        assert find_lag(wave, moved(wave, by)).samples == by
    assert not find_lag(wave, moved(wave, 101)).believable
    assert not find_lag(wave, wave[101:]).believable


@given(
    hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-1, 1, width=32)),
)
def test_any_finite_sounds_have_a_correlation_within_its_bounds(one: np.ndarray, two: np.ndarray) -> None:
    for b, a in ((one, two), (two, one), (one, one)):
        lag = find_lag(b, a)
        assert -1 <= lag.correlation <= 1
        assert lag.overlap <= min(len(a), len(b))
