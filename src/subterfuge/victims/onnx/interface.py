"""How sounds go into an ONNX model, and numbers come out: shared by the true model and its twin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subterfuge.errors import VictimError, nearest
from subterfuge.victims.card import Card
from subterfuge.victims.onnx.node import DTYPES, FLOATS

LAYOUTS = {"NT": 2, "N1T": 3, "NT1": 3, "T": 1}
"""Shapes that a sound may be wanted in, and their number of axes."""

Run = Callable[[dict[str, Tensor]], Tensor]
"""From every input by name to the output."""


@dataclass(frozen=True)
class Extra:
    """An input that is no sound: a number for every place of an open shape, or a tensor as it is."""

    value: Tensor
    shape: tuple[int | None, ...] | None
    """Axes, None for as many as there are sounds; no shape where the tensor has its own."""

    def of(self, rows: int) -> Tensor:
        """Give it for as many sounds."""
        return self.value if self.shape is None else self.value.expand([size or rows for size in self.shape])


@dataclass(frozen=True)
class Interface:
    """Which input is the sound and how it is wanted, what the others are, and which output counts."""

    input: str
    layout: str
    alone: bool
    """Whether it takes one sound at a time."""
    length: int | None
    """The one length in samples that it takes, if it takes one only."""
    dtype: torch.dtype
    output: str
    extras: Mapping[str, Extra]
    lone: bool = False
    """Whether it gives one number a sound, which stands for the second of two labels."""

    def settled(self, wave: Tensor, run: Run, classes: int) -> Interface:
        """Give the same, knowing from the answer to one wave (1, T) whether one number stands for two labels."""
        return replace(self, lone=classes == 2 and run(self._inputs(wave)).numel() == 1)

    def ask(self, wave: Tensor, run: Run, about: tuple[str, int, int]) -> Tensor:
        """Ask about waves (N, T), and give what comes out, (N, K), or (N, 1) where one number stands for two labels.

        Args:
            wave: (N, T).
            run: what answers.
            about: the victim's name, its rate in Hz, its number of labels, for messages and for the shape.

        Raises:
            VictimError: the sound is of another length than the model takes.
        """
        name, rate, classes = about
        if self.length is not None and wave.shape[-1] != self.length:
            raise VictimError(
                f"the victim {name} takes sounds of {self.length} samples ({self.length / rate:.4g} s) and no other, "
                f"and was asked about {wave.shape[-1]} ({wave.shape[-1] / rate:.4g} s); export it with a dynamic time "
                'axis, or put a card of kind "windowed" around it, which asks about any sound, window by window'
            )
        numbers = 1 if self.lone else classes
        if not len(wave):
            return wave.new_zeros(0, numbers)
        pieces = [row[None] for row in wave] if self.alone else [wave]
        answers = [_rows(run(self._inputs(piece)), len(piece), numbers, self.alone) for piece in pieces]
        return torch.cat(answers)

    def _inputs(self, wave: Tensor) -> dict[str, Tensor]:
        shaped = {"NT": wave, "N1T": wave[:, None], "NT1": wave[..., None], "T": wave[0]}[self.layout]
        return {self.input: shaped} | {name: extra.of(len(wave)) for name, extra in self.extras.items()}


def _rows(raw: Tensor, rows: int, numbers: int, alone: bool) -> Tensor:
    """Take away axes of length 1, so that (rows, numbers) is left; anything else stays, and who checks refuses it.

    The numbers of one sound among many must not lie along the first axis, for that is where the sounds lie.
    """
    long = [size for size in raw.shape if size != 1]
    if long != [size for size in (rows, numbers) if size != 1]:
        return raw
    turned = not alone and rows == 1 and numbers > 1 and raw.ndim > 1 and raw.shape[0] == numbers
    return raw if turned else raw.reshape(rows, numbers)


def interface_of(card: Card, session: Any) -> Interface:
    """Find the sound among the inputs of an ``onnxruntime.InferenceSession``, and the scores among its outputs.

    Raises:
        CardError: there is no such input or output, or none that takes a wave.
    """
    inputs, outputs = {each.name: each for each in session.get_inputs()}, [each.name for each in session.get_outputs()]
    given = card.get("inputs", {})
    for key in given:
        if key not in inputs:
            raise card.fail(f"inputs names '{key}', which the model does not have; {nearest(key, inputs)}")
    output = card.get("output_name", outputs[0])
    if output not in outputs:
        raise card.fail(f'output_name = "{output}", which the model does not have; {nearest(output, outputs)}')
    open_ones = [name for name in inputs if name not in given]
    name = card.get("input_name", open_ones[0] if len(open_ones) == 1 else None)
    if name is None:
        told = ", ".join(f"{each.name} {_shape_text(each.shape)}" for each in inputs.values()) or "none"
        raise card.fail(
            f"the model has the inputs {told}; say by input_name which is the sound, and give each other a constant by "
            "inputs = { NAME = NUMBER }"
        )
    if name not in inputs or name in given:
        fault = "which inputs gives a constant" if name in given else "which the model does not have"
        raise card.fail(f'input_name = "{name}", {fault}; {nearest(name, open_ones)}')
    left = [each for each in open_ones if each != name]
    if left:
        raise card.fail(
            f"the model has the inputs {', '.join(left)} beside '{name}'; give each a constant by inputs = "
            f"{{ {left[0]} = NUMBER }}"
        )
    sound = inputs[name]
    dtype = _dtype(card, sound)
    if dtype not in FLOATS.values():
        raise card.fail(f"the model's input '{name}' takes {sound.type}, where a tensor of floats was expected")
    layout, rows, length = _layout(card, name, sound.shape)
    extras = {key: _extra(card, inputs[key], value) for key, value in given.items()}
    return Interface(name, layout, rows == 1, length, dtype, output, extras)


def _layout(card: Card, name: str, shape: Any) -> tuple[str, int | None, int | None]:
    """Give the layout, the fixed number of sounds at once, and the fixed length; None for an open one."""
    sizes = [size if isinstance(size, int) and size > 0 else None for size in shape or []]
    likely = {0: "NT", 1: "T", 2: "NT"}.get(len(sizes), "NT1" if sizes[-1:] == [1] else "N1T")
    layout = card.get("input", likely)
    if layout not in LAYOUTS:
        raise card.fail(f'input = "{layout}"; {nearest(layout, LAYOUTS)}')
    told = f"the model's input '{name}' has the shape {_shape_text(shape)}"
    if sizes and len(sizes) != LAYOUTS[layout]:
        said = f'input = "{layout}", but ' if "input" in card.values else ""
        raise card.fail(
            f"{said}{told}, where a wave was expected: {', '.join(LAYOUTS)}. A model that takes a spectrogram needs "
            'that inside its graph, or a card of kind "python" that makes it'
        )
    by_axis = dict(zip(layout, sizes, strict=True)) if sizes else {}
    if by_axis.get("1") not in (None, 1):
        raise card.fail(f'{told}, and input = "{layout}" wants one channel; the model takes {by_axis["1"]}')
    rows, length = 1 if layout == "T" else by_axis.get("N"), by_axis.get("T")
    if rows not in (None, 1):
        raise card.fail(
            f"{told}, so it takes {rows} sounds at once, no fewer; export it with a batch of 1 or a dynamic one"
        )
    return layout, rows, length


def _shape_text(shape: Any) -> str:
    return f"({', '.join(str(size) if size else '?' for size in shape or [])})"


def _dtype(card: Card, about: Any) -> torch.dtype:
    """Give the element type of an input from onnxruntime's name of it, such as ``tensor(float)``."""
    inner = about.type.removeprefix("tensor(").removesuffix(")")
    name = {"float": "float32", "double": "float64"}.get(inner, inner)
    found = next((dtype for dtype in DTYPES.values() if str(dtype) == f"torch.{name}"), None)
    if found is None:
        raise card.fail(f"the model's input '{about.name}' takes {about.type}, which has no counterpart here")
    return found


def _extra(card: Card, about: Any, value: Any) -> Extra:
    dtype = _dtype(card, about)
    sizes = tuple(size if isinstance(size, int) and size > 0 else None for size in about.shape or [])
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise card.fail(
            f"inputs gives {about.name} = {value!r}; a number, or a list of numbers, was expected"
        ) from None
    tensor = torch.from_numpy(array).to(dtype)
    if dtype not in FLOATS.values() and bool((tensor.double() != torch.from_numpy(array)).any()):
        raise card.fail(f"inputs gives {about.name} = {value!r}, and the model takes {about.type}")
    if tensor.ndim == 0:
        return Extra(tensor, sizes)
    if tensor.ndim != len(sizes) or any(want not in (None, got) for want, got in zip(sizes, tensor.shape, strict=True)):
        raise card.fail(
            f"inputs gives {about.name} as {tuple(tensor.shape)} numbers, and the model takes "
            f"{_shape_text(about.shape)}"
        )
    return Extra(tensor, None)
