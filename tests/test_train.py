"""The command `train`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.world import run

from subterfuge.victims import load_victim


def test_a_newcomer_trains_a_model_with_one_command(tmp_path: Path) -> None:
    said = run("train", "embedded", "--model", "logistic", "--split", "both", "--out", tmp_path)
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[-1] == str(tmp_path / "logistic.toml")
    assert [line.split()[0] for line in lines if " of 36" in line] == list(load_victim(lines[-1]).labels)
    assert sum("95 % interval" in line for line in lines) == 2
    assert "which flatters" in lines[-2]


def test_json_is_the_record_and_the_card(tmp_path: Path) -> None:
    said = run("train", "embedded", "--model", "tree", "--tune", "2", "--out", tmp_path, "--json")
    told = json.loads(said.out)
    assert (said.code, told["card"], told["model"]) == (0, str(tmp_path / "tree.toml"), "tree")
    assert told["parameters"]
    written = json.loads((tmp_path / "tree.training.json").read_text())
    assert written["held_out"] == told["held_out"]


def test_a_search_tells_what_it_found_and_of_its_progress(tmp_path: Path) -> None:
    said = run("train", "embedded", "--model", "tree", "--tune", "2", "--out", tmp_path, terminal=True)
    assert "found by the search of 2: criterion = " in said.out
    assert "tree, search: 7 of 10" in said.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["embedded", "--model", "cnn"], "a network needs sounds"),
        (["embedded", "--model", "svm"], "did you mean svc"),
        (["nowhere"], "nowhere"),
        (["embedded", "--name", "a/b"], "cannot be that of files"),
        (["embedded", "--test", "0"], "above 0 and below 1"),
    ],
)
def test_a_mistake_is_one_paragraph_and_exit_code_2(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = run("train", *words)
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_class_with_one_recording_is_told_with_the_way_out(tmp_path: Path) -> None:
    for label, count in (("a", 4), ("b", 1)):
        (tmp_path / label).mkdir()
        for k in range(count):
            (tmp_path / label / f"{label}{k}__1.wav").write_bytes(b"RIFF")
            (tmp_path / label / f"{label}{k}__2.wav").write_bytes(b"RIFF")
    said = run("train", tmp_path, "--out", tmp_path / "models")
    assert said.code == 2
    assert "class 'b' has 1 recording" in said.err
    assert "--split random" in said.err
