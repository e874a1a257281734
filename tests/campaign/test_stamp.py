"""A victim that was loaded is loaded anew where anything that it is made of was written since, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.world import card

from subterfuge.campaign._stamp import stamp_of
from subterfuge.campaign.pool import victim_of


@pytest.mark.parametrize("name", ["w.npy", "deep/weights.txt", "net.py", "net.onnx", "mine.skops", "model/config.json"])
def test_a_file_that_was_written_anew_counts(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("1")
    path = tmp_path / "v.toml"
    path.write_text('kind = "python"\nfiles = ["deep/weights.txt"]\nmodel = "model"\nfunction = "net.py:scores"\n')
    before = stamp_of(path)
    assert stamp_of(path) == before
    (tmp_path / name).write_text("11")
    assert stamp_of(path) != before


def test_what_a_card_that_a_card_names_is_made_of_counts_and_cards_that_name_each_other_end(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "base.toml").write_text('victim = "../v.toml"\n')
    (tmp_path / "base" / "w.npy").write_text("1")
    path = tmp_path / "v.toml"
    path.write_text('victim = "base/base.toml"\n')
    before = stamp_of(path)
    (tmp_path / "base" / "w.npy").write_text("11")
    assert stamp_of(path) != before


def test_an_audit_at_work_beside_the_card_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "v.toml"
    path.write_text('out = "."\n')
    before = stamp_of(path)
    (tmp_path / "audit.ledger").write_text("1")
    (tmp_path / "harden.json").write_text("{}")
    assert stamp_of(path) == before


def test_a_process_loads_a_victim_once_until_its_weights_are_written_anew(tmp_path: Path) -> None:
    path = card(tmp_path, "scores")
    (tmp_path / "w.npy").write_bytes(b"1")
    first = victim_of(path, False)
    assert victim_of(path, False) is first
    (tmp_path / "w.npy").write_bytes(b"11")
    assert victim_of(path, False) is not first
