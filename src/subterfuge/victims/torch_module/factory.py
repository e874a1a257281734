"""Where the module of a card of kind ``torch`` comes from, and the factory that makes it."""

from __future__ import annotations

import json

import torch
from torch import nn

from subterfuge.victims._code import find_function, told
from subterfuge.victims._weights import load_weights
from subterfuge.victims.card import Card, fingerprint_of


def source_fault(card: Card) -> str | None:
    """Say what is wrong with the keys that tell where the module comes from."""
    factory = [key for key in ("arguments", "weights", "files") if card.get(key)]
    if (card.get("module") is None) == (card.get("program") is None):
        has = "neither module nor program" if card.get("module") is None else "both module and program"
        return (
            f'has {has}; exactly one was expected: module = "FILE.py:FACTORY", or program = "FILE", which '
            "torch.export.save or torch.jit.save wrote"
        )
    if card.get("program") is not None and factory:
        return f"{' and '.join(factory)} belong to a module, and the card names a program, which holds all of its own"
    return None


def built(card: Card) -> tuple[nn.Module, str]:
    """Run the code of the factory that a card names; give its module, with its weights, and what tells the code.

    Raises:
        CardError: no such code or weights, code that died, weights that do not fit, or something else than a module.
    """
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
    code = fingerprint_of(*(part for source in found.sources for part in source))
    return module, code + json.dumps([card.get("module"), arguments], sort_keys=True, default=str)
