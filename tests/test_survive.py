"""Survival: a recorded attack through the world, and the clean clip beside it."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from tests.world import RATE, card, clip, run, sound, tree

from subterfuge import Targeted, Threat, Victim, attack, load_victim
from subterfuge.attacks import Quietest
from subterfuge.driver.survival import Trial, record_of, share_of, survive
from subterfuge.errors import ClipError, InputError, TransformError
from subterfuge.outcome import outcome_path
from subterfuge.transforms import DEFAULT, Transform, parse_transforms

BY = Quietest(starts=(math.inf,), even=0, climb=100, resort=1, race=(20, 20), keep=(1,))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip, a won attack on it, and cards."""
    folder = tmp_path_factory.mktemp("home")
    bands = card(folder / "cards")
    for name in ("scores", "label", "uncertain"):
        card(folder / "cards", name)
    victim = load_victim(bands)
    outcome = attack(
        clip(folder / "a.wav", seconds=1.0),
        victim,
        Threat(Targeted("high")),
        by=BY,
        out=folder / "a-to-high.wav",
        control=0,
        card=bands,
    )
    assert outcome.won
    return folder


@pytest.fixture
def won(home: Path, tmp_path: Path) -> Path:
    """A copy of it, to harm; the sound of the attack."""
    shutil.copytree(home, tmp_path / "copy")
    file = tmp_path / "copy" / "a-to-high.wav"
    told = json.loads(outcome_path(file).read_text())
    edit(
        file,
        file=str(file),
        clip=told["clip"] | {"path": str(file.with_name("a.wav"))},
        victim=told["victim"] | {"card": str(tmp_path / "copy" / "cards" / "bands.toml")},
    )
    return file


@pytest.fixture
def bands(home: Path) -> Victim:
    return load_victim(home / "cards" / "bands.toml")


def edit(sound: Path, **changes: Any) -> None:
    record = outcome_path(sound)
    record.write_text(json.dumps(json.loads(record.read_text()) | changes))


def pretend(
    folder: Path, victim: Victim, before: NDArray[Any], after: NDArray[Any], rate: int = RATE, **more: Any
) -> Path:
    """Write two sounds, and a record as if an attack had made the second of the first; give its file."""
    file = folder / "p-to-high.wav"
    for place, one in ((folder / "p.wav", before), (file, after)):
        soundfile.write(place, one, rate, subtype="PCM_16")
    hashes = [hashlib.sha256(place.read_bytes()).hexdigest() for place in (folder / "p.wav", file)]
    record = {
        "schema": 1,
        "won": True,
        "goal": "targeted",
        "target": "high",
        "predicted_before": "low",
        "file": str(file),
        "file_sha256": hashes[1],
        "clip": {"name": "p", "path": str(folder / "p.wav"), "sha256": hashes[0]},
        "victim": {"name": "bands", "fingerprint": victim.fingerprint, "card": None},
    }
    outcome_path(file).write_text(json.dumps(record | more))
    return file


def tones(
    low: float, high: float, rate: int = RATE, channels: int = 1, hz: tuple[float, float] = (500, 2600)
) -> NDArray[Any]:
    """Give a tone in the low band and one in the high band, (T, C)."""
    t = np.arange(rate)[:, None] / rate
    mixed = low * np.sin(2 * np.pi * hz[0] * t) + high * np.sin(2 * np.pi * hz[1] * t + np.arange(channels))
    return np.asarray(mixed)


def said_by_numpy(wave: NDArray[Any]) -> str:
    """Which band is loudest, by numpy alone."""
    power = np.abs(np.fft.rfft(np.asarray(wave, dtype=np.float64))) ** 2
    hz = np.fft.rfftfreq(len(wave), 1 / RATE)
    edges = ((100, 1000), (1000, 2000), (2000, 3400))
    return ("low", "middle", "high")[int(np.argmax([power[(hz >= a) & (hz < b)].sum() for a, b in edges]))]


def only(found: Any) -> Trial:
    (trial,) = found.trials
    return trial


# what it finds


def test_a_wide_win_survives_what_does_not_touch_its_band(tmp_path: Path, bands: Victim) -> None:
    file = pretend(tmp_path, bands, tones(0.3, 0.1), tones(0.3, 0.45))
    found = survive(
        file, bands, parse_transforms("gain=-6,shift=1,mp3=64,vorbis,opus,noise=40,requantise=8,highpass,crop")
    )
    assert (found.survived, found.telling, found.tried, found.not_tried) == (9, 9, 9, 0)
    assert (found.share, found.clean_kept) == (1.0, 9)
    assert all(one.answer == "high" and one.clean_answer == "low" for one in found.trials)


def test_a_win_in_the_treble_does_not_survive_a_low_pass(tmp_path: Path, bands: Victim) -> None:
    file = pretend(tmp_path, bands, tones(0.3, 0.1), tones(0.3, 0.45))
    found = survive(file, bands, parse_transforms("lowpass=2000,resample=4000"))
    for one in found.trials:
        assert (one.answer, one.reached, one.survived, one.clean_answer) == ("low", False, False, "low")
    assert found.share == 0.0


def test_what_the_transform_does_alone_is_worth_nothing(tmp_path: Path, bands: Victim) -> None:
    """Without the bass the clean clip says high by itself: surviving that proves nothing."""
    file = pretend(tmp_path, bands, tones(0.3, 0.1), tones(0.3, 0.45))
    found = survive(file, bands, parse_transforms("highpass=1500,gain=-3"))
    bass, level = found.trials
    assert (bass.answer, bass.reached, bass.alone, bass.clean_answer) == ("high", True, True, "high")
    assert not bass.survived
    assert not bass.tells
    assert level.survived
    assert (found.survived, found.telling, found.tried) == (1, 1, 2)
    assert found.clean_kept == 1
    assert any("highpass=1500" in text and "worth nothing" in text for text in found.warnings)


def test_a_narrow_win_of_the_quietest_attack_is_asked_about_as_anyone_would(won: Path, bands: Victim) -> None:
    """The victim's answers of the transformed file are those that numpy finds in it."""
    transforms = parse_transforms("gain=-6,lowpass=2500,shift=1000,mp3=32,requantise=6,noise=20")
    found = survive(won, bands, transforms)
    file, _ = soundfile.read(won, dtype="float32", always_2d=True)
    for one, transform in zip(found.trials[:4], transforms, strict=False):
        heard = transform.real(np.ascontiguousarray(file.T), RATE, torch.Generator())
        assert one.answer == said_by_numpy(heard[0])
        assert one.reached == (one.answer == "high")


def test_the_victim_hears_the_transformed_file_folded_and_at_its_rate(tmp_path: Path, bands: Victim) -> None:
    """Channels at 44.1 kHz: the transform is of the file, and the victim hears what librosa makes of the result."""
    before, after = (tones(0.3, high, 44_100, channels=2) for high in (0.1, 0.45))
    file = pretend(tmp_path, bands, before, after, 44_100)
    trial = only(survive(file, bands, parse_transforms("shift=441")))
    moved = np.concatenate([np.zeros((441, 2)), soundfile.read(file)[0][:-441]])
    soundfile.write(tmp_path / "moved.wav", moved, 44_100, subtype="FLOAT")
    heard, _ = librosa.load(tmp_path / "moved.wav", sr=RATE, mono=True)
    expected = bands.probabilities(torch.from_numpy(heard)[None])
    assert expected is not None
    assert trial.probability == pytest.approx(float(expected[0, 2]), rel=1e-6)


def test_the_level_of_a_transform_is_that_on_the_clean_clip(tmp_path: Path, bands: Victim) -> None:
    file = pretend(tmp_path, bands, tones(0.3, 0.1), tones(0.3, 0.45))
    noise, nothing, cut = survive(file, bands, parse_transforms("noise=33,requantise=16,crop=0.1")).trials
    assert noise.snr_db == pytest.approx(33, abs=0.01)
    assert nothing.snr_db == math.inf
    assert cut.snr_db is None


def test_what_cannot_be_tried_is_told_and_counts_for_nothing(tmp_path: Path, bands: Victim) -> None:
    file = pretend(tmp_path, bands, tones(0.3, 0.1), tones(0.3, 0.45))
    found = survive(file, bands, parse_transforms("mp3=128,gain=12,lowpass=8000,gain=-1"))
    assert [one.tried for one in found.trials] == [False, False, False, True]
    assert [str(one.why_not)[:12] for one in found.trials[:3]] == ["MP3 at 8000 ", "would clip: ", "at 8000 Hz t"]
    assert (found.survived, found.telling, found.tried, found.not_tried, found.share) == (1, 1, 1, 3, 1.0)
    assert found.queries == 4


def test_an_encoder_that_refuses_after_all_is_not_tried(
    tmp_path: Path, bands: Victim, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise TransformError("VORBIS refuses")

    monkeypatch.setattr("subterfuge.transforms.codecs.round_trip", refuse)
    file = pretend(tmp_path, bands, tones(0.3, 0.1), tones(0.3, 0.45))
    assert only(survive(file, bands, parse_transforms("vorbis"))).why_not == "VORBIS refuses"


def test_the_default_list_is_tried_on_an_odd_clip_without_a_fault(tmp_path: Path, bands: Victim) -> None:
    short = sound(RATE, 1, 0.05)
    file = pretend(tmp_path, bands, short, 0.9 * short)
    found = survive(file, bands)
    assert len(found.trials) == len(DEFAULT)
    assert found.tried + found.not_tried == len(DEFAULT)
    assert "nothing that could survive" in " ".join(found.warnings)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_every_number_of_channels_is_tried(channels: int, tmp_path: Path, bands: Victim) -> None:
    before, after = (tones(0.15, high, 48_000, channels)[:24_000] for high in (0.05, 0.22))
    found = survive(pretend(tmp_path, bands, before, after, 48_000), bands)
    refused = {one.transform for one in found.trials if not one.tried}
    mp3 = {one.name for one in DEFAULT if one.word == "mp3"}
    assert refused == {"resample=48000"} | (mp3 if channels == 6 else set())


def test_an_untargeted_goal_survives_where_the_answer_is_another_than_that_of_the_clip(
    tmp_path: Path, bands: Victim
) -> None:
    more = {"goal": "untargeted", "target": None}
    file = pretend(tmp_path, bands, tones(0.3, 0.1), tones(0.3, 0.45), **more)
    found = survive(file, bands, parse_transforms("gain=-6,lowpass=2000,highpass=1500"))
    assert found.focus == "low"
    assert [one.reached for one in found.trials] == [True, False, True]
    assert [one.alone for one in found.trials] == [False, False, True]


def test_a_goal_with_a_probability_has_to_keep_it(tmp_path: Path, bands: Victim) -> None:
    before, after = tones(0.3, 0.1), tones(0.3, 0.33)
    wave = torch.from_numpy(after[:, 0]).float()[None]
    chances = bands.probabilities(wave)
    assert chances is not None
    half = float(chances[0, 2])
    for p, kept in ((half - 0.01, True), (half + 0.01, False)):
        file = pretend(tmp_path, bands, before, after, goal=f"confident={p}")
        assert only(survive(file, bands, parse_transforms("gain=-6"))).reached == kept


def test_labels_alone_are_enough(tmp_path: Path, home: Path) -> None:
    victim = load_victim(home / "cards" / "label.toml")
    file = pretend(tmp_path, victim, tones(0.3, 0.1), tones(0.3, 0.45))
    trial = only(survive(file, victim, parse_transforms("gain=-6")))
    assert (trial.answer, trial.probability, trial.survived) == ("high", None, True)


def test_the_same_seed_gives_the_same_and_another_seed_another_draw(won: Path, bands: Victim) -> None:
    transforms = parse_transforms("noise=30,gain,shift")
    first, again, other = (survive(won, bands, transforms, seed) for seed in (0, 0, 1))
    assert first == again
    assert [one.probability for one in first.trials] != [one.probability for one in other.trials]


def test_the_file_and_the_clean_clip_meet_the_same_draws(tmp_path: Path, bands: Victim) -> None:
    file = pretend(tmp_path, bands, tones(0.3, 0.25), tones(0.3, 0.25))
    for one in survive(file, bands, parse_transforms("noise=0,gain,shift,dither=4,crop")).trials:
        assert one.probability == one.clean_probability


def test_a_draw_depends_on_no_other_transform_of_the_list(won: Path, bands: Victim) -> None:
    alone = only(survive(won, bands, parse_transforms("noise=30")))
    assert survive(won, bands, parse_transforms("gain,noise=30")).trials[1] == alone


def test_progress_counts_the_transforms(won: Path, bands: Victim) -> None:
    told: list[tuple[int, int]] = []
    survive(won, bands, parse_transforms("gain=-6,shift=1"), progress=lambda done, of: told.append((done, of)))
    assert told == [(0, 2), (1, 2)]


def test_a_record_says_everything_in_plain_json(won: Path, bands: Victim) -> None:
    found = survive(won, bands, parse_transforms("requantise=16,mp3=128"))
    plain = json.loads(json.dumps(found.as_json(), allow_nan=False))
    same, mp3 = plain["trials"]
    assert (same["tried"], same["survived"], same["snr_db"]) == (True, True, None)
    assert (mp3["tried"], mp3["survived"], mp3["why_not"][:3]) == (False, None, "MP3")


def test_the_share_of_several_is_of_all_that_tells_something(tmp_path: Path, bands: Victim, won: Path) -> None:
    file = pretend(tmp_path, bands, tones(0.3, 0.1), tones(0.3, 0.45))
    transforms = parse_transforms("highpass=1500,lowpass=2000,gain=-6,mp3=128")
    several = [survive(file, bands, transforms), survive(won, bands, transforms)]
    record = record_of(several)
    every = [trial for one in several for trial in one.trials]
    assert record["share"] == share_of(every) == sum(t.survived for t in every) / sum(t.tells for t in every)
    assert record["transforms"]["mp3=128"] == {
        "survived": 0,
        "telling": 0,
        "tried": 0,
        "clean_kept": 0,
        "share": None,
    }
    assert record["transforms"]["lowpass=2000"]["tried"] == 2
    assert [one["file"] for one in record["outcomes"]] == [str(file), str(won)]


# mistakes


def test_a_lost_attack_is_refused(won: Path, bands: Victim) -> None:
    edit(won, file=None, won=False)
    for outcome in (outcome_path(won), json.loads(outcome_path(won).read_text())):
        with pytest.raises(InputError, match=r"lost attack.*nothing that could survive"):
            survive(outcome, bands)


def test_a_list_of_nothing_is_refused(won: Path, bands: Victim) -> None:
    with pytest.raises(TransformError, match="no transform"):
        survive(won, bands, ())


def test_sounds_of_two_shapes_are_refused(tmp_path: Path, bands: Victim) -> None:
    file = pretend(tmp_path, bands, tones(0.3, 0.1), tones(0.3, 0.45)[:-1])
    with pytest.raises(ClipError, match=r"7999 samples.*8000 samples.*one shape"):
        survive(file, bands)


def test_another_victim_than_the_attacked_one_is_told(won: Path, home: Path) -> None:
    found = survive(won, load_victim(home / "cards" / "scores.toml"), parse_transforms("gain=-6"))
    assert "not the one of the outcome" in found.warnings[0]


# the command


def test_the_command_tells_of_one_attack_in_a_table(won: Path) -> None:
    said = run("survive", won, "--transforms", "requantise=16,mp3=128,lowpass=2000")
    assert said.code == 0
    for words in ("requantise=16", "met", "lost", "not tried", "no change", "P(high)", "survives 1 of 2 (1 not tried)"):
        assert words in said.out
    assert "mp3=128: not tried, MP3 at 8000 Hz" in said.out


def test_the_command_tells_of_several_attacks_in_a_table_of_shares(won: Path, tmp_path: Path, bands: Victim) -> None:
    other = pretend(tmp_path, bands, tones(0.3, 0.1), tones(0.3, 0.45))
    cards = won.parent / "cards" / "bands.toml"
    said = run(
        "survive", won, other, "--transforms", "requantise=16,lowpass=2000,mp3=128,highpass=1500", "--victim", cards
    )
    assert said.code == 0
    for words in ("1 low->high", "2 low->high", "2 of 2", "0 of 2", "0 of 0", "(yes)", str(other)):
        assert words in said.out


def test_json_and_the_written_record_are_the_same(won: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.json"
    said = run("survive", won, "--transforms", "gain=-6", "--json", "--out", out)
    assert said.code == 0
    assert json.loads(said.out) == json.loads(out.read_text())
    assert json.loads(said.out)["outcomes"][0]["trials"][0]["transform"] == "gain=-6"


@pytest.mark.parametrize(("least", "code"), [(0, 0), (0.5, 0), (0.51, 1), (1, 1)])
def test_a_bar_is_missed_with_exit_code_1(least: float, code: int, tmp_path: Path, bands: Victim, home: Path) -> None:
    file = pretend(tmp_path, bands, tones(0.3, 0.1), tones(0.3, 0.45))
    words = ("--transforms", "gain=-6,lowpass=2000", "--victim", home / "cards" / "bands.toml")
    assert run("survive", file, *words, "--fail-under", least).code == code


def test_where_nothing_could_be_tried_every_bar_above_0_is_missed_and_that_is_said(won: Path) -> None:
    for least, code in ((0, 0), (0.01, 1), (1, 1)):
        said = run("survive", won, "--transforms", "mp3=128", "--fail-under", least)
        assert said.code == code
        assert "no trial tells whether the attack survives: 1 could not be tried" in said.err
        assert (f"--fail-under {least} is missed" in said.err) == bool(code)
    said = run("survive", won, "--transforms", "mp3=128")
    assert (said.code, "1 could not be tried; give other transforms" in said.err) == (0, True)


def test_where_every_transform_meets_the_goal_alone_that_is_said(tmp_path: Path, bands: Victim, home: Path) -> None:
    file = pretend(tmp_path, bands, tones(0.3, 0.1), tones(0.3, 0.45))
    words = ("--transforms", "highpass=1500,mp3=128", "--victim", home / "cards" / "bands.toml", "--json")
    said = run("survive", file, *words)
    assert "1 could not be tried, and of 1 the transform alone meets the goal" in said.err
    assert json.loads(said.out)["share"] is None


def test_one_outcome_under_two_names_is_refused(won: Path, tmp_path: Path, bands: Victim, home: Path) -> None:
    other = pretend(tmp_path, bands, tones(0.3, 0.1), tones(0.3, 0.45))
    for twin in (won, outcome_path(won), won.parent / ".." / "copy" / won.name):
        said = run("survive", won, other, twin, "--transforms", "gain=-6", "--victim", home / "cards" / "bands.toml")
        assert (said.code, said.out) == (2, "")
        assert f"{twin} is the same outcome as {won}" in said.err


def test_a_crop_that_the_clip_is_too_short_for_says_what_was_cut(tmp_path: Path, bands: Victim, home: Path) -> None:
    file = pretend(tmp_path, bands, tones(0.3, 0.1)[:400], tones(0.3, 0.45)[:400])
    long, short, drawn = survive(file, bands, parse_transforms("crop=10,crop=0.005,crop")).trials
    assert long.note == "0.005 s and no more cut off either end, a tenth of a sound of 0.05 s"
    assert (short.note, drawn.note) == (None, None)
    said = run("survive", file, "--transforms", "crop=10", "--victim", home / "cards" / "bands.toml")
    assert f"crop=10: {long.note}" in said.out


def test_a_result_is_overwritten_only_by_force_and_what_is_read_never(won: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.json"
    words = ("survive", won, "--transforms", "gain=-6", "--out")
    assert run(*words, out).code == 0
    refused = run(*words, out)
    assert (refused.code, "--force" in refused.err) == (2, True)
    assert run(*words, out, "--force").code == 0
    for name in ("a.wav", "a-to-high.wav", "a-to-high.wav.outcome.json", "cards/bands.toml"):
        kept = (won.parent / name).read_bytes()
        assert run(*words, won.parent / name, "--force").code == 2
        assert (won.parent / name).read_bytes() == kept


def test_an_interrupt_leaves_nothing_behind(won: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("subterfuge.cli.watch.Watch.count", stop)
    before = set(tree(won.parent))
    assert run("survive", won, "--out", won.with_name("s.json")).code == 130
    assert {name for name in tree(won.parent) if "__pycache__" not in name} <= before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--transforms", "mp4"), "did you mean mp3"),
        (("--transforms", "gain=99"), "from -60 to 24"),
        (("--transforms", ""), "empty place"),
        (("--victim", "none.toml"), "none.toml"),
        (("--fail-under", "2"), "--fail-under"),
    ],
)
def test_a_mistake_is_one_paragraph_and_exit_code_2(words: tuple[str, ...], said: str, won: Path) -> None:
    told = run("survive", won, *words)
    assert told.code == 2
    assert said in told.err
    assert "Traceback" not in told.err


def test_a_lost_outcome_is_refused_by_the_command_before_any_work(won: Path) -> None:
    edit(won, file=None, won=False)
    said = run("survive", won.with_name("a-to-high.wav.outcome.json"))
    assert (said.code, "nothing that could survive" in said.err, said.out) == (2, True, "")


def test_the_list_of_transforms_can_be_given_back_to_it() -> None:
    plain = json.loads(run("transforms", "--json").out)
    made: tuple[Transform, ...] = parse_transforms(",".join(plain["default"]))
    assert made == DEFAULT
    said = run("transforms").out
    assert all(f"{word}: " in said for word in plain["transforms"])
