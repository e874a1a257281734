"""Put a safetensors file into a module, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_model
from torch import nn

from subterfuge.victims.card import Card

_SHOWN = 6


def load_weights(card: Card, module: nn.Module) -> None:
    """Load the file that the card's ``weights`` names into a module, every key of both.

    Raises:
        CardError: it is no safetensors file, or lacks keys of the module, or has others, or other shapes.
    """
    path = card.file("weights")
    hint = "save the weights with safetensors.torch.save_model(module, 'weights.safetensors')"
    if not _looks_right(path):
        raise card.fail(
            f'weights = "{card.get("weights")}" is no safetensors file, and other forms (pickles, which run code) are '
            f"not read; {hint}"
        )
    try:
        missing, unexpected = load_model(module, path, strict=False)
    except SafetensorError as reason:
        raise card.fail(f'weights = "{card.get("weights")}" is damaged ({reason}); {hint}') from None
    except RuntimeError as reason:
        lines = [line.strip() for line in str(reason).splitlines() if "size mismatch" in line] or [str(reason)]
        raise card.fail(f"weights do not fit the module: {_some([line.rstrip('.') for line in lines])}") from None
    if missing or unexpected:
        lacks = [f"{len(missing)} missing ({_some(sorted(missing))})"] if missing else []
        extra = [f"{len(unexpected)} unexpected ({_some(sorted(unexpected))})"] if unexpected else []
        raise card.fail(f"weights do not fit the module: of its keys {', '.join(lacks + extra)}")


def _looks_right(path: Path) -> bool:
    """Say whether a file begins as safetensors do: the length of a JSON header, then the header."""
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") <= path.stat().st_size


def _some(words: Sequence[str]) -> str:
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more
