"""Loudness against the standard's own numbers, and against pyloudnorm."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from subterfuge.hearing.loudness import level_difference_lu, loudness_lufs


def sine(rate: int, seconds: float = 2.0, hz: float = 997.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
def test_a_full_sine_of_997_hz_in_one_channel_has_the_loudness_of_the_standard(rate: int) -> None:
    assert loudness_lufs(sine(rate), rate) == pytest.approx(-3.01, abs=0.1)
    assert loudness_lufs(np.stack([sine(rate)] * 2), rate) == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_it_is_pyloudnorms_number(channels: int) -> None:
    wave = np.random.default_rng(0).standard_normal((channels, 48000)) * 0.1
    wave[:, 20000:30000] *= 1e-3
    assert loudness_lufs(wave, 48000) == pytest.approx(pyloudnorm.Meter(48000).integrated_loudness(wave.T), abs=1e-9)


@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize("gain_db", [-20.0, -1.0, 0.0, 3.0])
def test_a_gain_in_decibels_is_the_difference_in_loudness_units(gain_db: float, rate: int) -> None:
    wave = np.random.default_rng(0).standard_normal((2, rate)) * np.linspace(0.01, 0.2, rate)
    assert level_difference_lu(wave, wave * 10 ** (gain_db / 20), rate) == pytest.approx(gain_db, abs=1e-6)


def test_what_is_too_short_or_too_quiet_has_no_loudness() -> None:
    loud = sine(48000, 0.4)
    assert loudness_lufs(loud, 48000) is not None
    assert loudness_lufs(loud[:-1], 48000) is None
    assert loudness_lufs(np.zeros((2, 48000)), 48000) is None
    assert loudness_lufs(np.zeros((2, 0)), 48000) is None
    assert loudness_lufs(sine(48000) * 1e-5, 48000) is None
    assert level_difference_lu(loud, np.zeros(19200), 48000) is None
    assert level_difference_lu(np.zeros(19200), loud, 48000) is None


def test_six_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="5 channels"):
        loudness_lufs(np.zeros((6, 48000)), 48000)


@settings(max_examples=25)
@given(
    hnp.arrays(np.float32, st.integers(40, 120), elements=st.floats(-(2.0**126), 2.0**126, width=32)),
    st.sampled_from([100, 300, 8000, 48000]),
)
def test_any_finite_sound_has_a_finite_loudness_or_none(sound: np.ndarray, rate: int) -> None:
    found = loudness_lufs(np.tile(sound, rate // 2), rate)
    assert found is None or np.isfinite(found)
