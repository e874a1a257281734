"""The control: noise that knows nothing, louder and louder, until the victim's answer happens to be the wanted one.

An attack is worth what it gains over this. Black box: it needs the answer alone.
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
class Noise:
    """White noise, or noise of the clip's own spectrum, from quiet to loud."""

    spectrum: Literal["white", "clip"] = "white"
    quietest_db: float = 70.0
    loudest_db: float = 0.0
    step_db: float = 2.0
    """Levels are signal-to-noise ratios in dB, from `quietest_db` down to `loudest_db`."""
    draws: int = 3
    """Draws at each level."""
    needs: ClassVar[Gives] = Gives.LABELS
    seeks: ClassVar[Seeks] = "quiet"
    keeps_to_waves: ClassVar[bool] = True
    says: ClassVar[str] = "the control: random noise, rising until it happens to win (black box)"

    def __post_init__(self) -> None:
        if self.spectrum not in ("white", "clip"):
            raise AttackError(f"noise spectrum={self.spectrum} is not known; white or clip was expected")
        expect("noise", "loudest_db", self.loudest_db, -60, 150)
        expect("noise", "quietest_db", self.quietest_db, self.loudest_db, 150)
        expect("noise", "step_db", self.step_db, 0.01, 210)
        expect("noise", "draws", self.draws, 1)

    def __call__(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator]) -> None:
        """Raise the level until every row has won, or the loudest is reached."""
        for db in levels_db(self.quietest_db, self.loudest_db, self.step_db):
            for _ in range(self.draws):
                rows = (~oracle.won).nonzero()[:, 0]
                if not len(rows):
                    return
                noise = torch.stack([self._draw(clean[row], dice[row]) for row in rows.tolist()])
                scale = clean[rows].norm(dim=-1, keepdim=True) / noise.norm(dim=-1, keepdim=True)
                oracle.margins(noise * scale * 10 ** (-db / 20), rows)

    def _draw(self, clean: Tensor, die: torch.Generator) -> Tensor:
        return white(clean, die) if self.spectrum == "white" else same_spectrum(clean, die)


def levels_db(quietest: float, loudest: float, step: float) -> list[float]:
    """Give levels from quiet to loud.

    >>> levels_db(6, 0, 2)
    [6, 4, 2, 0]
    """
    count = int((quietest - loudest) / step + 1e-9) + 1
    return [quietest - step * place for place in range(count)]


def white(like: Tensor, die: torch.Generator) -> Tensor:
    """Draw white Gaussian noise of the shape (T,) of `like`."""
    return torch.randn(like.shape, generator=die).to(like)


def same_spectrum(like: Tensor, die: torch.Generator) -> Tensor:
    """Draw a sound (T,) of the same magnitude in every bin of the whole sound's Fourier transform, phases at random."""
    spectrum = torch.fft.rfft(like)
    turn = torch.rand(spectrum.shape, generator=die).to(like) * (2 * torch.pi)
    turn[0] = 0
    if like.shape[-1] % 2 == 0:
        turn[-1] = 0
    drawn: Tensor = torch.fft.irfft(spectrum * torch.polar(torch.ones_like(turn), turn), n=like.shape[-1])
    return drawn
