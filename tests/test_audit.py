"""`subterfuge audit` from the door: what it prints, writes and exits with; `report` and `compare` of what it left."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.harden.kit import TINY, tone
from tests.world import LABELS, card, run

from subterfuge.campaign import audit as audits
from subterfuge.campaign.effort import EFFORTS
from subterfuge.campaign.protocol import PROTOCOLS
from subterfuge.cli import cli


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EFFORTS, "quick", TINY)
    monkeypatch.setitem(PROTOCOLS, "quick", replace(PROTOCOLS["quick"], draws=2))
    monkeypatch.setattr(audits, "SURVIVES", "gain=-6")


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """The words of an audit of a victim over one clip of each band, one of them with a hostile name."""
    names = ("<script>alert(1)</script>".replace("/", "~"), "=1+1", "b")
    for place, (label, name) in enumerate(zip(LABELS, names, strict=True)):
        tone(tmp_path / "clips" / label / f"{name}.wav", label, seed=place)
    words = ["audit", str(card(tmp_path / "v")), str(tmp_path / "clips"), "--out", str(tmp_path / "out")]
    return [*words, "--only", "white,masked", "--clips", "2"]


def test_an_audit_ends_with_the_path_of_a_page_beside_which_lies_all_that_programs_read(
    tmp_path: Path, asked: list[str]
) -> None:
    said = run(*asked)
    assert said.code == 0, said.err
    out = tmp_path / "out"
    assert said.out.rstrip().endswith(str(out / "audit.html"))
    assert "4 attacks to do, in about" in said.err
    assert sorted(path.name for path in out.iterdir()) == [
        "audit.csv", "audit.html", "audit.json", "audit.ledger", "junit.xml", "sounds",
    ]  # fmt: skip
    page = (out / "audit.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    told = json.loads((out / "audit.json").read_text(encoding="utf-8"))
    assert told["setting"]["protocol"] == "subterfuge"
    tree = ElementTree.parse(out / "junit.xml")
    assert sorted(one.get("name", "") for one in tree.iter("testsuite")) == ["clean", "masked", "white"]


def test_json_is_all_that_standard_output_holds(asked: list[str]) -> None:
    said = run(*asked, "--json")
    told = json.loads(said.out)
    assert told["complete"]
    assert {one["probe"] for one in told["figures"]["searches"]} == {"white", "masked"}
    assert told["missed"] == []
    assert told["scorecard"]["verdict"] in told["scorecard"]["sentences"][0]


def test_a_bar_that_is_missed_is_told_and_exits_with_one(asked: list[str]) -> None:
    assert run(*asked, "--fail-under", "clean=0.5").code == 0
    said = run(*asked, "--fail-under", "clean=0.5,snr=1")
    assert said.code == 1
    assert "missed: " in said.err
    assert run(*asked, "--fail-under", "clean=2").code == 2


def test_a_victim_that_dies_half_way_leaves_a_page_that_says_so_and_exits_with_four_whatever_bar_is_missed(
    tmp_path: Path, asked: list[str]
) -> None:
    dying = card(tmp_path / "d", "raises")
    dying.write_text(dying.read_text(encoding="utf-8").replace("dies_after = 15", "dies_after = 40"), encoding="utf-8")
    asked[1] = str(dying)
    said = run(*asked, "--fail-under", "clean=1,robust=1")
    assert said.code == 4
    assert "missed: robust=1" in said.err
    assert "incomplete" in said.out
    assert "Traceback" not in said.err
    assert "incomplete" in (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")


def test_a_page_is_made_again_and_an_audit_equals_itself(tmp_path: Path, asked: list[str]) -> None:
    run(*asked)
    out = tmp_path / "out"
    names = ("audit.html", "audit.json", "audit.csv", "junit.xml")
    before = [(out / name).read_bytes() for name in names]
    for name in names:
        (out / name).write_text("old", encoding="utf-8")
    assert run("report", str(out)).code == 0, "an audit's own page and exports are made of the ledger"
    assert [(out / name).read_bytes() for name in names] == before
    other = tmp_path / "other.html"
    other.write_text("mine", encoding="utf-8")
    assert run("report", str(out / "audit.ledger"), "--out", str(other)).code == 2
    victim = Path(asked[1])
    kept = victim.read_bytes()
    assert run("report", str(out), "--out", str(victim), "--force").code == 2
    assert victim.read_bytes() == kept
    said = run("compare", str(out), str(out), "--json")
    told = json.loads(said.out)
    assert said.code == 0
    assert all(row["word"] == "no more than noise" for row in told["rows"]), told["rows"]


def test_notes_come_first_then_each_sound_that_is_none_by_name_and_the_line_before_the_page_last(
    tmp_path: Path, asked: list[str]
) -> None:
    (tmp_path / "clips" / LABELS[0] / "broken.wav").write_bytes(b"RIFF no sound")
    twin = tmp_path / "clips" / LABELS[2] / "b.wav"
    twin.with_name("again.wav").write_bytes(twin.read_bytes())
    asked[-3:] = ["white", "--clips", "1"]
    both = io.StringIO()
    with contextlib.redirect_stdout(both), contextlib.redirect_stderr(both), contextlib.suppress(SystemExit):
        cli.main(asked, standalone_mode=False)
    told = both.getvalue()
    assert "Not read: broken.wav: " in told
    order = [told.rindex(words) for words in ("was left out", "of so few no verdict", "next: ", ": clean 100 %")]
    assert order == sorted(order), told


@pytest.mark.parametrize(
    ("words", "says"),
    [(["--only", "wite"], "did you mean white"), (["--clips", "0"], "0"), (["--layout", "x"], "layout")],
)
def test_a_mistake_is_one_paragraph_and_writes_nothing(
    tmp_path: Path, asked: list[str], words: list[str], says: str
) -> None:
    said = run(*asked, *words)
    assert said.code == 2
    assert says in said.err
    assert "Traceback" not in said.err
    assert not (tmp_path / "out").exists()
