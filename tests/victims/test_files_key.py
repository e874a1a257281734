"""A card's `files` are part of the fingerprint, whatever code loads them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tests.world import CARDS, CODE, COMMON

from subterfuge.errors import CardError
from subterfuge.victims import load_victim

PROGRAM = 'print("[1.0, 2.0, 3.0]")'
BODIES = {
    "python": CARDS["scores"],
    "torch": CARDS["bands"],
    "command": f"kind = \"command\"\ncommand = ['{sys.executable}', '-S', 'print.py', '{{wav}}']\n",
}


def made(folder: Path, kind: str, files: str = "") -> Path:
    """Write a card of a kind, what it runs, and two files beside it."""
    for name, text in (("bands.py", CODE), ("print.py", PROGRAM), ("w.txt", "1"), ("v.txt", "2")):
        (folder / name).write_text(text, encoding="utf-8")
    path = folder / f"{kind}.toml"
    path.write_text(COMMON + BODIES[kind] + (f"files = {files}\n" if files else ""), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", BODIES)
def test_other_content_of_a_named_file_is_another_victim_and_their_order_is_nothing(tmp_path: Path, kind: str) -> None:
    def fingerprint(files: str = "") -> str:
        return load_victim(made(tmp_path, kind, files)).fingerprint

    without, named = fingerprint(), fingerprint('["w.txt", "v.txt"]')
    assert fingerprint("[]") == without
    assert named != without
    assert fingerprint('["v.txt", "w.txt"]') == named
    path = made(tmp_path, kind, '["w.txt", "v.txt"]')
    (tmp_path / "w.txt").write_text("3", encoding="utf-8")
    assert load_victim(path).fingerprint != named


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize(
    ("name", "says"), [("gone.npy", "there is no file"), (".", "that is a folder"), ("a\\u0000b", "there is no file")]
)
def test_a_named_file_that_is_none_is_told(tmp_path: Path, kind: str, name: str, says: str) -> None:
    with pytest.raises(CardError, match=f"files holds .*{says}"):
        load_victim(made(tmp_path, kind, f'["w.txt", "{name}"]'))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="whoever is root reads everything")
def test_a_named_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = made(tmp_path, "python", '["w.txt"]')
    (tmp_path / "w.txt").chmod(0)
    with pytest.raises(CardError, match="cannot be read"):
        load_victim(path)


def test_files_beside_a_program_of_torch_are_refused(tmp_path: Path) -> None:
    path = made(tmp_path, "torch", '["w.txt"]')
    path.write_text(path.read_text(encoding="utf-8").replace('module = "bands.py:bands"', 'program = "net.pt2"'))
    with pytest.raises(CardError, match="files belong to a module, and the card names a program"):
        load_victim(path)
