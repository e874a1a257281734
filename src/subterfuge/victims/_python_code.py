"""Where the code of a Python victim is, and the hash of it and of all that its answer depends on."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from subterfuge.victims._code import find_function
from subterfuge.victims.card import Card, fingerprint_of

SCORES, VALUES = "scores", "decision values"
"""What a card says that has neither `gives` nor `output`."""


def found_of(card: Card) -> tuple[Callable[..., Any], str]:
    """Give the function that a card names, and its hash. It runs the code.

    Raises:
        CardError: there is no such code, or it died.
    """
    found = find_function(card, "function")
    code = [part for source in found.sources for part in source]
    gives, output, batch = card.get("gives", SCORES), card.get("output", VALUES), bool(card.get("batch", False))
    rest = (card.get("function"), *(card.labels or ()), str(card.sample_rate), gives, output, str(batch))
    return found.function, fingerprint_of("python", *code, *rest)


def fingerprint(function: Callable[..., Any], labels: Sequence[str], rate: int, *rest: str) -> str:
    """Give the hash of a function that was given directly."""
    return fingerprint_of("python", _source_of(function), *labels, str(rate), *rest)


def _source_of(function: Callable[..., Any]) -> bytes:
    """Give the text of the file that a function is of, or else of itself, or else its name."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
        if file is not None and Path(file).is_file():
            return Path(file).read_bytes() + getattr(function, "__qualname__", "").encode()
        return inspect.getsource(function).encode()
    except (OSError, TypeError):
        return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', repr(function))}".encode()
