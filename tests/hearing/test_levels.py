"""Decibels against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from subterfuge.hearing.levels import level_db, peak, snr_db

finite = st.floats(-1e150, 1e150, allow_nan=False)
sounds = hnp.arrays(np.float64, st.tuples(st.integers(0, 3), st.integers(0, 20)), elements=finite)


@pytest.mark.parametrize("wanted", [-20.0, 0.0, 3.0, 60.0, 140.0])
def test_a_change_in_proportion_to_the_sound_has_the_snr_of_the_proportion(wanted: float) -> None:
    clean = np.random.default_rng(0).standard_normal((2, 1000))
    assert snr_db(clean, clean * (1 + 10 ** (-wanted / 20))) == pytest.approx(wanted, abs=1e-6)


def test_a_change_of_one_step_of_16_bits_of_a_full_sine_has_the_snr_of_the_textbook() -> None:
    clean = np.sin(2 * np.pi * np.arange(44100) / 100)
    changed = clean + np.where(np.arange(44100) % 2, 1, -1) / 32768
    assert snr_db(clean, changed) == pytest.approx(20 * math.log10(32768 / math.sqrt(2)), abs=1e-9)


def test_float32_is_measured_in_float64() -> None:
    clean = np.full(1_000_000, 0.5, dtype=np.float32)
    changed = clean + np.float32(2**-20)
    assert snr_db(clean, changed) == pytest.approx(20 * math.log10(0.5 * 2**20), abs=1e-9)


def test_silence_has_its_rules() -> None:
    silence, sound = np.zeros(8), np.ones(8)
    assert snr_db(silence, silence) == math.inf
    assert snr_db(sound, sound) == math.inf
    assert snr_db(silence, sound) == -math.inf
    assert snr_db(sound, silence) == 0.0
    assert level_db(silence) == -math.inf


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1.0, 1e200])
def test_no_scale_over_or_underflows(scale: float) -> None:
    clean = np.array([3.0, 4.0]) * scale
    assert snr_db(clean, clean * 1.01) == pytest.approx(40.0, abs=1e-9)
    assert level_db(clean) == pytest.approx(20 * math.log10(scale) + 10 * math.log10(12.5), abs=1e-9)


@given(sounds)
def test_a_finite_sound_never_gives_nan(sound: np.ndarray) -> None:
    for other in (sound * 0, sound / 2, sound):
        assert not math.isnan(snr_db(sound, other))
        assert not math.isnan(snr_db(other, sound))
        assert peak(sound, other) <= np.max(np.abs(sound), initial=0.0)
    assert not math.isnan(level_db(sound))


@pytest.mark.parametrize(("x", "level"), [([1.0, -1.0], 0.0), ([0.5], -6.020599913), ([[0.1], [0.1]], -20.0)])
def test_the_level_is_the_root_mean_square(x: list[float], level: float) -> None:
    assert level_db(x) == pytest.approx(level, abs=1e-9)


def test_a_full_sine_is_three_decibels_below_full_scale() -> None:
    assert level_db(np.sin(2 * np.pi * np.arange(1000) / 50)) == pytest.approx(-10 * math.log10(2), abs=1e-9)


def test_the_peak_is_the_largest_change_of_either_sign() -> None:
    assert peak([0.0, 0.5, 0.25], [0.0, 0.125, 0.5]) == 0.375
    assert peak([], []) == 0.0


def test_sounds_of_unlike_shape_are_not_compared_by_broadcasting() -> None:
    for measure in (snr_db, peak):
        with pytest.raises(ValueError, match=r"\(2, 4\).*\(4,\)"):
            measure(np.ones((2, 4)), np.ones(4))
