"""What both genetic algorithms need of DEAP (https://github.com/DEAP/deap), which is imported when first used."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Spent(Exception):
    """The clip is closed: the generation was answered in part."""


@cache
def fitness_kind(aims: int) -> Any:
    """Give DEAP's class of a fitness of so many aims, each the better the larger.

    DEAP's own `creator` would keep it in a global module.
    """
    from deap import base

    return type("Fitness", (base.Fitness,), {"weights": (1.0,) * aims})


@dataclass(eq=False)
class Individual:
    """A genome and what is known of it. A genome is never written to, so copies share it."""

    genome: NDArray[Any]
    fitness: Any
    seen: dict[str, float] = field(default_factory=dict)

    def clone(self) -> Individual:
        """Give a copy that may get another genome and another fitness."""
        fitness = type(self.fitness)()
        if self.fitness.valid:
            fitness.values = self.fitness.values
        return Individual(self.genome, fitness, dict(self.seen))


def diversity(genomes: list[NDArray[Any]]) -> float:
    """Give the root-mean-square distance of genomes from their mean, per gene.

    >>> diversity([np.zeros(4, np.float32), 2 * np.ones(4, np.float32)])
    1.0
    """
    mean = sum(genomes[1:], genomes[0].astype(np.float64)) / len(genomes)
    return float(np.sqrt(np.mean([np.mean((one - mean) ** 2) for one in genomes])))
