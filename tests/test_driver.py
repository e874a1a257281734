"""The driver: whatever a search believes, the written file decides."""

from __future__ import annotations

import hashlib
import json
import math
import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import librosa
import mutagen.flac
import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from tests.world import LABELS, RATE, card, clip, sound, tree
from torch import Tensor

from subterfuge import (
    Budget,
    Clip,
    Confident,
    Gives,
    LeastSNR,
    Maximise,
    Outcome,
    Peak,
    Targeted,
    Threat,
    Untargeted,
    Victim,
    attack,
    load_victim,
)
from subterfuge.attacks import PGD, Noise, Quietest
from subterfuge.driver.search import ROUNDS
from subterfuge.errors import ClipError
from subterfuge.outcome import outcome_path
from subterfuge.threat import Limit
from subterfuge.training.seed_study import fetch_seed_study

ROOT = Path(__file__).resolve().parent.parent
QUICK = Quietest(starts=(math.inf,), even=0, climb=100, resort=1, race=(20, 20), keep=(1,))
NOISY = replace(QUICK, starts=(30.0,))
SHORT = PGD(steps=30, starts=1)
HIGH = Threat(Targeted("high"))


@pytest.fixture
def bands(tmp_path: Path) -> Victim:
    return load_victim(card(tmp_path / "cards"))


def powers(wave: NDArray[Any], rate: int = RATE) -> NDArray[np.float64]:
    """The powers of the three bands that the victim hears, by numpy alone."""
    power = np.abs(np.fft.rfft(np.asarray(wave, dtype=np.float64))) ** 2
    hz = np.fft.rfftfreq(len(wave), 1 / rate)
    return np.array([power[(hz >= a) & (hz < b)].sum() for a, b in ((100, 1000), (1000, 2000), (2000, 3400))])


def chances(wave: NDArray[Any]) -> NDArray[np.float64]:
    """The victim's probabilities: softmax of 4 log power, so the fourth powers, normed."""
    fourth: NDArray[np.float64] = (powers(wave) / powers(wave).max()) ** 4
    return fourth / fourth.sum()


def heard(path: str | Path | None, rate: int = RATE) -> NDArray[np.float64]:
    """What a user of librosa hears of a file."""
    assert path is not None
    wave, _ = librosa.load(path, sr=rate, mono=True)
    return np.asarray(wave, dtype=np.float64)


def decibels(clean: NDArray[Any], changed: NDArray[Any]) -> float:
    return 10 * math.log10(float(np.sum(clean**2) / np.sum((changed - clean) ** 2)))


# the file decides


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2)])
def test_the_outcome_says_what_anyone_finds_in_the_two_files(
    rate: int, channels: int, tmp_path: Path, bands: Victim
) -> None:
    path = clip(tmp_path / "a.wav", rate, channels)
    outcome = attack(path, bands, HIGH, by=QUICK, out=tmp_path / "o.wav", control=0)
    file = tmp_path / "o.wav"
    assert outcome.won
    assert outcome.file == str(file)
    assert outcome.file_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert outcome.clip["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    before, after = heard(path), heard(file)
    assert outcome.snr_db == pytest.approx(decibels(before, after), abs=1e-6)
    raw = [soundfile.read(one, dtype="float64")[0] for one in (path, file)]
    assert outcome.file_snr_db == pytest.approx(decibels(*raw), abs=1e-6)
    assert outcome.peak == pytest.approx(np.abs(raw[1] - raw[0]).max(), abs=1e-9)
    assert (outcome.predicted_before, outcome.predicted) == tuple(
        LABELS[int(chances(wave).argmax())] for wave in (before, after)
    )
    assert outcome.probability_before == pytest.approx(chances(before)[2], rel=1e-4)
    assert outcome.probability == pytest.approx(chances(after)[2], rel=1e-4)
    assert 1 < (outcome.zimtohrli_mos or 0) <= 5


def test_the_record_beside_the_sound_is_the_outcome(tmp_path: Path, bands: Victim) -> None:
    outcome = attack(clip(tmp_path / "a.wav"), bands, HIGH, by=QUICK, out=tmp_path / "o.wav", command="as I said")
    record = json.loads(outcome_path(tmp_path / "o.wav").read_text())
    assert record == outcome.as_json()
    assert (record["schema"], record["attack"], record["command"]) == (1, "quietest", "as I said")
    assert (record["limit"], record["goal"], record["repeatable"]) == ("none", "targeted", True)
    assert record["victim"]["fingerprint"] == bands.fingerprint
    assert record["versions"]["torch"] == torch.__version__
    assert record["history"][-1]["snr_db"] == pytest.approx(outcome.snr_db, abs=0.01)


def test_one_seed_gives_one_file_to_the_last_bit_and_another_seed_another(tmp_path: Path, bands: Victim) -> None:
    path = clip(tmp_path / "a.wav", 22050, 2)
    files = []
    for place, seed in enumerate((3, 3, 4)):
        out = tmp_path / f"{place}.wav"
        assert attack(path, bands, HIGH, seed, by=NOISY, out=out, control=0).won
        files.append(out.read_bytes())
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_a_clip_does_not_feel_which_clip_came_before_it(tmp_path: Path, bands: Victim) -> None:
    paths = [clip(tmp_path / f"{seed}.wav", seed=seed) for seed in (1, 2)]
    alone = attack(paths[1], bands, HIGH, by=NOISY, out=tmp_path / "alone.wav", control=2)
    attack(paths[0], bands, HIGH, by=NOISY, out=tmp_path / "first.wav", control=2)
    after = attack(paths[1], bands, HIGH, by=NOISY, out=tmp_path / "after.wav", control=2)
    assert (alone.file_sha256, alone.control) == (after.file_sha256, after.control)


def test_a_win_that_dies_in_rounding_sends_the_search_on_until_a_file_wins(tmp_path: Path, bands: Victim) -> None:
    path = clip(tmp_path / "a.wav", 22050, subtype="PCM_U8")
    outcome = attack(path, bands, HIGH, by=QUICK, out=tmp_path / "o.wav", control=0)
    assert outcome.judgements > 1, "the first file lost"
    assert any("died in the written file" in warning for warning in outcome.warnings)
    assert outcome.won
    assert chances(heard(outcome.file)).argmax() == 2
    fine = attack(
        clip(tmp_path / "b.wav", 22050, subtype="FLOAT"), bands, HIGH, by=QUICK, out=tmp_path / "p.wav", control=0
    )
    assert fine.gradients < outcome.gradients


@dataclass(frozen=True, eq=False)
class Deaf:
    """A victim that always answers low, whatever its twin believes."""

    twin: Victim
    name: str = "deaf"
    labels: tuple[str, ...] = LABELS
    sample_rate: int = RATE
    gives: Gives = Gives.LABELS
    fingerprint: str = "deaf"
    warnings: tuple[str, ...] = ()

    @property
    def kind(self) -> Any:
        return self.twin.kind

    def decide(self, wave: Tensor) -> Tensor:
        return torch.zeros(len(wave), dtype=torch.int64)

    def scores(self, wave: Tensor) -> Tensor:
        raise NotImplementedError

    def probabilities(self, wave: Tensor) -> Tensor | None:
        return None


def test_a_search_that_believes_in_its_win_cannot_grade_itself(tmp_path: Path, bands: Victim) -> None:
    (tmp_path / "out").mkdir()
    outcome = attack(clip(tmp_path / "a.wav"), Deaf(bands), HIGH, by=QUICK, out=f"{tmp_path}/out/")
    assert (outcome.won, outcome.predicted, outcome.file) == (False, "low", None)
    assert outcome.judgements == ROUNDS
    assert outcome.advice is not None
    assert "every win died in the written file" in outcome.advice
    assert outcome.as_json()["margin"] is None
    assert tree(tmp_path / "out") == {}
    spent = replace(HIGH, budget=Budget(gradients=60))
    once = attack(clip(tmp_path / "a.wav"), Deaf(bands), spent, by=QUICK, out=f"{tmp_path}/out/")
    assert (once.won, once.gradients) == (False, 60)
    assert once.judgements >= 1


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "FLOAT"])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 2), (22050, 1)])
@pytest.mark.parametrize("limit", [LeastSNR(22.0), Peak(0.025)], ids=["snr", "peak"])
def test_a_limit_holds_on_the_file_as_it_is_heard_after_rounding_and_resampling(
    limit: Limit, rate: int, channels: int, subtype: str, tmp_path: Path, bands: Victim
) -> None:
    path = clip(tmp_path / "a.wav", rate, channels, subtype)
    outcome = attack(path, bands, Threat(Targeted("middle"), limit), by=SHORT, out=tmp_path / "o.wav", control=0)
    assert outcome.won
    before, after = heard(path), heard(outcome.file)
    if isinstance(limit, LeastSNR):
        assert decibels(before, after) > 22 - 1e-3
        assert decibels(before, after) < 22.1, "and is used up"
        assert outcome.limit == "snr=22"
    else:
        assert np.abs(after - before).max() < 0.025 * 1.0002
        assert np.abs(after - before).max() > 0.025 * 0.9 - (2**-8 if subtype == "PCM_U8" else 0)
        assert outcome.limit == "peak=0.025"


def test_a_limit_finer_than_the_rounding_of_the_file_is_lost_and_says_so(tmp_path: Path, bands: Victim) -> None:
    die = np.random.default_rng(0)
    wave = sound(22050) + 0.004 * die.normal(size=(8820, 1))
    soundfile.write(tmp_path / "a.wav", wave / 40, 22050, subtype="PCM_U8")
    before = tree(tmp_path)
    said = attack(tmp_path / "a.wav", bands, Threat(Untargeted(), Peak(0.004)), by=SHORT, out=tmp_path / "o.wav")
    assert not said.won
    assert tree(tmp_path) == before


def test_a_limit_of_0_db_is_called_by_its_value(tmp_path: Path, bands: Victim) -> None:
    threat = Threat(Targeted("high"), LeastSNR(0.0))
    assert attack(clip(tmp_path / "a.wav"), bands, threat, by=QUICK, out=tmp_path / "o.wav", control=0).limit == "snr=0"


# the file comes back as it was


FORMATS = [
    ("16-bit-stereo.wav", "WAV", "PCM_16", 44100, 2),
    ("24-bit-mono.wav", "WAV", "PCM_24", 48000, 1),
    ("float.wav", "WAV", "FLOAT", 44100, 1),
    ("flac.flac", "FLAC", "PCM_16", 44100, 2),
    ("8-kHz.wav", "WAV", "PCM_16", 8000, 1),
    ("8-bit.wav", "WAV", "PCM_U8", 8000, 2),
    ("96-kHz.flac", "FLAC", "PCM_24", 96000, 2),
    ("6-channels.wav", "WAVEX", "PCM_16", 48000, 6),
    ("aiff.aiff", "AIFF", "PCM_24", 44100, 2),
    ("double.wav", "WAV", "DOUBLE", 22050, 1),
]


@pytest.mark.parametrize(("name", "container", "subtype", "rate", "channels"), FORMATS, ids=[row[0] for row in FORMATS])
def test_a_file_comes_back_in_its_own_form_with_the_attack_alive(
    name: str, container: str, subtype: str, rate: int, channels: int, tmp_path: Path, bands: Victim
) -> None:
    path = tmp_path / name
    length = rate * 2 // 5 + 1
    with soundfile.SoundFile(path, "w", rate, channels, subtype, format=container) as file:
        file.title = "a title"
        file.write(sound(rate, channels, length / rate))
    outcome = attack(path, bands, HIGH, by=QUICK, out=f"{tmp_path}/out/", control=0)
    assert outcome.won
    assert outcome.file == str(tmp_path / "out" / f"{path.stem}-to-high{path.suffix}")
    with soundfile.SoundFile(outcome.file) as file:
        came = (file.format, file.subtype, file.samplerate, file.channels, file.frames, file.title)
    assert came == (container, subtype, rate, channels, length, "a title")
    assert chances(heard(outcome.file)).argmax() == 2
    assert (outcome.snr_db or 0) > 15
    assert not [warning for warning in outcome.warnings if "not carried over" in warning]


def test_the_tags_of_a_flac_file_are_kept(tmp_path: Path, bands: Victim) -> None:
    path = clip(tmp_path / "a.flac", 44100, 2)
    tags = mutagen.flac.FLAC(path)
    tags["ARTIST"], tags["MOOD"] = ["Anna", "Otto"], ["grey"]
    tags.save()
    outcome = attack(path, bands, HIGH, by=QUICK, out=tmp_path / "o.flac", control=0)
    came = mutagen.flac.FLAC(outcome.file)
    assert (came["ARTIST"], came["MOOD"]) == (["Anna", "Otto"], ["grey"])


@pytest.mark.parametrize(("ending", "container"), [("mp3", "MP3"), ("ogg", "OGG")])
def test_a_lossy_source_goes_out_as_24_bit_flac_with_a_warning_and_in_kind_if_asked(
    ending: str, container: str, tmp_path: Path, bands: Victim
) -> None:
    path = clip(tmp_path / f"a.{ending}", 44100, 2)
    outcome = attack(path, bands, HIGH, by=QUICK, out=f"{tmp_path}/out/", control=0)
    assert outcome.won
    assert outcome.file is not None
    info = soundfile.info(outcome.file)
    assert (Path(outcome.file).suffix, info.format, info.subtype) == (".flac", "FLAC", "PCM_24")
    assert any(container in one and "24-bit and lossless" in one for one in outcome.warnings)
    assert chances(heard(outcome.file)).argmax() == 2
    kept = attack(path, bands, HIGH, by=QUICK, out=f"{tmp_path}/out/", control=0, keep_container=True)
    assert kept.won
    assert soundfile.info(kept.file).format == container
    assert any("encoded a second time" in one for one in kept.warnings)
    assert chances(heard(kept.file)).argmax() == 2
    assert (kept.snr_db or 0) < (outcome.snr_db or 0)


def test_a_sound_that_never_was_a_file_is_attacked_too(
    tmp_path: Path, bands: Victim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = attack(Clip.of(sound()[:, 0], RATE, name="made up"), bands, HIGH, by=QUICK, control=0)
    assert outcome.file == str(tmp_path / "made up-to-high.wav")
    assert outcome.clip["path"] is None
    assert chances(heard(outcome.file)).argmax() == 2


def test_what_is_silent_to_the_victim_is_refused_by_the_library_too(bands: Victim) -> None:
    with pytest.raises(ClipError, match="digital silence"):
        attack(Clip.of(np.zeros(4000), RATE), bands)


# goals


def test_without_a_target_any_other_answer_wins(tmp_path: Path, bands: Victim) -> None:
    outcome = attack(clip(tmp_path / "a.wav"), bands, by=QUICK, out=tmp_path / "o.wav", control=0)
    assert (outcome.goal, outcome.target, outcome.won, outcome.predicted) == ("untargeted", None, True, "middle")
    assert outcome.probability == pytest.approx(chances(heard(outcome.file))[0], rel=1e-4), "of the class that was left"


@pytest.mark.parametrize("p", [0.6, 0.9])
def test_a_confident_goal_is_met_by_the_probability_of_the_file(p: float, tmp_path: Path, bands: Victim) -> None:
    threat = Threat(Confident("high", p))
    outcome = attack(clip(tmp_path / "a.wav", 22050), bands, threat, by=QUICK, out=tmp_path / "o.wav", control=0)
    assert outcome.won
    assert outcome.goal == f"confident={p:g}"
    assert p <= chances(heard(outcome.file))[2] < p + 0.03


def test_maximise_goes_as_far_as_its_limit_and_sets_one_where_there_is_none(tmp_path: Path, bands: Victim) -> None:
    outcome = attack(clip(tmp_path / "a.wav"), bands, Threat(Maximise()), by=SHORT, out=tmp_path / "o.wav")
    assert (outcome.won, outcome.target, outcome.already, outcome.limit) == (True, "low", False, "snr=40")
    assert outcome.snr_db == pytest.approx(40, abs=0.02)
    assert (outcome.probability or 0) > (outcome.probability_before or 0) + 0.01
    assert any("a limit was set: snr=40" in warning for warning in outcome.warnings)


@pytest.mark.parametrize("threat", [Threat(Targeted("low")), Threat(Confident("low", 0.5))])
def test_a_goal_that_is_met_already_costs_nothing_and_changes_nothing(
    threat: Threat, tmp_path: Path, bands: Victim
) -> None:
    path = clip(tmp_path / "a.flac", 44100, 2)
    outcome = attack(path, bands, threat, out=tmp_path / "o.flac")
    assert (outcome.won, outcome.already, outcome.gradients, outcome.queries) == (True, True, 0, 0)
    pair = [soundfile.read(one, dtype="int16")[0] for one in (path, outcome.file)]
    assert np.array_equal(*pair)
    assert any("counts in no median" in warning for warning in outcome.warnings)


# budgets


def lost(tmp_path: Path, victim: Victim, budget: Budget, by: Quietest | Noise, limit: Limit) -> Outcome:
    return attack(clip(tmp_path / "a.wav"), victim, Threat(Targeted("high"), limit, budget), by=by, out=tmp_path / "o")


def test_a_budget_of_gradients_holds(tmp_path: Path, bands: Victim) -> None:
    outcome = lost(tmp_path, bands, Budget(gradients=10), QUICK, LeastSNR(60))
    assert (outcome.won, outcome.gradients, outcome.queries, outcome.repeatable) == (False, 10, 0, True)
    assert outcome.budget == {"queries": None, "gradients": 10, "seconds": None}
    assert len(outcome.history) <= 10


def test_a_budget_of_queries_holds(tmp_path: Path, bands: Victim) -> None:
    outcome = lost(tmp_path, bands, Budget(queries=7), Noise(), LeastSNR(60))
    assert (outcome.won, outcome.gradients, outcome.queries, outcome.repeatable) == (False, 0, 7, True)


def test_a_budget_of_seconds_holds_and_its_run_is_not_repeatable(tmp_path: Path) -> None:
    slow = load_victim(card(tmp_path, "slow"))
    outcome = lost(tmp_path, slow, Budget(seconds=0.3), QUICK, LeastSNR(60))
    assert (outcome.won, outcome.repeatable) == (False, False)
    assert 0.3 <= outcome.seconds < 1.5
    assert outcome.gradients <= 6, "each takes a twentieth of a second"


def test_a_budget_that_ends_after_a_win_keeps_the_win(tmp_path: Path, bands: Victim) -> None:
    path = clip(tmp_path / "a.wav")
    whole = attack(path, bands, HIGH, by=QUICK, out=tmp_path / "whole.wav", control=0)
    budget = Budget(gradients=whole.gradients - 25)
    part = attack(path, bands, replace(HIGH, budget=budget), by=QUICK, out=tmp_path / "part.wav", control=0)
    assert (part.won, part.gradients) == (True, whole.gradients - 25)
    assert (part.snr_db or 0) <= (whole.snr_db or 0)


# the control


def test_the_control_counts_its_draws_and_stops_at_the_level_that_wins(tmp_path: Path, bands: Victim) -> None:
    """The high band is wider than the low one, so white noise of the power N adds 0.125 N more to it.

    It wins the sound where N exceeds 8 times the lead of the low tone, (0.2² - 0.19²) / 2.
    """
    t = np.arange(16000) / RATE
    tones = ((0.2, 500), (0.1, 1500), (0.19, 2600))
    soundfile.write(tmp_path / "a.wav", sum(a * np.sin(2 * np.pi * hz * t) for a, hz in tones), RATE)
    outcome = attack(tmp_path / "a.wav", bands, HIGH, by=QUICK, out=tmp_path / "o.wav", control=5)
    assert outcome.control is not None
    power = sum(a * a / 2 for a, _ in tones)
    flips_db = 10 * math.log10(power / (8 * (0.2**2 - 0.19**2) / 2))
    level = outcome.control["white_noise_snr_db"]
    assert abs(level - flips_db) < 3
    assert level % 2 == 0
    assert outcome.control["same_level_and_spectrum"]["draws"] == 5
    assert outcome.control["queries"] == 5 + (70 - level) / 2 + 1
    assert outcome.queries == 0, "they are no queries of the search"


def test_noise_that_never_reaches_the_goal_is_asked_at_every_level(tmp_path: Path, bands: Victim) -> None:
    threat = Threat(Confident("middle", 0.9))
    outcome = attack(clip(tmp_path / "a.wav"), bands, threat, by=QUICK, out=tmp_path / "o.wav", control=4)
    assert outcome.control == {
        "same_level_and_spectrum": {"hits": 0, "draws": 4},
        "white_noise_snr_db": None,
        "queries": 4 + 36,
    }


# the real thing


def test_the_example_of_the_readme_runs_as_it_stands_and_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(from subterfuge import.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    outcome = names["outcome"]
    assert outcome.won
    assert capsys.readouterr().out.startswith("cel -> pia at 4")
    assert outcome.snr_db > 46
    assert outcome.twin_gap < 1e-4, "the twin says what the model says"
    assert outcome.control["same_level_and_spectrum"]["hits"] == 0
    assert len(list(tmp_path.iterdir())) == 2


def test_a_row_of_the_study_is_won_and_librosa_and_scikit_learn_agree(seed_study: Path, tmp_path: Path) -> None:
    fetched = fetch_seed_study(tmp_path / "study", source=seed_study)
    victim = load_victim(fetched.folder / "tuned.toml")
    (cello,) = (fetched.folder / "clips").glob("*cel*")
    method = Quietest(starts=(math.inf,), even=0, race=(60,), keep=())
    outcome = attack(cello, victim, Threat(Targeted("vio")), by=method, out=tmp_path / "o.wav", control=0)
    assert outcome.won
    assert (outcome.predicted_before, outcome.predicted) == ("cel", "vio")

    wave, rate = librosa.load(tmp_path / "o.wav", sr=44100, mono=True)
    feature = librosa.feature
    means = [
        feature.rms(y=wave).mean(),
        feature.spectral_centroid(y=wave, sr=rate).mean(),
        feature.spectral_bandwidth(y=wave, sr=rate).mean(),
        feature.spectral_rolloff(y=wave, sr=rate).mean(),
        feature.zero_crossing_rate(y=wave).mean(),
        *feature.mfcc(y=wave, sr=rate).mean(axis=1),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scaler = joblib.load(seed_study / "models" / "std_scaler.bin")
        model = joblib.load(seed_study / "models" / "their_tuned_model.pkl")
        row = scaler.transform(np.array(means)[None])
        assert victim.labels[int(model.predict(row)[0])] == "vio"
        assert outcome.probability == pytest.approx(model.predict_proba(row)[0, 9], abs=1e-6)
    clean, _ = librosa.load(cello, sr=44100, mono=True)
    assert outcome.snr_db == pytest.approx(decibels(clean.astype(np.float64), wave.astype(np.float64)), abs=1e-6)
    assert outcome.snr_db > 54
    source, came = soundfile.info(cello), soundfile.info(tmp_path / "o.wav")
    assert (came.format, came.subtype, came.channels, came.frames) == ("WAV", "PCM_16", 2, source.frames)
    assert outcome.twin_gap is not None
    assert outcome.twin_gap < 1e-3
