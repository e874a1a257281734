"""The genome of band levels, its moves, and the front that NSGA-II finds between the victim's answer and quietness."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import numpy as np
import pytest
import torch
from tests.attacks.kit import quick, search
from tests.attacks.toys import Toy, at_distance, bands, dark, tones, two_sided

from subterfuge.attacks import _ga_search
from subterfuge.attacks._ga_levels import FLOOR_DB, MOST, Levels
from subterfuge.attacks._ga_moves import energy_db, fresh, informed, louder, moved_to_bands, quieter_than
from subterfuge.attacks.genetic import Genetic
from subterfuge.errors import AttackError
from subterfuge.oracle import dice
from subterfuge.threat import Budget, LeastSNR, Targeted

RATE = 8000


def sound(length: int = 16_000) -> torch.Tensor:
    """A dark noise, half of which is 30 dB quieter."""
    clip = dark(1, length)[0]
    return clip * torch.where(torch.arange(length) < length // 2, 1.0, 0.03)


def log_energy(wave: torch.Tensor) -> torch.Tensor:
    """The mean over frames of the log energy of the lower and the upper half of the spectrum."""
    power = torch.stft(wave, 512, 256, window=torch.hann_window(512), return_complex=True).abs() ** 2
    return torch.stack([(half.mean(0) + 1e-12).log().mean() for half in (power[:128], power[129:])])


# --- the genome ------------------------------------------------------------------------------------------------------


def test_a_genome_of_zeros_changes_nothing() -> None:
    levels = Levels(sound(), RATE, 8, dice("a", 1)[0])
    assert levels.changes([np.zeros(8)]).abs().max() == 0


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("gene", [50.0, 70.0, 85.0])
def test_a_gene_spends_about_the_energy_that_it_names(sign: int, gene: float) -> None:
    clip = sound()
    levels = Levels(clip, RATE, 4, dice("a", 1)[0])
    for band in range(4):
        genome = np.zeros(4)
        genome[band] = sign * gene
        spent_db = 20 * math.log10(float(levels.changes([genome]).norm() / clip.norm()))
        assert -8 < spent_db - (gene - FLOOR_DB) < 3  # frames overlap, and what one adds the next may not


def test_filling_raises_the_mean_log_energy_of_its_own_band_and_emptying_lowers_it() -> None:
    clip = sound()
    levels = Levels(clip, RATE, 2, dice("a", 1)[0])
    before = log_energy(clip)
    for place, sign in ((0, 1), (0, -1), (1, 1), (1, -1)):
        genome = np.zeros(2)
        genome[place] = sign * 70.0
        moved = log_energy(clip + levels.changes([genome])[0]) - before
        assert sign * moved[place] > 0.3
        assert moved[place].abs() > 2 * moved[1 - place].abs()


def test_the_quiet_frames_get_what_is_spent() -> None:
    clip = sound()
    change = Levels(clip, RATE, 8, dice("a", 1)[0]).changes([np.full(8, 55.0)])[0]
    assert change[9000:].norm() > 5 * change[:7000].norm()


@pytest.mark.parametrize("length", [1, 40, 512])
def test_short_and_silent_clips_have_a_genome(length: int) -> None:
    for clip in (torch.zeros(length), tones(1, length)[0]):
        levels = Levels(clip, RATE, 8, dice("a", 1)[0])
        genomes = [fresh(levels.place, np.random.default_rng(seed)) for seed in range(5)]
        changes = levels.changes(genomes)
        assert changes.shape == (5, length)
        assert changes.isfinite().all()


# --- the moves -------------------------------------------------------------------------------------------------------


def test_louder_and_quieter_keep_the_sides_and_zero_stays_zero() -> None:
    genome = np.array([50.0, -40.0, 0.0, 3.0, -104.0])
    assert louder(genome, 6.0).tolist() == [56.0, -46.0, 0.0, 9.0, -MOST]
    assert louder(genome, -6.0).tolist() == [44.0, -34.0, 0.0, 0.0, -98.0]
    even = np.full(4, 80.0)
    assert energy_db(even) == pytest.approx(-20 + 10 * math.log10(4))
    assert energy_db(quieter_than(even, -30.0)) == pytest.approx(-30.0)
    assert quieter_than(even, -10.0).tolist() == even.tolist()


def test_a_genome_that_is_moved_to_other_bands_spends_the_same_energy() -> None:
    clip = sound()
    one, other = (Levels(clip, RATE, count, dice("a", 1)[0]) for count in (6, 12))
    genome = np.array([60.0, 60.0, -55.0, 50.0, 62.0, -50.0])
    moved = moved_to_bands(genome, one.place, other.place)
    sizes = [float(levels.changes([each]).norm()) for levels, each in ((one, genome), (other, moved))]
    assert abs(20 * math.log10(sizes[1] / sizes[0])) < 3


def test_the_informed_move_finds_the_plane_and_the_least_energy_that_reaches_a_height() -> None:
    roll = np.random.default_rng(1)
    slope = np.array([0.1, 0.02, -0.05, 0.0])
    genome = np.array([50.0, 50.0, -50.0, 50.0])
    known = genome + 4 * roll.normal(size=(60, 4))
    made = [
        informed(genome, known @ slope, known, float(genome @ slope), 30.0, np.random.default_rng(k)) for k in range(9)
    ]
    assert all(one is not None for one in made)
    middle = np.median(np.stack([one for one in made if one is not None]), axis=0)
    assert float(middle @ slope) == pytest.approx(float(genome @ slope), abs=0.5)
    assert energy_db(middle) < energy_db(genome) - 1
    sizes = np.abs(middle)  # energies in proportion to the slopes
    assert sizes[0] - sizes[1] == pytest.approx(10 * math.log10(5), abs=2.5)
    assert sizes[0] - sizes[2] == pytest.approx(10 * math.log10(2), abs=2.5)
    assert middle[2] < 0
    assert informed(genome, np.zeros(60), known, 1.0, 30.0, roll) is None


# --- the search ------------------------------------------------------------------------------------------------------


def test_on_a_linear_victim_it_comes_within_ten_times_the_least_change() -> None:
    """A plane of no spectral meaning is the worst case for band energies: 4 to 8 times the least change were seen."""
    victim, w = two_sided(512)
    clean = at_distance(tones(2, 512), w, torch.tensor([20.0, 50.0]))
    least = -(clean.double() @ w) / w.norm()
    oracle = search(Genetic(), victim, clean)
    assert oracle.won.all()
    assert all(2200 <= each <= 2600 for each in oracle.queries)
    assert (oracle.best_size >= least * (1 - 1e-5)).all()
    assert (oracle.best_size < 10 * least).all()


def test_on_a_curved_victim_it_is_far_below_the_noise_that_wins() -> None:
    from subterfuge.attacks import Noise

    victim, clean = bands(512), dark(2, 512, seed=4)
    found, loud = search(quick("genetic"), victim, clean), search(Noise(), victim, clean)
    assert found.won.all()
    assert (found.best_size < loud.best_size).all()


def test_the_front_is_sorted_and_holds_nothing_that_another_sound_beats_in_both_aims() -> None:
    victim, clean = bands(512), dark(1, 512)
    oracle = search(quick("genetic"), victim, clean)
    told = oracle.findings[0]
    front = told["front"]
    assert len(front) > 3
    for before, after in pairwise(front):
        assert after["margin"] > before["margin"]
        assert after["snr_db"] < before["snr_db"]
    quietest = max(point["snr_db"] for point in front if point["margin"] > 0)
    assert quietest == pytest.approx(float(oracle.snr_db(oracle.best)[0]), abs=1e-3)
    goal = Targeted("b")
    waves = torch.stack(victim.asked)
    margins = goal.margin(victim.function(waves), torch.ones(len(waves), dtype=torch.long))
    for margin, wave in zip(margins.tolist(), waves, strict=True):
        snr_db = float(oracle.snr_db((wave - clean[0])[None])[0])
        if torch.equal(wave, clean[0]):
            assert all(point["margin"] > margin for point in front)  # no point of the front, but nothing is below it
            continue
        assert any(point["margin"] >= margin - 1e-6 and point["snr_db"] >= min(snr_db, 150) - 1e-3 for point in front)


def test_what_it_records_adds_up() -> None:
    victim, clean = bands(512), dark(1, 512)
    attack = Genetic(population=8, offspring=8, generations=40, bands=8, patience=3)
    oracle = search(attack, victim, clean)
    told = oracle.findings[0]
    generations, restarts = told["generations"], told["restarts"]
    assert len(generations) == 40
    assert [one["queries"] for one in generations] == sorted(one["queries"] for one in generations)
    assert told["plateaus"] == len(restarts) > 1
    assert [one["kind"] for one in restarts][:2] == ["genome", "strangers"]
    for one in restarts:
        if one["gained"] is not None:
            assert one["gained"] == one["after"] - one["before"] >= 0
    assert restarts[-1]["after"] == pytest.approx(float(oracle.snr_db(oracle.best)[0]), abs=1e-3)
    assert all(0 <= one["mean"] <= one["best"] <= 1 for one in generations if one["best"] is not None)


def test_another_measure_of_quietness_can_take_the_place_of_the_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peak, say: the front is then between the victim's answer and the peak."""
    victim, clean = bands(512), dark(1, 512)

    def peaks_db(_: object, changes: torch.Tensor, __: int) -> list[float]:
        return [float(each) for each in -20 * torch.log10(changes.abs().amax(1).clamp_min(1e-9))]

    monkeypatch.setattr(_ga_search, "quietness_db", peaks_db)
    oracle = search(quick("genetic"), victim, clean)
    front = oracle.findings[0]["front"]
    best_db = max(point["snr_db"] for point in front if point["margin"] > 0)
    waves = torch.stack(victim.asked)
    wins = waves[victim.function(waves).argmax(1) == 1] - clean
    assert best_db == pytest.approx(float(-20 * torch.log10(wins.abs().amax(1).min())), abs=1e-3)


def test_a_search_that_its_budget_ends_has_told_what_it_found() -> None:
    victim, w = two_sided(512)
    clean = at_distance(tones(1, 512), w, 1.0)
    oracle = search(quick("genetic"), victim, clean, limit=LeastSNR(40.0), budget=Budget(queries=30))
    assert oracle.queries == [30]
    told = oracle.findings[0]
    assert all(point["snr_db"] < 150 for point in told["front"])  # the clip itself is none of them
    assert len(told["generations"]) == (30 - 1 - 8) // 10


def test_pythons_own_random_numbers_are_neither_used_nor_moved() -> None:
    victim, clean = bands(512), dark(1, 512)
    drawn: list[float] = []

    def nosy(wave: torch.Tensor) -> torch.Tensor:
        drawn.append(random.random())
        return victim.function(wave)

    state = random.getstate()
    random.seed(7)
    expected = [random.random() for _ in range(5000)]
    random.seed(7)
    first = search(quick("genetic"), Toy(nosy, labels=victim.labels), clean)
    assert drawn == expected[: len(drawn)]
    random.seed(8)
    assert torch.equal(search(quick("genetic"), victim, clean).best, first.best)
    random.setstate(state)


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"population": 3}, "population=3: 4 to 10000"),
        ({"offspring": 0}, "offspring=0: 1 to 10000"),
        ({"generations": 0}, "generations=0: 1 or more"),
        ({"bands": 0}, "bands=0: 1 to 256"),
        ({"step_db": 0.0}, r"step_db=0: 0\.01 to 100"),
        ({"informed": 1.5}, "informed=1.5: 0 to 1"),
        ({"enough_db": math.inf}, "enough_db=inf: -60 to 150"),
        ({"window": -1.0}, "window=-1: 0 to 1"),
        ({"patience": 0}, "patience=0: 1 or more"),
        ({"hill": "probability"}, "hill=probability is not known; pull or odds"),
    ],
)
def test_knobs_that_make_no_sense_are_refused(knobs: dict[str, float], says: str) -> None:
    with pytest.raises(AttackError, match=says):
        Genetic(**knobs)  # type: ignore[arg-type]
