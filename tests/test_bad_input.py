"""A user's mistake gets one paragraph, exit code 2, and leaves nothing behind; so do a dead victim and Ctrl-C."""

from __future__ import annotations

import os
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import joblib
import numpy as np
import pytest
import soundfile
import torch
from sklearn.neighbors import KNeighborsClassifier
from tests.world import QUICK, RATE, card, clip, program, run, sound, tree

from subterfuge.training.demo_data import HOME, embedded_card, embedded_clips, embedded_features


@pytest.fixture
def bands(tmp_path: Path) -> Path:
    """The card of a victim that hears three bands."""
    return card(tmp_path / "cards")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder of the results, empty."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def refused(out: Path, *words: object, code: int = 2) -> str:
    """Run a command that must be refused with one paragraph, nothing printed and nothing left; give the paragraph."""
    before = tree(out)
    said = run(*words)
    assert said.code == code, said
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1, "one paragraph"
    assert said.err.endswith("\n")
    assert "Traceback" not in said.err
    assert tree(out) == before
    return said.err


def attack(sound_file: Path, victim: Path, out: Path, *more: object) -> tuple[object, ...]:
    return ("attack", sound_file, "--victim", victim, "--target", "high", "--out", f"{out}/", *QUICK, *more)


def wav_header(seconds: int, rate: int = RATE) -> bytes:
    """The header of an 8-bit mono WAV file."""
    size = seconds * rate
    return (
        b"RIFF"
        + struct.pack("<I", 36 + size)
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8)
        + (b"data" + struct.pack("<I", size))
    )


# sounds


def no_file(path: Path) -> None:
    pass


def empty(path: Path) -> None:
    path.touch()


def a_folder(path: Path) -> None:
    path.mkdir()


def not_a_sound(path: Path) -> None:
    path.write_text("this is no sound, whatever its name says\n" * 20)


def header_only(path: Path) -> None:
    path.write_bytes(wav_header(1)[:30])


def no_samples(path: Path) -> None:
    soundfile.write(path, np.zeros((0, 1)), RATE)


def one_sample(path: Path) -> None:
    soundfile.write(path, np.full((1, 1), 0.5), RATE)


def silent(path: Path) -> None:
    soundfile.write(path, np.zeros((4000, 2)), RATE)


def near_silent(path: Path) -> None:
    soundfile.write(path, sound() * 1e-6, RATE, subtype="FLOAT")


def channels_that_cancel(path: Path) -> None:
    wave = np.rint(sound() * 1000) / 32768
    soundfile.write(path, np.concatenate([wave, -wave], 1), RATE)


def not_a_number(path: Path) -> None:
    wave = sound()
    wave[100] = np.nan
    soundfile.write(path, wave, RATE, subtype="FLOAT")


def infinite(path: Path) -> None:
    wave = sound()
    wave[100] = np.inf
    soundfile.write(path, wave, RATE, subtype="FLOAT")


def an_hour(path: Path) -> None:
    with path.open("wb") as file:
        file.write(wav_header(3600))
        file.truncate(len(wav_header(3600)) + 3600 * RATE)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (no_file, ["does not exist", "Check the name"]),
        (empty, ["is empty (0 bytes)", "cut off"]),
        (a_folder, ["is a folder", "Name a file in it"]),
        (not_a_sound, ["cannot be read as sound", "WAV, FLAC", "convert"]),
        (header_only, ["cannot be read as sound", "WAV, FLAC"]),
        (no_samples, ["0 samples", "at least 32"]),
        (one_sample, ["1 sample a channel", "at least 32"]),
        (silent, ["digital silence", "every sample is zero"]),
        (near_silent, ["near-silent", "-80 dB", "raise its level"]),
        (channels_that_cancel, ["mean of its 2 channels", "they cancel", "one channel alone"]),
        (not_a_number, ["1 samples that are not numbers", "replace them with 0"]),
        (infinite, ["1 samples that are not numbers", "NaN or infinite"]),
        (an_hour, ["3600.0 s long", "at most 600 s", "--max-seconds N"]),
    ],
)
def test_a_sound_that_cannot_be_attacked_is_refused(
    make: object, words: list[str], tmp_path: Path, bands: Path, out: Path
) -> None:
    assert callable(make)
    path = tmp_path / "a sound.wav"
    make(path)
    said = refused(out, *attack(path, bands, out))
    assert "a sound" in said
    assert all(word in said for word in words), said


def test_an_hour_is_refused_without_being_read_and_the_limit_can_be_lowered_and_raised(
    tmp_path: Path, bands: Path, out: Path
) -> None:
    an_hour(tmp_path / "hour.wav")
    began = time.monotonic()
    for command in (("score", tmp_path / "hour.wav", "--victim", bands), ("diff", tmp_path / "hour.wav", tmp_path)):
        assert "at most 600 s" in refused(out, *command)
    assert time.monotonic() - began < 1
    path = clip(tmp_path / "short.wav")
    assert "at most 0.1 s" in refused(out, "score", path, "--victim", bands, "--max-seconds", "0.1")
    assert run("score", path, "--victim", bands, "--max-seconds", "4000").code == 0


@pytest.mark.parametrize("seconds", ["inf", "nan", "0", "-1", "86401"])
def test_a_limit_of_the_length_that_is_none_is_refused(seconds: str, tmp_path: Path, bands: Path, out: Path) -> None:
    said = refused(out, *attack(clip(tmp_path / "a.wav"), bands, out, "--max-seconds", seconds))
    assert f"--max-seconds {seconds}" in said
    assert "up to 86400" in said


def test_a_truncated_file_is_refused_with_what_it_promises_and_holds(tmp_path: Path, bands: Path, out: Path) -> None:
    whole = clip(tmp_path / "whole.wav")
    cut = tmp_path / "cut.wav"
    cut.write_bytes(whole.read_bytes()[:5000])
    said = refused(out, *attack(cut, bands, out))
    assert "cut off" in said
    assert f"{(5000 - 44) // 2} samples a channel can be read" in said


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (96000, 1), (44100, 6), (96000, 6)])
def test_low_and_high_rates_and_six_channels_work(
    rate: int, channels: int, tmp_path: Path, bands: Path, out: Path
) -> None:
    path = clip(tmp_path / "a.wav", rate, channels, subtype="PCM_24")
    assert run(*attack(path, bands, out)).code == 0
    came = soundfile.info(out / "a-to-high.wav")
    assert (came.samplerate, came.channels, came.subtype, came.frames) == (
        rate,
        channels,
        "PCM_24",
        soundfile.info(path).frames,
    )


# what is asked


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", "hihg"], ["target 'hihg' is no label", "did you mean high?", "low, middle, high"]),
        (["--target", "xylophone"], ["target 'xylophone' is no label", "known: low, middle, high"]),
        (["--goal", "confidnet"], ["goal 'confidnet' is not known", "did you mean confident?"]),
        (["--goal", "confident=1.5"], ["confident=1.5", "between 0 and 1", "0.9"]),
        (["--goal", "confident=much"], ["confident=much", "a number was expected"]),
        (["--goal", "targeted=3"], ["targeted takes no value"]),
        (["--goal", "untargeted"], ["takes no target", "'high' was given"]),
        (["--limit", "snr=loud"], ["snr=loud", "a number was expected"]),
        (["--limit", "snr"], ["snr=(nothing)", "a number was expected"]),
        (["--limit", "snr=500"], ["snr=500", "between -60 and 150"]),
        (["--limit", "peak=0"], ["peak=0", "above 0"]),
        (["--limit", "peak=nan"], ["peak=nan", "a number was expected"]),
        (["--limit", "loudness=3"], ["limit 'loudness' is not known", "snr=40, peak=0.001 or masking"]),
        (["--queries", "0"], ["0 queries", "above 0"]),
        (["--gradients", "-5"], ["-5 gradients", "above 0"]),
        (["--seconds", "nan"], ["nan seconds", "above 0"]),
        (["--attack", "quitest"], ["attack 'quitest' is not known", "did you mean quietest?"]),
        (["-o", "clim=3"], ["no knob 'clim'", "did you mean climb?"]),
        (["-o", "climb=many"], ["climb=many", "a whole number was expected"]),
        (["-o", "swing=nan"], ["swing=nan", "a number was expected"]),
        (["-o", "climb"], ["-o climb", "KNOB=VALUE was expected"]),
        (["--attack", "noise", "-o", "draws=3.5"], ["draws=3.5", "a whole number was expected"]),
        (["--device", "gpu"], ['device = "gpu"', '"cpu"']),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: list[str], said: list[str], tmp_path: Path, bands: Path, out: Path
) -> None:
    knobs = [] if "--attack" in words else QUICK
    target = [] if "--target" in words else ["--target", "high"]
    path = clip(tmp_path / "a.wav")
    text = refused(out, "attack", path, "--victim", bands, "--out", f"{out}/", *target, *knobs, *words)
    assert all(word in text for word in said), text


def test_pgd_without_a_limit_says_which_to_add(tmp_path: Path, bands: Path, out: Path) -> None:
    path = clip(tmp_path / "a.wav")
    said = refused(out, "attack", path, "--victim", bands, "--target", "high", "--attack", "pgd", "--out", f"{out}/")
    assert "largest margin inside a limit" in said
    assert "add --limit snr=40" in said


def test_the_goals_that_need_a_target_say_so(tmp_path: Path, bands: Path, out: Path) -> None:
    path = clip(tmp_path / "a.wav")
    for goal in ("targeted", "confident=0.5"):
        said = refused(out, "attack", path, "--victim", bands, "--goal", goal, "--out", f"{out}/")
        assert "name a label with --target" in said


def test_confidence_is_not_asked_of_a_victim_without_probabilities(tmp_path: Path, out: Path) -> None:
    victim = card(tmp_path, "uncertain")
    said = refused(out, *attack(clip(tmp_path / "a.wav"), victim, out, "--goal", "confident=0.9"))
    assert "needs probabilities" in said
    assert "uncertain has none" in said
    assert "use the goal targeted" in said


@pytest.mark.parametrize(
    ("name", "gives", "less"),
    [
        ("label", "labels", "hopskipjump, kenansville, noise"),
        (
            "scores",
            "scores",
            "substitute, guided, evolution, nes, square, genetic, study-ga, hopskipjump, kenansville, noise",
        ),
    ],
)
def test_a_white_box_attack_on_a_black_box_says_why_not_and_what_to_try(
    name: str, gives: str, less: str, tmp_path: Path, out: Path
) -> None:
    said = refused(out, *attack(clip(tmp_path / "a.wav"), card(tmp_path, name), out))
    assert "quietest needs gradients" in said
    assert f"{name} gives {gives} only" in said
    assert said.strip().endswith(f"needs no more than that: {less}")


def test_a_model_of_neighbours_says_that_it_has_no_gradients(tmp_path: Path, out: Path) -> None:
    table = embedded_features()
    joblib.dump(KNeighborsClassifier(3).fit(table.X, table.y), tmp_path / "neighbours.joblib")
    victim = tmp_path / "neighbours.toml"
    victim.write_text(embedded_card().read_text().replace("victim.skops", "neighbours.joblib"))
    words = ("--victim", victim, "--target", "voi", "--attack", "quietest", "--out", f"{out}/")
    said = refused(out, "attack", embedded_clips()[0], *words)
    assert "quietest needs gradients" in said
    assert "KNeighborsClassifier" in said
    assert "guided" in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
@pytest.mark.parametrize("kind", ["torch", "python", "sklearn"])
def test_a_device_that_is_not_there_is_refused_for_every_kind_of_victim(kind: str, tmp_path: Path, out: Path) -> None:
    victim = {"torch": card(tmp_path), "python": card(tmp_path, "scores"), "sklearn": embedded_card()}[kind]
    said = refused(out, "score", clip(tmp_path / "a.wav"), "--victim", victim, "--device", "cuda")
    assert "no CUDA device" in said
    assert 'use "cpu"' in said


def test_a_count_that_click_refuses_is_exit_code_2_too(tmp_path: Path, bands: Path) -> None:
    path = clip(tmp_path / "a.wav")
    for words in (["--queries", "many"], ["--control", "-1"], ["--threads", "0"], ["--colour", "red"]):
        said = run("attack", path, "--victim", bands, *words)
        assert said.code == 2
        assert "Error: " in said.err
        assert words[0] in said.err


def test_a_rate_to_compare_at_that_is_absurd_is_refused(tmp_path: Path, out: Path) -> None:
    path = clip(tmp_path / "a.wav")
    assert "--rate 3: a rate from 1000 to 384000 Hz" in refused(out, "diff", path, path, "--rate", "3")


def test_sounds_of_two_lengths_that_are_no_versions_of_one_another_are_not_compared(tmp_path: Path, out: Path) -> None:
    other = tmp_path / "b.wav"
    soundfile.write(other, np.random.default_rng(1).normal(size=4000) * 0.1, 8000)
    said = refused(out, "diff", clip(tmp_path / "a.wav"), other)
    assert "3200" in said
    assert "4000" in said


# cards


def test_a_card_that_is_not_there_is_refused(tmp_path: Path, out: Path) -> None:
    path = clip(tmp_path / "a.wav")
    assert "there is no card" in refused(out, "score", path, "--victim", tmp_path / "none.toml")
    assert "is a folder" in refused(out, "score", path, "--victim", tmp_path)
    assert "cannot be read as a card" in refused(out, "score", path, "--victim", path)
    (tmp_path / "odd.toml").write_text("kind: torch")
    assert "is no TOML" in refused(out, "score", path, "--victim", tmp_path / "odd.toml")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            'module = "bands.py:bands"',
            'module = "band.py:bands"',
            ["there is no file", "band.py", "relative to the card"],
        ),
        (
            'module = "bands.py:bands"',
            'module = "bands.py:band"',
            ["bands.py has no function band", "did you mean bands"],
        ),
        (', "high"]', "]", ["(1, 3)", "(1, 2) was expected", "one number for each of its 2 labels"]),
        ('kind = "torch"', 'kind = "touch"', ['kind = "touch"', "did you mean torch"]),
        ("sample_rate", "samplerate", ["'samplerate' is not known", "did you mean sample_rate?"]),
        ("sample_rate = 8000", "sample_rate = 8", ["sample_rate = 8", "1000 to 384000 Hz"]),
        ("schema = 1", "schema = 2", ["schema = 2", "reads schema = 1"]),
    ],
)
def test_a_wrong_card_is_refused_with_the_nearest_that_is_known(
    old: str, new: str, words: list[str], tmp_path: Path, bands: Path, out: Path
) -> None:
    text = bands.read_text()
    assert old in text
    bands.write_text(text.replace(old, new))
    said = refused(out, *attack(clip(tmp_path / "a.wav"), bands, out))
    assert str(bands) in said
    assert all(word in said for word in words), said


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("victim.skops", "victm.skops", ['model = "victm.skops"', "there is no file"]),
        ("librosa-mean-25", "librosa-mean-52", ["librosa-mean-52", "did you mean librosa-mean-25?"]),
        ("schema = 1", 'schema = 1\nlabels = ["a", "b"]', ["labels names 2 classes", "the model has 11"]),
        ("schema = 1", 'schema = 1\nscalar = "s.bin"', ["'scalar' is not known", "did you mean scaler"]),
    ],
)
def test_a_wrong_card_of_a_scikit_learn_model_is_refused(
    old: str, new: str, words: list[str], tmp_path: Path, out: Path
) -> None:
    (tmp_path / "victim.skops").symlink_to(HOME / "victim.skops")
    text = embedded_card().read_text()
    assert old in text
    path = tmp_path / "victim.toml"
    path.write_text(text.replace(old, new))
    said = refused(out, "score", embedded_clips()[0], "--victim", path)
    assert all(word in said for word in words), said


class Payload:
    """A pickle of this writes a file when it is loaded."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.file),)


def test_a_pickle_that_would_run_code_is_refused_unless_it_is_trusted(tmp_path: Path, out: Path) -> None:
    joblib.dump(Payload(tmp_path / "it ran"), tmp_path / "evil.pkl")
    path = tmp_path / "evil.toml"
    path.write_text(
        'schema = 1\nkind = "sklearn"\nsample_rate = 44100\nfeatures = "librosa-mean-25"\nmodel = "evil.pkl"\n'
    )
    said = refused(out, "score", embedded_clips()[0], "--victim", path)
    assert "mkdir" in said
    assert "--trust-pickle" in said
    assert not (tmp_path / "it ran").exists()
    refused(out, "score", embedded_clips()[0], "--victim", path, "--trust-pickle")
    assert (tmp_path / "it ran").is_dir(), "trusted, it runs: the test above was not in vain"


# places


@pytest.mark.parametrize("name", ["a-to-high.wav", "a-to-high.wav.outcome.json"])
def test_what_is_there_already_is_kept_unless_forced(name: str, tmp_path: Path, bands: Path, out: Path) -> None:
    path = clip(tmp_path / "a.wav")
    (out / name).write_text("precious")
    said = refused(out, *attack(path, bands, out))
    assert f"{name} exists already" in said
    assert "--force" in said
    assert run(*attack(path, bands, out, "--force")).code == 0
    assert (out / name).read_bytes() != b"precious"
    assert sorted(tree(out)) == ["a-to-high.wav", "a-to-high.wav.outcome.json"]


def test_a_place_that_is_taken_is_told_before_the_first_of_several_attacks(
    tmp_path: Path, bands: Path, out: Path
) -> None:
    paths = [clip(tmp_path / f"{name}.wav") for name in "ab"]
    (out / "b-to-high.wav").write_text("precious")
    said = refused(out, "attack", *paths, "--victim", bands, "--target", "high", "--out", f"{out}/", *QUICK)
    assert "b-to-high.wav exists already" in said


def test_a_clip_is_never_its_own_result_not_even_by_force(tmp_path: Path, bands: Path) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    path = clip(folder / "a.wav")
    (folder / "link.wav").symlink_to(path)
    os.link(path, folder / "hard.wav")
    for name in ("a.wav", "link.wav", "hard.wav"):
        words = ("attack", path, "--victim", bands, "--target", "high", "--out", folder / name, "--force", *QUICK)
        said = refused(folder, *words)
        assert "is the clip itself" in said
        assert "Choose another name" in said


def test_a_folder_that_cannot_be_is_refused_before_any_work(tmp_path: Path, bands: Path, out: Path) -> None:
    path = clip(tmp_path / "a.wav")
    (out / "file").write_text("a regular file")
    for place in (out / "file" / "deeper" / "x.wav", f"{out}/file/", f"{out}/file/deeper/"):
        said = refused(out, "attack", path, "--victim", bands, "--target", "high", "--out", place)
        assert "cannot be written" in said
        assert "Choose another place" in said


def test_a_name_that_no_disk_takes_is_refused(tmp_path: Path, bands: Path, out: Path) -> None:
    path = clip(tmp_path / "a.wav")
    said = refused(out, "attack", path, "--victim", bands, "--target", "high", "--out", out / ("x" * 300 + ".wav"))
    assert "File name too long" in said


def test_a_lost_attack_leaves_no_folder_that_was_made_for_it(tmp_path: Path, bands: Path, out: Path) -> None:
    path = clip(tmp_path / "a.wav")
    words = ("attack", path, "--victim", bands, "--target", "high", "--gradients", "3", "--out", out / "new" / "deep/")
    assert run(*words).code == 3
    assert tree(out) == {}


def test_several_clips_do_not_fit_one_file(tmp_path: Path, bands: Path, out: Path) -> None:
    paths = [clip(tmp_path / f"{name}.wav") for name in "ab"]
    words = ("attack", *paths, "--victim", bands, "--target", "high", "--out", out / "one.wav")
    assert "2 clips need a folder" in refused(out, *words)


def test_two_clips_of_one_name_are_refused(tmp_path: Path, bands: Path, out: Path) -> None:
    (tmp_path / "there").mkdir()
    paths = [clip(tmp_path / "a.wav"), clip(tmp_path / "there" / "a.wav")]
    words = ("attack", *paths, "--victim", bands, "--target", "high", "--out", f"{out}/")
    said = refused(out, *words)
    assert "two clips are called a" in said
    assert "one by one" in said


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """A disk on which no file grows beyond a number of bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 3000, 7000])
def test_a_full_disk_leaves_no_half_file_neither_of_the_sound_nor_of_the_record(
    room: int, tmp_path: Path, bands: Path, out: Path
) -> None:
    path = clip(tmp_path / "a.wav")
    assert 3000 < path.stat().st_size < 7000, "the sound fits into the last room, its record does not"
    with no_file_above(room):
        said = refused(out, *attack(path, bands, out))
    assert "a-to-high.wav" in said
    assert ".subterfuge-" not in said
    assert "File too large" in said
    assert "room" in said or "another place" in said


def test_a_full_disk_keeps_what_was_to_be_replaced(tmp_path: Path, bands: Path, out: Path) -> None:
    path = clip(tmp_path / "a.wav")
    assert run(*attack(path, bands, out)).code == 0
    for room in (3000, 7000):
        with no_file_above(room):
            refused(out, *attack(path, bands, out, "--force", "--seed", "1"))


@pytest.mark.parametrize(("fault", "code"), [(OSError(28, "No space left on device"), 2), (KeyboardInterrupt(), 130)])
def test_a_sound_that_cannot_be_moved_into_place_leaves_no_record_either(
    fault: BaseException, code: int, tmp_path: Path, bands: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, replace = clip(tmp_path / "a.wav"), os.replace

    def failing(source: Path, target: Path) -> None:
        if Path(target).name == "a-to-high.wav":
            raise fault
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    said = run(*attack(path, bands, out))
    assert (said.code, said.out) == (code, "")
    assert tree(out) == {}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_standard_output_is_one_paragraph() -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(program("attacks"), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: No space left on device")
    assert "Traceback" not in ended.stderr


# victims that die, and users who stop


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raises", ["the victim raises died", "RuntimeError: the bands broke", "bands.py, line"]),
        ("nan", ["the victim nan answered NaN", "finite ones were expected"]),
    ],
)
def test_a_victim_that_dies_in_the_middle_is_exit_code_4_and_nothing_is_left(
    name: str, words: list[str], tmp_path: Path, out: Path
) -> None:
    victim = card(tmp_path, name)
    path = clip(tmp_path / "a.wav")
    assert run("score", path, "--victim", victim).code == 0, "it lives at first"
    said = refused(out, *attack(path, victim, out), code=4)
    assert all(word in said for word in words), said


def started(*words: object, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(program(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd)


def wait_for(what: object, process: subprocess.Popen[str]) -> None:
    assert callable(what)
    until = time.monotonic() + 60
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_in_the_middle_of_an_attack_leaves_nothing(
    sent: signal.Signals, code: int, tmp_path: Path, out: Path
) -> None:
    path = clip(tmp_path / "a.wav")
    process = started(*attack(path, card(tmp_path, "slow"), out / "new"), cwd=tmp_path)
    wait_for(lambda: list(out.glob("new/.subterfuge-*")), process)
    process.send_signal(sent)
    said, error = process.communicate(timeout=60)
    assert process.returncode == code
    assert said == ""
    assert "Traceback" not in error
    assert ("interrupted; nothing half-written was left" in error) == (code == 130)
    assert tree(out) == {}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc to see how far an import is")
def test_an_interrupt_during_the_imports_shows_no_traceback(tmp_path: Path, bands: Path, out: Path) -> None:
    process = started(*attack(clip(tmp_path / "a.wav"), bands, out), cwd=tmp_path)
    wait_for(lambda: "libtorch" in Path(f"/proc/{process.pid}/maps").read_text(), process)
    process.send_signal(signal.SIGINT)
    said, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == ""
    assert error.strip() == "interrupted; nothing half-written was left"
    assert tree(out) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="locks a mutex of glibc's twice")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_native_code_that_never_comes_back_is_ended_too(sent: signal.Signals, code: int) -> None:
    """A call that holds the main thread, whatever signal comes, as a program of TorchScript does that loops."""
    words = (
        "import ctypes, signal\n"
        "from subterfuge.cli import ending\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "ending.GRACE_SECONDS = 0.2\n"
        "ending.watch_for_signals()\n"
        "lock, libc = ctypes.create_string_buffer(64), ctypes.CDLL(None)\n"
        "libc.pthread_mutex_lock(lock)\n"
        "print('ready', flush=True)\n"
        "libc.pthread_mutex_lock(lock)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)  # it says so before it locks
    process.send_signal(sent)
    _, error = process.communicate(timeout=30)
    assert process.returncode == code
    assert "does not let go" in error
