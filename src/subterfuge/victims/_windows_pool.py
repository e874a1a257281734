"""How the answers to the windows of a sound become one."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, one_hot

from subterfuge.errors import VictimError
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims import _wrap_sounds as sounds
from subterfuge.victims._answers import noise
from subterfuge.victims._windows import Ask

POOLS = ("mean", "max", "scores")
"""The mean of probabilities, the largest of each class, the mean of scores."""


def pools_chances(victim: Victim, pool: str, seconds: float) -> bool:
    """Say whether what is pooled of a victim are probabilities of classes.

    Args:
        victim: it may be asked about noise once.
        pool: one of `POOLS`.
        seconds: a length that it takes.
    """
    inner, output = victim.kind, _output(victim)
    if victim.gives == Gives.LABELS or inner is Kind.TAGS or (pool != "mean" and inner is Kind.DECISION):
        return False
    if inner is Kind.LOG_PROBABILITY:
        return pool != "max"
    if pool == "scores" or output == "decision values":
        return False
    if output == "logits":
        return True
    with torch.no_grad():
        return victim.probabilities(noise(victim.sample_rate, seconds)) is not None


def kind_of(victim: Victim, pool: str, *, chances: bool) -> Kind:
    """Give what comes out: log-probabilities, or what the victim gives; of "max" decision values, or of tags.

    Args:
        victim: what is asked about windows.
        pool: one of `POOLS`.
        chances: what `pools_chances` says.
    """
    if pool == "max":
        return Kind.TAGS if victim.kind is Kind.TAGS else Kind.DECISION
    return Kind.LOG_PROBABILITY if chances else victim.kind


def evidence_of(victim: Victim, scores: Ask, *, chances: bool, plain: bool = True) -> Ask:
    """Give the function from windows (W, L) to what is pooled of them: scores, or logarithms of probabilities.

    Args:
        victim: what is asked about windows.
        scores: gives its scores of them.
        chances: what `pools_chances` says.
        plain: whether its own probabilities count; else they are the soft votes of the scores.
    """
    inner = victim.kind
    if not chances or inner is Kind.LOG_PROBABILITY:
        return lambda windows: scores(windows).double()
    if _output(victim) == "logits" or not plain:
        return lambda windows: sounds.soft_votes(scores(windows).double(), inner)

    def logs(windows: Tensor) -> Tensor:
        found = victim.probabilities(windows)
        if found is None:
            raise VictimError(f"the victim {victim.name} gave no probabilities, and it had some before")
        return sounds.log(found.double())

    return logs


def votes_of(victim: Victim) -> Ask:
    """Give the function from windows (W, L) to one vote each, float64 (W, K)."""
    return lambda windows: one_hot(victim.decide(windows), len(victim.labels)).double()


def pooled(each: Tensor, pool: str, kind: Kind) -> Tensor:
    """Pool what was found of each window, (N, W, K) or (N, W, K, K), into one.

    Args:
        each: scores, or logarithms of probabilities.
        pool: one of `POOLS`.
        kind: what comes out.
    """
    if each.shape[1] == 1:
        return each[:, 0]
    if pool == "max":
        return each.amax(1)
    if pool == "mean" and kind is Kind.TAGS:
        return logsigmoid(each).logsumexp(1) - logsigmoid(-each).logsumexp(1)
    if pool == "mean" and kind is Kind.LOG_PROBABILITY:
        return each.logsumexp(1) - math.log(each.shape[1])
    return each.mean(1).log_softmax(-1) if kind is Kind.LOG_PROBABILITY else each.mean(1)


def _output(victim: Victim) -> str | None:
    return getattr(victim, "output", None)
