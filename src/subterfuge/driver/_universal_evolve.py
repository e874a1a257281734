"""One sound for many clips from scores alone: an evolution of the levels of its bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from subterfuge.attacks._es_cma import Strategy
from subterfuge.driver._universal_climb import Heard, alike, heard_with, hill_of, spread_of
from subterfuge.driver._universal_sound import Mix, level_of, together
from subterfuge.errors import AttackError, VictimError
from subterfuge.threat import Goal
from subterfuge.victim import Victim


@dataclass(frozen=True, kw_only=True)
class Evolve:
    """How a sound is evolved."""

    queries: int = 2000
    """Clips through the victim."""
    bands: int = 24
    """Places, evenly in mel, at which the spectrum bends."""
    batch: int = 8
    """Clips of a generation, drawn anew for each."""
    spread: float = 1.0
    """Of the first generation's levels, in nepers of amplitude."""
    rise_db: float = 30.0
    """How far below its level the sound begins; it rises over the first half of the generations."""
    ease: float = 0.3
    """How soon a clip that meets the goal is let be, in parts of the spread of the victim's scores."""
    anywhere: bool = True
    """Let the sound begin at a moment of its own on every clip."""

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise AttackError(f"a batch of {self.batch} clips: 1 or more were expected, such as 8")
        if not 2 <= self.bands <= 200:
            raise AttackError(f"{self.bands} bands: 2 to 200 were expected, such as 24")
        if self.queries < self.least:
            raise AttackError(
                f"{self.queries} queries, {self.batch} for each sound that is tried: {self.least} or more were "
                "expected, such as 2000"
            )

    @property
    def least(self) -> int:
        """The fewest queries of which anything is learned."""
        return 40 * self.batch


class HalfLearned(VictimError):
    """The victim died for good: here is the sound (P,) so far, of rms 1, and the queries spent on it."""

    def __init__(self, said: str, sound: Tensor, spent: int) -> None:
        super().__init__(said)
        self.sound, self.spent = sound, spent


def evolve(
    on: Victim,
    goal: Goal,
    clips: Sequence[Heard],
    mix: Mix,
    samples: int,
    how: Evolve,
    die: torch.Generator,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[Tensor, int]:
    """Evolve the sound (samples,) of rms 1 that meets a goal on most of some clips; give it and the queries spent.

    It is one draw of noise whose spectrum CMA-ES (Hansen, https://arxiv.org/abs/1604.00772) shapes, for the same end as
    `climb` has. A sound that meets each clip with other phases works by its energy in each band and hardly otherwise,
    so that few numbers say most of it. A generation's sounds are all heard on the same clips from the same moments.

    Raises:
        HalfLearned: the victim died after the first generation.
        VictimError: it died before, or answered nonsense.
    """
    noise, bends = torch.fft.rfft(torch.randn(samples, generator=die)), _bends(samples, on.sample_rate, how.bands)
    strategy = Strategy(torch.zeros(how.bands, dtype=torch.float64), how.spread, die, 0, diagonal=False)
    ease, batch = how.ease * spread_of(on, goal, clips), min(how.batch, len(clips))
    generations = how.queries // (strategy.population * batch)

    def sound_of(levels: Tensor) -> Tensor:
        return level_of(torch.fft.irfft(noise * (bends @ levels.float()).exp(), n=samples))

    best, spent = torch.zeros(how.bands, dtype=torch.float64), 0
    for generation in range(generations):
        levels = strategy.ask()
        sounds = [sound_of(one) for one in levels]
        few = [clips[one] for one in torch.randperm(len(clips), generator=die)[:batch].tolist()]
        begins = torch.randint(samples, (batch,), generator=die).tolist() if how.anywhere else [0] * batch
        raised = -how.rise_db * max(0.0, 1 - 2 * generation / generations)
        cost = torch.zeros(len(sounds), dtype=torch.float64)
        for rows in alike(few):
            pairs = [(place, row) for place in range(len(sounds)) for row in rows]
            size = together(on, few[rows[0]].wave[None])
            for first in range(0, len(pairs), size):
                some = pairs[first : first + size]
                mine = [few[row] for _, row in some]
                heard, at = [sounds[place] for place, _ in some], [begins[row] for _, row in some]
                wave = heard_with(heard, at, mine, mix, raised)
                try:
                    with torch.no_grad():
                        hill = hill_of(on, goal, wave, mine, smooth=True).double().cpu()
                except VictimError as death:
                    if not generation:
                        raise
                    raise HalfLearned(str(death), sound_of(best), spent) from death
                places = torch.tensor([place for place, _ in some])
                cost.index_add_(0, places, -torch.nn.functional.logsigmoid(hill / ease))
                spent += len(some)
                progress(len(some))
        strategy.tell(cost)
        best = levels[cost.argsort()[: len(levels) // 2]].mean(0)
    return sound_of(best), spent


def _bends(samples: int, sample_rate: float, bands: int) -> Tensor:
    """Give the tents on the mel axis that turn levels (G,) into those of `torch.fft.rfft`'s bins, shape (bins, G)."""
    mel = torch.log10(1 + torch.fft.rfftfreq(samples, 1 / sample_rate) / 700)
    place = mel / mel[-1] * (bands - 1)
    return (1 - (place[:, None] - torch.arange(bands)).abs()).clamp_min(0)
