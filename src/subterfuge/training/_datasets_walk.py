"""The sound files below a folder, in a fixed order, without opening one; and which of them are one recording."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from subterfuge.audio.formats import SUFFIXES
from subterfuge.errors import InputError

SOUNDS = frozenset(suffix for several in SUFFIXES.values() for suffix in several)
"""Endings, in small letters, of files that are read."""
NOT_READ = frozenset({".m4a", ".mp4", ".aac", ".ac3", ".wma", ".alac", ".ape", ".wv", ".webm", ".amr", ".dsf", ".mka"})
"""Endings of sound files that libsndfile does not read."""


@dataclass(frozen=True)
class Found:
    """What was found below a folder."""

    folder: Path
    sounds: tuple[str, ...]
    """Places below the folder, with forward slashes, sorted."""
    others: frozenset[str]
    """Places of all other files that are not hidden."""
    folders: tuple[str, ...]
    """The folders directly below it, sorted; hidden ones left out."""
    skipped: tuple[str, ...]
    """Files that look like sounds and are none, a sentence each."""

    def under(self, place: str) -> Found:
        """Give what was found below one of its folders."""
        top = f"{place}/"
        below = [sound[len(top) :] for sound in self.sounds if sound.startswith(top)]
        others = frozenset(one[len(top) :] for one in self.others if one.startswith(top))
        return Found(self.folder / place, tuple(below), others, _folders(self.folder / place), self.skipped)


def look(folder: Path) -> Found:
    """List what is below a folder. Links to folders are followed, each folder once; hidden files are left out.

    Raises:
        InputError: a folder cannot be listed.
    """
    sounds, others, skipped = [], set(), []
    for place, size in _files(folder, "", set()):
        ending = os.path.splitext(place)[1].lower()
        if ending in NOT_READ:
            skipped.append(f"{folder / place}: {ending} is not read; convert it to FLAC or WAV.")
        elif ending not in SOUNDS:
            others.add(place)
        elif not _is_unicode(place):
            skipped.append(f"{folder / place}: its name is no Unicode; rename it.")
        elif size is None:
            skipped.append(f"{folder / place}: no file, or a link that leads nowhere.")
        elif size == 0:
            skipped.append(f"{folder / place}: an empty file.")
        else:
            sounds.append(place)
    told = tuple(map(shown, skipped))
    return Found(folder, tuple(sorted(sounds, key=_order)), frozenset(others), _folders(folder), told)


def shown(text: str) -> str:
    r"""Give a text that can be printed and written in UTF-8: bytes of a name that are no Unicode become numbers.

    >>> print(shown("90\udcff18__1.wav"), shown("häl.wav"))
    90\xff18__1.wav häl.wav
    """
    try:
        return text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError:  # half a character, as names on Windows may hold
        return text.encode(errors="backslashreplace").decode()


def recording_of(place: str) -> str:
    """Give the recording that a sound is from, by its place below a set's folder.

    The place without its ending, and without the numbers of one or two digits behind ``_`` or ``-`` that count its
    excerpts. So it rather takes two recordings for one, which costs a split some freedom, than one for two, which would
    let it leak. Numbers of three digits and more are taken to count recordings, and stay; where they count excerpts it
    errs the other way, which is why `read_dataset` notes it.

    >>> recording_of("jay__2.wav"), recording_of("a/jay-12.wav"), recording_of("100032-3-0-0.wav")
    ('jay', 'a/jay', '100032')
    >>> recording_of("blues.00001.wav"), recording_of("01.wav")
    ('blues.00001', '01')
    """
    folder, name = os.path.split(os.path.splitext(place)[0])
    name = re.sub(r"(?<=.)(?:[-_]+\d{1,2})+$", "", name)
    return f"{folder}/{name}" if folder else name


def _files(folder: Path, below: str, seen: set[tuple[int, int]]) -> Iterator[tuple[str, int | None]]:
    """Walk through places and sizes in bytes; the size of what is no file is None."""
    try:
        told = os.stat(folder)
        if (told.st_dev, told.st_ino) in seen:
            return
        seen.add((told.st_dev, told.st_ino))
        with os.scandir(folder) as entries:
            listed = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda one: one.name)
    except OSError as error:
        raise InputError(f"{folder} cannot be listed: {error.strerror or error}") from error
    for entry in listed:
        if entry.name == "__MACOSX":
            continue
        if entry.is_dir():
            yield from _files(folder / entry.name, f"{below}{entry.name}/", seen)
        else:
            yield f"{below}{entry.name}", entry.stat().st_size if entry.is_file() else None


def _folders(folder: Path) -> tuple[str, ...]:
    return tuple(
        sorted(one.name for one in folder.iterdir() if one.is_dir() and one.name[0] != "." and one.name != "__MACOSX")
    )


def _is_unicode(place: str) -> bool:
    try:
        place.encode()
    except UnicodeError:
        return False
    return True


def _order(place: str) -> list[str]:
    """Sort file by file and folder by folder, on every machine alike."""
    return place.split("/")
