"""Victims: one kind of model, one file, one line in `LOADERS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subterfuge.victim import Victim
from subterfuge.victims.card import Card, read_card

if TYPE_CHECKING:
    from subterfuge.victims.check import Finding, Report, check_victim
    from subterfuge.victims.python import PythonVictim
    from subterfuge.victims.torch_module import TorchVictim

__all__ = [
    "LOADERS",
    "Card",
    "Finding",
    "PythonVictim",
    "Report",
    "TorchVictim",
    "check_victim",
    "load_victim",
    "read_card",
]


@dataclass(frozen=True)
class Loader:
    """How one kind of card becomes a victim."""

    module: str
    """Where `KEYS`, `EXAMPLE` and `load(card, trust_pickle=..., device=...)` stand."""
    says: str
    """One line for a user."""
    runs_code: bool
    """Whether loading a card runs code that the card names."""
    wraps: bool = False
    """Whether the card names other cards: then what those run is run."""

    @property
    def keys(self) -> Mapping[str, type]:
        """The keys that this kind adds to a card; a "!" marks one that must be there."""
        keys: Mapping[str, type] = import_module(self.module).KEYS
        return keys

    @property
    def example(self) -> str:
        """A whole card of this kind, commented, with every key that it can have."""
        text: str = import_module(self.module).EXAMPLE
        return text

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
    "torch": Loader(
        "subterfuge.victims.torch_module",
        "a torch module: a factory, whose code is run, and safetensors; or TorchScript, or a torch.export program",
        True,
    ),
    "python": Loader(
        "subterfuge.victims.python",
        "any Python function of a waveform, which is run: scores, or only a label",
        True,
    ),
    "transformers": Loader(
        "subterfuge.victims.transformers", "a Hugging Face audio classifier and its feature extractor", False
    ),
    "musicnn": Loader(
        "subterfuge.victims.musicnn", "the pretrained music taggers in the wheel musicnn, without TensorFlow", False
    ),
    "silero-vad": Loader("subterfuge.victims.silero_vad", "Silero VAD of its wheel: is there speech or not?", False),
    "resemblyzer": Loader(
        "subterfuge.victims.resemblyzer", "Resemblyzer of its wheel: whose voice is it, of those enrolled?", False
    ),
    "onnx": Loader(
        "subterfuge.victims.onnx",
        "an ONNX model that takes waves: onnxruntime answers, a twin of its graph gives gradients",
        False,
    ),
    "http": Loader("subterfuge.victims.http", "a server that is sent sounds over HTTP: scores, or only a label", False),
    "command": Loader(
        "subterfuge.victims.command", "a program that is given a WAV file, and prints JSON; it is run", True
    ),
    "through": Loader(
        "subterfuge.victims.through", "another card's victim, behind transforms such as mp3=128", False, True
    ),
    "windowed": Loader(
        "subterfuge.victims.windowed", "another card's victim, asked window by window: any length", False, True
    ),
    "smoothed": Loader("subterfuge.victims.smoothed", "another card's victim, voting on noisy versions", False, True),
    "ensemble": Loader("subterfuge.victims.ensemble", "the mean of the victims of several cards", False, True),
    "detector": Loader(
        "subterfuge.victims.detector", "another card's victim, whose answer must survive transforms", False, True
    ),
}


class _Keys(Mapping[str, Mapping[str, type]]):
    """The keys of each kind; only the kind that is asked for is imported."""

    def __getitem__(self, kind: str) -> Mapping[str, type]:
        return LOADERS[kind].keys

    def __iter__(self) -> Iterator[str]:
        return iter(LOADERS)

    def __len__(self) -> int:
        return len(LOADERS)

    def __contains__(self, kind: object) -> bool:
        return kind in LOADERS


def load_victim(card: str | Path, *, trust_pickle: bool = False, device: str = "cpu") -> Victim:
    """Load the victim that a card tells of. Of some kinds this runs code or a program that it names.

    `LOADERS[kind].runs_code` says of which. A card that names other cards loads those too, and so runs what they name.

    Args:
        card: path of a TOML card.
        trust_pickle: load pickle and joblib model files as they are, with whatever code they run.
        device: where a torch module computes, "cpu" or "cuda". A scikit-learn model's twin computes its features where
            the waves are.

    Raises:
        CardError: the card, or a file that it names, is missing or wrong.
        UntrustedModel: a model file wants to run code.
        InputError: the device is not there.
    """
    read = read_card(Path(card), _Keys())
    victim = LOADERS[read.kind].load(read, trust_pickle=trust_pickle, device=device)
    return replace(victim, card=read.path.absolute())  # type: ignore[type-var]


_LAZY = {
    "Finding": "subterfuge.victims.check",
    "PythonVictim": "subterfuge.victims.python",
    "Report": "subterfuge.victims.check",
    "TorchVictim": "subterfuge.victims.torch_module",
    "check_victim": "subterfuge.victims.check",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
