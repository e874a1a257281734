"""What an audit has done is kept: a crash costs the line that it cut, and damage is never taken for work."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subterfuge.errors import InputError, OutputError
from subterfuge.harden.memory import Memory, key_of


def filled(path: Path) -> bytes:
    memory = Memory(path)
    for place in range(3):
        memory.keep(f"key {place}", {"place": place, "text": "ä"})
    return path.read_bytes()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("memory") / "cases.jsonl"


@given(st.data())
def test_a_line_that_was_cut_off_is_dropped_and_the_rest_goes_on(place: Path, data: st.DataObject) -> None:
    place.unlink(missing_ok=True)
    raw = filled(place)
    end = data.draw(st.integers(0, len(raw)))
    place.write_bytes(raw[:end])
    memory = Memory(place)
    whole = raw[:end].count(b"\n")
    assert [memory.get(f"key {number}") is not None for number in range(3)] == [number < whole for number in range(3)]
    memory.keep("after", 1)
    again = Memory(place)
    assert again.get("after") == 1
    assert place.read_bytes().count(b"\n") == whole + 1


@pytest.mark.parametrize("damage", [b"\x00\xff", b"[]", b'"text"', b'{"value": 1}', b'{"key": "k"}', b"", b"{" * 5000])
def test_damage_elsewhere_is_told_with_its_line_and_left_as_it_is(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "cases.jsonl"
    first, _second, third = filled(path).splitlines(keepends=True)
    path.write_bytes(first + damage + b"\n" + third)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"cases.jsonl, line 2, is not what an audit writes"):
        Memory(path)
    assert path.read_bytes() == before


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        Memory(tmp_path)


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    memory = Memory(tmp_path / "file" / "cases.jsonl")
    with pytest.raises(OutputError, match="what was done before is kept"):
        memory.keep("key", 1)


def test_without_a_file_it_remembers_for_as_long_as_it_lives() -> None:
    memory = Memory(None)
    memory.keep("key", [1])
    assert (memory.get("key"), memory.get("other")) == ([1], None)


def test_keys_tell_apart_what_is_cut_elsewhere() -> None:
    assert len({key_of("a", "bc"), key_of("ab", "c"), key_of("abc"), key_of("a", "b", "c"), key_of("a,", "bc")}) == 5
