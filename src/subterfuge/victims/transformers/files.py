"""The files of a Hugging Face model: where they are, and that none is a pickle or code."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from subterfuge.victims._code import told
from subterfuge.victims.card import Card
from subterfuge.victims.transformers.sizes import size_fault_of

EXTRACTORS = ("preprocessor_config.json", "processor_config.json")
"""Files that tell how the sound goes in, one of which must be there."""
INDEX, PARTS = "model.safetensors.index.json", "model-*.safetensors"
"""Of weights in several files: which is where, and what they are called."""
FETCHED = ("config.json", *EXTRACTORS, "model.safetensors", INDEX, PARTS)
"""What is fetched from the hub: no pickle and no code."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
ATTENTIONS = (None, "eager", "sdpa")
"""Ways of attention that come with the library; other names are those of kernels, which are fetched and run."""
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def folder_of(card: Card) -> Path:
    """Give the folder that a card's ``model`` names, relative to the card, or fetch what is such a name on the hub.

    Raises:
        CardError: there is no such folder, and the hub does not give it.
    """
    name, revision = str(card.get("model")), card.get("revision")
    folder = card.folder / name
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


def settings_of(card: Card, folder: Path, called: str) -> list[dict[str, Any]]:
    """Read the configurations of model and extractor.

    Raises:
        CardError: one is not there or no JSON, a number in it makes no sense, or only other code or files than the
            library's own can serve it.
    """
    if not (folder / "config.json").is_file():
        raise card.fail(f"{called} holds no config.json; the folder that model.save_pretrained wrote was expected")
    extractors = [name for name in EXTRACTORS if (folder / name).is_file()]
    if not extractors:
        raise card.fail(
            f"{called} holds no {EXTRACTORS[0]}, which tells how the sound goes in; write it there with "
            'AutoFeatureExtractor.from_pretrained("the model that it was trained from").save_pretrained("the folder")'
        )
    read = [_read(card, folder, name, called) for name in ("config.json", *extractors)]
    for name, setting in zip(extractors, read[1:], strict=True):
        fault = size_fault_of(setting)
        if fault:
            raise card.fail(f"{called}: its {name} {fault}")
    for key in ("attn_implementation", "_attn_implementation"):
        attention = read[0].get(key)
        if attention not in ATTENTIONS:
            raise card.fail(
                f"{called}: its config.json says {key} = {attention!r}, which may be fetched and run; eager or sdpa "
                "was expected"
            )
    if read[0].get("transformers_weights"):
        raise card.fail(f"{called}: its config.json names weights of its own (transformers_weights); take that away")
    if (folder / "adapter_config.json").exists():
        raise card.fail(f"{called} holds an adapter (PEFT); merge_and_unload() and save_pretrained write a whole model")
    return read


def check_weights(card: Card, folder: Path, called: str) -> None:
    """Refuse a folder whose weights are not all in safetensors.

    Raises:
        CardError: there are none, or they are pickled, or the index of several names one that is not among them.
    """
    if (folder / "model.safetensors").is_file():
        return
    if (folder / INDEX).is_file():
        mapped = _read(card, folder, INDEX, called).get("weight_map")
        named = {str(name) for name in (mapped.values() if isinstance(mapped, dict) else [mapped])}
        absent = sorted(named - {path.name for path in folder.glob(PARTS)})
        if absent:
            raise card.fail(f"{called}: its {INDEX} names {absent[0]}, which is none of its {PARTS}")
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


def digest_of(folder: Path) -> bytes:
    """Hash the names and bytes of all that the answer depends on."""
    whole = hashlib.sha256()
    for path in sorted({path for pattern in FETCHED for path in folder.glob(pattern)}):
        with path.open("rb") as file:
            whole.update(f"{path.name} {path.stat().st_size} ".encode())
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.digest()


def _read(card: Card, folder: Path, name: str, called: str) -> dict[str, Any]:
    try:
        read = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as reason:
        raise card.fail(f"{called}: its {name} is no JSON: {told(reason)}") from None
    if not isinstance(read, dict):
        raise card.fail(f"{called}: its {name} is a {type(read).__name__}, where an object was expected")
    return read
