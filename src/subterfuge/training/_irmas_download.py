"""A large file over a line that breaks: it goes on where it broke off, and is believed only by its MD5."""

from __future__ import annotations

import contextlib
import os
import re
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from subterfuge.errors import InputError
from subterfuge.training._irmas_wanted import (
    CHUNK_BYTES,
    PATIENT,
    Download,
    Patience,
    Progress,
    Say,
    cannot_write,
    check_room,
    md5_of,
)

LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
"""What a server answers that may answer otherwise a little later (RFC 9110, section 15)."""
LONGEST_PAUSE_SECONDS = 60.0
OTHERWISE = "or give a local copy with --from"


class _Again(Exception):
    """The line broke; asking again may help."""

    def __init__(self, why: str, after_seconds: float | None = None) -> None:
        super().__init__(why)
        self.after_seconds = after_seconds


def fetch(
    wanted: Download, *, patience: Patience = PATIENT, progress: Progress | None = None, say: Say | None = None
) -> None:
    """Download a file, from where an earlier call broke off, as often as it takes; it appears only whole and right.

    It asks with ``Range`` and ``If-Range`` (RFC 9110, section 14). A server that sends everything again is begun
    anew. What was put together from several runs and turns out wrong is thrown away and fetched once more.

    Raises:
        InputError: no such address, a server that refuses, breaks off too often, or sends something else.
        OutputError: the folder cannot be written, or the disk is too full.
    """
    progress, say = progress or (lambda *_: None), say or (lambda _: None)
    if not wanted.url.startswith(("https://", "http://")):
        raise InputError(f"{wanted.url}: expected an address that begins with https:// or http://")
    while True:
        try:
            wanted.path.parent.mkdir(parents=True, exist_ok=True)
            resumed = wanted.have() > 0
            _complete(wanted, patience, progress, say)
            came = md5_of(wanted.part, progress, f"{wanted.name}, checking")
            if came == wanted.md5:
                os.replace(wanted.part, wanted.path)
                wanted.mark.unlink(missing_ok=True)
                return
            wanted.drop()
        except OSError as error:
            raise cannot_write(wanted.path, error) from error
        what = f"{wanted.name}: what came is another file (MD5 begins {came[:12]}, expected {wanted.md5[:12]})"
        if not resumed:
            raise InputError(f"{what}, so it was thrown away; try again later, {OTHERWISE}")
        say(f"{what}, so the pieces were thrown away; beginning anew")


def _complete(wanted: Download, patience: Patience, progress: Progress, say: Say) -> None:
    """Ask until the part is as long as the server says."""
    best, fails = wanted.have(), 0
    while True:
        try:
            return _ask(wanted, patience, progress, say)
        except _Again as broke:
            have = wanted.have()
            if have - best >= patience.worth_bytes:
                best, fails = have, 0
            fails += 1
            if fails >= patience.tries:
                raise InputError(
                    f"{wanted.url}: {broke}, {fails} times in a row; the {have} bytes that came are kept, so run the "
                    f"same again to go on, {OTHERWISE}"
                ) from broke
            pause = min(2.0 ** (fails - 1), 30.0) if broke.after_seconds is None else broke.after_seconds
            say(f"{wanted.name}: {broke}; going on in {pause:g} s")
            patience.wait(pause)


def _ask(wanted: Download, patience: Patience, progress: Progress, say: Say) -> None:
    have = wanted.have()
    headers = {"User-Agent": "sonic-subterfuge", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if wanted.mark.exists():
            headers["If-Range"] = wanted.mark.read_text("latin-1")
    answer = _open(wanted, headers, patience.timeout_seconds)
    if answer is not None:
        with answer:
            _take(answer, wanted, have, progress, say)


def _open(wanted: Download, headers: dict[str, str], timeout_seconds: float) -> HTTPResponse | None:
    """Give the server's answer, or None where there is nothing after what has come."""
    try:
        answer: HTTPResponse = urlopen(Request(wanted.url, headers=headers), timeout=timeout_seconds)
        return answer
    except HTTPError as error:
        error.close()
        if error.code == 416:  # there is nothing after what came: it is whole, or of another file
            if error.headers.get("Content-Range", "").replace(" ", "") == f"bytes*/{wanted.have()}":
                return None
            wanted.drop()
            raise _Again("the server's file is another one than what came of it, which was thrown away") from error
        said = f"the server answers {error.code} {error.reason}"
        if error.code in LATER:
            raise _Again(said, _pause(error.headers.get("Retry-After"))) from error
        raise InputError(f"{wanted.url}: {said}; try again later, {OTHERWISE}") from error
    except (OSError, HTTPException) as error:
        raise _broke(error) from error


def _piece(answer: HTTPResponse) -> bytes:
    """Give what has come, as soon as anything has, so that nothing is lost when the line breaks."""
    try:
        return answer.read1(CHUNK_BYTES)
    except (OSError, HTTPException) as error:
        raise _broke(error) from error


def _broke(error: Exception) -> _Again:
    return _Again(f"the line broke ({getattr(error, 'reason', None) or error or type(error).__name__})")


def _take(answer: HTTPResponse, wanted: Download, have: int, progress: Progress, say: Say) -> None:
    """Write what an answer brings behind what is there, or from the start."""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise InputError(f"{wanted.url}: the server sends it packed as nobody asked; {OTHERWISE[3:]}")
    if answer.status == 206:
        place = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        if place is None or int(place[1]) != have:
            wanted.drop()
            raise _Again("the server sent another piece than the one asked for, so all was thrown away")
    else:
        if answer.headers.get("Content-Type", "").startswith("text/"):
            raise InputError(
                f"{wanted.url}: a page of text came, and no file; is there a log-in page between? Try again later, "
                f"{OTHERWISE}"
            )
        if have:
            say(f"{wanted.name}: the server begins from the start")
        have = 0
    length = answer.headers.get("Content-Length")
    total = have + int(length) if length is not None and length.isdigit() else 0
    if total > wanted.most:
        raise InputError(f"{wanted.url}: {total} bytes, where at most {wanted.most} were expected; {OTHERWISE[3:]}")
    check_room(wanted.path.parent, total - have + int(wanted.spare * total), f"{wanted.name}, unpacked,")
    done = have
    _remember(wanted.mark, answer)
    with open(wanted.part, "ab" if have else "wb") as stream:
        while piece := _piece(answer):
            stream.write(piece)
            done += len(piece)
            if done > wanted.most:
                stream.truncate(0)
                raise InputError(f"{wanted.url}: more than {wanted.most} bytes came; {OTHERWISE[3:]}")
            progress(wanted.name, done, total)
    if done < total:
        raise _Again(f"broke off after {done} of {total} bytes")


def _remember(mark: Path, answer: HTTPResponse) -> None:
    """Keep by what the server can tell that its file is still the same; a weak ETag cannot (RFC 9110, 13.1.5)."""
    tag = answer.headers.get("ETag", "")
    known = tag if tag.startswith('"') else answer.headers.get("Last-Modified", "")
    if known:
        mark.write_text(known, "latin-1")
    else:
        mark.unlink(missing_ok=True)


def _pause(text: str | None) -> float | None:
    """Read for how many seconds a server asks to be left alone; None where it does not say so in seconds."""
    with contextlib.suppress(ValueError):
        return max(0.0, min(float(text or ""), LONGEST_PAUSE_SECONDS))
    return None
