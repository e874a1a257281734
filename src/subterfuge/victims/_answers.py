"""What the numbers are that a torch module or a Python function answers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from subterfuge.errors import VictimError
from subterfuge.victim import Kind

KINDS: dict[str, Kind] = {
    "logits": Kind.DECISION,
    "log-probabilities": Kind.LOG_PROBABILITY,
    "probabilities": Kind.LOG_PROBABILITY,
    "decision values": Kind.DECISION,
    "tag logits": Kind.TAGS,
    "tag probabilities": Kind.TAGS,
}
"""From `output` on a card to the kind of the victim's scores."""

SUM = 1e-2
"""How far from 1 the sum of what are said to be probabilities may be."""


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


def noise(sample_rate: int, seconds: float, rows: int = 1) -> Tensor:
    """Give the same white noise each time, float32, 20 dB below full scale, for a first question."""
    dice = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(rows, max(1, round(sample_rate * seconds)), generator=dice).clamp(-10, 10)
