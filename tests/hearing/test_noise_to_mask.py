"""Noise to mask against closed forms, and against its definition computed at once."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from subterfuge.audio import Clip
from subterfuge.hearing import noise_to_mask as module
from subterfuge.hearing.masking import cells, frame_size, masking_threshold
from subterfuge.hearing.noise_to_mask import NoiseToMask, noise_to_mask, noise_to_mask_of_channels


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples) * 0.1


def db(value: float) -> float:
    return 10 * math.log10(value)


def measured(clean: np.ndarray, changed: np.ndarray, rate: int) -> NoiseToMask:
    found = noise_to_mask(clean, changed, rate)
    assert found is not None
    return found


def at_once(clean: np.ndarray, change: np.ndarray, rate: int) -> NoiseToMask:
    """The definition, over all frames of a mono sound at once."""
    ratio = cells(torch.from_numpy(change), rate).abs().square() / masking_threshold(torch.from_numpy(clean), rate)
    return NoiseToMask(db(float(ratio.mean())), db(float(ratio.mean(0).max())), float((ratio > 1).double().mean()))


@pytest.fixture
def a_threshold_of_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    """The threshold of each cell lies 10 dB below the sound in it."""

    def threshold(wave: torch.Tensor, rate: int) -> torch.Tensor:
        return cells(wave, rate).abs().square() / 10

    monkeypatch.setattr(module, "masking_threshold", threshold)


@pytest.mark.parametrize(("over_db", "share"), [(-3.0, 0.0), (-0.01, 0.0), (0.01, 1.0), (17.0, 1.0)])
@pytest.mark.parametrize("samples", [700, 20000, 300_000])
def test_a_change_at_the_threshold_of_every_cell_has_0_db_everywhere(
    a_threshold_of_a_tenth: None, over_db: float, share: float, samples: int
) -> None:
    clean = noise(samples)
    found = measured(clean, clean * (1 + 10 ** ((over_db - 10) / 20)), 8000)
    assert found.mean_db == pytest.approx(over_db, abs=0.005)
    assert found.worst_frame_db == pytest.approx(over_db, abs=0.005)
    assert found.share_above == pytest.approx(share, abs=1e-4)


def test_a_sine_in_silence_has_the_ratio_of_its_three_lines_to_the_threshold_in_quiet() -> None:
    rate, line, amplitude = 44100, 153, 1e-4
    size = frame_size(rate)
    silence = np.zeros(10 * size)
    tone = amplitude * np.sin(2 * np.pi * line * np.arange(len(silence)) / size)
    quiet = masking_threshold(torch.zeros(4 * size), rate)[:, 8].double().numpy()
    power = amplitude**2 * sum(part / quiet[line + d] for part, d in ((1 / 4, -1), (1, 0), (1 / 4, 1)))
    assert measured(silence, tone, rate).worst_frame_db == pytest.approx(db(power / len(quiet)), abs=0.01)


@pytest.mark.parametrize("frames", [1, 2, 7, 1000])
@pytest.mark.parametrize("samples", [32, 511, 512, 5001])
def test_a_clip_measured_in_pieces_has_the_numbers_of_the_whole(
    frames: int, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FRAMES", frames)
    clean, change = noise(samples), noise(samples, 1) * 0.03
    found, wanted = measured(clean, clean + change, 8000), at_once(clean, change, 8000)
    assert found.mean_db == pytest.approx(wanted.mean_db, abs=1e-3)
    assert found.worst_frame_db == pytest.approx(wanted.worst_frame_db, abs=1e-3)
    assert found.share_above == pytest.approx(wanted.share_above, abs=2e-3)


@pytest.mark.parametrize("scale", [1e-160, 1e-12, 1e-3])
def test_a_change_20_db_louder_has_20_db_more(scale: float) -> None:
    clean, change = np.zeros(8000), noise(8000, 1) * scale
    low, high = (measured(clean, clean + k * change, 8000) for k in (1, 10))
    assert high.mean_db - low.mean_db == pytest.approx(20, abs=1e-6)
    assert high.worst_frame_db - low.worst_frame_db == pytest.approx(20, abs=1e-6)


def test_more_cells_lie_above_the_threshold_the_louder_the_change() -> None:
    clean, change = noise(16000), noise(16000, 1)
    shares = [measured(clean, clean + change * 10 ** (k / 20), 8000).share_above for k in range(-80, 40, 10)]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] > 0.9


def test_the_worst_frame_is_never_better_than_the_mean() -> None:
    clean, change = noise(16000), noise(16000, 1) * (np.arange(16000) > 12000)
    found = measured(clean, clean + change, 8000)
    assert found.worst_frame_db > found.mean_db + 3


def test_no_change_has_no_level() -> None:
    for clean in (noise(500), np.zeros(500)):
        assert noise_to_mask(clean, clean, 8000) == NoiseToMask(-math.inf, -math.inf, 0.0)


def test_a_change_that_the_mean_of_the_channels_loses_is_found_in_each() -> None:
    clean, change = np.stack([noise(8000), noise(8000, 1)]), noise(8000, 2)
    changed = clean + np.stack([change, -change]) * 2
    mono = measured(clean.mean(0).astype(np.float32), changed.mean(0).astype(np.float32), 8000)
    each = noise_to_mask_of_channels(clean, changed, 8000)
    assert each is not None
    assert mono.mean_db < -90
    assert each.mean_db > 0


def test_a_channel_of_digital_zero_hides_nothing_and_is_the_worst() -> None:
    sound, change = noise(8000), noise(8000, 1) * 1e-3
    clean = np.stack([sound, np.zeros(8000)])
    both = noise_to_mask_of_channels(clean, clean + change, 8000)
    alone = [measured(channel, channel + change, 8000) for channel in clean]
    assert both is not None
    assert both.mean_db == pytest.approx(alone[1].mean_db, abs=1e-4)
    assert both.worst_frame_db == pytest.approx(alone[1].worst_frame_db, abs=1e-4)
    assert both.share_above == pytest.approx((alone[0].share_above + alone[1].share_above) / 2, abs=1e-6)
    assert alone[1].mean_db > alone[0].mean_db + 20


def test_white_noise_reaches_above_the_threshold_of_a_real_clip_and_noise_of_its_shape_does_not(
    seed_study: Path,
) -> None:
    heard = Clip.read(next((seed_study / "clips").glob("*cel*.wav"))).mono(44100)
    dice = noise(len(heard), 3)
    level = np.linalg.norm(heard) * 10 ** (-20 / 20)
    white = measured(heard, heard + dice * level / np.linalg.norm(dice), 44100)
    alike = measured(heard, heard * 0.9, 44100)
    assert white.share_above > 0.1
    assert white.worst_frame_db > 0
    assert alike.share_above < 1e-3
    assert alike.mean_db < white.mean_db - 20


def test_what_no_model_of_hearing_knows_is_not_measured() -> None:
    for clean, changed in ((np.zeros(0), np.zeros(0)), (noise(500), noise(500) * 1e8), (noise(500) * 1e8, noise(500))):
        assert noise_to_mask(clean, changed, 8000) is None


def test_sounds_of_unlike_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="mono"):
        noise_to_mask(np.zeros((2, 500)), np.zeros((2, 500)), 8000)
    with pytest.raises(ValueError, match="one shape"):
        noise_to_mask(np.zeros(500), np.zeros(501), 8000)


@settings(max_examples=25)
@given(
    hnp.arrays(np.float32, st.integers(1, 200), elements=st.floats(-1e6, 1e6, width=32)),
    st.sampled_from([100, 1000, 8000, 22050]),
)
def test_any_finite_sounds_give_numbers(sound: np.ndarray, rate: int) -> None:
    for other in (sound * 0, sound / 2, sound[::-1].copy()):
        for one, two in ((sound, other), (other, sound)):
            found = measured(one, two, rate)
            assert not math.isnan(found.mean_db)
            assert found.mean_db <= found.worst_frame_db < math.inf
            assert 0 <= found.share_above <= 1
