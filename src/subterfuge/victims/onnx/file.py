"""Read an ONNX file as a stranger's: what it is, what lies beside it, what it says of itself. Nothing in it is run."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subterfuge.errors import CardError, MissingExtra
from subterfuge.victims.card import Card, check_labels

RATES = ("sample_rate", "sampling_rate", "samplerate", "audio_sample_rate")
NAMES = ("labels", "classes", "class_names", "names", "id2label", "label_names")
"""Keys of a model's own metadata for its rate in Hz and for its classes."""


@dataclass(frozen=True)
class OnnxFile:
    """A model that was read, with its external data."""

    path: Path
    proto: Any
    """The ``onnx.ModelProto``, no functions in it."""
    sha256: str
    """Of the file and of its external data."""

    @property
    def opset(self) -> int:
        """The version of ONNX's own operators that it was written for."""
        return next((each.version for each in self.proto.opset_import if each.domain in ("", "ai.onnx")), 1)

    @property
    def metadata(self) -> dict[str, str]:
        """What the model says of itself."""
        return {each.key: each.value for each in self.proto.metadata_props}


def libraries() -> tuple[Any, Any]:
    """Give the packages onnx and onnxruntime.

    Raises:
        MissingExtra: one is not installed.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as reason:
        raise MissingExtra(
            f'a card of kind "onnx" needs the packages onnx and onnxruntime ({reason}): '
            "pip install 'sonic-subterfuge[onnx]'"
        ) from None
    return onnx, onnxruntime


def read_onnx(card: Card) -> OnnxFile:
    """Read the model that a card names, and every file of weights that the model names.

    Raises:
        CardError: it is no ONNX file, or names weights that are not there, are too short, or lie elsewhere than in
            the model's folder.
        MissingExtra: onnx is not installed.
    """
    onnx, _ = libraries()
    path, raw, proto = card.file("model"), b"", onnx.ModelProto()
    named = f'model = "{card.get("model")}"'
    try:
        raw = path.read_bytes()
        proto.ParseFromString(raw)
    except OSError as reason:
        raise card.fail(f"{named} cannot be read: {reason}") from None
    except Exception as reason:  # protobuf's error, whose place has changed between its versions
        raise card.fail(f"{named} is no ONNX file{_guess(raw)} ({_first(reason)})") from None
    if not proto.ir_version or not proto.graph.node or not proto.graph.output:
        raise card.fail(f"{named} is no ONNX file{_guess(raw)}: it holds no graph with operators and outputs")
    digest = hashlib.sha256(raw)
    for place in _beside(card, path, proto):
        digest.update(hashlib.sha256(place.read_bytes()).digest())
    try:
        onnx.load_external_data_for_model(proto, str(path.parent))
        if proto.functions:
            from onnx.inliner import inline_local_functions

            proto = inline_local_functions(proto)
    except Exception as reason:
        raise card.fail(f"{named} cannot be taken apart: {_first(reason)}") from reason
    return OnnxFile(path, proto, digest.hexdigest())


def _guess(raw: bytes) -> str:
    if raw[4:8] == b"ORTM":
        return " but one of onnxruntime's own format; give the .onnx file that it was made from"
    if raw[:2] == b"PK":
        return " but a zip archive, such as torch.save writes; export the model with torch.onnx.export"
    return ", or a part of one only" if raw else ", it is empty"


def _first(reason: BaseException) -> str:
    return f"{(str(reason).strip() or type(reason).__name__).splitlines()[0]:.200}"


def _beside(card: Card, path: Path, proto: Any) -> list[Path]:
    """Give the files of weights that a model names, each once, all of them found to be there and long enough.

    They must lie in the folder of the card's model, or in that of the file which that is a link to, as in the hub's
    cache: a model that reads ``../`` or ``/etc`` is refused.
    """
    homes = (path.parent.resolve(), path.resolve().parent)
    found: dict[str, Path] = {}
    for tensor in _tensors(proto):
        about = {each.key: each.value for each in tensor.external_data}
        if tensor.data_location != tensor.EXTERNAL and not about:
            continue
        where = about.get("location", "")
        named = f'model = "{card.get("model")}": its weights \'{tensor.name}\' are in the file "{where}"'
        place = path.parent / where
        inside = not Path(where).is_absolute() and ".." not in Path(where.replace("\\", "/")).parts and where
        if not inside or not any(place.resolve().is_relative_to(home) for home in homes):
            raise card.fail(f"{named}, which is not in the model's folder; a model may read nothing else")
        if not place.is_file():
            raise card.fail(f"{named}, which is not there; put it beside the model, into {path.parent}")
        try:
            offset, length = int(about.get("offset", 0)), int(about.get("length", 0))
        except ValueError:
            offset = length = -1
        if min(offset, length) < 0:
            raise card.fail(f"{named}, from and to bytes that are no whole numbers from 0 on")
        if offset + length > place.stat().st_size:
            raise card.fail(f"{named}, which ends at byte {place.stat().st_size}, before they do; copy it once more")
        found[where] = place
    return [found[where] for where in sorted(found)]


def _tensors(message: Any) -> Iterator[Any]:
    """Give every tensor in a message of protobuf, however deep."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in [value] if hasattr(value, "DESCRIPTOR") else value:
                yield from _tensors(each)


def check_rate(card: Card, file: OnnxFile) -> None:
    """Refuse a card with another rate than the model says of itself.

    Raises:
        CardError: the two differ.
    """
    for key, said in file.metadata.items():
        if key.lower() not in RATES:
            continue
        try:
            rate = float(said)
        except ValueError:
            continue
        if rate != card.sample_rate:
            raise card.fail(
                f"sample_rate = {card.sample_rate}, but the model says of itself {key} = {said}; write {rate:g}"
            )


def labels_of(card: Card, file: OnnxFile) -> tuple[str, ...]:
    """Give the labels of a card, or else those that the model names in its metadata.

    Raises:
        CardError: there are none.
    """
    if card.labels is not None:
        return card.labels
    for key, said in file.metadata.items():
        found = _names(said) if key.lower() in NAMES else []
        if found and check_labels(found) is None:
            return tuple(found)
    raise card.fail("lacks the key 'labels', a list of texts in the order of the outputs: the model does not name them")


def _names(said: str) -> list[Any]:
    """Read names from JSON, from what Python prints of a list or dict, or from a text with commas."""
    value: Any = None
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(said)
            break
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    if isinstance(value, dict):
        try:
            return [value[key] for key in sorted(value, key=int)]
        except (TypeError, ValueError):
            return []
    return value if isinstance(value, list) else [each.strip() for each in said.split(",")] if value is None else []


def session_of(card: Card, file: OnnxFile) -> Any:
    """Give an ``onnxruntime.InferenceSession`` on the CPU, on one thread, so that it answers the same each time.

    No library of custom operators is ever loaded.

    Raises:
        CardError: onnxruntime does not take the model; the message names the operator that it does not have.
    """
    _, runtime = libraries()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # its errors are raised, too
    try:
        return runtime.InferenceSession(str(file.path), options, providers=["CPUExecutionProvider"])
    except Exception as reason:
        raise _refused(card, file, reason) from reason


def _refused(card: Card, file: OnnxFile, reason: Exception) -> CardError:
    from onnx import defs

    for node in file.proto.graph.node:
        own = node.domain in ("", "ai.onnx")
        if (own and not defs.has(node.op_type)) or not (own or node.domain.startswith(("ai.onnx", "com.microsoft"))):
            name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            return card.fail(
                f"model = \"{card.get('model')}\" has the node '{node.name or node.output[0]}', a {name}, which "
                "onnxruntime does not have; libraries of custom operators are code, and are not loaded"
            )
    return card.fail(f'model = "{card.get("model")}" was not taken by onnxruntime: {_first(reason)}')
