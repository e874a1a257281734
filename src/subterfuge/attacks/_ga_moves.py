"""How genomes of `_ga_levels` are made, crossed and mutated; a step is in dB of the energy that a band may spend."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subterfuge.attacks._ga_levels import FLOOR_DB, MOST

Genome = NDArray[Any]


def fresh(place: Genome, roll: np.random.Generator) -> Genome:
    """Make a genome from nothing: all bands filled evenly (white noise, nearly), or a smooth spectral shape.

    A shape is a sum of eight cosines over the mel scale, as the lower cepstral coefficients are; it says which bands
    are filled and which are emptied, and in one half of the cases how strongly.
    """
    level = roll.uniform(30, 75)
    kind = roll.integers(3)
    if kind == 0:
        even: Genome = np.clip(level + 3 * roll.normal(size=len(place)), -MOST, MOST)
        return even
    orders = np.arange(1, 9)
    weights = roll.normal(size=8) * roll.uniform(5, 30) / np.sqrt(orders)
    shape = weights @ np.cos(np.pi * orders[:, None] * place) + 15 * roll.normal()
    size = level + 5 * roll.normal(size=len(place)) if kind == 1 else np.clip(level - 15 + np.abs(shape), 0, 90)
    shaped: Genome = np.clip(np.sign(shape) * size, -MOST, MOST)
    return shaped


def louder(genome: Genome, db: float | Genome) -> Genome:
    """Give every band so many dB more to spend, or less where below 0; a band with nothing left stays silent."""
    made: Genome = np.sign(genome) * np.clip(np.abs(genome) + db, 0, MOST)
    return made


def energy_db(genome: Genome) -> float:
    """Give about what a genome changes, in dB of the clip's energy."""
    return 10 * math.log10(float((10 ** ((np.abs(genome) - FLOOR_DB) / 10))[genome != 0].sum()) + 1e-30)


def quieter_than(genome: Genome, db: float) -> Genome:
    """Bring a genome down to an energy of so many dB of the clip's, where it is above."""
    return louder(genome, min(0.0, db - energy_db(genome)))


def mutated(genome: Genome, place: Genome, step_db: float, roll: np.random.Generator) -> Genome:
    """Move a few genes, each by itself or as a bump over the mel scale, by Gaussian steps of mixed sizes."""
    step = step_db * roll.choice([0.5, 1.0, 3.0])
    if roll.random() < 0.5:
        chosen = roll.random(len(genome)) < roll.choice([1.5 / len(genome), 4 / len(genome), 0.3])
        alone: Genome = genome + chosen * step * roll.normal(size=len(genome))
        return alone
    bump = np.exp(-0.5 * ((place - roll.random()) / roll.uniform(0.02, 0.25)) ** 2)
    together: Genome = genome + bump * step * roll.normal()
    return together


def differing(genome: Genome, one: Genome, other: Genome, roll: np.random.Generator) -> Genome:
    """Add half the difference of two others (differential evolution, Storn and Price 1997), in some of the genes."""
    chosen = roll.random(len(genome)) < roll.choice([0.3, 0.9])
    made: Genome = genome + 0.5 * chosen * (one - other)
    return made


def moved_to_bands(genome: Genome, before: Genome, after: Genome) -> Genome:
    """Give a genome of bands at places `after` that does much the same as one of bands at places `before`."""
    nearest = np.abs(after[:, None] - before).argmin(1)
    return louder(genome[nearest], -10 * math.log10(len(after) / len(before)))


def informed(
    genome: Genome, hills: Genome, genomes: Genome, wanted: float, reach_db: float, roll: np.random.Generator
) -> Genome | None:
    """Give the quietest genome nearby that a plane through answers known already puts at the height wanted.

    The plane fits the hills (n,) of genomes (n, B) by least squares, the nearest counting most, a ridge keeping it
    flat where nothing is known. With slopes s, the energy sum of 10^((|v| - F)/10) is least at a given height where
    each band's energy is in proportion to |s|; no gene moves by more than `reach_db`. None if there is no slope.
    """
    steps = genomes - genome
    gap = np.sqrt((np.minimum(np.abs(steps), 30.0) ** 2).mean(1))
    near = gap.argsort(kind="stable")[: 4 * len(genome)]
    weight = 1 / (1 + gap[near] / max(1e-9, float(np.median(gap[near]))))
    design = np.concatenate([steps[near], np.ones((len(near), 1))], 1) * weight[:, None]
    height = hills[near] * weight
    ridge = np.diag([1e-2 * float((design[:, :-1] ** 2).sum(0).mean()) + 1e-12] * len(genome) + [1e-12])
    plane = np.linalg.solve(design.T @ design + ridge, design.T @ height)
    slope, here = plane[:-1], float(plane[-1])
    if not float(np.abs(slope).max()) > 0:
        return None
    slope = slope * (1 + 0.3 * roll.normal(size=len(slope)))
    side = np.where(np.abs(genome) > 1, np.sign(genome), np.sign(slope))
    gain = np.maximum(side * slope, 1e-4 * np.abs(slope).max())  # a band that harms gets next to nothing
    share = 10 * np.log10(gain / gain.max())
    low, high = 0.0, 2 * FLOOR_DB
    for _ in range(25):
        middle = (low + high) / 2
        size = np.clip(share + middle, np.abs(genome) - reach_db, np.abs(genome) + reach_db)
        size = np.clip(size, 0, MOST)
        if here + float(slope @ (side * size - genome)) < wanted:
            low = middle
        else:
            high = middle
    turned = (np.sign(slope) != side) & (np.abs(genome) < reach_db)  # it may pass through 0
    made: Genome = np.where(turned, -side * np.clip(share + high, 0, reach_db), side * size)
    return made
