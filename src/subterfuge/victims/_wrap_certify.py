"""How far a smoothed victim's answer can be proven to hold: Cohen, Rosenfeld, Kolter (2019), procedure CERTIFY."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from subterfuge.errors import InputError
from subterfuge.victim import Victim
from subterfuge.victims import _wrap_sounds as sounds


@dataclass(frozen=True)
class Certificate:
    """What was proven of one sound."""

    label: str | None
    """What noisy versions are taken for, more than half of them; None where that could not be shown."""
    radius_l2: float
    """No change of the wave whose Euclidean length, in full scale, is below this changes that; 0 without a label."""
    p_lower: float
    """At least this share of all noisy versions has the label, with a confidence of 1 - alpha."""
    snr_db: float
    """The SNR of a change as long as the radius: what lies deeper below the sound is harmless. Infinite for none."""


class Smoothed(Protocol):
    """A victim that votes on noisy versions."""

    @property
    def victim(self) -> Victim:
        """Who votes."""
        ...

    @property
    def sd(self) -> float:
        """Of the noise, in parts of full scale."""
        ...

    @property
    def seed(self) -> int:
        """Of the noise."""
        ...


def certify(
    victim: Smoothed,
    wave: Tensor,
    *,
    n0: int = 100,
    n: int = 1000,
    alpha: float = 0.001,
    progress: Callable[[int], None] | None = None,
) -> Certificate:
    """Prove within which radius a smoothed victim's answer to a sound holds.

    The label is guessed from `n0` noisy versions; of `n` others, the share that has it is bounded from below by Clopper
    and Pearson (1934). Within the radius sd * Phi^-1(p_lower) it is the answer to more than half of all noisy versions
    (theorem 1), with a confidence of 1 - `alpha` over the draws. That speaks of a vote of endlessly many; the victim's
    own, of some draws, may stumble near the edge, where it is nearly a tie. The noise here is another than the vote's.

    Args:
        victim: smoothed.
        wave: one sound, (T,) or (1, T), at the victim's rate.
        n0: noisy versions to guess from.
        n: noisy versions to count.
        alpha: how often the proof may be wrong.
        progress: called with the number of versions asked so far.

    Raises:
        InputError: the victim is not smoothed, a number makes no sense, or there is more than one sound.
        VictimError: the victim died, or answered nonsense.
    """
    from scipy.special import ndtri
    from scipy.stats import binomtest

    if not (hasattr(victim, "sd") and hasattr(victim, "victim")):
        raise InputError(f"{getattr(victim, 'name', victim)} is not smoothed; only what adds noise has such a radius")
    if min(n0, n) < 1 or not 0 < alpha < 1:
        raise InputError(
            f"n0 = {n0}, n = {n}, alpha = {alpha:g}; counts from 1 and a chance between 0 and 1 were expected"
        )
    row = sounds.plain(wave).reshape(-1)
    if wave.numel() != wave.shape[-1]:
        raise InputError(f"waves of shape {tuple(wave.shape)}: one sound was expected, (T,) or (1, T)")
    (die,) = sounds.dice_of(row[None], f"certify/{victim.seed}")
    guess = int(counts(victim.victim, row, victim.sd, die, n0, progress).argmax())
    told = None if progress is None else lambda asked: progress(n0 + asked)
    found = int(counts(victim.victim, row, victim.sd, die, n, told)[guess])
    low = float(binomtest(found, n, alternative="greater").proportion_ci(confidence_level=1 - alpha).low)
    if low <= 0.5:
        return Certificate(None, 0.0, low, math.inf)
    radius = victim.sd * float(ndtri(low))
    size = float(row.double().norm())
    snr_db = 20 * math.log10(size / radius) if size > 0 else -math.inf
    return Certificate(victim.victim.labels[guess], radius, low, snr_db)


def counts(
    victim: Victim,
    row: Tensor,
    sd: float,
    die: torch.Generator,
    draws: int,
    progress: Callable[[int], None] | None = None,
) -> Tensor:
    """Count what a victim says of a sound (T,) under so many draws of white noise: float64 (K,)."""
    found = torch.zeros(len(victim.labels), dtype=torch.float64)
    together = max(1, min(sounds.TOGETHER, sounds.TOGETHER_SAMPLES // max(1, len(row))))
    for first in range(0, draws, together):
        some = min(together, draws - first)
        noise = torch.stack([torch.randn(len(row), generator=die) for _ in range(some)])
        with torch.no_grad():
            said = victim.decide(row + sd * noise).cpu()
        found += torch.nn.functional.one_hot(said, len(found)).sum(0)
        if progress is not None:
            progress(first + some)
    return found
