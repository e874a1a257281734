"""The sounds that a victim under check is asked, and what it answered to each alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from subterfuge.victim import Gives, Victim

Level = Literal["ok", "warning", "failure"]

SAME = 1e-4
"""Differences of scores below this share of their spread are rounding."""
NEAR = 1e-2
"""Differences of scores above this share of their spread are a fault."""
QUIET = {"near-silence", "silence"}
"""Sounds that an attack never asks about, so that a victim may die of them."""


class Session:
    """A victim, the sounds that it is asked, and what it answered to each alone."""

    def __init__(self, victim: Victim, clips: Sequence[np.ndarray[Any, Any]], seed: int) -> None:
        self.victim = victim
        self.clips = [torch.from_numpy(np.array(clip, dtype=np.float32)).reshape(1, -1) for clip in clips]
        self.seed = seed

    @cached_property
    def made(self) -> dict[str, Tensor]:
        """Made sounds, each (1, T)."""
        rate = self.victim.sample_rate
        seconds = float(getattr(self.victim, "probe_seconds", 1.0))
        length = self.clips[0].shape[1] if self.clips else round(rate * seconds)
        dice = torch.Generator().manual_seed(self.seed)
        noise = (0.1 * torch.randn(1, length, generator=dice)).clamp(-1, 1)
        tone = 0.5 * torch.sin(2 * torch.pi * 440 / rate * torch.arange(length))[None]
        loud = {"noise": noise, "a tone": tone, "a tone in noise": 0.8 * tone + 0.1 * noise}
        return loud | {"near-silence": 1e-5 * noise, "silence": torch.zeros_like(noise)}

    @cached_property
    def every(self) -> dict[str, Tensor]:
        """Clips, then made sounds."""
        return {f"clip {place}": clip for place, clip in enumerate(self.clips, 1)} | self.made

    @cached_property
    def deaths(self) -> dict[str, str]:
        """The sounds at which the victim raises or answers no number, and what it says."""
        told = {}
        for name, wave in self.every.items():
            try:
                with torch.no_grad():
                    self.victim.decide(wave)
                    scores = self.victim.scores(wave) if self.gives_scores else None
                    chances = self.victim.probabilities(wave)
            except Exception as reason:
                told[name] = said_of(reason)
                continue
            if any(isinstance(each, Tensor) and not bool(torch.isfinite(each).all()) for each in (scores, chances)):
                told[name] = "NaN or infinite numbers"
        return told

    @cached_property
    def sounds(self) -> dict[str, Tensor]:
        """The sounds that the victim answers; all of them if there are none, so that every check tells why."""
        alive = {name: wave for name, wave in self.every.items() if name not in self.deaths}
        return alive or self.every

    @cached_property
    def said(self) -> dict[str, Tensor]:
        """What `decide` answers to each sound alone, (1,)."""
        return {name: self.victim.decide(wave) for name, wave in self.sounds.items()}

    @cached_property
    def scored(self) -> dict[str, Tensor]:
        """What `scores` gives of each sound alone."""
        with torch.no_grad():
            return {name: self.victim.scores(wave) for name, wave in self.sounds.items()}

    @cached_property
    def spread(self) -> float:
        """How far the scores of all sounds lie apart."""
        every = torch.cat([scores.flatten() for scores in self.scored.values()]).double()
        return max(float(every.max() - every.min()), 1e-12)

    @property
    def gives_scores(self) -> bool:
        return self.victim.gives >= Gives.SCORES

    @property
    def searched(self) -> Victim | None:
        """What a white-box attack climbs on."""
        return self.victim if self.victim.gives >= Gives.GRADIENTS else self.victim.twin


def probabilities_of(victim: Victim, wave: Tensor) -> Tensor | None:
    with torch.no_grad():
        return victim.probabilities(wave)


def said_of(reason: Exception) -> str:
    text = " ".join(str(reason).split())
    return f"{type(reason).__name__}: {text:.400}"


def shown(answer: object) -> str:
    if isinstance(answer, Tensor):
        return f"a {str(answer.dtype).removeprefix('torch.')} tensor of shape {tuple(answer.shape)}"
    return f"a {type(answer).__name__}"
