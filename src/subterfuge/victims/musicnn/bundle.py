"""Read the tensors of a TensorFlow checkpoint without TensorFlow.

A checkpoint is two files: ``.index``, a sorted table in the format of LevelDB
(https://github.com/google/leveldb/blob/main/doc/table_format.md) whose keys are names and whose values are small
protobufs (``BundleEntryProto`` in TensorFlow's tensor_bundle.proto: type, shape, place, checksum), and
``.data-00000-of-00001``, the tensors' bytes. Nothing in either is run. Every number that is read is checked against
what it points into, every block and every tensor against its checksum (`musicnn.crc`).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
from numpy.typing import NDArray

from subterfuge.victims.musicnn.crc import masked_crc32c

MAGIC = 0xDB4775248B80FB57
FOOTER = 48
"""Bytes at the end of a table: the places of its two top blocks, padded to 40, and the magic number."""
MOST_ENTRIES = 10_000
FLOAT32 = 1
"""Of TensorFlow's ``DataType``; the taggers hold no other type."""


class Damaged(Exception):
    """What is wrong with the bytes, in one clause."""


def read_tensors(index: bytes, data: bytes) -> dict[str, NDArray[np.float32]]:
    """Give every tensor of a checkpoint of one data file by its name, float32.

    Raises:
        Damaged: the bytes are no such checkpoint, are cut short, or do not have their checksums.
    """
    entries = table(index)
    header = fields(entries.pop(b"", b""))
    if header.get(1) != 1 or header.get(2, 0) != 0:
        raise Damaged("its header does not speak of one little-endian data file")
    tensors, spans = {}, []
    for key, value in entries.items():
        try:
            name = key.decode()
        except UnicodeDecodeError:
            raise Damaged("a tensor has a name that is no text") from None
        tensors[name], span = _tensor(name, fields(value), data)
        spans.append(span)
    ends = [0, *(end for _, end in sorted(spans))]
    if [start for start, _ in sorted(spans)] != ends[:-1] or ends[-1] != len(data):
        raise Damaged(f"its tensors do not fill the {len(data)} bytes of data one after the other")
    return tensors


def table(raw: bytes) -> dict[bytes, bytes]:
    """Give keys and values of a LevelDB table without compression.

    Raises:
        Damaged: it is none.
    """
    if len(raw) < FOOTER or int.from_bytes(raw[-8:], "little") != MAGIC:
        raise Damaged("it does not end as a LevelDB table does")
    footer = raw[-FOOTER:-8]
    _, at = _handle(footer, 0)
    index, _ = _handle(footer, at)
    found: dict[bytes, bytes] = {}
    for _, value in _entries(_block(raw, index)):
        place, _ = _handle(value, 0)
        for key, inner in _entries(_block(raw, place)):
            if found and key <= next(reversed(found)):
                raise Damaged("its keys are not in order")
            found[key] = inner
            if len(found) > MOST_ENTRIES:
                raise Damaged(f"it has more than {MOST_ENTRIES} entries")
    return found


def fields(raw: bytes) -> dict[int, int | bytes | list[bytes]]:
    """Give the fields of a protobuf message by number: numbers, and of those with a length, all bytes in a list.

    Raises:
        Damaged: the bytes are no message.
    """
    found: dict[int, int | bytes | list[bytes]] = {}
    for number, value in walk(raw):
        if isinstance(value, int):
            found[number] = value
        else:
            many = found.setdefault(number, [])
            if not isinstance(many, list):
                raise Damaged(f"field {number} of a record is of two types")
            many.append(value)
    return found


def walk(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Go through the fields of a protobuf message: their numbers and values, fixed ones as unsigned numbers.

    Raises:
        Damaged: the bytes are no message.
    """
    at = 0
    while at < len(raw):
        tag, at = varint(raw, at)
        number, form = tag >> 3, tag & 7
        if form == 0:
            value, at = varint(raw, at)
            yield number, value
            continue
        if form not in (1, 2, 5):
            raise Damaged(f"a record has a field of the unknown form {form}")
        length = 8 if form == 1 else 4
        if form == 2:
            length, at = varint(raw, at)
        if length > len(raw) - at:
            raise Damaged("a record is cut short")
        inner = raw[at : at + length]
        at += length
        yield number, inner if form == 2 else int.from_bytes(inner, "little")


def varint(raw: bytes, at: int) -> tuple[int, int]:
    """Give the number of seven bits a byte that begins at `at`, and where it ends.

    >>> varint(bytes([0x96, 0x01]), 0)
    (150, 2)
    """
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(raw):
            raise Damaged("a number is cut short")
        value |= (raw[at] & 0x7F) << shift
        at += 1
        if raw[at - 1] < 0x80:
            return value, at
    raise Damaged("a number has more than 64 bits")


def _handle(raw: bytes, at: int) -> tuple[tuple[int, int], int]:
    offset, at = varint(raw, at)
    size, at = varint(raw, at)
    return (offset, size), at


def _block(raw: bytes, place: tuple[int, int]) -> bytes:
    """Give a block's entries, without the list of restarts at its end; behind a block stand its form and checksum."""
    offset, size = place
    if offset + size + 5 > len(raw) - FOOTER or size < 4:
        raise Damaged("a block lies outside of it")
    block, trailer = raw[offset : offset + size], raw[offset + size : offset + size + 5]
    if masked_crc32c(block + trailer[:1]) != int.from_bytes(trailer[1:], "little"):
        raise Damaged("a block does not have its checksum")
    if trailer[0]:
        raise Damaged("a block is compressed, and the taggers' are not")
    end = size - 4 - 4 * int.from_bytes(block[-4:], "little")
    if end < 0:
        raise Damaged("a block is shorter than its list of restarts")
    return block[:end]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Go through keys and values; a key begins with so many bytes of the one before."""
    at, key = 0, b""
    while at < len(block):
        shared, at = varint(block, at)
        own, at = varint(block, at)
        length, at = varint(block, at)
        if shared > len(key) or own + length > len(block) - at:
            raise Damaged("an entry points outside of its block")
        key = key[:shared] + block[at : at + own]
        at += own + length
        yield key, block[at - length : at]


def _tensor(
    name: str, entry: dict[int, int | bytes | list[bytes]], data: bytes
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    shapes = entry.get(2, [])
    shard, offset, size, crc = (entry.get(number, 0) for number in (3, 4, 5, 6))
    if entry.get(1) != FLOAT32 or shard != 0 or 7 in entry or not isinstance(shapes, list):
        raise Damaged(f"the tensor {name} is not one of float32 in one piece")
    if not isinstance(offset, int) or not isinstance(size, int):
        raise Damaged(f"the tensor {name} has no place")
    shape = tuple(_size(dim) for inner in shapes for number, dim in walk(inner) if number == 2)
    if offset + size > len(data) or size != 4 * prod(shape):
        raise Damaged(
            f"the tensor {name} of shape {shape} does not lie at bytes {offset} to {offset + size} of the data"
        )
    raw = data[offset : offset + size]
    if masked_crc32c(raw) != crc:
        raise Damaged(f"the tensor {name} does not have its checksum")
    return np.frombuffer(raw, dtype="<f4").reshape(shape).astype(np.float32), (offset, offset + size)


def _size(dim: int | bytes) -> int:
    size = fields(dim).get(1, 0) if isinstance(dim, bytes) else 0
    return size if isinstance(size, int) else 0
