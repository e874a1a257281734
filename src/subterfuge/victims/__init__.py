"""Victims: one kind of model, one file, one line in `LOADERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from subterfuge.victim import Victim
from subterfuge.victims.card import Card, read_card

__all__ = ["LOADERS", "Card", "load_victim", "read_card"]


@dataclass(frozen=True)
class Loader:
    """How one kind of card becomes a victim."""

    module: str
    """Where `KEYS` and `load(card, trust_pickle=...)` stand."""
    says: str
    """One line for a user."""
    runs_code: bool

    @property
    def keys(self) -> Mapping[str, type]:
        """The keys that this kind adds to a card; a "!" marks one that must be there."""
        keys: Mapping[str, type] = import_module(self.module).KEYS
        return keys

    @property
    def load(self) -> Callable[..., Victim]:
        """The function from a card to a victim."""
        function: Callable[..., Victim] = import_module(self.module).load
        return function


LOADERS: dict[str, Loader] = {
    "sklearn": Loader(
        "subterfuge.victims.sklearn",
        "a scikit-learn classifier or pipeline on a named features recipe",
        False,
    ),
    "torch": Loader("subterfuge.victims.torch_module", "a torch module: a factory function and safetensors", True),
    "python": Loader("subterfuge.victims.python", "any Python function of a waveform: scores, or only a label", True),
}


def load_victim(card: str | Path, *, trust_pickle: bool = False) -> Victim:
    """Load the victim that a card tells of.

    Args:
        card: path of a TOML card.
        trust_pickle: load pickle and joblib model files as they are, with whatever code they run.

    Raises:
        CardError: the card, or a file that it names, is missing or wrong.
        UntrustedModel: a model file wants to run code.
    """
    kinds = {kind: loader.keys for kind, loader in LOADERS.items()}
    read = read_card(Path(card), kinds)
    return LOADERS[read.kind].load(read, trust_pickle=trust_pickle)
