"""The chunks of RIFF (WAV, RF64) and IFF (AIFF) files: walking them, and carrying them from file to file.

A chunk is four letters, a 32-bit length, that many bytes, and a byte of padding where the length is odd.
RIFF and RF64 count little-endian, RIFX and FORM big-endian. RF64 keeps lengths of 64 bits in its chunk
``ds64`` (EBU Tech 3306).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, NamedTuple

SOUND = frozenset({b"data", b"SSND"})
ESSENTIAL = SOUND | {b"fmt ", b"fact", b"ds64", b"COMM", b"FVER", b"PEAK"}
"""Chunks that the writer makes itself."""
EMPTY = frozenset({b"JUNK", b"junk", b"PAD ", b"FLLR", b"filr", b"    ", b"\0\0\0\0"})
STALE = frozenset({b"MD5 ", b"levl"})
"""Chunks that describe the old samples, and would be wrong in the new file."""

_HEADS = {b"RIFF": "<", b"RF64": "<", b"RIFX": ">", b"FORM": ">"}
_UNKNOWN = 0xFFFFFFFF
_MOST_CHUNKS = 4096
_MOST_BYTES = 64 << 20


class Chunk(NamedTuple):
    """Where a chunk's bytes lie: `size` as the header says, `held` as the file holds."""

    name: bytes
    start: int
    size: int
    held: int


def walk(file: IO[bytes]) -> Iterator[Chunk]:
    """Go through the chunks of a RIFF, RIFX, RF64 or FORM file; nothing comes of any other file.

    Safe on any bytes: it never reads beyond the file and stops at the first chunk that does not fit.
    """
    length = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    order = _HEADS.get(head[:4])
    if order is None or len(head) < 12:
        return
    sound_bytes, place = None, 12
    for _ in range(_MOST_CHUNKS):
        file.seek(place)
        top = file.read(8)
        if len(top) < 8:
            return
        name, size = top[:4], struct.unpack(order + "I", top[4:])[0]
        start = place + 8
        rest = length - start
        if name == b"ds64" and rest >= 16:
            sound_bytes = struct.unpack("<8xQ", file.read(16))[0]
        if name == b"data" and size == _UNKNOWN:
            size = rest if sound_bytes is None else sound_bytes
        yield Chunk(name, start, size, min(size, rest))
        if size > rest:
            return
        place = start + size + size % 2


def missing_bytes(file: IO[bytes]) -> int:
    """Count the bytes of sound that a header promises beyond the end of the file, 0 for a whole file.

    A length that was never filled in, as a recorder that writes to a pipe leaves it (0xFFFFFFFF, or near 2
    GiB), promises nothing.
    """
    for chunk in walk(file):
        if chunk.name in SOUND:
            return chunk.size - chunk.held if chunk.size < 0x7FFF0000 else 0
    return 0


def extras(file: IO[bytes]) -> tuple[list[tuple[bytes, bytes]], list[str]]:
    """Read the chunks that are neither sound nor its description; name those that had to be left out."""
    kept, lost, budget = [], [], _MOST_BYTES
    for chunk in list(walk(file)):
        if chunk.name in ESSENTIAL | EMPTY:
            continue
        budget -= chunk.held
        if chunk.name in STALE or chunk.held < chunk.size or budget < 0 or not chunk.name.isascii():
            lost.append(chunk.name.decode("latin-1").strip())
            continue
        file.seek(chunk.start)
        kept.append((chunk.name, file.read(chunk.size)))
    return kept, lost


def append(sound: bytes, more: list[tuple[bytes, bytes]]) -> bytes:
    """Put chunks at the end of a RIFF, RIFX, RF64 or FORM file, and mend its length."""
    order = _HEADS[sound[:4]]
    whole = bytearray(sound)
    whole += b"\0" * (len(whole) % 2)
    for name, body in more:
        whole += name + struct.pack(order + "I", len(body)) + body + b"\0" * (len(body) % 2)
    if whole[:4] == b"RF64":
        whole[20:28] = struct.pack("<Q", len(whole) - 8)
    else:
        whole[4:8] = struct.pack(order + "I", len(whole) - 8)
    return bytes(whole)
