"""The command `evaluate`: a victim that hears three bands, and sounds that are loudest in one of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.world import RATE, card, run, tree

HZ = {"low": 500, "middle": 1500, "high": 2600}


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Two recordings of two excerpts of each band; one excerpt of the last is in the wrong folder."""
    folder = tmp_path / "sounds"
    for label, hz in HZ.items():
        (folder / label).mkdir(parents=True)
        for recording in (1, 2):
            for excerpt in (1, 2):
                wrong = (label, recording, excerpt) == ("high", 2, 2)
                level = 0.3 - 0.01 * (2 * recording + excerpt) - 0.1 * (wrong or label == "middle")
                tone = level * np.sin(2 * np.pi * (500 if wrong else hz) * np.arange(RATE // 4) / RATE)
                soundfile.write(folder / label / f"[{label}]000{recording}__{excerpt}.wav", tone, RATE)
    return folder


@pytest.fixture
def bands(tmp_path: Path) -> Path:
    return card(tmp_path / "cards")


def held_out(bands: Path, sounds: Path) -> None:
    """Write the record of a training that held the second recording of each class out, by their groups."""
    from subterfuge.training.datasets import read_dataset

    groups = sorted({one.group for one in read_dataset(sounds).examples if "0002" in one.path.name})
    assert len(groups) == 3
    bands.with_name("bands.training.json").write_text(json.dumps({"held_out": groups}))


def test_it_tells_accuracy_classes_and_what_is_taken_for_what(bands: Path, sounds: Path) -> None:
    said = run("evaluate", bands, sounds)
    assert said.code == 0, said.err
    assert "bands is right in 11 of 12 clips: 91.7 %" in said.out
    assert "drawing its 6 recordings" in said.out
    assert "expected calibration error" in said.out
    rows = [line.split() for line in said.out.splitlines()]
    assert ["low", "4", "5", "0.800", "1.000", "0.889"] in rows
    assert ["high", "1", ".", "3"] in rows


def test_json_is_all_that_is_printed_and_holds_the_same(bands: Path, sounds: Path) -> None:
    said = run("evaluate", bands, sounds, "--json")
    found = json.loads(said.out)
    assert (found["hits"], found["clips"], found["recordings"], found["macro_f1"]) == (
        11,
        12,
        6,
        pytest.approx(0.9153439),
    )
    assert found["confusion"] == [[4, 0, 0], [0, 4, 0], [1, 0, 3]]


def test_out_holds_the_record_and_the_pictures_and_nothing_is_overwritten_unasked(
    bands: Path, sounds: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    out = tmp_path / "out"
    said = run("evaluate", bands, sounds, "--out", out)
    assert said.code == 0, said.err
    assert sorted(tree(out)) == ["classes.png", "confusion.png", "evaluation.json", "reliability.png"]
    assert json.loads((out / "evaluation.json").read_text())["hits"] == 11
    before = tree(out)
    said = run("evaluate", bands, sounds, "--out", out)
    assert (said.code, "exists already" in said.err) == (2, True)
    assert tree(out) == before
    again = run("evaluate", card(bands.parent, "uncertain"), sounds, "--out", out, "--force")
    assert again.code == 0, again.err
    assert sorted(tree(out)) == ["classes.png", "confusion.png", "evaluation.json"]  # no picture of the earlier victim


def test_out_that_is_a_file_is_refused_before_any_work(bands: Path, sounds: Path) -> None:
    said = run("evaluate", bands, sounds, "--out", bands)
    assert (said.code, "a folder was expected" in said.err) == (2, True)


def test_only_what_the_training_held_out_is_asked_about(bands: Path, sounds: Path) -> None:
    said = run("evaluate", bands, sounds, "--only-held-out")
    assert (said.code, "no record of a training" in said.err) == (2, True)
    held_out(bands, sounds)
    said = run("evaluate", bands, sounds, "--only-held-out", "--json")
    assert json.loads(said.out)["clips"] == 6
    moved = bands.with_name("bands.training.json").rename(bands.with_name("elsewhere.training.json"))
    said = run("evaluate", bands, sounds, "--held-out", moved, "--json")
    assert (json.loads(said.out)["clips"], json.loads(said.out)["hits"]) == (6, 5)


def test_clips_that_the_training_may_have_heard_are_told(bands: Path, sounds: Path) -> None:
    held_out(bands, sounds)
    said = run("evaluate", bands, sounds)
    assert "6 of 12 clips are of recordings that the training did not hold out" in " ".join(said.err.split())


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ("hash", "held out, and this is the set that it learned from (moved): the figure is of what it learned"),
        ("name", "held out, and this is the set that it learned from ("),
        ("other", "held out: if they are of the set that it learned from (others), the figure is of what it learned"),
        ("nothing", "held out: if they are of the set that it learned from, the figure is of what it learned"),
    ],
)
def test_an_accuracy_on_what_was_learned_is_never_told_without_a_word(
    bands: Path, sounds: Path, about: str, says: str
) -> None:
    from subterfuge.training.datasets import read_dataset

    data = read_dataset(sounds)
    known = {
        "hash": {"name": "moved", "names_sha256": data.names_sha256},
        "name": {"name": data.name, "names_sha256": "0"},
        "other": {"name": "others", "names_sha256": "0"},
        "nothing": {},
    }
    record = {"held_out": []} | ({"data": known[about]} if known[about] else {})
    bands.with_name("bands.training.json").write_text(json.dumps(record))
    said = run("evaluate", bands, sounds)
    assert said.code == 0
    assert f"none of the 12 clips is of a recording that the training {says}" in " ".join(said.err.split())


def test_the_hash_of_a_set_goes_by_its_names_and_is_that_of_the_record(tmp_path: Path, sounds: Path) -> None:
    from subterfuge.training.datasets import read_dataset

    before = read_dataset(sounds).names_sha256
    moved = sounds.rename(tmp_path / "moved")
    assert read_dataset(moved).names_sha256 == before
    assert run("train", moved, "--model", "tree", "--out", tmp_path / "models").code == 0
    record = json.loads((tmp_path / "models" / "tree.training.json").read_text(encoding="utf-8"))
    assert record["data"]["names_sha256"] == before
    (moved / "low" / "[low]0001__1.wav").rename(moved / "low" / "[low]0007__1.wav")
    assert read_dataset(moved).names_sha256 != before


def test_labels_that_do_not_match_the_card_are_named(bands: Path, sounds: Path) -> None:
    (sounds / "high").rename(sounds / "hihg")
    said = run("evaluate", bands, sounds)
    assert said.code == 2
    assert "does not know hihg, of 4 clips" in said.err
    assert "did you mean high" in said.err


def test_a_damaged_file_is_named_and_counted_and_never_fatal(bands: Path, sounds: Path) -> None:
    bad = sounds / "low" / "[low]0009__1.wav"
    bad.write_bytes(b"RIFF and no more")
    said = run("evaluate", bands, sounds)
    assert said.code == 0
    assert "11 of 12 clips" in said.out
    assert f"left out: {bad}" in said.out


def test_a_bar_that_is_missed_ends_in_1(bands: Path, sounds: Path) -> None:
    assert run("evaluate", bands, sounds, "--fail-under", "0.9").code == 0
    said = run("evaluate", bands, sounds, "--fail-under", "0.95")
    assert (said.code, "0.917 is under --fail-under 0.95" in said.err) == (1, True)


def test_a_victim_of_labels_alone_is_evaluated_without_calibration(bands: Path, sounds: Path) -> None:
    said = run("evaluate", card(bands.parent, "label"), sounds)
    assert said.code == 0, said.err
    assert "11 of 12 clips" in said.out
    assert "no calibration" in said.out


def test_a_victim_that_dies_ends_in_4(tmp_path: Path, sounds: Path) -> None:
    dying = card(tmp_path / "cards", "raises").read_text().replace("dies_after = 15", "dies_after = 3")
    (tmp_path / "cards" / "dying.toml").write_text(dying)
    said = run("evaluate", tmp_path / "cards" / "dying.toml", sounds)
    assert (said.code, "the bands broke" in said.err) == (4, True)
