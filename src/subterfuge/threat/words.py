"""Goals and limits as the command line says them."""

from __future__ import annotations

import math

from subterfuge.errors import ThreatError, nearest
from subterfuge.threat.goals import Confident, Goal, Maximise, Targeted, Untargeted
from subterfuge.threat.limits import LeastSNR, Limit, Peak, Unlimited
from subterfuge.threat.masking import Masking
from subterfuge.threat.tags import TagOff, TagOn

GOALS = ("targeted", "untargeted", "confident", "maximise", "tag+", "tag-")
VALUED = ("confident", "tag+", "tag-")
"""Goals that take a probability."""


def parse_goal(text: str | None, target: str | None) -> Goal:
    """Read a goal as the command line gives it: one of `GOALS`, some of them with a probability.

    >>> parse_goal("confident=0.8", "tru")
    Confident(target='tru', p=0.8)
    >>> parse_goal(None, None)
    Untargeted()

    Raises:
        ThreatError: no such goal, or a target where none belongs or is missing.
    """
    word, _, value = (text or ("targeted" if target is not None else "untargeted")).partition("=")
    if word not in GOALS:
        raise ThreatError(f"goal '{word}' is not known; {nearest(word, GOALS)}")
    if value and word not in VALUED:
        raise ThreatError(f"goal '{text}': {word} takes no value")
    if word == "untargeted":
        if target is not None:
            raise ThreatError(f"the goal untargeted takes no target, but '{target}' was given; leave one of them out")
        return Untargeted()
    if word == "maximise":
        return Maximise(target)
    if target is None:
        raise ThreatError(f"the goal {word} needs a target; name a label with --target")
    if word == "targeted":
        return Targeted(target)
    if word == "confident":
        return Confident(target, number(value or "0.9", word))
    return (TagOn if word == "tag+" else TagOff)(target, number(value or "0.5", word))


def parse_limit(text: str | None) -> Limit:
    """Read a limit as the command line gives it: ``snr=40``, ``peak=0.001`` or ``masking``, ``masking=6``.

    >>> parse_limit("snr=40")
    LeastSNR(snr_db=40.0)

    Raises:
        ThreatError: no such limit, or a value that is no number.
    """
    if text is None:
        return Unlimited()
    word, _, value = text.partition("=")
    if word not in ("snr", "peak", "masking"):
        known = nearest(word, ["snr", "peak", "masking"])
        raise ThreatError(f"limit '{word}' is not known; {known}; give snr=40, peak=0.001 or masking")
    if word == "masking":
        wanted = "decibels below the masking threshold, from -60 to 60, were expected, such as masking or masking=6"
        return Masking(number(value, "masking", wanted) if "=" in text else 0.0)
    return LeastSNR(number(value, "snr")) if word == "snr" else Peak(number(value, "peak"))


def number(text: str, what: str, wanted: str = "a number was expected") -> float:
    """Read a finite number, or say what it was to be.

    Raises:
        ThreatError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ThreatError(f"{what}={text or '(nothing)'}: {wanted}")
    return value
