"""The networks of the musicnn taggers in torch: from log-mel spectra of a window to the logits of 50 tags.

`Musicnn`: filters as tall as a timbre and as long as a rhythm, of each the loudest over all pitches, then three
residual layers, then the largest and the mean over time (Pons et al. 2018, "End-to-end learning for music audio tagging
at scale", https://arxiv.org/abs/1711.02520; Pons and Serra 2019, "musicnn: pre-trained convolutional neural networks
for music audio tagging", https://arxiv.org/abs/1909.06654). `Vgg`: small square filters (Choi et al. 2016, "Automatic
tagging using deep convolutional neural networks", https://arxiv.org/abs/1606.00298). Written after the graphs in the
wheel's ``.meta`` files; tests run those graphs node by node beside these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv2d, linear, max_pool2d, pad

EPSILON = 1e-3
"""What batch normalisation adds to the variance."""
FRAMES, BANDS, TAGS = 187, 96, 50
"""The shape of a window, and how many tags there are."""
SHAPES = [(7, 38), (7, 67), (128, 1), (64, 1), (32, 1)]
"""Frames and bands of musicnn's first filters: two for timbre, three for rhythm."""
Tensors = Mapping[str, NDArray[np.float32]]


class Norm(nn.Module):
    """A batch normalisation by the averages of the training, as a factor and a summand of each channel."""

    factor: Tensor
    summand: Tensor

    def __init__(self, tensors: Tensors, number: int, channels: int, *, axes: int = 0) -> None:
        super().__init__()
        name = "batch_normalization" + (f"_{number}" if number else "")
        gamma, beta, mean, variance = (
            take(tensors, f"{name}/{part}", (channels,)) for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        factor = gamma / (variance + EPSILON).sqrt()
        shape = (channels,) + (1,) * axes
        self.register_buffer("factor", factor.reshape(shape))
        self.register_buffer("summand", (beta - mean * factor).reshape(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, channels, ...)."""
        return x * self.factor + self.summand


class Filters(nn.Module):
    """A convolution, a ReLU, a batch normalisation and, where one is asked for, a maximum.

    ReLU and normalisation only rise or, where the normalisation's factor is below 0, only fall. So the maximum is taken
    first, of filters whose sign is turned where they fall: the same numbers from a fraction of the work.
    """

    kernel: Tensor
    bias: Tensor
    sign: Tensor

    def __init__(
        self,
        tensors: Tensors,
        name: str,
        norm: int,
        time: int,
        pitch: int,
        into: int,
        *,
        pool: tuple[int, int] | None = None,
        hop: tuple[int, int] | None = None,
        stride: tuple[int, int] = (1, 1),
        wide: bool = False,
    ) -> None:
        """Take kernel and bias by `name`, the kernel's shape being (time, pitch, into, out).

        Both ends in time are padded with zeros so that as many frames come out as went in, and with `wide` pitch too.
        """
        super().__init__()
        kernel = take(tensors, f"{name}/kernel", (time, pitch, into, None))
        self.out = out = kernel.shape[-1]
        self.norm = Norm(tensors, norm, out, axes=2)
        sign = torch.where(self.norm.factor < 0, -1.0, 1.0)
        self.register_buffer("sign", sign)
        self.register_buffer("kernel", kernel.permute(3, 2, 0, 1) * sign[:, None])
        self.register_buffer("bias", take(tensors, f"{name}/bias", (out,)) * sign[:, 0, 0])
        long, tall = time - 1, pitch - 1 if wide else 0
        self.margins = (tall // 2, tall - tall // 2, long // 2, long - long // 2)
        self.pool, self.hop, self.stride = pool, hop or pool, stride

    def forward(self, x: Tensor) -> Tensor:
        """Turn (N, in, time, pitch) into (N, out, time, pitch)."""
        padded = pad(x, self.margins)
        if self.kernel.shape[1] == self.kernel.shape[3] == 1:  # each pitch by itself: ten times as quick backward
            rows = conv1d(padded.mT.flatten(0, 2)[:, None], self.kernel[..., 0], self.bias)  # (N pitches, out, time)
            heard = rows.reshape(len(x), -1, *rows.shape[1:]).permute(0, 2, 3, 1)
        else:
            heard = conv2d(padded, self.kernel, self.bias, self.stride)
        if self.pool is not None:
            heard = max_pool2d(heard, self.pool, self.hop)
        normed: Tensor = self.norm((self.sign * heard).relu())
        return normed


class Dense(nn.Module):
    """A matrix and a bias."""

    kernel: Tensor
    bias: Tensor

    def __init__(self, tensors: Tensors, name: str, into: int, out: int | None = None) -> None:
        super().__init__()
        self.register_buffer("kernel", take(tensors, f"{name}/kernel", (into, out)).mT.contiguous())
        self.out = len(self.kernel)
        self.register_buffer("bias", take(tensors, f"{name}/bias", (self.out,)))

    def forward(self, x: Tensor) -> Tensor:
        """Turn (N, in) into (N, out)."""
        return linear(x, self.kernel, self.bias)


class Musicnn(nn.Module):
    """Filters as tall as a timbre and as long as a rhythm, three residual layers, two sorts of pooling over time."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        self.entrance = Norm(tensors, 0, 1, axes=2)
        front = [
            Filters(tensors, _conv(k), k + 1, time, pitch, 1, pool=(1, BANDS - pitch + 1))
            for k, (time, pitch) in enumerate(SHAPES)
        ]
        features = [sum(filters.out for filters in front)]
        middle = []
        for k in (5, 6, 7):
            middle.append(Filters(tensors, _conv(k), k + 1, 7, features[-1], 1))
            features.append(middle[-1].out)
        self.front, self.middle = nn.ModuleList(front), nn.ModuleList(middle)
        self.pooled, self.dense = Norm(tensors, 9, 2 * sum(features)), Dense(tensors, "dense", 2 * sum(features))
        self.hidden, self.last = Norm(tensors, 10, self.dense.out), Dense(tensors, "dense_1", self.dense.out, TAGS)

    def forward(self, spectra: Tensor) -> Tensor:
        """Give logits (N, 50) of spectra (N, frames, 96)."""
        x = self.entrance(spectra[:, None])
        layers = [torch.cat([filters(x) for filters in self.front], dim=1)[..., 0]]  # each (N, features, time)
        for filters in self.middle:
            after = filters(layers[-1].mT[:, None])[..., 0]
            layers.append(after + layers[-1] if len(layers) > 1 else after)
        over_time = torch.cat(layers, dim=1)
        both = torch.stack([over_time.amax(-1), over_time.mean(-1)], dim=-1)
        logits: Tensor = self.last(self.hidden(self.dense(self.pooled(both.flatten(1))).relu()))
        return logits


class Vgg(nn.Module):
    """Five layers of small square filters.

    MSD_vgg was trained with other first maxima than the package's code gives it, says its ``.meta``: its first takes
    four frames and its second four pitches. Both ways end in the same shapes, so the package runs, and mistags.
    """

    def __init__(self, tensors: Tensors, *, first: Sequence[tuple[tuple[int, int], tuple[int, int]]]) -> None:
        """Take the weights; `first` is size and step of the first two layers' maxima."""
        super().__init__()
        self.entrance = Norm(tensors, 0, 1, axes=2)
        pools = [*first, ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((4, 4), (4, 4))]
        self.squares, into = nn.Sequential(), 1
        for k, (pool, hop) in enumerate(pools):
            stride = (1, 1)
            if pool[1] == 1:  # maxima that are one pitch wide leave out those pitches that they step over
                stride, hop = (1, hop[1]), (hop[0], 1)
            layer = Filters(tensors, f"{k + 1}CNN", k + 1, 3, 3, into, pool=pool, hop=hop, stride=stride, wide=True)
            self.squares.append(layer)
            into = layer.out
        self.last = Dense(tensors, "dense", 2 * into, TAGS)

    def forward(self, spectra: Tensor) -> Tensor:
        """Give logits (N, 50) of spectra (N, 187, 96)."""
        x = self.squares(self.entrance(spectra[:, None]))
        logits: Tensor = self.last(x.permute(0, 2, 3, 1).flatten(1))
        return logits


MODELS = ("MTT_musicnn", "MTT_vgg", "MSD_musicnn", "MSD_vgg")
"""The wheel's folders."""
PACKAGE_POOLS = (((4, 1), (2, 2)), ((2, 2), (2, 2)))
"""Size and step (time, pitch) of the first two maxima of a `Vgg`, as the package's code has them."""
TRAINED_POOLS = {"MSD_vgg": (((4, 1), (4, 1)), ((1, 4), (1, 4)))}
"""Those of the training, where they are others."""


def network_of(model: str, tensors: Tensors, *, as_trained: bool = False) -> Musicnn | Vgg:
    """Build one of `MODELS` of its checkpoint's tensors: as the package does, or as it was trained.

    Raises:
        ValueError: a tensor is missing, or has another shape.
    """
    if not model.endswith("vgg"):
        return Musicnn(tensors)
    return Vgg(tensors, first=TRAINED_POOLS.get(model, PACKAGE_POOLS) if as_trained else PACKAGE_POOLS)


def take(tensors: Tensors, name: str, shape: Sequence[int | None]) -> Tensor:
    """Give the tensor of a name; None in its shape is any length but 0.

    Raises:
        ValueError: there is none of this name and shape.
    """
    if name not in tensors:
        raise ValueError(f"it has no tensor {name}")
    found = tensors[name].shape
    if len(found) != len(shape) or any(not a or (b and a != b) for a, b in zip(found, shape, strict=True)):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"its tensor {name} has the shape {found}; ({wanted}) was expected")
    return torch.from_numpy(tensors[name])


def _conv(number: int) -> str:
    return f"conv2d_{number}" if number else "conv2d"
