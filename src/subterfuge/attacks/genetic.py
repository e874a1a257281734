"""A genetic algorithm with a good genome: NSGA-II between what the victim says and how quiet the change is.

NSGA-II (Deb et al. 2002, https://doi.org/10.1109/4235.996017) by DEAP, over the energies that each band may spend
(`_ga_levels`): some thirty numbers. Before the first win all individuals are about as quiet as `enough_db`, and climb.
After it the aims are the margin, up to what wins, and the quietness, among sounds whose margin is within a window
below the win. Beside blends of parents, differences (Storn and Price 1997) and Gaussian steps, some children go where
a plane through the answers so far points (`_ga_moves.informed`; surrogates in evolution: Jin 2011,
https://doi.org/10.1016/j.swevo.2011.05.001). Where nothing is gained for some generations, the search begins anew
around its best, in turn with another genome of other bands and with strangers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from subterfuge.attacks.knobs import expect
from subterfuge.errors import AttackError
from subterfuge.oracle import Oracle, Seeks
from subterfuge.victim import Gives


@dataclass(frozen=True, kw_only=True)
class Genetic:
    """The front between the target's probability and the change's quietness, by a genetic algorithm."""

    population: int = 40
    """Individuals that live on."""
    offspring: int = 40
    """Made in each generation."""
    generations: int = 56
    """More where a budget gives more queries."""
    bands: int = 32
    """Genes: bands of equal width in mel; a new genome has half as many more."""
    step_db: float = 6.0
    """Of a mutation, in the energy that a band may spend; half and three times as much occur as well."""
    informed: float = 0.2
    """Part of the children that follow a plane through what is known already."""
    hill: Literal["pull", "odds"] = "pull"
    """What is climbed before a win: the goal's pull, or log-odds by the victim's own probabilities, if it has any."""
    enough_db: float = 24.0
    """Signal-to-noise ratio at which it climbs to the first win; less by and by, and by 6 dB where it is stuck."""
    window: float = 0.15
    """How far below a win a margin may lie, as a part of the clip's own distance from it."""
    patience: int = 8
    """Generations without a gain after which the search begins anew around its best."""
    needs: ClassVar[Gives] = Gives.SCORES
    seeks: ClassVar[Seeks] = "quiet"
    climbs: ClassVar[bool] = True
    says: ClassVar[str] = "a genetic algorithm over band energies: probability against quietness (black box: scores)"

    def __post_init__(self) -> None:
        expect("genetic", "population", self.population, 4, 10_000)
        expect("genetic", "offspring", self.offspring, 1, 10_000)
        expect("genetic", "generations", self.generations, 1)
        expect("genetic", "bands", self.bands, 1, 256)
        expect("genetic", "step_db", self.step_db, 0.01, 100)
        expect("genetic", "informed", self.informed, 0, 1)
        expect("genetic", "enough_db", self.enough_db, -60, 150)
        if self.hill not in ("pull", "odds"):
            raise AttackError(f"genetic hill={self.hill} is not known; pull or odds was expected")
        expect("genetic", "window", self.window, 0, 1)
        expect("genetic", "patience", self.patience, 1)

    def __call__(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator]) -> None:
        """Evolve for each row in turn."""
        from subterfuge.attacks._ga_deap import Spent
        from subterfuge.attacks._ga_search import Search

        for row in range(len(clean)):
            search = Search(self, oracle, clean[row], row, dice[row])
            try:
                search.run()
            except Spent:
                pass
            finally:
                search.tell()
