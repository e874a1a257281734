"""Tell what is wrong with a victim: the conformance check for anything that claims to be one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from subterfuge.victim import Gives, Kind, Victim, winner
from subterfuge.victims._check_gradient import Slope, slopes_at

Level = Literal["ok", "warning", "failure"]

SAME = 1e-4
"""Differences of scores below this share of their spread are rounding."""
NEAR = 1e-2
"""Differences of scores above this share of their spread are a fault."""
STRANGE = 0.05
"""Twice differentiated numerically or by the chain rule, slopes may differ by this much at the kinks of a network."""

QUIET = {"near-silence", "silence"}
"""Sounds that an attack never asks about, so that a victim may die of them."""


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    level: Level
    says: str
    """One sentence, with numbers."""


@dataclass(frozen=True)
class Report:
    """What every check found; `dataclasses.asdict` makes it fit for JSON."""

    victim: str
    findings: tuple[Finding, ...]

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings that make the victim unfit."""
        return tuple(each for each in self.findings if each.level == "failure")


def check_victim(victim: Victim, clips: Sequence[np.ndarray[Any, Any]] = (), *, seed: int = 0) -> Report:
    """Ask a victim everything that an attack relies on. It never raises: a victim that does is a finding.

    Args:
        victim: what claims to be one.
        clips: waves as the victim would hear them, each (T,), at its rate. Made sounds are asked too, as long as the
            first clip, or as `victim.probe_seconds` or a second.
        seed: of the made sounds and of the directions in which slopes are compared.

    Returns:
        Findings by the names of `CHECKS`; "protocol" alone if the victim lacks what every victim has.
    """
    name = _try(lambda: str(victim.name), "?")
    found = [_guarded("protocol", lambda: _protocol(victim))]
    if found[0].level != "failure":
        session = _Session(victim, clips, seed)
        found += [_guarded(key, lambda check=check: check(session)) for key, check in CHECKS.items()]  # type: ignore[misc]
    return Report(name, tuple(found))


def _guarded(name: str, check: Callable[[], tuple[Level, str]]) -> Finding:
    try:
        level, says = check()
    except Exception as reason:
        return Finding(name, "failure", f"could not be checked: {_said(reason)}")
    return Finding(name, level, says)


def _try(ask: Callable[[], str], otherwise: str) -> str:
    try:
        return ask()
    except Exception:
        return otherwise


class _Session:
    """A victim, the sounds that it is asked, and what it answered to each alone."""

    def __init__(self, victim: Victim, clips: Sequence[np.ndarray[Any, Any]], seed: int) -> None:
        self.victim = victim
        self.clips = [torch.from_numpy(np.array(clip, dtype=np.float32)).reshape(1, -1) for clip in clips]
        self.seed = seed

    @cached_property
    def made(self) -> dict[str, Tensor]:
        """Made sounds, each (1, T)."""
        rate = self.victim.sample_rate
        seconds = float(getattr(self.victim, "probe_seconds", 1.0))
        length = self.clips[0].shape[1] if self.clips else round(rate * seconds)
        dice = torch.Generator().manual_seed(self.seed)
        noise = (0.1 * torch.randn(1, length, generator=dice)).clamp(-1, 1)
        tone = 0.5 * torch.sin(2 * torch.pi * 440 / rate * torch.arange(length))[None]
        loud = {"noise": noise, "a tone": tone, "a tone in noise": 0.8 * tone + 0.1 * noise}
        return loud | {"near-silence": 1e-5 * noise, "silence": torch.zeros_like(noise)}

    @cached_property
    def every(self) -> dict[str, Tensor]:
        """Clips, then made sounds."""
        return {f"clip {place}": clip for place, clip in enumerate(self.clips, 1)} | self.made

    @cached_property
    def deaths(self) -> dict[str, str]:
        """The sounds at which the victim raises or answers no number, and what it says."""
        told = {}
        for name, wave in self.every.items():
            try:
                with torch.no_grad():
                    self.victim.decide(wave)
                    scores = self.victim.scores(wave) if self.gives_scores else None
                    chances = self.victim.probabilities(wave)
            except Exception as reason:
                told[name] = _said(reason)
                continue
            if any(isinstance(each, Tensor) and not bool(torch.isfinite(each).all()) for each in (scores, chances)):
                told[name] = "NaN or infinite numbers"
        return told

    @cached_property
    def sounds(self) -> dict[str, Tensor]:
        """The sounds that the victim answers; all of them if there are none, so that every check tells why."""
        alive = {name: wave for name, wave in self.every.items() if name not in self.deaths}
        return alive or self.every

    @cached_property
    def said(self) -> dict[str, Tensor]:
        """What `decide` answers to each sound alone, (1,)."""
        return {name: self.victim.decide(wave) for name, wave in self.sounds.items()}

    @cached_property
    def scored(self) -> dict[str, Tensor]:
        """What `scores` gives of each sound alone."""
        with torch.no_grad():
            return {name: self.victim.scores(wave) for name, wave in self.sounds.items()}

    @cached_property
    def spread(self) -> float:
        """How far the scores of all sounds lie apart."""
        every = torch.cat([scores.flatten() for scores in self.scored.values()]).double()
        return max(float(every.max() - every.min()), 1e-12)

    @property
    def gives_scores(self) -> bool:
        return self.victim.gives >= Gives.SCORES

    @property
    def searched(self) -> Victim | None:
        """What a white-box attack climbs on."""
        return self.victim if self.victim.gives >= Gives.GRADIENTS else self.victim.twin


def _protocol(victim: Victim) -> tuple[Level, str]:
    members = [each for each in dir(Victim) if not each.startswith("_")]
    lacks = [each for each in members if not hasattr(victim, each)]
    if lacks:
        return "failure", f"it lacks {', '.join(lacks)}"
    wrong = []
    labels = victim.labels
    if not isinstance(labels, tuple) or not all(isinstance(each, str) for each in labels):
        wrong.append("labels is no tuple of texts")
    elif len(labels) < 2 or len(set(labels)) < len(labels):
        wrong.append(f"labels are not two or more different ones: {labels}")
    if not isinstance(victim.sample_rate, int) or victim.sample_rate <= 0:
        wrong.append(f"sample_rate is {victim.sample_rate!r}, not a positive whole number")
    for name, kind in (("name", str), ("fingerprint", str), ("gives", Gives), ("kind", Kind), ("warnings", tuple)):
        if not isinstance(getattr(victim, name), kind):
            wrong.append(f"{name} is a {type(getattr(victim, name)).__name__}, not a {kind.__name__}")
    wrong += [f"{each} is no method" for each in ("decide", "scores", "probabilities") if not _callable(victim, each)]
    if wrong:
        return "failure", "; ".join(wrong)
    return "ok", f"it has all {len(members)} members of a victim; {len(labels)} labels, {victim.sample_rate} Hz"


def _callable(victim: Victim, name: str) -> bool:
    return callable(getattr(victim, name))


def _access(session: _Session) -> tuple[Level, str]:
    victim = session.victim
    if victim.gives >= Gives.GRADIENTS:
        return "ok", f"it gives {victim.kind.value} with gradients: white box, and it is its own twin"
    what = "labels only" if victim.gives == Gives.LABELS else victim.kind.value
    if victim.twin is not None:
        return "ok", f"it gives {what} itself, and has a twin whose {victim.twin.kind.value} have gradients: white box"
    why = getattr(victim, "no_twin", None)
    if why:
        return "warning", f"it gives {what} and has no twin ({why}): black box only"
    return "ok", f"it gives {what} and has no twin: black box only"


def _shapes(session: _Session) -> tuple[Level, str]:
    k = len(session.victim.labels)
    for name, said in session.said.items():
        if not isinstance(said, Tensor) or tuple(said.shape) != (1,) or said.dtype != torch.int64:
            return "failure", f"decide of {name} gave {_shown(said)}; an int64 tensor (1,) was expected"
        if not 0 <= int(said) < k:
            return "failure", f"decide of {name} gave the index {int(said)}; it has {k} labels"
    if not session.gives_scores:
        try:
            session.victim.scores(next(iter(session.sounds.values())))
        except Exception:
            return "ok", f"decide gives an index of {k} labels, and scores refuses, as it should"
        return "warning", "it says that it gives labels only, and yet scores answers"
    wanted = (1, k, k) if session.victim.kind == Kind.DUELS else (1, k)
    for name, scores in session.scored.items():
        if not isinstance(scores, Tensor) or tuple(scores.shape) != wanted:
            return "failure", f"scores of {name} are {_shown(scores)}; shape {wanted} was expected for {k} labels"
        if scores.ndim == 3 and float((scores + scores.mT).abs().max()) > 1e-6 * session.spread:
            return "failure", f"duels of {name} are not antisymmetric: i against j is not minus j against i"
    return "ok", f"scores have shape {wanted} and decide gives an index, for {k} labels"


def _finite(session: _Session) -> tuple[Level, str]:
    deaths, n = session.deaths, len(session.every)
    if not deaths:
        return "ok", f"it answers {', '.join(session.made)} and {len(session.clips)} clips with finite numbers"
    first = next(iter(deaths))
    says = f"it has no answer to {len(deaths)} of {n} sounds ({', '.join(deaths)}); to {first}: {deaths[first]}"
    return ("warning" if set(deaths) <= QUIET else "failure"), says


def _determinism(session: _Session) -> tuple[Level, str]:
    apart, other = 0.0, []
    for name, wave in session.sounds.items():
        if not torch.equal(session.victim.decide(wave), session.said[name]):
            other.append(name)
        if session.gives_scores:
            with torch.no_grad():
                again = session.victim.scores(wave)
            apart = max(apart, float((again - session.scored[name]).abs().max()))
    if other:
        return "failure", f"asked twice, it answers another label to {', '.join(other)}: a verdict cannot be trusted"
    if apart > 0:
        share = apart / session.spread
        return (
            "ok" if share < SAME else "warning",
            f"asked twice, scores differ by {apart:.2g}, {share:.2g} of their spread",
        )
    return "ok", f"asked twice, it answers the same to {len(session.sounds)} sounds, to the last bit"


def _batches(session: _Session) -> tuple[Level, str]:
    length = next(iter(session.sounds.values())).shape[1]
    together = {name: wave for name, wave in session.sounds.items() if wave.shape[1] == length}
    batch = torch.cat(list(together.values()))
    said = session.victim.decide(batch)
    if tuple(said.shape) != (len(batch),):
        return "failure", f"decide of {len(batch)} clips gave {_shown(said)}; shape ({len(batch)},) was expected"
    other = [name for name, row in zip(together, said, strict=True) if int(row) != int(session.said[name])]
    if not session.gives_scores:
        if other:
            return (
                "failure",
                f"a clip feels its batch: in a batch of {len(batch)}, {', '.join(other)} has another label",
            )
        return "ok", f"in a batch of {len(batch)}, every sound has the label that it has alone"
    with torch.no_grad():
        scores = session.victim.scores(batch)
    if len(scores) != len(batch):
        return "failure", f"scores of {len(batch)} clips are {_shown(scores)}; {len(batch)} rows were expected"
    apart = max(float((scores[i] - session.scored[name][0]).abs().max()) for i, name in enumerate(together))
    share = apart / session.spread
    says = f"scores alone and in a batch of {len(batch)} differ by {apart:.2g} at most, {share:.2g} of their spread"
    if share > NEAR:
        return "failure", f"a clip feels its batch: {says}"
    if other:
        return "warning", f"{says}, and {', '.join(other)} has another label in the batch (a tie?)"
    return "ok" if share < SAME else "warning", says


def _agreement(session: _Session) -> tuple[Level, str]:
    if not session.gives_scores:
        return "ok", "it gives labels only, so there are no scores to agree with"
    other = []
    for name, scores in session.scored.items():
        best = winner(scores) if scores.ndim == 3 else scores.argmax(-1)
        if int(best) != int(session.said[name]):
            other.append(name)
    what = "the vote of its duels" if session.victim.kind == Kind.DUELS else "the largest of its scores"
    n = len(session.sounds)
    if other:
        return "warning", f"its answer is not {what} for {len(other)} of {n} sounds: {', '.join(other)}"
    return "ok", f"its answer is {what} for all {n} sounds"


def _sums(session: _Session) -> tuple[Level, str]:
    every = [_probabilities(session.victim, wave) for wave in session.sounds.values()]
    if any(chances is None for chances in every):
        some = any(chances is not None for chances in every)
        return ("failure", "probabilities are None for some sounds only") if some else ("ok", "it has no probabilities")
    wanted = (1, len(session.victim.labels))
    wrong = [chances for chances in every if chances is not None and tuple(chances.shape) != wanted]
    if wrong:
        return "failure", f"probabilities are {_shown(wrong[0])}; shape {wanted} was expected"
    rows = torch.cat([chances.double() for chances in every if chances is not None])
    off, least = float((rows.sum(1) - 1).abs().max()), float(rows.min())
    says = f"probabilities add up to 1 within {off:.2g}; the least is {least:.2g}"
    if off > 1e-3 or least < -1e-6 or not bool(torch.isfinite(rows).all()):
        return "failure", says
    return "ok" if off < 1e-5 else "warning", says


def _twin_gap(session: _Session) -> tuple[Level, str]:
    victim, twin = session.victim, session.victim.twin
    if twin is None:
        return "ok", "it is its own twin" if victim.gives >= Gives.GRADIENTS else "it has no twin"
    if twin.labels != victim.labels or twin.sample_rate != victim.sample_rate:
        return "failure", "the twin has other labels or another rate"
    sounds, gap, chance_gap = session.sounds, 0.0, 0.0
    alike, same_kind, has_chances = 0, twin.kind == victim.kind and session.gives_scores, False
    for name, wave in sounds.items():
        alike += int(int(twin.decide(wave)) == int(session.said[name]))
        with torch.no_grad():
            if same_kind:
                gap = max(gap, float((twin.scores(wave).double() - session.scored[name].double()).abs().max()))
            true, guess = victim.probabilities(wave), twin.probabilities(wave)
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


def _points(session: _Session) -> dict[str, Tensor]:
    """Give up to two sounds at which slopes are compared, each over noise 60 dB below it.

    Where a sound is digitally silent, logarithms bend so sharply that no finite difference follows their slope.
    """
    names = [f"clip {place}" for place in range(1, min(len(session.clips), 2) + 1)] or ["noise", "a tone in noise"]
    dice = torch.Generator().manual_seed(session.seed + 1)
    points = {name: session.sounds[name] for name in names if name in session.sounds} or session.made
    return {
        name: wave + 1e-3 * wave.square().mean().sqrt() * torch.randn(wave.shape, generator=dice)
        for name, wave in points.items()
    }


def _gradient(session: _Session) -> tuple[Level, str]:
    searched = session.searched
    if searched is None:
        return "ok", "there is no gradient to check"
    slopes: dict[str, Slope] = {
        name: slopes_at(searched, wave, session.seed) for name, wave in _points(session).items()
    }
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


def _stand_ins(session: _Session) -> tuple[Level, str]:
    searched = session.searched
    if searched is None or not hasattr(searched, "without_stand_ins"):
        return "ok", "no stated stand-ins in its gradient"
    shares = [slopes_at(searched, wave, session.seed).stand_ins or 0.0 for wave in _points(session).values()]
    notes = "".join(f"; {note}" for note in searched.warnings)
    level: Level = "warning" if max(shares) > 0 or notes else "ok"
    return level, f"{max(shares):.0%} of its gradient's length is of smooth stand-ins for features that step{notes}"


def _flat(session: _Session) -> tuple[Level, str]:
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
    if len(lively) == len(set(session.sounds) - QUIET):
        return "failure", "the gradient is zero at every sound: there is nothing to climb"
    n = len(shares)
    if lively:
        return "warning", f"the gradient of the first class vanishes at {len(flat)} of {n} sounds: {', '.join(flat)}"
    also = f"; it is zero at {' and '.join(flat)}" if flat else ""
    return "ok", f"{median(shares):.1%} of the gradient's samples are zero, the median of {n} sounds{also}"


def _speed(session: _Session) -> tuple[Level, str]:
    wave = next(iter(session.sounds.values()))
    query = _milliseconds(lambda: session.victim.decide(wave))
    says = f"{query:.3g} ms a query of {wave.shape[1] / session.victim.sample_rate:.3g} s of sound"
    searched = session.searched
    if searched is None:
        return "ok", says

    def climb() -> None:
        point = wave.clone().requires_grad_()
        torch.autograd.grad(searched.scores(point).square().sum(), point)

    return "ok", f"{says}, {_milliseconds(climb):.3g} ms a gradient"


def _milliseconds(ask: Callable[[], object]) -> float:
    took = []
    for _ in range(3):
        began = time.perf_counter()
        ask()
        took.append(1000 * (time.perf_counter() - began))
    return median(took)


def _probabilities(victim: Victim, wave: Tensor) -> Tensor | None:
    with torch.no_grad():
        return victim.probabilities(wave)


def _said(reason: Exception) -> str:
    text = " ".join(str(reason).split())
    return f"{type(reason).__name__}: {text:.400}"


def _shown(answer: object) -> str:
    if isinstance(answer, Tensor):
        return f"a {str(answer.dtype).removeprefix('torch.')} tensor of shape {tuple(answer.shape)}"
    return f"a {type(answer).__name__}"


CHECKS: dict[str, Callable[[_Session], tuple[Level, str]]] = {
    "access": _access,
    "shapes": _shapes,
    "finite": _finite,
    "determinism": _determinism,
    "batches": _batches,
    "agreement": _agreement,
    "probabilities": _sums,
    "twin": _twin_gap,
    "gradient": _gradient,
    "stand-ins": _stand_ins,
    "flat": _flat,
    "speed": _speed,
}
"""From the name of a finding to the check that makes it."""
