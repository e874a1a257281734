"""An oracle in the ear's coordinates, in which energy is the noise-to-mask ratio.

An attack that looks for the change of least energy finds the least audible one here, without knowing: it is shown the
clip, and asked for changes, weighed by the clip's own masking threshold.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from subterfuge.hearing.ear import Ear
from subterfuge.oracle import Hill, Oracle
from subterfuge.threat import Goal
from subterfuge.victim import Victim


class MaskedOracle:
    """Asks an oracle about changes that are given in an ear's coordinates; the rest is that oracle's own.

    Args:
        oracle: of changes of the waves, which measures by the same ear.
        ear: beside the same clips.
    """

    def __init__(self, oracle: Oracle, ear: Ear) -> None:
        self._oracle, self._ear = oracle, ear

    def __getattr__(self, name: str) -> Any:
        return getattr(self._oracle, name)

    @property
    def clean(self) -> Tensor:
        """The clips in these coordinates, shape (N, T)."""
        return self._ear.masked(self._oracle._clean)

    @property
    def start(self) -> Tensor:
        """Where an attack may begin."""
        return self._ear.masked(self._oracle.start)

    @property
    def best(self) -> Tensor:
        """The smallest win of each row, or else the candidate of the largest margin."""
        return self._ear.masked(self._oracle.best)

    def snr_db(self, delta: Tensor) -> Tensor:
        """Give the ratio of clip to change, in dB, both weighed by the threshold."""
        return self._oracle.snr_db(delta)  # lengths of clips are the same here

    def margins(self, delta: Tensor, rows: Tensor | None = None) -> Tensor:
        """Ask one query a row, as `Oracle.margins`."""
        return self._oracle.margins(self._plain(delta, rows), rows)

    def population(self, deltas: Tensor, row: int, hill: Hill = "pull") -> tuple[Tensor, Tensor]:
        """Ask one query a candidate, as `Oracle.population`."""
        return self._oracle.population(self.lift(deltas, row), row, hill)

    def answers(self, deltas: Tensor, row: int) -> tuple[Tensor, Tensor]:
        """Ask as `Oracle.answers`."""
        return self._oracle.answers(self.lift(deltas, row), row)

    def gradient(self, delta: Tensor, rows: Tensor | None = None, *, pull: bool = False) -> tuple[Tensor, Tensor]:
        """Ask one gradient a row, as `Oracle.gradient`."""
        margin, slope = self._oracle.gradient(self._plain(delta, rows), rows, pull=pull)
        return margin, self._of(rows).turned(slope) if len(slope) else slope.new_zeros(0, self.clean.shape[-1])

    def project(self, delta: Tensor, rows: Tensor | None = None) -> Tensor:
        """Give the nearest changes inside the limit."""
        return self._masked(self._oracle.project(self._plain(delta, rows), rows), rows)

    def steepest(self, slope: Tensor, rows: Tensor | None = None) -> Tensor:
        """Give the changes on the limit's edge that gain most along slopes (n, T)."""
        return self._masked(self._oracle.steepest(self._of(rows).unturned(slope), rows), rows)

    def admit(self, delta: Tensor, rows: Tensor | None = None) -> Tensor:
        """Give the nearest admissible changes."""
        return self._masked(self._oracle.admit(self._plain(delta, rows), rows), rows)

    def size(self, delta: Tensor, rows: Tensor | None = None) -> Tensor:
        """Say how large changes are, shape (n,)."""
        length: Tensor = delta.norm(dim=-1)
        return length

    def lift(self, deltas: Tensor, row: int) -> Tensor:
        """Give the changes of the wave that changes (P, T) stand for."""
        return self._ear.of(slice(row, row + 1)).plain(deltas)

    def heard(self, deltas: Tensor, row: int) -> Tensor:
        """Give what the victim would hear."""
        return self._oracle.heard(self.lift(deltas, row), row)

    def others_of(self, row: int) -> Tensor:
        """Give the other sounds as an attack on a clip sees them, shape (M, T')."""
        return self._ear.of(slice(row, row + 1)).masked(self._oracle.others)

    def begin(self, row: int, delta: Tensor) -> None:
        """Let a row begin at a change (T',)."""
        self._oracle.begin(row, self.lift(delta[None], row)[0])

    def over(self, victim: Victim, goal: Goal, row: int) -> MaskedOracle:
        """Give an oracle for one row's clip over another victim, in the same coordinates."""
        return MaskedOracle(self._oracle.over(victim, goal, row), self._ear.of(slice(row, row + 1)))

    def _of(self, rows: Tensor | None) -> Ear:
        return self._ear if rows is None else self._ear.of(rows)

    def _plain(self, delta: Tensor, rows: Tensor | None) -> Tensor:
        return self._of(rows).plain(delta)

    def _masked(self, delta: Tensor, rows: Tensor | None) -> Tensor:
        return self._of(rows).masked(delta)
