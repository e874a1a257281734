"""The command `train`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from tests.harden.kit import sounds
from tests.world import card, run

from subterfuge.training.families import fit
from subterfuge.training.saving import Places, save
from subterfuge.training.tables import embedded_table
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
            (tmp_path / label / f"{label}{k}__1.wav").write_bytes(b"RIFF" + bytes(k + 1))
            (tmp_path / label / f"{label}{k}__2.wav").write_bytes(b"JUNK" + bytes(k + 1))
    said = run("train", tmp_path, "--out", tmp_path / "models")
    assert said.code == 2
    assert "class 'b' has 1 recording" in said.err
    assert "--split random" in said.err


def test_clips_that_are_numbered_and_no_excerpts_are_learned_with_the_word_that_the_refusal_names(
    tmp_path: Path,
) -> None:
    folder = sounds(tmp_path / "sounds", recordings=4, excerpts=1)
    for k, path in enumerate(sorted(folder.rglob("*.wav"))):
        path.rename(path.with_name(f"{path.parent.name}_{k % 4:02d}.wav"))
    words = ("train", folder, "--model", "tree", "--out", tmp_path)
    said = run(*words)
    assert (said.code, said.out) == (2, "")
    assert "If each file is a recording of its own, say so: --group '.*'" in said.err
    said = run(*words, "--group", ".*")
    assert said.code == 0, said.err
    assert json.loads((tmp_path / "tree.training.json").read_text())["data"]["recordings"] == 12


def odd_name(folder: Path) -> None:
    """Put a sound into a class whose name is no UTF-8."""
    if sys.platform in ("darwin", "win32"):
        pytest.skip("this system has no names that are no Unicode")
    with open(os.fsencode(folder) + b"/[cel][x]90\xff18__1.wav", "wb") as file:
        file.write(b"RIFF")


def test_a_name_that_is_no_unicode_is_left_out_told_and_recorded(tmp_path: Path) -> None:
    folder = sounds(tmp_path / "sounds", recordings=3, excerpts=1)
    odd_name(folder / "low")
    one = f"{folder / 'low'}/[cel][x]90\\xff18__1.wav: its name is no Unicode; rename it."
    said = run("train", folder, "--model", "tree", "--out", tmp_path, "--json")
    assert (said.code, json.loads(said.out)["data"]["skipped"]) == (0, [one])
    said = run("evaluate", card(tmp_path / "cards"), folder, "--json")
    assert (said.code, json.loads(said.out)["skipped"]) == (0, [one])
    assert f"left out: {one}" in " ".join(run("evaluate", card(tmp_path / "cards"), folder).out.split())
    assert r"90\\xff18" in (tmp_path / "tree.training.json").read_text(encoding="utf-8")


def test_a_record_that_cannot_be_written_leaves_no_model_without_a_card(tmp_path: Path) -> None:
    fitted = fit("tree", embedded_table())
    with pytest.raises(ValueError, match="JSON"):
        save(fitted, Places.of(tmp_path / "out", "tree"), sample_rate=44100, record={"score": float("nan")})
    assert not (tmp_path / "out").exists()
    record = {"note": "a lone \udcff"}
    save(fitted, Places.of(tmp_path / "out", "tree"), sample_rate=44100, record=record)
    assert json.loads((tmp_path / "out" / "tree.training.json").read_text(encoding="utf-8"))["note"] == record["note"]
