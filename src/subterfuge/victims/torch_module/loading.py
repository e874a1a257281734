"""From a card of kind ``torch`` to a victim."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from subterfuge.victims._answers import KINDS, fault_of_seconds
from subterfuge.victims._device import device_of
from subterfuge.victims.card import Card, fingerprint_of
from subterfuge.victims.torch_module.factory import built, source_fault
from subterfuge.victims.torch_module.program import load_program
from subterfuge.victims.torch_module.settling import fingerprint, one_by_one, settled_of, word_fault

if TYPE_CHECKING:
    from subterfuge.victims.torch_module import TorchVictim

INPUTS = ("NT", "N1T", "T")


def load(card: Card, *, trust_pickle: bool = False, device: str = "cpu") -> TorchVictim:
    """Load the module of a card of kind ``torch``. Where it names a factory, this runs its code.

    The factory is called with a random state of its own, so a module without weights is the same each time.

    Args:
        card: the card.
        trust_pickle: has no meaning here; weights are safetensors, and no pickle in a program is run.
        device: "cpu" or "cuda".

    Raises:
        CardError: no such code, weights or program, weights that do not fit, or a module that does not answer noise
            with one finite number a label.
        InputError: the device is not there.
    """
    from subterfuge.victims.torch_module import TorchVictim  # it imports this file

    output, input = card.get("output", "logits"), card.get("input", "NT")
    fault = word_fault("output", output, KINDS) or word_fault("input", input, INPUTS) or source_fault(card)
    seconds = float(card.get("probe_seconds", 1.0))
    fault = fault_of_seconds(seconds) or fault
    if fault:
        raise card.fail(fault)
    where, labels = device_of(device), card.labels or ()
    rows = 1 if input == "T" else None
    if card.get("program") is None:
        module, source = built(card)
        print_of = fingerprint(module, source, labels, card.sample_rate, output, input)
        victim = TorchVictim(card.name, labels, card.sample_rate, module, output, input, where, print_of)
        victim = replace(victim, probe_seconds=seconds, rows=rows)
    else:
        program = load_program(card, where, input)
        print_of = fingerprint_of("torch program", program.sha256, *labels, str(card.sample_rate), output, input)
        victim = TorchVictim(card.name, labels, card.sample_rate, program.module, output, input, where, print_of)
        rows = rows if program.rows is None else program.rows
        seconds, notes = program.probe_seconds, program.warnings
        victim = replace(victim, probe_seconds=seconds, rows=rows, length=program.length, warnings=notes)
    settled = settled_of(victim)
    if isinstance(settled, str):
        raise card.fail(settled)
    return settled if card.get("program") is None or settled.rows else one_by_one(settled)
