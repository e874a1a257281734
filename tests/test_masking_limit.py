"""The masking limit: what it lets through, what a search under it hands out, and what the file then holds."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from tests.attacks.toys import RATE, Toy, at_distance, dark, linear, tones, two_sided
from tests.world import card, clip, sound, tree
from torch import Tensor

from subterfuge import Budget, Clip, LeastSNR, Maximise, Outcome, Targeted, Threat, Untargeted, Victim, attack
from subterfuge import load_victim as load
from subterfuge.attacks import ATTACKS, PGD, Quietest
from subterfuge.driver.ears import ear_beside
from subterfuge.driver.elastic import Elastic
from subterfuge.errors import ThreatError
from subterfuge.hearing.ear import Ear
from subterfuge.hearing.masking import cells, frame_size, masking_threshold
from subterfuge.hearing.noise_to_mask import noise_to_mask, noise_to_mask_of_channels
from subterfuge.oracle import Oracle
from subterfuge.outcome import outcome_path
from subterfuge.threat import Masking, parse_limit

QUICK = Quietest(starts=(math.inf,), even=0, climb=100, resort=1, race=(20, 20), keep=(1,))
SHORT = PGD(steps=30, starts=1)
HIGH = Targeted("high")
STEP = 2.0**-15
QUIET_DB = 12.0
"""What quiet hides at most, in dB SPL."""


@pytest.fixture
def bands(tmp_path: Path) -> Victim:
    return load(card(tmp_path / "cards"))


def noise(*shape: int, seed: int = 0, level: float = 1.0) -> Tensor:
    return level * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def bound(limit: Masking, clean: Tensor, grid: float = 0.0) -> Masking:
    return limit.beside(Ear.beside(clean, RATE), grid)


# --- in words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "margin_db"), [("masking", 0.0), ("masking=6", 6.0), ("masking=-3", -3.0), ("masking=0.5", 0.5)]
)
def test_a_masking_limit_is_read_with_or_without_decibels(text: str, margin_db: float) -> None:
    assert parse_limit(text) == Masking(margin_db)


@pytest.mark.parametrize("text", ["masking=x", "masking=", "masking=nan", "masking=inf", "masking=61", "masking=-61"])
def test_what_is_no_margin_is_refused_and_says_what_was_given(text: str) -> None:
    with pytest.raises(ThreatError, match=r"masking=.*expected"):
        parse_limit(text)


def test_a_limit_that_is_nearly_masking_is_refused_with_the_word() -> None:
    with pytest.raises(ThreatError, match="did you mean masking"):
        parse_limit("maskng")


@pytest.mark.parametrize("full_scale_db", [0.0, 59.9, 141.0, math.nan])
def test_a_full_scale_that_nobody_plays_is_refused(full_scale_db: float) -> None:
    with pytest.raises(ThreatError, match=r"full scale.*60 to 140 dB"):
        Masking(full_scale_db=full_scale_db)


def test_a_limit_is_the_same_limit_beside_other_clips() -> None:
    assert Masking(3.0) == bound(Masking(3.0), noise(1, 600)) != Masking(4.0)
    assert (
        repr(bound(Masking(3.0), noise(1, 600))) == repr(Masking(3.0)) == "Masking(margin_db=3.0, full_scale_db=96.0)"
    )


def test_without_clips_it_binds_nothing_and_says_so() -> None:
    limit, wave = Masking(), noise(1, 600)
    for use in (
        lambda: limit.project(wave, wave),
        lambda: limit.allows(wave, wave),
        lambda: limit.steepest(wave, wave),
        lambda: limit.over_db(wave),
        lambda: limit.at(slice(0, 1)),
        lambda: limit.drowned,
    ):
        with pytest.raises(ThreatError, match="beside"):
            use()


def test_the_measure_is_the_limits_own_unless_another_is_named() -> None:
    assert Threat(HIGH, Masking()).measured_by == "nmr"
    assert Threat(HIGH, LeastSNR(30.0)).measured_by == "snr"
    assert Threat(HIGH, Masking(), measure="snr").measured_by == "snr"
    assert Threat(HIGH, LeastSNR(30.0), measure="nmr").measured_by == "nmr"
    with pytest.raises(ThreatError, match=r"measure .loud..*snr or nmr"):
        Threat(HIGH, measure="loud")  # type: ignore[arg-type]


# --- what it lets through --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("margin_db", [-12.0, 0.0, 20.0])
def test_what_is_projected_is_allowed_and_a_decibel_more_is_not(margin_db: float) -> None:
    clean = noise(3, 900, level=0.1)
    limit = bound(Masking(margin_db), clean)
    for level in (1e-5, 1e-2, 10.0):
        inside = limit.project(noise(3, 900, seed=1, level=level), clean)
        assert limit.allows(inside, clean).all()
        assert limit.over_db(inside) < 0
    edge = limit.steepest(noise(3, 900, seed=2), clean)
    assert limit.allows(edge, clean).all()
    over = edge * 10 ** ((1 - limit.over_db(edge)) / 20)
    assert limit.over_db(over) == pytest.approx(1.0, abs=1e-3)
    assert not limit.allows(over, clean).all()
    assert limit.allows(0 * edge, clean).all()
    assert limit.over_db(0 * edge) == -math.inf


def test_a_wider_margin_is_the_same_limit_so_much_lower() -> None:
    clean, change = noise(1, 900, level=0.1), noise(1, 900, seed=1, level=1e-3)
    over = [bound(Masking(margin), clean).over_db(change) for margin in (-6.0, 0.0, 6.0)]
    assert over == pytest.approx([over[0], over[0] + 6, over[0] + 12])


def test_what_one_row_is_allowed_does_not_depend_on_the_others() -> None:
    clean, change = noise(3, 900, level=0.1), noise(3, 900, seed=1, level=0.05)
    limit = bound(Masking(), clean)
    for rows in (torch.tensor([1]), torch.tensor([2, 0]), torch.tensor([False, True, False]), slice(1, 3)):
        some = limit.at(rows)
        assert torch.equal(some.project(change[rows], clean[rows]), limit.project(change, clean)[rows])
        assert torch.equal(some.steepest(change[rows], clean[rows]), limit.steepest(change, clean)[rows])
        assert torch.equal(some.allows(0.01 * change[rows], clean[rows]), limit.allows(0.01 * change, clean)[rows])


def test_with_room_for_rounding_a_projected_change_is_allowed_on_the_files_grid_and_without_it_is_not() -> None:
    clean = torch.zeros(8, 4000)  # rounding matters most where it is quiet
    change = noise(8, 4000, seed=3, level=0.01)
    roomy, tight = bound(Masking(), clean, STEP), bound(Masking(), clean)
    rounded = [(limit.project(change, clean) / STEP).round() * STEP for limit in (roomy, tight)]
    assert tight.allows(rounded[0], clean).all()
    assert not tight.allows(rounded[1], clean).any()
    kept = [(one * change).sum(-1) / (tight.project(change, clean) * change).sum(-1) for one in rounded]
    assert (kept[0] > 0.7).all()


@pytest.mark.parametrize(("bits", "drowned"), [(8, True), (12, True), (16, False), (24, False)])
def test_a_limit_knows_when_the_files_rounding_is_louder(bits: int, drowned: bool) -> None:
    limit = bound(Masking(), torch.zeros(1, 4000), 2.0 ** (1 - bits))
    assert limit.drowned is drowned
    assert not bound(Masking(), torch.zeros(1, 4000)).drowned
    rounding = (torch.rand(1, 4000, generator=torch.Generator().manual_seed(0)) - 0.5) * 2.0 ** (1 - bits)
    assert (limit.over_db(rounding) > 0) is drowned


def test_the_room_for_rounding_is_four_deviations_of_its_noise() -> None:
    limit = bound(Masking(), torch.zeros(1, 40000), STEP)
    uniform = (torch.rand(20, 40000, generator=torch.Generator().manual_seed(0)) - 0.5) * STEP
    power = cells(uniform, RATE)[..., 1:-1, 4:-4].abs().square().mean()
    assert limit.spare == pytest.approx(4 * float(power.sqrt()), rel=0.01)


@pytest.mark.parametrize("over_db", [-5.0, 0.5, 7.0])
def test_drawn_tighter_it_asks_the_search_for_less_by_what_the_file_has_too_much(over_db: float) -> None:
    clean = noise(1, 900, level=0.1)
    limit = bound(Masking(3.0), clean, STEP)
    elastic = Elastic(limit)  # type: ignore[arg-type]
    change = limit.steepest(noise(1, 900, seed=1), clean)
    change = change * 10 ** ((over_db - limit.over_db(change)) / 20)
    assert elastic.holds(clean + change, clean) is (over_db < 0)
    elastic.tighten(clean + change, clean)
    assert elastic.holds(clean + change, clean) is (over_db < 0)  # what was asked for stays
    now = elastic.project(100 * change, clean)
    assert limit.over_db(now) < -max(0.0, over_db)
    assert limit.over_db(now) > -max(0.0, over_db) - 1.0
    assert elastic.name == "masking"


def test_tightened_beyond_what_can_be_said_it_stays() -> None:
    clean = noise(1, 900, level=0.1)
    elastic = Elastic(bound(Masking(59.0), clean))  # type: ignore[arg-type]
    before = elastic.project(clean, clean)
    elastic.tighten(clean + 0.5 * clean, clean)
    assert torch.equal(elastic.project(clean, clean), before)


# --- the ear beside a file -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 44100])
def test_what_a_change_may_hold_is_what_the_mean_and_each_channel_hides(rate: int, tmp_path: Path) -> None:
    wave = sound(rate, 2)
    wave[:, 1] *= 0.01
    soundfile.write(tmp_path / "a.wav", wave, rate, subtype="PCM_24")
    stereo = Clip.read(tmp_path / "a.wav")
    clean = torch.from_numpy(stereo.mono(8000))[None]
    ear = ear_beside(stereo, clean, 8000)
    assert (ear.threshold <= masking_threshold(clean, 8000) * 1.0001).all()
    change = 1e-4 * noise(1, clean.shape[1])
    if rate == 8000:
        for channel in stereo.samples:
            alone = masking_threshold(torch.from_numpy(channel.copy())[None], 8000)
            assert (ear.threshold <= alone * 1.0001).all()
    assert float(ear.ratios(change).mean()) > 3 * float(Ear.beside(clean, 8000).ratios(change).mean())


@pytest.mark.parametrize("rate", [16000, 44100, 4000])
def test_of_a_file_at_another_rate_a_change_may_hold_no_more_than_is_hidden_there(rate: int, tmp_path: Path) -> None:
    wave = sound(rate, seconds=0.8)
    wave[: len(wave) // 2] *= 1e-3
    soundfile.write(tmp_path / "a.wav", wave, rate, subtype="FLOAT")
    there = Clip.read(tmp_path / "a.wav")
    clean = torch.from_numpy(there.mono(8000))[None]
    ear = ear_beside(there, clean, 8000)
    assert (ear.threshold <= Ear.beside(clean, 8000).threshold * 1.0001).all()
    own = masking_threshold(torch.from_numpy(there.mono(rate))[None], rate)
    seconds = {rate: frame_size(rate) / rate for rate in (rate, 8000)}
    for line in (10, 60, 120):
        for frame in (10, 25, 40):
            k, m = round(line * seconds[rate] / seconds[8000]), round(frame * seconds[8000] / seconds[rate])
            assert ear.threshold[0, line, frame] <= own[0, k, m] * 1.0001
    assert ear.threshold.isfinite().all()
    assert (ear.threshold > 0).all()


def test_the_ear_beside_one_channel_is_the_ear_beside_its_wave(tmp_path: Path) -> None:
    one = Clip.read(clip(tmp_path / "a.wav"))
    clean = torch.from_numpy(one.mono(8000))[None]
    assert torch.equal(ear_beside(one, clean, 8000).threshold, Ear.beside(clean, 8000).threshold)
    loud = ear_beside(one, clean, 8000, Masking(full_scale_db=116.0))
    assert torch.equal(loud.threshold, Ear.beside(clean, 8000, full_scale_db=116.0).threshold)


# --- from clip to file -----------------------------------------------------------------------------------------------


def waves(*paths: str | Path | None) -> list[NDArray[np.float64]]:
    """The channels of files, shape (C, T)."""
    return [soundfile.read(str(path), dtype="float64", always_2d=True)[0].T for path in paths]


def won_inside(outcome: Outcome, before: Path, margin_db: float = 0.0) -> None:
    """Check on the two files that an outcome won and that no cell of the mono fold is above its limit."""
    assert outcome.won
    clean, changed = waves(before, outcome.file)
    assert outcome.share_above_threshold == 0 or margin_db < 0
    if outcome.clip["sample_rate"] == 8000:
        there = noise_to_mask(clean.mean(0), changed.mean(0), 8000)
        assert there is not None
        assert there.mean_db == pytest.approx(outcome.nmr_db, abs=1e-3)
        change = torch.from_numpy((changed - clean).mean(0))[None]
        mono = torch.from_numpy(clean.mean(0))[None]
        assert bound(Masking(margin_db), mono.float()).over_db(change.float()) < 0


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("margin_db", [-3.0, 0.0, 6.0])
def test_a_win_under_masking_lies_under_the_threshold_in_every_cell_of_the_written_file(
    margin_db: float, subtype: str, tmp_path: Path, bands: Victim
) -> None:
    path = clip(tmp_path / "a.wav", subtype=subtype)
    outcome = attack(path, bands, Threat(HIGH, Masking(margin_db)), by=QUICK, out=tmp_path / "o.wav", control=0)
    won_inside(outcome, path, margin_db)
    assert outcome.predicted == "high"
    assert outcome.limit == ("masking" if margin_db == 0 else f"masking={margin_db:g}")
    assert outcome.measure == "nmr"
    record = json.loads(outcome_path(tmp_path / "o.wav").read_text())
    assert (record["limit"], record["measure"]) == (outcome.limit, "nmr")


@pytest.mark.parametrize("margin_db", [0.0, 10.0])
def test_the_largest_margin_is_sought_up_to_the_limit_and_no_further(
    margin_db: float, tmp_path: Path, bands: Victim
) -> None:
    path = clip(tmp_path / "a.wav")
    threat = Threat(Maximise("high"), Masking(margin_db))
    outcome = attack(path, bands, threat, by=SHORT, out=tmp_path / "o.wav", control=0)
    won_inside(outcome, path, margin_db)
    clean, changed = waves(path, outcome.file)
    change = torch.from_numpy((changed - clean)[0])[None].float()
    over = bound(Masking(margin_db), torch.from_numpy(clean[0])[None].float()).over_db(change)
    assert -1.0 < over < 0  # it goes to the edge
    assert outcome.nmr_db is not None
    assert outcome.nmr_db < -margin_db


def test_a_tighter_limit_leaves_less_margin(tmp_path: Path, bands: Victim) -> None:
    path = clip(tmp_path / "a.wav")
    margins = []
    for margin_db in (20.0, 10.0, 0.0):
        threat = Threat(Maximise("high"), Masking(margin_db))
        outcome = attack(path, bands, threat, by=SHORT, out=tmp_path / "o.wav", control=0, force=True)
        margins.append(outcome.margin or 0)
    assert margins == sorted(margins)
    assert margins[0] < margins[2]


@pytest.mark.parametrize(("rate", "channels", "subtype"), [(44100, 2, "PCM_16"), (22050, 1, "PCM_24"), (4000, 1, None)])
def test_a_file_of_another_rate_than_the_victims_is_held_under_the_threshold_at_both_rates(
    rate: int, channels: int, subtype: str | None, tmp_path: Path, bands: Victim
) -> None:
    path = clip(tmp_path / "a.wav", rate, channels, subtype=subtype)
    goal = Maximise("high") if rate > 8000 else Untargeted()
    by = SHORT if rate > 8000 else QUICK  # the first goes to the limit
    outcome = attack(path, bands, Threat(goal, Masking(3.0)), by=by, out=tmp_path / "o.wav", control=0)
    won_inside(outcome, path, 3.0)
    heard = [torch.from_numpy(Clip.read(one).mono(8000))[None] for one in (path, tmp_path / "o.wav")]
    assert bound(Masking(3.0), heard[0]).over_db(heard[1] - heard[0]) < 0
    there = noise_to_mask_of_channels(*waves(path, outcome.file), rate)
    assert there is not None
    assert there.largest_db < -2.98
    assert outcome.nmr_db is not None
    assert outcome.nmr_db < -3.0


def test_the_judge_measures_every_channel_of_the_file_and_asks_the_search_for_less(tmp_path: Path) -> None:
    clean = Clip.read(clip(tmp_path / "a.wav", 44100, 2))
    change = np.zeros_like(clean.samples)
    change[1, 5000:15000] = 0.05 * np.sin(2 * np.pi * 6000 / 44100 * np.arange(10000))
    changed = replace(clean, samples=clean.samples + change)
    found = noise_to_mask_of_channels(clean.samples, changed.samples, 44100)
    assert found is not None
    ear = Ear.beside(torch.from_numpy(clean.mono(8000))[None], 8000)
    elastic = Elastic(Masking(2.0).beside(ear))
    over_db = elastic.over_db(clean, changed)
    assert over_db == pytest.approx(found.largest_db + 2.0, abs=0.02)
    assert over_db > 10
    wave_heard = torch.from_numpy(clean.mono(8000))[None]
    elastic.tighten(wave_heard, wave_heard, over_db)
    limit = elastic.at(slice(None))
    assert isinstance(limit, Masking)
    assert limit.margin_db == pytest.approx(2.0 + over_db + 0.05)
    assert Elastic(LeastSNR(40.0)).over_db(clean, changed) == 0.0


@pytest.mark.parametrize("channels", [2, 3])
def test_in_a_silent_channel_the_change_stays_under_what_quiet_hides(
    channels: int, tmp_path: Path, bands: Victim
) -> None:
    wave = sound(8000, channels)
    wave[:, 1] = 0
    soundfile.write(tmp_path / "a.wav", wave, 8000, subtype="PCM_16")
    threat = Threat(Maximise("low"), Masking())
    outcome = attack(tmp_path / "a.wav", bands, threat, by=SHORT, out=tmp_path / "o.wav", control=0)
    won_inside(outcome, tmp_path / "a.wav")
    clean, changed = waves(tmp_path / "a.wav", tmp_path / "o.wav")
    silent = torch.from_numpy((changed - clean)[1])[None]
    assert silent.any()
    level_db = 96 + 20 * math.log10(float(cells(silent, 8000).abs().max()))
    assert level_db < QUIET_DB
    assert outcome.share_above_threshold_channels == 0
    worst = noise_to_mask_of_channels(clean, changed, 8000)
    assert worst is not None
    assert worst.share_above == 0


def test_where_the_files_steps_are_louder_than_the_threshold_the_attack_is_lost_and_says_so(
    tmp_path: Path, bands: Victim
) -> None:
    path = clip(tmp_path / "a.wav", subtype="PCM_U8")
    before = tree(tmp_path)
    outcome = attack(path, bands, Threat(HIGH, Masking()), by=QUICK, out=tmp_path / "o.wav", control=0)
    assert not outcome.won
    assert outcome.file is None
    assert tree(tmp_path) == before
    assert any("steps of the file are louder" in note and "more bits" in note for note in outcome.warnings)
    assert not any("constant" in note for note in outcome.warnings)  # the victim is not to blame
    loose = attack(path, bands, Threat(HIGH, Masking(-20.0)), by=QUICK, out=tmp_path / "o.wav", control=0)
    assert loose.won
    assert not any("steps of the file" in note for note in loose.warnings)


def test_at_another_rate_too_a_file_that_rounds_too_coarsely_is_lost_with_a_reason(
    tmp_path: Path, bands: Victim
) -> None:
    path = clip(tmp_path / "a.wav", 16000, subtype="PCM_U8")
    outcome = attack(path, bands, Threat(HIGH, Masking()), by=QUICK, out=tmp_path / "o.wav", control=0)
    assert not outcome.won
    assert any("dB beyond the masking limit: rounding" in one for one in outcome.warnings)


def test_without_a_limit_the_least_audible_change_is_less_audible_and_has_more_energy(
    tmp_path: Path, bands: Victim
) -> None:
    clip(tmp_path / "a.wav")
    by = replace(QUICK, race=(40, 60))
    found = {}
    for measure in ("snr", "nmr"):
        threat = Threat(HIGH, measure=measure)  # type: ignore[arg-type]
        found[measure] = attack(tmp_path / "a.wav", bands, threat, by=by, out=tmp_path / f"{measure}.wav", control=0)
        assert found[measure].won
        assert (found[measure].measure, found[measure].limit) == (measure, "none")
    assert (found["nmr"].nmr_db or 0) < (found["snr"].nmr_db or 0) - 0.5
    assert (found["nmr"].snr_db or 0) < (found["snr"].snr_db or 0)


def test_under_another_limit_the_least_audible_change_still_obeys_it(tmp_path: Path, bands: Victim) -> None:
    threat = Threat(HIGH, LeastSNR(19.0), measure="nmr")
    outcome = attack(clip(tmp_path / "a.wav"), bands, threat, by=QUICK, out=tmp_path / "o.wav", control=0)
    assert outcome.won
    assert (outcome.snr_db or 0) >= 19.0
    assert (outcome.limit, outcome.measure) == ("snr=19", "nmr")


KEEPING = [name for name, kind in ATTACKS.items() if getattr(kind, "keeps_to_waves", False)]


@pytest.mark.parametrize("name", list(ATTACKS))
def test_every_attack_runs_under_masking_and_no_win_of_any_is_above_it(
    name: str, tmp_path: Path, bands: Victim
) -> None:
    path = clip(tmp_path / "a.wav", seconds=0.2)
    budget = Budget(queries=150, gradients=60)
    by = ATTACKS[name](front="wave") if name == "substitute" else name  # type: ignore[call-arg]
    goal = Untargeted() if name not in ("pgd",) else Maximise("high")
    outcome = attack(path, bands, Threat(goal, Masking(-6.0), budget), by=by, out=tmp_path / "o.wav", control=0)
    assert outcome.limit == "masking=-6"
    assert outcome.measure == "nmr"
    assert outcome.queries <= 150
    assert outcome.gradients <= 60
    text = json.dumps(outcome.as_json()["findings"])
    assert ('"snr_db"' not in text) or name in KEEPING
    assert "weighed" not in text or name not in KEEPING
    if outcome.won:
        won_inside(outcome, path, -6.0)


def test_a_search_under_masking_repeats_itself(tmp_path: Path, bands: Victim) -> None:
    path = clip(tmp_path / "a.wav")
    shas = set()
    for turn in range(2):
        threat = Threat(HIGH, Masking())
        outcome = attack(path, bands, threat, 3, by=QUICK, out=tmp_path / f"{turn}.wav", control=0)
        shas.add(outcome.file_sha256)
    assert len(shas) == 1


def test_a_limit_in_the_oracle_that_measures_by_energy_binds_all_the_same() -> None:
    victim, w = two_sided(600)
    clean = at_distance(tones(2, 600), w, 30.0)
    ear = Ear.beside(clean, RATE)
    threat = Threat(Targeted("b"), Masking(3.0).beside(ear))
    oracle = Oracle(victim, threat, clean, torch.ones(2, dtype=torch.long))
    QUICK(oracle, clean, [torch.Generator().manual_seed(row) for row in range(2)])
    assert torch.equal(oracle.best_size[oracle.won], oracle.best.norm(dim=-1).double()[oracle.won])
    assert (ear.ratios(oracle.best) < 10**-0.3).all()
    assert all(
        min(float(ear.of(slice(row, row + 1)).ratios((wave - clean[row])[None]).max()) for row in (0, 1)) < 10**-0.3
        for wave in victim.asked
    )


def test_the_nearest_change_that_a_linear_victim_needs_is_let_through_and_beyond_it_is_not() -> None:
    clean = dark(1, 900, level=0.1)
    limit = bound(Masking(), clean)
    way = limit.steepest(noise(1, 900, seed=5), clean)[0]
    for part, wins in ((0.9, True), (4.0, False)):
        weights = torch.stack([torch.zeros(900), way / way.norm()])
        short = float(weights[1] @ clean[0]) + part * float(way.norm())
        victim: Toy = linear(weights.double(), torch.tensor([short, 0.0], dtype=torch.float64))
        oracle = Oracle(victim, Threat(Targeted("b"), limit), clean, torch.ones(1, dtype=torch.long), seeks="margin")
        SHORT(oracle, clean, [torch.Generator().manual_seed(0)])
        assert bool(oracle.won[0]) is wins
        assert limit.allows(oracle.best, clean).all()
