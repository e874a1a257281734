"""What smoothing proves beside what attacks reach: the first may never be more than the second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from subterfuge.audio import Clip
from subterfuge.campaign.cases import Case
from subterfuge.harden.memory import Memory, key_of, stamp
from subterfuge.harden.strength import Strength
from subterfuge.victims.smoothed import SmoothedVictim, certify

N0, N, ALPHA = 50, 500, 0.001
"""Cohen, Rosenfeld, Kolter 2019, procedure CERTIFY."""


def certified(
    victim: SmoothedVictim,
    cases: Sequence[Case],
    strength: Strength,
    most: int,
    memory: Memory,
    tell: Callable[[int, int], None] = lambda _, __: None,
) -> dict[str, Any]:
    """Prove radii of some clips, and hold each against the quietest change that turned that clip.

    What is told is how many noisy versions of how many were asked about.

    Returns:
        For each clip label, radius (full scale times root of samples) and its SNR in dB, the highest SNR that an attack
        needed, and whether the proof and the attack contradict each other (`broken`), which would be a mistake of ours.
    """
    clips = []
    some = list({case.path: case for case in reversed(cases)}.values())[::-1][:most]
    whole = len(some) * (N0 + N)
    for done, case in enumerate(some, 1):
        key = key_of("certified", victim.fingerprint, case.path, stamp(case.path), N0, N, ALPHA)
        known = memory.get(key)
        if known is None:
            wave = torch.from_numpy(Clip.read(case.path).mono(victim.sample_rate))
            so_far = partial(_told, tell, (done - 1) * (N0 + N), whole)
            proof = certify(victim, wave, n0=N0, n=N, alpha=ALPHA, progress=so_far)
            known = {"label": proof.label, "radius_l2": proof.radius_l2, "p_lower": proof.p_lower}
            known["snr_db"] = None if proof.label is None else proof.snr_db
            memory.keep(key, known)
        reached = [
            attempt.snr_db
            for which, one in zip(strength.cases, strength.faced, strict=True)
            for attempt in one.attempts.values()
            if which.path == case.path and attempt.won and not attempt.already
            and attempt.snr_db is not None and one.answer == known["label"]
        ]  # fmt: skip
        highest = max(reached, default=None)
        broken = highest is not None and known["snr_db"] is not None and highest > known["snr_db"]
        clips.append({"clip": case.path.name, **known, "attack_snr_db": highest, "broken": broken})
        tell(done * (N0 + N), whole)
    return {"n0": N0, "n": N, "alpha": ALPHA, "sd": victim.sd, "clips": clips,
            "broken": sum(one["broken"] for one in clips)}  # fmt: skip


def _told(tell: Callable[[int, int], None], before: int, whole: int, asked: int) -> None:
    tell(before + asked, whole)
