"""The threat: what the attacker wants, what binds every candidate, and what the attacker may spend.

A `Goal` turns a victim's answer into one number a clip, the margin, above 0 where the goal is met. It is the loss of a
white-box attack and the fitness of a black-box one. The verdict on a written file is `Goal.reached`, asked of the
true victim.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from subterfuge.errors import ThreatError
from subterfuge.threat.goals import Asks, Confident, Goal, Maximise, Targeted, Untargeted, index_of
from subterfuge.threat.limits import LeastSNR, Limit, Peak, Unlimited
from subterfuge.threat.margins import duel_margin, log_odds, soft_duel, tag_odds, vote_margin
from subterfuge.threat.masking import Masking
from subterfuge.threat.tags import TagOff, TagOn, fitted
from subterfuge.threat.words import parse_goal, parse_limit

__all__ = [
    "Asks",
    "Budget",
    "Confident",
    "Goal",
    "LeastSNR",
    "Limit",
    "Masking",
    "Maximise",
    "Measure",
    "Peak",
    "TagOff",
    "TagOn",
    "Targeted",
    "Threat",
    "Unlimited",
    "Untargeted",
    "duel_margin",
    "fitted",
    "index_of",
    "log_odds",
    "parse_goal",
    "parse_limit",
    "soft_duel",
    "tag_odds",
    "vote_margin",
]


Measure = Literal["snr", "nmr"]


@dataclass(frozen=True)
class Budget:
    """What the attacker may spend on one clip; None is no bound but the attack's own.

    A query is one clip through the victim that is searched on, a gradient one backward through it, with the forward
    that it needs.
    """

    queries: int | None = None
    gradients: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for what, value in (
            ("queries", self.queries),
            ("gradients", self.gradients),
            ("seconds", self.seconds),
        ):
            if value is not None and not value > 0:
                raise ThreatError(f"a budget of {value:g} {what} allows nothing; give a number above 0, or none at all")


@dataclass(frozen=True)
class Threat:
    """Goal, limit and budget together."""

    goal: Goal = field(default_factory=Untargeted)
    limit: Limit = field(default_factory=Unlimited)
    budget: Budget = field(default_factory=Budget)
    measure: Measure | None = None
    """By what a change is small: ``snr``, its energy, or ``nmr``, how audible it is by the masking threshold."""

    def __post_init__(self) -> None:
        if self.measure not in (None, "snr", "nmr"):
            raise ThreatError(f"measure '{self.measure}' is not known; snr or nmr was expected")

    @property
    def measured_by(self) -> Measure:
        """The measure: the one that was named, or else the limit's own, and without a limit the energy.

        Without a limit the least weighed noise-to-mask ratio may be a large change in a few loud cells, such as a tone
        that is 5 dB softer, to which models of hearing are blind.
        """
        return self.measure or ("nmr" if self.limit.name == "masking" else "snr")
