"""What the world does to a sound, the real thing and its differentiable stand-in side by side.

A transform is a frozen dataclass with a name as the command line says it (``mp3=128``, ``gain``), `real` for the
samples of a file and `stand_in` for waves that a gradient goes through.

>>> import torch
>>> gain, shift = parse_transforms("gain=-6,shift=1")
>>> wave = torch.tensor([[0.5, -0.5]], requires_grad=True)
>>> shift.stand_in(wave, 44100, torch.Generator())
tensor([[0.0000, 0.5000]], grad_fn=<StackBackward0>)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from subterfuge.transforms.codecs import MP3, Opus, Vorbis
from subterfuge.transforms.denoise import Denoise
from subterfuge.transforms.filters import HighPass, LowPass, Resample
from subterfuge.transforms.level import Gain, Noise
from subterfuge.transforms.moments import Crop, Shift
from subterfuge.transforms.room import Room
from subterfuge.transforms.steps import Dither, Requantise
from subterfuge.transforms.transform import Dice, Samples, Transform
from subterfuge.transforms.words import TRANSFORMS, parse_transforms

__all__ = [
    "DEFAULT",
    "MP3",
    "TRANSFORMS",
    "Crop",
    "Denoise",
    "Dice",
    "Dither",
    "Gain",
    "HighPass",
    "LowPass",
    "Noise",
    "Opus",
    "Requantise",
    "Resample",
    "Room",
    "Samples",
    "Shift",
    "Transform",
    "Vorbis",
    "heard_through",
    "parse_transforms",
]

DEFAULT: tuple[Transform, ...] = (
    Requantise(16),
    Dither(16),
    Requantise(8),
    Dither(8),
    Gain(-6.0),
    Gain(3.0),
    Resample(48_000),
    Resample(22_050),
    Resample(16_000),
    MP3(320),
    MP3(192),
    MP3(128),
    MP3(64),
    Vorbis(4.0),
    Opus(96.0),
    Shift(1),
    Shift(1024),
    Crop(0.25),
    LowPass(8000.0),
    HighPass(100.0),
    Room(0.3),
    Noise(40.0),
    Denoise(),
)
"""What a change is asked to survive where nothing else is said."""


def heard_through(transforms: Sequence[Transform], wave: Tensor, sample_rate: int, dice: Dice) -> Tensor:
    """Put waves (N, T) through the stand-in of each of K transforms: (K, N, T), with a gradient.

    What an expectation over transformations is taken over: Athalye, Engstrom, Ilyas, Kwok (2018),
    https://arxiv.org/abs/1707.07397.

    >>> heard_through([Gain(-20.0)], torch.ones(1, 2), 8000, torch.Generator())
    tensor([[[0.1000, 0.1000]]])

    Raises:
        TransformError: one of them cannot be done to such waves.
    """
    return torch.stack([one.stand_in(wave, sample_rate, dice) for one in transforms])
