"""The masking threshold against what the standard says of tones, noise and silence."""

from __future__ import annotations

import math
from itertools import pairwise

import librosa
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from subterfuge.errors import ClipError
from subterfuge.hearing._masking_maskers import maskers
from subterfuge.hearing._masking_tables import bark, quiet_db, tables
from subterfuge.hearing.masking import cells, frame_size, masking_threshold

RATE, N = 44100, 2048
Z = bark(np.arange(N // 2 + 1) * RATE / N)
QUIET = torch.from_numpy(10 ** (quiet_db(np.arange(N // 2 + 1) * RATE / N) / 10))
HANN_DB = 10 * math.log10(1.5)
"""What the two lines beside a tone's own add to its level."""
MIDDLE = 8
"""A frame of `tones` that lies wholly within them."""


def tones(*lines_and_levels: tuple[int, float], phase: float = 0.3) -> Tensor:
    """Give 17 hops of steady tones in the middle of lines, of levels in dB SPL, float64: three lines each, no more."""
    t = np.arange(16 * N // 4)
    waves = [
        10 ** ((level - 96) / 20) * np.cos(2 * np.pi * line * t / N + phase * line) for line, level in lines_and_levels
    ]
    return torch.from_numpy(sum(waves))


def power(wave: Tensor, full_scale_db: float = 96) -> Tensor:
    """Give the threshold of a middle frame as a power re 0 dB SPL, shape (F,), float64."""
    return masking_threshold(wave, RATE, full_scale_db=full_scale_db)[..., MIDDLE] * 10 ** (full_scale_db / 10)


def masked_db(wave: Tensor) -> Tensor:
    """Give what the maskers alone add to the threshold in quiet, dB SPL; below some -60 it is rounding."""
    return 10 * (power(wave) - QUIET).clamp(min=1e-7).log10()


def noise_like(level: float, band: int) -> tuple[Tensor, int]:
    """Give a critical band of lines with no peak among them, of a level in dB SPL, and its noise masker's line."""
    lines = np.flatnonzero((band <= Z) & (band + 1 > Z))
    within = [int(k) for k in lines[2:-2:2]]
    wave = tones(*((k, 0.0) for k in within), phase=np.pi / 4)  # steps of a quarter turn: all pairs add up alike
    total = (cells(wave, RATE)[:, MIDDLE].abs() ** 2).sum()
    return wave * (10 ** ((level - 96) / 10) / total).sqrt(), round(math.sqrt(lines[0] * lines[-1]))


# Cells


@pytest.mark.parametrize(
    ("rate", "size"),
    [
        (8000, 512),
        (11025, 512),
        (16000, 1024),
        (22050, 1024),
        (32000, 2048),
        (48000, 2048),
        (96000, 4096),
        (192000, 8192),
    ],
)
def test_a_frame_lasts_about_as_long_at_every_rate(rate: int, size: int) -> None:
    assert frame_size(rate) == size
    assert 1 / math.sqrt(2) <= (size / rate) / (N / RATE) <= math.sqrt(2)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 96000])
def test_cells_are_librosas_scaled_so_that_a_full_tone_is_1(rate: int) -> None:
    n = frame_size(rate)
    wave = np.random.default_rng(0).normal(size=5 * n + 7).astype(np.float32)
    theirs = librosa.stft(wave, n_fft=n, hop_length=n // 4) * 4 / n
    assert np.abs(cells(torch.from_numpy(wave), rate).numpy() - theirs).max() < 1e-5
    tone = torch.cos(2 * math.pi * 50 * torch.arange(4 * n) / n)
    assert cells(tone, rate)[50, 8].abs().item() == pytest.approx(1, abs=1e-5)


def test_cells_have_a_gradient_and_the_threshold_has_none() -> None:
    wave = torch.randn(3000, generator=torch.Generator().manual_seed(0)).requires_grad_()
    cells(wave, RATE).abs().square().sum().backward()
    assert wave.grad is not None
    assert wave.grad.abs().min() > 0
    assert not masking_threshold(wave, RATE).requires_grad


@pytest.mark.parametrize(
    "wave", [torch.zeros(0), torch.zeros(2, 0), torch.tensor(1.0), torch.zeros(9, dtype=torch.int16)]
)
def test_what_is_no_wave_is_refused(wave: Tensor) -> None:
    for way in (cells, masking_threshold):
        with pytest.raises(ClipError):
            way(wave, RATE)


# Silence


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_in_silence_the_threshold_is_that_in_quiet(rate: int) -> None:
    found = 10 * masking_threshold(torch.zeros(2 * rate // 10), rate).double().log10() + 96
    lines = np.arange(found.shape[0]) * rate / frame_size(rate)
    assert np.abs(found.numpy() - quiet_db(lines)[:, None]).max() < 1e-4


def test_the_threshold_in_quiet_is_terhardts() -> None:
    assert quiet_db(1000) == pytest.approx(3.64 - 6.5 * math.exp(-0.6 * 2.3**2) + 0.001)
    assert quiet_db(3300) == pytest.approx(3.64 * 3.3**-0.8 - 6.5 + 0.001 * 3.3**4)
    every = quiet_db(np.arange(20, 20000))
    assert 3000 < 20 + every.argmin() < 3700
    assert quiet_db(0) == quiet_db(20000) == quiet_db(48000) == 12


def test_a_tone_that_cannot_be_heard_masks_nothing() -> None:
    line = 139  # 2993 Hz, where the threshold in quiet is -4.6 dB
    assert torch.equal(power(tones((line, -8.0))), power(tones((line, -300.0))))
    assert masked_db(tones((line, -4.0)))[line] > -20


# One masker


@settings(max_examples=40)
@given(line=st.integers(8, 900), level=st.floats(70, 96))
def test_a_tone_masks_its_own_line_by_the_tonal_index(line: int, level: float) -> None:
    assume(level > quiet_db(line * RATE / N))
    expected = level + HANN_DB - 1.525 - 0.275 * Z[line] - 4.5
    assert masked_db(tones((line, level)))[line].item() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("band", [8, 12, 16, 20])
def test_noise_masks_its_place_by_the_noise_index(band: int) -> None:
    wave, place = noise_like(75, band)
    assert masked_db(wave)[place].item() == pytest.approx(75 - 1.525 - 0.175 * Z[place] - 0.5, abs=1e-3)


@pytest.mark.parametrize("band", [8, 12, 16, 20])
def test_a_tone_masks_less_than_noise_of_its_level_and_place(band: int) -> None:
    wave, place = noise_like(75, band)
    tone = tones((place, 75 - HANN_DB))
    apart = masked_db(wave) - masked_db(tone)
    heard = masked_db(tone) > 0
    assert apart[heard].numpy() == pytest.approx(4 + 0.1 * Z[place], abs=1e-3)


@pytest.mark.parametrize("level", [50.0, 70.0, 96.0])
@pytest.mark.parametrize("line", [46, 186, 560])
def test_the_threshold_falls_on_both_sides_of_a_tone_by_the_standards_slopes(line: int, level: float) -> None:
    X, found, dz = level + HANN_DB, masked_db(tones((line, level))).numpy(), Z - Z[line]
    for begin, end, slope in [(-3, -1, 17), (-1, 0, 0.4 * X + 6), (0, 1, -17), (1, 8, -(17 - 0.15 * X))]:
        within = np.flatnonzero((dz >= begin) & (dz < end) & (found > -20))
        if len(within) > 1:
            measured = np.diff(found[within]) / np.diff(Z[within])
            assert measured == pytest.approx(slope, abs=0.01)


@pytest.mark.parametrize("line", [20, 100, 300])
def test_a_tone_reaches_3_barks_down_and_8_up_and_no_farther(line: int) -> None:
    dz = Z - Z[line]
    masks = (power(tones((line, 96.0))) > QUIET * (1 + 1e-9)).numpy()
    assert not masks[(dz < -3) | (dz >= 8)].any()
    assert masks[(dz >= -2) & (dz < 7) & (Z < 22)].all()


def test_a_loud_tone_masks_what_lies_above_it_more_than_what_lies_below() -> None:
    line, found = 93, masked_db(tones((93, 90.0)))  # 2 kHz
    for barks in (0.5, 1, 2, 2.9):
        above, below = np.abs(Z - Z[line] - barks).argmin(), np.abs(Z - Z[line] + barks).argmin()
        assert found[above] > found[below] + 5


@settings(max_examples=40)
@given(line=st.integers(5, 950), level=st.floats(-10, 90), more=st.floats(0, 20))
def test_a_louder_tone_masks_no_less_anywhere(line: int, level: float, more: float) -> None:
    before, after = power(tones((line, level))), power(tones((line, level + more)))
    assert (after >= before * (1 - 1e-9)).all()


# Several maskers


def test_tones_far_apart_all_mask_and_their_powers_add() -> None:
    """The masker of adversarial-robustness-toolbox compares Barks by the place in its list: it would drop most."""
    chord = [(30, 62.0), (55, 58.0), (90, 71.0), (140, 55.0), (200, 66.0), (300, 50.0), (420, 64.0), (600, 60.0)]
    assert min(Z[b] - Z[a] for (a, _), (b, _) in pairwise(chord)) > 1
    for some in (chord, chord[::-1][:5], chord[2:6]):
        alone = sum(power(tones(one)) - QUIET for one in some)
        assert (power(tones(*some)) / (QUIET + alone)).log10().abs().max() < 1e-6


@pytest.mark.parametrize(("lower", "upper"), [(60.0, 70.0), (70.0, 60.0), (66.0, 65.5)])
def test_of_two_tones_within_half_a_bark_the_stronger_stays(lower: float, upper: float) -> None:
    a, b = 120, 129
    assert 0.4 < Z[b] - Z[a] < 0.5
    stronger = (a, lower) if lower > upper else (b, upper)
    both = power(tones((a, lower), (b, upper)))
    assert (both / power(tones(stronger))).log10().abs().max() < 1e-6


def test_two_tones_half_a_bark_apart_or_more_both_stay() -> None:
    a, b = 120, 131
    assert 0.5 <= Z[b] - Z[a] < 0.55
    alone = power(tones((a, 70.0))) + power(tones((b, 60.0))) - QUIET
    assert (power(tones((a, 70.0), (b, 60.0))) / alone).log10().abs().max() < 1e-6


def spectrum(*lines_and_levels: tuple[int, float]) -> Tensor:
    frame = torch.zeros(1, N // 2 + 1, dtype=torch.float64)
    for line, level in lines_and_levels:
        frame[0, line] = 10 ** (level / 10)
    return frame


KNOWN = tables(RATE, N, torch.device("cpu"), torch.float64)


def test_of_equal_tones_the_lower_stays() -> None:
    assert maskers(spectrum((120, 60.0), (129, 60.0)), KNOWN).line.tolist() == [120]


def test_a_tone_goes_that_has_a_stronger_near_even_if_that_one_goes_too() -> None:
    assert Z[138] - Z[120] > 0.5
    assert maskers(spectrum((120, 50.0), (129, 60.0), (138, 70.0)), KNOWN).line.tolist() == [138]
    assert maskers(spectrum((120, 70.0), (129, 60.0), (138, 50.0)), KNOWN).line.tolist() == [120]


def test_a_tone_stands_7_db_above_the_lines_around_or_is_noise() -> None:
    for under, tonal in ((7.01, [120]), (6.99, [])):
        found = maskers(spectrum((120, 60.0), (118, 60.0 - under)), KNOWN)
        assert found.line.tolist() == tonal
        noise = found.noise[0, int(Z[120])]
        assert noise.item() == pytest.approx(-math.inf if tonal else 10 * math.log10(1e6 + 10 ** (6 - under / 10)))


def test_of_two_equal_lines_side_by_side_the_lower_is_the_tone() -> None:
    found = maskers(spectrum((120, 60.0), (121, 60.0), (124, 50.0)), KNOWN)
    assert found.line.tolist() == [120]
    assert found.tone[0].item() == pytest.approx(60 + 10 * math.log10(2))
    assert (10 ** (found.noise / 10)).sum().item() == pytest.approx(1e5)  # 124 is beyond the reach of 120, not of 121


@pytest.mark.parametrize(("line", "reach"), [(40, 2), (100, 3), (200, 6), (400, 12), (700, 24)])
def test_a_tone_uses_up_the_lines_within_its_reach_and_the_next_are_noise(line: int, reach: int) -> None:
    for side in (-1, 1):
        inside = maskers(spectrum((line, 80.0), (line + side * reach, 72.0)), KNOWN)
        assert inside.line.tolist() == [line]
        assert (10 ** (inside.noise / 10)).sum() == 0
        twins = [(line + side * (reach + far), 72.0) for far in (1, 3)]  # neither stands out beside the other
        outside = maskers(spectrum((line, 80.0), *twins), KNOWN)
        assert outside.line.tolist() == [line]
        assert (10 ** (outside.noise / 10)).sum().item() == pytest.approx(2 * 10**7.2)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(3, 1000), st.floats(0, 90)), max_size=60))
def test_no_two_tonal_maskers_lie_within_half_a_bark(some: list[tuple[int, float]]) -> None:
    found = maskers(torch.cat([spectrum(*some), spectrum(*some[::2])]), KNOWN)
    for frame in (0, 1):
        places = Z[found.line[found.frame == frame].numpy()]
        assert (np.diff(places) >= 0.5).all()


# Invariances


def sounds(*shape: int, seed: int = 0) -> Tensor:
    """Give plucked tones over noise, float32, of any shape (..., T); every row is another sound."""
    die = torch.Generator().manual_seed(seed)
    t = torch.arange(shape[-1]) / RATE
    wave = 0.002 * torch.randn(shape, generator=die)
    for harmonic in range(1, 9):
        pitch = 100 + 400 * torch.rand(*shape[:-1], 1, generator=die)
        wave += 0.1 / harmonic * torch.sin(2 * math.pi * pitch * harmonic * t) * torch.exp(-harmonic * (t % 0.3))
    return wave


def apart_db(a: Tensor, b: Tensor) -> float:
    return 10 * float((a / b).log10().abs().max())


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
@pytest.mark.parametrize("samples", [1, 2, 511, 512, 2047, 6000])
def test_short_clips_have_a_threshold_above_0_in_every_cell(rate: int, samples: int) -> None:
    wave = sounds(samples)
    threshold = masking_threshold(wave, rate)
    assert (
        threshold.shape == cells(wave, rate).shape == (frame_size(rate) // 2 + 1, 1 + samples * 4 // frame_size(rate))
    )
    assert threshold.dtype == torch.float32
    assert threshold.isfinite().all()
    assert threshold.min() > 0


def test_a_clip_does_not_feel_its_batch() -> None:
    wave = sounds(2, 3, 70000)
    wave[0, 1] = 0
    wave[1, 2, 40000:] = 0
    together = masking_threshold(wave, RATE)
    assert together.shape == (2, 3, 1025, 137)
    for i in range(2):
        for j in range(3):
            assert apart_db(together[i, j], masking_threshold(wave[i, j], RATE)) < 1e-4


def test_single_and_double_precision_agree() -> None:
    wave = sounds(2, 30000)
    double = masking_threshold(wave.double(), RATE)
    assert double.dtype == torch.float64
    assert apart_db(masking_threshold(wave, RATE), double) < 0.01


def test_a_sound_some_hops_later_has_its_threshold_some_hops_later() -> None:
    wave = torch.nn.functional.pad(sounds(20000), (4096, 8192))
    later = torch.roll(wave, 5 * 512)
    assert apart_db(masking_threshold(later, RATE)[:, 5:], masking_threshold(wave, RATE)[:, :-5]) < 1e-3


@settings(max_examples=15)
@given(louder_db=st.floats(-60, 20), full_scale_db=st.floats(70, 110))
def test_a_louder_file_played_softer_sounds_the_same(louder_db: float, full_scale_db: float) -> None:
    wave = sounds(6000).double()
    one = power(wave, full_scale_db)
    other = power(wave * 10 ** (louder_db / 20), full_scale_db - louder_db)
    assert apart_db(one, other) < 1e-6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_the_threshold_is_where_the_wave_is() -> None:
    wave = sounds(2, 30000)
    there = masking_threshold(wave.cuda(), RATE)
    assert there.is_cuda
    assert apart_db(there.cpu(), masking_threshold(wave, RATE)) < 0.01
