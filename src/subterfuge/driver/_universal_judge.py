"""What the true victim says of clips that a universal sound never met, and of noise as loud."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from subterfuge.attacks.noise import same_spectrum, white
from subterfuge.audio import Clip, hear
from subterfuge.driver._universal_sound import Mix, level_of, mixed, piece_of, together
from subterfuge.driver.judge import read
from subterfuge.threat import Goal
from subterfuge.training.substitute import wilson
from subterfuge.victim import Victim


@dataclass(frozen=True)
class Unseen:
    """What a sound that never met a clip does to it."""

    name: str
    path: str | None
    fold: int | None
    """Which of the cross-validation's sounds it was, counted from 0; that of the others is the one written."""
    predicted_before: str
    predicted: str
    """What the true victim says of the file, as written and read back."""
    met: bool
    """Whether that meets the goal."""
    probability: float | None
    """The victim's own, of the class that the goal is about."""
    snr_db: float
    """Clip to change, as heard from the file."""
    begun_anywhere: int
    """Of `starts` files in which the sound begins at a moment drawn at random, those that meet the goal."""
    same_spectrum: int
    """Of `draws` sounds with noise as loud of the sound's own spectrum and random phases, those that meet it."""
    white_noise: int
    """The same of white noise."""
    starts: int
    draws: int
    file: str | None = None
    """Where it was kept."""


@dataclass(frozen=True)
class Share:
    """How many of some clips met the goal, with Wilson's interval, which takes the clips as independent."""

    hits: int
    of: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Beside:
    """The same clips with noise as loud, or with the sound begun elsewhere."""

    hits: int
    of: int
    share: float
    chance: float
    """How often noise of this kind would meet the goal on as many clips as the sound did or more, see `chance`."""


@dataclass(frozen=True, eq=False)
class Judge:
    """Mixes a sound to clips, writes them, reads them back, and asks the true victim."""

    victim: Victim
    goal: Goal
    mix: Mix
    starts: int
    draws: int
    progress: Callable[[int], None]
    """Called with how many sounds were asked about."""

    def says(
        self,
        clip: Clip,
        focus: int,
        before: int,
        sound: Tensor,
        die: torch.Generator,
        file: Path,
        fold: int | None,
        announce: Callable[[str], None],
    ) -> Unseen:
        """Judge a sound (P,) of rms 1 on one clip, whose file is written to `file`, less its ending.

        Raises:
            VictimError: the victim died, or answered nonsense.
        """
        rate = self.victim.sample_rate
        clean = torch.from_numpy(clip.mono(rate))
        length = len(clean)
        begins = [0, *torch.randint(len(sound), (self.starts,), generator=die).tolist()]
        heard, levels = [], []
        for place, begin in enumerate(begins):
            changed, snr = mixed(clip, clean, piece_of(sound, begin, length), self.mix, rate)
            if changed is clip:
                announce(f"{clip.name}: its file is too coarse to hold a change so quiet, so it stayed as it was")
            told = announce if not place else _quiet
            for note in changed.warnings if not place else ():
                announce(f"{clip.name} with the sound: {note}")
            written = changed.write(_named(file, place, clip), force=True, announce=told)
            heard.append(hear(written, rate))
            if place:
                written.unlink()
            levels.append(snr)
        noises = [same_spectrum(sound, die) for _ in range(self.draws)] + [white(sound, die) for _ in range(self.draws)]
        for noise in noises:
            heard.append(mixed(clip, clean, piece_of(level_of(noise), 0, length), self.mix, rate)[0].mono(rate))
        said, chances = self._asked(torch.from_numpy(np.stack(heard)))
        met = self.goal.reached(said, chances, torch.full((len(said),), focus)).tolist()
        elsewhere = 1 + self.starts
        return Unseen(
            name=clip.name,
            path=None if clip.path is None else str(clip.path.absolute()),
            fold=fold,
            predicted_before=self.victim.labels[before],
            predicted=self.victim.labels[int(said[0])],
            met=met[0],
            probability=None if chances is None else float(chances[0, focus]),
            snr_db=levels[0],
            begun_anywhere=sum(met[1:elsewhere]),
            same_spectrum=sum(met[elsewhere : elsewhere + self.draws]),
            white_noise=sum(met[elsewhere + self.draws :]),
            starts=self.starts,
            draws=self.draws,
        )

    def _asked(self, waves: Tensor) -> tuple[Tensor, Tensor | None]:
        said, chances = list[Tensor](), list[Tensor]()
        for some in torch.split(waves, together(self.victim, waves)):
            index, probable = read(self.victim, some)
            said.append(index.cpu())
            chances.extend([] if probable is None else [probable.cpu()])
            self.progress(len(some))
        return torch.cat(said), torch.cat(chances) if chances else None


def share_of(rows: Sequence[Unseen]) -> Share:
    """Say on how many clips the goal was met; the share of none is not a number."""
    hits = sum(row.met for row in rows)
    return Share(hits, len(rows), hits / len(rows) if rows else math.nan, *wilson(hits, len(rows)))


def beside(rows: Sequence[Unseen], hits: Callable[[Unseen], int], draws: Callable[[Unseen], int]) -> Beside | None:
    """Say how many draws met the goal, and how often as many clips as with the sound would; None without draws."""
    of = sum(draws(row) for row in rows)
    if not of:
        return None
    total = sum(hits(row) for row in rows)
    return Beside(total, of, total / of, chance([(row.met, hits(row), draws(row)) for row in rows]))


def chance(rows: Sequence[tuple[bool, int, int]]) -> float:
    """Give the probability that noise meets the goal on as many clips as a sound did, or more.

    Were the sound but another draw of the noise, then of the draws + 1 sounds of a clip each were as likely to be it.
    Given how many of these meet the goal on each clip, the number of clips on which the sound does is a sum of
    independent draws of 0 or 1 (Poisson's binomial), here summed without approximation.

    >>> round(chance([(True, 0, 9), (True, 0, 9), (False, 0, 9)]), 4)
    0.01
    >>> chance([(True, 9, 9), (True, 9, 9)])
    1.0

    Args:
        rows: for each clip whether the sound meets the goal, and how many of how many draws of noise do.
    """
    sums = np.ones(1)
    for met, hits, draws in rows:
        p = (met + hits) / (draws + 1)
        sums = np.convolve(sums, [1 - p, p])
    return float(min(1.0, sums[sum(met for met, _, _ in rows) :].sum()))


def _named(file: Path, place: int, clip: Clip) -> Path:
    return file.with_name(f"{file.name}{f'-{place}' if place else ''}{clip.output_suffix()}")


def _quiet(_: str) -> None:
    """Tell nothing: what is to be told of a clip was told of its first file."""
