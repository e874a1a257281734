"""The sounds that a victim under check is asked, and what it answered to each alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from subterfuge.victim import Gives, Victim
from subterfuge.victims.afresh import forgetful
from subterfuge.victims.check.gradient import Slope

Level = Literal["ok", "warning", "failure", "not asked"]

SAME = 1e-4
"""Differences of scores below this share of their spread are rounding."""
NEAR = 1e-2
"""Differences of scores above this share of their spread are a fault."""
QUIET = {"near-silence", "silence"}
"""Sounds that an attack never asks about, so that a victim may die of them."""
FEWEST = 2
"""Questions without which nothing can be said: one sound, twice."""


@dataclass(frozen=True)
class Answer:
    """What a victim says of one sound by itself."""

    said: Any
    scores: Any
    """None of a victim of labels only."""
    chances: Any
    seconds: float
    """How long `decide` took."""
    fresh: bool = True
    """Whether `decide` asked, as far as the victim counts; else the answer was known to it."""


class Session:
    """A victim, the sounds that it is asked, and what it answered to each alone: every sound is asked about once.

    Where `queries` are few, the made sounds are left out first, then clips; one question is kept to ask again.
    """

    def __init__(
        self,
        victim: Victim,
        clips: Sequence[np.ndarray[Any, Any]],
        seed: int,
        *,
        names: Sequence[str] = (),
        borrowed: bool = False,
        queries: int | None = None,
        paid: Callable[[], int] | None = None,
        tell: Callable[[int, int], None] | None = None,
    ) -> None:
        self.victim = victim
        self.clips = [torch.from_numpy(np.array(clip, dtype=np.float32)).reshape(1, -1) for clip in clips]
        self.names = [f"clip {place}" for place in range(1, len(clips) + 1)]
        self.titles = dict(zip(self.names, names, strict=True)) if names else {}
        """What the clips are called."""
        self.borrowed = borrowed
        """Whether the clips are nobody's own."""
        self.seed, self.queries, self._paid, self._tell = seed, queries, paid, tell
        self.dearest = self.once = 0
        """What the victim counted of the dearest sound, asked in every way, and of the dearest label."""
        self.spent = 0
        """What it counted of all of them."""
        self.asked = 0
        """Sounds that the victim was asked about so far, each time that it was; not what it knew already."""
        self.again_seconds: float | None = None
        """How long the repeated question took, where it was one."""
        self.slopes: dict[str, Slope] = {}
        """How the gradient compares at some of them, once that was looked at."""

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
        """Clips, then made sounds, as many as may be asked about."""
        sounds = dict(zip(self.names, self.clips, strict=True)) | self.made
        most = len(sounds) if self.queries is None else max(1, self.queries - 1)
        return {name: sounds[name] for name in list(sounds)[:most]}

    @cached_property
    def heard(self) -> dict[str, Answer | Exception]:
        """What came of asking about each sound once, until the queries end."""
        told: dict[str, Answer | Exception] = {}
        for done, (name, wave) in enumerate(self.every.items()):
            if self._tell is not None:
                self._tell(done, len(self.every))
            if done and self.queries is not None and self.spent + 2 * self.dearest > self.queries:  # one is asked again
                break
            before = 0 if self._paid is None else self._paid()
            try:
                told[name] = self.ask(wave)
            except Exception as reason:
                told[name] = reason
            cost = 0 if self._paid is None else self._paid() - before
            self.spent, self.dearest = self.spent + cost, max(self.dearest, cost)
        return told

    @property
    def can_ask_again(self) -> bool:
        """Whether one question more stays within the queries."""
        return self.queries is None or self.spent + self.once <= self.queries

    def ask(self, wave: Tensor) -> Answer:
        """Ask about one sound (1, T)."""
        with torch.no_grad():
            before = 0 if self._paid is None else self._paid()
            said, seconds, fresh = self.timed(lambda: self.victim.decide(wave), len(wave))
            self.once = max(self.once, 0 if self._paid is None else self._paid() - before)
            scores = self.victim.scores(wave) if self.gives_scores else None
            return Answer(said, scores, self.victim.probabilities(wave), seconds, fresh)

    def timed(self, question: Callable[[], Any], sounds: int = 1) -> tuple[Any, float, bool]:
        """Ask, and count it; give the answer, the seconds, and whether the victim counted it too, if it counts."""
        paid, fresh = 0 if self._paid is None else self._paid(), True
        began = time.perf_counter()
        try:
            answer = question()
            seconds = time.perf_counter() - began
            fresh = self._paid is None or self._paid() > paid
        finally:
            self.asked += sounds * fresh
        return answer, seconds, fresh

    @cached_property
    def afresh(self) -> Victim:
        """The victim without what it remembers, where it can forget."""
        return forgetful(self.victim)

    @property
    def known(self) -> list[str]:
        """The sounds whose answers the victim knew, so that nothing was asked."""
        return [name for name, answer in self.answers.items() if not answer.fresh]

    @cached_property
    def deaths(self) -> dict[str, str]:
        """The sounds at which the victim raises or answers no number, and what it says."""
        told = {}
        for name, answer in self.heard.items():
            if isinstance(answer, Exception):
                told[name] = said_of(answer)
            elif any(
                isinstance(each, Tensor) and not bool(torch.isfinite(each).all())
                for each in (answer.scores, answer.chances)
            ):
                told[name] = "NaN or infinite numbers"
        return told

    @cached_property
    def answers(self) -> dict[str, Answer]:
        """What it answers to each sound that it answers.

        Raises:
            Exception: what the victim raised of the first sound, where it answers none, so that every check tells why.
        """
        alive = {
            name: answer
            for name, answer in self.heard.items()
            if not isinstance(answer, Exception) and name not in self.deaths
        }
        if alive:
            return alive
        told = {name: answer for name, answer in self.heard.items() if not isinstance(answer, Exception)}
        if told:
            return told
        raise next(answer for answer in self.heard.values() if isinstance(answer, Exception))

    @property
    def sounds(self) -> dict[str, Tensor]:
        """The sounds that the victim answers."""
        return {name: self.every[name] for name in self.answers}

    @property
    def said(self) -> dict[str, Any]:
        """What `decide` answers to each sound alone, (1,)."""
        return {name: answer.said for name, answer in self.answers.items()}

    @property
    def scored(self) -> dict[str, Any]:
        """What `scores` gives of each sound alone."""
        return {name: answer.scores for name, answer in self.answers.items()}

    @cached_property
    def spread(self) -> float:
        """How far the scores of all sounds lie apart."""
        every = torch.cat([scores.flatten() for scores in self.scored.values()]).double()
        return max(float(every.max() - every.min()), 1e-12)

    @property
    def gives_scores(self) -> bool:
        """Whether it gives more than labels."""
        return self.victim.gives >= Gives.SCORES

    @property
    def searched(self) -> Victim | None:
        """What a white-box attack climbs on."""
        return self.victim if self.victim.gives >= Gives.GRADIENTS else self.victim.twin


def said_of(reason: Exception) -> str:
    """Say what an exception says, on one line."""
    text = " ".join(str(reason).split())
    return f"{type(reason).__name__}: {text:.400}"


def shown(answer: object) -> str:
    """Say what kind of thing an answer is."""
    if isinstance(answer, Tensor):
        return f"a {str(answer.dtype).removeprefix('torch.')} tensor of shape {tuple(answer.shape)}"
    return f"a {type(answer).__name__}"
