"""Files on which libsndfile would read in a circle are refused before it sees them."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subterfuge.audio import Clip
from subterfuge.audio.endless import refuse_endless
from subterfuge.errors import ClipError

FORM = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
SOUND = struct.pack("<4sI", b"data", 400) + bytes(range(200)) * 2


def wav(path: Path, *chunks: bytes, head: bytes = b"RIFF") -> Path:
    body = b"WAVE" + b"".join(chunks)
    path.write_bytes(head + struct.pack("<I", len(body)) + body)
    return path


def listed(name: bytes, size: int, text: bytes = bytes(40)) -> bytes:
    inner = b"INFO" + name + struct.pack("<I", size) + text
    return b"LIST" + struct.pack("<I", len(inner)) + inner


def test_a_size_that_leads_back_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="read in a circle"):
        Clip.read(wav(tmp_path / "a.wav", FORM, listed(b"zzzz", 0xFFFFFFF8), SOUND))


def test_a_list_of_ordinary_texts_passes(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", FORM, listed(b"INAM", 6, b"abcde\0"), SOUND)
    refuse_endless(path)
    assert Clip.read(path).frames == 200


def test_an_unknown_text_that_fits_passes(tmp_path: Path) -> None:
    assert Clip.read(wav(tmp_path / "a.wav", FORM, listed(b"zzzz", 40), SOUND)).frames == 200


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_whatever_a_list_holds_it_is_told_in_one_reading(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "any.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVELIST" + body)
    with contextlib.suppress(ClipError):
        refuse_endless(path)
    assert path.read_bytes().endswith(body)
