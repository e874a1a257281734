"""The files that a command names, for the fingerprint: beside the card, elsewhere, after ``--weights=``, in folders."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from hashlib import file_digest
from pathlib import Path

from subterfuge.victims.card import Card

MOST_FILES = 2000
"""In a folder that is covered."""
MOST_BYTES = 2_000_000_000
"""In a folder that is covered."""
PASSED = {"__pycache__"}
"""What appears in folders by itself; so do hidden files."""


def parts_of(card: Card) -> tuple[list[str], list[str]]:
    """Give what stands for the content of the files and folders that the words of a command name, and what does not.

    A word names a file if it, or what follows its first ``=``, is the path of one, relative to the card or absolute.
    The program itself is covered where it lies in the card's folder or below it.

    Returns:
        Texts, in the order of the words, and sentences about what is named and could not be covered.
    """
    parts, notes = [], []
    for number, word in enumerate(card.values["command"]):
        for name in dict.fromkeys([str(word), str(word).partition("=")[2]]):
            try:
                path = card.folder / name
                if not name or (number == 0 and not path.resolve().is_relative_to(card.folder)):
                    continue
                if path.is_file():
                    parts.append(_digest(path))
                elif path.is_dir():
                    parts.extend(list(_folder(path, card.folder)))
            except _TooMuch as reason:
                notes.append(f"its fingerprint does not cover the folder {name}, which the command names: {reason}")
            except OSError as reason:
                if _is_there(card.folder / name):
                    notes.append(f"its fingerprint does not cover {name}, which the command names: {reason.strerror}")
            except ValueError:  # a word that is no path
                continue
    return parts, notes


class _TooMuch(Exception):
    pass


def _folder(path: Path, home: Path) -> Iterator[str]:
    """Give names, sizes and contents of the files in a folder."""
    if home.is_relative_to(path.resolve()):
        raise _TooMuch("the card itself lies in it, and so may what is written by others")
    found: list[tuple[str, Path, int]] = []
    total = 0
    for above, folders, files in os.walk(path, onerror=_raise):
        folders[:] = sorted(name for name in folders if name not in PASSED and not name.startswith("."))
        for name in sorted(files):
            file = Path(above, name)
            if name.startswith(".") or not _is_there(file):
                continue
            size = file.stat().st_size
            total += size
            found.append((file.relative_to(path).as_posix(), file, size))
            if len(found) > MOST_FILES or total > MOST_BYTES:
                raise _TooMuch(f"it holds more than {MOST_FILES} files or {MOST_BYTES / 1e9:g} GB")
    for name, file, size in sorted(found):
        yield f"{name} {size} {_digest(file)}"


def _raise(reason: OSError) -> None:
    raise reason


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()


def _is_there(path: Path) -> bool:
    """Say whether something can be read there as a file, no pipe or device, or as a folder."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
