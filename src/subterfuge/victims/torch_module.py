"""A torch module as a victim: a factory function and its weights. It is its own twin.

::

    kind = "torch"
    labels = ["cel", "cla"]          # in the order of the module's outputs
    module = "mynet.py:build"        # a factory, in a file beside the card or "package.module:factory"
    arguments = { width = 16 }       # what the factory is called with
    weights = "mynet.safetensors"
    output = "logits"                # or log-probabilities, probabilities, decision values
    input = "NT"                     # waves (N, T), or "N1T" for (N, 1, T)
    probe_seconds = 1.0              # length of the noise that is asked first; for modules that take one length only

Loading such a card runs the code that it names.
"""

from __future__ import annotations

import copy
import hashlib
import json
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from subterfuge.errors import InputError, VictimError, nearest
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims._answers import KINDS, checked, fault_of, noise, probabilities_of, scores_of
from subterfuge.victims._code import find_function, told
from subterfuge.victims._device import device_of
from subterfuge.victims._weights import load_weights
from subterfuge.victims.card import Card, check_labels, fingerprint_of

KEYS = {
    "labels!": list,
    "module!": str,
    "arguments": dict,
    "weights": str,
    "output": str,
    "input": str,
    "probe_seconds": float,
}
INPUTS = ("NT", "N1T")


@dataclass(frozen=True, eq=False)
class TorchVictim:
    """A module that takes waves and gives one number a class. Make one with `TorchVictim.of`, or from a card.

    Waves are moved to the module's device and precision, answers back to the wave's device.
    """

    name: str
    labels: tuple[str, ...]
    sample_rate: int
    module: nn.Module
    output: str
    input: str
    device: torch.device
    fingerprint: str
    dtype: torch.dtype = torch.float32
    gives: Gives = Gives.GRADIENTS
    probe_seconds: float = 1.0
    """A length of sound that it takes."""
    twin: Victim | None = None
    warnings: tuple[str, ...] = ()
    card: Path | None = None
    """The card that it was loaded from, for the record."""

    @classmethod
    def of(
        cls,
        module: nn.Module,
        *,
        labels: tuple[str, ...] | list[str],
        sample_rate: int,
        name: str = "torch module",
        output: str = "logits",
        input: str = "NT",
        device: str = "cpu",
        probe_seconds: float = 1.0,
    ) -> TorchVictim:
        """Make a victim of a copy of a module, in eval mode and with its parameters fixed.

        Args:
            module: takes float32 waves (N, T) in [-1, 1], gives (N, K).
            labels: K names, in the order of the outputs.
            sample_rate: Hz.
            name: as reports call it.
            output: what the K numbers are: "logits", "log-probabilities", "probabilities" or "decision values".
            input: "NT", or "N1T" where the module wants waves (N, 1, T).
            device: "cpu" or "cuda".
            probe_seconds: length of the noise that the module is asked first.

        Raises:
            InputError: the module does not answer a second of noise with one finite number a label, or an argument
                makes no sense.
        """
        fault = (
            check_labels(list(labels)) or _word_fault("output", output, KINDS) or _word_fault("input", input, INPUTS)
        )
        if fault:
            raise InputError(f"{name}: {fault}")
        source = f"{type(module).__module__}.{type(module).__qualname__}"
        module = copy.deepcopy(module)
        print_of = _fingerprint(module, source, labels, sample_rate, output, input)
        victim = cls(name, tuple(labels), sample_rate, module, output, input, device_of(device), print_of)
        settled = replace(victim, probe_seconds=probe_seconds)._settled()
        if isinstance(settled, str):
            raise InputError(f"{name}: {settled}")
        return settled

    @property
    def kind(self) -> Kind:
        """What `scores` are."""
        return KINDS[self.output]

    @property
    def answers_most_probable(self) -> bool:
        """Whether `decide` is the largest of `probabilities`, wherever it has any."""
        return True

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of the largest output, the first of equals, int64 (N,)."""
        with torch.no_grad():
            return self._ask(wave).argmax(-1)

    def scores(self, wave: Tensor) -> Tensor:
        """Give the outputs (N, K), or the logarithms of those that are probabilities, with gradients."""
        return scores_of(self._ask(wave), self.output)

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give probabilities (N, K), or None if the outputs are decision values."""
        return None if self.output == "decision values" else probabilities_of(self._ask(wave), self.output)

    def in_float64(self) -> TorchVictim:
        """Give the same victim computing in float64, for comparing its gradients with finite differences."""
        return replace(self, module=copy.deepcopy(self.module).double(), dtype=torch.float64)

    def _ask(self, wave: Tensor) -> Tensor:
        heard = wave.to(self.device, self.dtype)
        try:
            with redirect_stdout(sys.stderr):  # standard output is the caller's
                raw = self.module(heard[:, None] if self.input == "N1T" else heard)
        except Exception as reason:
            raise VictimError(
                f"the victim {self.name} died on {len(wave)} waves of {wave.shape[-1]} samples: {told(reason)}"
            ) from reason
        if not isinstance(raw, Tensor):
            raise VictimError(
                f"the victim {self.name} answered a {type(raw).__name__}; a tensor (N, {len(self.labels)}) was expected"
            )
        return checked(raw, len(wave), self.labels, self.name).to(wave.device)

    def _settled(self) -> TorchVictim | str:
        """Put the module into place and ask it once; give a sentence if its answer is not one."""
        self.module.to(self.device).eval().requires_grad_(False)
        wave = noise(self.sample_rate, self.probe_seconds).requires_grad_()
        try:
            scores = self.scores(wave)
        except VictimError as reason:
            return (
                f"asked {self.probe_seconds:g} s of noise, {reason}. A module that takes one length only needs "
                "probe_seconds = that length"
            )
        with torch.no_grad():
            fault = fault_of(self._ask(wave.detach()), self.output)
        if fault or scores.requires_grad:
            return fault or self
        words = "its answers are cut off from its input (is it under no_grad?), so there are no gradients"
        return replace(self, gives=Gives.SCORES, warnings=(*self.warnings, words))


def load(card: Card, *, trust_pickle: bool = False, device: str = "cpu") -> TorchVictim:
    """Load the module of a card of kind ``torch``. It runs the code that the card names.

    The factory is called with a random state of its own, so a module without weights is the same each time.

    Args:
        card: the card.
        trust_pickle: has no meaning here; weights are safetensors.
        device: "cpu" or "cuda".

    Raises:
        CardError: no such code or weights, weights that do not fit, or a module that does not answer noise with one
            finite number a label.
        InputError: the device is not there.
    """
    output, input = card.get("output", "logits"), card.get("input", "NT")
    fault = _word_fault("output", output, KINDS) or _word_fault("input", input, INPUTS)
    seconds = float(card.get("probe_seconds", 1.0))
    if not 0 < seconds <= 60:
        fault = f"probe_seconds = {seconds:g}; a length above 0 and up to 60 s was expected"
    if fault:
        raise card.fail(fault)
    where = device_of(device)
    if card.get("weights"):
        card.file("weights")
    found = find_function(card, "module")
    arguments = card.get("arguments", {})
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = found.function(**arguments)
    except Exception as reason:
        told_of = told(reason, card.folder)
        raise card.fail(f'module = "{card.get("module")}" died with arguments = {arguments}: {told_of}') from reason
    if not isinstance(module, nn.Module):
        raise card.fail(
            f'module = "{card.get("module")}" gave a {type(module).__name__}; a torch.nn.Module was expected'
        )
    if card.get("weights"):
        load_weights(card, module)
    labels = card.labels or ()
    code = fingerprint_of(*(part for source in found.sources for part in source))
    extra = json.dumps([card.get("module"), arguments], sort_keys=True, default=str)
    print_of = _fingerprint(module, code + extra, labels, card.sample_rate, output, input)
    victim = TorchVictim(card.name, labels, card.sample_rate, module, output, input, where, print_of)
    settled = replace(victim, probe_seconds=seconds)._settled()
    if isinstance(settled, str):
        raise card.fail(settled)
    return settled


def _word_fault(key: str, value: str, known: Any) -> str | None:
    return None if value in known else f'{key} = "{value}"; {nearest(value, known)}'


def _fingerprint(
    module: nn.Module, code: str, labels: tuple[str, ...] | list[str], rate: int, output: str, input: str
) -> str:
    weights = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        weights.update(f"{key} ".encode())
        if isinstance(value, Tensor):
            plain = value.detach().cpu().contiguous()
            weights.update(f"{plain.dtype} {tuple(plain.shape)} ".encode())
            weights.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    return fingerprint_of("torch", code, weights.digest(), *labels, str(rate), output, input)
