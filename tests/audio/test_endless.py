"""A file that libsndfile would read in a circle is refused before libsndfile sees it, and no other is."""

from __future__ import annotations

import contextlib
import io
import struct
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subterfuge.audio import Clip, hear
from subterfuge.audio.chunks import append
from subterfuge.audio.endless import refuse_endless
from subterfuge.errors import ClipError, OutputError

BACK_8 = b"\xf8\xff\xff\xff"
FMT = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
SOUND = b"data" + struct.pack("<I", 400) + bytes(range(200)) * 2

# Found by fuzzing and made as small as they go: libsndfile 1.2.2 does not come back from any of them.
CIRCLES = {
    "a chunk in a list": b"RIFF\0\0\0\0WAVELIST \0\0\0\0\0\0 " + BACK_8,
    "a chunk of an odd size": b"RIFF\0\0\0\0WAVELIST \0\0\0INFO\0\0\0 \xf3\xff\xff\xff",
    "RF64": b"RF64\0\0\0\0WAVELIST \0\0\0\0\0\0 " + BACK_8,
    "big-endian": b"RIFX\0\0\0\0WAVELIST\0\0\0 \0\0\0 \xff\xff\xff\xf8",
    "INFO without a list": b"RIFF\0\0\0\0WAVEINFO \0\0\0\0\0\0 " + BACK_8,
    "titles": b"RIFF\0\0\0\0WAVELIST \0\0\0INFO\0\0\0 " + BACK_8,
    "labels": b"RIFF\0\0\0\0WAVELIST \0\0\0adtl\0\0\0 \xf4\xff\xff\xff",
    "the second in a list": b"RIFF\0\0\0\0WAVELIST\0\0\0 \0\0\0 \x06\0\0\0abcdef\0\0\0 " + BACK_8,
    "a list cut off": b"RIFF\0\0\0\0WAVELIST\xff\xff\xff\x7fadtl\0\0\0 " + BACK_8,
    "a camera's list": b"RIFF\0\0\0\0WAVELIST\x40\0\0\0exifemdl\0\x20\0\0zzzz" + BACK_8 + bytes(40),
    "behind a whole sound": b"RIFF\0\0\0\0WAVE" + FMT + SOUND + b"LIST\x10\0\0\0INFO\0\0\0 " + BACK_8,
    "before a whole sound": b"RIFF\0\0\0\0WAVE" + FMT + b"LIST\x10\0\0\0INFO\0\0\0 " + BACK_8 + bytes(4) + SOUND,
    "copyright of an 8SVX": b"FORM\0\0\0\x008SVX(c) \xff\xff\xff\xf8" + bytes(5),
    "author of a 16SV": b"FORM\0\0\0\x0016SVAUTH\xff\xff\xff\xf8" + bytes(5),
    "annotation of an 8SVX": b"FORM\0\0\0\x008SVX    \0\0\0\2abANNO\xff\xff\xff\xee" + bytes(5),
}
ID3 = b"ID3\3\0\0\0\0\1\x02" + bytes(130)
LOST_BEHIND_ID3 = {
    "RIFF": b"RIFF\xbc\0\0\0WAVE" + FMT + b"LIST",
    "RIFX": b"RIFX\0\0\0\xbcWAVE    \0\0\0\4abcdLIST",
    "RF64": b"RF64\0\0\0\0WAVE" + FMT + b"LIST",
    "16SV": b"FORM\0\0\0\x0016SVLIS",
}


@pytest.mark.parametrize("name", [*CIRCLES, *(f"{name}, behind ID3" for name in LOST_BEHIND_ID3)])
def test_a_file_without_end_is_refused_before_libsndfile_sees_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "circle.wav"
    path.write_bytes(CIRCLES.get(name) or ID3 + LOST_BEHIND_ID3[name.removesuffix(", behind ID3")])
    monkeypatch.setattr(soundfile.SoundFile, "__init__", lambda *_, **__: pytest.fail("libsndfile saw it"))
    for read in (Clip.read, lambda place: hear(place, 8000)):
        with pytest.raises(ClipError, match=r"in a circle|ID3 tag") as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_circle_is_found_across_the_border_of_two_blocks(tmp_path: Path) -> None:
    path = tmp_path / "far.wav"
    for place in range((1 << 20) - 24, (1 << 20) + 2):
        filler = b"JUNK" + struct.pack("<I", place - 20) + bytes(place - 20)
        path.write_bytes(b"RIFF\0\0\0\0WAVE" + filler + b"LIST \0\0\0\0\0\0 " + BACK_8)
        with pytest.raises(ClipError, match="in a circle"):
            refuse_endless(path)


def test_an_endless_list_is_not_written_either(make, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make()
    clip = Clip.read(source)
    source.write_bytes(append(source.read_bytes(), [(b"LIST", b"INFO\0\0\0 " + BACK_8 + bytes(20))]))
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("libsndfile saw it"))
    with pytest.raises(OutputError, match="in a circle"):
        clip.write(source.parent / "out.wav")
    assert not (source.parent / "out.wav").exists()


def every_kind() -> Iterator[bytes]:
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (200, 1))
    for format in soundfile.available_formats():
        for subtype in soundfile.available_subtypes(format):
            for endian in ("FILE", "BIG", "LITTLE"):
                if format not in ("RAW", "SD2") and soundfile.check_format(format, subtype, endian):
                    file = io.BytesIO()
                    try:
                        soundfile.write(file, sound, 48000 if subtype != "GSM610" else 8000, subtype, endian, format)
                    except (soundfile.LibsndfileError, ValueError):
                        continue  # announced, and yet not written in mono at this rate
                    yield file.getvalue()


def test_no_kind_of_file_that_libsndfile_writes_is_refused(tmp_path: Path) -> None:
    path, kinds = tmp_path / "whole", list(every_kind())
    assert len(kinds) > 80
    for whole in kinds:
        path.write_bytes(whole)
        refuse_endless(path)


def tag(name: bytes, body: bytes, order: str = "<") -> bytes:
    return name + struct.pack(order + "I", len(body)) + body + bytes(len(body) % 2)


SANE = {
    "titles": b"INFO" + tag(b"INAM", b"odd") + tag(b"IART", b"LIST of INFO") + tag(b"IKEY", b"x" * 3000),
    "labels": b"adtl"
    + b"".join(tag(b"labl", struct.pack("<I", k) + b"label") + tag(b"ltxt", bytes(20)) for k in range(300)),
    "a title of 4000 letters": b"INFO" + tag(b"ICMT", b"c" * 4000),
    "a chunk without a body": b"INFO" + tag(b"INAM", b"") + tag(b"none", b""),
    "one too large for the list": b"INFO" + b"IKEY" + struct.pack("<I", 1 << 20),
    "one of all ones": b"INFO" + b"\xff" * 40,
    "an unknown one": b"INFO" + tag(b"zzzz", bytes(40)),
    "a word only": b"INFO",
    "nothing": b"",
}


NOT_BEFORE_THE_SOUND = {
    "one cut off": b"INFO" + b"INAM\3",
    "a camera's": b"exif" + tag(b"ever", b"0220") + tag(b"emdl", b"model") + tag(b"olym", b"\xff" * 50),
}
"""Where these come first, libsndfile itself does not find the sound."""


@pytest.mark.parametrize("body", [*SANE.values(), *NOT_BEFORE_THE_SOUND.values()], ids=[*SANE, *NOT_BEFORE_THE_SOUND])
def test_lists_that_end_are_let_through_and_the_sound_is_read(make, body: bytes) -> None:
    path = make("listed.wav", channels=1, frames=501)
    plain, whole = Clip.read(path).fingerprint, path.read_bytes()
    path.write_bytes(append(whole, [(b"LIST", body)]))
    assert Clip.read(path).fingerprint == plain
    if body in SANE.values():
        start = whole.index(b"data")
        path.write_bytes(append(append(whole[:start], [(b"LIST", body)]), [(b"data", whole[start + 8 :])]))
        assert Clip.read(path).fingerprint == plain


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_whatever_a_list_holds_it_is_told_in_one_reading(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "any.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVELIST" + body)
    with contextlib.suppress(ClipError):
        refuse_endless(path)
    assert path.read_bytes().endswith(body)


def test_the_letters_of_a_list_in_the_sound_itself_do_not_refuse_it(tmp_path: Path) -> None:
    steps = np.frombuffer(b"LISTINFO" * 500 + b"LIST\x10\0\0\0INFO\0\0\1\0" * 500, dtype="<i2")
    for format in ("WAV", "RF64", "AIFF"):
        path = tmp_path / f"letters.{format}"
        soundfile.write(path, steps, 44100, format=format, subtype="PCM_16")
        assert np.array_equal(np.rint(Clip.read(path).samples[0] * 32768), steps)


@pytest.mark.parametrize("format", ["WAV", "AIFF", "FLAC", "MP3"])
def test_a_whole_file_behind_an_id3_tag_is_read(make, format: str) -> None:
    path = make("tagged", format=format, subtype="MPEG_LAYER_III" if format == "MP3" else "PCM_16")
    frames = Clip.read(path).frames
    path.write_bytes(ID3 + path.read_bytes())
    assert Clip.read(path).frames == frames


def test_a_flood_of_lists_is_told_in_time(tmp_path: Path) -> None:
    path = tmp_path / "flood.wav"
    for flood in (b"INFO" * 300_000, b"LIST\xff\xff\xff\x7fa   \0\0\0\0" * 60_000):
        path.write_bytes(b"RIFF\xff\xff\xff\xffWAVE" + flood)
        begun = time.process_time()
        with pytest.raises(ClipError):
            Clip.read(path)
        assert time.process_time() - begun < 10


def test_a_long_file_is_looked_through_in_little_memory(tmp_path: Path) -> None:
    path, size = tmp_path / "long.wav", 64 << 20
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", size) + b"WAVE" + FMT + b"data" + struct.pack("<I", size - 36))
        file.truncate(size + 8)
    tracemalloc.start()
    refuse_endless(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
