"""The control: what noise does that knows nothing. An attack is worth what it gains over that."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.attacks.noise import levels_db, same_spectrum, white
from subterfuge.audio import Clip
from subterfuge.driver.judge import Judged, ask
from subterfuge.oracle import dice
from subterfuge.threat import Threat
from subterfuge.victim import Victim


def control_of(
    clip: Clip,
    victim: Victim,
    threat: Threat,
    judged: Judged,
    wave: NDArray[np.float32],
    focus: int,
    seed: int,
    draws: int,
) -> dict[str, Any]:
    """Ask the true victim about noise as loud and of the same spectrum, and about white noise, rising."""
    die = dice(f"control/{seed}/{clip.fingerprint}", 1)[0]
    clean, rate = torch.from_numpy(wave), victim.sample_rate
    change = torch.from_numpy(judged.wave) - clean
    queries = 0

    def wins(noise: Tensor) -> bool:
        nonlocal queries
        queries += 1
        noisy = clip.add(noise.numpy(), rate).mono(rate)
        return ask(victim, threat, torch.from_numpy(noisy)[None], focus).reached

    hits = sum(wins(same_spectrum(change, die)) for _ in range(draws))
    level: float | None = None
    for db in levels_db(70, 0, 2):
        noise = white(clean, die)
        if wins(noise / noise.norm() * clean.norm() * 10 ** (-db / 20)):
            level = float(db)
            break
    return {
        "same_level_and_spectrum": {"hits": hits, "draws": draws},
        "white_noise_snr_db": level,
        "queries": queries,
    }
