"""The program that a card of kind ``torch`` names: which form it has, and what it takes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from subterfuge.victims.card import Card
from subterfuge.victims.torch_module.archive import NoProgram, read_archive
from subterfuge.victims.torch_module.export import Size, load_export
from subterfuge.victims.torch_module.script import load_script

ONE_BY_ONE = "the program takes one wave at a time, so it is asked one by one"
_AXES = {"T": 1, "NT": 2, "N1T": 3}


@dataclass(frozen=True)
class Program:
    """A loaded program."""

    module: nn.Module
    sha256: str
    """Of its file."""
    rows: int | None
    """The most waves that it takes at once, or None where that is not known, or any number."""
    length: Size | None
    """What lengths it takes, in samples, where that is known."""
    probe_seconds: float
    """A length that it takes."""
    warnings: tuple[str, ...]


def load_program(card: Card, device: torch.device, input: str) -> Program:
    """Load the file that the card's ``program`` names. No Python of it is run, and no pickle.

    Args:
        card: of kind ``torch``.
        device: where it is to compute.
        input: the shape of the waves, "NT", "N1T" or "T".

    Raises:
        CardError: it is no program, is damaged, asks for what is not allowed, or takes other shapes.
    """
    try:
        archive = read_archive(card.file("program"))
        seconds = float(card.get("probe_seconds", 1.0))
        if archive.form == "torchscript":
            return Program(load_script(archive, device), archive.sha256, None, None, seconds, ())
        module, sizes = load_export(archive, device)
    except NoProgram as reason:
        raise card.fail(f'program = "{card.get("program")}" {reason}') from None
    fault = _axes_fault(sizes, input)
    if fault:
        raise card.fail(f'program = "{card.get("program")}" {fault}')
    length, notes = sizes[-1], []
    samples = round(seconds * card.sample_rate)
    if length.only is not None:
        notes.append(length_note(length, card.sample_rate))
    if card.get("probe_seconds") is None:
        samples = _near(length, samples)
    elif not length.takes(samples):
        raise card.fail(
            f"probe_seconds = {seconds:g} is {samples} samples at {card.sample_rate} Hz, and the program takes "
            f"waves of {length}; leave probe_seconds away"
        )
    rows = sizes[0].most if input != "T" else 1
    if rows == 1 and input != "T":
        notes.append(ONE_BY_ONE)
    return Program(module, archive.sha256, rows, length, samples / card.sample_rate, tuple(notes))


def length_note(length: Size, sample_rate: int) -> str:
    """Say that a program takes waves of one length only, and what helps."""
    return (
        f"the program takes waves of {length} samples ({length.least / sample_rate:g} s); a card of kind "
        '"windowed" around it asks about other lengths'
    )


def _axes_fault(sizes: tuple[Size, ...], input: str) -> str | None:
    """Say what is wrong with the axes of what a program takes."""
    shape = ", ".join(str(one) for one in sizes)
    if len(sizes) != _AXES[input] or (input == "N1T" and not sizes[1].takes(1)):
        fits = {1: "T", 2: "NT", 3: "N1T"}.get(len(sizes))
        way = f'input = "{fits}" is for such' if fits not in (None, input) else "a model of mono waves was expected"
        return f'takes tensors of {len(sizes)} axes ({shape}), and the card says input = "{input}"; {way}'
    if input != "T" and not sizes[0].takes(1):
        return (
            f"takes {sizes[0]} waves at once, and it must take one; export it with an example of one wave, or with "
            'dynamic_shapes={"wave": {0: torch.export.Dim.AUTO}}'
        )
    return None


def _near(length: Size, samples: int) -> int:
    """Give the size that is taken next to some samples."""
    samples = max(length.least, samples if length.most is None else min(samples, length.most))
    below = samples // length.step * length.step
    return below if length.takes(below) else below + length.step
