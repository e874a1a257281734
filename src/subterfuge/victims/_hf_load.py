"""Find and load a Hugging Face audio classifier: from safetensors only, by the library's own code only."""

from __future__ import annotations

import hashlib
import json
import re
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

EXTRACTORS = ("preprocessor_config.json", "processor_config.json")
"""Files that tell how the sound goes in, one of which must be there."""
FETCHED = ("config.json", *EXTRACTORS, "model.safetensors", "model.safetensors.index.json", "model-*.safetensors")
"""What is fetched from the hub: no pickle and no code."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
ATTENTIONS = (None, "eager", "sdpa")
"""Ways of attention that come with the library; other names are those of kernels, which are fetched and run."""
TRAINING_ONLY = ("masked_spec_embed",)
"""Parameters that only training uses."""
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


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
    folder = _folder_of(card)
    called = f'model = "{card.get("model")}"'
    settings = _settings(card, folder, called)
    _check_weights(card, folder, called)
    try:
        with _quiet(library):
            here: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
            config = library.AutoConfig.from_pretrained(folder, **here)
            extractor = library.AutoFeatureExtractor.from_pretrained(folder, **here)
            model, told_of = library.AutoModelForAudioClassification.from_pretrained(
                folder, config=config, use_safetensors=True, output_loading_info=True, **here
            )
    except Exception as reason:
        if any("auto_map" in setting for setting in settings):
            raise card.fail(
                f"{called} needs code of its own (auto_map in its configuration), which is never run here: only models "
                'of the library itself are. A card of kind "torch" or "python" can name such code'
            ) from None
        raise card.fail(f"{called} cannot be loaded: {told(reason)}") from reason
    lacking = sorted(key for key in told_of["missing_keys"] if not key.endswith(TRAINING_ONLY))
    if lacking:
        raise card.fail(
            f"{called}: its weights lack {_some(lacking)} of {type(model).__name__}, which would be drawn at random; a "
            "model that was trained to classify was expected"
        )
    notes = []
    if any("auto_map" in setting for setting in settings):
        notes.append(f"its configuration names code of its own (auto_map), not run: {type(model).__name__} is used")
    if told_of["unexpected_keys"]:
        notes.append(f"its weights hold {_some(sorted(told_of['unexpected_keys']))}, which the model does not use")
    return Loaded(extractor, model, _digest(folder), tuple(notes))


def _folder_of(card: Card) -> Path:
    name, revision = str(card.get("model")), card.get("revision")
    folder = card.folder / Path(name).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise card.fail(f'revision = "{revision}" is of a name on the hub, but model = "{name}" is a folder')
        return folder
    if folder.exists():
        raise card.fail(f'model = "{name}" is a file; the folder that save_pretrained wrote was expected')
    if not _HUB_NAME.fullmatch(name):
        raise card.fail(
            f'model = "{name}", but there is no folder {folder}; paths on a card are relative to the card, and names '
            "on the hub look like owner/name"
        )
    try:
        with redirect_stdout(sys.stderr):
            from huggingface_hub import snapshot_download

            return Path(snapshot_download(name, revision=revision, allow_patterns=list(FETCHED)))
    except Exception as reason:
        at = "" if revision is None else f' at revision = "{revision}"'
        raise card.fail(
            f'model = "{name}" is no folder beside the card, and the hub did not give it{at}: {told(reason)}. Check '
            "the name and the connection (a private or gated model needs HF_TOKEN in the environment), or fetch it "
            "elsewhere and give the folder"
        ) from None


def _settings(card: Card, folder: Path, called: str) -> list[dict[str, Any]]:
    """Read the configurations of model and extractor, and refuse what only code that is not the library's can serve."""
    if not (folder / "config.json").is_file():
        raise card.fail(f"{called} holds no config.json; the folder that model.save_pretrained wrote was expected")
    extractors = [name for name in EXTRACTORS if (folder / name).is_file()]
    if not extractors:
        raise card.fail(
            f"{called} holds no {EXTRACTORS[0]}, which tells how the sound goes in; write it there with "
            'AutoFeatureExtractor.from_pretrained("the model that it was trained from").save_pretrained("the folder")'
        )
    read = []
    for name in ("config.json", *extractors):
        try:
            read.append(json.loads((folder / name).read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError) as reason:
            raise card.fail(f"{called}: its {name} is no JSON: {told(reason)}") from None
        if not isinstance(read[-1], dict):
            raise card.fail(f"{called}: its {name} is a {type(read[-1]).__name__}, where an object was expected")
    for key in ("attn_implementation", "_attn_implementation"):
        attention = read[0].get(key)
        if attention not in ATTENTIONS:
            raise card.fail(
                f"{called}: its config.json says {key} = {attention!r}, which may be fetched and run; eager or sdpa "
                "was expected"
            )
    return read


def _check_weights(card: Card, folder: Path, called: str) -> None:
    if any(folder.glob("model*.safetensors")):
        return
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickles:
        raise card.fail(
            f"{called} holds {pickles[0]} and no model.safetensors; other forms (pickles, which run code) are not "
            "read. Where you trust it, AutoModelForAudioClassification.from_pretrained(...).save_pretrained(...) "
            "writes safetensors"
        )
    raise card.fail(
        f"{called} holds no model.safetensors, and so no weights that are read here; of a name on the hub, pickled "
        "ones are not fetched"
    )


def _digest(folder: Path) -> bytes:
    """Hash the names and bytes of all that the answer depends on."""
    whole = hashlib.sha256()
    for path in sorted({path for pattern in FETCHED for path in folder.glob(pattern)}):
        with path.open("rb") as file:
            whole.update(f"{path.name} {path.stat().st_size} ".encode())
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.digest()


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


def _some(words: list[str], most: int = 4) -> str:
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
