"""The commands `harden` and `matrix`: a victim that hears three bands, and sounds that are loudest in one of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.harden.kit import SIGHTED, cases, sounds
from tests.world import card, run, tree

from subterfuge.errors import VictimError
from subterfuge.harden import EFFORTS

TINY_RUN = ("--effort", "quick", "--clips", "1", "--no-masking", "--no-transfer")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EFFORTS, "quick", SIGHTED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sounds(tmp_path_factory.mktemp("sounds"), recordings=2, excerpts=1)


@pytest.fixture
def bands(tmp_path: Path) -> Path:
    return card(tmp_path / "cards")


@pytest.mark.parametrize("command", ["harden", "matrix"])
def test_help_has_examples_and_needs_no_torch(command: str) -> None:
    code = (
        "import sys\nfrom subterfuge.cli import cli\ncli.main(sys.argv[1:], standalone_mode=False)\n"
        "heavy = {'torch', 'sklearn', 'librosa', 'matplotlib', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    said = subprocess.run([sys.executable, "-c", code, command, "--help"], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert f"subterfuge {command} " in said.stdout.partition("Examples:")[2]


def test_it_prints_the_table_the_doubts_and_where_things_are(bands: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = run("harden", bands, folder, "--with", "requantise=12", "--out", out, *TINY_RUN)
    assert said.code == 0, said.err
    lines = [line for line in said.out.splitlines() if line.strip()]
    assert lines[0].split()[:2] == ["defence", "clean"]
    assert any(line.split()[0] == "requantise=12" for line in lines)
    assert "undefended: no sign of hidden gradients" in lines
    assert f"Tables, cards and sounds: {out}" in lines[-1]
    assert "the victim is taken as it is" in said.err

    before = (out / "harden.json").read_bytes()
    again = run("harden", bands, folder, "--with", "requantise=12", "--out", out, *TINY_RUN, "--json")
    assert (again.code, again.err) == (0, "")
    found = json.loads(again.out)
    assert found == json.loads(before) == json.loads((out / "harden.json").read_bytes()), "a finished run is kept"
    assert [one["defence"] for one in found["victims"]] == ["undefended", "requantise=12"]

    whole = tree(out)
    said = run("harden", bands, folder, "--with", "requantise=8", "--out", out, *TINY_RUN)
    assert (said.code, said.out) == (2, "")
    assert "tells of another run" in said.err
    assert "--force" in said.err
    assert tree(out) == whole


def test_progress_goes_to_standard_error_of_a_terminal(bands: Path, folder: Path, tmp_path: Path) -> None:
    said = run("harden", bands, folder, "--with", "requantise=12", "--out", tmp_path / "out", *TINY_RUN, terminal=True)
    assert said.code == 0
    for told in ("undefended: clean clips: 3 of 3", "undefended: attacks: 1 of 1", "requantise=12: attacks: 1 of 1"):
        assert told in said.err
    assert " of 1\n" not in said.out


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("command", ["harden", "matrix"])
def test_with_json_progress_goes_to_a_terminal_alone(
    command: str, terminal: bool, bands: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object, **about: Any) -> Any:
        if command == "harden":
            about["tell"]("the clips", 1, 2)
        else:
            about["progress"](1, 2)
        return SimpleNamespace(json=lambda: {"done": True}, failed=0)

    monkeypatch.setattr(f"subterfuge.harden.{command}", work)
    given = (
        (bands, folder, "--with", "detector", "--out", tmp_path) if command == "harden" else (bands, "--clips", folder)
    )
    said = run(command, *given, "--json", terminal=terminal)
    assert (said.code, json.loads(said.out)) == (0, {"done": True})
    assert (": 1 of 2" in said.err) is terminal


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--with", "denoize"], "did you mean denoise"),
        (
            ["--with", "detector,lowpass=99999"],
            "the defence lowpass=99999 cannot be worn by bands, which hears at 8000",
        ),
        (["--with", "lowpass=3000,lowpass=3000.0"], "the defence lowpass=3000 is there twice"),
        (["--with", "detector", "--transfer", "nan"], "transfer matrix: snr=nan"),
        (["--with", "detector", "--transfer", "1e9"], "decibels between -60 and 150"),
        (["--with", "noise"], "noise teaches the victim anew, and bands (a TorchVictim) cannot be"),
        (["--with", "detector", "--goal", "untargeted"], "targeted or confident=P was expected"),
        (["--with", "detector", "--goal", "confident=2"], "confident"),
        (["--with", "detector", "--effort", "much"], "'much' is not one of"),
        (["--with", "detector", "--targets", "3"], "3 targets a clip: from 1 to 2"),
        (["--with", "detector", "--layout", "pile"], "pile"),
        (["--with", "detector", "--beside", "nowhere.toml"], "there is no card"),
        (["--with", "detector", "--clips", "0"], "--clips"),
        ([], "Missing option '--with'"),
    ],
)
def test_mistakes_exit_with_2_and_leave_nothing(
    bands: Path, folder: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    said = run("harden", bands, folder, "--out", tmp_path / "out", *words)
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert "Traceback" not in said.err
    assert not (tmp_path / "out").exists()


def test_sets_and_cards_that_are_not_there_exit_with_2(bands: Path, folder: Path, tmp_path: Path) -> None:
    for card_, data in ((bands, tmp_path / "nowhere"), (tmp_path / "no.toml", folder), (bands, bands)):
        said = run("harden", card_, data, "--with", "detector", "--out", tmp_path / "out")
        assert (said.code, said.out) == (2, ""), said
        assert not (tmp_path / "out").exists()


def test_a_victim_that_dies_before_anything_is_measured_exits_with_4(folder: Path, tmp_path: Path) -> None:
    dying = card(tmp_path / "cards", "raises")
    dying.write_text(dying.read_text().replace("dies_after = 15", "dies_after = 4"))
    said = run("harden", dying, folder, "--with", "requantise=12", "--out", tmp_path / "out", *TINY_RUN)
    assert said.code == 4, said
    assert "the bands broke" in said.err
    for told in ("clips that nobody changed", "--jobs 1", f"kept in {tmp_path / 'out'}", "the same command goes on"):
        assert told in " ".join(said.err.split()), told


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_searches_that_failed_exit_with_4_and_what_is_known_is_written_and_printed(
    bands: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    def dies(*_: object, **__: object) -> Any:
        raise VictimError("the victim bands died: out of memory")

    words = ("harden", bands, folder, "--with", "requantise=12", "--out", tmp_path / "out", *TINY_RUN, *more)
    with monkeypatch.context() as patch:
        patch.setattr("subterfuge.harden.attempts._try", dies)
        said = run(*words)
    assert said.code == 4, said.err
    told = (tmp_path / "out" / "harden.md").read_text()
    assert "in 1 of 1 cases a search failed (targeted 1, untargeted 1)" in told
    assert "| undefended | 100 % | - | - | - | - | - | - | - | - |" in told
    assert "no sign of hidden gradients" not in told
    if more:
        assert json.loads(said.out) == json.loads((tmp_path / "out" / "harden.json").read_bytes())
    else:
        assert "out of memory" in said.out
        assert run(*words).code == 0, "the same command tries again"


def test_a_victim_that_dies_when_it_is_looked_at_still_has_its_table(
    bands: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> Any:
        raise VictimError("the victim bands died: out of memory")

    monkeypatch.setattr("subterfuge.harden.look", dies)
    said = run("harden", bands, folder, "--with", "requantise=12", "--out", tmp_path / "out", *TINY_RUN)
    assert said.code == 4
    assert "undefended: whether it hides its gradients is not known: it could not be looked at" in said.out
    assert "1/1" in said.out


def test_an_interrupt_exits_with_130_and_the_same_words_go_on(
    bands: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from subterfuge.cli.watch import Watch

    words = ("harden", bands, folder, "--with", "requantise=12", "--out", tmp_path / "out", *TINY_RUN)

    def pressed(self: Watch, what: str, done: int, total: int) -> None:
        if what == "undefended: attacks" and done:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Watch, "stage", pressed)
        assert run(*words).code == 130
    kept = (tmp_path / "out" / "cases.jsonl").read_bytes()
    assert kept.count(b"\n") == 2
    assert run(*words).code == 0
    assert (tmp_path / "out" / "cases.jsonl").read_bytes().startswith(kept)


def test_the_matrix_is_printed_with_its_control_and_as_one_json_object(tmp_path: Path, bands: Path) -> None:
    clips = tmp_path / "clips"
    for one in cases(tmp_path / "made", 3):
        (clips / one.label).mkdir(parents=True)
        one.path.rename(clips / one.label / one.path.name)
    (clips / "low" / "broken.wav").write_bytes(b"RIFF no sound")
    words = ("matrix", bands, bands, "--clips", clips, "--snr", 18, "--count", 4)
    said = run(*words)
    assert said.code == 0, said.err
    assert "4 changes a row, 18 dB below the clip" in said.out
    assert "noise like bands" in said.out
    assert "broken.wav" in said.err
    found = json.loads(run(*words, "--json").out)
    assert (found["names"], found["snr_db"]) == (["bands", "bands"], 18.0)
    assert found["targeted"][0][1] == {"hits": 3, "of": 3}
    assert len(found["skipped"]) == 1


def test_a_matrix_of_victims_with_other_labels_exits_with_2(tmp_path: Path, bands: Path, folder: Path) -> None:
    other = card(tmp_path / "other")
    other.write_text(other.read_text().replace('"high"', '"shrill"'))
    said = run("matrix", bands, other, "--clips", folder)
    assert (said.code, said.out) == (2, "")
    assert "shrill" in said.err
