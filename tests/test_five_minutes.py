"""The README's five minutes, followed to the letter in a new folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.world import QUICK, run

ROOT = Path(__file__).resolve().parent.parent


def blocks() -> list[str]:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Your own model in five minutes")[2]
    return re.findall(r"^```sh\n(.*?)^```$", section.partition("\n## ")[0], flags=re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(sys.platform == "win32", reason="the README's lines are for a POSIX shell")
def test_two_models_of_a_stranger_are_fooled_by_pasting_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shell runs all but `subterfuge`, whose lines are then run here: a start of Python less for each."""
    mine, net = blocks()
    lines = tmp_path / "lines"
    asks = f"subterfuge() {{ printf '%s\\0' \"$@\" --end >> '{lines}'; }}\n"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        ["sh", "-e", "-c", asks + mine + net],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    monkeypatch.chdir(tmp_path / "five")
    commands = [words.strip("\0").split("\0") for words in lines.read_text().split("--end\0") if words]
    assert [words[0] for words in commands] == ["check", "attack", "check", "attack"]
    few = ("--queries", "40", "--control", "0")
    for words, more, codes in zip(commands, ((), few, (), QUICK), ({0}, {0, 3}, {0}, {0}), strict=True):
        said = run(*words, *more)
        assert said.code in codes, said
        assert "failure" not in said.out
    (record,) = [json.loads(one.read_text()) for one in tmp_path.rglob("white/*.outcome.json")]
    assert (record["won"], record["predicted_before"], record["predicted"]) == (True, "cel", "pia")
