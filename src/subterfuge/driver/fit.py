"""Which attack fits a threat and a victim, and why another does not."""

from __future__ import annotations

from subterfuge.attacks import ATTACKS, Attack, climbs
from subterfuge.driver.record import name_of
from subterfuge.errors import AttackError
from subterfuge.threat import Maximise, TagOff, TagOn, Threat, Unlimited
from subterfuge.victim import Gives, Kind, Victim

QUIETEST = {Gives.GRADIENTS: "quietest", Gives.SCORES: "substitute", Gives.LABELS: "hopskipjump"}
"""The attack that is chosen where none is named, by what the victim gives: the best on the original study's rows."""
LARGEST = {Gives.GRADIENTS: "pgd", Gives.SCORES: "evolution"}
"""The same for the goal without an end; labels alone cannot be climbed."""


def default_attack(threat: Threat, victim: Victim) -> str:
    """Give the name of the attack for a threat and a victim where none is named."""
    sees = max(victim.gives, Gives.LABELS if victim.twin is None else victim.twin.gives)
    return (LARGEST if isinstance(threat.goal, Maximise) else {}).get(sees, QUIETEST[sees])


def check_fit(method: Attack, victim: Victim, on: Victim, threat: Threat) -> None:
    """Refuse an attack that cannot do what a threat asks, on what is searched on, and name one that can.

    Raises:
        AttackError: it cannot.
    """
    name = name_of(method)
    if tuple(on.labels) != tuple(victim.labels) or on.sample_rate != victim.sample_rate:
        raise AttackError(
            f"{on.name} has the labels {', '.join(on.labels)} at {on.sample_rate} Hz, and the victim {victim.name} "
            f"{', '.join(victim.labels)} at {victim.sample_rate} Hz; a search on it needs the same of both"
        )
    if isinstance(threat.goal, TagOn | TagOff) and (victim.gives is Gives.LABELS or on.kind is not Kind.TAGS):
        which = victim if victim.gives is Gives.LABELS else on
        raise AttackError(
            f"the goal {threat.goal.name} asks for the scores of every tag, and {which.name} gives "
            f"{'labels only' if which.gives is Gives.LABELS else which.kind.value}; use the goal targeted"
        )
    if on.gives < method.needs:
        why = getattr(victim, "no_twin", None)
        because = f" ({why})" if why else ""
        less = [name for name, kind in ATTACKS.items() if on.gives >= kind.needs]
        raise AttackError(
            f"the attack {name} needs {method.needs.name.lower()}, and the victim {on.name} gives "
            f"{on.gives.name.lower()} only{because}; try an attack that needs no more than that: {', '.join(less)}"
            + (" (or -o learn=labels)" if name == "substitute" else "")
        )
    if isinstance(threat.goal, Maximise) and Gives.LABELS in (method.needs, on.gives):
        raise AttackError(
            f"the goal maximise climbs scores, and {name} sees labels alone of {on.name}; use the goal targeted"
        )
    if isinstance(threat.goal, Maximise) and not climbs(method):
        able = [name for name, kind in ATTACKS.items() if climbs(kind) and on.gives >= kind.needs]
        raise AttackError(
            f"the goal maximise has no end, and {name} stops at its quietest win; use --attack {' or '.join(able)}"
        )
    if method.seeks == "margin" and isinstance(threat.limit, Unlimited):
        raise AttackError(f"{name} looks for the largest margin inside a limit, and there is none; add --limit snr=40")
