"""Wins that survive: what the search hears of a change after the world has had its way, and what the judge asks then.

Each transform is heard through its differentiable stand-in, a codec through the real one on all channels of the clip.
One whose value is drawn (``gain``, ``shift``) is heard at a new draw each time and at both its ends, and the file must
survive several draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.audio.rates import fold, lift, to_rate
from subterfuge.driver.judge import ask
from subterfuge.errors import TransformError
from subterfuge.oracle import dice
from subterfuge.oracle.views import View
from subterfuge.threat import Threat
from subterfuge.transforms import MP3, Gain, Opus, Shift, Transform, Vorbis
from subterfuge.transforms.kept import through_kept
from subterfuge.transforms.level import LOUDEST_DB, SOFTEST_DB
from subterfuge.transforms.moments import HALF_FRAME
from subterfuge.victim import Victim

DRAWS = 5
"""Draws that a file must survive of what is drawn: `DRAWN`, and what was named without its value."""
DRAWN = ("noise", "dither")
SAFE_DB = 0.2
"""Room that a gain leaves below full scale, for what the attack adds to the peak."""


class Robust:
    """Transforms that a win on one clip must survive.

    Args:
        clip: as its file has it.
        rate: in Hz, at which the victim hears it.
        transforms: as the user named them.
        seed: of what is drawn.
        announce: told what cannot be done to this clip, which then is not asked for.

    Raises:
        TransformError: none of them can be done.
    """

    def __init__(
        self,
        clip: Clip,
        rate: int,
        transforms: Sequence[Transform],
        seed: int,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._clip, self._rate, self._seed = clip, rate, seed
        self.transforms: list[Transform] = []
        refused = []
        for one in dict.fromkeys(each for named in transforms for each in _ends(named, clip)):
            why = one.why_not(clip.samples, clip.sample_rate)
            if why is None:
                self.transforms.append(one)
            else:
                refused.append(f"{one.name}: {why}")
                announce(f"not asked to survive {one.name}: {why}")
        if not self.transforms:
            raise TransformError(
                f"{clip.name} can be put through none of what it is to survive ({'; '.join(refused)}); name others, "
                "see `subterfuge transforms`"
            )
        self.queries = 0
        """Sounds that the true victim was asked about for it."""
        self.heard_as: list[str] = []
        """Names of what the search hears; what means nothing at the victim's rate is left to the judge."""

    def views(self) -> list[View]:
        """Give what the search hears: for each transform a map from waves (1, T) at the victim's rate to the same."""
        die = dice(f"robust/{self._seed}/{self._clip.fingerprint}", 1)[0]
        views, self.heard_as = [], []
        silent = torch.zeros(1, len(self._clip.mono(self._rate)))
        for one in self.transforms:
            view = self._view(one, die)
            try:
                view(silent)
            except TransformError:  # a filter above what the victim hears, say
                continue
            views.append(view)
            self.heard_as.append(one.name)
        return views

    def deaths(self, file: Clip, victim: Victim, threat: Threat, focus: int) -> list[str]:
        """Put a file through the real transforms and ask the true victim after each; give those that the win dies of.

        Raises:
            VictimError: the victim died.
        """
        dead = []
        for one in self.transforms:
            possible = one.why_not(file.samples, file.sample_rate) is None
            draws = DRAWS if one.word in DRAWN or one.name == one.word else 1
            every = dice(f"survive/{self._seed}/{self._clip.fingerprint}/{one.name}", draws)
            if not possible or not all(self._reached(one, file, victim, threat, focus, die) for die in every):
                dead.append(one.name)
        return dead

    def _reached(
        self, one: Transform, file: Clip, victim: Victim, threat: Threat, focus: int, die: torch.Generator
    ) -> bool:
        self.queries += 1
        return ask(victim, threat, self.heard(one, file.samples, die), focus).reached

    def heard(self, one: Transform, samples: np.ndarray, die: torch.Generator) -> Tensor:
        """Give what the victim hears (1, T) of samples (C, T') after the real transform."""
        changed = np.asarray(one.real(samples, self._clip.sample_rate, die), dtype=np.float32)
        return torch.from_numpy(to_rate(fold(changed), self._clip.sample_rate, self._rate))[None]

    def _view(self, one: Transform, die: torch.Generator) -> View:
        rate, clip = self._clip.sample_rate, self._clip
        if isinstance(one, MP3 | Vorbis | Opus):
            clean = clip.mono(self._rate)

            def through(wave: Tensor) -> Tensor:
                change = wave.detach().cpu().numpy() - clean
                there = [lift(row, self._rate, rate, clip.frames) for row in change]
                values = [self.heard(one, np.clip(clip.samples + row, -1, 1), die) for row in there]
                return through_kept(wave, torch.cat(values).to(wave), self._rate)

            return through
        if isinstance(one, Shift) and one.samples is not None and rate != self._rate:
            one = Shift(round(one.samples * self._rate / rate))
        return lambda wave: one.stand_in(wave, self._rate, die)


def _ends(one: Transform, clip: Clip) -> list[Transform]:
    """Give a transform, and, where its value is drawn, the ends of what it may be."""
    if isinstance(one, Gain) and one.gain_db is None:
        peak = float(np.max(np.abs(clip.samples), initial=0.0))
        room = min(LOUDEST_DB, -20 * np.log10(max(peak, 1e-9)) - SAFE_DB)
        return [one, Gain(SOFTEST_DB), *([Gain(round(float(room), 1))] if room >= 0.5 else [])]
    if isinstance(one, Shift) and one.samples is None:
        return [one, Shift(1), Shift(min(HALF_FRAME, clip.frames // 2))]
    return [one]
