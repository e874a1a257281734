"""What the numbers are that a torch module or a Python function answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from subterfuge.errors import VictimError
from subterfuge.victim import Kind
from subterfuge.victims.card import Card

KINDS: dict[str, Kind] = {
    "logits": Kind.DECISION,
    "log-probabilities": Kind.LOG_PROBABILITY,
    "probabilities": Kind.LOG_PROBABILITY,
    "decision values": Kind.DECISION,
    "tag logits": Kind.TAGS,
    "tag probabilities": Kind.TAGS,
}
"""From `output` on a card to the kind of the victim's scores."""

SUM = 2e-2
"""How far from 1 the sum of what are said to be probabilities may be."""
SURE_SUM = 1e-3
"""How far from 1 the sum of what are not said to be probabilities may be, to look like them."""


def scores_of(raw: Tensor, output: str) -> Tensor:
    """Turn answers (N, K) into scores of the kind ``KINDS[output]``: of probabilities, their logarithms or log-odds."""
    if output == "tag probabilities":
        return log_odds_of(raw)
    return raw.clamp_min(torch.finfo(raw.dtype).tiny).log() if output == "probabilities" else raw


def log_odds_of(chances: Tensor) -> Tensor:
    """Give log(p / (1 - p)) of probabilities of any shape, finite also where they are 0 or 1 (`torch.logit`)."""
    return torch.logit(chances, eps=torch.finfo(chances.dtype).eps / 2)


def probabilities_of(raw: Tensor, output: str) -> Tensor | None:
    """Turn answers (N, K) into probabilities, or give None for decision values."""
    if output == "decision values":
        return None
    if output == "logits":
        return raw.softmax(-1)
    if output == "tag logits":
        return raw.sigmoid()
    return raw.exp() if output == "log-probabilities" else raw


def checked(raw: Tensor, rows: int, labels: Sequence[str], name: str) -> Tensor:
    """Give answers back if they are finite numbers of shape (rows, K).

    Raises:
        VictimError: they are not; the message says what was expected.
    """
    if tuple(raw.shape) != (rows, len(labels)):
        raise VictimError(
            f"the victim {name} answered {rows} clip{'s' * (rows != 1)} with numbers of shape {tuple(raw.shape)}; "
            f"({rows}, {len(labels)}) was expected, one number for each of its {len(labels)} labels"
        )
    if not raw.is_floating_point():
        raise VictimError(f"the victim {name} answered {str(raw.dtype).removeprefix('torch.')} numbers, not floats")
    wrong = int((~torch.isfinite(raw)).sum())
    if wrong:
        raise VictimError(
            f"the victim {name} answered NaN or infinite numbers ({wrong} of {raw.numel()}), where finite ones were "
            "expected"
        )
    return raw


def fault_of(raw: Tensor, output: str) -> str | None:
    """Say in a sentence what shows that answers (N, K) are not what `output` says, or give None."""
    if output == "tag probabilities":
        low, high = float(raw.min()), float(raw.max())
        if low < -SUM or high > 1 + SUM:
            return (
                f'output = "{output}", but those of a second of noise lie between {low:.3g} and {high:.3g}, where 0 to '
                '1 was expected; is it "tag logits"?'
            )
    if output not in ("probabilities", "log-probabilities"):
        return None
    chances = raw.detach().double() if output == "probabilities" else raw.detach().double().exp()
    total, least = float(chances.sum(-1)[0]), float(chances.min())
    if least < -SUM or abs(total - 1) > SUM:
        return (
            f'output = "{output}", but the probabilities of a second of noise add up to {total:.4g} '
            f'(the least is {least:.3g}); is it "logits", or "decision values"?'
        )
    return None


def asked_noise(
    card: Card,
    seconds: float,
    output: str,
    decide: Callable[[Tensor], Tensor],
    numbers: Callable[[Tensor], Tensor] | None,
    *,
    once: bool = False,
) -> str | None:
    """Ask a victim about noise, so that a mistake on its card is found before anything else is asked; give a doubt.

    Args:
        card: of the victim.
        seconds: a length that it takes.
        output: what the card says that its numbers are.
        decide: gives its answers to waves (N, T), where it gives labels only.
        numbers: gives its numbers (N, K), or None where it gives labels only.
        once: ask this one question only, for each costs.

    Raises:
        CardError: it does not answer, or not with what the card says.
    """
    wave = noise(card.sample_rate, seconds)
    try:
        if numbers is None:
            decide(wave)
            return None
        raw = numbers(wave)
        fault = fault_of(raw, output)
        if not fault:
            return doubt_of(raw, output, None if once else numbers, card.sample_rate, seconds)
    except VictimError as reason:
        raise card.fail(f"asked {seconds:g} s of noise, {reason}") from reason
    raise card.fail(fault)


def fault_of_seconds(seconds: float) -> str | None:
    """Say in a sentence what is wrong with a card's `probe_seconds`, or give None."""
    return None if 0 < seconds <= 60 else f"probe_seconds = {seconds:g}; a length above 0 and up to 60 s was expected"


def doubt_of(
    raw: Tensor, output: str, ask: Callable[[Tensor], Tensor] | None, sample_rate: int, seconds: float
) -> str | None:
    """Say in a sentence what makes one doubt that numbers are no probabilities, as `output` has it, or give None.

    Only where the answer to noise lies between 0 and 1 as a whole are other sounds asked: softer and louder noise, and
    a tone. Where none may be asked, that of noise tells only if it adds up to 1.

    Args:
        raw: what `noise` of that length was answered, (1, K).
        output: what the card says that the numbers are, one of `KINDS`.
        ask: gives such numbers for a sound (1, T); None where no more may be asked.
        sample_rate: Hz.
        seconds: a length that it takes.
    """
    if output not in ("logits", "decision values", "tag logits"):
        return None
    hiss = noise(sample_rate, seconds)
    tone = 0.5 * torch.sin(2 * torch.pi * 0.05 * torch.arange(hiss.shape[-1]))[None]
    whole = True
    for sound in (None, 0.01 * hiss, (5 * hiss).clamp(-1, 1), tone)[: 1 if ask is None else None]:
        try:
            numbers = raw if sound is None or ask is None else ask(sound)
        except VictimError:
            continue  # it took the first
        low, high = float(numbers.min()), float(numbers.max())
        if low < 0 or high > 1:
            return None
        whole = whole and float((numbers.double().sum(-1) - 1).abs().max()) <= SURE_SUM
    if whole:
        return (
            f"its numbers are taken for {output}, but all lie between 0 and 1 and add up to 1: these look like "
            'probabilities; is it output = "probabilities"?'
        )
    if ask is None:
        return None
    return (
        f"its numbers are taken for {output}, but all lie between 0 and 1: these look like probabilities that need "
        'not add up to 1; is it output = "tag probabilities"?'
    )


def two_of(raw: Tensor, output: str) -> Tensor:
    """Give numbers of two classes where a model gives one number, (N, 1), for the second of them."""
    if raw.shape[-1] != 1:
        return raw
    first = {
        "probabilities": lambda: 1 - raw,
        "log-probabilities": lambda: torch.log1p(-raw.exp().clamp_max(1 - 1e-7)),
        "decision values": lambda: -raw,
    }.get(output, lambda: torch.zeros_like(raw))()
    return torch.cat([first, raw], -1)


def lone_fault_of(raw: Tensor, output: str) -> str | None:
    """Say in a sentence why one number, (N, 1), cannot stand for two labels, or give None where it can."""
    if raw.shape[-1] != 1 or KINDS[output] is not Kind.TAGS:
        return None
    return (
        f'output = "{output}", but the model gives one number, and each label would need one of its own; for a model '
        f'of one tag use output = "{output.removeprefix("tag ")}" with two labels, the second of which is the tag'
    )


def dead_on(name: str, wave: Tensor, sample_rate: int, probe_seconds: float) -> str:
    """Begin the sentence that tells on which waves (N, T) a victim died; of short ones, with the way out."""
    rows, samples = len(wave), wave.shape[-1]
    said = f"the victim {name} died on {rows} wave{'s' * (rows != 1)} of {samples} samples"
    if samples >= round(probe_seconds * sample_rate):
        return said
    return (
        f"{said}, and it was tried with {probe_seconds:g} s ({round(probe_seconds * sample_rate)} samples) only; a "
        'card of kind "windowed" around it fills short sounds up'
    )


def noise(sample_rate: int, seconds: float, rows: int = 1) -> Tensor:
    """Give the same white noise each time, float32, 20 dB below full scale, for a first question."""
    dice = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(rows, max(1, round(sample_rate * seconds)), generator=dice).clamp(-10, 10)
