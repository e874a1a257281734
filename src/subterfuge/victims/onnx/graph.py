"""An ONNX graph as steps in torch, and its run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from subterfuge.victims.onnx.layers import LAYERS
from subterfuge.victims.onnx.maths import MATHS
from subterfuge.victims.onnx.node import Node, Operator
from subterfuge.victims.onnx.recurrent import RECURRENT
from subterfuge.victims.onnx.shapes import SHAPES
from subterfuge.victims.onnx.spectra import SPECTRA
from subterfuge.victims.twins import NoTwin

OPERATORS: dict[str, Operator] = MATHS | SHAPES | LAYERS | RECURRENT | SPECTRA
"""The operators that have a twin, beside ``If``."""
OLDEST = 7
"""The first version of the operators whose shapes broadcast as numpy's."""


@dataclass(frozen=True, eq=False)
class Graph:
    """Steps in an order in which they can be done."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, Tensor]
    outputs: tuple[str, ...]
    spent: tuple[tuple[str, ...], ...] = field(repr=False, default=())
    """The names that no step after this one needs."""

    def run(self, given: Mapping[str, Tensor]) -> list[Tensor]:
        """Do the steps; a name that was never made, such as an input left out, stays out.

        Raises:
            NoTwin: a step is not known or died; the message names it.
        """
        values = {**given, **self.constants}
        for node, spent in zip(self.nodes, self.spent, strict=True):
            made = _done(node, values)
            values.update(zip(node.outputs, made, strict=False))
            for name in spent:
                values.pop(name, None)
        return [values[name] for name in self.outputs]

    def in_float64(self) -> Graph:
        """Give the same steps in float64."""
        wide = {name: value.double() if value.is_floating_point() else value for name, value in self.constants.items()}
        return replace(self, nodes=tuple(node.in_float64() for node in self.nodes), constants=wide)

    def to(self, device: torch.device) -> Graph:
        """Give the same steps with floats on a device; whole numbers stay, they are shapes."""
        moved = {name: each.to(device) if each.is_floating_point() else each for name, each in self.constants.items()}
        return replace(self, constants=moved)


def _done(node: Node, values: Mapping[str, Tensor]) -> Sequence[Tensor]:
    """Do one step."""
    if node.op == "If":
        branch = node.get("then_branch" if bool(values[node.inputs[0]]) else "else_branch")
        answers: list[Tensor] = branch.run(values)
        return answers
    if node.op not in OPERATORS:
        raise unknown(node)
    inputs = _together([values.get(name) if name else None for name in node.inputs])
    try:
        made = OPERATORS[node.op](node, *inputs)
    except NoTwin:
        raise
    except Exception as reason:
        raise node.refuse(f"died: {(str(reason).strip() or type(reason).__name__).splitlines()[0]:.150}") from reason
    return (made,) if isinstance(made, Tensor) else made


def unknown(node: Node) -> NoTwin:
    """Make the error of a step without a twin."""
    quantised = "Quantize" in node.op or "QLinear" in node.op or node.op.endswith("Integer")
    return NoTwin(f"it is quantised: {node.told} steps" if quantised else f"{node.told} has none")


def _together(inputs: list[Tensor | None]) -> list[Tensor | None]:
    """Bring floats to where the first one lies that is not on the CPU."""
    devices = [x.device for x in inputs if x is not None and x.device.type != "cpu"]
    if not devices:
        return inputs
    return [x.to(devices[0]) if x is not None and x.is_floating_point() else x for x in inputs]


def graph_of(proto: Any, opset: int, outputs: Sequence[str], given: Mapping[str, Tensor]) -> Graph:
    """Take over the steps of an ``onnx.GraphProto`` that its outputs need, those of constants done already.

    Args:
        proto: the graph, its external data loaded, and no functions in it.
        opset: the version of its operators.
        outputs: the names of what is wanted.
        given: inputs whose values never change.

    Raises:
        NoTwin: a step that is needed is not known, or the operators are older than `OLDEST`.
    """
    if opset < OLDEST:
        raise NoTwin(f"its operators are of version {opset}, and those from {OLDEST} on have one")
    nodes = _needed([_node_of(each, opset) for each in proto.node], outputs)
    for node in nodes:
        if node.op not in OPERATORS and node.op != "If":
            raise unknown(node)
    return _settled(nodes, {**_constants(proto), **given}, outputs)


def _constants(proto: Any) -> dict[str, Tensor]:
    if proto.sparse_initializer:
        raise NoTwin(f"its weights '{proto.sparse_initializer[0].values.name}' are sparse")
    return {each.name: tensor_of(each) for each in proto.initializer}


def _settled(nodes: Sequence[Node], constants: dict[str, Tensor], outputs: Sequence[str]) -> Graph:
    """Do what depends on constants only, and note when each name is needed last."""
    rest = []
    for node in nodes:
        if node.op in OPERATORS and all(name in constants for name in node.inputs if name):
            try:
                with torch.no_grad():
                    constants.update(zip(node.outputs, _done(node, constants), strict=False))
                continue
            except NoTwin:  # met again, and told, when it is run
                pass
        rest.append(node)
    wanted = set(outputs).union(*map(_needs, rest))
    last = {name: place for place, node in enumerate(rest) for name in _needs(node)}
    spent: list[list[str]] = [[] for _ in rest]
    for name, place in last.items():
        if name not in outputs:
            spent[place].append(name)
    kept = {name: value for name, value in constants.items() if name in wanted}
    return Graph(tuple(rest), kept, tuple(outputs), tuple(map(tuple, spent)))


def _needed(nodes: Sequence[Node], outputs: Iterable[str]) -> list[Node]:
    """Give the steps that outputs need, in their order."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            wanted.update(_needs(node))
            kept.append(node)
    return kept[::-1]


def _needs(node: Node) -> set[str]:
    """Give the names that a step reads, those that its branches read of what is around them included."""
    names = set(node.inputs) - {""}
    for value in node.attributes.values():
        if isinstance(value, Graph):
            names = names.union(value.outputs, *map(_needs, value.nodes))
    return names


def _node_of(proto: Any, opset: int) -> Node:
    from onnx import helper

    domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}."
    attributes = {}
    for each in proto.attribute:
        value = helper.get_attribute_value(each)
        if each.type == each.GRAPH:
            inner = [_node_of(node, opset) for node in value.node]
            value = _settled(inner, _constants(value), [output.name for output in value.output])
        elif each.type == each.TENSOR:
            value = tensor_of(value)
        elif each.type == each.STRING:
            value = value.decode()
        elif each.type == each.STRINGS:
            value = [text.decode() for text in value]
        attributes[each.name] = list(value) if each.type in (each.INTS, each.FLOATS) else value
    return Node(f"{domain}{proto.op_type}", proto.name, tuple(proto.input), tuple(proto.output), attributes, opset)


def tensor_of(proto: Any) -> Tensor:
    """Give an ``onnx.TensorProto`` as a tensor.

    Raises:
        NoTwin: torch has no such elements.
    """
    from onnx import numpy_helper

    array = numpy_helper.to_array(proto)
    try:
        return torch.from_numpy(array.copy())
    except TypeError:
        if array.dtype.name == "bfloat16":
            return torch.from_numpy(array.astype("float32")).bfloat16()
        raise NoTwin(f"its constant '{proto.name}' holds {array.dtype} numbers") from None
