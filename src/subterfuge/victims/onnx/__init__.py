"""An ONNX model that takes waves: onnxruntime answers, and a twin of the graph in torch gives gradients.

::

    kind = "onnx"
    model = "mynet.onnx"             # its external data beside it
    labels = ["cel", "cla"]          # in the order of the outputs; where the model's metadata does not name them
    output = "logits"                # or probabilities, log-probabilities, decision values, tag logits, ...
    input = "NT"                     # waves (N, T); or N1T, NT1, T; as the model's shape has it
    input_name = "wave"              # which input is the sound, where there are several
    output_name = "scores"           # which output counts; the first without it
    inputs = { sr = 16000 }          # constants for the other inputs
    probe_seconds = 1.0              # length of the noise that is asked first

A model that gives one number for two labels gives that of the second. Loading such a card runs no code that comes with
it: a graph is data, and libraries of custom operators are not loaded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from subterfuge.errors import VictimError, nearest
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims._answers import (
    KINDS,
    checked,
    dead_on,
    doubt_of,
    fault_of,
    fault_of_seconds,
    lone_fault_of,
    noise,
    probabilities_of,
    scores_of,
    two_of,
)
from subterfuge.victims._device import device_of
from subterfuge.victims.card import Card, fingerprint_of
from subterfuge.victims.onnx.compare import compared
from subterfuge.victims.onnx.file import check_rate, labels_of, libraries, read_onnx, session_of
from subterfuge.victims.onnx.interface import Interface, interface_of
from subterfuge.victims.onnx.twin import squash_doubt_of, twin_of_file
from subterfuge.victims.torch_module.export import Size
from subterfuge.victims.twins import NoTwin

KEYS = {
    "model!": str,
    "output": str,
    "input": str,
    "input_name": str,
    "output_name": str,
    "inputs": dict,
    "probe_seconds": float,
}
EXAMPLE = """\
schema = 1                       # the card's format
kind = "onnx"
name = "my-net"                  # as reports call it; the file's name without it
sample_rate = 16000              # Hz at which the model hears; if the model says another of itself, that is an error
labels = ["speech", "music"]     # in the order of the outputs; may be left out where the model's metadata names them
model = "mynet.onnx"             # relative to this card; files of weights that it names lie beside it; runs no code
output = "logits"                # or probabilities, log-probabilities, decision values, tag logits, tag probabilities
input = "NT"                     # waves (N, T); or N1T, NT1, or T for one wave at a time; the model's shape without it
input_name = "wave"              # which input is the sound, where it is not the only one without a constant
output_name = "scores"           # which output holds the scores; the first without it
inputs = { }                     # constants for other inputs, as { sr = 16000, state = 0 }; a number fills any shape
probe_seconds = 1.0              # length of the noise that is asked first, for models that take one length only
"""


@dataclass(frozen=True, eq=False)
class OnnxVictim:
    """The true model: onnxruntime on one thread of the CPU. It judges; it has no gradients."""

    name: str
    labels: tuple[str, ...]
    sample_rate: int
    fingerprint: str
    session: Any
    interface: Interface
    output: str
    probe_seconds: float = 1.0
    """A length of sound that it takes."""
    twin: Victim | None = None
    no_twin: str | None = None
    """Why there is no twin, one clause."""
    warnings: tuple[str, ...] = ()
    gives: Gives = Gives.SCORES
    card: Path | None = None
    """The card that it was loaded from, for the record."""

    @property
    def kind(self) -> Kind:
        """What `scores` are."""
        return KINDS[self.output]

    @property
    def answers_most_probable(self) -> bool:
        """Whether `decide` is the largest of `probabilities`, wherever it has any."""
        return True

    @property
    def length(self) -> Size | None:
        """What lengths it takes, in samples, where it takes one only."""
        only = self.interface.length
        return None if only is None else Size(only, only)

    @property
    def at_once(self) -> int:
        """How many clips are worth asking at once: one, where the model takes one at a time."""
        return 1 if self.interface.alone else 32

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of the largest output, the first of equals, int64 (N,)."""
        return two_of(self.numbers(wave), self.output).argmax(-1)

    def scores(self, wave: Tensor) -> Tensor:
        """Give the outputs (N, K), or logarithms or log-odds of those that are probabilities."""
        raw = two_of(self.numbers(wave), self.output)
        return scores_of(raw.double() if self.output == "tag probabilities" else raw, self.output)

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give probabilities (N, K), or None if the outputs are decision values."""
        return probabilities_of(two_of(self.numbers(wave), self.output), self.output)

    def numbers(self, wave: Tensor) -> Tensor:
        """Give what onnxruntime answers, (N, K), or (N, 1) for the second of two labels; float32 or float64.

        Raises:
            VictimError: it died, or answered nonsense.
        """
        heard = wave.detach().cpu().to(self.interface.dtype)
        raw = self.interface.ask(heard, self._run, (self.name, self.sample_rate, len(self.labels)))
        raw = raw.to(wave.device, torch.float64 if raw.dtype == torch.float64 else torch.float32)
        return checked(raw, len(wave), self.labels[1:] if self.interface.lone else self.labels, self.name)

    def _run(self, inputs: dict[str, Tensor]) -> Tensor:
        _, runtime = libraries()
        quiet = runtime.RunOptions()
        quiet.log_severity_level = 4  # its errors are raised, too
        arrays = {key: each.contiguous().numpy() for key, each in inputs.items()}
        try:
            said = self.session.run([self.interface.output], arrays, quiet)[0]
        except Exception as reason:
            heard = inputs[self.interface.input]
            wave = heard.reshape(heard.shape[0] if heard.ndim > 1 else 1, -1)
            died = dead_on(self.name, wave, self.sample_rate, self.probe_seconds)
            raise VictimError(f"{died}: {' '.join(str(reason).split()):.300}") from reason
        if not hasattr(said, "dtype") or said.dtype.kind != "f":
            what = f"{said.dtype} numbers" if hasattr(said, "dtype") else f"a {type(said).__name__}"
            raise VictimError(
                f"the victim {self.name} answered {what} as '{self.interface.output}', where floats were expected; "
                "name the output that holds the scores by output_name"
            )
        return torch.from_numpy(said)


def load(card: Card, *, trust_pickle: bool = False, device: str = "cpu") -> OnnxVictim:
    """Load the model of a card of kind ``onnx``. No code that comes with it is run.

    Args:
        card: the card.
        trust_pickle: has no meaning here.
        device: must be there, and is not used: onnxruntime computes on the CPU, and the twin where the waves are.

    Raises:
        CardError: no ONNX file, weights that are missing or lie elsewhere, an operator that onnxruntime lacks, another
            rate than the model's own, inputs that are not clear, or a model that does not answer noise with one finite
            number a label.
        MissingExtra: onnx or onnxruntime is not installed.
        InputError: the device is not there.
    """
    output, seconds = card.get("output", "logits"), float(card.get("probe_seconds", 1.0))
    if output not in KINDS:
        raise card.fail(f'output = "{output}"; {nearest(output, KINDS)}')
    if fault := fault_of_seconds(seconds):
        raise card.fail(fault)
    device_of(device)
    file = read_onnx(card)
    check_rate(card, file)
    labels, session = labels_of(card, file), session_of(card, file)
    interface = interface_of(card, session)
    if interface.length is not None:
        given, seconds = seconds, interface.length / card.sample_rate
        if "probe_seconds" in card.values and round(given * card.sample_rate) != interface.length:
            raise card.fail(
                f"probe_seconds = {given:g}, but the model takes {interface.length} samples and no other number, which "
                f"are {seconds:g} s; leave the key out"
            )
    rest = json.dumps([interface.layout, interface.input, interface.output, card.get("inputs", {})], sort_keys=True)
    print_of = fingerprint_of("onnx", file.sha256, *labels, str(card.sample_rate), output, rest)
    victim = OnnxVictim(card.name, labels, card.sample_rate, print_of, session, interface, output, seconds)
    try:
        wave = noise(card.sample_rate, seconds)
        interface = interface.settled(wave.to(interface.dtype), victim._run, len(labels))
        victim = replace(victim, interface=interface)
        raw = victim.numbers(wave)
    except VictimError as reason:
        hint = (
            "; are its weights whole?"
            if "NaN" in str(reason)
            else (". A model that takes one length only needs probe_seconds = that length")
        )
        raise card.fail(f"asked {seconds:g} s of noise, {reason}{hint}") from reason
    fault = lone_fault_of(raw, output) or fault_of(two_of(raw, output), output)
    if fault:
        raise card.fail(fault)
    doubt = squash_doubt_of(file, interface.output, output, raw.shape[-1])
    if doubt is None and raw.shape[-1] > 1:
        doubt = doubt_of(raw, output, victim.numbers, card.sample_rate, seconds)
    victim = replace(victim, warnings=() if doubt is None else (doubt,))
    try:
        twin = twin_of_file(file, interface, output, (card.name, labels, card.sample_rate, print_of))
        return replace(victim, twin=compared(twin, victim.numbers, seconds))
    except NoTwin as reason:
        return replace(victim, no_twin=str(reason))
