"""The standard protocol: which searches an audit makes, by name and version, so that two victims can be compared.

What changes a figure changes the version: `VERSION` goes up with any change of a search, of the draw of clips and
targets, or of what is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from subterfuge.attacks import Attack, knobs_of, make_attack
from subterfuge.campaign.effort import EFFORTS, black_box, has_slope
from subterfuge.driver.record import name_of
from subterfuge.errors import InputError, nearest
from subterfuge.transforms import DEFAULT
from subterfuge.victim import Gives, Victim

NAME, VERSION = "subterfuge", 2


@dataclass(frozen=True)
class Search:
    """One way to attack every case."""

    name: str
    says: str
    """For a reader."""
    sees: str
    """What it sees of the victim: gradients, scores, labels, or nothing but a substitute."""
    by: Attack
    goal: str = "targeted"
    """``targeted``, or ``untargeted``: once a clip, and only of clips that are answered rightly."""
    limit: str = ""
    """As the command line says it; empty is none."""
    queries: int | None = None
    """Most of them; None where gradients are followed."""
    substitute: bool = False
    """Whether it searches on a substitute that its queries train, and the victim only judges."""

    def json(self) -> dict[str, Any]:
        """Give it as plain JSON values."""
        told = asdict(replace(self, by=None))  # type: ignore[arg-type]
        del told["by"], told["substitute"]
        return told | {"attack": name_of(self.by), "knobs": {k: _plain(v) for k, v in knobs_of(self.by).items()}}


@dataclass(frozen=True)
class Protocol:
    """How much is asked, and how hard the searches try."""

    level: str
    clips: int
    targets: int
    """Of each clip."""
    clean: int
    """Most clips that are scored as they come."""
    queries: int
    """Of every black box, for each case."""
    draws: int
    """Of noise, for the control of every win."""

    def searches(self, victim: Victim, only: Sequence[str] = ()) -> tuple[Search, ...]:
        """Give the searches that a victim can be asked, in their order.

        Args:
            victim: one without gradients, and without a twin, has no white box; one without scores no ``scores``.
            only: names; all of them where there is none.

        Raises:
            InputError: a name that no search has, or that this victim cannot be asked.
        """
        slope = has_slope(victim)
        white: Attack = EFFORTS[self.level].white if slope else make_attack(black_box(victim))
        sees = "gradients" if slope else victim.gives.name.lower()
        spent = None if slope else self.queries
        every = [
            Search("untargeted", "any other answer, of any size", sees, white, "untargeted", queries=spent),
            Search(
                "masked", "any other answer, below what the clip masks", sees, white, "untargeted", "masking", spent
            ),
        ]
        if slope:
            every.insert(0, Search("white", "the target's answer, by gradients", "gradients", white))
        if victim.gives >= Gives.SCORES:
            scores = make_attack("substitute")
            every.append(Search("scores", "the target's answer, by scores", "scores", scores, queries=self.queries))
        labels = make_attack("hopskipjump")
        every.append(Search("labels", "the target's answer, by labels alone", "labels", labels, queries=self.queries))
        trained = EFFORTS[self.level].white
        says = "the target's answer, on a substitute taught by labels"
        every.append(Search("substitute", says, "a substitute", trained, queries=self.queries, substitute=True))
        names = [one.name for one in every]
        for name in only:
            if name not in NAMES:
                raise InputError(f"search '{name}' is not known; {nearest(name, NAMES)}")
            if name not in names:
                gives = victim.gives.name.lower()
                raise InputError(
                    f"the search {name} asks for more than {victim.name} gives ({gives}); it can be asked: "
                    f"{', '.join(names)}"
                )
        return tuple(one for one in every if not only or one.name in only)


NAMES = ("white", "untargeted", "masked", "scores", "labels", "substitute")
PROTOCOLS = {
    one.level: one
    for one in (
        Protocol("quick", 11, 1, 110, 600, 20),
        Protocol("standard", 22, 2, 330, 2000, 20),
        Protocol("thorough", 55, 4, 10_000, 5000, 50),
    )
}
SURVIVES = ",".join(one.name for one in DEFAULT)
"""What every win is put through."""


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
