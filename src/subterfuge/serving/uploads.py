"""The sound in a request: a multipart file, the raw body, or base64 in JSON."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from typing import NamedTuple

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

WAYS = (
    'a multipart form with the sound in "file", the sound itself as the body (Content-Type audio/wav or '
    'application/octet-stream), or JSON {"audio": "<the file in base64>"}'
)


class Refused(Exception):
    """A request that cannot be answered, with the HTTP status that says so."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.headers = status, headers


class Upload(NamedTuple):
    """A sound file as it was sent, and what its name ends in, if it has one."""

    raw: bytes
    suffix: str


class Held:
    """The bytes of the requests that are read or wait for their turn: so many at the most."""

    def __init__(self, most: int) -> None:
        self._most, self._bytes = most, 0

    @contextmanager
    def room_for(self, request: Request, largest: int) -> Iterator[None]:
        """Hold room for a request: as large as it says that it is, else as large as any may be.

        Raises:
            Refused: 503, with Retry-After: there is none.
        """
        told = request.headers.get("content-length", "")
        size = min(int(told), largest) if told.isdecimal() else largest
        if self._bytes + size > self._most:
            raise Refused(503, "too many sounds wait for their turn; ask again in a second", {"Retry-After": "1"})
        self._bytes += size
        try:
            yield
        finally:
            self._bytes -= size


async def upload_of(request: Request, most: int) -> Upload:
    """Read the sound file of a request of at most so many bytes.

    Raises:
        Refused: 413, it is larger, told before it is read whole; 415, another content type; 400, no sound in it.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    forms = ("multipart/form-data", "application/json", "application/octet-stream")
    if kind not in forms and not kind.startswith("audio/"):
        given = f"the content type {kind!r:.60}" if kind else "no content type"
        raise Refused(415, f"a request with {given}, where {WAYS} was expected")
    raw = await _whole(request, most)
    if kind == "multipart/form-data":
        return await _in_form(request, raw)
    sound = _in_json(raw) if kind == "application/json" else raw
    if not sound:
        raise Refused(400, f"the request is empty; {WAYS} was expected")
    return Upload(sound, "")


async def _whole(request: Request, most: int) -> bytes:
    told = request.headers.get("content-length", "")
    raw = bytearray()
    if not (told.isdecimal() and int(told) > most):
        async for part in request.stream():
            raw += part
            if len(raw) > most:
                break
        else:
            return bytes(raw)
    raise Refused(413, f"the request is larger than {most / 1e6:g} MB, the most that this server reads")


async def _in_form(request: Request, raw: bytes) -> Upload:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield raw

    try:
        form = await MultiPartParser(request.headers, stream(), max_files=8, max_fields=32).parse()
    except MultiPartException as reason:
        raise Refused(400, f"no whole multipart form: {reason.message}") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            fields = ", ".join(f"{name!r:.40}" for name in form) or "nothing"
            raise Refused(400, f'the form holds {fields}; the sound was expected as a file in the field "file"')
        sound = await file.read()
        if not sound:
            raise Refused(400, 'the file in the field "file" is empty; a sound file was expected')
        suffix = PurePath(file.filename or "").suffix
        return Upload(sound, suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", suffix) else "")
    finally:
        await form.close()


def _in_json(raw: bytes) -> bytes:
    try:
        audio = json.loads(raw)["audio"]
        return base64.b64decode("".join(audio.split()), validate=True)
    except (binascii.Error, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise Refused(400, 'JSON {"audio": "<a sound file in base64>"} was expected') from None
