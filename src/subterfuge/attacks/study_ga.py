"""The original study's genetic algorithm, as it was: evolve the real part of the clip's spectrogram, and drop the rest.

A (mu + lambda) algorithm of DEAP (Fortin et al. 2012, https://jmlr.org/papers/v13/fortin12a.html). An individual is
the real part of librosa's STFT of the clip with Gaussian noise added, decoded by the inverse STFT with no imaginary
part. That alone, before any search, leaves about 4 dB between sound and change. The study is at
https://github.com/R2bEEaton/sonic-subterfuge; how it made its first generation is not known, and this is the nearest
that fits its words: each individual is the clean real part with one mutation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from subterfuge.attacks._ga_deap import Individual, Spent, diversity, fitness_kind
from subterfuge.attacks._ga_dice import Lent
from subterfuge.attacks._ga_spectrum import Spectrum
from subterfuge.attacks.knobs import expect
from subterfuge.errors import AttackError
from subterfuge.oracle import Oracle, Seeks
from subterfuge.victim import Gives

CHUNK = 8
"""Individuals that are decoded at once, to bound memory."""


@dataclass(frozen=True, kw_only=True)
class StudyGA:
    """The original study's genetic algorithm, for comparison."""

    population: int = 25
    """Individuals that live on (mu)."""
    offspring: int = 50
    """Made in each generation (lambda)."""
    generations: int = 50
    sd: float = 0.05
    """Of the Gaussian noise that a mutation adds to every bin of the spectrogram."""
    crossover: float = 0.7
    """Probability that an offspring comes of two parents."""
    mutation: float = 0.2
    """Probability that it is a mutated copy; else it is a copy, which costs no query."""
    tournament: int = 3
    penalty: float = 0.0
    """What the fitness loses: this times the change's root mean square, as a part of the clip's."""
    imaginary: Literal["dropped", "kept"] = "dropped"
    """Of the clip's spectrogram, when an individual is turned into sound."""
    needs: ClassVar[Gives] = Gives.SCORES
    seeks: ClassVar[Seeks] = "quiet"
    keeps_to_waves: ClassVar[bool] = True
    climbs: ClassVar[bool] = True
    says: ClassVar[str] = "the original study's genetic algorithm, for comparison (black box: scores)"

    def __post_init__(self) -> None:
        if self.imaginary not in ("dropped", "kept"):
            raise AttackError(f"study-ga imaginary={self.imaginary} is not known; dropped or kept was expected")
        expect("study-ga", "population", self.population, 2, 10_000)
        expect("study-ga", "offspring", self.offspring, 1, 10_000)
        expect("study-ga", "generations", self.generations, 1)
        expect("study-ga", "sd", self.sd, 1e-12, 1e6)
        expect("study-ga", "crossover", self.crossover, 0, 1)
        expect("study-ga", "mutation", self.mutation, 0, 1 - self.crossover)
        expect("study-ga", "tournament", self.tournament, 1, 10_000)
        expect("study-ga", "penalty", self.penalty, 0, 1e6)

    def __call__(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator]) -> None:
        """Evolve for each row in turn."""
        for row in range(len(clean)):
            if len(oracle.population(oracle.start[row : row + 1], row, hill="odds")[0]):
                self._evolve(oracle, clean[row], row, dice[row])

    def _evolve(self, oracle: Oracle, clean: Tensor, row: int, die: torch.Generator) -> None:
        from deap import algorithms, base, tools

        spectrum = Spectrum(clean, clean + oracle.start[row], kept=self.imaginary == "kept")
        told: dict[str, Any] = oracle.findings[row]
        told["dropped_imaginary_snr_db"] = spectrum.dropped_snr_db
        generations: list[dict[str, float]] = []
        told["generations"] = generations
        lent, kind = Lent(die), fitness_kind(1)

        def mutated(one: Individual) -> tuple[Individual]:
            one.genome = one.genome + self.sd * torch.randn(one.genome.shape, generator=die).numpy()
            return (one,)

        def mated(one: Individual, other: Individual) -> tuple[Individual, Individual]:
            one.genome = one.genome.copy()  # DEAP keeps the first child alone
            tools.cxTwoPoint(one.genome.reshape(-1), other.genome.reshape(-1).copy())
            return one, other

        def answers(_: Any, fresh: list[Individual]) -> list[tuple[float]]:
            fits: list[tuple[float]] = []
            with lent.swapped():
                for first in range(0, len(fresh), CHUNK):
                    changes = spectrum.changes([one.genome for one in fresh[first : first + CHUNK]])
                    hill = oracle.population(changes, row, hill="odds")[1]
                    if len(hill) < len(changes):
                        raise Spent
                    loss = self.penalty * changes.norm(dim=1).double() / clean.norm().clamp_min(1e-30)
                    fits += [(fit,) for fit in ((torch.sigmoid(hill) if self.penalty else hill) - loss).tolist()]
                    for one, height in zip(fresh[first : first + CHUNK], hill.tolist(), strict=True):
                        one.seen["hill"] = height
            return fits

        def note(living: list[Individual]) -> dict[str, float]:
            chance = torch.sigmoid(torch.tensor([one.seen["hill"] for one in living], dtype=torch.float64))
            spread = diversity([one.genome for one in living])
            entry = {"queries": oracle.queries[row], "best": float(chance.max()), "mean": float(chance.mean())}
            generations.append({**entry, "diversity": spread})
            return entry

        box = base.Toolbox()
        box.register("clone", Individual.clone)
        box.register("mate", mated)
        box.register("mutate", mutated)
        box.register("select", tools.selTournament, tournsize=self.tournament)
        box.register("evaluate", len)  # asked of all at once, by the map
        box.register("map", answers)
        stats = tools.Statistics()
        stats.register("generation", note)
        first = [mutated(Individual(spectrum.real, kind()))[0] for _ in range(self.population)]
        odds = (self.offspring, self.crossover, self.mutation, self.generations)
        try:
            with lent.swapped():
                algorithms.eaMuPlusLambda(first, box, self.population, *odds, stats=stats, verbose=False)
        except Spent:
            return
