"""What can be read is read exactly; what cannot is refused in one paragraph."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from subterfuge.audio import Clip, hear, label_of
from subterfuge.errors import ClipError


@pytest.mark.parametrize(
    ("format", "subtype"),
    [
        *[("WAV", s) for s in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM")],
        ("FLAC", "PCM_16"),
        ("FLAC", "PCM_24"),
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
        ("AIFF", "PCM_24"),
        ("CAF", "ALAC_16"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_mono_is_what_librosa_loads_bit_for_bit(make, format: str, subtype: str, channels: int) -> None:
    path = make("clip." + format.lower(), format=format, subtype=subtype, channels=channels, frames=5001)
    clip = Clip.read(path)
    for rate in (44100, 22050, 16000, 48000, 11027):
        assert np.array_equal(clip.mono(rate), hear(path, rate)), rate
        assert clip.mono(rate).dtype == np.float32


@pytest.mark.parametrize("channels", [3, 6, 7, 8, 12, 32])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "DOUBLE"])
def test_many_channels_fold_in_librosas_order(make, channels: int, subtype: str) -> None:
    path = make(channels=channels, subtype=subtype)
    clip = Clip.read(path)
    assert clip.channels == channels
    for rate in (44100, 32000):
        assert np.array_equal(clip.mono(rate), hear(path, rate))


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 48000, 96000, 192000, 1234])
def test_any_rate_is_brought_to_the_victims_as_librosa_does(make, rate: int) -> None:
    path = make(rate=rate, frames=3001)
    assert np.array_equal(Clip.read(path).mono(44100), hear(path, 44100))
    assert np.array_equal(Clip.read(path).mono(16000), hear(path, 16000))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:audioread")
def test_to_hear_is_to_load_with_librosa(make) -> None:
    import librosa

    path = make(rate=32000, channels=3)
    for rate in (32000, 44100, 8000):
        assert np.array_equal(hear(path, rate), librosa.load(path, sr=rate)[0])


def test_the_studys_clips_are_heard_as_librosa_hears_them(seed_study: Path) -> None:
    for path in sorted((seed_study / "clips").glob("*.wav")):
        clip = Clip.read(path)
        assert clip.samples.shape[0] == 2
        assert clip.label in path.name
        assert clip.warnings == ()
        for rate in (44100, 22050):
            assert np.array_equal(clip.mono(rate), hear(path, rate))


def test_the_mono_wave_may_be_written_to_and_the_samples_may_not(make) -> None:
    clip = Clip.read(make(channels=1))
    before = clip.fingerprint
    clip.mono(44100)[:] = 0
    assert Clip.read(clip.path).fingerprint == before
    with pytest.raises(ValueError, match="read-only"):
        clip.samples[0, 0] = 0


@pytest.mark.parametrize(
    ("subtype", "dtype"),
    [("PCM_16", "f4"), ("PCM_24", "f4"), ("FLOAT", "f4"), ("PCM_32", "f8"), ("DOUBLE", "f8")],
)
def test_samples_have_the_dtype_that_holds_them_exactly(make, subtype: str, dtype: str) -> None:
    path = make(subtype=subtype)
    clip = Clip.read(path)
    assert clip.samples.dtype == dtype
    assert np.array_equal(clip.samples.T, soundfile.read(path, dtype="float64")[0])


def test_a_clip_knows_what_its_file_is(make) -> None:
    clip = Clip.read(make("[cel] a.wav", subtype="PCM_24", frames=441, channels=6))
    assert (clip.format, clip.subtype, clip.sample_rate, clip.name) == ("WAV", "PCM_24", 44100, "[cel] a")
    assert (clip.channels, clip.frames, clip.seconds, clip.label) == (6, 441, 0.01, "cel")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("065__[cel][nod][cla]0059__2.wav", "cel"),
        ("[tru][cla]1954__3.wav", "tru"),
        ("[nod][cel].wav", None),
        ("[].wav", None),
        ("cel.wav", None),
        ("[Cel].wav", None),
        ("[[voi].wav", "voi"),
    ],
)
def test_the_label_is_the_irmas_code_in_the_first_brackets(name: str, label: str | None) -> None:
    assert label_of(name) == label


def test_the_fingerprint_is_of_the_sound_and_not_of_the_file(make) -> None:
    wav, flac = make("a.wav"), make("b.flac", format="FLAC")
    other, faster = make("c.wav", seed=1), make("d.wav", rate=48000)
    prints = [Clip.read(path).fingerprint for path in (wav, flac, other, faster)]
    assert prints[0] == prints[1]
    assert len({*prints}) == 3


def test_silence_is_read_and_flagged(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros((100, 2)), 44100)
    soundfile.write(tmp_path / "nearly.wav", np.eye(100, 2) / 32768, 44100)
    assert Clip.read(tmp_path / "silence.wav").is_silent
    assert not Clip.read(tmp_path / "nearly.wav").is_silent


def refusal(path: Path | str, **more: float) -> str:
    with pytest.raises(ClipError) as caught:
        Clip.read(path, **more)
    said = str(caught.value)
    assert "\n" not in said
    assert str(path) in said
    return said


def test_places_that_hold_no_file_are_refused(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "missing.wav")
    assert "folder" in refusal(tmp_path)
    (tmp_path / "empty.wav").touch()
    assert "0 bytes" in refusal(tmp_path / "empty.wav")
    assert "device or a pipe" in refusal("/dev/zero")
    os.mkfifo(tmp_path / "pipe.wav")
    assert "device or a pipe" in refusal(tmp_path / "pipe.wav")
    assert "cannot be opened" in refusal("nul\0.wav")
    assert "cannot be opened" in refusal(tmp_path / ("long" * 100))
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    assert "cannot be opened" in refusal(tmp_path / "loop.wav")


@pytest.mark.parametrize("body", [b"not a sound at all, only text\n" * 50, b"RIFF", b"\0" * 5000, b"ID3", b"fLaC"])
def test_what_is_not_audio_is_refused(tmp_path: Path, body: bytes) -> None:
    for name in ("a.wav", "a.mp3", "a.flac", "a.raw", "a"):
        (tmp_path / name).write_bytes(body)
        refusal(tmp_path / name)


@pytest.mark.parametrize("frames", [0, 1, 31])
def test_a_clip_of_too_few_samples_is_refused(tmp_path: Path, frames: int) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros((frames, 2)), 44100)
    said = refusal(tmp_path / "short.wav")
    assert f"{frames} sample" in said
    assert "32" in said


def test_a_clip_of_32_samples_is_read(make) -> None:
    assert Clip.read(make(frames=32)).mono(44100).shape == (32,)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_samples_that_are_no_numbers_are_refused(tmp_path: Path, bad: float, subtype: str) -> None:
    samples = np.zeros((100, 2))
    samples[50, 1] = bad
    soundfile.write(tmp_path / "bad.wav", samples, 44100, subtype=subtype)
    assert "1 samples that are not numbers" in refusal(tmp_path / "bad.wav")


def test_floats_that_were_never_scaled_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "big.wav", np.full(100, 20000.0), 44100, subtype="FLOAT")
    assert "20000" in refusal(tmp_path / "big.wav")


def test_a_long_file_is_refused_by_its_header_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hour = 3600 * 8000
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + hour, b"WAVE", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8, b"data", hour
    )
    with (tmp_path / "hour.wav").open("wb") as file:
        file.write(head)
        file.truncate(len(head) + hour)
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("samples were read"))
    said = refusal(tmp_path / "hour.wav")
    assert "3600.0 s" in said
    assert "600 s" in said
    assert "--max-seconds N" in said


def test_the_limit_of_seconds_can_be_moved(make) -> None:
    path = make(frames=4410)
    assert Clip.read(path, max_seconds=0.1).frames == 4410
    assert "0.1 s long; at most 0.09 s" in refusal(path, max_seconds=0.09)


def test_a_midi_sample_dump_is_refused_before_libsndfile_prints_of_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "dump.sds"
    path.write_bytes(b"\xf0\x7e\x00\x01" + bytes(300))
    assert "MIDI sample dump" in refusal(path)
    assert capfd.readouterr().out == ""


def test_more_than_32_channels_are_refused(make) -> None:
    assert "33 channels" in refusal(make(channels=33))


def test_a_rate_that_makes_no_sense_is_refused(make) -> None:
    assert "3 Hz" in refusal(make(rate=3))
    assert "2000000 Hz" in refusal(make(rate=2_000_000))


@pytest.mark.parametrize(("format", "suffix"), [("WAV", "wav"), ("WAV", "rifx"), ("AIFF", "aiff"), ("RF64", "rf64")])
def test_a_file_cut_off_is_refused_with_what_it_promises_and_holds(make, format: str, suffix: str) -> None:
    path = make("cut." + suffix, format=format, endian="BIG" if suffix == "rifx" else "FILE")
    path.write_bytes(path.read_bytes()[: -1000 * 4])
    said = refusal(path)
    assert "cut off: its header promises 4000 bytes" in said
    assert "3000 samples a channel can be read" in said


def test_a_wav_that_was_streamed_is_not_called_cut_off(make) -> None:
    path = make()
    whole = bytearray(path.read_bytes())
    whole[4:8] = whole[40:44] = b"\xff" * 4
    path.write_bytes(whole)
    clip = Clip.read(path)
    assert (clip.frames, clip.warnings) == (4000, ())


def test_a_damaged_flac_is_refused(make) -> None:
    path = make("cut.flac", format="FLAC")
    path.write_bytes(path.read_bytes()[:8000])
    assert "cannot be read" in refusal(path)


def test_a_lossy_source_is_announced(make) -> None:
    for format, subtype in (
        ("MP3", "MPEG_LAYER_III"),
        ("OGG", "VORBIS"),
        ("WAV", "ULAW"),
        ("WAV", "MS_ADPCM"),
    ):
        assert subtype in Clip.read(make("a." + format.lower(), format=format, subtype=subtype)).warnings[0]


def test_a_clipped_source_is_announced(tmp_path: Path) -> None:
    sine = np.sin(np.arange(1000) / 10)
    soundfile.write(tmp_path / "clipped.wav", np.clip(2 * sine, -1, 1), 44100)
    soundfile.write(tmp_path / "beyond.wav", 2 * sine, 44100, subtype="FLOAT")
    soundfile.write(tmp_path / "whole.wav", sine, 44100)
    assert "is clipped" in Clip.read(tmp_path / "clipped.wav").warnings[0]
    assert "beyond full scale" in Clip.read(tmp_path / "beyond.wav").warnings[0]
    assert Clip.read(tmp_path / "whole.wav").warnings == ()


def test_hearing_what_cannot_be_heard_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"nothing to hear")
    for path in (tmp_path / "a.wav", tmp_path / "missing.wav", tmp_path):
        with pytest.raises(ClipError, match=r"cannot be heard"):
            hear(path, 44100)
