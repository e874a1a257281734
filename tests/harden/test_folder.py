"""A folder holds one run of one setting, whatever its card and its sounds are called, and one process works in it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.harden.kit import sounds
from tests.world import card, tree

from subterfuge.campaign.lock import Lock
from subterfuge.errors import OutputError
from subterfuge.harden import harden
from subterfuge.harden.folder import LOCK, claimed
from subterfuge.training.datasets import read_dataset

ASKED: dict[str, Any] = {
    "victim": "/there/svc.toml",
    "fingerprint": "f1",
    "data": "/there/sounds (IRMAS training clips)",
    "data_sha256": "d1",
    "contents": "c1",
    "defences": ["noise", "smooth=0.002"],
    "seed": 0,
    "transfer_db": 30.0,
}


@pytest.mark.parametrize(
    ("other", "goes_on"),
    [
        ({}, True),
        ({"victim": "svc.toml"}, True),
        ({"victim": "../elsewhere/svc.toml", "data": "sounds (IRMAS training clips)"}, True),
        ({"fingerprint": "f2"}, False),
        ({"data_sha256": "d2"}, False),
        ({"contents": "c2"}, False),
        ({"seed": 1}, False),
        ({"defences": ["noise"]}, False),
        ({"transfer_db": None}, False),
        ({"more": 1}, False),
    ],
)
def test_a_run_is_known_by_what_it_is_asked_and_not_by_the_path_of_its_card_or_sounds(
    tmp_path: Path, other: dict[str, Any], goes_on: bool
) -> None:
    with claimed(tmp_path / "out", ASKED, False):
        pass
    before = tree(tmp_path / "out")
    if goes_on:
        with claimed(tmp_path / "out", ASKED | other, False):
            pass
        return
    with pytest.raises(OutputError, match="tells of another run"), claimed(tmp_path / "out", ASKED | other, False):
        pass
    assert tree(tmp_path / "out") == before


def test_a_setting_without_the_hash_of_its_sounds_goes_on_with_the_same_name_of_them(tmp_path: Path) -> None:
    def written_before() -> None:
        old = {key: one for key, one in ASKED.items() if key not in ("data_sha256", "contents")}
        (tmp_path / "setting.json").write_text(json.dumps(old, indent=1) + "\n")

    written_before()
    with claimed(tmp_path, ASKED | {"victim": "./svc.toml"}, False):
        pass
    written_before()
    with pytest.raises(OutputError, match="another run"), claimed(tmp_path, ASKED | {"data": "other"}, False):
        pass


@pytest.mark.parametrize("damage", ["{", "[]", "{}", "\udcff", "[" * 100_000])
def test_a_setting_that_cannot_be_read_is_of_another_run(tmp_path: Path, damage: str) -> None:
    (tmp_path / "setting.json").write_bytes(damage.encode("utf-8", "surrogateescape"))
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="another run"), claimed(tmp_path, ASKED, False):
        pass
    assert tree(tmp_path) == before
    with claimed(tmp_path, ASKED, True):
        assert json.loads((tmp_path / "setting.json").read_text()) == ASKED


def test_while_one_run_is_at_work_another_is_refused_even_by_force_and_after_it_let_in(tmp_path: Path) -> None:
    for force in (False, True):
        with claimed(tmp_path / "out", ASKED, False):
            before = tree(tmp_path / "out")
            with pytest.raises(OutputError, match="is at work in"), claimed(tmp_path / "out", ASKED, force):
                pass
            assert tree(tmp_path / "out") == before
    assert set(tree(tmp_path / "out")) == {"setting.json"}


def test_a_lock_that_a_killed_run_left_is_no_content(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("4711\n")
    with claimed(tmp_path, ASKED, False):
        pass
    assert set(tree(tmp_path)) == {"setting.json"}


def test_a_line_that_another_process_is_writing_is_not_cut_off(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "cases.jsonl").write_text('{"key": "k", "value": 1}\n{"key": "half')
    data = read_dataset(sounds(tmp_path / "sounds", recordings=2, excerpts=1))
    lock = Lock.take(out / LOCK)
    before = tree(out)
    try:
        with pytest.raises(OutputError, match=f"at work in .*out.*{os.getpid()}"):
            harden(card(tmp_path), data, "detector", out=out, clips=1, force=True)
        assert tree(out) == before
    finally:
        lock.release()
