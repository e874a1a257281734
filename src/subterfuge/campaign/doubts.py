"""The audit doubts itself: signs that a white box found nothing because it was looking at the wrong slopes.

A defence that hides its gradients looks strong to one who follows them. It betrays itself: elsewhere an attack that
sees less does better. Athalye, Carlini, Wagner 2018 (https://arxiv.org/abs/1802.00420, section 3.1), and the flags of
AutoAttack (Croce and Hein 2020, https://arxiv.org/abs/2003.01690).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from subterfuge.audio import Clip
from subterfuge.campaign.cases import Case
from subterfuge.campaign.effort import has_slope
from subterfuge.oracle import Oracle
from subterfuge.threat import Targeted, Threat
from subterfuge.victim import Gives, Victim

BETTER_DB = 1.0
"""By how much an attack that sees less must do better before it counts as better."""
FLAT = 1e-12
"""Slope of the margin at which it counts as none: what it would change if followed as far as the sound is loud."""
STIR = 2.0**-20
"""A change below the last bit of a 20-bit file: what a victim answers should not depend on it."""


@dataclass(frozen=True)
class Doubt:
    """One sign."""

    sign: str
    """flat slopes, random answers, black box, found elsewhere, twin, or lost without a limit."""
    hides: bool
    """Whether it says that gradients are hidden; a random victim is only harder to measure."""
    words: str
    """For a reader, with the numbers."""


def look(victim: Victim, cases: Sequence[Case], most: int = 8) -> list[Doubt]:
    """Ask a victim a few things that need no search: has it slopes, is it random, does its twin answer as it does?

    Args:
        victim: the true one.
        cases: clips to ask about.
        most: how many clips.

    Raises:
        VictimError: the victim died.
    """
    seen = victim if victim.gives is Gives.GRADIENTS or victim.twin is None else victim.twin
    some = list({case.path: case for case in cases}.values())[:most]
    flat = strange = moved = 0
    for case in some:
        clean = torch.from_numpy(Clip.read(case.path).mono(victim.sample_rate))[None]
        die = torch.Generator().manual_seed(case.number)
        stirred = clean + STIR * torch.randn(clean.shape, generator=die)
        said = victim.decide(clean)[0]
        moved += int(said != victim.decide(stirred)[0])
        strange += int(said != seen.decide(clean)[0])
        if has_slope(victim):
            about = torch.tensor([victim.labels.index(case.target)])
            _, slope = Oracle(seen, Threat(Targeted(case.target)), clean, about).gradient(torch.zeros_like(clean))
            flat += int(float(slope.norm() * clean.norm()) < FLAT)
    doubts = []
    if flat:
        doubts.append(
            Doubt("flat slopes", True, f"the slope is 0 at {flat} of {len(some)} clips: there is nothing to follow")
        )
    if moved:
        doubts.append(
            Doubt(
                "random answers",
                False,
                f"{moved} of {len(some)} clips get another answer for a change below the 20th bit: the victim draws "
                "anew for every sound, so a win may not repeat",
            )
        )
    if strange:
        doubts.append(
            Doubt("twin", True, f"what is searched on answers {strange} of {len(some)} clips otherwise than the victim")
        )
    return doubts


def verdict(doubts: Sequence[Doubt]) -> str:
    """Say in one sentence what the doubts come to."""
    hiding = [one for one in doubts if one.hides]
    if hiding:
        signs = ", ".join(one.sign for one in hiding)
        return f"do not trust these figures: the defence is hiding its gradients, or the search is too weak ({signs})"
    if doubts:
        return "no sign of hidden gradients; the victim is random, so figures vary"
    return "no sign of hidden gradients"
