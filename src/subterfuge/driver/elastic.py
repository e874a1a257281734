"""A limit that the judge draws tighter: rounding and resampling add to a change after the search has measured it."""

from __future__ import annotations

import math
from dataclasses import replace

from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.errors import ThreatError
from subterfuge.hearing.noise_to_mask import noise_to_mask_of_channels
from subterfuge.threat import LeastSNR, Limit, Masking, Peak

NEARLY_DB = 0.01
"""By which a file's loudest cell may miss a masking limit: other frames, other arithmetic."""


class Elastic:
    """A limit that holds on the file, and what is asked of the search so that it does."""

    def __init__(self, limit: Limit) -> None:
        self.name, self._asked, self._search = limit.name, limit, limit

    def at(self, rows: Tensor | slice) -> Limit:
        """Give what is asked of the search for some rows."""
        return self._search.at(rows)

    def project(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Give the nearest perturbation inside what is asked of the search."""
        return self._search.project(delta, clean)

    def allows(self, delta: Tensor, clean: Tensor) -> Tensor:
        """Say which rows are inside what is asked of the search, bool (N,)."""
        return self._search.allows(delta, clean)

    def steepest(self, slope: Tensor, clean: Tensor) -> Tensor:
        """Give the change on the edge of what is asked of the search that gains most."""
        return self._search.steepest(slope, clean)

    def holds(self, heard: Tensor, clean: Tensor) -> bool:
        """Say whether a file's wave (1, T), read back, is inside the limit that was asked for."""
        return bool(self._asked.allows(heard - clean, clean)[0])

    def over_db(self, clip: Clip, changed: Clip) -> float:
        """Say how far a file lies beyond a masking limit in any of its channels, at its own rate; 0 of other limits."""
        if not isinstance(self._asked, Masking):
            return 0.0
        found = noise_to_mask_of_channels(clip.samples, changed.samples, clip.sample_rate)
        return 0.0 if found is None else max(0.0, found.largest_db + self._asked.margin_db - NEARLY_DB)

    def tighten(self, heard: Tensor, clean: Tensor, over_db: float = 0.0) -> None:
        """Ask the search for less, by what a file's wave (1, T) or the file (dB) has too much and a little more."""
        change, now = heard - clean, self._search
        try:
            if isinstance(self._asked, LeastSNR) and isinstance(now, LeastSNR):
                over = float(change.norm() / self._asked.radius(clean)[0, 0])
                self._search = LeastSNR(now.snr_db + _db(over) + 0.005)
            elif isinstance(self._asked, Peak) and isinstance(now, Peak):
                over = float(change.abs().max() / self._asked.peak)
                self._search = Peak(now.peak / (1.002 * max(1.0, over)))
            elif isinstance(self._asked, Masking) and isinstance(now, Masking):
                over_db = max(over_db, self._asked.over_db(change))
                self._search = replace(now, margin_db=now.margin_db + max(0.0, over_db) + 0.05)
        except ThreatError:  # beyond what a limit can say: it stays, and the attack is lost
            return


def _db(ratio: float) -> float:
    return 20 * math.log10(max(1.0, ratio))
