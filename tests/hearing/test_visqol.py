"""ViSQOL as far as one can know what it should say; without the package only that this is said."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from subterfuge.audio import Clip
from subterfuge.errors import MissingExtra
from subterfuge.hearing import compare as comparing
from subterfuge.hearing import visqol
from subterfuge.hearing.compare import compare
from subterfuge.hearing.visqol import visqol_mos

needs_visqol = pytest.mark.skipif(
    importlib.util.find_spec("visqol") is None, reason="the extra visqol is not installed (visqol-python)"
)
NOTHING_CHANGED = 4.732


def chord(seconds: float = 1.0, rate: int = 48000) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    return sum(0.1 * np.sin(2 * np.pi * f * t) * (1 - t / 2) for f in (220.0, 277.2, 329.6, 1318.5)).astype(np.float32)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32) * 0.1


@needs_visqol
@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_a_sound_is_like_itself_and_noise_is_not(rate: int) -> None:
    sound = chord(rate=rate) + 0.1 * noise(rate, 5)
    scores = [visqol_mos(sound, sound + level * noise(rate), rate) for level in (0, 0.1, 1)]
    assert scores[0] == pytest.approx(NOTHING_CHANGED, abs=0.01)
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 3


@needs_visqol
def test_it_is_blind_to_gain_polarity_and_delay() -> None:
    sound = chord()
    for other in (sound / 2, sound / 100, -sound, np.concatenate([np.zeros(100, np.float32), sound[:-100]])):
        assert visqol_mos(sound, other, 48000) == pytest.approx(NOTHING_CHANGED, abs=0.01)


@needs_visqol
def test_it_gives_the_number_of_the_package_on_a_real_clip(seed_study: Path) -> None:
    from visqol import VisqolApi

    heard = Clip.read(next((seed_study / "clips").glob("*voi*.wav"))).mono(48000)
    changed = heard + noise(len(heard)) * 0.01
    api = VisqolApi()
    api.create(mode="audio")
    wanted = api.measure_from_arrays(heard, changed, 48000).moslqo
    assert visqol_mos(heard, changed, 48000) == pytest.approx(wanted, abs=1e-6)


@needs_visqol
def test_the_shortest_clip_is_measured_and_shorter_silent_or_broken_ones_are_not() -> None:
    sound = chord()
    broken = sound.copy()
    broken[7] = np.nan
    assert visqol_mos(sound, sound, 48000) is not None
    assert visqol_mos(sound[:-1], sound[:-1], 48000) is None
    for other in (np.zeros_like(sound), broken):
        assert visqol_mos(sound, other, 48000) is None
        assert visqol_mos(other, sound, 48000) is None
    assert visqol_mos(sound[:0], sound[:0], 48000) is None


@needs_visqol
@pytest.mark.parametrize("level", [1e-30, 1e-6, 1e6, 1e30])
def test_sounds_of_any_level_give_a_number_or_none(level: float) -> None:
    sound = chord()
    for one, other in ((sound, sound * level), (sound * level, sound), (sound * level, sound * level)):
        score = visqol_mos(one, other.astype(np.float32), 48000)
        assert score is None or 1 <= score <= 5


@needs_visqol
def test_a_long_clip_has_the_mean_of_its_parts_and_silence_in_both_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visqol, "LONGEST_SECONDS", 1.0)
    sound, silence = chord(), np.zeros(48000, np.float32)
    changed = [sound + level * noise(48000, seed) for seed, level in ((1, 0.001), (2, 0.1))]
    mean = np.mean([visqol_mos(sound, other, 48000) or 0 for other in changed])
    three = np.concatenate([sound, silence, sound])
    assert visqol_mos(three, np.concatenate([changed[0], silence, changed[1]]), 48000) == pytest.approx(mean, abs=1e-5)
    assert visqol_mos(three, np.concatenate([changed[0], noise(48000), changed[1]]), 48000) is None


@needs_visqol
def test_several_threads_may_ask_at_once() -> None:
    sound, scores = chord(), []

    def ask() -> None:
        scores.append(visqol_mos(sound, sound, 48000))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(scores) == 4
    assert len(set(scores)) == 1


@needs_visqol
def test_it_uses_no_more_threads_than_torch_and_gives_them_back() -> None:
    import numba

    before = numba.get_num_threads()
    with visqol._threads(1):
        assert numba.get_num_threads() == 1
    assert numba.get_num_threads() == before


@needs_visqol
@pytest.mark.parametrize("threads", [1, 2])
def test_torch_has_as_many_threads_after_it_as_before(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        visqol_mos(chord(), chord() + noise(48000) * 0.01, 48000)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_two_sounds_of_unlike_length_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        visqol_mos(np.zeros(48000), np.zeros(48001), 48000)


def test_without_the_package_asking_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visqol, "has_visqol", lambda: False)
    monkeypatch.setattr(comparing, "has_visqol", lambda: False)
    clip = Clip.of(chord(), 48000)
    with pytest.raises(MissingExtra, match=r"pip install 'sonic-subterfuge\[visqol\]'"):
        compare(clip, clip, visqol=True)
    assert compare(clip, clip).visqol_mos is None


def test_a_long_clip_is_not_asked_about_unless_one_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(comparing, "has_visqol", lambda: True)
    monkeypatch.setattr(comparing, "visqol_mos", lambda *a: asked.append(len(a[0])))
    for seconds in (10, 11):
        clip = Clip.of(noise(1000 * seconds), 1000)
        compare(clip, clip)
    compare(clip, clip, visqol=True)
    compare(clip, clip, visqol=False)
    assert asked == [10000, 11000]
