"""A new card to fill in: the example of its kind, on standard output or in a file of its own."""

from __future__ import annotations

import tomllib
from pathlib import Path

from subterfuge.audio.place import check_target, put
from subterfuge.errors import CardError, OutputError, nearest
from subterfuge.victims import LOADERS
from subterfuge.victims.card import read_card


def example_of(kind: str | None) -> str:
    """Give the commented card of a kind, every key that it can have in it.

    Raises:
        CardError: there is no such kind; the nearest is named.
    """
    if kind is None or kind not in LOADERS:
        said = "a kind of victim is needed" if kind is None else f"'{kind}' is no kind of victim"
        raise CardError(f"{said}, as --kind KIND; {nearest(kind or '', LOADERS)}; `subterfuge victims` tells of each")
    return LOADERS[kind].example


def write_card(kind: str | None, out: Path, *, force: bool = False) -> Path:
    """Write the example of a kind to a file, in one step; a fault leaves nothing behind.

    Raises:
        CardError: there is no such kind.
        OutputError: the place cannot be written, holds something, or, by force, something that is no card.
    """
    text = example_of(kind)
    if out.suffix.lower() != ".toml":
        raise OutputError(f"{out}: a name that ends in .toml was expected for a card, such as my-model.toml")
    check_target(out, None, force)
    if out.is_file() and not _is_card(out):
        raise OutputError(f"{out} is no card, and only a card is overwritten by --force. Choose another name.")
    put(text.encode(), out, check=_check)
    return out


def _check(path: Path) -> None:
    read_card(path, {name: loader.keys for name, loader in LOADERS.items()})


def _is_card(path: Path) -> bool:
    try:
        return "kind" in tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return False
