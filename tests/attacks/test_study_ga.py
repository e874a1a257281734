"""The original study's genetic algorithm: librosa's spectrogram, DEAP's loop, and what it can and cannot do."""

from __future__ import annotations

import dataclasses
import random

import librosa
import numpy as np
import pytest
import torch
from tests.attacks.kit import quick, search
from tests.attacks.toys import Toy, at_distance, dark, tones, two_sided

from subterfuge.attacks._ga_dice import Lent
from subterfuge.attacks._ga_spectrum import Spectrum, size_for, stft
from subterfuge.attacks.study_ga import StudyGA
from subterfuge.errors import AttackError
from subterfuge.oracle import dice
from subterfuge.threat import Budget

T = 512
SMALL = StudyGA(population=8, offspring=16, generations=12)


def test_the_spectrogram_and_its_inverse_are_librosas() -> None:
    clip = torch.from_numpy(0.3 * np.random.default_rng(1).standard_normal(20_000).astype(np.float32))
    theirs = librosa.stft(clip.numpy(), n_fft=2048, hop_length=512)
    assert np.abs(stft(clip, 2048).numpy() - theirs).max() < 1e-5 * np.abs(theirs).max()
    real = Spectrum(clip, clip, kept=False).real
    back = librosa.istft(np.real(theirs), n_fft=2048, hop_length=512, length=len(clip))
    made = clip + Spectrum(clip, clip, kept=False).changes([real])[0]
    assert np.abs(made.numpy() - back).max() < 1e-5


def test_dropping_the_imaginary_part_costs_a_few_decibels_and_keeping_it_costs_nothing() -> None:
    clip = dark(1, 16_000)[0]
    dropped = Spectrum(clip, clip, kept=False)
    real = dropped.real
    lost = dropped.changes([real])[0].norm()
    assert dropped.dropped_snr_db == pytest.approx(float(20 * torch.log10(clip.norm() / lost)), abs=1e-4)
    assert 2 < dropped.dropped_snr_db < 5  # noise loses half of its energy, and 3 dB more of it come back mirrored
    assert Spectrum(clip, clip, kept=True).changes([real]).abs().max() < 1e-6


@pytest.mark.parametrize("length", [1, 2, 7, 63, 500])
def test_clips_shorter_than_a_frame_have_a_spectrogram_too(length: int) -> None:
    clip = tones(1, length)[0]
    spectrum = Spectrum(clip, clip, kept=True)
    assert size_for(length) <= 128
    assert spectrum.changes([spectrum.real]).abs().max() < 1e-6


def test_only_new_individuals_are_asked_about() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 40.0)
    copies = StudyGA(population=8, offspring=16, generations=12, crossover=0.0, mutation=0.0)
    assert search(copies, victim, clean).queries == [1 + 8]
    everyone = StudyGA(population=8, offspring=16, generations=12, crossover=0.5, mutation=0.5)
    assert search(everyone, victim, clean).queries == [1 + 8 + 12 * 16]
    as_the_study = search(SMALL, victim, clean).queries[0]
    assert abs(as_the_study - (9 + 0.9 * 192)) < 5 * (192 * 0.9 * 0.1) ** 0.5


def test_what_it_records_of_each_generation_grows_and_is_the_probability_of_the_target() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 20.0)
    oracle = search(SMALL, victim, clean)
    told = oracle.findings[0]
    generations = told["generations"]
    assert len(generations) == 1 + SMALL.generations
    assert generations[-1]["queries"] == oracle.queries[0]
    assert all(0 <= each["mean"] <= each["best"] <= 1 for each in generations)
    assert generations[-1]["mean"] > generations[0]["mean"]
    loudest = max(float(each.softmax(0)[1]) for each in victim.function(torch.stack(victim.asked)))
    assert max(each["best"] for each in generations) == pytest.approx(loudest, rel=1e-5)
    assert told["dropped_imaginary_snr_db"] == pytest.approx(
        float(Spectrum(clean[0], clean[0], kept=False).dropped_snr_db or 0)
    )


def test_its_changes_are_never_far_quieter_than_the_imaginary_part_that_it_drops() -> None:
    """And so it cannot come near the closest point, however long it searches: here it lies 36 dB further down."""
    victim, w = two_sided(T)
    clean = at_distance(tones(2, T), w, 40.0)
    oracle = search(quick("study-ga"), victim, clean)
    assert oracle.won.all()
    least = -(clean.double() @ w) / w.norm()
    lost = torch.stack([Spectrum(wave, wave, kept=False).changes([stft(wave, 128).real.numpy()])[0] for wave in clean])
    assert (oracle.best_size > 0.7 * lost.norm(dim=1)).all()
    assert (oracle.best_size > 40 * least).all()


def test_with_the_imaginary_part_kept_the_same_search_is_quieter_by_far() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 55.0)
    kept = search(StudyGA(population=8, offspring=16, generations=12, imaginary="kept"), victim, clean)
    assert kept.won.all()
    lost = Spectrum(clean[0], clean[0], kept=False).changes([stft(clean[0], 128).real.numpy()])[0].norm()
    assert 4 * float(kept.best_size[0]) < float(lost)


def test_a_penalty_on_loudness_keeps_the_changes_quieter() -> None:
    sizes = []
    for penalty in (0.0, 100.0):
        victim, w = two_sided(T)
        clean = at_distance(tones(1, T), w, 20.0)
        search(dataclasses.replace(SMALL, imaginary="kept", penalty=penalty), victim, clean)
        sizes.append(float((torch.stack(victim.asked[-10:]) - clean).norm(dim=1).mean()))
    assert sizes[1] < 0.8 * sizes[0]


def test_pythons_own_random_numbers_are_neither_used_nor_moved() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 40.0)
    drawn: list[float] = []

    def nosy(wave: torch.Tensor) -> torch.Tensor:
        drawn.append(random.random())
        return victim.function(wave)

    state = random.getstate()
    random.seed(7)
    expected = [random.random() for _ in range(500)]
    random.seed(7)
    first = search(SMALL, Toy(nosy, labels=victim.labels), clean)
    assert drawn == expected[: len(drawn)]  # the victim draws as if nobody else did
    random.seed(8)
    again = search(SMALL, victim, clean)
    assert torch.equal(first.best, again.best)
    random.seed(9)
    expected_next = random.random()
    random.seed(9)
    search(SMALL, victim, clean, budget=Budget(queries=30))  # ended by its budget in the midst of DEAP's loop
    assert random.random() == expected_next
    random.setstate(state)


def test_a_lent_state_goes_on_where_it_was_left() -> None:
    whole, parts = Lent(dice("a", 1)[0]), Lent(dice("a", 1)[0])
    with whole.swapped():
        expected = [random.random() for _ in range(4)]
    found = []
    for _ in range(2):
        with parts.swapped():
            found += [random.random(), random.random()]
    assert found == expected


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"population": 1}, "population=1: 2 to 10000"),
        ({"offspring": 0}, "offspring=0: 1 to 10000"),
        ({"generations": 0}, "generations=0: 1 or more"),
        ({"sd": 0.0}, "sd=0: 1e-12"),
        ({"crossover": 1.5}, "crossover=1.5: 0 to 1"),
        ({"crossover": 0.7, "mutation": 0.4}, r"mutation=0\.4: 0 to 0\.3"),
        ({"penalty": -1.0}, "penalty=-1: 0 to"),
        ({"imaginary": "halved"}, "imaginary=halved is not known; dropped or kept"),
    ],
)
def test_knobs_that_make_no_sense_are_refused(knobs: dict[str, float], says: str) -> None:
    with pytest.raises(AttackError, match=says):
        StudyGA(**knobs)  # type: ignore[arg-type]


def test_the_quick_knobs_of_the_contract_tests_are_those_of_the_study_but_smaller() -> None:
    assert isinstance(quick("study-ga"), StudyGA)
