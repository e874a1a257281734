"""Where the search for a sound begins: noises, loud or faint, or one clip."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.driver.colours import coloured
from subterfuge.driver.heard import QUIET
from subterfuge.errors import ClipError, ThreatError
from subterfuge.oracle import dice
from subterfuge.threat.level import Level

BEGINNINGS = 100
"""Noises that are raced."""
QUIETER_DB = {"noise": (0.0, 12.0), "silence": (20.0, 40.0)}
"""How far below the level the beginnings lie, from and to; digital silence itself has no slope to climb."""


class Beginnings:
    """The sounds that are raced: noises, loud or faint, or one clip."""

    def __init__(self, source: Clip | None, name: str, rate: int, seconds: float, level: Level, key: str) -> None:
        if source is None and not 0.05 <= seconds <= 60:
            raise ThreatError(f"{seconds:g} seconds of sound: 0.05 to 60 were expected, such as 3")
        self.name = name if source is None else source.name
        self._source = None if source is None else torch.from_numpy(source.mono(rate))
        self.samples = round(seconds * rate) if self._source is None else len(self._source)
        self._rate, self._level, self._key = rate, level, key

    def check(self) -> None:
        """Refuse a clip in which nothing is left to begin with.

        Raises:
            ClipError: it is silent, or nearly so, or has nothing in the band.
        """
        if self._source is None or float(self[0].abs().max()) >= QUIET:
            return
        if float(self._source.abs().max()) < QUIET:
            why = "is silent or near-silent, as the victim hears it"
        else:
            why = f"has next to nothing between {self._level.low_hz:g} and {self._level.high_hz:g} Hz"
        raise ClipError(f"the clip {self.name} {why}, so there is nothing to climb from; use --from silence")

    def __len__(self) -> int:
        return BEGINNINGS if self._source is None else 1

    def __getitem__(self, place: int) -> Tensor:
        """Give one, shape (T,), inside the level."""
        if self._source is not None:
            wave = self._source
        else:
            die = dice(f"{self._key}/{place}", 1)[0]
            low, high = QUIETER_DB[self.name]
            down = self._level.rms_dbfs - low - (high - low) * float(torch.rand((), generator=die))
            noise = self._level.in_band(coloured(self.samples, self._rate, die)[None])[0]
            wave = noise / noise.norm().clamp_min(1e-30) * math.sqrt(self.samples) * 10 ** (down / 20)
        return self._level.project(wave[None], torch.zeros(1, self.samples))[0]


def clip_of(wave: Tensor, rate: int, name: str) -> Clip:
    return Clip.of(np.asarray(wave.cpu().numpy()), rate, name=name)
