"""ONNX operators in torch that learn: convolutions, pools, norms.

Each follows the operator's page at https://onnx.ai/onnx/operators, in every version from 7 on.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from subterfuge.victims.onnx.node import Node, Operator

CONV: tuple[Any, ...] = (None, functional.conv1d, functional.conv2d, functional.conv3d)
DECONV: tuple[Any, ...] = (None, functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)
MAX: tuple[Any, ...] = (None, functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
MEAN: tuple[Any, ...] = (None, functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)


def _window(node: Node, kernel: list[int]) -> tuple[int, list[int], list[int], list[int]]:
    """Give the number of axes, the strides, the dilations, and how far each window reaches."""
    axes = len(kernel)
    if not 1 <= axes <= 3:
        raise node.refuse(f"works along {axes} axes, where 1 to 3 have a twin")
    strides, dilations = node.get("strides") or [1] * axes, node.get("dilations") or [1] * axes
    return axes, strides, dilations, [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]


def _edges(node: Node, sizes: list[int], reach: list[int], strides: list[int]) -> list[tuple[int, int]]:
    """Give what is put before and after each axis, by `pads` or by `auto_pad`."""
    how = node.get("auto_pad", "NOTSET")
    if how == "NOTSET":
        pads = node.get("pads") or [0] * (2 * len(sizes))
        return list(zip(pads[: len(sizes)], pads[len(sizes) :], strict=True))
    if how == "VALID":
        return [(0, 0)] * len(sizes)
    edges = []
    for size, far, stride in zip(sizes, reach, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + far - size, 0)
        small, large = total // 2, total - total // 2
        edges.append((small, large) if how == "SAME_UPPER" else (large, small))
    return edges


def _padded(x: Tensor, edges: list[tuple[int, int]], value: float = 0.0) -> Tensor:
    return functional.pad(x, [amount for edge in reversed(edges) for amount in edge], value=value) if _any(edges) else x


def _any(edges: list[tuple[int, int]]) -> bool:
    return any(before or after for before, after in edges)


def _conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    axes, strides, dilations, reach = _window(node, list(weight.shape[2:]))
    edges = _edges(node, list(x.shape[2:]), reach, strides)
    even = all(before == after for before, after in edges)
    padding = [before for before, _ in edges] if even else [0] * axes
    heard = x if even else _padded(x, edges)
    answer: Tensor = CONV[axes](heard, weight, bias, strides, padding, dilations, int(node.get("group", 1)))
    return answer


def _deconv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    axes, strides, dilations, reach = _window(node, list(weight.shape[2:]))
    more, shape = node.get("output_padding") or [0] * axes, node.get("output_shape")
    full = [(size - 1) * s + far + m for size, s, far, m in zip(x.shape[2:], strides, reach, more, strict=True)]
    how = node.get("auto_pad", "NOTSET")
    if shape or how.startswith("SAME"):
        wanted = shape or [size * stride for size, stride in zip(x.shape[2:], strides, strict=True)]
        totals = [max(0, size - want) for size, want in zip(full, wanted, strict=True)]
        halves = [(total // 2, total - total // 2) for total in totals]
        edges = halves if how == "SAME_UPPER" else [(after, before) for before, after in halves]
    else:
        edges = _edges(node, full, reach, strides)
    answer: Tensor = DECONV[axes](x, weight, bias, strides, 0, more, int(node.get("group", 1)), dilations)
    for axis, (before, after) in enumerate(edges, 2):
        answer = answer.narrow(axis, before, answer.shape[axis] - before - after)
    return answer


def _pool_edges(
    node: Node, x: Tensor
) -> tuple[int, list[int], list[int], list[tuple[int, int]], list[tuple[int, int]]]:
    """Give a pool's axes, strides, dilations, its edges, and its edges with what a last, broken window needs."""
    axes, strides, dilations, reach = _window(node, node.get("kernel_shape"))
    sizes = list(x.shape[2:])
    edges = _edges(node, sizes, reach, strides)
    if not node.get("ceil_mode", 0):
        return axes, strides, dilations, edges, edges
    whole = []
    for size, far, stride, (before, after) in zip(sizes, reach, strides, edges, strict=True):
        count = math.ceil((size + before + after - far) / stride) + 1
        if (count - 1) * stride >= size + before:  # a window that would begin after the sound is none
            count -= 1
        whole.append((before, max(after, (count - 1) * stride + far - size - before)))
    return axes, strides, dilations, edges, whole


def _max_pool(node: Node, x: Tensor) -> Tensor:
    if len([name for name in node.outputs if name]) > 1:
        raise node.refuse("is asked where the largest stand, which has no twin")
    axes, strides, dilations, _, edges = _pool_edges(node, x)
    answer: Tensor = MAX[axes](_padded(x, edges, -math.inf), node.get("kernel_shape"), strides, 0, dilations)
    return answer


def _mean_pool(node: Node, x: Tensor) -> Tensor:
    axes, strides, dilations, edges, whole = _pool_edges(node, x)
    if any(step != 1 for step in dilations):
        raise node.refuse(f"has dilations {dilations}, where 1 has a twin")
    kernel = node.get("kernel_shape")
    means: Tensor = MEAN[axes](_padded(x, whole), kernel, strides)
    if not _any(whole):
        return means
    ones = torch.ones(1, 1, *x.shape[2:], dtype=x.dtype, device=x.device)
    counted = _padded(ones, edges, 1.0 if node.get("count_include_pad", 0) else 0.0)
    rest = [(before - b, after - a) for (before, after), (b, a) in zip(whole, edges, strict=True)]
    share: Tensor = MEAN[axes](_padded(counted, rest), kernel, strides)
    return means / share


def _over_all(name: str) -> Operator:
    def operator(node: Node, x: Tensor) -> Tensor:
        answer: Tensor = getattr(x, name)(list(range(2, x.ndim)), keepdim=True)
        return answer

    return operator


def _batch_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    if node.get("training_mode", 0):
        raise node.refuse("is in training mode: it would hear its batch")
    return functional.batch_norm(x, mean, variance, scale, bias, eps=float(node.get("epsilon", 1e-5)))


def _standard(x: Tensor, axes: list[int], epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Give values of mean 0 and variance 1 over axes, the means, and one over the deviations."""
    mean = x.mean(axes, keepdim=True)
    inverse = (x.var(axes, correction=0, keepdim=True) + epsilon).rsqrt()
    return (x - mean) * inverse, mean, inverse


def _channels(numbers: Tensor, x: Tensor) -> Tensor:
    return numbers.reshape(-1, *[1] * (x.ndim - 2))


def _instance_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    normed, _, _ = _standard(x, list(range(2, x.ndim)), float(node.get("epsilon", 1e-5)))
    return normed * _channels(scale, x) + _channels(bias, x)


def _layer_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> tuple[Tensor, ...]:
    axes = list(range(int(node.get("axis", -1)) % x.ndim, x.ndim))
    normed, mean, inverse = _standard(x, axes, float(node.get("epsilon", 1e-5)))
    scaled = normed * scale
    return scaled if bias is None else scaled + bias, mean, inverse


def _group_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    groups, channels = int(node.get("num_groups")), x.shape[1]
    grouped = x.reshape(x.shape[0], groups, -1)
    normed, _, _ = _standard(grouped, [2], float(node.get("epsilon", 1e-5)))
    each = channels // scale.numel()  # before version 21, one number a group
    scale, bias = scale.repeat_interleave(each), bias.repeat_interleave(each)
    return normed.reshape(x.shape) * _channels(scale, x) + _channels(bias, x)


def _rms_norm(node: Node, x: Tensor, scale: Tensor) -> Tensor:
    axes = list(range(int(node.get("axis", -1)) % x.ndim, x.ndim))
    return x * (x.square().mean(axes, keepdim=True) + float(node.get("epsilon", 1e-5))).rsqrt() * scale


def _length_norm(node: Node, x: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(x, int(node.get("p", 2)), int(node.get("axis", -1)), keepdim=True)
    return x / torch.where(norm == 0, 1.0, norm)


def _mean_variance(node: Node, x: Tensor) -> Tensor:
    return _standard(x, list(node.get("axes") or [0, 2, 3]), 1e-9)[0]


LAYERS: dict[str, Operator] = {
    "AveragePool": _mean_pool,
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "ConvTranspose": _deconv,
    "GlobalAveragePool": _over_all("mean"),
    "GlobalMaxPool": _over_all("amax"),
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LpNormalization": _length_norm,
    "MaxPool": _max_pool,
    "MeanVarianceNormalization": _mean_variance,
    "RMSNormalization": _rms_norm,
}
"""Operators by name."""
