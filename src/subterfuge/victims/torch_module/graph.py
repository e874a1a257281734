"""Call the operators of an exported program one after the other, from its JSON form.

The format is that of `torch._export.serde.schema` 8: a graph is a list of nodes, each with a target, named arguments
and names for what comes out; an argument is a table of one entry, whose key tells its type. Everything unknown is
refused as the graph is read, before anything is computed.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from subterfuge.victims.torch_module.archive import NoProgram

DTYPES = {
    **{1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16},
    **{7: torch.float32, 8: torch.float64, 10: torch.complex64, 11: torch.complex128, 12: torch.bool},
    13: torch.bfloat16,
}
"""From the format's number of a type of element to torch's."""
_MEMORY = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d, 4: torch.preserve_format}
_PLAIN = {"int": int, "float": float, "bool": bool, "string": str}
_FLOATS = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
_SIZES: dict[str, Callable[..., Any]] = {
    **{
        f"_operator.{name}": getattr(operator, name)
        for name in (
            "eq",
            "ne",
            "le",
            "ge",
            "lt",
            "gt",
            "neg",
            "pos",
            "mul",
            "add",
            "sub",
            "floordiv",
            "mod",
            "truediv",
        )
    },
    **{f"torch.sym_{name}": getattr(torch, f"sym_{name}") for name in ("not", "int", "float", "ite", "max", "min")},
    "_operator.and_": operator.and_,
    "_operator.or_": operator.or_,
    "_operator.getitem": operator.getitem,
    "torch._sym_sqrt": math.sqrt,
    "math.trunc": math.trunc,
    "math.ceil": math.ceil,
    "math.floor": math.floor,
}
"""Arithmetic on sizes."""
_LISTS = {f"{one}s": plain for one, plain in _PLAIN.items()}
_ATEN = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)")
_DEEPEST = 20
Names = dict[str, Any]


@dataclass(frozen=True)
class Where:
    """Where a program computes, and in which precision, for what it makes anew."""

    device: torch.device
    dtype: torch.dtype

    def typed(self, dtype: torch.dtype) -> torch.dtype:
        """Give the type of element that stands for one of the program's, which was written in float32."""
        if self.dtype == torch.float64:
            return {torch.float32: torch.float64, torch.complex64: torch.complex128}.get(dtype, dtype)
        return dtype


Value = Callable[[Names, Where], Any]
"""Gives an argument, from the values that names have so far."""


@dataclass(frozen=True)
class Step:
    """One operator's call."""

    does: Callable[..., Any]
    args: tuple[Value, ...]
    kwargs: Mapping[str, Value]
    binds: Callable[[Any, Names], None]


@dataclass(frozen=True)
class Graph:
    """Steps, the names that go in, and what comes out."""

    takes: tuple[str, ...]
    steps: tuple[Step, ...]
    gives: tuple[Value, ...]

    def run(self, inputs: Sequence[Any], where: Where) -> list[Any]:
        """Give the outputs for inputs in the order of `takes`."""
        names: Names = dict(zip(self.takes, inputs, strict=True))
        for step in self.steps:
            args = [value(names, where) for value in step.args]
            step.binds(step.does(*args, **{key: value(names, where) for key, value in step.kwargs.items()}), names)
        return [value(names, where) for value in self.gives]


class ExportedModule(nn.Module):
    """An exported program as a module: its tensors are buffers, moved and turned to float64 as any module's."""

    def __init__(self, graph: Graph, tensors: Mapping[str, Tensor], wave: str) -> None:
        super().__init__()
        self.graph, self.wave = graph, wave
        self.place: Tensor
        self.register_buffer("place", torch.zeros(()))
        self.buffer_of = {name: f"tensor_{place}" for place, name in enumerate(tensors)}
        for name, key in self.buffer_of.items():
            self.register_buffer(key, tensors[name])

    def forward(self, wave: Tensor) -> Any:
        """Give what the program gives; a tuple where it gives several things."""
        found = {name: getattr(self, key) for name, key in self.buffer_of.items()} | {self.wave: wave.clone()}
        where = Where(self.place.device, self.place.dtype)
        out = self.graph.run([found[name] for name in self.graph.takes], where)
        return out[0] if len(out) == 1 else tuple(out)


def read_graph(told: Mapping[str, Any], *, fixed: frozenset[str] = frozenset(), depth: int = 0) -> Graph:
    """Turn a graph of the JSON form into one that can be run.

    Args:
        told: the graph.
        fixed: names of weights, which no operator may change.
        depth: how many graphs it lies in.

    Raises:
        NoProgram: it holds something that is not known here, or not run.
        Exception: KeyError, TypeError and the like, where it has not the format's form.
    """
    if depth > _DEEPEST:
        raise NoProgram("has graphs that lie too deep in one another")
    takes = tuple(_name(one) for one in told["inputs"])
    steps = tuple(_step(node, fixed, depth) for node in told["nodes"])
    return Graph(takes, steps, tuple(_value(one, depth) for one in told["outputs"]))


def _step(node: Mapping[str, Any], fixed: frozenset[str], depth: int) -> Step:
    target, inputs = str(node["target"]), node["inputs"]
    values = {str(one["name"]): _value(one["arg"], depth) for one in inputs}
    free = _OUTER.get(target) or _SIZES.get(target)
    if free:  # these have no names for what they take
        args = tuple(_value(one["arg"], depth) for one in inputs)
        return Step(free, args, {}, _binder(node["outputs"], target in _OUTER))
    function = _operator(target)
    changed = {one.name for one in function._schema.arguments if one.alias_info is not None and one.alias_info.is_write}
    for one in inputs:
        kind, content = _entry(one["arg"])
        if one["name"] in ("train", "training") and kind == "as_bool" and content:
            raise NoProgram(f"was exported in training mode ({target}); call model.eval() before torch.export.export")
        if one["name"] in changed and kind == "as_tensor" and content["name"] in fixed:
            raise NoProgram(
                f"changes its own {content['name']} while it answers ({target}); call model.eval() before "
                "torch.export.export"
            )
    return Step(function, (), values, _binder(node["outputs"], False))


def _operator(target: str) -> torch._ops.OpOverload:
    """Give an operator of aten that reaches no file."""
    found = _ATEN.fullmatch(target)
    function = getattr(getattr(torch.ops.aten, found[1], None), found[2], None) if found else None
    if not isinstance(function, torch._ops.OpOverload):
        raise NoProgram(
            f"calls {target:.80}, and only operators of torch.ops.aten are run here; keep others out of the model"
        )
    if any(one.name in ("filename", "path") for one in function._schema.arguments):
        raise NoProgram(f"calls {target}, which reaches files, and is never run")
    return function


def _enabled(enabled: bool, graph: Callable[..., Any], *inputs: Any) -> Any:
    with torch.set_grad_enabled(enabled):
        return graph(*inputs)


def _autocast(kind: str, dtype: Any, enabled: bool, cache: Any, graph: Callable[..., Any], *inputs: Any) -> Any:
    with torch.autocast(kind, dtype, enabled, cache):
        return graph(*inputs)


def _cond(chosen: Any, one: Callable[..., Any], other: Callable[..., Any], inputs: Sequence[Any] = ()) -> Any:
    return (one if bool(chosen) else other)(*inputs)


_OUTER: dict[str, Callable[..., Any]] = {
    "torch.ops.higher_order.wrap_with_set_grad_enabled": _enabled,
    "torch.ops.higher_order.wrap_with_autocast": _autocast,
    "torch.ops.higher_order.cond": _cond,
}
"""Operators that call graphs."""


def _entry(argument: Mapping[str, Any]) -> tuple[str, Any]:
    """Give the one entry of an argument: its type and its content."""
    ((kind, content),) = argument.items()
    return kind, content


def _name(argument: Mapping[str, Any]) -> str:
    """Give the name that an input or an output goes by."""
    kind, content = _entry(argument)
    if kind == "as_tensor":
        return str(content["name"])
    if kind in ("as_sym_int", "as_sym_float", "as_sym_bool") and "as_name" in content:
        return str(content["as_name"])
    raise NoProgram(f"takes or gives something that is no tensor ({kind})")


def _binder(outputs: Sequence[Mapping[str, Any]], wrapped: bool) -> Callable[[Any, Names], None]:
    """Give a function that puts what an operator gave under its names.

    Args:
        outputs: as the node tells of them.
        wrapped: whether one thing comes in a list of one.
    """
    if not outputs:
        return lambda result, names: None
    if len(outputs) > 1:
        each = [_binder([one], False) for one in outputs]

        def bind(result: Any, names: Names) -> None:
            for put, one in zip(each, result, strict=True):
                put(one, names)

        return bind
    kind, content = _entry(outputs[0])
    if kind == "as_none":
        return lambda result, names: None
    if kind == "as_tensors":
        several = [str(one["name"]) for one in content]
        return lambda result, names: names.update(zip(several, result, strict=True))
    name = _name(outputs[0])
    return lambda result, names: names.update({name: result[0] if wrapped else result})


def _value(argument: Mapping[str, Any], depth: int) -> Value:
    """Turn an argument into what gives its value."""
    kind, content = _entry(argument)
    word = kind.removeprefix("as_")
    if word == "none":
        return lambda names, where: None
    if word in ("tensor", "sym_int", "sym_float", "sym_bool") and ("name" in content or "as_name" in content):
        name = _name(argument)
        return lambda names, where: names[name]
    if word in ("sym_int", "sym_float", "sym_bool", "optional_tensor"):
        return _value(content, depth)
    if word in ("sym_ints", "sym_floats", "sym_bools", "optional_tensors"):
        whole = word.removesuffix("s")
        return _all([_value({f"as_{whole}": one} if "as_name" in one else one, depth) for one in content])
    if word == "tensors":
        return _all([_value({"as_tensor": one}, depth) for one in content])
    if word in ("nested_tensors", "int_lists", "float_lists"):
        inner = {"nested_tensors": "as_tensors", "int_lists": "as_ints", "float_lists": "as_floats"}[word]
        return _all([_value({inner: one}, depth) for one in content])
    if word in _PLAIN:
        plain = _plain(content, word)
        return lambda names, where: plain
    if word in _LISTS:
        listed = [_plain(one, word.removesuffix("s")) for one in content]
        return lambda names, where: list(listed)
    return _special(word, content, depth)


def _special(word: str, content: Any, depth: int) -> Value:
    """Turn an argument of a type of torch's own into what gives its value."""
    if word == "scalar_type" and content in DTYPES:
        dtype = DTYPES[content]
        return lambda names, where: where.typed(dtype)
    if word == "memory_format" and content in _MEMORY:
        memory = _MEMORY[content]
        return lambda names, where: memory
    if word == "layout" and content == 7:
        return lambda names, where: torch.strided
    if word == "device":  # wherever it was exported, it computes where it is now
        return lambda names, where: where.device
    if word == "complex":
        number = complex(_plain(content["real"], "float"), _plain(content["imag"], "float"))
        return lambda names, where: number
    if word == "graph":
        graph = read_graph(content["graph"], depth=depth + 1)
        return lambda names, where: lambda *inputs: graph.run(inputs, where)
    raise NoProgram(f"has an argument of a type that is not read ({word} {content!r:.40})")


def _all(values: Sequence[Value]) -> Value:
    return lambda names, where: [value(names, where) for value in values]


def _plain(content: Any, word: str) -> Any:
    """Give a number, a truth or a text, if it is of the type that it says."""
    found = _FLOATS.get(content, content) if word == "float" and isinstance(content, str) else content
    wanted = (int, float) if word == "float" else _PLAIN[word]
    if not isinstance(found, wanted) or (isinstance(found, bool) and word != "bool"):
        raise NoProgram(f"has {found!r:.40}, which is no {word}")
    return float(cast(float, found)) if word == "float" else found
