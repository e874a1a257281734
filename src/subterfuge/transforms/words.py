"""Transforms as the command line says them."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

from subterfuge.errors import TransformError, nearest
from subterfuge.transforms.codecs import MP3, Opus, Vorbis
from subterfuge.transforms.denoise import Denoise
from subterfuge.transforms.filters import HighPass, LowPass, Resample
from subterfuge.transforms.level import Gain, Noise
from subterfuge.transforms.moments import Crop, Shift
from subterfuge.transforms.room import Room
from subterfuge.transforms.steps import Dither, Requantise
from subterfuge.transforms.transform import Transform

TRANSFORMS: dict[str, type[Transform]] = {
    "requantise": Requantise,
    "dither": Dither,
    "gain": Gain,
    "resample": Resample,
    "mp3": MP3,
    "vorbis": Vorbis,
    "opus": Opus,
    "shift": Shift,
    "crop": Crop,
    "lowpass": LowPass,
    "highpass": HighPass,
    "room": Room,
    "noise": Noise,
    "denoise": Denoise,
}
"""From the word on the command line to the transform."""


def parse_transforms(text: str) -> tuple[Transform, ...]:
    """Read a list of transforms, such as ``mp3=128,gain,shift``, each with its value or, without, its default or draw.

    >>> [one.name for one in parse_transforms("mp3, gain=-6, shift")]
    ['mp3=128', 'gain=-6', 'shift']

    Raises:
        TransformError: an unknown word (the nearest is named), a value that is no number or outside its range, the same
            twice, or nothing at all.
    """
    found: dict[str, Transform] = {}
    for part in text.split(","):
        one = _parse(part.strip(), text)
        if one.name in found:
            raise TransformError(f"the transform {one.name} is there twice in '{text}'; name it once")
        found[one.name] = one
    return tuple(found.values())


def _parse(part: str, text: str) -> Transform:
    word, equals, value = (side.strip() for side in part.partition("="))
    if not part:
        raise TransformError(f"'{text}' has an empty place; transforms were expected, such as mp3=128,gain,shift")
    if word not in TRANSFORMS:
        raise TransformError(f"transform '{word}' is not known; {nearest(word, TRANSFORMS)}")
    make: Any = TRANSFORMS[word]
    if equals and not fields(make):
        raise TransformError(f"{part}: {word} takes no value; leave the = away")
    made: Transform = make(number(part, value)) if equals else make()
    return made


def number(part: str, value: str) -> float:
    """Read the value of one part of a list of words, an int where it is whole.

    Raises:
        TransformError: it is no finite number.
    """
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise TransformError(f"{part}: a number was expected behind the =")
    return int(number) if number.is_integer() else number
