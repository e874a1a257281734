"""Titles, cue points and pictures go along, or are said to be lost."""

from __future__ import annotations

import base64
import io
import struct
from pathlib import Path

import mutagen
import numpy as np
import pytest
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, COMM, ID3, PRIV, TCON, TDRC, TIT2, TPE1, TXXX, USLT
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis

from subterfuge.audio import Clip, hear
from subterfuge.audio.chunks import append, extras, walk

INFO = b"INFO" + b"INAM" + struct.pack("<I", 6) + b"title\0" + b"IART" + struct.pack("<I", 4) + b"me\0\0"
CUE = struct.pack("<IIIIIII", 1, 1, 1000, int.from_bytes(b"data", "little"), 0, 0, 1000)
MORE = [
    (b"LIST", INFO),
    (b"cue ", CUE),
    (b"smpl", bytes(36)),
    (b"bext", b"x" * 603),
    (b"iXML", b"<a/>"),
    (b"id3 ", b"odd"),
]


def chunks_of(path: Path) -> dict[bytes, bytes]:
    with path.open("rb") as file:
        return dict(extras(file)[0])


def written(source: Path, name: str, **more: bool) -> tuple[Path, list[str]]:
    told: list[str] = []
    return Clip.read(source).write(source.parent / name, announce=told.append, **more), told


@pytest.mark.parametrize(("format", "endian"), [("WAV", "FILE"), ("WAV", "BIG"), ("WAVEX", "FILE"), ("RF64", "FILE")])
def test_every_chunk_of_a_wav_goes_along(make, format: str, endian: str) -> None:
    source = make(
        format=format,
        endian=endian,
        frames=1001,
        channels=1,
        subtype="PCM_U8" if endian == "FILE" else "PCM_16",
    )
    source.write_bytes(append(source.read_bytes(), MORE))
    out, told = written(source, "out.wav")
    assert told == []
    assert chunks_of(out) == dict(MORE)
    assert Clip.read(out).fingerprint == Clip.read(source).fingerprint
    assert np.array_equal(hear(out, 22050), hear(source, 22050))
    assert out.read_bytes() == source.read_bytes()


def test_chunks_before_the_sound_go_along_too(make) -> None:
    source = make(frames=1000)
    plain = source.read_bytes()
    body = (
        plain[:12]
        + b"bext"
        + struct.pack("<I", 3)
        + b"odd\0"
        + b"JUNK"
        + struct.pack("<I", 28)
        + bytes(28)
        + plain[12:]
    )
    source.write_bytes(body[:4] + struct.pack("<I", len(body) - 8) + body[8:])
    out, told = written(source, "out.wav")
    assert (chunks_of(out), told) == ({b"bext": b"odd"}, [])


def test_a_chunk_about_the_old_samples_is_left_out_aloud(make) -> None:
    source = make()
    source.write_bytes(append(source.read_bytes(), [(b"levl", bytes(120)), (b"cue ", CUE)]))
    out, told = written(source, "out.wav")
    assert chunks_of(out) == {b"cue ": CUE}
    assert told == ["not carried over from clip.wav: levl"]


def test_every_chunk_of_an_aiff_goes_along(make) -> None:
    for subtype in ("PCM_16", "PCM_S8"):
        source = make("in.aiff", format="AIFF", subtype=subtype, channels=1, frames=1001)
        more = [(b"NAME", b"a name"), (b"ANNO", b"odd"), (b"MARK", bytes(2))]
        source.write_bytes(append(source.read_bytes(), more))
        out, told = written(source, f"{subtype}.aiff")
        assert (chunks_of(out), told) == (dict(more), [])
        assert Clip.read(out).fingerprint == Clip.read(source).fingerprint


def picture() -> Picture:
    made = Picture()
    made.type, made.mime, made.desc, made.data = 3, "image/png", "cover", b"\x89PNG" * 10
    return made


def test_flac_keeps_comments_and_pictures(make) -> None:
    source = make("in.flac", format="FLAC")
    tags = FLAC(source)
    tags["TITLE"], tags["artist"] = ["one", "two"], "ä"
    tags.add_picture(picture())
    tags.save()
    out, told = written(source, "out.flac")
    after = FLAC(out)
    assert told == []
    assert after.tags == FLAC(source).tags
    assert after.pictures == [picture()]
    assert after.info.md5_signature == tags.info.md5_signature


@pytest.mark.parametrize(("subtype", "opened"), [("VORBIS", OggVorbis), ("OPUS", OggOpus)])
@pytest.mark.parametrize("keep", [False, True])
def test_comments_and_pictures_of_ogg_go_along(make, subtype: str, opened, keep: bool) -> None:
    source = make("in.ogg", format="OGG", subtype=subtype, rate=48000)
    tags = opened(source)
    tags["TITLE"], tags["DATE"] = ["one", "two"], "1999"
    tags["METADATA_BLOCK_PICTURE"] = base64.b64encode(picture().write()).decode()
    tags.save()
    out, _ = written(source, "out.ogg", keep_container=keep)
    assert out.suffix == (".ogg" if keep else ".flac")
    after = mutagen.File(out)
    assert (after["TITLE"], after["DATE"]) == (["one", "two"], ["1999"])
    if keep:
        assert after["METADATA_BLOCK_PICTURE"] == tags["METADATA_BLOCK_PICTURE"]
    else:
        assert after.pictures == [picture()]
    assert Clip.read(out).frames == Clip.read(source).frames


def tagged_mp3(source: Path) -> Path:
    tags = ID3()
    for frame in (
        TIT2(encoding=3, text="title"),
        TPE1(encoding=3, text=["me", "you"]),
        TDRC(encoding=3, text="2001-02-03"),
        TCON(encoding=3, text="Jazz"),
        COMM(encoding=3, lang="eng", desc="", text="a comment"),
        TXXX(encoding=3, desc="MOOD", text="blue"),
        USLT(encoding=3, lang="eng", desc="", text="la la"),
        APIC(encoding=3, mime="image/png", type=3, desc="cover", data=picture().data),
        PRIV(owner="x", data=b"y"),
    ):
        tags.add(frame)
    tags.save(source)
    return source


def test_tags_of_an_mp3_become_those_of_flac_and_what_has_no_place_is_named(make) -> None:
    source = tagged_mp3(make("in.mp3", format="MP3", subtype="MPEG_LAYER_III"))
    out, told = written(source, "out.flac")
    after = FLAC(out)
    assert dict(after.tags) == {
        "title": ["title"],
        "artist": ["me", "you"],
        "date": ["2001-02-03"],
        "genre": ["Jazz"],
        "comment": ["a comment"],
        "mood": ["blue"],
        "lyrics": ["la la"],
    }
    assert after.pictures == [picture()]
    assert told == ["not carried over from in.mp3: PRIV"]


def test_an_mp3_that_is_kept_keeps_all_its_tags(make) -> None:
    source = tagged_mp3(make("in.mp3", format="MP3", subtype="MPEG_LAYER_III"))
    out, told = written(source, "out.mp3", keep_container=True)
    assert set(ID3(out)) == set(ID3(source))
    assert not any("not carried" in line for line in told)
    assert Clip.read(out).frames == Clip.read(source).frames


def test_a_wav_that_becomes_flac_keeps_its_texts_and_names_the_rest(make) -> None:
    source = make(subtype="ULAW")
    source.write_bytes(append(source.read_bytes(), [(b"LIST", INFO), (b"cue ", CUE)]))
    out, told = written(source, "out.flac")
    assert FLAC(out)["title"] == ["title"]
    assert FLAC(out)["artist"] == ["me"]
    assert "not carried over from clip.wav: cue" in told


def test_a_container_whose_tags_are_not_known_says_so(make) -> None:
    _, told = written(make("in.au", format="AU"), "out.au")
    assert told == ["not carried over from in.au: tags and markers, if the AU file had any"]


def test_tags_that_cannot_be_read_do_not_stop_the_writing(make) -> None:
    source = make("in.flac", format="FLAC")
    clip = Clip.read(source)
    source.write_bytes(b"gone")
    told: list[str] = []
    out = clip.write(source.parent / "out.flac", announce=told.append)
    source.unlink()
    again = clip.write(source.parent / "again.flac", announce=told.append)
    assert Clip.read(out).fingerprint == Clip.read(again).fingerprint == clip.fingerprint
    assert len(told) == 2
    assert all("all tags" in line for line in told)


def test_padding_and_lengths_are_walked_as_the_format_says() -> None:
    file = io.BytesIO(append(b"RIFF\0\0\0\0WAVE", [(b"odd ", b"abc"), (b"even", b"abcd"), (b"none", b"")]))
    assert [(c.name, c.start, c.size) for c in walk(file)] == [
        (b"odd ", 20, 3),
        (b"even", 32, 4),
        (b"none", 44, 0),
    ]
