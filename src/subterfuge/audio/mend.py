"""Mend what libsndfile leaves amiss in the headers of the WAV and AIFF files that it writes."""

from __future__ import annotations

import io
import struct
from pathlib import Path

from subterfuge.audio.chunks import walk
from subterfuge.audio.formats import Container


def mended(sound: bytes, home: Container, *, channels: int, frames: int, source: Path | None) -> bytes:
    """Give the file with three fields put right, samples untouched.

    - the chunk PEAK holds the time of day, so that no two files would be alike: set to 0;
    - 8-bit AIFF with an odd number of samples counts the byte of padding as a sample: COMM and SSND say the
      number;
    - the speakers of a WAVE_FORMAT_EXTENSIBLE file are those of the source, not libsndfile's choice.
    """
    whole = bytearray(sound)
    speakers = _speakers(source) if home.format in ("WAVEX", "RF64") and source is not None else None
    small_aiff = home.format == "AIFF" and home.subtype in ("PCM_S8", "PCM_U8")
    for name, start, _, held in walk(io.BytesIO(sound)):
        if name == b"PEAK" and held >= 8:
            whole[start + 4 : start + 8] = bytes(4)
        elif name == b"fmt " and held >= 40 and speakers is not None:
            whole[start + 20 : start + 24] = speakers
        elif name == b"COMM" and small_aiff:
            whole[start + 2 : start + 6] = struct.pack(">I", frames)
        elif name == b"SSND" and small_aiff:
            whole[start - 4 : start] = struct.pack(">I", 8 + frames * channels)
    return bytes(whole)


def _speakers(source: Path) -> bytes | None:
    """Read which speakers a WAVE_FORMAT_EXTENSIBLE file's channels belong to, 4 bytes; else None."""
    try:
        with source.open("rb") as file:
            for chunk in walk(file):
                if chunk.name == b"fmt ":
                    file.seek(chunk.start)
                    form = file.read(min(chunk.held, 40))
                    return form[20:24] if len(form) == 40 and form[:2] in (b"\xfe\xff", b"\xff\xfe") else None
    except OSError:
        return None
    return None
