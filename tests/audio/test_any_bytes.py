"""Whatever the bytes, a clip is read or refused: no other end is allowed."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path

import numpy as np
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subterfuge.audio import Clip
from subterfuge.audio.chunks import extras, missing_bytes, walk
from subterfuge.errors import ClipError

quick = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])

KINDS = [
    *[("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", "PCM_24"), ("RF64", "PCM_16"), ("WAV", "MS_ADPCM")],
    *[
        ("FLAC", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("OGG", "VORBIS"),
        ("CAF", "ALAC_16"),
        ("AU", "PCM_16"),
        ("W64", "PCM_16"),
    ],
]


def a_file(kind: tuple[str, str]) -> bytes:
    file = io.BytesIO()
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (100, 2))
    soundfile.write(file, sound, 44100, format=kind[0], subtype=kind[1])
    return file.getvalue()


FILES = [a_file(kind) for kind in KINDS]

soup = st.lists(
    st.tuples(
        st.sampled_from([b"fmt ", b"data", b"LIST", b"fact", b"cue ", b"ds64", b"COMM", b"SSND", b"PEAK", b"\xff\0ab"]),
        st.one_of(st.integers(0, 64), st.sampled_from([2**31 - 1, 2**31, 2**32 - 1, 2**32 - 8])),
        st.binary(max_size=64),
    ),
    max_size=12,
)
heads = st.sampled_from(
    [b"RIFF\xff\xff\xff\xffWAVE", b"RF64\xff\xff\xff\xffWAVE", b"RIFX\0\0\1\0WAVE", b"FORM\0\0\1\0AIFF"]
)


def stir(head: bytes, chunks: list[tuple[bytes, int, bytes]]) -> bytes:
    order = ">" if head[:4] in (b"RIFX", b"FORM") else "<"
    return head + b"".join(name + struct.pack(order + "I", size) + body for name, size, body in chunks)


def read_or_refuse(path: Path, body: bytes) -> None:
    path.write_bytes(body)
    with contextlib.suppress(ClipError):
        clip = Clip.read(path)
        assert clip.frames >= 32
        assert np.isfinite(clip.samples).all()
        assert np.isfinite(clip.mono(8000)).all()


@quick
@given(st.binary(max_size=400))
def test_arbitrary_bytes(tmp_path: Path, body: bytes) -> None:
    read_or_refuse(tmp_path / "any.wav", body)


@quick
@given(heads, soup)
def test_chunks_in_any_order_of_any_length(tmp_path: Path, head: bytes, chunks: list[tuple[bytes, int, bytes]]) -> None:
    body = stir(head, chunks)
    read_or_refuse(tmp_path / "soup.wav", body)
    with io.BytesIO(body) as file:
        for chunk in walk(file):
            assert 12 <= chunk.start <= len(body)
            assert 0 <= chunk.held <= len(body) - chunk.start
        kept, _ = extras(file)
        assert sum(len(part) for _, part in kept) <= len(body)
        assert missing_bytes(file) >= 0


@quick
@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.integers(0, 500), st.binary(min_size=1, max_size=4)), min_size=1, max_size=6),
    st.integers(0, 60),
)
def test_real_files_with_bytes_changed_and_an_end_cut_off(
    tmp_path: Path, whole: bytes, changes: list[tuple[int, bytes]], cut: int
) -> None:
    body = bytearray(whole)
    for place, new in changes:
        place %= len(body)
        body[place : place + len(new)] = new
    read_or_refuse(tmp_path / "damaged.bin", bytes(body[: len(body) - cut]))


def test_a_chunk_soup_without_end_is_left_in_time() -> None:
    file = io.BytesIO(b"RIFF\0\0\0\0WAVE" + (b"none" + bytes(4)) * 100_000)
    assert sum(1 for _ in walk(file)) == 4096
