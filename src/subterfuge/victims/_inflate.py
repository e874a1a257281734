"""Undo the compressions that joblib writes, told apart by their first bytes, up to a size."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

_LZMA_MEMORY = 512 * 2**20


class Unreadable(ValueError):
    """A compressed file that cannot be undone, and why."""


def _lz4() -> Any:
    try:
        return import_module("lz4.frame").LZ4FrameDecompressor()
    except ImportError:
        raise Unreadable("it is compressed with lz4, which needs the package lz4") from None


_FORMS: dict[bytes, tuple[str, Callable[[], Any]]] = {
    b"\x78": ("zlib", zlib.decompressobj),
    b"\x1f\x8b": ("gzip", lambda: zlib.decompressobj(wbits=31)),
    b"BZ": ("bz2", bz2.BZ2Decompressor),
    b"\xfd7zXZ": ("xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _LZMA_MEMORY)),
    b"\x5d\x00": ("lzma", lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, _LZMA_MEMORY)),
    b"\x04\x22\x4d\x18": ("lz4", _lz4),
}


def inflate(raw: bytes, most: int) -> bytes:
    """Give the content of a compressed file, or the bytes as they are if no known compression begins them.

    Args:
        raw: the file.
        most: the largest size of the content, in bytes; nothing beyond it is unpacked.

    Raises:
        Unreadable: damaged, cut short, larger than `most`, or compressed by a library that is not installed.
    """
    form = next((form for magic, form in _FORMS.items() if raw.startswith(magic)), None)
    if form is None:
        return raw
    name, opened = form
    machine = opened()
    try:
        content: bytes = machine.decompress(raw, most + 1)
    except (OSError, EOFError, RuntimeError, ValueError, zlib.error, lzma.LZMAError) as reason:
        raise Unreadable(f"its {name} compression is damaged ({reason})") from None
    if len(content) > most:
        raise Unreadable(f"it unpacks to more than {most / 2**20:g} MiB")
    if not machine.eof:
        raise Unreadable(f"its {name} compression is cut short")
    return content
