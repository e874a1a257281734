"""A whole run: before and after on the same cases, kept as it goes, the same however often it was ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile
from tests.harden.kit import SIGHTED, sounds
from tests.world import LABELS, card, tree

from subterfuge.errors import InputError, OutputError
from subterfuge.harden import EFFORTS, HEAD, harden, markdown, rows_of
from subterfuge.harden.sides import askable, sides
from subterfuge.training.datasets import read_dataset
from subterfuge.training.examples import Dataset
from subterfuge.training.train import train
from subterfuge.victims import load_victim


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EFFORTS, "quick", SIGHTED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sounds(tmp_path_factory.mktemp("sounds"), recordings=3, excerpts=1)


def run(folder: Path, place: Path, words: str = "lowpass=3000", **about: Any) -> Any:
    """Harden the bands; the place holds cards and what comes out."""
    known = {"effort": "quick", "clips": 2, "masked": False, "transfer_db": None}
    data = about.pop("data", None) or read_dataset(folder)
    return harden(about.pop("card", None) or card(place / "cards"), data, words, out=place / "out", **(known | about))


def settled(path: Path, place: Path) -> Any:
    """Read a result without its seconds and without where it was made."""
    text = path.read_text(encoding="utf-8").replace(str(place), "HERE")

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(one) for key, one in value.items() if key != "seconds"}
        return [strip(one) for one in value] if isinstance(value, list) else value

    return strip(json.loads(text))


class Ended(Exception):
    """As a crash would."""


def ending(after: int) -> Callable[[str, int, int], None]:
    calls = []

    def tell(what: str, done: int, total: int) -> None:
        calls.append(what)
        if len(calls) == after:
            raise Ended

    return tell


def test_before_and_after_stand_on_the_same_cases_with_the_attack_that_does_not_adapt(
    folder: Path, tmp_path: Path
) -> None:
    found = run(folder, tmp_path, "lowpass=3000,smooth=0.001", transfer_db=18.0)
    before, *after = found.victims
    assert [one.name for one in found.victims] == ["undefended", "lowpass=3000", "smooth=0.001"]
    assert all(one.strength.cases == before.strength.cases for one in after)
    assert before.strength.won == before.strength.asked == 2
    assert all(case.found_elsewhere_db is None for case in before.strength.faced)
    assert all(case.found_elsewhere_db is not None for case in after[0].strength.faced)
    assert found.gain_db(before) == 0.0
    assert found.transfer is not None
    assert found.transfer.names == ("bands", "lowpass=3000", "smooth=0.001")
    proven = after[1].certified
    assert proven is not None
    assert proven["broken"] == 0
    assert len(proven["clips"]) == 2
    out = tmp_path / "out"
    assert {"harden.json", "harden.md", "setting.json", "cases.jsonl", "lowpass=3000.toml", "sounds"} <= {
        path.name for path in out.iterdir()
    }
    told = json.loads((out / "harden.json").read_text())
    assert told["notes"].count("the run is not finished") == 0
    assert [one["defence"] for one in told["victims"]] == ["undefended", "lowpass=3000", "smooth=0.001"]
    assert (out / "harden.md").read_text() == markdown(found)
    assert all(len(row) == len(HEAD) for row in rows_of(found))
    assert rows_of(found)[0][HEAD.index("clean")] == "100 %"


@pytest.mark.parametrize("after", [12])
def test_a_run_that_was_ended_goes_on_and_comes_to_the_same(folder: Path, tmp_path: Path, after: int) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(folder, whole)
    with pytest.raises(Ended):
        run(folder, parts, tell=ending(after))
    kept = (parts / "out" / "cases.jsonl").read_bytes() if (parts / "out" / "cases.jsonl").exists() else b""
    run(folder, parts)
    assert (parts / "out" / "cases.jsonl").read_bytes().startswith(kept), "what was done is not done again"
    assert settled(parts / "out" / "harden.json", parts) == settled(whole / "out" / "harden.json", whole)


def test_two_processes_come_to_the_same_as_one(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    one, two = tmp_path / "one", tmp_path / "two"
    run(folder, one, clips=1)
    run(folder, two, clips=1, jobs=2)
    assert settled(one / "out" / "harden.json", one) == settled(two / "out" / "harden.json", two)


def test_a_folder_of_another_run_or_of_something_else_is_refused_and_kept(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(folder, tmp_path, clips=1)
    before = tree(out)
    with pytest.raises(OutputError, match="tells of another run"):
        run(folder, tmp_path, clips=1, seed=1)
    assert tree(out) == before
    run(folder, tmp_path, clips=1, seed=1, force=True)
    other = tmp_path / "other"
    (other / "out").mkdir(parents=True)
    (other / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds something else already"):
        run(folder, other)
    assert tree(other / "out") == {"thesis.txt": b"mine"}
    (tmp_path / "third").mkdir()
    (tmp_path / "third" / "out").write_text("a file")
    with pytest.raises(OutputError, match="is a file; a folder was expected"):
        run(folder, tmp_path / "third")


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"words": "noise"}, "noise teaches the victim anew, and bands"),
        ({"effort": "quik"}, "effort 'quik' is not known; did you mean quick"),
        ({"clips": 0}, "0 clips"),
        ({"targets": 3}, "3 targets a clip: from 1 to 2"),
        ({"test_clips": 0}, "0 test clips"),
        ({"beside": ["nowhere.toml"]}, "there is no card"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    folder: Path, tmp_path: Path, about: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        run(folder, tmp_path, **about)
    assert not (tmp_path / "out").exists()


def test_corrupt_clips_are_named_left_out_and_never_fatal(folder: Path, tmp_path: Path) -> None:
    data = read_dataset(folder)
    _, held, _ = sides(tmp_path / "it.toml", data, 0, [], False)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF no sound")
    some = list(data.examples)
    some[held[0]] = replace(some[held[0]], path=broken)
    about = "empty: a folder of a class without a sound"
    found = run(folder, tmp_path, data=Dataset("mixed", tuple(some), (about,)), clips=9, transfer_db=10.0)
    for one in found.victims:
        assert (one.strength.clean["of"], len(one.strength.clean["skipped"])) == (len(held) - 1, 1)
        assert broken not in {case.path for case in one.strength.cases}
        assert len(one.strength.faced) == len(held) - 1
        assert all(faced.failed is None for faced in one.strength.faced)
    assert found.notes[0] == about
    assert sum(note.startswith("left out: ") and "broken.wav" in note for note in found.notes) == 1
    assert found.transfer is not None
    assert found.transfer.skipped == ()


def test_classes_that_the_card_does_not_know_are_told_and_left_out(folder: Path, tmp_path: Path) -> None:
    data = read_dataset(folder)
    some = tuple(replace(one, label="shrill") if one.label == "high" else one for one in data.examples)
    found = run(folder, tmp_path, data=Dataset("set", some))
    assert "3 clips are of classes that the victim does not know: shrill" in found.notes
    nothing = Dataset("set", tuple(replace(one, label=one.label.upper()) for one in data.examples))
    with pytest.raises(InputError, match="set has clips of HIGH, LOW, MIDDLE, and bands knows low, middle, high"):
        run(folder, tmp_path / "again", data=nothing)
    assert not (tmp_path / "again" / "out").exists()


def test_classes_that_nothing_teaches_are_no_targets_of_a_victim_that_is_taught_anew(
    tmp_path: Path,
) -> None:
    there = sounds(tmp_path / "sounds", recordings=4, excerpts=1, rate=44100)
    svc = train(there, "logistic", out=tmp_path / "svc", jobs=1).card
    svc.with_name("logistic.training.json").unlink()
    few = read_dataset(there)
    few = few.only([place for place, one in enumerate(few.examples) if one.label != "high"])
    notes: list[str] = []
    assert askable(load_victim(svc), few, notes) == ("low", "middle")
    assert notes == ["no clip teaches the classes high, which the victim knows: they are no targets"]
    with pytest.raises(InputError, match="teaches 1 of the classes that"):
        askable(load_victim(svc), few.only([0]), [])
    found = run(there, tmp_path, "requantise=12", card=svc, data=few, clips=1)
    assert notes[0] in found.notes
    assert {case.target for case in found.victims[0].strength.cases} <= {"low", "middle"}
    assert found.victims[1].strength.asked == 1


def test_victims_of_other_labels_are_left_out_of_the_matrix_and_told(folder: Path, tmp_path: Path) -> None:
    found = run(folder, tmp_path, "requantise=12,detector", clips=1, transfer_db=18.0)
    assert found.transfer is not None
    assert found.transfer.names == ("bands", "requantise=12")
    assert "not in the transfer matrix, for its other labels: detector" in found.notes
    assert found.victims[2].strength.asked == 1


def test_sounds_that_won_are_there_and_answered_so(folder: Path, tmp_path: Path) -> None:
    found = run(folder, tmp_path)
    for one in found.victims:
        for case, faced in zip(one.strength.cases, one.strength.faced, strict=True):
            won = faced.attempts["targeted"]
            assert won.won
            assert won.answer == case.target
            assert soundfile.info(won.file).samplerate == 8000
    assert set(LABELS) >= {case.label for case in found.victims[0].strength.cases}
