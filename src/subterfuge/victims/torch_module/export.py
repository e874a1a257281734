"""Read a program of torch.export without torch.export.load, which would run what the file says.

That loader unpickles example inputs, constants and odd tensors without bounds (where ``weights_only`` fails it tries
without), evaluates shapes as Python by way of sympy, compiles guards into Python, and looks up any name below torch
that a node gives for its operator: ways to run whatever a file says, the first three tried with torch 2.13. None of it
is needed to ask: a program is a list of operators, and sizes are known once a wave has come. So the JSON is read here,
weights are taken as raw numbers (of older files: with ``weights_only``), and `ExportedModule` calls the operators one
after the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import torch
from torch import Tensor

from subterfuge.victims.torch_module.archive import Archive, NoProgram
from subterfuge.victims.torch_module.graph import DTYPES, ExportedModule, read_graph
from subterfuge.victims.torch_module.script import check_extent

MAJOR = 8
"""Of the format: `torch._export.serde.schema.SCHEMA_VERSION`."""
_SYMBOL = re.compile(r"(?:Mul\(Integer\((\d+)\), )?(?:Symbol\(')?([a-z]+\d+)('[^()]*\))?\)?|(\d+)\*([a-z]+\d+)")


@dataclass(frozen=True)
class Size:
    """What an exported program takes along one axis: a multiple of `step` from `least` to `most`."""

    least: int = 0
    most: int | None = None
    step: int = 1

    @property
    def only(self) -> int | None:
        """The one size that it takes, or None."""
        return self.least if self.least == self.most else None

    def takes(self, size: int) -> bool:
        """Say whether it takes a size."""
        return self.least <= size <= (size if self.most is None else self.most) and size % self.step == 0

    def __str__(self) -> str:
        if self.only is not None:
            return f"exactly {self.only}"
        most = "" if self.most is None else f" and at most {self.most}"
        step = f", a multiple of {self.step}" if self.step > 1 else ""
        return f"at least {self.least}{most}{step}"


def load_export(archive: Archive, device: torch.device) -> tuple[ExportedModule, tuple[Size, ...]]:
    """Load an exported program.

    Returns:
        The module, and what it takes along each axis of its one input.

    Raises:
        NoProgram: it is damaged, or holds what is not known here or not run.
    """
    try:
        told = json.loads(_part(archive, "serialized_exported_program.json", "models/model.json"))
        version = told["schema_version"]["major"]
        if version != MAJOR:
            raise NoProgram(
                f"has version {version} of torch.export's format, and {MAJOR} is read; save it with another torch"
            )
        signature, whole = told["graph_module"]["signature"], told["graph_module"]["graph"]
        names, wave = _inputs(signature["input_specs"])
        if any("user_output" not in one for one in signature["output_specs"]):
            raise NoProgram("changes its own weights while it answers; call model.eval() before torch.export.export")
        graph = read_graph(whole, fixed=frozenset(names))
        saved = _weights(archive) | _constants(archive)
        lacking = sorted(set(names.values()) - saved.keys())
        if lacking:
            raise NoProgram(f"is damaged: it lacks the weights {lacking[0]}")
        if len(graph.takes) != len(names) + 1 or {*names, wave} != set(graph.takes):
            raise NoProgram("is damaged: its inputs are not those of its signature")
        tensors = {name: saved[stored].detach().to(device) for name, stored in names.items()}
        meta = whole["tensor_values"][wave]
        if meta["dtype"] not in (6, 7, 8, 13):
            raise NoProgram("does not take a wave: its input is no tensor of floats")
        sizes = tuple(_size(one, told["range_constraints"]) for one in meta["sizes"])
    except NoProgram:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, RuntimeError) as reason:
        text = " ".join(str(reason).split())
        raise NoProgram(f"is damaged, or of a form that is not known ({type(reason).__name__}: {text:.120})") from None
    return ExportedModule(graph, tensors, wave), sizes


def _inputs(specs: Any) -> tuple[dict[str, str], str]:
    """Give the stored name of each weight by its name in the graph, and the name of the wave."""
    names, waves = {}, []
    stored = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}
    for spec in specs:
        ((kind, content),) = spec.items()
        if kind in stored:
            names[str(content["arg"]["name"])] = str(content[stored[kind]])
        elif kind == "user_input" and "as_tensor" in content["arg"]:
            waves.append(str(content["arg"]["as_tensor"]["name"]))
        else:
            raise NoProgram(f"takes something that is neither a wave nor a weight ({kind}); export it for waves alone")
    if len(waves) != 1:
        raise NoProgram(f"takes {len(waves)} tensors, and one, the wave, was expected")
    return names, waves[0]


def _size(told: Mapping[str, Any], ranges: Mapping[str, Any]) -> Size:
    """Read what a program takes along an axis: a number, or a symbol or a multiple of one, with a range."""
    if "as_int" in told:
        return Size(int(told["as_int"]), int(told["as_int"]))
    found = _SYMBOL.fullmatch(str(told["as_expr"]["expr_str"]))
    if found is None:
        return Size()  # an operator will tell
    step, symbol = int(found[1] or found[4] or 1), found[2] or found[5]
    bounds = ranges.get(symbol, {})
    least, most = bounds.get("min_val") or 0, bounds.get("max_val")
    least = 0 if least <= 2 else least  # torch.export writes 2 of any size that it was told nothing of, and takes 1
    return Size(step * max(0, least), None if most is None or most >= 1 << 62 else step * most, step)


def _part(archive: Archive, *names: str) -> bytes:
    """Give the first part that is there.

    Raises:
        NoProgram: there is none.
    """
    for name in names:
        if name in archive.parts:
            return archive.parts[name]
    raise NoProgram(f"is damaged: it lacks its part {names[-1]}")


def _weights(archive: Archive) -> dict[str, Tensor]:
    if "data/weights/model_weights_config.json" in archive.parts:
        return _raw(archive, "data/weights/", "model_weights_config.json")
    return _unpickled(_part(archive, "serialized_state_dict.pt", "data/weights/model.pt"))


def _constants(archive: Archive) -> dict[str, Tensor]:
    if "data/constants/model_constants_config.json" in archive.parts:
        return _raw(archive, "data/constants/", "model_constants_config.json")
    return _unpickled(_part(archive, "serialized_constants.pt", "data/constants/model.pt"))


def _raw(archive: Archive, folder: str, config: str) -> dict[str, Tensor]:
    """Read tensors that are stored as plain numbers."""
    flat: dict[str, Tensor] = {}
    tensors = {}
    for name, told in json.loads(archive.parts[folder + config])["config"].items():
        place, meta = str(told["path_name"]), told["tensor_meta"]
        if told["use_pickle"] or place.startswith(("custom_obj", "opaque_obj")) or meta is None:
            raise NoProgram(f"holds {name} as a pickle, which runs code of its own and is never read")
        dtype, content = DTYPES.get(meta["dtype"]), archive.parts.get(folder + place, b"")
        if dtype is None or meta["layout"] != 7 or len(content) % dtype.itemsize:
            raise NoProgram(f"is damaged, or holds {name} in a form that is not read")
        key = f"{place} {dtype}"
        if key not in flat:
            flat[key] = torch.frombuffer(bytearray(content), dtype=dtype) if content else torch.zeros(0, dtype=dtype)
        sizes, strides = [[int(one["as_int"]) for one in meta[key]] for key in ("sizes", "strides")]
        offset = int(meta["storage_offset"]["as_int"])
        check_extent(len(flat[key]), offset, sizes, strides)
        tensors[name] = torch.as_strided(flat[key], sizes, strides, offset)
    return tensors


def _unpickled(raw: bytes) -> dict[str, Tensor]:
    """Read tensors of an older file, which stored them as a pickle, by torch's reader of tensors alone."""
    if not raw:
        return {}
    try:
        found = torch.load(BytesIO(raw), map_location="cpu", weights_only=True)
    except Exception as reason:
        lines = str(reason).splitlines() or ["?"]
        raise NoProgram(
            f"holds weights as a pickle with more than weights in it, which is never read ({lines[0]:.120}); save it "
            "again with torch 2.9 or newer"
        ) from None
    if not isinstance(found, dict) or not all(isinstance(one, Tensor) for one in found.values()):
        raise NoProgram("is damaged: its weights are no table of tensors")
    return found
