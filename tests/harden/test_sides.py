"""Where the set is not the one that the victim learned, the record of its training does not say what to hold out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from subterfuge.harden.sides import sides
from subterfuge.training.examples import Dataset, Example

HELD = {"a3", "b3"}


def some(name: str = "set", recordings: int = 4, labels: str = "ab") -> Dataset:
    """Give a set of so many recordings of each class, two excerpts of each."""
    names = [(label, f"{label}{place}", part) for label in labels for place in range(recordings) for part in (1, 2)]
    return Dataset(name, tuple(Example(Path(f"{group}__{part}.wav"), label, group) for label, group, part in names))


def card(folder: Path, taught_on: Dataset, /, **about: Any) -> Path:
    """Write the record of a training on a set beside a card that is not there."""
    taught = sum(one.group not in HELD for one in taught_on.examples)
    names = taught_on.names_sha256
    record = {
        "held_out": sorted(HELD),
        "data": {"name": taught_on.name, "sounds": len(taught_on), "names_sha256": names, "skipped": []},
        "taught": {"rows": taught, "sounds": taught},
    }
    (folder / "svc.training.json").write_text(json.dumps(record | about))
    return folder / "svc.toml"


def groups(data: Dataset, places: list[int]) -> set[str]:
    return {data.examples[place].group for place in places}


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"taught": {"sounds": 12}},
        {"taught": {"sounds": 11}, "data": {"skipped": ["a0__1.wav: broken"]}},
        {"data": None, "taught": None},
        {"data": None, "taught": None, "clips": 12},
        {"data": {"name": "set"}, "taught": []},
    ],
)
def test_the_set_that_the_victim_learned_is_cut_as_it_was(tmp_path: Path, about: dict[str, Any]) -> None:
    notes: list[str] = []
    learned, tried, recorded = sides(card(tmp_path, some(), **about), some("elsewhere"), 0, notes, True)
    assert (recorded, notes) == (True, [])
    assert groups(some(), tried) == HELD
    assert len(learned) == 12


def test_a_larger_set_is_cut_anew_with_what_was_held_out_still_so_and_told(tmp_path: Path) -> None:
    larger = some("larger", 20)
    notes: list[str] = []
    learned, tried, recorded = sides(card(tmp_path, some()), larger, 0, notes, True)
    assert not recorded, "the victim is to be taught anew"
    assert notes == [
        "the record of the victim's training is of another set (16 clips of set) than larger (80 clips): what it held "
        "out stays so, and the rest was split anew"
    ]
    assert groups(larger, tried) > HELD
    assert not groups(larger, tried) & groups(larger, learned)
    assert sorted([*learned, *tried]) == list(range(80))
    assert 18 <= len(tried) <= 22
    assert {one.label for one in larger.only(learned).examples} == {"a", "b"}
    assert sides(card(tmp_path, some()), larger, 0, [], True) == (learned, tried, False)
    assert sides(card(tmp_path, some()), larger, 1, [], True)[1] != tried


def test_a_part_of_the_set_keeps_its_sides_but_the_victim_is_taught_that_part(tmp_path: Path) -> None:
    less = some("less", 4).only([place for place, one in enumerate(some().examples) if one.group != "a0"])
    learned, tried, recorded = sides(card(tmp_path, some()), less, 0, [], True)
    assert not recorded
    assert groups(less, tried) == HELD
    assert groups(less, learned) == {"a1", "a2", "b0", "b1", "b2"}


def test_a_class_of_which_nothing_was_held_out_is_tried_on_too(tmp_path: Path) -> None:
    more = some("more", 4, "abc")
    learned, tried, recorded = sides(card(tmp_path, some()), more, 0, [], True)
    assert not recorded
    assert {one.label for one in more.only(tried).examples} == {"a", "b", "c"}
    assert {one.label for one in more.only(learned).examples} == {"a", "b", "c"}


@pytest.mark.parametrize("about", [{"taught": {"sounds": 8}}, {"data": None, "taught": None, "clips": 8}])
def test_a_victim_that_was_taught_fewer_clips_than_the_defences_would_be_is_taught_anew(
    tmp_path: Path, about: dict[str, Any]
) -> None:
    notes: list[str] = []
    _, tried, recorded = sides(card(tmp_path, some(), **about), some(), 0, notes, True)
    assert not recorded
    assert groups(some(), tried) == HELD
    assert "the victim's record tells of 8 clips that were taught, and 12 of set are of recordings" in notes[0]


def test_a_victim_that_cannot_be_taught_is_tried_on_what_it_surely_never_heard(tmp_path: Path) -> None:
    larger = some("larger", 20)
    notes: list[str] = []
    _, tried, recorded = sides(card(tmp_path, some()), larger, 0, notes, False)
    assert (recorded, notes) == (True, [])
    assert groups(larger, tried) == HELD
