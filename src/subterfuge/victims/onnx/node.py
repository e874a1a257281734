"""One step of an ONNX graph, as the torch twin takes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from subterfuge.victims.twins import NoTwin

FLOATS = {1: torch.float32, 10: torch.float16, 11: torch.float64, 16: torch.bfloat16}
"""ONNX's numbers for its floating element types."""
DTYPES = FLOATS | {
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
}
"""ONNX's numbers for its element types (``onnx.TensorProto.DataType``)."""

Values = Tensor | tuple[Tensor, ...]
Operator = Callable[..., Values]
"""From a `Node` and its inputs, None for one left out, to its output or outputs."""


@dataclass(frozen=True)
class Node:
    """One operator of a graph with the names of what goes in and out."""

    op: str
    """Its type, with its domain where that is not ONNX's own."""
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    """Numbers, texts, lists of them, tensors, and graphs for the branches of an ``If``."""
    opset: int
    """The version of the operators that the model was written for."""

    @property
    def told(self) -> str:
        """Its operator and its place, as messages name it."""
        return f"the operator {self.op} of node '{self.name or ' '.join(self.outputs)}'"

    def get(self, key: str, default: Any = None) -> Any:
        """Give an attribute, or the default."""
        return self.attributes.get(key, default)

    def refuse(self, what: str) -> NoTwin:
        """Make the error that says why this step has no twin."""
        return NoTwin(f"{self.told} {what}")

    def in_float64(self) -> Node:
        """Give the same step, computing in float64 where it named a precision."""
        wider = {
            key: 11
            if key in ("to", "dtype", "output_datatype") and value in FLOATS
            else value.double()
            if isinstance(value, Tensor) and value.is_floating_point()
            else value.in_float64()
            if hasattr(value, "in_float64")
            else value
            for key, value in self.attributes.items()
        }
        return replace(self, attributes=wider)


def whole(numbers: Tensor | list[int]) -> list[int]:
    """Give the whole numbers of a tensor of any shape, or of a list."""
    return [int(each) for each in (numbers.reshape(-1).tolist() if isinstance(numbers, Tensor) else numbers)]


def dtype_of(node: Node, key: str, default: int = 1) -> torch.dtype:
    """Give the element type that an attribute names.

    Raises:
        NoTwin: torch has none such.
    """
    number = int(node.get(key, default))
    if number not in DTYPES:
        raise node.refuse(f"asks for the element type {number}, which has no twin")
    return DTYPES[number]
