"""What a victim hears of a sound after the world has had its way with it: the worst of several views counts.

A change that is to survive transforms must win through each of them, so its margin is the least over the sound itself
and its views. Asking all of them each time is dear: the two that were worst last time are asked, and all of them where
these would win, or every tenth time. (With views that draw anew each time it is an expectation over transformations,
Athalye, Engstrom, Ilyas, Kwok 2018, https://arxiv.org/abs/1707.07397.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

View = Callable[[Tensor], Tensor]
"""From sounds (N, T) to what becomes of them, (N, T), with a gradient."""
ASKED = 2
"""Views that are asked every time."""
ALL = 10
"""Every so many times all views are asked."""


class Worst:
    """Asks about sounds as they are and through some views, and gives the least margin.

    Args:
        views: of the sounds.
        softness: how far from the least margin one still counts for the slope, in units of the margin.
    """

    def __init__(self, views: Sequence[View], softness: float) -> None:
        self._views, self._softness = list(views), softness
        self._latest = [-torch.inf] * len(self._views)
        self._calls = 0
        self.asked = 0
        """Sounds that the last call asked about, a row."""

    @property
    def lowest(self) -> int:
        """The view whose margin was least when it was last asked."""
        return min(range(len(self._views)), key=lambda one: self._latest[one])

    def __call__(
        self, ask: Callable[[Tensor], tuple[Tensor, Tensor]], wave: Tensor, needed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Give the least margin (N,), and a hill (N,) whose slope raises those that are near the least.

        Args:
            ask: gives margins and hills, (N,) each, of sounds (N, T).
            wave: the sounds.
            needed: the margins that win, (N,).
        """
        order = sorted(range(len(self._views)), key=lambda one: self._latest[one])
        first = order if self._calls % ALL == 0 else order[:ASKED]
        self._calls += 1
        pairs = [ask(wave), *(self._ask(ask, one, wave) for one in first)]
        self.asked = len(pairs)
        margins, hills = (torch.stack(list(each)) for each in zip(*pairs, strict=True))
        least = margins.detach().amin(0)
        shares = ((least - margins.detach()) / self._softness).softmax(0)
        rest = [one for one in order if one not in first]
        if bool((least > needed.to(least)).any()):
            for one in rest:
                with torch.no_grad():
                    margin, _ = self._ask(ask, one, wave)
                self.asked += 1
                least = torch.minimum(least, margin)
        return least, (shares * hills).sum(0)

    def _ask(self, ask: Callable[[Tensor], tuple[Tensor, Tensor]], one: int, wave: Tensor) -> tuple[Tensor, Tensor]:
        margin, hill = ask(self._views[one](wave))
        self._latest[one] = float(margin.detach().mean())
        return margin, hill
