"""One clip's evolution for `genetic`: ask, choose who lives on, make children, begin anew, and tell of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from subterfuge.attacks._ga_deap import Individual, Spent, diversity, fitness_kind
from subterfuge.attacks._ga_dice import Lent
from subterfuge.attacks._ga_levels import MOST, Levels
from subterfuge.attacks._ga_moves import (
    Genome,
    differing,
    fresh,
    informed,
    louder,
    moved_to_bands,
    mutated,
    quieter_than,
)
from subterfuge.attacks.knobs import most_queries
from subterfuge.oracle import Oracle

if TYPE_CHECKING:
    from subterfuge.attacks.genetic import Genetic

CHUNK = 16
"""Sounds made at once, to bound memory."""
ELITE = 0.25
"""Part of the population that survives a restart."""
GAIN_DB = 0.1
"""What counts as a gain after a win."""
SLACK_DB = 3.0
"""By how much a genome may differ from its reckoned energy."""
RELAX_FROM, RELAX_TO = 0.1, 0.6
"""Parts of the generations between which, without a win, sounds may become louder, up to as loud as the clip."""
RELAX_ANEW_DB = 6.0
"""How much louder they may be after a restart without a win."""


def quietness_db(oracle: Oracle, changes: Tensor, row: int) -> list[float]:
    """Give the second aim, the larger the better, of changes (P, T) of one row: the signal-to-noise ratio in dB.

    Any other measure of how little is heard can stand here; it costs no query.
    """
    one = torch.ones_like(oracle.start)
    level_db = oracle.snr_db(one)[row].double() + 10 * math.log10(one.shape[1])
    ratio: Tensor = level_db - 20 * torch.log10(changes.norm(dim=1).double().clamp_min(1e-30))
    return [float(each) for each in ratio.clamp(-150, 150)]


class Search:
    """The state of one clip's evolution.

    Args:
        knobs: of the attack.
        oracle: answers.
        clean: the clip, shape (T,).
        row: its number.
        die: its generator.
    """

    def __init__(self, knobs: Genetic, oracle: Oracle, clean: Tensor, row: int, die: torch.Generator) -> None:
        self.knobs, self.oracle, self.clean, self.row, self.die = knobs, oracle, clean, row, die
        self.lent = Lent(die)
        self.roll = np.random.default_rng(int(torch.randint(2**62, (1,), generator=die)))
        self.kind = fitness_kind(2)
        self.genome = Levels(clean, oracle.sample_rate, knobs.bands, die)
        self.ceiling_db = -math.inf  # the first generation may be loud
        self.known: list[Individual] = []
        self.generations: list[dict[str, Any]] = []
        self.restarts: list[dict[str, Any]] = []

    def run(self) -> None:
        """Evolve until the generations or the budget are over.

        Raises:
            Spent: the budget was.
        """
        from deap import tools

        self.ask([self.new(np.zeros(len(self.genome.place)))])
        first = [self.new(fresh(self.genome.place, self.roll)) for _ in range(self.knobs.population)]
        self.ask(first)
        self.ceiling_db = self.knobs.enough_db
        people = self.chosen(first)
        stale, height = 0, self.height()
        turns = max(self.knobs.generations, -(-most_queries(self.oracle, 1) // self.knobs.offspring))
        for turn in range(turns):
            with self.lent.swapped():
                parents = [tools.selTournamentDCD(people, 4)[:2] for _ in range(self.knobs.offspring)]
            people = self.chosen(people + self.ask([self.child(people, *two) for two in parents]))
            self.relax((turn + 1) / self.knobs.generations)
            self.note(people)
            now = self.height()
            least = GAIN_DB if height[0] else 1e-3 * abs(height[1])
            stale, height = (0, now) if now[0] > height[0] or now[1] > height[1] + least else (stale + 1, height)
            if stale >= self.knobs.patience and turn < turns - 1:
                people = self.begin_anew(people)
                stale, height = 0, self.height()

    @property
    def needed(self) -> float:
        """The margin that wins, as a number."""
        needed = float(self.oracle.needed[self.row])
        return needed if math.isfinite(needed) else 0.0

    @property
    def climbing(self) -> bool:
        """Whether what counts is how far past the goal a sound is, and not how quiet."""
        return self.oracle.seeks == "margin" or not bool(self.oracle.won[self.row])

    def height(self) -> tuple[bool, float]:
        """Say whether there is a win, and give the quietest win's dB, or else the best hill."""
        if self.climbing:
            return False, max((one.seen["hill"] for one in self.known if self.quiet_enough(one)), default=-math.inf)
        return True, max((one.seen["quiet"] for one in self.known if self.wins(one)), default=-math.inf)

    def wins(self, one: Individual) -> bool:
        """Say whether it meets the goal."""
        return one.seen["margin"] > self.needed

    def relax(self, spent: float) -> None:
        """Set how quiet sounds must be before a win, where a part `spent` of the generations is over."""
        part = min(1.0, max(0.0, (spent - RELAX_FROM) / (RELAX_TO - RELAX_FROM)))
        without = sum(each["aim"] == "hill" for each in self.restarts)
        self.ceiling_db = self.knobs.enough_db - part * max(0.0, self.knobs.enough_db) - RELAX_ANEW_DB * without

    def quiet_enough(self, one: Individual) -> bool:
        """Say whether it is as quiet as is asked before a win."""
        return one.seen["quiet"] >= self.ceiling_db - SLACK_DB

    def new(self, genome: Genome) -> Individual:
        """Give an individual that nobody asked about, and before a win one that is quiet enough."""
        genome = np.clip(genome, -MOST, MOST)
        return Individual(quieter_than(genome, -self.ceiling_db) if self.climbing else genome, self.kind())

    def ask(self, people: list[Individual]) -> list[Individual]:
        """Ask about individuals, once each, and remember the answers.

        Raises:
            Spent: the clip is closed.
        """
        for first in range(0, len(people), CHUNK):
            part = people[first : first + CHUNK]
            rows = torch.full((len(part),), self.row)
            changes = self.oracle.start[rows] + self.genome.changes([one.genome for one in part])
            changes = self.oracle.project(changes, rows)
            odds = self.knobs.hill == "odds" or not self.climbing
            margins, hills = self.oracle.population(changes, self.row, hill="odds" if odds else "pull")
            quiet = quietness_db(self.oracle, changes, self.row)
            sizes = changes.norm(dim=1).tolist()
            for one, margin, hill, db, size in zip(part, margins.tolist(), hills.tolist(), quiet, sizes, strict=False):
                one.seen = {"margin": margin, "hill": hill, "quiet": db, "size": size}
                one.seen["odds"] = hill if odds else math.nan
                self.known.append(one)
            if len(margins) < len(part):
                raise Spent
        return people

    def chosen(self, people: list[Individual]) -> list[Individual]:
        """Give those that live on, by NSGA-II."""
        from deap import tools

        least = self.needed - self.knobs.window * abs(self.needed - self.known[0].seen["margin"])
        for one in people:
            margin, quiet = one.seen["margin"], one.seen["quiet"]
            if self.climbing:
                one.fitness.values = (one.seen["hill"], min(quiet, self.ceiling_db - SLACK_DB))
            elif margin < least:
                one.fitness.values = (margin, -200.0)
            else:
                one.fitness.values = (min(margin, self.needed + 1e-9 * abs(self.needed)), quiet)
        first = [one for one in people if not self.climbing or self.quiet_enough(one)]
        rest = [one for one in people if self.climbing and not self.quiet_enough(one)]
        room = self.knobs.population
        living: list[Individual] = tools.selNSGA2(first, min(len(first), room)) if first else []
        if rest and len(living) < room:
            living += tools.selNSGA2(rest, min(len(rest), room - len(living)))
        return living

    def best(self, people: list[Individual]) -> Individual:
        """Give the quietest that wins, or else the highest."""
        wins = [one for one in people if self.wins(one)] if not self.climbing else []
        return max(wins or people, key=lambda one: one.seen["quiet" if wins else "hill"])

    def child(self, people: list[Individual], one: Individual, other: Individual) -> Individual:
        """Make one individual of two, of their neighbours, or of all that is known."""
        from deap import tools

        roll, climbing = self.roll, self.climbing
        best = self.best(people)
        if roll.random() < self.knobs.informed:
            made = self.follow(best if roll.random() < 0.7 else one)
            if made is not None:
                return self.new(made)
        genome = (best if not climbing and roll.random() < 0.5 else one).genome
        way = roll.random()
        if way < 0.5:
            first, second = roll.choice(len(people), 2, replace=False)
            genome = differing(genome, people[first].genome, people[second].genome, roll)
        elif way < 0.7:
            with self.lent.swapped():
                genome = tools.cxBlend(genome.copy(), other.genome.copy(), 0.25)[0]
        if roll.random() < 0.6:
            genome = mutated(genome, self.genome.place, self.knobs.step_db, roll)
        if roll.random() < (0.2 if climbing else 0.5):
            genome = louder(genome, 4 * roll.normal() if climbing else -2 * abs(roll.normal()))
        if roll.random() < 0.15:
            genome = genome * (roll.random(len(genome)) > 1.5 / len(genome))
        return self.new(genome)

    def follow(self, one: Individual) -> Genome | None:
        """Make a genome by what is known, if that is enough."""
        known = [each for each in self.known if len(each.genome) == len(one.genome)]
        if len(known) < 0.7 * len(one.genome):
            return None
        hills = np.array([each.seen["hill" if self.climbing else "margin"] for each in known])
        if self.climbing:
            wanted = one.seen["hill"] + abs(float(self.roll.normal())) * float(hills.std())
        else:
            part = float(self.roll.choice([0.0, 0.01, 0.03]))
            wanted = self.needed + part * abs(self.needed - self.known[0].seen["margin"])
        reach_db = float(self.roll.choice([1.0, 2.0, 4.0, 8.0]))
        return informed(one.genome, hills, np.stack([each.genome for each in known]), wanted, reach_db, self.roll)

    def begin_anew(self, people: list[Individual]) -> list[Individual]:
        """Keep the elite, in turn change its genome or fill up with strangers, and write it down."""
        self.settle()
        won, before = self.height()
        turn, roll = len(self.restarts), self.roll
        told = {"queries": self.oracle.queries[self.row], "aim": "quiet" if won else "hill", "before": before}
        self.restarts.append({**told, "kind": "strangers" if turn % 2 else "genome", "after": None, "gained": None})
        people = sorted(people, key=lambda one: (won and self.wins(one), one.seen["quiet" if won else "hill"]))
        elite = people[-max(2, int(ELITE * len(people))) :]
        if turn % 2 == 0:
            place = self.genome.place
            bands = self.knobs.bands * (3 if turn % 4 == 0 else 2) // 2
            self.genome = Levels(self.clean, self.oracle.sample_rate, bands, self.die)
            elite = self.ask([self.new(moved_to_bands(one.genome, place, self.genome.place)) for one in elite])
        place, strangers = self.genome.place, []
        for k in range(self.knobs.population - len(elite)):
            genome = elite[k % len(elite)].genome if won else fresh(place, roll)
            for _ in range(2 if won else 0):
                genome = mutated(genome, place, 2 * self.knobs.step_db, roll)
            strangers.append(self.new(genome))
        return self.chosen(elite + self.ask(strangers))

    def settle(self) -> None:
        """Write down what the last restart gained, in dB, or in hill before a win."""
        if self.restarts:
            last, (won, now) = self.restarts[-1], self.height()
            last["after"] = now if won == (last["aim"] == "quiet") else None
            last["gained"] = None if last["after"] is None else now - last["before"]

    def note(self, people: list[Individual]) -> None:
        """Write down a generation."""
        margins = [one.seen["margin"] for one in people]
        chances = [chance for one in people if (chance := chance_of(one)) is not None]
        told: dict[str, Any] = {"queries": self.oracle.queries[self.row], "best": max(chances, default=None)}
        told |= {"mean": sum(chances) / len(chances) if chances else None}
        told |= {"best_margin": max(margins), "mean_margin": sum(margins) / len(margins)}
        told |= {"quietest_win_db": None if self.climbing else self.height()[1]}
        self.generations.append({**told, "diversity": diversity([one.genome for one in people])})

    def tell(self) -> None:
        """Record the run: generations, restarts, and the front of all that was asked, from quiet to loud.

        The unchanged clip is no point of the front, but what it beats is not either. A point's probability is None
        where it was not asked for: before a win, unless `hill` is odds, the search climbs the goal's pull.
        """
        self.settle()
        front: list[dict[str, float | None]] = []
        top = -math.inf
        for one in sorted(self.known, key=lambda each: (-each.seen["quiet"], -each.seen["margin"])):
            if one.seen["margin"] > top:
                top = one.seen["margin"]
                if one.seen["size"] > 0:
                    front.append({"margin": top, "probability": chance_of(one), "snr_db": one.seen["quiet"]})
        told_of = self.oracle.findings[self.row]
        told_of.update(generations=self.generations, restarts=self.restarts, front=front, plateaus=len(self.restarts))


def chance_of(one: Individual) -> float | None:
    """Give the target's probability (the logistic of the pull, if the victim has none), None if it was not asked."""
    odds = one.seen["odds"]
    return None if math.isnan(odds) else 0.5 * (1 + math.tanh(odds / 2))
