"""The twin that is searched on: recipe, scaler and classifier in torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from subterfuge.dsp.recipes import Recipe
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims.preprocess import Filter
from subterfuge.victims.twins import Twin


@dataclass(frozen=True, eq=False)
class SklearnTwin:
    """The model in torch: recipe, scaler and classifier, with gradients from the wave to the scores.

    Features are computed where the wave is, in its precision, the rest on the CPU in float64.
    """

    name: str
    labels: tuple[str, ...]
    sample_rate: int
    fingerprint: str
    recipe: Recipe
    head: Twin
    before: Filter | None
    warnings: tuple[str, ...] = ()
    gives: Gives = Gives.GRADIENTS
    twin: Victim | None = None

    @property
    def kind(self) -> Kind:
        """What `scores` are: the head's."""
        return self.head.kind

    @property
    def jumps(self) -> bool:
        """Whether the model decides by numbers that jump, so that `decide` does not follow from `scores`."""
        return self.head.jumps and self.head.note is not None  # a plain vote jumps too, but follows from its duels

    def features(self, wave: Tensor) -> Tensor:
        """Give the features of waves (N, T), shape (N, F), before any scaling."""
        if self.before is not None:
            wave = self.before.searched(wave, self.sample_rate)
        return self.recipe.twin(wave, self.sample_rate)

    def decide(self, wave: Tensor) -> Tensor:
        """Give what the estimator's ``predict`` would answer, int64 (N,)."""
        with torch.no_grad():
            return self.head.decide(self.features(wave)).to(wave.device)

    def scores(self, wave: Tensor) -> Tensor:
        """Give the smooth scores that gradients go through, (N, K) or duels (N, K, K)."""
        return self.head.scores(self.features(wave)).to(wave.device)

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give the model's probabilities (N, K), or None."""
        chances = self.head.probabilities(self.features(wave))
        return None if chances is None else chances.to(wave.device)

    def straight_through(self) -> SklearnTwin:
        """Give the twin of one who does not know the filter's gradient: it passes as if the filter did nothing.

        What an attack on it finds, beside what one on the twin itself finds, says how much of a defence is a filter
        that nobody had gone through.
        """
        if self.before is None or self.before.twin is None:
            return self
        blind = replace(self.before, twin=None)
        return replace(self, before=blind, warnings=(*self.warnings, str(blind.note)))

    def unfiltered(self) -> SklearnTwin:
        """Give the twin without a filter whose gradient is not its own; one with a twin stays."""
        return replace(self, before=None) if self.before is not None and self.before.twin is None else self

    def without_stand_ins(self, at: Tensor) -> Callable[[Tensor], Tensor]:
        """Give a function like the `scores` of `unfiltered`, whose gradient is its own slope near waves (N, T).

        Features that the recipe calls stepped are held at their values at `at`.
        """
        plain = self.unfiltered()
        with torch.no_grad():
            held = plain.features(at)
        steps = torch.zeros(self.recipe.features, dtype=torch.bool, device=at.device)
        steps[list(self.recipe.stepped)] = True

        def scores(wave: Tensor) -> Tensor:
            return self.head.scores(torch.where(steps, held, plain.features(wave)))

        return scores
