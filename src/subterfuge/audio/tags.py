"""Titles, cue points, pictures: what a file holds beside its sound, carried over or said to be lost."""

from __future__ import annotations

import base64
import binascii
import io
from pathlib import Path
from typing import Any, NamedTuple

import soundfile

from subterfuge.audio.chunks import append, extras, walk
from subterfuge.audio.formats import Container
from subterfuge.audio.id3 import as_vorbis

RIFF = frozenset({"WAV", "WAVEX", "RF64"})


class Carried(NamedTuple):
    """An encoded file with what could be carried over, and the names of what could not."""

    sound: bytes
    lost: tuple[str, ...]


def carry(source: Path, source_format: str, sound: bytes, home: Container) -> Carried:
    """Copy tags, pictures and chunks of the source into an encoded file, bytes to bytes.

    WAV to WAV and AIFF to AIFF: every chunk but the sound (LIST, cue, smpl, bext, id3 ...). FLAC to FLAC:
    comments, pictures, cue sheet, application blocks. Vorbis, Opus or MP3 to FLAC: comments and pictures.
    Any other way: the few texts that libsndfile knows where the output is FLAC; all else is named as lost.
    Never raises: a source whose tags cannot be read loses them.
    """
    try:
        if home.format in RIFF | {"AIFF"}:
            return _chunks(source, sound, home.format == "AIFF", source_format)
        if home.format == "FLAC":
            return _into_flac(source, source_format, sound)
        if home.format in ("OGG", "MP3") and source_format == home.format:
            return _in_kind(source, sound)
    except Exception as error:  # mutagen raises errors of every kind on a damaged file
        return Carried(sound, (f"all tags ({type(error).__name__}: {error})",))
    return Carried(sound, (f"tags and markers, if the {source_format} file had any",))


def _chunks(source: Path, sound: bytes, aiff: bool, source_format: str) -> Carried:
    with source.open("rb") as file:
        kept, lost = extras(file)
    if not (source_format == "AIFF" if aiff else source_format in RIFF):
        names = [name.decode("latin-1").strip() for name, _ in kept]
        return Carried(sound, tuple(names + lost) or (f"tags and markers, if the {source_format} file had any",))
    return Carried(append(sound, kept) if kept else sound, tuple(lost))


def _into_flac(source: Path, source_format: str, sound: bytes) -> Carried:
    from mutagen.flac import FLAC

    out = FLAC(io.BytesIO(sound))
    if source_format == "FLAC":
        lost = _flac_blocks(FLAC(source), out)
    else:
        if out.tags is None:
            out.add_tags()
        lost = _comments(source, source_format, out)
    file = io.BytesIO(sound)
    out.save(file, padding=lambda _: 0)
    return Carried(file.getvalue(), tuple(lost))


def _flac_blocks(source: Any, out: Any) -> list[str]:
    """Give the output the source's comments (4), application blocks (2), cue sheet (5) and pictures (6)."""
    out.metadata_blocks = [block for block in out.metadata_blocks if block.code not in (1, 4)]
    out.metadata_blocks += [block for block in source.metadata_blocks if block.code in (2, 4, 5, 6)]
    return []


def _comments(source: Path, source_format: str, out: Any) -> list[str]:
    import mutagen

    if source_format in ("OGG", "MP3"):
        opened = mutagen.File(source)
        tags = opened.tags if opened is not None else None
        if not tags:
            return []
        if source_format == "MP3":
            comments, pictures, lost = as_vorbis(tags)
            for name, text in comments:
                out.tags.append((name, text))
            for frame in pictures:
                out.add_picture(_picture(frame))
            return lost
        return _vorbis(tags, out)
    with soundfile.SoundFile(str(source)) as file:
        texts = file.copy_metadata()
    for name, text in texts.items():
        out.tags.append((name.upper(), text))
    with source.open("rb") as raw:
        chunks, lost = extras(raw)
        if not any(walk(raw)):
            return [f"markers, if the {source_format} file had any"]
    names = [name.decode("latin-1").strip() for name, body in chunks if not (name == b"LIST" and body[:4] == b"INFO")]
    return names + lost


def _vorbis(tags: Any, out: Any) -> list[str]:
    from mutagen.flac import Picture

    lost = []
    for name, text in tags:
        if name.lower() == "metadata_block_picture":
            try:
                out.add_picture(Picture(base64.b64decode(text)))
            except (binascii.Error, ValueError, OSError, IndexError):
                lost.append("a damaged picture")
        else:
            out.tags.append((name, text))
    return lost


def _picture(frame: Any) -> Any:
    from mutagen.flac import Picture

    picture = Picture()
    picture.type, picture.mime, picture.desc, picture.data = frame.type, frame.mime, frame.desc, frame.data
    return picture


def _in_kind(source: Path, sound: bytes) -> Carried:
    import mutagen

    before = mutagen.File(source)
    if before is None or not before.tags:
        return Carried(sound, ())
    if before.mime[0] == "audio/mp3":
        file = io.BytesIO(sound)
        before.tags.save(file)
        return Carried(file.getvalue(), ())
    after = mutagen.File(io.BytesIO(sound))
    for name, text in before.tags:
        after.tags.append((name, text))
    file = io.BytesIO(sound)
    after.save(file)
    return Carried(file.getvalue(), ())
