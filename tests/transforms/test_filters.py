"""Low-pass, high-pass, other rates, a room: physics."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.transforms.sounds import die, music, snr_db

from subterfuge.errors import MissingExtra, TransformError
from subterfuge.transforms import HighPass, LowPass, Resample, Room, Transform
from subterfuge.transforms.linear import convolve
from subterfuge.transforms.room import _response

RATE = 44_100


def sine(hz: float, rate: int = RATE, seconds: float = 1.0) -> NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)[None]


def gain_db(one: Transform, hz: float) -> float:
    """By how much a tone comes out louder, away from the ends."""
    tone = sine(hz)
    middle = slice(10_000, -10_000)
    heard = one.real(tone, RATE, die())[0, middle]
    return float(20 * np.log10(np.std(heard) / np.std(tone[0, middle]) + 1e-12))


@pytest.mark.parametrize("cutoff", [1000.0, 8000.0])
def test_a_low_pass_keeps_what_is_below_and_stops_what_is_above(cutoff: float) -> None:
    one = LowPass(cutoff)
    assert gain_db(one, 0.89 * cutoff) == pytest.approx(0, abs=0.01)
    assert gain_db(one, cutoff) == pytest.approx(-6.02, abs=0.1)
    assert gain_db(one, 1.11 * cutoff) < -75


def test_a_high_pass_stops_what_is_below_and_keeps_what_is_above() -> None:
    one = HighPass(100.0)
    assert gain_db(one, 45) < -75
    assert gain_db(one, 100) == pytest.approx(-6.02, abs=0.1)
    assert gain_db(one, 155) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("one", [LowPass(), HighPass(), Resample(22_050), Resample(48_000)], ids=lambda one: one.name)
def test_a_filtered_sound_stays_where_it_was_in_time(one: Transform) -> None:
    tone = sine(1000)
    heard = one.real(tone, RATE, die())
    assert snr_db(tone[:, 5000:-5000], heard[:, 5000:-5000]) > 60


@pytest.mark.parametrize("rate_hz", [48_000, 22_050, 16_000])
def test_nine_tenths_of_the_lower_rate_come_back(rate_hz: int) -> None:
    high = min(rate_hz, RATE) / 2
    assert gain_db(Resample(rate_hz), 0.9 * high) == pytest.approx(0, abs=0.02)
    if rate_hz < RATE:
        assert gain_db(Resample(rate_hz), 1.01 * high) < -100


@pytest.mark.parametrize(
    ("one", "rate", "why"),
    [
        (LowPass(8000.0), 16_000, "nothing above 8000 Hz"),
        (HighPass(8000.0), 16_000, "nothing lies above 8000 Hz"),
        (Resample(16_000), 16_000, "at 16000 Hz already"),
        (Room(), 1000, "4000 to 192000 Hz"),
    ],
    ids=lambda one: getattr(one, "name", None),
)
def test_what_would_do_nothing_or_leave_nothing_is_refused(one: Transform, rate: int, why: str) -> None:
    assert why in (one.why_not(np.zeros((1, 1000)), rate) or "")


@pytest.mark.parametrize("one", [LowPass(8000.0), HighPass(8000.0)], ids=lambda one: one.name)
def test_a_stand_in_that_cannot_be_is_refused_too(one: Transform) -> None:
    with pytest.raises(TransformError, match="Hz"):
        one.stand_in(torch.zeros(1, 1000), 16_000, die())


@pytest.mark.parametrize(("length", "taps", "start"), [(50, 9, 4), (50, 120, 30), (7, 1, 0), (33, 12, 0)])
def test_a_convolution_is_that_of_numpy(length: int, taps: int, start: int) -> None:
    x, h = np.random.default_rng(0).normal(size=length), np.random.default_rng(1).normal(size=taps)
    padded = np.concatenate([np.convolve(x, h), np.zeros(length + start)])
    heard = convolve(torch.from_numpy(x)[None], h, start)[0].numpy()
    np.testing.assert_allclose(heard, padded[start : start + length], atol=1e-12)


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_the_first_that_is_heard_in_a_room_is_the_direct_sound_at_its_time(rate: int) -> None:
    click = np.zeros((1, rate))
    click[0, 1000] = 1.0
    heard = Room(0.3).real(click, rate, die())[0]
    assert np.argmax(np.abs(heard)) == 1000
    before, direct = np.abs(heard[:1000]).max(), heard[1000]
    assert before < 0.05 * direct


@pytest.mark.parametrize("channels", [1, 2])
def test_a_room_keeps_the_level(channels: int) -> None:
    sound = music(channels=channels).astype(np.float64)
    heard = Room(0.3).real(sound, RATE, die())
    assert np.linalg.norm(heard) == pytest.approx(np.linalg.norm(sound), rel=1e-9)


@pytest.mark.parametrize("seconds", [0.2, 0.3, 0.6])
def test_a_room_reverberates_as_long_as_it_says(seconds: float) -> None:
    """Schroeder's integral falls from -5 to -25 dB in a third of the time; Sabine's formula is good to a quarter."""
    response, start = _response(seconds, 16_000)
    left = np.cumsum(response[start:][::-1] ** 2)[::-1]
    decay_db = 10 * np.log10(left / left[0])
    times = [np.argmax(decay_db < -level) / 16_000 for level in (5, 25)]
    assert 3 * (times[1] - times[0]) == pytest.approx(seconds, rel=0.25)


def test_a_room_without_its_package_is_not_tried_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    assert "pip install" in (Room().why_not(np.zeros((1, 1000)), RATE) or "")
    _response.cache_clear()
    with pytest.raises(MissingExtra, match="pip install"):
        Room().stand_in(torch.zeros(1, 1000), RATE, die())
