"""What an audit asks of whom: a clip that failed keeps its place, and classes that nobody attacks are named."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.campaign.kit import audit_of, scored, sha

from subterfuge.campaign.cases import Case
from subterfuge.campaign.planning import Heard, cases_of, heard_of
from subterfuge.campaign.protocol import Protocol
from subterfuge.campaign.rows import Row
from subterfuge.training.examples import Dataset, Example

CLASSES = tuple(f"class {k:02d}" for k in range(15))
VICTIM: Any = SimpleNamespace(labels=CLASSES)


def told(name: str, label: str | None, state: str) -> Row:
    row = scored(name, label, label or CLASSES[0], state=state if state in ("done", "left") else "failed")
    error = "VictimError: it was busy" if state == "busy" else row.error
    return Row(row.job, row.key, row.state, row.result, error)


def drawn(
    states: dict[str, str], clips: int = 5, targets: int = 1, label: bool = True, known: Collection[str] = CLASSES
) -> tuple[tuple[Case, ...], list[str]]:
    """Give the cases of two clips a class, some of which were not scored, and what is noted."""
    names = {f"{one}-{k}": one if label else None for one in CLASSES for k in range(2) if one in known}
    heard = [Heard(Example(Path(f"/clips/{name}"), of or "", name), name, sha(name)) for name, of in names.items()]
    audit = audit_of([told(name, of, states.get(name, "done")) for name, of in names.items()])
    notes: list[str] = []
    return cases_of(audit, heard, VICTIM, Protocol("quick", clips, targets, 99, 1, 1), 0, notes)[0], notes


def pairs(cases: tuple[Case, ...]) -> set[tuple[str, str]]:
    return {(case.path.name, case.target) for case in cases}


def test_a_clip_that_failed_keeps_its_place_and_is_told() -> None:
    whole, _ = drawn({})
    name = whole[2].path.name
    for state in ("busy", "left"):
        cases, notes = drawn({name: state})
        assert pairs(whole) - pairs(cases) == {(name, whole[2].target)}
        assert pairs(cases) < pairs(whole), "no other came in its place, so none falls out when it is done again"
        assert any("1 clip that was drawn was not scored" in note for note in notes)


def test_a_sound_that_is_none_is_replaced_and_moves_no_other() -> None:
    whole, _ = drawn({})
    cases, notes = drawn({whole[2].path.name: "ClipError"})
    assert len(pairs(cases)) == 5
    assert len(pairs(cases) & pairs(whole)) == 4
    assert not any("not scored" in note for note in notes)


def test_without_labels_a_clip_that_failed_moves_no_other_either() -> None:
    whole, _ = drawn({}, label=False)
    cases, _ = drawn({whole[0].path.name: "busy"}, label=False)
    assert pairs(cases) == pairs(whole) - {(whole[0].path.name, whole[0].target)}


def test_classes_that_are_not_attacked_are_named_with_what_attacks_them() -> None:
    cases, notes = drawn({}, clips=3)
    (note,) = notes
    assert note.startswith("no clip of 12 of 15 classes is attacked (class ")
    assert "and 2 more" in note
    assert "--clips 15 attacks one of each" in note
    assert not any(f"{case.label}," in note for case in cases)
    assert len({case.label for case in drawn({}, clips=15)[0]}) == 15
    assert drawn({}, clips=15)[1] == []


def test_the_sounds_of_a_smaller_number_are_among_those_of_a_larger_and_others_do_not_move_them(tmp_path: Path) -> None:
    for k in range(12):
        (tmp_path / f"{k}.wav").write_bytes(bytes([k]))
    every = [Example(tmp_path / f"{k}.wav", CLASSES[k % 3], str(k)) for k in range(12)]

    def names(examples: list[Example], most: int) -> set[str]:
        return {one.name for one in heard_of(Dataset("made up", tuple(examples)), most, 0, CLASSES, [])}

    few = names(every, 5)
    assert len(few) == 5
    assert few < names(every, 9)
    for gone in every:
        rest = [one for one in every if one is not gone]
        assert few - names(rest, 5) == few & {gone.path.name}
