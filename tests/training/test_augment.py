from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from subterfuge.errors import InputError
from subterfuge.training.augment import AUGMENTS, GaussCopies, NoiseCopies, NoiseStudy, augmented, coloured
from subterfuge.training.augment import parse_augments as parse

RATE = 8000
Wave = np.ndarray


def die(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tone(samples: int = 2048) -> Wave:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(samples) / RATE)).astype(np.float32)


@pytest.mark.parametrize("word", sorted(AUGMENTS))
def test_a_way_is_repeatable_says_what_it_does_and_leaves_the_clip_as_it_was(word: str) -> None:
    (one,), wave = parse(word), tone()
    first, again = one.variants(wave, RATE, die()), one.variants(wave, RATE, die())
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(made.dtype == np.float32 and made.shape == wave.shape for made in first)
    assert np.array_equal(wave, tone())
    assert parse(one.name) == (one,)
    assert len(one.says) < 110


def test_the_study_makes_one_wave_noisy_in_three_of_ten_with_evenly_drawn_levels() -> None:
    wave = tone()
    made = [NoiseStudy().variants(wave, RATE, die(seed)) for seed in range(1500)]
    assert {len(waves) for waves in made} == {1}
    sds = np.array([np.std((waves[0] - wave).astype(np.float64)) for waves in made])
    noisy = sds[sds > 0]
    assert abs(len(noisy) / 1500 - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 1500)
    assert kstest(noisy, "uniform", (0, 0.1)).pvalue > 0.001


def test_the_study_noise_does_not_follow_the_level_of_the_clip() -> None:
    for seed in range(40):
        loud, soft = (NoiseStudy().variants(wave, RATE, die(seed))[0] - wave for wave in (tone(), tone() / 8))
        assert np.allclose(loud, soft, atol=1e-6)


def test_copies_are_the_clip_itself_and_three_at_10_to_60_db_evenly_drawn() -> None:
    wave, snrs_db = tone(), []
    for seed in range(200):
        first, *copies = NoiseCopies().variants(wave, RATE, die(seed))
        assert np.array_equal(first, wave)
        assert len(copies) == 3
        noises = [copy.astype(np.float64) - wave for copy in copies]
        snrs_db += [20 * np.log10(np.linalg.norm(wave) / np.linalg.norm(noise)) for noise in noises]
    assert kstest(snrs_db, "uniform", (10, 50)).pvalue > 0.001


def test_copies_of_silence_are_silent() -> None:
    silence = np.zeros(512, np.float32)
    assert all(not wave.any() for wave in NoiseCopies().variants(silence, RATE, die()))


@pytest.mark.parametrize(("colour", "db_per_octave"), [("white", 0.0), ("pink", -3.01)])
def test_coloured_noise_falls_by_its_decibels_an_octave(colour: str, db_per_octave: float) -> None:
    spectra = [np.abs(np.fft.rfft(coloured(colour, np.zeros(4096, np.float32), die(k)))) ** 2 for k in range(60)]
    power = np.mean(spectra, 0)
    octaves = np.array([np.mean(power[2**k : 2 ** (k + 1)]) for k in range(3, 11)])
    assert np.polyfit(np.arange(8), 10 * np.log10(octaves), 1)[0] == pytest.approx(db_per_octave, abs=0.15)


def test_noise_of_the_clips_own_spectrum_is_loud_where_the_clip_is() -> None:
    wave = tone(4096)
    power = np.abs(np.fft.rfft(coloured("own", wave, die()))) ** 2
    near = slice(int(400 * 4096 / RATE), int(480 * 4096 / RATE))
    assert power[near].sum() > 0.99 * power.sum()


def test_an_odd_number_of_samples_stays_odd() -> None:
    for colour in ("white", "pink", "own"):
        assert coloured(colour, tone(1023), die()).shape == (1023,)


def test_gauss_gives_the_clip_and_two_copies_with_independent_noise_of_its_sd() -> None:
    wave = tone(65536)
    first, *copies = GaussCopies(0.02).variants(wave, RATE, die())
    assert np.array_equal(first, wave)
    assert len(copies) == 2
    one, other = (copy.astype(np.float64) - wave for copy in copies)
    assert one.std() == pytest.approx(0.02, rel=0.02)
    assert other.std() == pytest.approx(0.02, rel=0.02)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.02


def test_noise_beyond_full_scale_stays_there() -> None:
    loud = np.ones(4096, np.float32)
    assert GaussCopies(0.1).variants(loud, RATE, die())[1].max() > 1.2


def test_ways_in_turn_multiply_and_no_way_is_the_clip() -> None:
    wave = tone()
    assert len(augmented(parse("noise=2,gauss=0.01"), wave, RATE, die())) == 9
    assert augmented(parse("  "), wave, RATE, die()) == [wave]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("noize", r"augmentation 'noize' is not known; did you mean noise"),
        ("gauss=0", "gauss=0: a standard deviation above 0"),
        ("gauss=2", "up to full scale"),
        ("gauss=much", "gauss=much: a number was expected"),
        ("noise=0", "from 1 to 50"),
        ("noise=2.5", "whole number"),
        ("noise-study=0.3", "noise-study takes no value"),
        ("noise,noise=4", "noise is there twice"),
        ("noise,", "augmentation '' is not known"),
    ],
)
def test_a_way_that_makes_no_sense_is_refused(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        parse(text)
