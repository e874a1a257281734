"""What a user names becomes clips: each once, with the label that it has, under a name of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.world import clip

from subterfuge.campaign.clips import names_of, read_clips
from subterfuge.errors import InputError


def test_a_flat_folder_has_the_labels_that_the_names_tell_and_no_others(tmp_path: Path) -> None:
    clip(tmp_path / "[cel]1.wav"), clip(tmp_path / "other.wav")
    (tmp_path / "notes.txt").write_text("no sound")
    found = read_clips([tmp_path])
    assert [(one.path.name, one.label) for one in found.examples] == [("[cel]1.wav", "cel"), ("other.wav", "")]
    assert [Path(one.partition(":")[0]).name for one in found.skipped] == ["notes.txt"]


def test_folders_of_classes_sounds_and_the_embedded_set_can_be_named_together(tmp_path: Path) -> None:
    (tmp_path / "set" / "low").mkdir(parents=True)
    clip(tmp_path / "set" / "low" / "a.wav"), clip(tmp_path / "b.wav")
    found = read_clips([tmp_path / "set", tmp_path / "b.wav", "embedded"])
    assert [one.label for one in found.examples[:2]] == ["low", ""]
    assert len(found) == 13
    assert all(one.path.is_absolute() for one in found.examples)


def test_a_sound_that_is_named_twice_is_one_clip(tmp_path: Path) -> None:
    one = clip(tmp_path / "a.wav")
    assert len(read_clips([one, tmp_path, one])) == 1


@pytest.mark.parametrize("what", ["missing.wav", "missing", "empty"])
def test_nothing_to_hear_is_one_sentence(tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=what):
        read_clips([tmp_path / what])
    with pytest.raises(InputError, match="no clips were named"):
        read_clips([])


def test_two_clips_of_one_name_are_told_apart_by_as_many_folders_as_it_takes() -> None:
    paths = [Path(one) for one in ("/a/x/1.wav", "/b/x/1.wav", "/b/y/1.wav", "/b/y/2.wav")]
    names = names_of(paths)
    assert [names[path] for path in paths] == ["a/x/1.wav", "b/x/1.wav", "y/1.wav", "2.wav"]
    assert len(set(names.values())) == 4
