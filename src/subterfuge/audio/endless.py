"""Files on which libsndfile never comes back, told before it sees them.

libsndfile (up to 1.2.2 at least) takes some sizes for signed 32-bit numbers, so that one near 2^32 sends it back to
what it has just read, for ever, in memory, where nothing stops it. Found by fuzzing, and seen in its source, in two
places:

- ``wavlike_subchunk_parse``: a chunk inside LIST, or behind a bare INFO, of a WAV or RF64 file, where the bytes read
  so far and the size, added modulo 2^32, seem to fit into the list;
- ``svx_read_header``: a chunk ANNO, AUTH or "(c) " of 2 GiB or more in an 8SVX or 16SV file.

In a damaged file libsndfile looks for chunks from the middle of others, so every place where these letters stand is
followed, not only those where a chunk should start. No sound file that was written whole has either.

Behind an ID3 tag it also misjudges where the file ends, and waits there for ever: in a WAV file that is shorter than
it says, and in containers that it cannot read there at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np

from subterfuge.errors import ClipError

_Order = Literal["little", "big"]
_WAVES: dict[bytes, tuple[_Order, ...]] = {b"RIFF": ("little",), b"RF64": ("little",), b"RIFX": ("big", "little")}
_BACKWARDS = (b"ANNO", b"AUTH", b"(c) ")
_TEXTS = frozenset(b"ISFT ICOP IARL IART ICMT ICRD IENG IGNR INAM IPRD ISBJ ISRC IAUT ITRK labl".split())
_LAST = frozenset({b"data", b"DISP", b"ltxt", b"note", bytes(4)})
"""What libsndfile reads no further behind."""
_CAMERA = frozenset({b"emnt", b"emdl", b"ecor", b"etim", b"erel", b"eucm"})
_LONGEST_TEXT, _LONGEST_CAMERA = 2048, 4096

_ROUND = 1 << 32
_BLOCK = 1 << 20
_MOST_STEPS = 500_000
"""Chunks in lists that are followed; a file with more has lists within lists without number."""


class _Lists(NamedTuple):
    """A file that may hold lists: how long it is, how it counts, whether another file surrounds it."""

    file: IO[bytes]
    length: int
    order: _Order
    embedded: bool

    def take(self, at: int, count: int = 4) -> bytes:
        self.file.seek(at)
        return self.file.read(count)

    def number(self, at: int) -> int:
        return int.from_bytes(self.take(at), self.order)


def refuse_endless(path: Path) -> None:
    """Refuse a file that libsndfile would never finish opening; do nothing about any other.

    A RIFF, RIFX, RF64, 8SVX or 16SV file is read once, in blocks of 1 MiB; of any other only the head.

    Raises:
        ClipError: it is such a file.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start, length = _behind_id3(file), file.seek(0, 2)
        file.seek(start)
        head = file.read(12)
        if start and _lost_behind_id3(head, length - start):
            raise ClipError(
                f"{path} starts with an ID3 tag, behind which libsndfile cannot read a cut-off or rare kind of file. "
                "Strip the tag, or convert it to WAV or FLAC."
            )
        if _is_amiga(head):
            endless = any(file.seek(place + 4) and file.read(1) >= b"\x80" for place in _find(file, _BACKWARDS))
        else:
            endless = _has_endless_list(file, _WAVES.get(head[:4], ()), start > 0)
    if endless:
        raise ClipError(
            f"{path} is damaged: a size in its metadata leads back to where it stands, and libsndfile would read in a "
            "circle without end. Strip its metadata (LIST chunks, annotations), or export it again."
        )


def _behind_id3(file: IO[bytes]) -> int:
    """Give the place where the sound file starts: 0, or behind the ID3 tags that come first."""
    start, head = 0, file.read(10)
    while head[:3] == b"ID3" and len(head) == 10:
        start += 10 + sum((byte & 0x7F) << 7 * (3 - k) for k, byte in enumerate(head[6:]))
        file.seek(start)
        head = file.read(10)
    return start


def _lost_behind_id3(head: bytes, rest: int) -> bool:
    if head[:4] in (b"RIFF", b"RIFX"):
        return int.from_bytes(head[4:8], _WAVES[head[:4]][0]) + 8 > rest
    return head[:4] in (b"RF64", b"riff", b"caff") or _is_amiga(head)


def _is_amiga(head: bytes) -> bool:
    return head[:4] == b"FORM" and head[8:] in (b"8SVX", b"16SV")


def _find(file: IO[bytes], words: tuple[bytes, ...]) -> Iterator[int]:
    """Give every place in a file where one of some words of four letters stands.

    Each block is compared as 32-bit numbers, from each of four offsets: four times as fast as `bytes.find` in sound.
    """
    wanted = np.frombuffer(b"".join(words), dtype="<u4")
    start = 0
    while True:
        file.seek(start)
        block = file.read(_BLOCK)
        for offset in range(min(4, len(block) - 3)):
            numbers = np.frombuffer(block, dtype="<u4", count=(len(block) - offset) // 4, offset=offset)
            for word in wanted:
                for at in np.flatnonzero(numbers == word).tolist():
                    yield start + offset + 4 * at
        if len(block) < _BLOCK:
            return
        start += len(block) - 3


def _has_endless_list(file: IO[bytes], orders: tuple[_Order, ...], embedded: bool) -> bool:
    length, steps = file.seek(0, 2), 0
    for place in _find(file, (b"LIST", b"INFO") if orders else ()):
        for order in orders:
            for back in _follow(_Lists(file, length, order, embedded), place):
                steps += 1
                if back or steps > _MOST_STEPS:
                    return True
    return False


def _follow(lists: _Lists, place: int) -> Iterator[bool]:
    """Go through the chunks of the list at `place` as libsndfile does; say of each whether it leads back.

    `at` is where it stands and `read` what it believes to have read: behind a camera's chunk they differ.
    """
    said = lists.number(place + 4)
    at, read, size = place + 8, 0, min(said, lists.length - place - 8)
    while said > 8 and read < size and at + 4 <= lists.length:
        name, at, read = lists.take(at), at + 4, read + 4
        if name in (b"INFO", b"adtl"):
            yield False
            continue
        if name == b"exif":
            at, more = _behind_exif(lists, at, size - read)
            read += more
            yield False
            continue
        if name in _LAST:
            return
        step, at, read = lists.number(at), at + 4, read + 4
        if name == b"labl":
            step, at, read = (step - 4) % _ROUND, at + 4, read + 4
        step = (step + step % 2) % _ROUND
        fits = (read + step) % _ROUND <= size
        if name in _TEXTS:
            if step >= _LONGEST_TEXT or not fits or (name == b"labl" and not step):
                return
        elif step >= _ROUND // 2 and (fits or lists.embedded):
            yield True
        elif not fits:
            return
        at, read = at + step, read + step
        yield False


def _behind_exif(lists: _Lists, at: int, size: int) -> tuple[int, int]:
    """Follow libsndfile through a camera's notes: give the place behind them, and what it believes to have read."""
    read = 0
    while read < size and at + 4 <= lists.length:
        name, at, read = lists.take(at), at + 4, read + 4
        if name == b"ever":
            at, read = at + 8, read + 8
        elif name == b"olym":
            step, at, read = lists.number(at), at + 4, read + 4
            if step <= size and read + step <= size:
                at, read = at + step + step % 2, read + step + step % 2
        elif name in _CAMERA:
            step, at, read = lists.number(at), at + 4, read + 8
            step = (step + step % 2) % _ROUND
            if step >= _LONGEST_CAMERA:
                break
            text = lists.take(at, step)
            at, read = at + step, read + step
            if name == b"emdl" and 0 not in text:
                at, read = at + 2, read + 2
            if step > size:
                break
    return at, read
