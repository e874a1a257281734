"""Segmental SNR against closed forms, and against its definition written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from subterfuge.hearing.segmental import segmental_snr_db

finite = st.floats(-(2.0**100), 2.0**100, width=32)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples) * 0.1


def written_out(clean: np.ndarray, changed: np.ndarray, rate: int) -> float:
    size = max(4, round(0.03 * rate))
    hop = size // 4
    ratios = []
    for start in range(hop - size, len(clean), hop):
        signal = error = 0.0
        for n in range(size):
            if 0 <= start + n < len(clean):
                w = 0.5 - 0.5 * math.cos(2 * math.pi * (n + 1) / (size + 1))
                signal += (w * clean[start + n]) ** 2
                error += (w * (changed[start + n] - clean[start + n])) ** 2
        db = 35.0 if error == 0 else -10.0 if signal == 0 else 10 * math.log10(signal / error)
        ratios.append(min(35.0, max(-10.0, db)))
    return sum(ratios) / len(ratios)


@pytest.mark.parametrize("wanted", [-30.0, -10.0, 0.0, 12.5, 34.9, 60.0])
def test_a_change_in_proportion_to_the_sound_has_its_level_in_every_frame_within_the_bounds(wanted: float) -> None:
    clean = noise(8000) * np.linspace(1e-4, 1, 8000)
    found = segmental_snr_db(clean, clean * (1 + 10 ** (-wanted / 20)), 8000)
    assert found == pytest.approx(min(35.0, max(-10.0, wanted)), abs=1e-6)


@pytest.mark.parametrize(("samples", "rate"), [(50, 8000), (241, 8000), (1000, 8000), (3001, 11025), (40, 44100)])
def test_it_is_its_definition_written_out(samples: int, rate: int) -> None:
    clean = noise(samples) * (np.arange(samples) % 700 > 300)
    changed = clean + noise(samples, 1) * 0.05 * (np.arange(samples) % 500 > 100)
    assert segmental_snr_db(clean, changed, rate) == pytest.approx(written_out(clean, changed, rate), abs=1e-9)


def test_a_quiet_passage_counts_as_much_as_a_loud_one() -> None:
    clean = np.concatenate([noise(8000), noise(8000, 1) * 1e-3])
    hiss = noise(16000, 2) * 1e-3
    assert 10 * math.log10(np.sum(clean**2) / np.sum(hiss**2)) > 56
    assert segmental_snr_db(clean, clean + hiss, 8000) == pytest.approx((35 + 0) / 2, abs=1)


def test_no_change_has_the_most_and_a_change_of_silence_the_least() -> None:
    silence, sound = np.zeros(4000), noise(4000)
    assert segmental_snr_db(sound, sound, 8000) == 35.0
    assert segmental_snr_db(silence, silence, 8000) == 35.0
    assert segmental_snr_db(silence, sound, 8000) == -10.0
    assert segmental_snr_db(np.zeros(0), np.zeros(0), 8000) == 35.0


@pytest.mark.parametrize("place", [0, 120, 3999])
def test_a_change_of_any_one_sample_is_seen(place: int) -> None:
    clean = noise(4000)
    changed = clean.copy()
    changed[place] += 10
    assert segmental_snr_db(clean, changed, 8000) < 34.9


def test_two_sounds_of_unlike_shape_are_refused() -> None:
    for other in (np.zeros(5), np.zeros((2, 4))):
        with pytest.raises(ValueError, match="one length"):
            segmental_snr_db(np.zeros(4), other, 8000)


@given(hnp.arrays(np.float32, st.integers(1, 60), elements=finite), st.sampled_from([100, 1000, 8000, 48000]))
def test_any_finite_sounds_give_a_number_within_the_bounds(sound: np.ndarray, rate: int) -> None:
    for other in (sound * 0, sound / 2, sound[::-1].copy()):
        for one, two in ((sound, other), (other, sound)):
            assert -10.0 <= segmental_snr_db(one, two, rate) <= 35.0
