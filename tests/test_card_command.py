"""`card new` writes a card of any kind, that this version reads, and never over anything else."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path

import pytest
from tests.world import run, tree

from subterfuge.victims import LOADERS


@pytest.mark.parametrize("kind", LOADERS)
def test_the_card_of_each_kind_is_printed_as_it_is(kind: str) -> None:
    said = run("card", "new", "--kind", kind)
    assert (said.code, said.err) == (0, "")
    assert said.out == LOADERS[kind].example
    assert tomllib.loads(said.out)["kind"] == kind


def test_a_card_is_written_into_a_folder_that_is_made(tmp_path: Path) -> None:
    out = tmp_path / "new" / "mine.toml"
    said = run("card", "new", "--kind", "python", "--out", out)
    assert said.code == 0
    assert f"subterfuge check {out}" in said.out
    assert tree(tmp_path) == {"new": None, "new/mine.toml": LOADERS["python"].example.encode()}


def test_nothing_is_overwritten_unless_forced_and_then_only_a_card(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine.toml", tmp_path / "pyproject.toml"
    mine.write_text('kind = "python"\n')
    other.write_text("[project]\n")
    before = tree(tmp_path)
    said = run("card", "new", "--kind", "sklearn", "--out", mine)
    assert (said.code, said.out) == (2, "")
    assert "exists already" in said.err
    said = run("card", "new", "--kind", "sklearn", "--out", other, "--force")
    assert said.code == 2
    assert "is no card, and only a card is overwritten by --force" in said.err
    assert tree(tmp_path) == before
    assert run("card", "new", "--kind", "python", "--out", mine, "--force").code == 0
    assert mine.read_text() == LOADERS["python"].example


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "a kind of victim is needed, as --kind KIND; known: sklearn"),
        (("--kind", "sklern"), "'sklern' is no kind of victim, as --kind KIND; did you mean sklearn"),
        (("--kind", "python", "--out", "card.json"), "a name that ends in .toml was expected"),
        (("--kind", "python", "--out", "."), "a name that ends in .toml was expected"),
        (("--kind", "python", "--out", "folder.toml"), "is a folder"),
        (("--kind", "python", "--out", "file/card.toml"), "cannot be written"),
    ],
)
def test_a_mistake_is_told_and_writes_nothing(
    words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "file").write_text("")
    before = tree(tmp_path)
    said = run("card", "new", *words)
    assert (said.code, said.out) == (2, "")
    assert told in said.err
    assert tree(tmp_path) == before


def test_the_command_that_comes_next_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    out = tmp_path / "it's mine.toml"
    said = run("card", "new", "--kind", "python", "--out", out)
    assert shlex.split(said.out.partition("then run: ")[2]) == ["subterfuge", "check", str(out)]
