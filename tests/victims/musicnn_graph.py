"""Run the graph of a wheel's ``.meta`` file node by node, for comparing a network with the one that was trained.

A ``.meta`` file is TensorFlow's MetaGraphDef, whose field 2 is the GraphDef; its nodes (field 1) have a name (1), an
operation (2), inputs (3) and attributes (5). Of the branches for training and for use, those for use are taken.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad

from subterfuge.victims.musicnn.bundle import walk


class Graph:
    """The nodes of one graph, the tensors of its variables, and what was fed to it."""

    def __init__(self, meta: Path, tensors: Mapping[str, Any], spectra: Tensor) -> None:
        raw = next(bytes(value) for number, value in walk(meta.read_bytes()) if number == 2)
        self.nodes = {}
        for number, value in walk(raw):
            if number == 1 and isinstance(value, bytes):
                node = Node(value)
                self.nodes[node.name] = node
        self.tensors, self.spectra = tensors, spectra
        self.known: dict[str, Any] = {}

    def run(self, name: str) -> Any:
        """Give the value of a node."""
        name = name.removesuffix(":0")
        if name not in self.known:
            self.known[name] = self._run(self.nodes[name.partition(":")[0]])
        return self.known[name]

    def _run(self, node: Node) -> Any:
        op, inputs = node.op, [each for each in node.inputs if not each.startswith("^")]
        if op == "Placeholder":
            assert node.name == "model/Placeholder", node.name
            return self.spectra
        if op == "Const":
            return node.constant
        if op == "VariableV2":
            return torch.from_numpy(self.tensors[node.name]).double()
        if op == "Merge":  # of the outputs of Switch, :1 is the branch for training
            return self.run(next(each for each in inputs if not self._trains(each)))
        if op in ("Identity", "Switch"):  # a Switch's second input says whether it trains
            return self.run(inputs[0])
        x = [self.run(each) for each in inputs]
        if op == "ExpandDims":
            return x[0].unsqueeze(int(x[1]))
        if op == "Squeeze":
            (axis,) = node.numbers("squeeze_dims")
            return x[0].squeeze(axis)
        if op == "Pad":
            return pad(x[0], [int(side) for pair in reversed(x[1].tolist()) for side in pair])
        if op == "Conv2D":
            assert node.text("data_format") == "NHWC"
            assert node.numbers("strides") == node.numbers("dilations") == [1, 1, 1, 1]
            return _conv(x[0], x[1], same=node.text("padding") == "SAME")
        if op == "BiasAdd":
            return x[0] + x[1]
        if op == "Relu":
            return x[0].relu()
        if op == "FusedBatchNorm":
            assert not node.flag("is_training")
            gamma, beta, mean, variance = x[1:]
            return (x[0] - mean) / (variance + node.real("epsilon")).sqrt() * gamma + beta
        if op == "MaxPool":
            assert node.text("padding") == "VALID"
            size, stride = node.numbers("ksize"), node.numbers("strides")
            return max_pool2d(x[0].permute(0, 3, 1, 2), size[1:3], stride[1:3]).permute(0, 2, 3, 1)
        if op == "ConcatV2":
            return torch.cat(x[:-1], dim=int(x[-1]))
        if op == "Transpose":
            return x[0].permute(x[1].tolist())
        if op in ("Max", "Mean"):
            assert len(np.atleast_1d(x[1])) == 1
            axis, keep = int(np.atleast_1d(x[1])[0]), node.flag("keep_dims")
            return x[0].amax(axis, keepdim=keep) if op == "Max" else x[0].mean(axis, keepdim=keep)
        if op == "Shape":
            return np.array(x[0].shape)
        if op == "StridedSlice":
            return x[0][int(x[1][0]) : int(x[2][0])][0]
        if op == "Pack":
            return np.array([int(each) for each in x])
        if op == "Reshape":
            return x[0].reshape([int(each) for each in x[1]])
        if op == "MatMul":
            assert not node.flag("transpose_a")
            assert not node.flag("transpose_b")
            return x[0] @ x[1]
        if op == "Rsqrt":
            return 1 / x[0].sqrt()
        if op == "Sigmoid":
            return x[0].sigmoid()
        if op in ("Add", "Sub", "Mul"):
            a, b = (torch.from_numpy(np.asarray(each)) if isinstance(each, np.ndarray) else each for each in x)
            return a + b if op == "Add" else a - b if op == "Sub" else a * b
        raise NotImplementedError(f"{op} of {node.name}")

    def _trains(self, name: str) -> bool:
        """Say whether a value is of the branch for training, by the nearest Switch that it comes from."""
        node = self.nodes[name.partition(":")[0]]
        if node.op == "Switch":
            return name.endswith(":1")
        if node.op == "FusedBatchNorm":
            return node.flag("is_training")
        return any(self._trains(each) for each in node.inputs if not each.startswith("^"))


class Node:
    """One node: its operation, inputs and attributes."""

    def __init__(self, raw: bytes) -> None:
        self.name = self.op = ""
        self.inputs: list[str] = []
        self.raw: list[bytes] = []
        for number, value in walk(raw):
            assert isinstance(value, bytes)
            if number == 5:
                self.raw.append(value)
            elif number == 3:
                self.inputs.append(value.decode())
            elif number in (1, 2):
                setattr(self, "name" if number == 1 else "op", value.decode())

    @cached_property
    def attributes(self) -> dict[str, dict[int, Any]]:
        pairs = [dict(walk(raw)) for raw in self.raw]
        return {bytes(pair[1]).decode(): dict(walk(bytes(pair[2]))) for pair in pairs}

    def numbers(self, key: str) -> list[int]:
        """Give a list of numbers (AttrValue.list.i), packed as varints below 128 or each by itself."""
        return [each for number, value in walk(self.attributes[key][1]) if number == 3 for each in _flat(value)]

    def text(self, key: str) -> str:
        return bytes(self.attributes[key][2]).decode()

    def flag(self, key: str) -> bool:
        return bool(self.attributes.get(key, {}).get(5, 0))

    def real(self, key: str) -> float:
        (value,) = struct.unpack("<f", struct.pack("<I", self.attributes[key][4]))
        return float(value)

    @property
    def constant(self) -> Any:
        """Give the value of a Const: TensorProto's type (1), shape (2), bytes (4), floats (5) or ints (7)."""
        kinds = {1: ("<f4", 5), 3: ("<i4", 7), 9: ("<i8", 10)}
        fields = list(walk(self.attributes["value"][8]))
        kind, place = kinds[next(value for number, value in fields if number == 1)]
        shapes = [bytes(value) for number, value in fields if number == 2]
        shape = [dict(walk(bytes(dim))).get(1, 0) for raw in shapes for number, dim in walk(raw) if number == 2]
        raw = next((bytes(value) for number, value in fields if number == 4), None)
        if raw is not None:
            return np.frombuffer(raw, dtype=kind).reshape(shape)
        values = []
        for number, value in fields:
            if number == place and kind == "<f4":
                packed = value if isinstance(value, bytes) else struct.pack("<I", value)
                values += np.frombuffer(packed, "<f4").tolist()
            elif number == place:
                values += _flat(value)
        return (
            np.full(shape, values[0], dtype=kind) if len(values) == 1 else np.array(values, dtype=kind).reshape(shape)
        )


def _flat(value: int | bytes) -> list[int]:
    """Give packed varints, as signed numbers of 64 bits."""
    raw, found, at = ([value] if isinstance(value, int) else []), [], 0
    while isinstance(value, bytes) and at < len(value):
        number, shift = 0, 0
        while True:
            number |= (value[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if value[at - 1] < 128:
                break
        found.append(number)
    return [each - (1 << 64) if each >= 1 << 63 else each for each in raw + found]


def _conv(x: Tensor, kernel: Tensor, *, same: bool) -> Tensor:
    """TensorFlow's convolution (N, time, pitch, in): "same" puts the odd zero behind."""
    time, pitch = kernel.shape[0] - 1, kernel.shape[1] - 1
    margins = (pitch // 2, pitch - pitch // 2, time // 2, time - time // 2) if same else (0, 0, 0, 0)
    return conv2d(pad(x.permute(0, 3, 1, 2), margins), kernel.permute(3, 2, 0, 1)).permute(0, 2, 3, 1)
