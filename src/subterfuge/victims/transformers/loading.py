"""Load a Hugging Face audio classifier: from safetensors only, by the library's own code only."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from subterfuge.errors import MissingExtra
from subterfuge.victims._code import told
from subterfuge.victims.card import Card
from subterfuge.victims.transformers.files import check_weights, digest_of, folder_of, settings_of

TRAINING_ONLY = ("masked_spec_embed",)
"""Parameters that only training uses."""


@dataclass(frozen=True)
class Loaded:
    """A classifier and its feature extractor."""

    extractor: Any
    model: nn.Module
    digest: bytes
    """Hash of the files."""
    notes: tuple[str, ...] = ()
    """What a user must know."""

    @property
    def config(self) -> Any:
        """The model's configuration."""
        return self.model.config


def load_model(card: Card) -> Loaded:
    """Load what a card's ``model`` names: a folder, relative to the card, or else a name on the hub.

    Raises:
        CardError: no such folder or name, a file is missing, weights are pickled or do not fit, or the configuration
            needs code that is not the library's.
        MissingExtra: the library is not installed.
    """
    try:
        import transformers as library
    except ImportError as reason:
        raise MissingExtra(
            f'{card.path}: kind = "transformers" needs the library of that name (pip install '
            f"'sonic-subterfuge[transformers]'): {reason}"
        ) from None
    folder = folder_of(card)
    called = f'model = "{card.get("model")}"'
    own = any("auto_map" in setting for setting in settings_of(card, folder, called))
    check_weights(card, folder, called)
    try:
        with _quiet(library):
            here: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
            config = library.AutoConfig.from_pretrained(folder, **here)
            extractor = library.AutoFeatureExtractor.from_pretrained(folder, **here)
            model, told_of = library.AutoModelForAudioClassification.from_pretrained(
                folder, config=config, use_safetensors=True, output_loading_info=True, **here
            )
    except Exception as reason:
        if own and "trust_remote_code" in str(reason):
            raise card.fail(
                f"{called} needs code of its own (auto_map in its configuration), which is never run here: only models "
                'of the library itself are. A card of kind "torch" or "python" can name such code'
            ) from None
        apart = _mismatched(library, folder)
        if apart:
            raise card.fail(
                f"{called}: its config.json and its weights are of different models: {_some(apart, 3)}"
            ) from None
        raise card.fail(f"{called} cannot be loaded: {told(reason)}") from reason
    lacking = sorted(key for key in told_of["missing_keys"] if not key.endswith(TRAINING_ONLY))
    if lacking:
        raise card.fail(
            f"{called}: its weights lack {_some(lacking)} of {type(model).__name__}, which would be drawn at random; a "
            "model that was trained to classify was expected"
        )
    notes = []
    if own:
        notes.append(f"its configuration names code of its own (auto_map), not run: {type(model).__name__} is used")
    if told_of["unexpected_keys"]:
        notes.append(f"its weights hold {_some(sorted(told_of['unexpected_keys']))}, which the model does not use")
    return Loaded(extractor, model, digest_of(folder), tuple(notes))


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """Keep the library from telling of its progress, and off standard output, and let it be as it was afterwards."""
    words = library.utils.logging
    loud, bar = words.get_verbosity(), words.is_progress_bar_enabled()
    words.set_verbosity_error()
    words.disable_progress_bar()
    try:
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        words.set_verbosity(loud)
        if bar:
            words.enable_progress_bar()


def _mismatched(library: Any, folder: Path) -> list[str]:
    """Give which weights are of another shape than the configuration's model has, by the heads of the files only."""
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with _quiet(library), torch.device("meta"):
            config = library.AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
            model = library.AutoModelForAudioClassification.from_config(config, trust_remote_code=False)
    except Exception:
        return []
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = []
    for path in sorted(folder.glob("model*.safetensors")):
        try:
            with safe_open(path, "pt") as held:
                shapes = {key: tuple(held.get_slice(key).get_shape()) for key in held.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            return []
        for key, shape in sorted(shapes.items()):
            if wanted.get(key, shape) != shape:
                found.append(f"{key} is {shape} in the weights and {wanted[key]} by config.json")
    return found


def _some(words: list[str], most: int = 4) -> str:
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
