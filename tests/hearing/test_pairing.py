"""Two files of one sound, whatever became of the second."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from subterfuge.audio import Clip
from subterfuge.errors import ClipError
from subterfuge.hearing.compare import Difference, compare
from subterfuge.hearing.metrics import METRICS
from subterfuge.hearing.noise_to_mask import noise_to_mask, noise_to_mask_of_channels
from subterfuge.hearing.pairing import compare_files
from subterfuge.outcome import Outcome

NUMBERS = [one.name for one in fields(Difference) if one.name != "notes"]


def noise(samples: int = 6000, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((channels, samples)) * 0.1


def clip(samples: np.ndarray, rate: int = 8000, name: str = "clip") -> Clip:
    return Clip.of(samples, rate, subtype="FLOAT", name=name)


def late(samples: np.ndarray, by: int) -> np.ndarray:
    return np.pad(samples, ((0, 0), (by, 0)))[:, : samples.shape[1]]


def test_a_pair_of_one_shape_is_measured_as_it_is_and_without_a_word() -> None:
    clean, changed = clip(noise(8000, 2)), clip(noise(8000, 2) + 0.01 * noise(8000, 2, 1))
    found = compare_files(clean, changed)
    assert found == compare(clean, changed)
    assert (found.notes, found.lag_samples, found.left_out_samples) == ((), 0, 0)
    assert found.snr_db == pytest.approx(40, abs=0.5)


def test_the_channels_are_measured_at_the_files_rate_and_the_fold_at_the_one_asked_for() -> None:
    clean, changed = clip(noise(8000, 2), 16000), clip(noise(8000, 2) + 0.01 * noise(8000, 2, 1), 16000)
    found = compare(clean, changed, 8000)
    mono, each = (
        noise_to_mask(clean.mono(8000), changed.mono(8000), 8000),
        noise_to_mask_of_channels(clean.samples, changed.samples, 16000),
    )
    assert mono is not None
    assert each is not None
    assert (found.nmr_db, found.nmr_worst_frame_db, found.share_above_threshold) == (
        mono.mean_db,
        mono.worst_frame_db,
        mono.share_above,
    )
    assert (found.nmr_worst_channel_db, found.share_above_threshold_channels) == (each.mean_db, each.share_above)


def test_a_gain_of_a_decibel_is_a_loudness_unit() -> None:
    clean = noise(8000, 2)
    found = compare_files(clip(clean), clip(clean * 10 ** (-1 / 20)))
    assert found.level_difference_lu == pytest.approx(-1, abs=1e-5)
    assert found.snr_db == pytest.approx(-20 * math.log10(1 - 10 ** (-1 / 20)), abs=1e-4)


def test_a_mono_file_of_a_stereo_one_is_as_loud_as_its_fold() -> None:
    clean = noise(8000, 2)
    found = compare_files(clip(clean), clip(clean.mean(0)))
    assert found.level_difference_lu == pytest.approx(0, abs=1e-5)
    assert found.snr_db > 100
    assert found.nmr_worst_channel_db is None
    assert "channels: 2 and 1" in found.notes[0]


def test_a_tail_that_was_cut_is_left_out_and_told() -> None:
    clean = noise()
    found = compare_files(clip(clean), clip(clean[:, :5800] * 1.1))
    assert found.snr_db == pytest.approx(20, abs=1e-4)
    assert (found.lag_samples, found.left_out_samples) == (0, 200)
    assert found.file_snr_db == pytest.approx(20, abs=1e-4)
    assert "they begin together, the 5800 that overlap are compared, 200 are left out" in found.notes[0]


def test_a_start_that_was_cut_is_found() -> None:
    clean = noise()
    found = compare_files(clip(clean), clip(clean[:, 150:] * 1.1, name="b"))
    assert found.snr_db == pytest.approx(20, abs=1e-4)
    assert (found.lag_samples, found.left_out_samples) == (-150, 150)
    assert "b is 150 samples (18.8 ms) early" in found.notes[0]


def test_a_delay_is_told_and_measured_as_it_is_unless_align_is_asked_for() -> None:
    clean, changed = clip(noise()), clip(late(noise(), 30) * 1.1, name="b")
    as_it_is, aligned = (compare_files(clean, changed, align=align) for align in (False, True))
    assert as_it_is.snr_db < 0
    assert (as_it_is.lag_samples, as_it_is.left_out_samples) == (0, 0)
    assert "b is 30 samples (3.8 ms) late" in as_it_is.notes[0]
    assert "--align" in as_it_is.notes[0]
    assert aligned.snr_db == pytest.approx(20, abs=1e-4)
    assert (aligned.lag_samples, aligned.left_out_samples) == (30, 30)


def test_align_of_sounds_that_have_no_lag_measures_them_as_they_are() -> None:
    found = compare_files(clip(noise()), clip(noise(seed=1)), align=True)
    assert found.lag_samples == 0
    assert "no lag was found" in found.notes[0]


def test_a_polarity_that_is_turned_is_told() -> None:
    found = compare_files(clip(noise()), clip(-noise()))
    assert found.snr_db == pytest.approx(-20 * math.log10(2), abs=1e-6)
    assert "polarity" in found.notes[0]


def test_another_sound_of_another_length_is_refused_with_what_was_found() -> None:
    with pytest.raises(ClipError, match=r"6000 samples at 8000 Hz and b 5900.*cannot be aligned.*0\.7 or more over 80"):
        compare_files(clip(noise(), name="a"), clip(noise(5900, seed=1), name="b"))
    with pytest.raises(ClipError, match="cannot be aligned"):
        compare_files(clip(noise()), clip(noise()[:, :4000]))


def test_another_rate_is_resampled_and_told() -> None:
    slow = np.cumsum(noise(16000), axis=1)
    slow -= slow.mean()
    slow *= 0.1 / np.abs(slow).max()
    fast = soxr.resample(slow[0], 16000, 22050, quality="VHQ")[None]
    found = compare_files(clip(slow, 16000), clip(fast[:, :-2], 22050, name="b"))
    assert found.snr_db > 30
    assert found.rate_hz == 16000
    assert "b has 22050 Hz and was resampled to the 16000 Hz of clip" in found.notes[0]
    assert (found.file_snr_db, found.peak, found.changed_share, found.nmr_worst_channel_db) == (None,) * 4


def test_what_the_study_evolved_can_be_compared_with_its_clips(seed_study: Path) -> None:
    clips = {path.stem: path for path in (seed_study / "clips").glob("*.wav")}
    for path in sorted((seed_study / "evolved").glob("*.wav"))[::2]:
        found = compare_files(Clip.read(clips[path.stem.split("-to-")[0]]), Clip.read(path), visqol=False)
        assert 3.5 < found.snr_db < 5
        assert (found.lag_samples, found.left_out_samples) == (0, 203)
        assert 2.7 < (found.zimtohrli_mos or 0) < 4.3


def test_the_table_of_metrics_has_every_number_and_says_what_each_is_blind_to() -> None:
    assert list(METRICS) == NUMBERS
    for key, metric in METRICS.items():
        settled = key in ("rate_hz", "lag_samples", "left_out_samples")
        assert metric.title
        assert metric.unit
        assert settled or (metric.good and metric.blind)


def test_what_a_difference_adds_to_an_outcome_are_fields_of_it() -> None:
    further = compare(clip(noise()), clip(noise())).further()
    assert set(further) <= {one.name for one in fields(Outcome)}
    assert set(NUMBERS) - set(further) == {
        *("snr_db", "file_snr_db", "peak", "zimtohrli_mos", "level_db", "changed_share"),
        *("rate_hz", "lag_samples", "left_out_samples"),
    }


def test_an_unchanged_clip_has_no_noise_and_silence_no_loudness() -> None:
    silence = clip(np.zeros((2, 8000)))
    found = compare(silence, silence)
    assert (found.snr_db, found.nmr_db, found.segsnr_db, found.level_difference_lu) == (math.inf, -math.inf, 35, None)
    assert (found.share_above_threshold, found.peak, found.changed_share) == (0, 0, 0)
    loud = compare(silence, clip(noise(8000, 2)))
    assert (loud.snr_db, loud.segsnr_db, loud.level_difference_lu) == (-math.inf, -10, None)
    assert (loud.nmr_db or 0) > 20


def test_clipping_at_full_scale_is_measured_like_any_change() -> None:
    wave = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)[None]
    found = compare(clip(wave), clip(np.clip(wave, -0.5, 0.5)))
    assert found.peak == pytest.approx(0.5)
    assert (found.share_above_threshold or 0) > 0.01


@settings(max_examples=40)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(32, 90)), elements=st.floats(-8, 8, width=32)),
    hnp.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(32, 90)), elements=st.floats(-1, 1, width=32)),
    st.sampled_from([100, 8000, 22050]),
    st.booleans(),
)
def test_any_two_short_sounds_are_measured_without_nan_or_refused(
    one: np.ndarray, two: np.ndarray, rate: int, align: bool
) -> None:
    for before, after in ((one, two), (one, one), (one, one * 0.5)):
        try:
            found = compare_files(clip(before, rate), clip(after, 8000), align=align)
        except ClipError:
            continue
        for name in NUMBERS:
            value = getattr(found, name)
            assert value is None or not math.isnan(value), name
