"""What `train` says of a model is true, what it writes is whole, and what cannot be is refused before any work."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from scipy.stats import binomtest

from subterfuge.audio import Clip
from subterfuge.errors import InputError, OutputError
from subterfuge.training import train as train_module
from subterfuge.training._train_score import score
from subterfuge.training.saving import Places
from subterfuge.training.splits import split
from subterfuge.training.substitute import wilson
from subterfuge.training.tables import embedded_table
from subterfuge.training.train import train
from subterfuge.victims import load_victim
from subterfuge.victims.modelfile import load_model

HZ = {"high": 3000, "low": 200, 'mid "é"': 900}
"""A class, and the tone that it is."""


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Three classes of four recordings, two excerpts each: a tone in noise, 0.3 s."""
    home = tmp_path / "sounds"
    t = np.arange(13230) / 44100
    for label, hz in HZ.items():
        (home / label).mkdir(parents=True)
        for recording in range(4):
            for excerpt in (1, 2):
                dice = np.random.default_rng([hz, recording, excerpt])
                wave = 0.3 * np.sin(2 * np.pi * hz * (1 + recording / 50) * t) + 0.01 * dice.normal(size=len(t))
                soundfile.write(home / label / f"{label[:3]}{recording}__{excerpt}.wav", wave, 44100)
    return home


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_wilsons_interval_is_that_of_scipy() -> None:
    for right, n in ((0, 7), (3, 9), (250, 330), (12, 12)):
        truth = binomtest(right, n).proportion_ci(method="wilson")
        np.testing.assert_allclose(wilson(right, n), (truth.low, truth.high), atol=1e-12)


def test_sounds_of_one_recording_each_count_in_full_and_twins_count_once() -> None:
    truth, answers = ["a"] * 40, ["a"] * 30 + ["b"] * 10
    single = score(truth, answers, [str(k) for k in range(40)])
    assert (single.right, single.of, single.recordings) == (30, 40, 40)
    np.testing.assert_allclose((single.low, single.high), wilson(30, 40))
    pairs = score(truth, answers, [str(k // 2) for k in range(40)])
    np.testing.assert_allclose((pairs.low, pairs.high), wilson(15, 20))
    certain = score(truth, truth, [str(k // 2) for k in range(40)])
    np.testing.assert_allclose((certain.low, certain.high), wilson(20, 20))


def test_classes_are_counted_by_what_they_are_not_by_what_was_answered() -> None:
    assert score(["a", "a", "b"], ["a", "b", "b"], ["1", "2", "3"]).classes == {"a": (1, 2), "b": (1, 1)}


def test_the_score_is_of_recordings_that_were_not_taught(tmp_path: Path) -> None:
    trained = train("embedded", "logistic", out=tmp_path, seed=4)
    rows = embedded_table()
    held = np.isin(rows.groups, trained.record["held_out"])
    learn, examine = split(rows.y, rows.groups, seed=4)
    np.testing.assert_array_equal(np.flatnonzero(held), examine)
    model: Any = load_model(tmp_path / "logistic.skops").estimator
    right = model.predict(rows.X[held]) == rows.y[held]
    assert (trained.score.right, trained.score.of) == (right.sum(), held.sum())
    means = model[0].mean_
    np.testing.assert_allclose(means, rows.X[learn].mean(0))
    written = json.loads((tmp_path / "logistic.training.json").read_text())
    files = {"schema": 1, "card": "logistic.toml", "model_file": "logistic.skops"}
    assert written == json.loads(json.dumps(trained.record | files))


def test_a_random_split_flatters_and_both_save_the_model_of_the_other(tmp_path: Path) -> None:
    both = train("embedded", "svc", by="both", out=tmp_path)
    assert both.random is not None
    assert both.random.share > both.score.share + 0.02
    alone = train("embedded", "svc", out=tmp_path, name="alone")
    assert (alone.random, alone.score) == (None, both.score)
    assert (tmp_path / "alone.skops").read_bytes() == (tmp_path / "svc.skops").read_bytes()
    assert both.record["random_split_score"]["right"] == both.random.right


def test_by_random_only_recordings_without_any_taught_excerpt_are_called_held_out(tmp_path: Path) -> None:
    trained = train("embedded", "logistic", by="random", out=tmp_path)
    rows = embedded_table()
    learn, examine = split(rows.y, rows.groups, by="random")
    assert set(trained.record["held_out"]) == set(rows.groups[examine]) - set(rows.groups[learn])
    assert "flatters" in (tmp_path / "logistic.toml").read_text()


def test_a_folder_of_sounds_becomes_a_victim_that_hears_them(sounds: Path, tmp_path: Path) -> None:
    trained = train(sounds, "svc", out=tmp_path / "models", jobs=1)
    victim: Any = load_victim(trained.card)
    assert victim.labels == tuple(sorted(HZ))
    assert trained.score.share == 1
    assert len(trained.record["held_out"]) == 3
    for label in HZ:
        wave = Clip.read(next((sounds / label).iterdir())).mono(44100)
        assert victim.labels[int(victim.decide(torch.from_numpy(wave)[None]))] == label


def test_what_it_is_trained_through_stands_on_a_card_around_the_bare_one(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "models"
    trained = train(sounds, "logistic", through="lowpass=2000", out=out, name="soft", jobs=1)
    outer = tomllib.loads((out / "soft.toml").read_text("utf-8"))
    assert (outer["kind"], outer["victim"], outer["through"]) == ("through", "soft.bare.toml", "lowpass=2000")
    victim, bare = load_victim(trained.card), load_victim(out / "soft.bare.toml")
    assert (victim.name, bare.name, victim.labels) == ("soft", "soft.bare", bare.labels)
    plain = train(sounds, "logistic", out=out, name="plain", jobs=1)
    heard = [load_model(out / f"{name}.skops").estimator[0].mean_ for name in ("soft", "plain")]  # type: ignore[index]
    assert heard[0][1] < 0.8 * heard[1][1]  # the mean spectral centroid
    assert plain.record["through"] == ""


def test_a_lone_denoise_is_the_filter_that_cards_have_always_had(sounds: Path, tmp_path: Path) -> None:
    pytest.importorskip("noisereduce", reason="the extra denoise is not installed")
    trained = train(sounds, "tree", through="denoise", out=tmp_path / "models", jobs=1)
    card = tomllib.loads(trained.card.read_text("utf-8"))
    assert (card["kind"], card["preprocess"]) == ("sklearn", "noisereduce")
    assert files(tmp_path / "models") == {"tree.toml", "tree.skops", "tree.training.json"}
    load_victim(trained.card)


def test_augmented_rows_teach_and_do_not_examine(sounds: Path, tmp_path: Path) -> None:
    trained = train(sounds, "tree", augment="noise", out=tmp_path / "models", jobs=1)
    assert trained.record["taught"] == {"rows": 72, "sounds": 18}
    assert trained.score.of == 6


def test_a_bad_file_is_named_and_left_out(sounds: Path, tmp_path: Path) -> None:
    (sounds / "low" / "bad__1.wav").write_bytes(b"RIFF nothing")
    trained = train(sounds, "tree", out=tmp_path / "models", jobs=1)
    (sentence,) = trained.record["data"]["skipped"]
    assert "bad__1.wav" in sentence
    assert trained.record["taught"]["sounds"] + trained.score.of == 24


def test_a_class_whose_every_taught_file_is_bad_is_named(sounds: Path, tmp_path: Path) -> None:
    held_out = train(sounds, "tree", out=tmp_path / "models", jobs=1).record["held_out"]
    (spared,) = {
        path.stem[:-3] for path in (sounds / "low").iterdir() if any(path.stem[:-3] in held for held in held_out)
    }
    for path in (sounds / "low").iterdir():
        if path.stem[:-3] != spared:
            path.write_bytes(b"RIFF nothing")
    with pytest.raises(InputError, match="no sound of the class low that was to be learned can be used"):
        train(sounds, "tree", out=tmp_path / "models", jobs=1, name="again")
    assert len(files(tmp_path / "models")) == 3


def test_a_network_is_saved_as_weights_and_its_card_answers_as_it_did(sounds: Path, tmp_path: Path) -> None:
    trained = train(sounds, "cnn", epochs=1, out=tmp_path / "models")
    assert files(tmp_path / "models") == {"cnn.toml", "cnn.safetensors", "cnn.training.json"}
    victim = load_victim(trained.card)
    assert (victim.labels, victim.sample_rate) == (tuple(sorted(HZ)), 22050)
    right = 0
    for path in sorted(sounds.rglob("*.wav")):
        if any(path.stem[:-3] in held for held in trained.record["held_out"]):
            wave = torch.from_numpy(Clip.read(path).mono(22050))[None]
            right += victim.labels[int(victim.decide(wave))] == path.parent.name
    assert (right, trained.score.of) == (trained.score.right, 6)


@pytest.mark.parametrize(
    ("where", "model", "knobs", "says"),
    [
        ("embedded", "svm", {}, "did you mean svc"),
        ("embedded", "cnn", {}, "a network needs sounds"),
        ("embedded", "svc", {"through": "mp3=128"}, "--through mp3=128 needs sounds"),
        ("embedded", "svc", {"augment": "noise"}, "--augment noise needs sounds"),
        ("embedded", "svc", {"cache": Path("a.parquet")}, "--cache a.parquet needs sounds"),
        ("embedded", "svc", {"by": "font"}, "the split 'font' is not known"),
        ("embedded", "svc", {"tune": -1}, "a search of -1 settings"),
        ("embedded", "svc", {"epochs": 3}, "--epochs is of the network"),
        ("embedded", "svc", {"test": 1.5}, "above 0 and below 1"),
        ("sounds", "svc", {"through": "mp4"}, "did you mean mp3"),
        ("sounds", "svc", {"through": "lowpass=99999"}, "lowpass=99999: at 44100 Hz"),
        ("sounds", "cnn", {"through": "lowpass=16000"}, "lowpass=16000: at 22050 Hz"),
        ("sounds", "svc", {}, "sounds"),
        ("sounds", "cnn", {"tune": 3}, "--tune searches"),
        ("sounds", "cnn", {"cache": Path("a.parquet")}, "--cache keeps features"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    where: str, model: str, knobs: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=says):
        train(where, model, **knobs)
    assert files(tmp_path) == set()


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a\nb", "a b ", "x" * 101, "nul\0"])
def test_a_name_that_no_file_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be that of files"):
        Places.of(tmp_path, name)


@pytest.mark.parametrize("there", ["svc.toml", "svc.skops", "svc.training.json"])
def test_an_earlier_model_is_kept_and_the_refusal_comes_before_any_work(
    there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / there).write_text("mine")
    monkeypatch.setattr(train_module, "embedded_table", lambda: pytest.fail("work was done"))
    with pytest.raises(OutputError, match=f"{there} exists already"):
        train("embedded", "svc", out=tmp_path)
    assert files(tmp_path) == {there}
    assert (tmp_path / there).read_text() == "mine"


def test_force_replaces_an_earlier_model_and_leaves_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "tree.toml").write_text("mine")
    load_victim(train("embedded", "tree", out=tmp_path, force=True).card)
    assert files(tmp_path) == {"tree.toml", "tree.skops", "tree.training.json"}


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("embedded", "tree", tune=2, out=tmp_path / "models", progress=interrupt)
    assert files(tmp_path) == set()


def test_a_search_is_recorded_whole(tmp_path: Path) -> None:
    trained = train("embedded", "tree", tune=3, out=tmp_path)
    tried = trained.record["search"]
    assert [len(one["accuracies"]) for one in tried] == [5, 5, 5]
    best = max(tried, key=lambda one: np.mean(one["accuracies"]))
    assert trained.record["parameters"] == best["parameters"]


def test_a_data_set_with_a_line_break_in_its_name_leaves_a_card_that_can_be_read(sounds: Path, tmp_path: Path) -> None:
    odd = sounds.rename(tmp_path / 'two\nkind = "python"\x7f lines')
    card = train(odd, "tree", out=tmp_path / "models", jobs=1).card
    assert tomllib.loads(card.read_text("utf-8"))["kind"] == "sklearn"
    load_victim(card)
