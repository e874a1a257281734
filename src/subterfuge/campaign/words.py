"""How an audit's figures and names are said: shares and medians with their intervals, counts, names that are safe."""

from __future__ import annotations

from subterfuge.campaign._figures_draws import Estimate


def percent(share: Estimate) -> str:
    """Show a share with its interval.

    >>> percent(Estimate(0.84, 0.72, 0.91, 44))
    '84 % [72, 91]'
    """
    if share.value is None:
        return "not known"
    ends = "" if share.low is None or share.high is None else f" [{100 * share.low:.0f}, {100 * share.high:.0f}]"
    return f"{100 * share.value:.0f} %{ends}"


def decibels(found: Estimate) -> str:
    """Show a median SNR with its interval; an end that is None reaches to where half of the searches is lost."""
    if found.value is None:
        return "no median"
    if found.low is None and found.high is None:
        return f"{found.value:.1f} dB"
    low, high = ("lost" if end is None else f"{end:.0f}" for end in (found.low, found.high))
    return f"{found.value:.1f} dB [{low}, {high}]"


def said(value: object) -> str:
    """Give a name on one line, without the codes that steer a terminal."""
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in str(value))


def counted(count: int, what: str) -> str:
    """Say a number of things.

    >>> counted(1, "clip"), counted(2, "clip"), counted(1, "search"), counted(0, "search")
    ('1 clip', '2 clips', '1 search', '0 searches')
    """
    if count == 1:
        return f"1 {what}"
    return f"{count} {what}{'es' if what.endswith('ch') else 's'}"


def are(count: int) -> str:
    """Give the verb of a number of things."""
    return "is" if count == 1 else "are"
