"""Whether a model file was saved with a newer library than is installed: told from the file, without loading it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from zipfile import ZipFile

from subterfuge.victims._inflate import inflate
from subterfuge.victims._skops_file import is_zip

_SCHEMA_MOST = 64 * 2**20
_SKLEARN = re.compile(rb"_sklearn_version.{1,200}?(\d+\.\d+(?:\.\d+)*(?:(?:a|b|rc|\.dev|\.post)\d+)?)", re.DOTALL)
_SKOPS = re.compile(rb'"_skops_version": *"(\d+\.\d+[\w.+]*)"')


@dataclass(frozen=True)
class Newer:
    """A library that the file is too new for."""

    name: str
    package: str
    """As pip knows it."""
    saved: str
    """The version that saved the file."""
    here: str
    """The version that is installed."""


def newer(raw: bytes, most: int) -> Newer | None:
    """Give the library that saved a file and is older here, scikit-learn first, or None where no such thing is told.

    Args:
        raw: the file.
        most: the largest size, in bytes, to which it is unpacked.
    """
    told = b""
    with suppress(Exception):  # a damaged file tells nothing, and whoever asks has its own fault to report
        if is_zip(raw):
            with ZipFile(BytesIO(raw)) as archive, archive.open("schema.json") as schema:
                told = schema.read(_SCHEMA_MOST)
        else:
            told = inflate(raw, most)
    for name, package, pattern in (("scikit-learn", "scikit-learn", _SKLEARN), ("skops", "skops", _SKOPS)):
        for saved in {found.decode() for found in pattern.findall(told)}:
            with suppress(PackageNotFoundError):
                if is_later(saved, here := version(package)):
                    return Newer(name, package, saved, here)
    return None


def is_later(one: str, other: str) -> bool:
    """Say whether the first of two versions is the later one, by its first two numbers.

    >>> is_later("1.10.2", "1.9.1"), is_later("1.9.7", "1.9.1"), is_later("?", "1.9.1")
    (True, False, False)
    """
    first, second = ([int(part) for part in re.findall(r"\d+", text[:20])[:2]] for text in (one, other))
    return first > second
