"""A sound that is to be added to any clip: where it begins, how loud it is there, and what a file makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.errors import ThreatError
from subterfuge.hearing.levels import snr_db
from subterfuge.victim import Victim

SLACK_DB = 0.05
"""By how much more than asked a mixed sound may lie below a clip."""
ROUNDS = 10
"""Most scales that are tried for one clip, whose file rounds the change."""
TOGETHER = 16
"""Sounds that are asked about at once of a victim that does not say how many are worth it (`at_once`)."""
TOGETHER_SAMPLES = 2**22
"""Most samples of them all: of long sounds fewer are asked at once, since a victim may need a thousand times that."""


@dataclass(frozen=True, kw_only=True)
class Mix:
    """How loud the sound is on a clip: so far below each clip, or the same on all."""

    snr_db: float | None = None
    """As a player would mix it by ear: on every clip, the sound lies so many dB below it."""
    level_dbfs: float | None = None
    """As a loudspeaker in the room would: root mean square in dB of full scale, whatever the clip."""

    def __post_init__(self) -> None:
        if (self.snr_db is None) == (self.level_dbfs is None):
            raise ThreatError(
                "a universal sound lies so far below every clip (--limit snr=20) or has one level on all of them "
                "(--level -50); give one of the two"
            )
        if self.snr_db is not None and not -20 <= self.snr_db <= 100:
            raise ThreatError(f"snr={self.snr_db:g}: decibels between -20 and 100 were expected, such as snr=20")
        if self.level_dbfs is not None and not -120 <= self.level_dbfs <= 0:
            raise ThreatError(
                f"level {self.level_dbfs:g}: decibels of full scale from -120 to 0 were expected, such as -50"
            )

    def __str__(self) -> str:
        """Say it as the command line does."""
        return f"level={self.level_dbfs:g} dBFS" if self.snr_db is None else f"snr={self.snr_db:g}"

    def scaled(self, piece: Tensor, clean: Tensor, raised_db: float = 0.0) -> Tensor:
        """Give pieces (N, T) of a sound of rms 1 their level beside waves (N, T), or `raised_db` above it."""
        if self.level_dbfs is not None:
            return piece * 10 ** ((self.level_dbfs + raised_db) / 20)
        assert self.snr_db is not None
        size = clean.norm(dim=-1, keepdim=True) * 10 ** ((raised_db - self.snr_db) / 20)
        scaled: Tensor = piece * (size / piece.norm(dim=-1, keepdim=True).clamp_min(1e-30))
        return scaled


def piece_of(sound: Tensor, begins: int, length: int) -> Tensor:
    """Give `length` samples of a sound (P,) that is repeated without end, from its sample `begins` on."""
    turned = torch.roll(sound, -begins)
    return turned.repeat(-(-length // len(sound)))[:length]


def level_of(sound: Tensor) -> Tensor:
    """Bring a sound (P,) to a root mean square of 1."""
    loud: Tensor = sound / sound.square().mean().sqrt().clamp_min(1e-30)
    return loud


def mixed(clip: Clip, clean: Tensor, piece: Tensor, mix: Mix, rate: int) -> tuple[Clip, float]:
    """Add a piece (T,) of a sound of rms 1 to a clip as its file will hold it; give that, and the SNR as heard.

    Where the mix says so many dB below the clip, what a victim at `rate` Hz hears of the change lies at least that far
    below what it hears of the clip, and less than `SLACK_DB` further, however file and resampling change it; where the
    steps of the file are too coarse for that, further, up to no change at all.

    Args:
        clip: to add to.
        clean: the clip as heard at `rate` Hz, shape (T,).
        piece: to add, shape (T,).
        mix: how loud.
        rate: in Hz.
    """
    wanted, before = mix.snr_db, clean.numpy()
    change: NDArray[np.float32] = mix.scaled(piece[None], clean[None])[0].numpy()
    if wanted is None:
        changed = clip.add(change, rate)
        return changed, snr_db(before, changed.mono(rate))
    best, nearest, scale, low, high = clip, math.inf, 1.0, 0.0, math.inf
    for _ in range(ROUNDS):
        changed = clip.add(change * np.float32(scale), rate)
        heard = snr_db(before, changed.mono(rate))
        if wanted <= heard < nearest:
            best, nearest = changed, heard
        if wanted <= heard <= wanted + SLACK_DB:
            break
        low, high = (low, scale) if heard < wanted else (scale, high)
        step = scale * 10 ** ((heard - wanted - SLACK_DB / 2) / 20) if heard < math.inf else 2 * scale
        scale = step if low < step < high else math.sqrt(max(low, 0.5 * min(scale, high)) * min(high, 2 * scale))
    return best, nearest


def together(victim: Victim, waves: Tensor) -> int:
    """Say about how many of some waves (N, T) to ask a victim at once."""
    return max(1, min(getattr(victim, "at_once", TOGETHER), TOGETHER_SAMPLES // waves.shape[-1]))
