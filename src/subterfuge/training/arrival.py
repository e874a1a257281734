"""Files that arrive: read or downloaded in pieces, checked, and under their name only once whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from subterfuge.errors import InputError, OutputError

CHUNK_BYTES = 1 << 16
AGAIN = "files that arrived whole are kept, so try again, or give a local copy with --from FOLDER"


def read(path: Path) -> Iterator[bytes]:
    """Read a local file in pieces.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            yield from _pieces(stream)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def download(url: str, *, most: int, timeout_seconds: float, seconds: float) -> Iterator[bytes]:
    """Download in pieces, and stop one byte after `most`, so that too long a file shows as such.

    Args:
        url: an http or https address.
        most: how many bytes are expected.
        timeout_seconds: how long a silent server is waited for.
        seconds: how long the whole download may take.

    Raises:
        InputError: no such address, no network, a server that refuses, falls silent or is too slow.
    """
    if not url.startswith(("https://", "http://")):
        raise InputError(f"{url}: expected an address that begins with https:// or http://")
    end, left = time.monotonic() + seconds, most + 1
    try:
        with urlopen(Request(url, headers={"User-Agent": "sonic-subterfuge"}), timeout=timeout_seconds) as answer:
            for piece in _pieces(answer):
                yield piece[:left]
                left -= len(piece)
                if left <= 0:
                    return
                if time.monotonic() > end:
                    raise InputError(f"{url}: not whole after {seconds:g} s; {AGAIN}")
    except HTTPError as error:
        error.close()
        raise InputError(f"{url}: the server answers {error.code} {error.reason}; {AGAIN}") from error
    except (OSError, HTTPException) as error:
        raise InputError(f"{url}: the download failed ({getattr(error, 'reason', error)}); {AGAIN}") from error


def write_checked(path: Path, chunks: Iterable[bytes], *, size: int, sha256: str) -> None:
    """Write a file that must have this size and SHA-256 (hexadecimal), or nothing.

    Raises:
        InputError: what came is shorter, or something else.
        OutputError: the path cannot be written.
    """

    def checked() -> Iterator[bytes]:
        digest, came = hashlib.sha256(), 0
        for chunk in chunks:
            digest.update(chunk)
            came += len(chunk)
            yield chunk
        if came < size:
            raise InputError(f"{path.name}: broke off after {came} of {size} bytes; {AGAIN}")
        if digest.hexdigest() != sha256:
            raise InputError(
                f"{path.name}: what came is another file (SHA-256 begins {digest.hexdigest()[:12]}, expected "
                f"{sha256[:12]}), so it was dropped; give a local copy with --from FOLDER"
            )

    write(path, checked())


def write(path: Path, chunks: Iterable[bytes]) -> None:
    """Write beside the path, then rename; leave nothing behind if that fails.

    Raises:
        OutputError: the path cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as stream:
            for chunk in chunks:
                stream.write(chunk)
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}; choose another folder") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(CHUNK_BYTES):
        yield piece
