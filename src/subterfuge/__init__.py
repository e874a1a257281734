"""How little must change in a sound before a classifier believes something else?

>>> from subterfuge import Clip, Targeted, Threat, attack, load_victim
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from subterfuge.audio import Clip
    from subterfuge.driver import attack
    from subterfuge.errors import SubterfugeError
    from subterfuge.outcome import Outcome
    from subterfuge.threat import Budget, Confident, LeastSNR, Maximise, Peak, Targeted, Threat, Untargeted
    from subterfuge.victim import Gives, Kind, Victim
    from subterfuge.victims import load_victim
    from subterfuge.victims.check import check_victim

_HOMES = {
    "Budget": "threat",
    "Clip": "audio",
    "Confident": "threat",
    "Gives": "victim",
    "Kind": "victim",
    "LeastSNR": "threat",
    "Maximise": "threat",
    "Outcome": "outcome",
    "Peak": "threat",
    "SubterfugeError": "errors",
    "Targeted": "threat",
    "Threat": "threat",
    "Untargeted": "threat",
    "Victim": "victim",
    "attack": "driver",
    "check_victim": "victims.check",
    "load_victim": "victims",
}

__all__ = [
    "Budget",
    "Clip",
    "Confident",
    "Gives",
    "Kind",
    "LeastSNR",
    "Maximise",
    "Outcome",
    "Peak",
    "SubterfugeError",
    "Targeted",
    "Threat",
    "Untargeted",
    "Victim",
    "attack",
    "check_victim",
    "load_victim",
]


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``import subterfuge`` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'subterfuge' has no attribute '{name}'")
    value = getattr(import_module(f"subterfuge.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
