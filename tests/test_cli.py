"""What the commands print, where, and with which exit code."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
import soundfile
from tests.world import LABELS, QUICK, card, clip, program, run, tree

import subterfuge.cli
from subterfuge.attacks import ATTACKS, Quietest
from subterfuge.cli import cli
from subterfuge.cli.show import echo, print_paid, print_table
from subterfuge.hearing.metrics import METRICS
from subterfuge.training import demo_data, seed_study
from subterfuge.training.seed_study_files import FILES, StudyFile
from subterfuge.victims import LOADERS
from subterfuge.victims.card import COMMON

PROMISED = {
    "won": bool,
    "target": str,
    "predicted_before": str,
    "predicted": str,
    "probability_before": float,
    "probability": float,
    "snr_db": float,
    "file_snr_db": float,
    "peak": float,
    "zimtohrli_mos": float,
    "queries": int,
    "gradients": int,
    "seconds": float,
    "seed": int,
    "file": str,
    "warnings": list,
}
"""Keys of the object that a won attack prints; `twin_gap`, a number where there is a twin, comes on top."""


@pytest.fixture
def bands(tmp_path: Path) -> Path:
    """The card of a victim that hears three bands."""
    return card(tmp_path / "cards")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def commands(group: click.Group, *above: str) -> Iterator[tuple[str, ...]]:
    yield above
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)
        else:
            yield (*above, name)


def lines(text: str) -> list[str]:
    """The lines of a text, with single spaces, without rules and empty ones."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip(" ─")]


@pytest.mark.parametrize("path", list(commands(cli)), ids=" ".join)
def test_every_command_has_help_with_examples_of_itself(path: tuple[str, ...]) -> None:
    long, short = run(*path, "--help"), run(*path, "-h")
    assert long == short
    assert (long.code, long.err) == (0, "")
    examples = long.out.partition("Examples:")[2]
    assert f"subterfuge {' '.join(path)}".strip() in examples
    options = [option for option in cli_at(path).params if isinstance(option, click.Option)]
    assert all(option.help for option in options if option.name not in ("help", "version"))


def cli_at(path: tuple[str, ...]) -> click.Command:
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    return command


def test_the_examples_of_the_help_are_lines_that_the_parser_takes() -> None:
    for path in commands(cli):
        for line in run(*path, "--help").out.partition("Examples:")[2].splitlines():
            command, rest = cli_at(()), line.split()[1:]
            while isinstance(command, click.Group) and rest:
                command, rest = command.commands[rest[0]], rest[1:]
            if line.strip():
                assert not isinstance(command, click.Group), line
                command.make_context("subterfuge", rest)


def test_no_command_and_an_unknown_command_are_exit_code_2_and_print_nothing() -> None:
    for words in ((), ("atack",), ("data",)):
        said = run(*words)
        assert (said.code, said.out) == (2, "")
        assert "Usage: " in said.err


def test_the_version_is_told() -> None:
    assert run("--version").out.startswith("subterfuge, version ")


# attack


def test_a_won_attack_prints_one_json_object_with_every_promised_key_and_nothing_else(bands: Path, here: Path) -> None:
    clip(here / "a.wav")
    said = run("attack", "a.wav", "--victim", bands, "--target", "high", *QUICK, "--seed", "7", "--json")
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)
    assert {key: type(found[key]) for key in PROMISED} == PROMISED
    assert "twin_gap" in found
    assert found["twin_gap"] is None, "a torch module is its own twin"
    assert (found["won"], found["target"], found["seed"]) == (True, "high", 7)
    assert (found["predicted_before"], found["predicted"]) == ("low", "high")
    assert found["knobs"]["climb"] == 100
    assert found["knobs"]["starts"] == [None], "infinity is null"
    assert found["victim"]["card"] == str(bands)
    assert found["victim"]["card_sha256"] == hashlib.sha256(bands.read_bytes()).hexdigest()
    assert found["clip"]["path"] == str(here / "a.wav")


def test_the_result_is_called_after_clip_and_target_and_stands_here_with_its_record(bands: Path, here: Path) -> None:
    clip(here / "a.b.wav")
    said = run("attack", "a.b.wav", "--victim", bands, "--target", "high", *QUICK, "--json")
    assert sorted(tree(here)) == ["a.b-to-high.wav", "a.b-to-high.wav.outcome.json", "a.b.wav"]
    found = json.loads(said.out)
    assert found == json.loads((here / "a.b-to-high.wav.outcome.json").read_text())
    assert found["file"] == str(here / "a.b-to-high.wav")
    assert run("attack", "a.b.wav", "--victim", bands, *QUICK).code == 0
    assert (here / "a.b-to-other.wav").is_file(), "untargeted, where there is no target"


def test_a_label_with_a_slash_makes_no_folder(here: Path) -> None:
    victim = card(here / "cards")
    victim.write_text(victim.read_text().replace('"high"', '"high/bright"'))
    clip(here / "a.wav")
    assert run("attack", "a.wav", "--victim", victim, "--target", "high/bright", *QUICK).code == 0
    assert (here / "a-to-high_bright.wav").is_file()


@pytest.mark.parametrize(
    ("given", "came"), [("x.wav", "x.wav"), ("x.WAV", "x.WAV"), ("x.flac", "x.wav"), ("x", "x.wav"), ("x.1", "x.1.wav")]
)
def test_the_name_of_the_result_ends_as_its_container_does(given: str, came: str, bands: Path, here: Path) -> None:
    clip(here / "a.wav")
    said = run("attack", "a.wav", "--victim", bands, "--target", "high", "--out", given, *QUICK)
    assert sorted(tree(here)) == sorted(["a.wav", came, f"{came}.outcome.json"])
    assert (f"{given} is called {came}" in said.err) == (given != came)


def test_several_clips_print_a_list_in_their_order(bands: Path, here: Path) -> None:
    paths = [clip(here / "b.wav"), clip(here / "a.flac", 44100, 2)]
    said = run("attack", *paths, "--victim", bands, "--target", "high", *QUICK, "--out", "new/", "--json")
    found = json.loads(said.out)
    assert said.code == 0
    assert [one["clip"]["name"] for one in found] == ["b", "a"]
    assert [Path(one["file"]).name for one in found] == ["b-to-high.wav", "a-to-high.flac"]
    assert found[0]["warnings"] == []
    assert found[1]["warnings"] == [
        "the victim hears the mean of 2 channels",
        "the victim hears 44100 Hz resampled to 8000 Hz",
    ]


def test_one_lost_of_several_is_exit_code_3_and_the_others_are_written(bands: Path, here: Path) -> None:
    near, far = clip(here / "near.wav"), here / "far.wav"
    t = np.arange(3200) / 8000
    soundfile.write(far, 0.3 * np.sin(2 * np.pi * 500 * t), 8000)
    words = ("--target", "high", "--limit", "snr=15", *QUICK, "--out", "new/")
    said = run("attack", near, far, "--victim", bands, *words)
    assert said.code == 3
    assert sorted(tree(here / "new")) == ["near-to-high.wav", "near-to-high.wav.outcome.json"]
    table = lines(said.out)
    assert any(line.startswith("near low -> high won high") for line in table)
    assert any(line.startswith("far low -> high lost low") for line in table)


def test_a_won_attack_says_what_it_came_to(bands: Path, here: Path) -> None:
    clip(here / "a.wav")
    knobs = QUICK[:-2]
    said = run("attack", "a.wav", "--victim", bands, "--target", "high", *knobs, "--control", "3")
    assert said.err == ""
    first, noise, file = lines(said.out)
    assert first.startswith("a: low -> high (3")
    assert re.search(r" dB SNR, -?\d+\.\d dB noise to mask, zimtohrli MOS \d", first)
    assert noise.startswith("noise of the same level and spectrum: 0 of 3; white noise ")
    assert file == str(here / "a-to-high.wav")


@pytest.mark.parametrize(
    ("name", "attack", "hint"),
    [
        ("bands", "noise", "quietest"),
        ("scores", "noise", "substitute"),
        ("scores", "substitute", "guided"),
        ("label", "noise", "hopskipjump"),
        ("label", "hopskipjump", None),
    ],
)
def test_a_lost_attack_advises_no_attack_that_the_victim_cannot_serve(
    name: str, attack: str, hint: str | None, tmp_path: Path, here: Path
) -> None:
    clip(here / "a.wav")
    words = ("attack", "a.wav", "--victim", card(tmp_path / "cards", name), "--target", "high", "--limit", "snr=90")
    said = run(*words, "--attack", attack, "--queries", "5")
    assert said.code == 3
    assert re.findall(r"--attack (\w+)", said.out) == ([hint] if hint else [])


def test_a_lost_attack_says_how_far_it_came_and_what_to_try_and_writes_nothing(bands: Path, here: Path) -> None:
    clip(here / "a.wav")
    before = tree(here)
    words = ("attack", "a.wav", "--victim", bands, "--target", "high", "--gradients", "2", "--limit", "snr=40", *QUICK)
    said = run(*words)
    assert said.code == 3
    assert "a: lost, the victim still says low; best margin -" in said.out
    assert "(above 0 wins), probability 0." in said.out
    for what in ("loosen the limit snr=40", "allow more queries, gradients", "--seed", "another target"):
        assert what in said.out
    assert tree(here) == before
    told = run(*words, "--json")
    assert (told.code, told.err) == (3, "")
    found = json.loads(told.out)
    assert (found["won"], found["file"], found["file_sha256"], found["judgements"]) == (False, None, None, 0)
    assert found["margin"] < 0
    assert 0 < found["probability"] < 0.5
    assert found["advice"] in said.out
    assert found["gradients"] == 2
    assert tree(here) == before


def test_a_clip_already_at_its_target_comes_back_bit_for_bit_with_a_warning(bands: Path, here: Path) -> None:
    clip(here / "a.wav", 44100, 2, subtype="PCM_24")
    said = run("attack", "a.wav", "--victim", bands, "--target", "low", "--json")
    found = json.loads(said.out)
    assert said.code == 0
    assert (found["won"], found["already"], found["gradients"], found["control"]) == (True, True, 0, None)
    assert found["snr_db"] is None, "infinite"
    assert found["file_snr_db"] is None
    assert found["peak"] == 0
    assert any("low already" in warning and "no median" in warning for warning in found["warnings"])
    pair = [soundfile.read(here / name, dtype="int32")[0] for name in ("a.wav", "a-to-low.wav")]
    assert np.array_equal(*pair)
    told = run("attack", "a.wav", "--victim", bands, "--target", "low", "--force")
    assert "low already; copied unchanged to" in told.out
    assert "low already" in told.err


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_goes_to_standard_error_only(terminal: bool, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(0, 11)
    monkeypatch.setattr("subterfuge.cli.watch.time", SimpleNamespace(monotonic=lambda: next(clock)))
    clip(here / "a.wav")
    words = ("attack", "a.wav", "--victim", card(here, "slow"), "--target", "high", "--gradients", "8")
    said = run(*words, terminal=terminal)
    assert said.code == 3
    assert "a: no win yet, margin -" in said.err
    assert "gradients, 0 queries" in said.err
    assert ("\r\x1b[K" in said.err) == terminal
    assert "\x1b" not in said.out
    assert said.out.startswith("a: lost")
    if not terminal:
        assert run(*words, "--json").err == "", "but with --json, nobody waits at a file"


# the other commands


def test_score_says_what_the_victim_says(bands: Path, here: Path) -> None:
    paths = [clip(here / "a.wav"), clip(here / "[tru]b.flac", 44100, 2)]
    said = run("score", *paths, "--victim", bands)
    assert (said.code, said.err) == (0, "")
    head, *rows = lines(said.out)
    assert head == "clip predicted probability"
    assert [row.split()[:3] for row in rows] == [["a", "low", "low"], ["[tru]b", "low", "low"]]
    found = json.loads(run("score", *paths, "--victim", bands, "--json").out)
    assert [one["label"] for one in found] == [None, "tru"]
    for one in found:
        assert one["predicted"] == max(one["probabilities"], key=one["probabilities"].get) == "low"
        assert sum(one["probabilities"].values()) == pytest.approx(1, abs=1e-6)
        assert tuple(one["scores"]) == LABELS
        assert one["kind"] == "decision values"
    assert lines(run("score", paths[0], "--victim", bands, "--top", "1").out)[1].split()[2:] == [
        "low",
        f"{found[0]['probabilities']['low']:.3f}",
    ]


def test_score_shows_the_score_of_a_victim_without_probabilities_and_the_label_of_one_without_scores(
    here: Path,
) -> None:
    path = clip(here / "a.wav")
    assert lines(run("score", path, "--victim", card(here, "scores")).out)[0] == "clip predicted decision values"
    said = run("score", path, "--victim", card(here, "label"))
    assert lines(said.out) == ["clip predicted labels only", "a low"]
    one = json.loads(run("score", path, "--victim", card(here, "label"), "--json").out)
    assert (one["predicted"], one["scores"], one["probabilities"]) == ("low", None, None)


def test_attacks_lists_every_attack_with_its_knobs() -> None:
    text, found = run("attacks").out, json.loads(run("attacks", "--json").out)
    assert list(found) == list(ATTACKS)
    for name, kind in ATTACKS.items():
        assert f"{name}: {kind.says}; needs {kind.needs.name.lower()}" in text
        assert found[name]["knobs"]
        assert all(f"-o {knob}=" in text for knob in found[name]["knobs"])
    assert found["quietest"]["knobs"]["starts"][0] is None, "infinity is null"


def test_the_knobs_that_attacks_prints_can_be_given_as_they_stand(bands: Path, here: Path) -> None:
    clip(here / "a.wav")
    block = run("attacks").out.partition("quietest:")[2].partition("pgd:")[0]
    knobs = [word for word in block.split() if "=" in word]
    words = [piece for knob in knobs for piece in ("-o", knob)]
    said = run("attack", "a.wav", "--victim", bands, "--target", "high", "--gradients", "1", *words, "--json")
    assert said.code == 3
    assert json.loads(said.out)["knobs"] == json.loads(run("attacks", "--json").out)["quietest"]["knobs"]


def test_victims_lists_every_kind_and_says_which_cards_run_code() -> None:
    text, found = run("victims").out, json.loads(run("victims", "--json").out)
    assert list(found) == list(LOADERS)
    for kind, loader in LOADERS.items():
        assert f"{kind}: {loader.says}" in text
        assert set(found[kind]["keys"]) == {*COMMON, *loader.keys}
    run_code = {kind for kind, loader in LOADERS.items() if loader.runs_code}
    assert {kind for kind, one in found.items() if one["runs_code"]} == run_code >= {"torch", "python"}
    assert text.count("(its card runs code)") == len(run_code)


def test_diff_measures_a_pair_in_every_metric(here: Path) -> None:
    t = np.arange(8000) / 8000
    wave = np.rint(8000 * np.sin(2 * np.pi * 440 * t)) / 32768
    soundfile.write(here / "a.wav", wave, 8000)
    soundfile.write(here / "b.wav", wave * 1.125, 8000, subtype="FLOAT")
    found = json.loads(run("diff", "a.wav", "b.wav", "--json").out)
    level = 10 * math.log10(np.mean((wave / 8) ** 2))
    assert found["snr_db"] == pytest.approx(20 * math.log10(8), abs=1e-4)
    assert found["file_snr_db"] == pytest.approx(20 * math.log10(8), abs=1e-4)
    assert found["peak"] == pytest.approx(np.abs(wave).max() / 8, rel=1e-5)
    assert found["level_db"] == pytest.approx(level, abs=1e-4)
    assert found["changed_share"] == pytest.approx(np.mean(wave != 0))
    assert 1 < found["zimtohrli_mos"] <= 5
    assert found["rate_hz"] == 8000
    text = lines(run("diff", "a.wav", "b.wav").out)
    assert text[0] == "measure value unit good"
    assert "SNR, mono fold 18.06 dB more; inf is no change" in text
    assert set(found) == {*METRICS, "notes"}
    assert [one.title for one in METRICS.values() if not any(line.startswith(one.title) for line in text)] == []


def test_diff_of_a_sound_and_itself_is_infinite_in_the_text_and_null_in_json(here: Path) -> None:
    clip(here / "a.wav", 8000, 2)
    assert "SNR, mono fold inf dB more; inf is no change" in lines(run("diff", "a.wav", "a.wav").out)
    found = json.loads(run("diff", "a.wav", "a.wav", "--json", "--rate", "16000").out)
    assert found == {
        "snr_db": None,
        "file_snr_db": None,
        "peak": 0.0,
        "segsnr_db": 35.0,
        "level_db": None,
        "changed_share": 0.0,
        "level_difference_lu": 0.0,
        "nmr_db": None,
        "nmr_worst_frame_db": None,
        "share_above_threshold": 0.0,
        "nmr_worst_channel_db": None,
        "share_above_threshold_channels": 0.0,
        "zimtohrli_distance": 0.0,
        "zimtohrli_mos": 5.0,
        "visqol_mos": None,
        "rate_hz": 16000,
        "lag_samples": 0,
        "left_out_samples": 0,
        "notes": [],
    }


def test_diff_of_another_rate_compares_the_folds_and_says_what_it_cannot(here: Path) -> None:
    clip(here / "a.wav", 8000, 2)
    clip(here / "b.wav", 16000, 2)
    found = json.loads(run("diff", "a.wav", "b.wav", "--json").out)
    assert (found["file_snr_db"], found["peak"], found["changed_share"]) == (None, None, None)
    assert found["snr_db"] > 20, "the same tones, but for noise and phases drawn alike"
    assert "largest change - of full scale less" in lines(run("diff", "a.wav", "b.wav").out)
    assert "resampled" in run("diff", "a.wav", "b.wav").err


@pytest.fixture
def little_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local copy of a study of the same names and little content."""
    source, files = tmp_path / "copy", []
    for file in FILES:
        path = source / file.place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.place.encode())
        files.append(StudyFile(file.place, len(file.place), hashlib.sha256(path.read_bytes()).hexdigest()))
    monkeypatch.setattr(seed_study, "FILES", tuple(files))
    return source


def test_the_study_is_fetched_from_a_local_copy_with_its_cards(
    little_study: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = count(0, 11)
    monkeypatch.setattr("subterfuge.cli.watch.time", SimpleNamespace(monotonic=lambda: next(clock)))
    words = ("data", "seed-study", "--to", "study", "--from", little_study)
    said = run(*words)
    assert said.code == 0
    assert f"{len(FILES)} files fetched, 0 already there, in study" in said.out
    assert "cards: study/tuned.toml, study/noisy.toml, study/denoise.toml" in said.out
    assert f"file {len(FILES)} of {len(FILES)}" in said.err
    found = json.loads(run(*words, "--json").out)
    assert len(found["kept"]) == len(FILES)
    assert found["cards"] == ["study/tuned.toml", "study/noisy.toml", "study/denoise.toml"]
    assert {str(path) for path in Path("study").glob("*.toml")} == set(found["cards"])


def test_a_study_that_is_not_there_is_refused(here: Path) -> None:
    said = run("data", "seed-study", "--to", "study", "--from", here / "nowhere")
    assert said.code == 2
    assert "is no folder" in said.err
    assert tree(here) == {}


@dataclass(frozen=True, kw_only=True)
class Hasty(Quietest):
    """The default attack with fewer steps, so that the demo takes seconds."""

    starts: tuple[float, ...] = (math.inf,)
    even: int = 0
    race: tuple[int, ...] = (10, 10)
    keep: tuple[int, ...] = (1,)


def test_the_demo_fools_its_victim_tells_a_table_and_writes_files(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ATTACKS, "quietest", Hasty)
    monkeypatch.setattr(demo_data, "DEMO", (("gac", "gel", None), ("gac", "gac", "targeted")))
    said = run("demo", "--out", "deep/demo")
    assert said.code == 0
    rows = [line for line in lines(said.out) if line.startswith("[gac]")]
    assert ["gac -> gel won gel" in row for row in rows] == [True, False]
    assert "a stand-in" in said.out
    files = sorted(tree(here / "deep" / "demo"))
    assert len(files) == 5
    assert files[4] == "audit.html"
    assert said.out.rstrip().endswith(str(Path("deep") / "demo" / "audit.html"))
    assert [name.endswith("-to-gel-targeted.flac") for name in files] == [False, False, True, False, False]
    record: dict[str, Any] = json.loads((here / "deep" / "demo" / files[3]).read_text())
    assert record["won"]
    assert record["twin_gap"] < 1e-4
    assert record["command"].startswith("subterfuge attack '/")


def test_whoever_closes_the_pipe_gets_no_traceback() -> None:
    process = subprocess.Popen(program("attacks"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == ""
    process.stderr.close()


def test_a_name_that_the_terminal_cannot_show_is_shown_as_it_can(bands: Path, here: Path) -> None:
    clip(here / "flöte.wav")
    words = program("score", "flöte.wav", "--victim", bands)
    ended = subprocess.run(
        words, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "fl\\xf6te" in ended.stdout


def test_the_installed_program_is_the_command_line() -> None:
    program_file = Path(sys.executable).with_name("subterfuge")
    ended = subprocess.run([program_file, "--version"], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout.split(",")[0]) == (0, "subterfuge")


# what may be told


def test_heads_and_cells_of_a_table_are_text_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["P([noise])", "loud[/x]", "a\x1b]0;x\x07\nb"], [["[red]1", "[/]", "2\n3"]])
    told = capsys.readouterr().out
    for text in ("P([noise])", "loud[/x]", r"a\x1b]0;x\x07\nb", "[red]1", "[/]", r"2\n3"):
        assert text in told


def test_a_name_with_a_line_break_makes_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    echo("flu\nz.wav: won", "next")
    assert capsys.readouterr().out == "flu\\nz.wav: won\nnext\n"


def test_everything_that_is_told_goes_through_the_door_that_shows_codes() -> None:
    """But what is JSON, a card of our own, or steers the line of progress."""
    own = {"show.py": 2, "watch.py": 3, "card.py": 1, "serve.py": 1}
    folder = Path(subterfuge.cli.__file__).parent
    found = {path.name: path.read_text(encoding="utf-8").count("click.echo(") for path in folder.glob("*.py")}
    assert {name: count for name, count in found.items() if count} == own


def test_what_was_paid_is_told_where_something_was(capsys: pytest.CaptureFixture[str]) -> None:
    print_paid(None, {"queries": 227, "total": 2.27, "currency": "EUR"}, {"queries": 1, "total": None})
    assert capsys.readouterr().out == "  paid: 227 queries, 2.27 EUR\n  paid: 1 query\n"
