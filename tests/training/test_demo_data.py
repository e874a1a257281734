from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import skops.io
import soundfile as sf

from subterfuge.errors import InputError
from subterfuge.training import demo_data
from subterfuge.training.demo_data import SKOPS_TYPES, embedded_card, embedded_clips, embedded_features

LABELS = ["cel", "cla", "flu", "gac", "gel", "org", "pia", "sax", "tru", "vio", "voi"]


@pytest.fixture(scope="module")
def victim() -> Any:
    return skops.io.load(demo_data.HOME / "victim.skops", trusted=list(SKOPS_TYPES))


def study_features(path: Path) -> np.ndarray:
    wave, sr = sf.read(path, dtype="float32")
    y = wave.mean(axis=1)
    parts = [
        librosa.feature.rms(y=y),
        librosa.feature.spectral_centroid(y=y, sr=sr),
        librosa.feature.spectral_bandwidth(y=y, sr=sr),
        librosa.feature.spectral_rolloff(y=y, sr=sr, roll_percent=0.85),
        librosa.feature.zero_crossing_rate(y),
        librosa.feature.mfcc(y=y, sr=sr, n_mfcc=20),
    ]
    return np.concatenate([part.mean(axis=1) for part in parts])


def label_of(path: Path) -> str:
    return path.name[1:4]


def test_there_is_one_clip_of_each_class_three_seconds_long_in_16_bit_stereo() -> None:
    clips = embedded_clips()
    assert sorted(map(label_of, clips)) == LABELS
    for path in clips:
        info = sf.info(path)
        assert (info.frames, info.samplerate, info.channels) == (132300, 44100, 2)
        assert (info.format, info.subtype) == ("FLAC", "PCM_16")


def test_the_victim_hears_each_embedded_clip_as_what_it_is(victim: Any) -> None:
    clips = embedded_clips()
    chances = victim.predict_proba(np.stack([study_features(path) for path in clips]))
    assert [victim.classes_[row] for row in chances.argmax(axis=1)] == [label_of(path) for path in clips]
    assert chances.max(axis=1).min() > 0.6


def test_its_votes_and_its_probabilities_agree_on_the_embedded_clips(victim: Any) -> None:
    X = np.stack([study_features(path) for path in embedded_clips()])
    inner = victim.calibrated_classifiers_[0].estimator
    assert list(inner.predict(X)) == list(victim.predict(X))


def test_no_embedded_clip_belongs_to_a_recording_that_the_victim_was_trained_on() -> None:
    recordings = {path.stem.rpartition("__")[0] for path in embedded_clips()}
    assert len(recordings) == 11
    assert not recordings & set(embedded_features().groups)


def test_the_embedded_clips_are_neither_silent_nor_clipped() -> None:
    for path in embedded_clips():
        wave, _ = sf.read(path)
        assert 0.01 < np.abs(wave).max() < 1


def test_skops_trusts_all_of_the_model_but_two_private_types_of_scikit_learn() -> None:
    unknown = skops.io.get_untrusted_types(file=demo_data.HOME / "victim.skops")
    assert sorted(unknown) == sorted(SKOPS_TYPES)


def test_the_model_is_a_scaler_an_svc_and_sigmoids_over_string_classes(victim: Any) -> None:
    (calibrated,) = victim.calibrated_classifiers_
    assert [type(step).__name__ for _, step in calibrated.estimator.steps] == ["StandardScaler", "SVC"]
    assert [type(one).__name__ for one in calibrated.calibrators] == ["_SigmoidCalibration"] * 11
    assert list(victim.classes_) == LABELS


def test_the_card_points_to_the_model_beside_it() -> None:
    path = embedded_card()
    card = tomllib.loads(path.read_text(encoding="utf-8"))
    assert card == {
        "schema": 1,
        "kind": "sklearn",
        "name": "demo",
        "sample_rate": 44100,
        "features": "librosa-mean-25",
        "model": "victim.skops",
    }
    assert (path.parent / card["model"]).is_file()


def test_the_table_is_what_the_victim_was_trained_on(victim: Any) -> None:
    table = embedded_features()
    scaler = victim.calibrated_classifiers_[0].estimator[0]
    np.testing.assert_allclose(scaler.mean_, table.X.mean(axis=0, dtype=np.float64), rtol=1e-6)
    assert scaler.n_samples_seen_ == len(table.X)
    assert np.mean(victim.predict(table.X) == table.y) > 0.9


def test_the_columns_of_the_table_agree_with_each_other() -> None:
    table = embedded_features()
    n = len(table.X)
    assert table.X.shape == (n, 25)
    assert np.isfinite(table.X).all()
    assert all(len(column) == n for column in (table.y, table.groups, table.fonts, table.programs, table.seeds))
    assert list(np.unique(table.y, return_counts=True)[1]) == [n / 11] * 11
    assert [group[1:4] for group in table.groups] == list(table.y)
    assert [group[6:].partition("]")[0] for group in table.groups] == list(table.fonts)
    for group in np.unique(table.groups):
        assert len(np.unique(table.programs[table.groups == group])) == 1
        assert np.sum(table.groups == group) == 2


def test_the_embedded_data_stay_small() -> None:
    sizes = {path.name: path.stat().st_size for path in demo_data.HOME.rglob("*") if path.is_file()}
    assert sizes["victim.skops"] < 1_000_000
    assert sizes["features.npz"] < 200_000
    assert sum(sizes.values()) < 5_000_000


def test_an_installation_without_its_data_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo_data, "HOME", tmp_path)
    for ask in (embedded_clips, embedded_card, embedded_features):
        with pytest.raises(InputError, match="install it again"):
            ask()
