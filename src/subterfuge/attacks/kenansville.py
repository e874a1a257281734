"""Leave out what is weak: spectral components below a threshold, and the least threshold that changes the answer.

The cheap black-box baseline of Abdullah et al. (2019), https://arxiv.org/abs/1910.05262: a sound is taken apart by the
Fourier transform of the whole clip, by one of short frames, or by singular spectrum analysis (SSA); its components
weaker than a threshold are left out; the threshold is bisected. It asks for labels alone, and takes some tens of
queries. It aims at no class: for a targeted goal it tells whether a removal happens to reach it.

Where no removal wins it goes `beyond` the paper, and says so in its finding: the weak components are taken away twice,
or doubled, and then, at random, each band gets a threshold and a factor of its own. A finding's `kind` is "removal"
(with `domain` and `threshold_db`, below the strongest component), "beyond" or "none".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from subterfuge.attacks._kenansville_parts import Parts, apart
from subterfuge.attacks.knobs import expect
from subterfuge.errors import AttackError
from subterfuge.oracle import Oracle, Seeks
from subterfuge.victim import Gives

QUIETEST_DB, LOUDEST_DB = 66.0, 1.0
"""Removals that are tried, as ratios of the clip to what is left out."""
DOMAINS = ("dft", "stft", "ssa")


@dataclass(frozen=True, kw_only=True)
class Kenansville:
    """The least removal of weak spectral components that changes the answer."""

    domain: Literal["all", "dft", "stft", "ssa"] = "all"
    """How a sound is taken apart: the whole clip's spectrum, that of frames, singular spectrum analysis, or each."""
    step_db: float = 6.0
    """From one level of removal to the next, louder, until one wins..."""
    fine_db: float = 0.5
    """...between which and the one before it is bisected down to this."""
    beyond: int = 100
    """Queries beyond pure removal where none wins; 0 for the paper's attack alone."""
    bands: int = 12
    """Bands, of equal width in mel, that get thresholds and factors of their own beyond pure removal."""
    needs: ClassVar[Gives] = Gives.LABELS
    seeks: ClassVar[Seeks] = "quiet"
    keeps_to_waves: ClassVar[bool] = True
    says: ClassVar[str] = "weak spectral components left out, as few as change the answer (black box: labels)"

    def __post_init__(self) -> None:
        if self.domain not in ("all", *DOMAINS):
            raise AttackError(f"kenansville domain={self.domain} is not known; all, dft, stft or ssa was expected")
        expect("kenansville", "step_db", self.step_db, 0.1, 60)
        expect("kenansville", "fine_db", self.fine_db, 0.01, 60)
        expect("kenansville", "beyond", self.beyond, 0)
        expect("kenansville", "bands", self.bands, 1, 256)

    def __call__(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator]) -> None:
        """Try each row in turn."""
        for row in range(len(clean)):
            oracle.findings[row]["kind"] = "none"
            tries = Tries(oracle, row, clean[row])
            sorts = []
            for domain in DOMAINS if self.domain == "all" else (self.domain,):
                parts = apart(domain, clean[row], oracle.sample_rate)
                sorts.append(parts)
                self._remove(tries, parts, domain)
            if not tries.won:
                self._go_beyond(tries, sorts, dice[row])

    def _remove(self, tries: Tries, parts: Parts, domain: str) -> None:
        lost, won, db = math.inf, None, QUIETEST_DB
        while won is None and db >= max(LOUDEST_DB, tries.best_db):  # no louder than another domain's win
            met = tries.removal(parts, db, domain)
            lost, won = (lost, db) if met else (db, None)
            db = LOUDEST_DB if LOUDEST_DB < db < LOUDEST_DB + self.step_db else db - self.step_db
        if won is None or lost == math.inf:
            return
        while lost - won > self.fine_db:
            middle = (lost + won) / 2
            lost, won = (lost, middle) if tries.removal(parts, middle, domain) else (middle, won)

    def _go_beyond(self, tries: Tries, sorts: list[Parts], die: torch.Generator) -> None:
        left = self.beyond
        for parts in sorts:
            for db in (24.0, 12.0, 6.0):
                for factor in (2.0, -1.0):  # taken away twice, or doubled
                    if left <= 0 or tries.won:
                        break
                    tries.ask(
                        -factor * parts.weakest(db)[0], {"kind": "beyond", "how": f"weak parts times {1 - factor:g}"}
                    )
                    left -= 1
        for turn in range(left):
            parts = sorts[int(torch.randint(len(sorts), (), generator=die))]
            rolls = torch.rand(2, self.bands, generator=die)
            levels, factors = 40 * rolls[0], 4 * rolls[1] - 2
            change = parts.mixed(levels.tolist(), factors.tolist())
            db = 36 - 40 * turn / max(1, left)
            size = 0.9 * tries.size if tries.won else tries.loud * 10 ** (-db / 20)
            change = change * (size / max(float(change.norm()), 1e-30))
            tries.ask(change, {"kind": "beyond", "how": "bands at random"})


class Tries:
    """One row's questions, and what the quietest win was."""

    def __init__(self, oracle: Oracle, row: int, clean: Tensor) -> None:
        self.oracle, self.row, self.rows = oracle, row, torch.tensor([row])
        self.loud = float(clean.norm())
        self.floor = 1.02 * float(oracle.start[row].norm())
        """What is no louder than a win that its file lost is not asked again."""

    @property
    def won(self) -> bool:
        """Whether anything won."""
        return bool(self.oracle.won[self.row])

    @property
    def best_db(self) -> float:
        """The ratio of the clip to the quietest win, in dB; minus infinity where nothing won."""
        return 20 * math.log10(self.loud / max(self.size, 1e-30)) if self.won and self.loud > 0 else -math.inf

    @property
    def size(self) -> float:
        """The length of the quietest win."""
        return float(self.oracle.best_size[self.row])

    def removal(self, parts: Parts, db: float, domain: str) -> bool:
        """Ask about the clip without its weakest parts; say whether it won. One beyond the limit does not."""
        weak, threshold_db = parts.weakest(db)
        if float((self.oracle.project(-weak[None], self.rows)[0] + weak).norm()) > 1e-3 * float(weak.norm()):
            return False
        return self.ask(-weak, {"kind": "removal", "domain": domain, "threshold_db": round(threshold_db, 2)})

    def ask(self, change: Tensor, finding: dict[str, str | float]) -> bool:
        """Ask one query, note what it found, and say whether it won; false where it is too quiet to be asked."""
        if float(change.norm()) < self.floor:
            return False
        before = self.size if self.won else math.inf
        if not len(self.oracle.population(change[None], self.row)[0]):
            return False
        met = bool(self.oracle.met[self.row])
        if met and self.size < before:
            self.oracle.findings[self.row].clear()
            self.oracle.findings[self.row].update(finding)
        return met
