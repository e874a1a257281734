"""The key `files` of a card: what its code loads by itself, so that the fingerprint covers it."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import file_digest

from subterfuge.victims.card import Card

KEY = "files"


def files_of(card: Card) -> tuple[tuple[str, bytes], ...]:
    """Give the files that a card names so: the name as it stands there, and the hash of the content; by name.

    A card without the key, or with none in it, gives nothing: its fingerprint is what it was before there was the key.

    Raises:
        CardError: one is missing, is a folder, or cannot be read.
    """
    return tuple(sorted(set(_each(card))))


def _each(card: Card) -> Iterator[tuple[str, bytes]]:
    for name in card.get(KEY, ()):
        path = card.folder / name
        if "\0" in name or not path.is_file():
            there = "\0" not in name and path.is_dir()
            what = "that is a folder: name the files in it" if there else f"there is no file {str(path)!r}"
            raise card.fail(f'{KEY} holds "{name}", but {what}; paths on a card are relative to the card')
        try:
            with path.open("rb") as file:
                yield name, file_digest(file, "sha256").hexdigest().encode()
        except OSError as reason:
            raise card.fail(f'{KEY} holds "{name}", which cannot be read: {reason.strerror or reason}') from None
