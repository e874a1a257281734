"""Adversarial training: a classifier is taught what our own attack makes of its training clips.

Madry et al. 2018, https://arxiv.org/abs/1706.06083: train on the worst that can be found within a limit. Here the limit
of each clip is drawn from several strengths, so that the answer holds close by as well as far off; the attack is our
projected gradient ascent, untargeted, through the whole chain from the wave.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.attacks.pgd import PGD
from subterfuge.audio import Clip
from subterfuge.campaign.effort import has_slope
from subterfuge.campaign.pool import each, victim_of
from subterfuge.errors import ClipError, InputError
from subterfuge.oracle import BudgetSpent, Oracle, dice
from subterfuge.threat import LeastSNR, Threat, Untargeted
from subterfuge.training.cnn import Adversary
from subterfuge.training.examples import Dataset
from subterfuge.victim import Gives, Victim

STRENGTHS_DB = (50.0, 45.0, 40.0, 35.0, 30.0)
"""Signal to noise of what is learned, where none are named."""
STEPS = 12
"""Gradients for each clip in each round."""
AT_ONCE = 8
"""Clips in one search."""


def worst_within(
    victim: Victim, waves: Tensor, classes: Tensor, snr_db: float, die: Sequence[torch.Generator], steps: int = STEPS
) -> Tensor:
    """Give what is worst of waves (N, T), of classes (N,), within an SNR: the same shape. Each row by itself.

    A row that the victim answers wrongly as it is goes further the wrong way.
    """
    threat = Threat(Untargeted(), LeastSNR(snr_db))
    oracle = Oracle(victim, threat, waves, classes, seeks="margin")
    oracle.needed[:] = float("inf")  # never won: the largest margin is wanted
    with contextlib.suppress(BudgetSpent):
        PGD(steps=steps, starts=1, stride=0.4)(oracle, waves, die)
    worst: Tensor = (waves + oracle.best).clamp(-1, 1)
    return worst


def hard_features(
    card: Path,
    data: Dataset,
    places: Sequence[int],
    features: Callable[[Tensor, int], Tensor],
    *,
    strengths_db: Sequence[float] = STRENGTHS_DB,
    steps: int = STEPS,
    seed: int = 0,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.str_]]:
    """Attack training clips on a victim, and give the features (n, F), labels and recordings of what comes of them.

    Args:
        card: the victim's; its twin is attacked, so an attack knows of every front end before it.
        data: the set.
        places: of the training clips.
        features: waves (N, T) at a rate in Hz to features (N, F), with whatever stands before them.
        strengths_db: signal to noise, one of them drawn for each clip.
        steps: gradients for each clip.
        seed: of the draws.
        jobs: processes.
        progress: told how many clips of how many are done.

    Raises:
        InputError: the victim has no gradients, or no clip can be read.
    """
    victim = victim_of(card, False)
    if not has_slope(victim):
        raise InputError(
            f"adversarial training needs a victim with gradients, and {victim.name} has none "
            f"({getattr(victim, 'no_twin', None) or 'it gives ' + victim.gives.name.lower()})"
        )
    parts: list[list[int]] = [list(places[first : first + AT_ONCE]) for first in range(0, len(places), AT_ONCE)]
    work = partial(_hard_part, card, data, features, tuple(strengths_db), steps, seed)
    found: dict[int, tuple[NDArray[np.float64], list[int]]] = {}
    done = 0
    for place, made in each(work, list(enumerate(parts)), jobs):
        found[place] = made
        done += len(parts[place])
        if progress is not None:
            progress(done, len(places))
    rows = [row for place in sorted(found) for row in found[place][1]]
    if not rows:
        raise InputError(f"none of the {len(places)} training clips that were to be attacked can be read")
    x = np.concatenate([found[place][0] for place in sorted(found) if found[place][1]])
    labels = np.array([data.examples[row].label for row in rows])
    return x, labels, np.array([data.examples[row].group for row in rows])


def _hard_part(
    card: Path,
    data: Dataset,
    features: Callable[[Tensor, int], Tensor],
    strengths_db: tuple[float, ...],
    steps: int,
    seed: int,
    part: tuple[int, list[int]],
) -> tuple[NDArray[np.float64], list[int]]:
    """Attack some clips, at one strength, and give their features and which of them could be read."""
    number, rows = part
    victim = victim_of(card, False)
    seen = victim if victim.gives is Gives.GRADIENTS or victim.twin is None else victim.twin
    waves: dict[int, NDArray[np.float32]] = {}
    for row in rows:
        with contextlib.suppress(ClipError):  # told of where the clean features were made
            waves[row] = Clip.read(data.examples[row].path).mono(victim.sample_rate)
    snr_db = strengths_db[int(np.random.default_rng([seed, number]).integers(len(strengths_db)))]
    made, kept = [], []
    for length in sorted({len(wave) for wave in waves.values()}):
        same = [row for row, wave in waves.items() if len(wave) == length]
        stack = torch.from_numpy(np.stack([waves[row] for row in same]))
        classes = torch.tensor([victim.labels.index(data.examples[row].label) for row in same])
        die = [_die(f"{seed}/{data.examples[row].path.name}") for row in same]
        worst = worst_within(seen, stack, classes, snr_db, die, steps)
        with torch.no_grad():
            made.append(features(worst, victim.sample_rate).double().numpy())
        kept += same
    return np.concatenate(made) if made else np.zeros((0, 0)), kept


def _die(name: str) -> torch.Generator:
    return dice(hashlib.sha256(name.encode()).hexdigest(), 1)[0]


def adversary(strengths_db: Sequence[float] = STRENGTHS_DB, steps: int = 4) -> Adversary:
    """Make what `train_cnn` calls an adversary: a few normalised gradient steps within a drawn SNR, for each batch.

    Args:
        strengths_db: signal to noise, from the last to the first: each row's is drawn evenly between these ends.
        steps: gradients for each batch; each is a quarter of the limit at four.
    """
    low, high = min(strengths_db), max(strengths_db)

    def worst(net: torch.nn.Module, waves: Tensor, classes: Tensor, die: torch.Generator) -> Tensor:
        snr_db = low + (high - low) * torch.rand(len(waves), 1, generator=die)
        most = waves.norm(dim=-1, keepdim=True) * 10 ** (-snr_db / 20)
        change = torch.randn(waves.shape, generator=die)
        change = 0.5 * most * change / change.norm(dim=-1, keepdim=True).clamp_min(1e-30)
        for _ in range(steps):
            heard = (waves + change).requires_grad_()
            loss = torch.nn.functional.cross_entropy(net(heard), classes, reduction="sum")
            slope = torch.autograd.grad(loss, heard)[0]
            change = change + 1.5 / steps * most * slope / slope.norm(dim=-1, keepdim=True).clamp_min(1e-30)
            change = change * (most / change.norm(dim=-1, keepdim=True).clamp_min(1e-30)).clamp_max(1.0)
        found: Tensor = (waves + change).clamp(-1, 1)
        return found

    return worst
