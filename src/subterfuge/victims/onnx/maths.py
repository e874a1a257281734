"""ONNX operators in torch: numbers one by one, products of matrices, sums over axes.

Each follows the operator's page at https://onnx.ai/onnx/operators, in every version from 7 on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from subterfuge.victims.onnx.node import Node, Operator, whole


def _plain(function: Callable[..., Tensor]) -> Operator:
    return lambda node, *inputs: function(*inputs)


def _tuned(function: Callable[..., Tensor], **defaults: float) -> Operator:
    """Make an operator of a function whose keywords are attributes."""
    return lambda node, *inputs: function(*inputs, **{key: node.get(key, value) for key, value in defaults.items()})


def _folded(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    return lambda node, *inputs: reduce(function, inputs)


def _root(node: Node, x: Tensor) -> Tensor:
    """Give the root, whose slope at 0 is taken for 0 and not for infinite: digital silence has bins of power 0."""
    zero = x == 0
    return torch.where(zero, x.detach(), torch.where(zero, 1.0, x).sqrt())


def _power(node: Node, x: Tensor, y: Tensor) -> Tensor:
    """Give x to the y; as of the root, an infinite slope at 0 is taken for 0."""
    if not x.is_floating_point():
        return x.to(y.dtype if y.is_floating_point() else x.dtype).pow(y).to(x.dtype)
    y = y.to(x.dtype)
    steep = (x == 0) & (y < 1)
    return torch.where(steep, x.detach().pow(y), torch.where(steep, 1.0, x).pow(y))


def _quotient(node: Node, x: Tensor, y: Tensor) -> Tensor:
    return x / y if x.is_floating_point() else torch.div(x, y, rounding_mode="trunc")


def _modulo(node: Node, x: Tensor, y: Tensor) -> Tensor:
    return torch.fmod(x, y) if node.get("fmod", 0) else torch.remainder(x, y)


def _clip(node: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    least = node.get("min") if low is None else low.item()
    most = node.get("max") if high is None else high.item()
    return x if least is None and most is None else x.clamp(least, most)


def _gelu(node: Node, x: Tensor) -> Tensor:
    return functional.gelu(x, approximate=node.get("approximate", "none"))


def _slope(node: Node, x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x < 0, slope * x, x)


def _normed(function: Callable[..., Tensor]) -> Operator:
    """Make softmax or its logarithm; before version 13 it is over all axes from `axis` on."""

    def operator(node: Node, x: Tensor) -> Tensor:
        if node.opset >= 13:
            return function(x, int(node.get("axis", -1)))
        axis = int(node.get("axis", 1)) % max(x.ndim, 1)
        return function(x.reshape(math.prod(x.shape[:axis]), -1), -1).reshape(x.shape)

    return operator


def _gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    product = (a.mT if node.get("transA", 0) else a) @ (b.mT if node.get("transB", 0) else b)
    scaled = product * float(node.get("alpha", 1.0))
    return scaled if c is None else scaled + float(node.get("beta", 1.0)) * c


def _einsum(node: Node, *inputs: Tensor) -> Tensor:
    return torch.einsum(node.get("equation"), *inputs)


def axes_of(node: Node, axes: Tensor | None) -> list[int] | None:
    """Give the axes of a step, which older versions keep in an attribute; None where it names none."""
    named: Any = node.get("axes") if axes is None else axes
    return None if named is None or len(named) == 0 else whole(named)


def _reduced(function: Callable[[Tensor, list[int], bool], Tensor]) -> Operator:
    def operator(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
        named = axes_of(node, axes)
        if named is None and node.get("noop_with_empty_axes", 0):
            return x
        over = list(range(x.ndim)) if named is None else [axis % x.ndim for axis in named]
        return function(x, over, bool(node.get("keepdims", 1)))

    return operator


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted(axes, reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


def _norm(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(x, 2, axes, keep)
    return length


def _argued(function: Callable[..., Tensor]) -> Operator:
    def operator(node: Node, x: Tensor) -> Tensor:
        if node.get("select_last_index", 0):
            raise node.refuse("takes the last of equals, which has no twin")
        return function(x, int(node.get("axis", 0)), bool(node.get("keepdims", 1)))

    return operator


def _running(node: Node, x: Tensor, axis: Tensor) -> Tensor:
    place, back = int(axis), bool(node.get("reverse", 0))
    x = x.flip(place) if back else x
    total = x.cumsum(place) - (x if node.get("exclusive", 0) else 0)
    return total.flip(place) if back else total


def _top(node: Node, x: Tensor, k: Tensor | None = None) -> tuple[Tensor, ...]:
    most = int(node.get("k") if k is None else k)
    values, places = x.topk(most, int(node.get("axis", -1)), bool(node.get("largest", 1)))
    return values, places


MATHS: dict[str, Operator] = {
    "Abs": _plain(torch.abs),
    "Acos": _plain(torch.acos),
    "Acosh": _plain(torch.acosh),
    "Add": _plain(torch.add),
    "And": _plain(torch.logical_and),
    "ArgMax": _argued(torch.argmax),
    "ArgMin": _argued(torch.argmin),
    "Asin": _plain(torch.asin),
    "Asinh": _plain(torch.asinh),
    "Atan": _plain(torch.atan),
    "Atanh": _plain(torch.atanh),
    "Ceil": _plain(torch.ceil),
    "Celu": _tuned(functional.celu, alpha=1.0),
    "Clip": _clip,
    "Cos": _plain(torch.cos),
    "Cosh": _plain(torch.cosh),
    "CumSum": _running,
    "Div": _quotient,
    "Einsum": _einsum,
    "Elu": _tuned(functional.elu, alpha=1.0),
    "Equal": _plain(torch.eq),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Floor": _plain(torch.floor),
    "Gelu": _gelu,
    "Gemm": _gemm,
    "Greater": _plain(torch.gt),
    "GreaterOrEqual": _plain(torch.ge),
    "HardSigmoid": _tuned(lambda x, alpha, beta: (alpha * x + beta).clamp(0, 1), alpha=0.2, beta=0.5),
    "HardSwish": _plain(lambda x: x * (x / 6 + 0.5).clamp(0, 1)),
    "IsNaN": _plain(torch.isnan),
    "LeakyRelu": _tuned(lambda x, alpha: torch.where(x < 0, alpha * x, x), alpha=0.01),
    "Less": _plain(torch.lt),
    "LessOrEqual": _plain(torch.le),
    "Log": _plain(torch.log),
    "LogSoftmax": _normed(torch.log_softmax),
    "MatMul": _plain(torch.matmul),
    "Max": _folded(torch.maximum),
    "Mean": lambda node, *inputs: reduce(torch.add, inputs) / len(inputs),
    "Min": _folded(torch.minimum),
    "Mish": _plain(functional.mish),
    "Mod": _modulo,
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "Not": _plain(torch.logical_not),
    "Or": _plain(torch.logical_or),
    "PRelu": _slope,
    "Pow": _power,
    "Reciprocal": _plain(torch.reciprocal),
    "ReduceL1": _reduced(lambda x, axes, keep: x.abs().sum(axes, keep)),
    "ReduceL2": _reduced(_norm),
    "ReduceLogSum": _reduced(lambda x, axes, keep: x.sum(axes, keep).log()),
    "ReduceLogSumExp": _reduced(lambda x, axes, keep: x.logsumexp(axes, keep)),
    "ReduceMax": _reduced(lambda x, axes, keep: x.amax(axes, keep)),
    "ReduceMean": _reduced(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceMin": _reduced(lambda x, axes, keep: x.amin(axes, keep)),
    "ReduceProd": _reduced(_product),
    "ReduceSum": _reduced(lambda x, axes, keep: x.sum(axes, keep)),
    "ReduceSumSquare": _reduced(lambda x, axes, keep: x.square().sum(axes, keep)),
    "Relu": _plain(torch.relu),
    "Round": _plain(torch.round),
    "Selu": _tuned(
        lambda x, alpha, gamma: gamma * torch.where(x > 0, x, alpha * torch.expm1(x.clamp_max(0))),
        alpha=1.67326319217681884765625,
        gamma=1.05070102214813232421875,
    ),
    "Sigmoid": _plain(torch.sigmoid),
    "Sign": _plain(torch.sign),
    "Sin": _plain(torch.sin),
    "Sinh": _plain(torch.sinh),
    "Softmax": _normed(torch.softmax),
    "Softplus": _plain(functional.softplus),
    "Softsign": _plain(functional.softsign),
    "Sqrt": _root,
    "Sub": _plain(torch.sub),
    "Sum": _folded(torch.add),
    "Swish": _tuned(lambda x, alpha: x * torch.sigmoid(alpha * x), alpha=1.0),
    "Tan": _plain(torch.tan),
    "Tanh": _plain(torch.tanh),
    "ThresholdedRelu": _tuned(lambda x, alpha: torch.where(x > alpha, x, 0.0), alpha=1.0),
    "TopK": _top,
    "Xor": _plain(torch.logical_xor),
}
"""Operators by name."""
