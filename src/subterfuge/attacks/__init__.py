"""Attacks: one paper, one file, one line in `ATTACKS`.

An attack is a frozen dataclass of knobs with `needs` (what it must see of the victim), `seeks` (what makes one win
better than another), `says` (one line for a user), and a call that searches through an `Oracle`. It reads and writes
nothing else and keeps nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Literal, Protocol, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from subterfuge.attacks.evolution import Evolution
from subterfuge.attacks.genetic import Genetic
from subterfuge.attacks.guided import Guided
from subterfuge.attacks.hopskipjump import HopSkipJump
from subterfuge.attacks.kenansville import Kenansville
from subterfuge.attacks.nes import NES
from subterfuge.attacks.noise import Noise
from subterfuge.attacks.pgd import PGD
from subterfuge.attacks.quietest import Quietest
from subterfuge.attacks.square import Square
from subterfuge.attacks.study_ga import StudyGA
from subterfuge.attacks.substitute import Substitute
from subterfuge.errors import AttackError, nearest
from subterfuge.oracle import Oracle, Seeks
from subterfuge.victim import Gives

__all__ = [
    "ATTACKS",
    "NES",
    "PGD",
    "Attack",
    "Evolution",
    "Genetic",
    "Guided",
    "HopSkipJump",
    "Kenansville",
    "Noise",
    "Quietest",
    "Square",
    "StudyGA",
    "Substitute",
    "climbs",
    "knobs_of",
    "make_attack",
]


class Attack(Protocol):
    """A search for a change that meets the goal."""

    needs: ClassVar[Gives]
    seeks: ClassVar[Seeks]
    says: ClassVar[str]
    # climbs: ClassVar[bool], true if it can serve a goal without an end although it seeks quiet
    # keeps_to_waves: ClassVar[bool], true if it makes no sense in the ear's coordinates (`oracle.masked`)
    # starts_elsewhere: ClassVar[bool], true if other sounds are of use to it (`Oracle.others`)

    def __call__(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator]) -> None:
        """Ask the oracle about changes of the clips `clean` (N, T), each row with its own generator."""
        ...


ATTACKS: dict[str, type[Attack]] = {
    "quietest": Quietest,
    "pgd": PGD,
    "substitute": Substitute,
    "guided": Guided,
    "evolution": Evolution,
    "nes": NES,
    "square": Square,
    "genetic": Genetic,
    "study-ga": StudyGA,
    "hopskipjump": HopSkipJump,
    "kenansville": Kenansville,
    "noise": Noise,
}
"""From the name on the command line to the attack; the contract tests and the tables follow from it."""


def climbs(attack: Attack | type[Attack]) -> bool:
    """Say whether an attack can serve a goal without an end: it looks for the largest margin, or can do so as well.

    >>> climbs(PGD), climbs(Quietest)
    (True, False)
    """
    return attack.seeks == "margin" or bool(getattr(attack, "climbs", False))


def knobs_of(attack: Attack | type[Attack]) -> dict[str, Any]:
    """Give an attack's knobs and their values (the defaults, for a class).

    >>> knobs_of(Noise)["spectrum"]
    'white'
    """
    one = attack() if isinstance(attack, type) else attack
    return {knob.name: getattr(one, knob.name) for knob in fields(one)}  # type: ignore[arg-type]


def make_attack(name: str, options: Mapping[str, str] | None = None) -> Attack:
    """Build an attack from its name and its knobs as texts.

    >>> make_attack("noise", {"draws": "5"}).draws
    5

    Raises:
        AttackError: no such attack or knob (the nearest is named), or a value of another type.
    """
    if name not in ATTACKS:
        raise AttackError(f"attack '{name}' is not known; {nearest(name, ATTACKS)}")
    kind = ATTACKS[name]
    hints = get_type_hints(kind)
    known = [knob.name for knob in fields(kind)]  # type: ignore[arg-type]
    values = {}
    for knob, text in (options or {}).items():
        if knob not in known:
            raise AttackError(f"{name} has no knob '{knob}'; {nearest(knob, known)}")
        values[knob] = _value(name, knob, text, hints[knob])
    return kind(**values)


def _value(attack: str, knob: str, text: str, wanted: Any) -> Any:
    if get_origin(wanted) is Literal:
        if text not in get_args(wanted):
            raise AttackError(f"{attack} {knob}={text}: {' or '.join(map(str, get_args(wanted)))} was expected")
        return text
    if get_origin(wanted) is tuple:
        return tuple(_value(attack, knob, part, get_args(wanted)[0]) for part in text.split(","))
    try:
        value = wanted(text)
    except ValueError:
        what = {int: "a whole number", float: "a number"}.get(wanted, wanted.__name__)
        raise AttackError(f"{attack} {knob}={text}: {what} was expected") from None
    if isinstance(value, float) and math.isnan(value):
        raise AttackError(f"{attack} {knob}={text}: a number was expected")
    return value
