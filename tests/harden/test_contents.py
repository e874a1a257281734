"""Victims are taught anew where what they learn was rendered anew, and no file is read twice for that."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.harden.kit import sounds, tone

from subterfuge.errors import OutputError
from subterfuge.harden import build, harden
from subterfuge.harden import contents as module
from subterfuge.harden.build import Workshop, built
from subterfuge.harden.contents import Contents
from subterfuge.harden.defences import parse_defence
from subterfuge.harden.memory import Memory
from subterfuge.training.datasets import read_dataset
from subterfuge.training.train import train
from subterfuge.victims import load_victim

RATE = 44100


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with sounds and an SVC that learned them."""
    home = tmp_path_factory.mktemp("made")
    train(sounds(home / "sounds", recordings=3, excerpts=1, rate=RATE), "svc", out=home, jobs=1)
    return home


def test_clips_that_were_rendered_anew_in_the_same_size_teach_a_defence_anew(
    tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(made / "sounds", tmp_path / "sounds"))
    base = made / "svc.toml"
    calls: list[str] = []
    monkeypatch.setattr(build, "_taught", lambda *about: calls.append(about[1].name) or base)

    def asked(word: str) -> None:
        data = read_dataset(folder)
        shop = Workshop(data, tuple(range(len(data))), made)
        built(load_victim(base), base, parse_defence(word), shop, memory)

    memory = Memory(None)
    asked("lowpass=3000")
    asked("lowpass=3000")
    assert calls == ["lowpass=3000"]
    one = next(folder.rglob("*.wav"))
    before = one.stat()
    tone(one, "middle", seed=99, rate=RATE)
    os.utime(one, ns=(before.st_atime_ns, before.st_mtime_ns + 10**6))
    assert one.stat().st_size == before.st_size
    asked("lowpass=3000")
    assert calls == ["lowpass=3000"] * 2


def test_a_folder_of_a_run_on_other_sounds_of_the_same_names_is_refused(tmp_path: Path) -> None:
    from tests.world import card

    folder, victim = sounds(tmp_path / "sounds", recordings=2, excerpts=1), card(tmp_path / "cards")
    asked: dict[str, Any] = {"out": tmp_path / "out", "clips": 1, "effort": "quick", "transfer_db": None}

    class Begun(Exception):
        pass

    def tell(what: str, done: int, total: int) -> None:
        if what.endswith("clean clips"):
            raise Begun

    for again in (False, True):
        with pytest.raises(Begun):
            harden(victim, read_dataset(folder), "detector", tell=tell, force=again, **asked)
        for one in folder.rglob("*.wav"):
            tone(one, "high", seed=7 + again)
        with pytest.raises(OutputError, match="another run"):
            harden(victim, read_dataset(folder), "detector", tell=tell, **asked)


def test_a_file_is_read_once_until_its_size_or_time_changes_and_gone_files_hold_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    truly = module.content_of
    monkeypatch.setattr(module, "content_of", lambda file: read.append(str(file)) or truly(file))
    some = [tmp_path / "a", tmp_path / "b"]
    for one in some:
        one.write_bytes(b"the same")
    first = Contents(tmp_path)
    whole = first.of_all(some)
    first.keep()
    assert (len(read), Contents(tmp_path).of_all(some), len(read)) == (2, whole, 2)
    assert first.of(some[0]) == first.of(some[1]) != ""
    some[0].write_bytes(b"not same")
    os.utime(some[0], ns=(0, 1))
    assert Contents(tmp_path).of_all(some) != whole
    assert len(read) == 3
    assert Contents(tmp_path).of(tmp_path / "gone") == ""


@pytest.mark.parametrize("damage", ["{", "[]", '{"a": 1}', "\udcff"])
def test_hashes_that_cannot_be_read_are_found_again(tmp_path: Path, damage: str) -> None:
    (tmp_path / "a").write_bytes(b"it")
    (tmp_path / "contents.json").write_bytes(damage.encode("utf-8", "surrogateescape"))
    found = Contents(tmp_path)
    assert found.of(tmp_path / "a")
    found.keep()
    assert Contents(tmp_path)._known.keys() == {str(tmp_path / "a")}
