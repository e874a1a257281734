"""What a white-box attack climbs on: the twin's nearness to the truth, and the truth of its gradient."""

from __future__ import annotations

from statistics import median

import torch
from torch import Tensor

from subterfuge.victim import Gives, Victim
from subterfuge.victims.check.gradient import Slope, slopes_at
from subterfuge.victims.check.session import NEAR, QUIET, Level, Session

STRANGE = 0.05
"""By how much a slope and finite differences may differ at the kinks of a network."""
LONGEST = 10.0
"""Seconds of a sound at which slopes are compared, for each takes some fifty forward passes."""


def twin_gap(session: Session) -> tuple[Level, str]:
    """Ask: how far do the twin's scores lie from the victim's?"""
    victim, twin = session.victim, session.victim.twin
    if twin is None:
        return "ok", "it is its own twin" if victim.gives >= Gives.GRADIENTS else "it has no twin"
    if twin.labels != victim.labels or twin.sample_rate != victim.sample_rate:
        return "failure", "the twin has other labels or another rate"
    sounds, gap, chance_gap = session.sounds, 0.0, 0.0
    alike, same_kind, has_chances = 0, twin.kind == victim.kind and session.gives_scores, False
    for name, wave in sounds.items():
        alike += int(int(twin.decide(wave)) == int(session.said[name]))
        true = session.answers[name].chances
        with torch.no_grad():
            if same_kind:
                gap = max(gap, float((twin.scores(wave).double() - session.scored[name].double()).abs().max()))
            guess = twin.probabilities(wave)
        if true is not None and guess is not None:
            has_chances, chance_gap = True, max(chance_gap, float((true.double() - guess.double()).abs().max()))
    share = gap / session.spread if same_kind else 0.0
    says = f"the twin gives the true answer for {alike} of {len(sounds)} sounds"
    if same_kind:
        says += f"; its {victim.kind.value} differ by {gap:.2g} at most, {share:.2g} of their spread"
    else:
        says += f"; its scores are {twin.kind.value}, the true ones are of another kind"
    if has_chances:
        says += f"; its probabilities differ by {chance_gap:.2g} at most"
    if share > NEAR * 5 or chance_gap > 0.05 or alike < len(sounds) / 2:
        return "failure", says
    return "ok" if share < NEAR / 10 and chance_gap < 5e-3 and alike == len(sounds) else "warning", says


def _points(session: Session) -> dict[str, Tensor]:
    """Give up to two sounds at which slopes are compared, 10 s of them at most, each over noise 60 dB below it.

    Where a sound is digitally silent, logarithms bend so sharply that no finite difference follows their slope.
    """
    names = session.names[:2] or ["noise", "a tone in noise"]
    dice = torch.Generator().manual_seed(session.seed + 1)
    points = {name: session.sounds[name] for name in names if name in session.sounds} or session.made
    longest = max(LONGEST, float(getattr(session.victim, "probe_seconds", 0.0))) * session.victim.sample_rate
    points = {name: wave[:, : round(longest)] for name, wave in points.items()}
    return {
        name: wave + 1e-3 * wave.square().mean().sqrt() * torch.randn(wave.shape, generator=dice)
        for name, wave in points.items()
    }


def _slopes(session: Session, searched: Victim) -> dict[str, Slope]:
    if not session.slopes:
        session.slopes.update(
            {name: slopes_at(searched, wave, session.seed) for name, wave in _points(session).items()}
        )
    return session.slopes


def gradient(session: Session) -> tuple[Level, str]:
    """Ask: is the gradient that of the scores, by finite differences?"""
    searched = session.searched
    if searched is None:
        return "ok", "there is no gradient to check"
    slopes = _slopes(session, searched)
    worst = max(slopes, key=lambda name: slopes[name].error)
    error, exact = slopes[worst].error, all(slope.exact for slope in slopes.values())
    held = " (stand-ins held still)" if any(slope.stand_ins is not None for slope in slopes.values()) else ""
    precision = "float64" if exact else "float32"
    says = (
        f"gradient and finite differences in {precision}{held} differ by {error:.2g} at most, along "
        f"{slopes[worst].directions} directions at {', '.join(slopes)}"
    )
    if not exact:
        return "ok" if error < STRANGE else "warning", says
    return "ok" if error < 1e-3 else "warning" if error < STRANGE else "failure", says


def stand_ins(session: Session) -> tuple[Level, str]:
    """Ask: how much of the gradient is a smooth stand-in for what steps?"""
    searched = session.searched
    if searched is None:
        return "ok", "there is no gradient that could be another's"
    if not hasattr(searched, "without_stand_ins"):
        return "ok", "no stated stand-ins in its gradient"
    shares = [slope.stand_ins or 0.0 for slope in _slopes(session, searched).values()]
    own = session.victim.warnings  # which are told elsewhere
    notes = "".join(f"; {note}" for note in searched.warnings if note not in own)
    level: Level = "warning" if max(shares) > 0 or notes else "ok"
    return level, f"{max(shares):.0%} of its gradient's length is of smooth stand-ins for features that step{notes}"


def flat(session: Session) -> tuple[Level, str]:
    """Ask: is there a gradient to climb at each sound?"""
    searched = session.searched
    if searched is None:
        return "ok", "there is no gradient to vanish"
    flat, shares = [], []
    for name, wave in session.sounds.items():
        wave = wave.clone().requires_grad_()
        (slope,) = torch.autograd.grad(searched.scores(wave)[:, 0].sum(), wave)
        if not bool(torch.isfinite(slope).all()):
            return "failure", f"the gradient at {name} holds NaN or infinite numbers"
        shares.append(float((slope == 0).float().mean()))
        if shares[-1] == 1.0:
            flat.append(name)
    lively = [name for name in flat if name not in QUIET]
    if len(flat) == len(shares) or 0 < len(lively) == len(set(session.sounds) - QUIET):
        return "failure", "the gradient is zero at every sound: there is nothing to climb"
    n = len(shares)
    if lively:
        return "warning", f"the gradient of the first class vanishes at {len(flat)} of {n} sounds: {', '.join(flat)}"
    also = f"; it is zero at {' and '.join(flat)}" if flat else ""
    return "ok", f"{median(shares):.1%} of the gradient's samples are zero, the median of {n} sounds{also}"
