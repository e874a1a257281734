"""The command `listen`: what it writes, reads, refuses and says."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from tests.report.kit import results, run, sounds, wave, won
from tests.world import card, clip, program, tree
from tests.world import run as command

from subterfuge import Targeted, Threat, attack, load_victim
from subterfuge.attacks import Quietest
from subterfuge.outcome import outcome_path
from subterfuge.report.listening import MOST_BYTES, describe_test, id_of, page
from subterfuge.report.trials import design

BY = Quietest(starts=(float("inf"),), even=0, climb=100, resort=1, race=(20, 20), keep=(1,))


def embedded(place: Path) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="test">(.*?)</script>', place.read_text(encoding="utf-8"))
    assert found is not None
    return dict(json.loads(found[1]))


def test_an_attack_becomes_a_page(tmp_path: Path) -> None:
    victim = load_victim(card(tmp_path / "cards"))
    file = tmp_path / "a-to-high.wav"
    assert attack(clip(tmp_path / "a.wav"), victim, Threat(Targeted("high")), by=BY, out=file, control=0).won
    said = command("listen", file, "--out", tmp_path / "new" / "page.html")
    assert said.code == 0
    assert "page.html: 18 trials; heard means 13 or more right of 18" in said.out
    assert "a guesser passes with probability 0.048, one who is right in 80 % of the trials with 0.87" in said.out
    test = embedded(tmp_path / "new" / "page.html")
    assert test["id"] == id_of(test)
    told = command("listen", outcome_path(file), "--out", tmp_path / "b.html", "--json")
    assert json.loads(told.out)["test"] == test
    assert (tmp_path / "b.html").read_bytes() == (tmp_path / "new" / "page.html").read_bytes()


def test_several_attacks_are_several_pairs_and_pairs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    first, second = won(tmp_path / "x"), won(tmp_path / "y", changed=wave(7))
    said = command("listen", first, second, "--out", tmp_path / "p.html", "--trials", 10, "--json")
    assert said.code == 0
    pairs = json.loads(said.out)["test"]["pairs"]
    assert len({pair["name"] for pair in pairs}) == 2
    assert all(pair["name"].startswith("clip0 (low -> high, ") for pair in pairs)
    assert json.loads(said.out)["test"]["settings"]["trials"] == 10


def test_a_page_holds_all_that_it_needs() -> None:
    text = page([sounds(1)], design())[0]
    assert (
        re.findall(r"(?:src|href|url\(|@import|import\(|fetch|XMLHttpRequest)\s*[=(]?\s*[\"']?[a-z]+:?//", text) == []
    )
    assert not re.search(r"<(?:link|img|iframe|audio|video|object|embed)\b", text)
    assert "default-src 'none'" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"file": None, "won": False}, "tells of a lost attack, which wrote no file, so there is nothing to listen to"),
        ({"schema": 7}, "reads outcomes of schema 1"),
        ({"file_sha256": "0" * 64}, "is not the one of this outcome"),
        ({"file_rate": 7999}, "has 7999 Hz and its clip clip0 8000"),
        ({"changed": wave()}, "holds the very samples of its clip"),
    ],
)
def test_an_outcome_that_cannot_be_listened_to_is_refused(change: dict[str, object], said: str, tmp_path: Path) -> None:
    good, bad = won(tmp_path / "good", seed=1), won(tmp_path / "bad", **change)  # type: ignore[arg-type]
    found = command("listen", good, bad, "--out", tmp_path / "p.html")
    assert found.code == 2
    assert said in found.err
    assert not (tmp_path / "p.html").exists()


def test_an_attack_given_twice_is_refused(tmp_path: Path) -> None:
    found = command("listen", won(tmp_path), won(tmp_path), "--out", tmp_path / "p.html")
    assert (found.code, "give each pair once" in found.err) == (2, True)


def test_what_is_there_is_overwritten_by_force_alone_and_no_sound_or_record_even_so(tmp_path: Path) -> None:
    record = won(tmp_path)
    place = tmp_path / "p.html"
    place.write_text("mine")
    before = tree(tmp_path)
    assert "exists already" in command("listen", record, "--out", place).err
    for source in (record, tmp_path / "clip0.wav", tmp_path / "clip0-to-high.wav"):
        found = command("listen", record, "--out", source, "--force")
        assert (found.code, "never overwritten" in found.err) == (2, True)
    assert "is a folder" in command("listen", record, "--out", tmp_path).err
    assert tree(tmp_path) == before
    assert command("listen", record, "--out", place, "--force").code == 0
    assert place.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--trials", 4], "even all right has p = 0.0625"),
        (["--alpha", 0], "alpha is 0"),
        (["--power", "nan"], "power is nan"),
        (["--p-heard", 0.5], "p-heard is 0.5"),
    ],
)
def test_a_design_without_sense_is_refused(words: list[object], said: str, tmp_path: Path) -> None:
    found = command("listen", won(tmp_path), "--out", tmp_path / "p.html", *words)
    assert (found.code, said in found.err) == (2, True)


def test_sounds_too_large_for_a_page_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_BYTES > 1e8
    monkeypatch.setattr("subterfuge.report.listening.MOST_BYTES", 2000)
    found = command("listen", won(tmp_path), "--out", tmp_path / "p.html")
    assert (found.code, "give fewer outcomes, or of shorter clips" in found.err) == (2, True)


def test_reading_tells_what_was_heard_and_what_was_left_out(tmp_path: Path) -> None:
    test = describe_test([sounds(1, name="a flute")], design())
    good, bad = tmp_path / "good.json", tmp_path / "bad.csv"
    runs = [run(test, [16], listener="Ann", id="a"), run(test, [9], listener="[red]Bo", id="b")]
    good.write_text(json.dumps(results(test, *runs)))
    bad.write_text("test,run,listener\r\n")
    said = command("listen", "--read", good, bad)
    assert said.code == 0
    assert re.search(r"a flute\s+Ann\s+16 of 18\s+0\.000656\s+0\.00131\s+heard\s+31 \.\. 97 %", said.out)
    assert re.search(r"a flute\s+\[red\]Bo\s+9 of 18\s+0\.593\s+0\.593\s+not shown\s+0 \.\. 48 %", said.out)
    assert re.search(r"a flute\s+all\s+25 of 36\s+0\.0144", said.out)
    assert "heard: 25 of 36 right, p = 0.01441; heard in 4 to 67 % of the trials" in said.out
    assert f"note: {bad}: this is the CSV" in said.err
    told = json.loads(command("listen", "--read", good, bad, "--json").out)
    assert (told["everything"]["right"], told["everything"]["heard"], len(told["skipped"])) == (25, True, 1)


def test_reading_nothing_that_counts_is_a_mistake(tmp_path: Path) -> None:
    said = command("listen", "--read", tmp_path / "none.json")
    assert said.code == 2
    assert "there is no complete run to count" in said.err
    assert "none.json: there is no such file" in said.err


@pytest.mark.parametrize("words", [["--out", "p.html"], ["--trials", "18"], ["--force"], ["--p-heard", "0.8"]])
def test_options_of_a_page_make_no_sense_beside_read(words: list[str], tmp_path: Path) -> None:
    said = command("listen", "--read", tmp_path / "x.json", *words)
    assert (said.code, f"{words[0]} shapes a page" in said.err) == (2, True)


def test_help_is_there_at_once_and_shows_examples() -> None:
    told = subprocess.run(program("listen", "--help"), capture_output=True, text=True, check=True).stdout
    assert "subterfuge listen --read listening-*.json" in told
    heavy = "import sys; import subterfuge.cli; print([m for m in ('torch', 'scipy', 'numpy') if m in sys.modules])"
    assert subprocess.run([program()[0], "-c", heavy], capture_output=True, text=True, check=True).stdout == "[]\n"
