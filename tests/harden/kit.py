"""What the tests of hardening share: sounds that are loudest in one of three bands, efforts that take no time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from tests.world import LABELS, RATE

from subterfuge.attacks.quietest import Quietest
from subterfuge.campaign.cases import Case
from subterfuge.campaign.effort import Effort
from subterfuge.harden.faced import Attempt, Faced

TINY = Effort("quick", Quietest(starts=(float("inf"),), even=0, climb=100, resort=1, race=(5, 5), keep=(1,)), 60, 1)
SIGHTED = replace(TINY, doubted=0)
"""Without the black box, which is what takes most of its time."""
HZ = {"low": 500.0, "middle": 1500.0, "high": 2600.0}


def tone(path: Path, label: str, *, seed: int = 0, rate: int = RATE, seconds: float = 0.4) -> Path:
    """Write three tones, of which that of a label is a decibel or two above the others."""
    die = np.random.default_rng(seed)
    t = np.arange(round(rate * seconds)) / rate
    wave = 0.002 * die.normal(size=len(t))
    for name, hz in HZ.items():
        level = 0.2 if name == label else die.uniform(0.15, 0.17)
        wave += level * np.sin(2 * np.pi * hz * t + die.uniform(0, 0.7))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate)
    return path


def sounds(folder: Path, *, recordings: int = 6, excerpts: int = 2, rate: int = RATE) -> Path:
    """Write a folder for each band, with so many recordings of so many excerpts."""
    for place, label in enumerate(LABELS):
        for recording in range(recordings):
            for excerpt in range(1, excerpts + 1):
                name = f"[{label}]{recording:04d}__{excerpt}.wav"
                tone(folder / label / name, label, seed=100 * place + 10 * recording + excerpt, rate=rate)
    return folder


def cases(folder: Path, count: int = 3) -> tuple[Case, ...]:
    """Give so many clips, each to be taken for the next band."""
    return tuple(
        Case(place, tone(folder / f"{place}.wav", LABELS[place % 3], seed=place), LABELS[place % 3],
             LABELS[(place + 1) % 3])
        for place in range(count)
    )  # fmt: skip


def attempt(snr_db: float | None, **about: object) -> Attempt:
    """Give an attempt that won at an SNR, or, with None, lost."""
    known = {
        "won": snr_db is not None,
        "snr_db": snr_db,
        "probability": 0.5,
        "zimtohrli_mos": 4.0,
        "answer": "high" if snr_db is not None else "low",
        "queries": 10,
        "gradients": 10,
        "seconds": 1.0,
        "attack": "quietest",
        "file": None,
    }
    return Attempt(**(known | about))  # type: ignore[arg-type]


def faced(number: int = 0, *, right: bool = True, elsewhere: float | None = None, **attempts: Attempt) -> Faced:
    """Give what a victim did with a case; attempts by the names of searches, with _ for a space."""
    named = {name.replace("_", " "): one for name, one in attempts.items()}
    return Faced(number, "low" if right else "high", right, named, elsewhere)
