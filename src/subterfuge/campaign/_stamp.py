"""What tells that a victim that was loaded once must be loaded anew: its card, or a model of it, was written since."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

MODELS = (
    *(".toml", ".py", ".skops", ".joblib", ".pkl", ".pickle", ".npy", ".npz"),
    *(".safetensors", ".pt", ".pth", ".pt2", ".ckpt", ".onnx", ".data", ".h5", ".bin"),
)
"""Endings of what may be a model, or its code: beside a card any such file counts, whoever loads it."""

Stamp = tuple[tuple[str, int, int], ...]


def stamp_of(card: Path) -> Stamp:
    """Give place, size and time of the models and cards beside a card, and of all that it names, also by other cards.

    What else lies in the folder, such as an audit at work, does not count.
    """
    found: set[Path] = set()
    waiting, seen = [card], set[Path]()
    while waiting:
        one = waiting.pop().absolute()
        if one in seen:
            continue
        seen.add(one)
        named = set(_named(one))
        found |= named | {path for path in one.parent.glob("*") if path.suffix in MODELS}
        waiting += [path for path in named if path.suffix == ".toml"]
    return tuple(sorted(_told(found)))


def _told(paths: set[Path]) -> Iterator[tuple[str, int, int]]:
    for path in paths:
        with contextlib.suppress(OSError):  # one that is gone between two looks
            about = path.stat()
            yield str(path), about.st_size, about.st_mtime_ns


def _named(card: Path) -> Iterator[Path]:
    """Give the files that the texts on a card name, and those in folders that they name; of no card, nothing."""
    try:
        waiting: list[object] = [tomllib.loads(card.read_text(encoding="utf-8-sig"))]
    except (OSError, ValueError, RecursionError):
        return
    home = card.resolve().parent
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one
        elif isinstance(one, str) and one:
            for text in {one, one.rpartition(":")[0]} - {""}:
                with contextlib.suppress(OSError, ValueError):  # a text that is no path
                    path = home / text
                    if path.is_dir() and not home.is_relative_to(path.resolve()):
                        yield from (each for each in path.iterdir() if each.is_file())
                    elif path.is_file():
                        yield path
