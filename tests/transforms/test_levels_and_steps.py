"""Gain, noise, fewer bits, shifts and crops: closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.transforms.sounds import die, music, snr_db

from subterfuge.transforms import Crop, Dither, Gain, Noise, Requantise, Shift

RATE = 44_100


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_rounding_is_off_by_half_a_step_at_most_and_by_its_twelfth_in_power(bits: int) -> None:
    step = 2.0 ** (1 - bits)
    sound = music().astype(np.float64)
    error = Requantise(bits).real(sound, RATE, die()) - sound
    assert np.abs(error).max() <= step / 2
    assert np.mean(error**2) == pytest.approx(step**2 / 12, rel=0.05)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_rounded_sound_lies_on_the_steps_of_its_file(bits: int) -> None:
    for kind in (Requantise, Dither):
        steps = kind(bits).real(music(channels=2), RATE, die()).astype(np.float64) * 2 ** (bits - 1)
        np.testing.assert_array_equal(steps, np.rint(steps))


def test_full_scale_has_no_step_of_its_own_above() -> None:
    heard = Requantise(8).real(np.array([[1.0, -1.0]]), RATE, die())
    np.testing.assert_array_equal(heard, [[127 / 128, -1.0]])


def test_a_sound_of_sixteen_bits_is_left_as_it_is_by_sixteen() -> None:
    sound = Requantise(16).real(music(), RATE, die())
    np.testing.assert_array_equal(Requantise(16).real(sound, RATE, die()), sound)


def test_dither_makes_the_error_of_any_sound_a_quarter_step_squared_and_zero_in_the_mean() -> None:
    """Non-subtractive TPDF: mean 0 and power step^2 / 4, whatever is rounded."""
    step = 2.0**-7
    for level in (0.0, 0.3 * step, 0.5 * step, 0.77 * step):
        sound = np.full((1, 200_000), level)
        error = Dither(8).real(sound, RATE, die()) - sound
        assert np.mean(error) == pytest.approx(0, abs=0.005 * step)
        assert np.mean(error**2) == pytest.approx(step**2 / 4, rel=0.02)


def test_half_the_level_is_six_decibels() -> None:
    sound = music()
    heard = Gain(-20 * np.log10(2)).real(sound, RATE, die())
    np.testing.assert_allclose(heard, sound / 2, rtol=1e-6)


def test_a_gain_that_would_clip_is_refused_with_the_room_that_there_is() -> None:
    sound = music() / np.abs(music()).max() * 10 ** (-1.5 / 20)
    assert Gain(1.4).why_not(sound, RATE) is None
    assert Gain(-6.0).why_not(sound, RATE) is None
    assert Gain(3.0).why_not(sound, RATE) == "would clip: the peak leaves room for 1.5 dB"
    assert "0.0 dB" in (Gain(3.0).why_not(2 * sound, RATE) or "")


def test_a_drawn_gain_is_between_its_ends_and_never_clips() -> None:
    quiet, loud = torch.full((500, 2), 0.01), torch.full((500, 2), 0.99)
    levels = 20 * (Gain().stand_in(quiet, RATE, die())[:, 0] / 0.01).log10()
    assert -6 <= levels.min() < -5.8
    assert 2.8 < levels.max() <= 3.0001
    assert Gain().stand_in(loud, RATE, die()).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_noise_is_as_far_below_the_sound_as_it_says(channels: int) -> None:
    sound = music(channels=channels).astype(np.float64)
    assert snr_db(sound, Noise(40.0).real(sound, RATE, die())) == pytest.approx(40, abs=1e-9)


def test_noise_is_white() -> None:
    sound = np.zeros((1, 65_536))
    sound[0, 0] = 1.0
    noise = Noise(0.0).real(sound, RATE, die()) - sound
    power = (np.abs(np.fft.rfft(noise[0])) ** 2)[1:32_769].reshape(8, -1).mean(1)
    np.testing.assert_allclose(power / power.mean(), 1, atol=0.06)


@pytest.mark.parametrize("by", [1, 1024, -7])
def test_a_shift_moves_every_sample_and_lets_silence_in(by: int) -> None:
    sound = music(channels=2)
    heard = Shift(by).real(sound, RATE, die())
    expected = np.roll(sound, by, axis=1)
    expected[:, slice(0, by) if by > 0 else slice(by, None)] = 0
    np.testing.assert_array_equal(heard, expected)


def test_a_shift_by_the_whole_sound_is_refused() -> None:
    assert "nothing of it would be left" in (Shift(100).why_not(np.zeros((1, 100)), RATE) or "")
    assert Shift(99).why_not(np.zeros((1, 100)), RATE) is None


def test_a_drawn_shift_reaches_from_none_to_half_a_frame() -> None:
    wave = torch.zeros(400, 4096)
    wave[:, 0] = 1
    moved = Shift().stand_in(wave, RATE, die()).argmax(1)
    assert 0 <= moved.min() < 20
    assert 1004 < moved.max() <= 1024


def test_a_crop_takes_a_quarter_of_a_second_or_a_tenth_where_that_is_less() -> None:
    long, short = music(seconds=3.0), music(seconds=1.0)
    np.testing.assert_array_equal(Crop(0.25).real(long, RATE, die()), long[:, 11_025:-11_025])
    np.testing.assert_array_equal(Crop(0.25).real(short, RATE, die()), short[:, 4410:-4410])


@pytest.mark.parametrize(("seconds", "short"), [(0.0, False), (0.1, False), (0.1002, True), (3600.0, True)])
def test_a_crop_says_what_it_cuts_exactly_where_that_is_less_than_its_name(seconds: float, short: bool) -> None:
    die, sound = torch.Generator(), np.zeros((2, 8009))
    crop = Crop(seconds)
    cut = (8009 - crop.real(sound, 8000, die).shape[1]) // 2
    assert (cut < round(seconds * 8000)) == short
    assert (crop.note(sound, 8000) is not None) == short
    assert Crop().note(sound, 8000) is None


def test_the_ends_of_a_cropped_stand_in_are_its_own_sound_mirrored() -> None:
    wave = torch.arange(100.0)[None]
    heard = Crop(1.0).stand_in(wave, 10, die())[0].tolist()
    assert heard == [*range(19, 9, -1), *range(10, 90), *range(89, 79, -1)]
