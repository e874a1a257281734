"""NES in the waveform: a slope by antithetic draws at right angles, remembered where the next draws do not look."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from subterfuge.attacks._es_space import EVEN_DB, Line, Watch

LEVELS_DB = (60.0, 50.0, 40.0, 30.0, 20.0, 10.0)
MIXES = (0.1, 0.4, 1.0)


def search(line: Line, die: torch.Generator, pairs: int, draw_db: float) -> None:
    """Step towards the nearest point of the plane that the slope promises, until the queries end.

    The slope w is the clip's before; of each round's draws Q, at right angles and of length 1, it takes what they
    measured in their span: w + Q (measured - Q w). On a linear victim it so converges to the truth.

    Raises:
        Spent: no more may be asked.
    """
    clean, norm = line.clean, line.norm
    point, won = _first(line, die)
    if point is None:
        return
    slope = torch.zeros(clean.shape, dtype=torch.float64)
    watch = Watch(line, "waveform", "snr_db" if won else "hill", 10**9, "steps", 10)
    most, trust, best = -math.inf, 1.0, point
    while True:
        size = norm * 10 ** (-draw_db / 20)
        drawn = torch.randn(len(clean), min(pairs, len(clean)), generator=die, dtype=torch.float64)
        basis = torch.linalg.qr(drawn)[0].T
        centre = point
        if line.climbing:  # draws stay inside the limit, whose projection would hide the slope along the change itself
            room = line.room()
            size = min(size, 0.1 * room * norm)
            centre = point * (1 - size / (room * norm))
        around = torch.cat([centre[None], centre + size * basis.to(point), centre - size * basis.to(point)])
        margin, pull, _ = line.ask(around)
        hill = margin if won else pull
        measured = (hill[1 : 1 + len(basis)] - hill[1 + len(basis) :]) / (2 * size)
        slope = slope + basis.T @ (measured - basis @ slope)
        steep = slope.norm().clamp_min(1e-300)
        here = point.double()
        trust = 1.0 if line.climbing else trust
        if won:
            there = slope / steep * ((line.needed - hill[0] + slope @ here) / steep)
            ways = torch.stack([here + trust * part * (there - here) for part in MIXES])
            short = (line.needed - hill[0] - (ways - here) @ slope) / steep
            ways = ways + short[:, None] * slope / steep  # back onto the plane
            ways = torch.cat([ways * louder for louder in (0.95, 1.0, 1.02)] + [0.97 * here[None]])
        elif line.climbing:
            there = slope / steep * line.room() * norm
            ways = torch.stack([here + trust * part * (there - here) for part in MIXES])
        else:
            ways = here + slope / steep * norm * 10 ** (-torch.tensor(LEVELS_DB).double()[:, None] / 20)
        tried = ways.to(point)
        margin, pull, energy = line.ask(tried)
        wins = (margin > line.needed) & (not line.climbing)
        if bool(wins.any()) and not won:
            won, most, slope = True, -math.inf, torch.zeros_like(slope)
            watch.turn("snr_db")
        values = torch.where(wins, -energy, -math.inf) if won else pull
        first = int(values.argmax())
        better = float(values[first]) > most
        if better:
            most, best = float(values[first]), tried[first].clone()
        trust = min(1.0, 1.5 * trust) if better else max(0.6 * trust, 0.01)
        watch.note(values, trust=trust)
        point = best if won or line.climbing else tried[first]


def _first(line: Line, die: torch.Generator) -> tuple[Tensor | None, bool]:
    warm, clean = line.oracle.start[line.row], line.clean
    white = torch.randn(clean.shape, generator=die).to(clean)
    white = white * (line.norm / white.norm())
    tried = [torch.zeros_like(clean), *(warm * louder for louder in (1.0, 1.03, 1.1, 1.25, 1.6) if bool(warm.any()))]
    tried += [white * 10 ** (-db / 20) for db in EVEN_DB]
    margin, pull, energy = line.ask(torch.stack(tried))
    if line.climbing:
        return tried[int(pull.argmax())], False
    wins = margin > line.needed
    if bool(wins[0]):
        return None, True
    if bool(wins.any()):
        return tried[int(torch.where(wins, energy, math.inf).argmin())], True
    return tried[0], False
