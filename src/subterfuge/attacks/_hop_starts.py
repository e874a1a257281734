"""Where a label-only search may begin: loud changes that happen to meet the goal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from subterfuge.attacks._hop_labels import Labels
from subterfuge.attacks.noise import levels_db, white

SHARES = (0.4, 0.6, 0.8)
"""How much of another sound is mixed in, where the whole of it meets the goal."""
AGAIN = 18
"""How often genomes are drawn anew where nothing has won: some 9,000 queries in all, with 96 draws a level. With a
budget of queries they are drawn until it ends."""
KICKS_DB = (-12.0, -6.0, 0.0, 6.0)
"""Levels of kicks, in dB below the change that is kicked."""


@dataclass(frozen=True)
class Start:
    """A change that met the goal."""

    kind: str
    """``last`` (the win that the file lost), ``noise``, ``found`` (a random genome), ``other`` or ``filter``."""
    delta: Tensor


def starts_of(
    labels: Labels, clean: Tensor, genes: Tensor, draws: int, enough: int, die: torch.Generator
) -> list[Start]:
    """Find changes of a clip (T,) that meet the goal, the quietest after a coarse shrinking first.

    Rising white noise, then the other sounds, then genomes at random, rising, until `enough` starts are there; and,
    where nothing was found, genomes again and again. Empty where none was found. Where noise lost and another sound
    won, the genomes are left out: they take 700 queries, and a walk from the sound gains more with them.
    """
    found: list[Start] = []
    for kind, tries in _tries(labels, clean, genes, draws, die):
        if kind == "others":
            found += _elsewhere(labels, clean)
            continue
        if kind == "again" and found:
            break
        kinds = {start.kind for start in found}
        if len(found) >= enough or (kind == "found" and "other" in kinds and not kinds & {"last", "noise"}):
            continue
        if kind in ("last", "noise") and any(start.kind == kind for start in found):
            continue
        met = labels(tries).nonzero()[:, 0].tolist()
        name, most = ("found", 3) if kind in ("found", "again") else (kind, 1)
        found += [Start(name, labels.inside(tries[place])) for place in met[:most]]
    return _shrunk(labels, found)


def kicked(labels: Labels, at: Tensor, genes: Tensor, draws: int, die: torch.Generator) -> list[Start]:
    """Find wins at random around a win (T,), among random genomes louder and quieter than it; the quietest first."""
    found: list[Start] = []
    for db in KICKS_DB:
        tries = at + at_level(genomes(genes, draws, die, quiet=True), db, float(at.norm()))
        found += [Start("kick", labels.inside(tries[place])) for place in labels(tries).nonzero()[:2, 0].tolist()]
    return _shrunk(labels, found)


def _elsewhere(labels: Labels, clean: Tensor) -> list[Start]:
    """Ask about each other sound in the clip's (T,) place; of those that win, about mixtures and the filtered clip."""
    found: list[Start] = []
    others = labels.oracle.others_of(labels.row)
    whole = at_level(others, 0.0, labels.loudness) - clean
    for place in labels(whole).nonzero()[:, 0].tolist() if len(whole) else ():
        shaped = at_level(filtered(clean, others[place])[None], 0.0, labels.loudness) - clean
        met = labels(torch.cat([torch.tensor(SHARES).to(clean)[:, None] * whole[place], shaped])).tolist()
        share = next((share for share, won in zip(SHARES, met, strict=False) if won), 1.0)
        found.append(Start("other", labels.inside(share * whole[place])))
        if met[-1]:
            found.append(Start("filter", labels.inside(shaped[0])))
    return found


def _shrunk(labels: Labels, found: list[Start]) -> list[Start]:
    shrunk = [Start(start.kind, labels.shrink(start.delta, 0.05)) for start in found]
    return sorted(shrunk, key=lambda start: float(start.delta.norm()))


def _tries(
    labels: Labels, clean: Tensor, genes: Tensor, draws: int, die: torch.Generator
) -> Iterator[tuple[str, Tensor]]:
    oracle = labels.oracle
    last = oracle.start[labels.row]
    if bool(last.any()):
        for scale in (1.0, 1.05, 1.25, 2.0, 4.0):
            yield "last", scale * last[None]
    for db in levels_db(60, 0, 5):
        yield "noise", at_level(white(clean.expand(2, -1), die), db, labels.loudness)
    yield "others", clean[None]
    for db in levels_db(50, -10, 10):
        yield "found", at_level(genomes(genes, draws, die, quiet=db > 0), db, labels.loudness)
    for _ in count() if oracle.most_queries is not None else range(AGAIN):
        for db in levels_db(30, -10, 10):
            yield "again", at_level(genomes(genes, draws, die, quiet=db > 0), db, labels.loudness)


def at_level(sounds: Tensor, db: float, loudness: float) -> Tensor:
    """Scale sounds (n, T) to `db` below a loudness; silence stays silent."""
    scaled: Tensor = sounds * (loudness * 10 ** (-db / 20) / sounds.norm(dim=1, keepdim=True).clamp_min(1e-20))
    return scaled


def genomes(genes: Tensor, count: int, die: torch.Generator, *, quiet: bool) -> Tensor:
    """Draw changes (count, T) from genes (G, T): a tenth of the genes to all, each of size 1 / level^p.

    p between 0 (every cell changes by as much in dB) and 1 (every cell gets as much energy); above 3/4 if quiet.
    """
    p = torch.rand(count, 1, generator=die)
    p = (0.75 + 0.25 * p if quiet else p).to(genes)
    dense = 0.1 + 0.9 * torch.rand(count, 1, generator=die)
    chosen = torch.rand(count, len(genes), generator=die) < dense
    level = genes.norm(dim=1)
    level = level.clamp_min(1e-7 * float(level.max())).clamp_min(1e-20)
    theta = (torch.randn(count, len(genes), generator=die) * chosen).to(genes) / level**p
    drawn: Tensor = theta @ genes
    return drawn


def filtered(clean: Tensor, other: Tensor) -> Tensor:
    """Filter a sound (T,) so that its long-term spectrum, smoothed, is that of another."""
    spectrum = torch.fft.rfft(clean)
    width = 2 * (len(spectrum) // 300) + 1
    power = torch.stack([spectrum.abs() ** 2, torch.fft.rfft(other).abs() ** 2])[:, None]
    mine, wanted = torch.nn.functional.avg_pool1d(power, width, 1, width // 2, count_include_pad=False)[:, 0]
    shaped: Tensor = torch.fft.irfft(spectrum * (wanted / mine.clamp_min(1e-20)).sqrt(), n=len(clean))
    return shaped
