"""A torch module as a victim: a factory function and its weights, or a saved program. It is its own twin.

::

    kind = "torch"
    labels = ["cel", "cla"]          # in the order of the module's outputs
    module = "mynet.py:build"        # a factory, in a file beside the card or "package.module:factory"
    arguments = { width = 16 }       # what the factory is called with
    weights = "mynet.safetensors"
    program = "mynet.pt2"            # instead of these three: what torch.export.save or torch.jit.save wrote
    output = "logits"                # or log-probabilities, probabilities, decision values, tag logits, ...
    input = "NT"                     # waves (N, T), or "N1T" for (N, 1, T), or "T" for one wave (T,) at a time
    probe_seconds = 1.0              # length of the noise that is asked first; for modules that take one length only

Loading a card with a `module` runs the code that it names. Loading one with a `program` runs no Python of the file's:

- A program of torch.export is a list of operators, which is read and called here (`torch_module.graph`); none of them
  reaches files, and nothing can loop. `torch.export.load`, which unpickles and evaluates what the file says, is not
  used.
- A TorchScript archive brings code, which torch's own interpreter runs, as it is loaded and as it is asked. It calls
  no Python, and operators that reach files, processes or the network are refused by name; but it can compute for ever
  (and Python cannot interrupt it meanwhile) and fill the memory, and the interpreter was not written to hold an
  enemy: torch itself advises against such files.

Both can ask for more memory than there is, and both reach torch's kernels, in which faults may lie. Whoever does not
trust a file at all asks it in a container. Pickles, also those inside of these files, are never run by Python.
"""

from __future__ import annotations

import copy
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from subterfuge.errors import InputError, VictimError
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims._answers import KINDS, checked, dead_on, probabilities_of, scores_of
from subterfuge.victims._code import told
from subterfuge.victims._device import device_of
from subterfuge.victims.card import check_labels
from subterfuge.victims.torch_module.export import Size
from subterfuge.victims.torch_module.loading import INPUTS, load
from subterfuge.victims.torch_module.program import length_note
from subterfuge.victims.torch_module.settling import fingerprint, settled_of, word_fault

__all__ = ["EXAMPLE", "KEYS", "TorchVictim", "load"]

KEYS = {
    "labels!": list,
    "module": str,
    "arguments": dict,
    "weights": str,
    "files": list,
    "program": str,
    "output": str,
    "input": str,
    "probe_seconds": float,
}
TOGETHER = 32
"""Waves that are worth asking at once, where as many as one likes are taken."""

EXAMPLE = """\
schema = 1
kind = "torch"
name = "my-network"                # as reports call it; the file's name without it
sample_rate = 16000                # Hz at which the model hears; sounds are resampled to it
labels = ["cel", "cla", "flu"]     # in the order of the model's outputs
module = "mynet.py:build"          # a function that gives a torch.nn.Module; loading the card will RUN this code
arguments = { width = 16 }         # what that function is called with
weights = "mynet.safetensors"      # by safetensors.torch.save_model(module, "mynet.safetensors")
# files = ["mynet.json"]           # what that function loads by itself: part of the fingerprint, as the weights are
# program = "mynet.pt2"            # instead of module, arguments and weights (keep this line, or those three): what
                                   # torch.export.save or torch.jit.save wrote. No Python of the file is run; of
                                   # torch.jit.save, torch will RUN its TorchScript, which reaches no files but can
                                   # compute for ever and fill the memory
output = "logits"                  # what the numbers are: logits, log-probabilities, probabilities, decision values,
                                   # tag logits, tag probabilities
input = "NT"                       # waves (N, T); "N1T" is (N, 1, T), "T" one wave (T,) at a time
probe_seconds = 1.0                # length of the noise that is asked first, where the model takes one length only
"""


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
    rows: int | None = None
    """The most waves that it takes at once, or None for any number."""
    length: Size | None = None
    """What lengths it takes, in samples, where that is known."""
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
            output: what the K numbers are: "logits", "log-probabilities", "probabilities", "decision values", or, where
                several labels may be right at once, "tag logits" or "tag probabilities".
            input: "NT", "N1T" where the module wants waves (N, 1, T), or "T" where it takes one wave (T,) and gives
                (K,).
            device: "cpu" or "cuda".
            probe_seconds: length of the noise that the module is asked first.

        Raises:
            InputError: the module does not answer a second of noise with one finite number a label, or an argument
                makes no sense.
        """
        fault = check_labels(list(labels)) or word_fault("output", output, KINDS) or word_fault("input", input, INPUTS)
        if fault:
            raise InputError(f"{name}: {fault}")
        source = f"{type(module).__module__}.{type(module).__qualname__}"
        module = copy.deepcopy(module)
        print_of = fingerprint(module, source, labels, sample_rate, output, input)
        victim = cls(name, tuple(labels), sample_rate, module, output, input, device_of(device), print_of)
        victim = replace(victim, probe_seconds=probe_seconds, rows=1 if input == "T" else None)
        settled = settled_of(victim)
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

    @property
    def about_length(self) -> tuple[str, ...]:
        """Those of its warnings that windows around it mend."""
        if self.length is None or self.length.only is None:
            return ()
        return (length_note(self.length, self.sample_rate),)

    @property
    def at_once(self) -> int:
        """How many clips are worth asking at once."""
        return TOGETHER if self.rows is None else min(self.rows, TOGETHER)

    def _ask(self, wave: Tensor) -> Tensor:
        if self.length is not None and not self.length.takes(wave.shape[-1]):
            raise VictimError(
                f"the victim {self.name} takes waves of {self.length} samples at {self.sample_rate} Hz, and one of "
                f'{wave.shape[-1]} came; a card of kind "windowed" around it asks about any sound, window by window'
            )
        heard = wave.to(self.device, self.dtype)
        parts = torch.split(heard, self.rows or max(1, len(heard)))
        try:
            with redirect_stdout(sys.stderr):  # standard output is the caller's
                raw = [self._called(part) for part in parts]
        except Exception as reason:
            died = dead_on(self.name, wave, self.sample_rate, self.probe_seconds)
            raise VictimError(f"{died}: {told(reason)}") from reason
        odd = next((one for one in raw if not isinstance(one, Tensor)), None)
        if odd is not None:
            raise VictimError(
                f"the victim {self.name} answered a {type(odd).__name__}; a tensor (N, {len(self.labels)}) was expected"
            )
        if len(raw) == 1:
            return checked(raw[0], len(wave), self.labels, self.name).to(wave.device)
        each = [checked(one, len(part), self.labels, self.name) for one, part in zip(raw, parts, strict=True)]
        return torch.cat(each).to(wave.device)

    def _called(self, part: Tensor) -> Any:
        """Call the module; with one wave as it wants it, or with several."""
        if self.input != "T":
            return self.module(part[:, None] if self.input == "N1T" else part)
        answer = self.module(part[0])
        return answer[None] if isinstance(answer, Tensor) else answer
