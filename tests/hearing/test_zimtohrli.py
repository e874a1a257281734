"""The listener's model, as far as one can know what it should say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from subterfuge.audio import Clip
from subterfuge.hearing import zimtohrli
from subterfuge.hearing.zimtohrli import mos_of_distance, zimtohrli_distance, zimtohrli_mos


def chord(seconds: float, rate: int) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    return sum(0.1 * np.sin(2 * np.pi * f * t) for f in (220.0, 277.2, 329.6, 1318.5)).astype(np.float32)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_a_sound_is_like_itself(rate: int) -> None:
    sound = chord(1.0, rate)
    assert zimtohrli_mos(sound, sound, rate) == pytest.approx(5.0, abs=1e-3)


def test_louder_noise_scores_lower() -> None:
    sound = chord(1.0, 44100)
    noise = np.random.default_rng(0).standard_normal(len(sound)).astype(np.float32)
    scores = [zimtohrli_mos(sound, sound + level * noise, 44100) for level in (1e-6, 1e-3, 1e-2, 1e-1)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)
    assert scores[0] > 4.9
    assert scores[-1] < 4.2
    assert all(1.0 <= score <= 5.0 for score in scores)


def test_a_real_clip_changed_by_a_sixteenth_bit_sounds_the_same(seed_study: Path) -> None:
    heard = Clip.read(next(iter(sorted((seed_study / "clips").glob("*.wav"))))).mono(44100)
    step = np.where(np.random.default_rng(0).random(len(heard)) < 0.5, 1, -1).astype(np.float32) / 32768
    assert zimtohrli_mos(heard, heard + step, 44100) > 4.9


@pytest.mark.parametrize(("samples", "rate"), [(0, 48000), (1, 48000), (4799, 48000), (4400, 44100), (9, 100)])
def test_a_clip_too_short_to_measure_is_not_measured(samples: int, rate: int) -> None:
    sound = np.full(samples, 0.1, dtype=np.float32)
    assert zimtohrli_mos(sound, sound, rate) is None


def test_the_shortest_clip_is_measured() -> None:
    sound = chord(0.1, 48000)
    assert zimtohrli_mos(sound, sound, 48000) == pytest.approx(5.0, abs=1e-3)


def test_silence_is_like_silence_and_unlike_noise() -> None:
    silence = np.zeros(48000)
    assert zimtohrli_mos(silence, silence, 48000) == pytest.approx(5.0, abs=1e-3)
    assert zimtohrli_mos(silence, np.random.default_rng(0).standard_normal(48000) * 0.1, 48000) < 4


def test_what_is_not_finite_is_not_measured() -> None:
    sound = chord(0.5, 48000)
    for broken in (np.nan, np.inf):
        other = sound.copy()
        other[100] = broken
        assert zimtohrli_mos(sound, other, 48000) is None


def test_two_sounds_of_unlike_length_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        zimtohrli_mos(np.zeros(48000), np.zeros(48001), 48000)


def test_the_opinion_is_made_of_the_distance() -> None:
    sound = chord(1.0, 48000)
    noise = np.random.default_rng(0).standard_normal(len(sound)).astype(np.float32) * 0.01
    distance = zimtohrli_distance(sound, sound + noise, 48000)
    assert distance is not None
    assert 0 < distance < 1
    assert mos_of_distance(distance) == zimtohrli_mos(sound, sound + noise, 48000)
    assert zimtohrli_distance(sound, sound, 48000) == 0


def test_a_long_clip_has_the_mean_distance_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = np.tile(chord(1.0, 48000), 3)
    changed = sound + np.random.default_rng(0).standard_normal(len(sound)).astype(np.float32) * 0.003
    monkeypatch.setattr(zimtohrli, "LONGEST_SECONDS", 1.0)
    parts = [zimtohrli_distance(sound[k : k + 48000], changed[k : k + 48000], 48000) or 0 for k in (0, 48000, 96000)]
    assert zimtohrli_distance(sound, changed, 48000) == pytest.approx(np.mean(parts), abs=1e-9)


def test_it_is_blind_to_polarity_and_to_a_delay_of_a_sample_and_nearly_to_gain() -> None:
    sound = chord(1.0, 48000)
    late = np.concatenate([sound[:1] * 0, sound[:-1]])
    for other in (-sound, late, sound * 10 ** (-1 / 20)):
        assert (zimtohrli_mos(sound, other, 48000) or 0) > 4.99
    assert (zimtohrli_mos(sound, sound / 2, 48000) or 0) > 4.9


def test_white_noise_20_db_below_a_real_clip_is_heard(seed_study: Path) -> None:
    heard = Clip.read(next((seed_study / "clips").glob("*cel*.wav"))).mono(44100)
    noise = np.random.default_rng(0).standard_normal(len(heard))
    noise *= np.linalg.norm(heard) / np.linalg.norm(noise) / 10
    assert zimtohrli_mos(heard, heard + noise, 44100) == pytest.approx(2.87, abs=0.05)
