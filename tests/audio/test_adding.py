"""A change of the mono fold, lifted to the file: its rate, its channels, its grid."""

from __future__ import annotations

import math

import numpy as np
import pytest

from subterfuge.audio import Clip, hear
from subterfuge.errors import ClipError


def slow_noise(length: int, rate: int, size: float, cutoff_hz: float) -> np.ndarray:
    """Noise without anything above a frequency, rms `size`, shape (length,)."""
    spectrum = np.fft.rfft(np.random.default_rng(3).standard_normal(length))
    spectrum[np.fft.rfftfreq(length, 1 / rate) > cutoff_hz] = 0
    wave = np.fft.irfft(spectrum, length)
    return wave * size / np.sqrt(np.mean(wave**2))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("rate", [44100, 22050, 48000])
def test_a_change_of_nothing_gives_the_very_samples(make, subtype: str, rate: int) -> None:
    clip = Clip.read(make(subtype=subtype, frames=1000))
    same = clip.add(np.zeros(len(clip.mono(rate))), rate)
    assert same.fingerprint == clip.fingerprint
    assert same.samples.dtype == clip.samples.dtype


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_U8", 8), ("PCM_16", 16), ("PCM_24", 24), ("PCM_32", 32)])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_at_equal_rates_the_fold_changes_as_wanted_to_half_a_step_divided_by_the_channels(
    subtype: str, bits: int, channels: int
) -> None:
    rng = np.random.default_rng(0)
    clip = Clip.of(rng.uniform(-0.5, 0.5, (channels, 3000)), 44100, subtype=subtype)
    delta = rng.uniform(-0.1, 0.1, 3000)
    changed = clip.add(delta, 44100).samples.astype(np.float64) - clip.samples
    step = 2.0 ** (1 - bits)
    assert np.max(np.abs(changed.mean(0) - delta)) <= step * (0.5 / channels + 1e-6)
    assert np.max(np.abs(changed - np.rint(delta / step) * step)) <= step * 1.000001
    assert np.array_equal(changed / step, np.rint(changed / step))


def test_floats_are_not_rounded() -> None:
    rng = np.random.default_rng(0)
    delta = rng.uniform(-0.1, 0.1, 1000)
    for subtype, dtype in (("FLOAT", np.float32), ("DOUBLE", np.float64)):
        clip = Clip.of(rng.uniform(-0.5, 0.5, (2, 1000)), 44100, subtype=subtype)
        assert np.array_equal(clip.add(delta, 44100).samples, (clip.samples + delta).astype(dtype))


def test_what_is_clipped_is_counted_and_announced() -> None:
    samples = np.full((2, 100), 0.5)
    samples[1] = 0.0
    delta = np.zeros(100)
    delta[:37] = 0.75
    changed = Clip.of(samples, 44100).add(delta, 44100)
    assert changed.warnings == ("37 samples clipped at full scale",)
    assert changed.samples.max() == np.float32(32767 / 32768)
    assert np.all(changed.samples[1, :37] == 0.75)


def test_a_float_file_is_taken_no_further_beyond_full_scale_than_it_was() -> None:
    samples = np.zeros((1, 100))
    delta = np.full(100, 1.2)
    assert Clip.of(samples, 44100, subtype="FLOAT").add(delta, 44100).samples.max() == 1.0
    samples[0, 0] = 1.5
    changed = Clip.of(samples, 44100, subtype="FLOAT").add(delta, 44100)
    assert changed.samples[0, 0] == 1.5
    assert changed.samples[0, 1] == np.float32(1.2)
    assert changed.warnings == ("1 samples clipped at full scale",)


@pytest.mark.parametrize("file_rate", [8000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("victim_rate", [16000, 22050, 44100])
def test_across_rates_the_victim_hears_the_change_that_both_rates_can_carry(file_rate: int, victim_rate: int) -> None:
    clip = Clip.of(np.random.default_rng(0).uniform(-0.5, 0.5, (2, file_rate // 2 + 1)), file_rate, subtype="PCM_24")
    before = clip.mono(victim_rate)
    delta = slow_noise(len(before), victim_rate, 1e-3, 0.4 * min(file_rate, victim_rate))
    delta *= np.hanning(len(delta))
    lifted = clip.add(delta, victim_rate)
    assert lifted.samples.shape == clip.samples.shape
    heard = lifted.mono(victim_rate).astype(np.float64) - before
    error = heard[: len(delta)] - delta
    assert 10 * math.log10(np.sum(delta**2) / np.sum(error**2)) > 50


@pytest.mark.parametrize("rate", [44100, 22050, 16000, 48000])
def test_the_file_is_heard_as_the_clip_says(make, tmp_path, rate: int) -> None:
    clip = Clip.read(make(channels=2, frames=5000))
    changed = clip.add(slow_noise(len(clip.mono(rate)), rate, 1e-3, 5000), rate)
    path = changed.write(tmp_path / "out.wav")
    assert np.array_equal(hear(path, rate), changed.mono(rate))
    assert Clip.read(path).fingerprint == changed.fingerprint


def test_a_lossy_clip_is_rounded_to_the_24_bits_that_it_goes_out_in(make, tmp_path) -> None:
    clip = Clip.read(make("a.ogg", format="OGG", subtype="VORBIS"))
    changed = clip.add(np.full(clip.frames, 1e-4), 44100)
    steps = changed.samples.astype(np.float64) * 2**23
    assert np.array_equal(steps, np.rint(steps))
    assert Clip.read(changed.write(tmp_path / "out.ogg")).fingerprint == changed.fingerprint


def test_the_clip_itself_is_left_as_it_was() -> None:
    clip = Clip.of(np.zeros(100), 44100, name="[cel] zeros")
    changed = clip.add(np.full(100, 0.5), 44100)
    assert clip.is_silent
    assert (changed.name, changed.label, changed.subtype) == (clip.name, "cel", clip.subtype)
    assert not changed.samples.flags.writeable


@pytest.mark.parametrize(
    ("delta", "rate", "reason"),
    [
        (np.zeros(99), 44100, r"shape \(99,\) at 44100 Hz; \(100,\)"),
        (np.zeros(100), 22050, r"\(50,\) was expected"),
        (np.zeros((2, 100)), 44100, r"shape \(2, 100\)"),
        (np.full(100, np.nan), 44100, "not finite"),
    ],
)
def test_a_change_that_does_not_fit_is_refused(delta: np.ndarray, rate: int, reason: str) -> None:
    with pytest.raises(ClipError, match=reason):
        Clip.of(np.zeros(100), 44100).add(delta, rate)


@pytest.mark.parametrize(
    ("samples", "more", "reason"),
    [
        (np.zeros(100, dtype=np.int16), {}, "int16"),
        (np.zeros((1, 1, 100)), {}, "shape"),
        (np.zeros(31), {}, "31 samples"),
        (np.full(100, 1.5), {}, "peak of 1.5"),
        (np.full(100, np.inf), {}, "not numbers"),
        (np.zeros((100, 50)), {}, "100 channels"),
        (np.zeros(100), {"subtype": "VORBIS"}, "subtype VORBIS"),
    ],
)
def test_an_array_that_is_no_sound_is_refused(samples: np.ndarray, more: dict[str, str], reason: str) -> None:
    with pytest.raises(ClipError, match=reason):
        Clip.of(samples, 44100, **more)


def test_an_array_becomes_what_its_file_would_hold() -> None:
    clip = Clip.of([0.5, -1.0, 1.0, 0.1] * 10, 44100)
    assert clip.samples.dtype == np.float32
    assert np.array_equal(clip.samples[0, :4] * 32768, [16384, -32768, 32767, 3277])
    assert Clip.of(np.full((3, 40), 0.1), 8000, subtype="DOUBLE").samples[2, 0] == 0.1
