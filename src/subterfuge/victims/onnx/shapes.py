"""ONNX operators in torch that move numbers and change none: shapes, pieces, edges.

Whole numbers, such as shapes, stay on the CPU. Each follows the operator's page at https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from subterfuge.victims.onnx.maths import axes_of
from subterfuge.victims.onnx.node import Node, Operator, dtype_of, whole


def _reshape(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    wanted = whole(shape)
    if not node.get("allowzero", 0):
        wanted = [x.shape[place] if size == 0 else size for place, size in enumerate(wanted)]
    return x.reshape(wanted)


def _transpose(node: Node, x: Tensor) -> Tensor:
    return x.permute(node.get("perm") or list(range(x.ndim))[::-1])


def _flatten(node: Node, x: Tensor) -> Tensor:
    axis = int(node.get("axis", 1))
    before = math.prod(x.shape[: axis + x.ndim if axis < 0 else axis])
    return x.reshape(before, -1) if x.numel() else x.reshape(before, 0)


def _squeeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    named = axes_of(node, axes)
    if named is None:
        return x.squeeze()
    wrong = [axis for axis in named if x.shape[axis] != 1]
    if wrong:
        raise ValueError(f"the axis {wrong[0]} to be taken away is {x.shape[wrong[0]]} long")
    return x.squeeze(named)


def _unsqueeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    named = axes_of(node, axes) or []
    for axis in sorted(axis % (x.ndim + len(named)) for axis in named):
        x = x.unsqueeze(axis)
    return x


def _concat(node: Node, *inputs: Tensor) -> Tensor:
    return torch.cat(inputs, int(node.get("axis")))


def _split(node: Node, x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    axis, named = int(node.get("axis", 0)), node.get("split") if sizes is None else sizes
    if named is not None:
        return torch.split_with_sizes(x, whole(named), axis)
    pieces = int(node.get("num_outputs", len(node.outputs)))
    size, total = -(-x.shape[axis] // pieces), x.shape[axis]
    return torch.split_with_sizes(x, [min(size, total - done) for done in range(0, total, size)], axis)


def _slice(
    node: Node,
    x: Tensor,
    starts: Tensor | None = None,
    ends: Tensor | None = None,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    first = whole(node.get("starts") if starts is None else starts)
    last = whole(node.get("ends") if ends is None else ends)
    along = axes_of(node, axes) or list(range(len(first)))
    stride = [1] * len(first) if steps is None else whole(steps)
    for axis, begin, end, step in zip(along, first, last, stride, strict=True):
        places = range(*slice(begin, end, step).indices(x.shape[axis]))
        if step == 1:
            x = x.narrow(axis, places.start if places else 0, len(places))
        else:
            x = x.index_select(axis, torch.tensor(list(places), dtype=torch.int64, device=x.device))
    return x


def _gather(node: Node, x: Tensor, places: Tensor) -> Tensor:
    axis = int(node.get("axis", 0)) % x.ndim
    index = places.to(x.device, torch.int64)
    index = torch.where(index < 0, index + x.shape[axis], index)
    found = x.index_select(axis, index.reshape(-1))
    return found.reshape([*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]])


def _gather_elements(node: Node, x: Tensor, places: Tensor) -> Tensor:
    axis = int(node.get("axis", 0))
    index = places.to(x.device, torch.int64)
    return x.gather(axis, torch.where(index < 0, index + x.shape[axis], index))


def _expand(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    return x.expand(np.broadcast_shapes(tuple(x.shape), tuple(whole(shape))))


def _tile(node: Node, x: Tensor, repeats: Tensor) -> Tensor:
    return x.repeat(whole(repeats))


def _shape(node: Node, x: Tensor) -> Tensor:
    return torch.tensor(x.shape[slice(node.get("start"), node.get("end"))], dtype=torch.int64)


def _size(node: Node, x: Tensor) -> Tensor:
    return torch.tensor(x.numel(), dtype=torch.int64)


def _cast(node: Node, x: Tensor) -> Tensor:
    wanted = dtype_of(node, "to")
    return x != 0 if wanted == torch.bool else x.to(wanted)


def _cast_like(node: Node, x: Tensor, other: Tensor) -> Tensor:
    return x.to(other.dtype)


def _constant(node: Node) -> Tensor:
    for key, value in node.attributes.items():
        if key == "value" and isinstance(value, Tensor):
            return value
        if key in ("value_float", "value_floats"):
            return torch.tensor(value, dtype=torch.float32)
        if key in ("value_int", "value_ints"):
            return torch.tensor(value, dtype=torch.int64)
    raise node.refuse(f"holds a {', '.join(node.attributes)}, which has no twin")


def _constant_of_shape(node: Node, shape: Tensor) -> Tensor:
    value = node.get("value")
    return torch.zeros(whole(shape)) if value is None else value.reshape(()).expand(whole(shape)).clone()


def _range(node: Node, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    count = max(0, math.ceil((limit.item() - start.item()) / delta.item()))
    return start + torch.arange(count) * delta


def _pad(
    node: Node, x: Tensor, pads: Tensor | None = None, value: Tensor | None = None, axes: Tensor | None = None
) -> Tensor:
    amounts, mode = whole(node.get("pads") if pads is None else pads), node.get("mode", "constant")
    along = axes_of(node, axes) or list(range(x.ndim))
    edges = [(0, 0)] * x.ndim
    for place, axis in enumerate(along):
        edges[axis % x.ndim] = (amounts[place], amounts[place + len(along)])
    if mode == "constant":
        filler = node.get("value", 0.0) if value is None else value.item()
        return functional.pad(x, [amount for edge in reversed(edges) for amount in edge], value=filler)
    for axis, (before, after) in enumerate(edges):
        if before or after:
            inside = np.arange(x.shape[axis])[max(0, -before) : x.shape[axis] + min(0, after)]
            places = np.pad(inside, (max(0, before), max(0, after)), mode)
            x = x.index_select(axis, torch.from_numpy(places).to(x.device))
    return x


def _where(node: Node, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return torch.where(condition.to(x.device), x, y)


def _triangle(node: Node, x: Tensor, k: Tensor | None = None) -> Tensor:
    diagonal = 0 if k is None else int(k)
    return x.triu(diagonal) if node.get("upper", 1) else x.tril(diagonal)


def _dropout(node: Node, x: Tensor, ratio: Tensor | None = None, training: Tensor | None = None) -> Tensor:
    if training is not None and bool(training):
        raise node.refuse("is in training mode, and so draws at random")
    return x


SHAPES: dict[str, Operator] = {
    "Cast": _cast,
    "CastLike": _cast_like,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Dropout": _dropout,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Identity": lambda node, x: x,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _triangle,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
"""Operators by name."""
