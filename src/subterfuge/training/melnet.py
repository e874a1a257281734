"""The convolutional network: a mel spectrogram inside the module, four pairs of 3 x 3 filters, pooling over the clip.

After Han, Kim, Lee (2017), "Deep convolutional neural networks for predominant instrument recognition in polyphonic
music", https://arxiv.org/abs/1605.09507: pairs of 3 x 3 convolutions between poolings, twice the filters after each,
leaky rectifiers of slope 1/3 (their best), global pooling at the end. Smaller than theirs, so that a processor can
train it, and of any length of sound, where theirs takes one second.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, max_pool2d, pad

from subterfuge.dsp import melspectrogram
from subterfuge.errors import InputError

FLOOR = 1e-6
"""Added to the power of each mel band: what white noise some 72 dB below full scale has there. It bounds the gradient
of the logarithm, and keeps what nobody hears out of the answer."""
FRAME_SECONDS = 0.05
"""The longest that a frame may be; it is the power of two below, 46 ms at 22050 Hz, and half of it the next."""
SHORTEST_SECONDS = 0.3
"""Shorter sounds are padded with silence to this."""
SLOPE = 1 / 3
"""Of the leaky rectifiers below 0."""
POOLS = (3, 2, 2, 1)
"""By how much each block shrinks time and frequency."""


class MelNet(nn.Module):
    """Waves (N, T) in [-1, 1], float32 or float64 -> logits (N, classes), differentiable in the wave.

    Args:
        classes: how many logits.
        sample_rate: of the waves, in Hz.
        mels: bands of the mel spectrogram.
        widths: filters of each of the four blocks.
    """

    def __init__(self, classes: int, sample_rate: int, mels: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.sample_rate, self.mels, self.widths = sample_rate, mels, tuple(widths)
        self.n_fft = 1 << (round(FRAME_SECONDS * sample_rate).bit_length() - 1)
        self.shortest = round(SHORTEST_SECONDS * sample_rate)
        self.level = nn.BatchNorm1d(mels)
        pairs = [_layers(a, b, b) for a, b in pairwise(widths)]
        self.blocks = nn.ModuleList([_layers(1, widths[0], size=5), *pairs])
        self.last = nn.Linear(2 * widths[-1], classes)
        # a third faster on a processor, and the same function
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def spectrogram(self, wave: Tensor) -> Tensor:
        """Give the logarithm of the power of each mel band, (N, mels, frames), of waves (N, T)."""
        short = self.shortest - wave.shape[-1]
        power = melspectrogram(
            pad(wave, (0, short)) if short > 0 else wave,
            sample_rate=self.sample_rate,
            n_fft=self.n_fft,
            hop_length=self.n_fft // 2,
            n_mels=self.mels,
        )
        return (power + FLOOR).log()

    def forward(self, wave: Tensor) -> Tensor:
        """Answer waves (N, T) with logits (N, classes)."""
        return self.answer(self.spectrogram(wave))

    def answer(self, spectrogram: Tensor) -> Tensor:
        """Answer spectrograms (N, mels, frames), as `spectrogram` gives them, with logits (N, classes)."""
        seen: Tensor = self.level(spectrogram)[:, None]
        for block, pool in zip(self.blocks, POOLS, strict=True):
            seen = max_pool2d(block(seen), pool)
        over_bands = seen.mean(2)
        logits: Tensor = self.last(torch.cat([over_bands.mean(-1), over_bands.amax(-1)], -1))
        return logits


class _Rectifier(nn.Module):
    def forward(self, seen: Tensor) -> Tensor:
        return leaky_relu(seen, SLOPE)


def _layers(*widths: int, size: int = 3) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        convolution = nn.Conv2d(before, after, size, padding=size // 2, bias=False)
        layers += [convolution, nn.BatchNorm2d(after), _Rectifier()]
    return nn.Sequential(*layers)


def build(
    *, classes: int, sample_rate: int = 22050, mels: int = 64, widths: Sequence[int] = (16, 32, 64, 128)
) -> MelNet:
    """Make a network with random weights, for `load_state_dict`; a card's factory.

    Args:
        classes: how many logits.
        sample_rate: of the waves, in Hz: that of the card.
        mels: bands of the mel spectrogram.
        widths: filters of each of the four blocks.

    Raises:
        InputError: a number that makes no sense.
    """
    numbers = [classes - 1, mels // 16, sample_rate // 1000, *widths]
    if len(widths) != 4 or not all(isinstance(one, int) and one > 0 for one in numbers):
        raise InputError(
            f"a network of classes = {classes}, sample_rate = {sample_rate}, mels = {mels}, widths = {list(widths)}: "
            "whole numbers were expected, at least 2 classes, 1000 Hz and 16 bands, and four widths from 1 on"
        )
    return MelNet(classes, sample_rate, mels, widths)
