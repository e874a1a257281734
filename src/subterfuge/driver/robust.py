"""Wins that survive: what the search hears of a change after the world has had its way, and what the judge asks then.

Each transform is heard through its differentiable stand-in, a codec through the real one on all channels of the clip.
One whose value is drawn (``gain``, ``shift``) is heard at a new draw each time and at both its ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.audio.rates import fold, to_rate
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
        for one in dict.fromkeys(each for named in transforms for each in _ends(named, clip)):
            why = one.why_not(clip.samples, clip.sample_rate)
            if why is None:
                self.transforms.append(one)
            else:
                announce(f"not asked to survive {one.name}: {why}")
        if not self.transforms:
            raise TransformError(f"{clip.name} can be put through none of {', '.join(one.name for one in transforms)}")

    def views(self) -> list[View]:
        """Give what the search hears: for each transform a map from waves (1, T) at the victim's rate to the same."""
        die = dice(f"robust/{self._seed}/{self._clip.fingerprint}", 1)[0]
        return [self._view(one, die) for one in self.transforms]

    def deaths(self, file: Clip, victim: Victim, threat: Threat, focus: int) -> list[str]:
        """Put a file through the real transforms and ask the true victim after each; give those that the win dies of.

        Raises:
            VictimError: the victim died.
        """
        dead = []
        for one in self.transforms:
            die = dice(f"survive/{self._seed}/{self._clip.fingerprint}/{one.name}", 1)[0]
            if one.why_not(file.samples, file.sample_rate) is not None:
                dead.append(one.name)
                continue
            heard = self.heard(one, file.samples, die)
            if not ask(victim, threat, heard, focus).reached:
                dead.append(one.name)
        return dead

    def heard(self, one: Transform, samples: np.ndarray, die: torch.Generator) -> Tensor:
        """Give what the victim hears (1, T) of samples (C, T') after the real transform."""
        changed = np.asarray(one.real(samples, self._clip.sample_rate, die), dtype=np.float32)
        return torch.from_numpy(to_rate(fold(changed), self._clip.sample_rate, self._rate))[None]

    def _view(self, one: Transform, die: torch.Generator) -> View:
        if isinstance(one, MP3 | Vorbis | Opus) and self._clip.sample_rate == self._rate:
            clean = fold(self._clip.samples)

            def through(wave: Tensor) -> Tensor:
                change = wave.detach().cpu().numpy() - clean
                values = [self.heard(one, np.clip(self._clip.samples + row, -1, 1), die) for row in change]
                return through_kept(wave, torch.cat(values).to(wave), self._rate)

            return through
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
