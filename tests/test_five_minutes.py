"""The README's five minutes, followed to the letter in a new folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def blocks() -> list[str]:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Your own model in five minutes")[2]
    return re.findall(r"^```sh\n(.*?)^```$", section.partition("\n## ")[0], flags=re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(sys.platform == "win32", reason="the README's lines are for a POSIX shell")
def test_two_models_of_a_stranger_are_fooled_by_pasting_the_readme(tmp_path: Path) -> None:
    """Only the number of queries and the knobs of the white box are made small; what is pasted is the README's."""
    mine, net = blocks()
    assert "--queries 3000" in mine
    mine = mine.replace(
        "--target pia --queries 3000 --out black/", "--target pia --queries 40 --control 0 --out black/ || test $? = 3"
    )
    net = net.replace("--target pia", "--target pia -o climb=60 -o even=0 -o starts=inf -o resort=1 --control 0")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        ["sh", "-e", "-c", mine + net], cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "failure" not in ended.stdout
    records = [json.loads(one.read_text()) for one in tmp_path.rglob("white/*.outcome.json")]
    assert [(one["won"], one["predicted_before"], one["predicted"]) for one in records] == [(True, "cel", "pia")]
