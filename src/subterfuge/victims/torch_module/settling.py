"""A torch module is put into place: asked about noise once, and held fast by a hash."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from subterfuge.errors import VictimError, nearest
from subterfuge.victim import Gives
from subterfuge.victims._answers import doubt_of, fault_of, noise
from subterfuge.victims._code import told
from subterfuge.victims.card import fingerprint_of
from subterfuge.victims.torch_module.program import ONE_BY_ONE

if TYPE_CHECKING:
    from subterfuge.victims.torch_module import TorchVictim


def settled_of(victim: TorchVictim) -> TorchVictim | str:
    """Put a victim's module into place and ask it once; give a sentence if its answer is not one."""
    victim.module.to(victim.device).eval()
    for weights in victim.module.parameters():
        weights.requires_grad_(False)
    wave = noise(victim.sample_rate, victim.probe_seconds).requires_grad_()
    try:
        scores = victim.scores(wave)
    except VictimError as reason:
        return (
            f"asked {victim.probe_seconds:g} s of noise, {reason}. A module that takes one length only needs "
            "probe_seconds = that length"
        )
    with torch.no_grad():
        raw = victim._ask(wave.detach())
        fault = fault_of(raw, victim.output)
        doubt = doubt_of(raw, victim.output, victim._ask, victim.sample_rate, victim.probe_seconds)
    if fault:
        return fault
    notes = victim.warnings if doubt is None else (*victim.warnings, doubt)
    words = "its answers are cut off from its input (is it under no_grad?), so there are no gradients"
    if scores.requires_grad:
        try:
            torch.autograd.grad(scores.sum(), wave)
            return replace(victim, warnings=notes)
        except RuntimeError as reason:
            words = f"it has no gradients: {told(reason)}"
    return replace(victim, gives=Gives.SCORES, warnings=(*notes, words))


def one_by_one(victim: TorchVictim) -> TorchVictim:
    """Ask a program about two waves at once; where it does not answer as it does to each, let it have one at a time."""
    two = noise(victim.sample_rate, victim.probe_seconds, rows=2)
    with torch.no_grad():
        alone = torch.cat([victim._ask(wave[None]) for wave in two])
        near = 1e-3 * float(alone.max() - alone.min()) + 1e-6 * float(alone.abs().max())
        try:
            if float((victim._ask(two) - alone).abs().max()) <= near:
                return victim
        except VictimError:
            pass
    return replace(victim, rows=1, warnings=(*victim.warnings, ONE_BY_ONE))


def word_fault(key: str, value: str, known: Any) -> str | None:
    """Say in a sentence what is wrong with a word on a card, or give None."""
    return None if value in known else f'{key} = "{value}"; {nearest(value, known)}'


def fingerprint(
    module: nn.Module, code: str, labels: tuple[str, ...] | list[str], rate: int, output: str, input: str
) -> str:
    """Give the hash of a module's weights, of where its code comes from, and of the rest that its answer depends on."""
    weights = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        weights.update(f"{key} ".encode())
        if isinstance(value, Tensor):
            plain = value.detach().cpu().contiguous()
            weights.update(f"{plain.dtype} {tuple(plain.shape)} ".encode())
            weights.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    return fingerprint_of("torch", code, weights.digest(), *labels, str(rate), output, input)
