"""Is an attack doing anything? Its change against the same change robbed of its knowledge, drawn many times.

Three kinds of noise as loud as the change: the change with its moments shuffled, the change with the same spectrum and
phases at random, and white noise. A class that all of these raise is where noise drifts anyway, by the victim's prior;
a class that the attack alone raises is its doing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from subterfuge.attacks.noise import same_spectrum, white
from subterfuge.audio import MAX_SECONDS, Clip, hear
from subterfuge.driver.controls_case import Case, find_case
from subterfuge.driver.judge import read
from subterfuge.errors import ClipError, InputError, VictimError
from subterfuge.hearing.levels import snr_db
from subterfuge.oracle import dice, passband, within
from subterfuge.outcome import finite
from subterfuge.threat import Maximise, Threat, index_of
from subterfuge.victim import Gives, Victim, duels_of

BLOCK_SECONDS = 0.032
"""Length of the moments that are shuffled."""
CHANCE = 0.05
"""The attack does something where, by every kind of noise, it would come about by chance less often than this."""
OF_LABELS = "share of the answers"
"""What is counted where the victim gives labels only."""
ENOUGH = 19
"""Draws of a kind with which a chance of 1 in 20 can be told."""
NEARLY = 0.99
"""The part of the attack's rise that counts as doing as much."""
SURE = 0.95
"""Of the intervals."""
TOGETHER = 16
"""Sounds that are asked about at once of a victim that does not say how many are worth it (`at_once`)."""
TOGETHER_SAMPLES = 2**22
"""Most samples of them all: of long sounds fewer are asked at once, since a victim may need a thousand times that."""


@dataclass(frozen=True)
class Estimate:
    """A mean, or a share, and its 95 % interval; no interval where it takes more draws."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Asked:
    """What the victim says of one sound."""

    label: str
    reached: bool
    """Whether the goal is met."""
    value: float
    """How far it is met, in the `Control.measure`."""
    by_class: Mapping[str, float]


@dataclass(frozen=True)
class Draws:
    """What the victim says of many draws of one kind of noise."""

    draws: int
    snr_db: float
    """Clip to noise, as heard, the mean over the draws: that of the attack's change, but for rounding."""
    hits: int
    """Draws that meet the goal."""
    share: Estimate
    """The same as a part of the draws, with Wilson's interval."""
    rise: Estimate
    """By how much the measure rises above the clean clip's, with Student's interval."""
    as_good: int
    """Draws that do as much as the attack: they meet the goal if it does, and rise by 99 % of its rise or more."""
    chance: float
    """(as_good + 1) / (draws + 1): how often noise of this kind does as much as the attack, at the most."""
    answers: Mapping[str, float]
    """The share of each label that was answered."""
    moved: Mapping[str, Estimate]
    """By how much each class rises above the clean clip's; of labels alone, the share, with Wilson's interval."""
    drift: tuple[str, ...]
    """The classes that take more than an even share of what rises, the most first."""


@dataclass(frozen=True)
class Control:
    """Attack and noise side by side, all asked of the true victim."""

    goal: str
    focus: str
    """The class that the goal is about."""
    measure: str
    """What `value` and `rise` are: the probability of the target, say."""
    classes: str
    """What the numbers by class are."""
    clean: Asked
    attacked: Asked
    rise: float
    """Of the measure, from the clean clip to the attack's file."""
    moved: Mapping[str, float]
    """Of each class, from the clean clip to the attack's file."""
    snr_db: float
    kinds: Mapping[str, Draws]
    drift: tuple[str, ...]
    """The classes that every kind of noise raises by more than an even share, the most first."""
    does_something: bool | None
    """None where there are too few draws to tell."""
    verdict: str
    queries: int
    """Sounds that the true victim was asked about."""
    seed: int
    file: str
    clip: str
    victim: str
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give a dictionary of plain JSON values."""
        plain = finite(asdict(self))
        assert isinstance(plain, dict)
        return plain


def control(
    outcome: str | Path | Mapping[str, Any] | Case,
    victim: Victim,
    *,
    draws: int = 100,
    queries: int | None = None,
    seed: int = 0,
    max_seconds: float = MAX_SECONDS,
    progress: Callable[[int, int], None] | None = None,
) -> Control:
    """Ask the true victim about a recorded attack and about noise as loud as its change.

    Args:
        outcome: FILE.outcome.json, the sound beside it, the record itself, or what `find_case` made of one.
        victim: whom the attack was against.
        draws: of each kind of noise.
        queries: most sounds to ask about; by default as many as the draws need, 3 draws + 2.
        seed: of the noise.
        max_seconds: refuse a longer clip.
        progress: called with the sounds asked and to be asked.

    Raises:
        InputError: the outcome is none or of a lost attack, its sounds are gone or others, its label is none of the
            victim's, or the queries are too few.
        VictimError: the victim died or answered nonsense.
    """
    notes: list[str] = []
    found = outcome if isinstance(outcome, Case) else find_case(outcome, notes.append, max_seconds=max_seconds)
    if draws < 1:
        raise InputError(f"{draws} draws: 1 or more were expected, such as 100")
    if queries is not None and queries < 5:
        raise InputError(f"{queries} queries: clip, file and a draw of each kind need 5 or more")
    if queries is not None and 3 * draws + 2 > queries:
        notes.append(f"{queries} queries: {(queries - 2) // 3} draws of each kind instead of {draws}")
        draws = (queries - 2) // 3
    told = found.record["victim"].get("fingerprint")
    if told != victim.fingerprint:
        notes.append(
            f"this victim is not the one of the outcome: its fingerprint begins with {victim.fingerprint[:12]}, and "
            f"{str(told)[:12]} was recorded; what the attack did to that one may be nothing to this one"
        )
    notes.extend(victim.warnings)
    rate = victim.sample_rate
    clean, changed = torch.from_numpy(found.clip.mono(rate)), torch.from_numpy(hear(found.file, rate))
    if clean.shape != changed.shape:
        raise ClipError(
            f"{found.file} has {len(changed)} samples at {rate} Hz and the clip {found.clip.name} has {len(clean)}; "
            "sounds of one length were expected"
        )
    change = changed - clean
    if not bool(change.any()):
        raise ClipError(f"{found.file} is {found.clip.name} unchanged; there is no change to compare noise with")
    look = _Look(victim, found.threat, index_of(found.focus, victim.labels))
    die = dice(f"controls/{seed}/{found.clip.fingerprint}", 1)[0]
    before, after = look.at(torch.stack([clean, changed]))
    together = max(1, min(getattr(victim, "at_once", TOGETHER), TOGETHER_SAMPLES // len(clean)))
    total, asked = 3 * draws + 2, 2
    kinds = {}
    block = round(BLOCK_SECONDS * rate)
    ways: dict[str, Callable[[], Tensor]] = {
        "shuffled in time": lambda: shuffled(change, die, block),
        "random phase": lambda: same_spectrum(change, die),
        "white noise": lambda: white(change, die),
    }
    for name, draw in ways.items():
        answers, levels = list[Asked](), list[float]()
        while len(answers) < draws:
            if progress is not None:
                progress(asked, total)
            some = [
                _heard(found.clip, clean, draw(), float(change.norm()), rate)
                for _ in range(min(together, draws - len(answers)))
            ]
            answers.extend(look.at(torch.stack(some)))
            levels.extend(snr_db(clean.numpy(), heard.numpy()) for heard in some)
            asked += len(some)
        kinds[name] = _summed(answers, levels, before, after, of_labels=look.of_labels)
    drift = _drift(kinds)
    rise = after.value - before.value
    does = all(kind.chance <= CHANCE for kind in kinds.values()) if draws >= ENOUGH else None
    return Control(
        goal=str(found.record["goal"]),
        focus=found.focus,
        measure=look.measure(found.focus),
        classes=look.classes,
        clean=before,
        attacked=after,
        rise=rise,
        moved={label: after.by_class[label] - before.by_class[label] for label in victim.labels},
        snr_db=snr_db(clean.numpy(), changed.numpy()),
        kinds=kinds,
        drift=drift,
        does_something=does,
        verdict=_verdict(does, rise, look.measure(found.focus), kinds, drift, after.label),
        queries=asked,
        seed=seed,
        file=str(found.file.absolute()),
        clip=str(found.clip.path),
        victim=victim.name,
        warnings=tuple(dict.fromkeys(notes)),
    )


def shuffled(like: Tensor, die: torch.Generator, block: int) -> Tensor:
    """Draw a sound (T,) of the same moments in another order: blocks of `block` samples, cross-faded over a quarter.

    A sound of under eight such blocks is cut into eight shorter ones.
    """
    length = like.shape[-1]
    block = max(1, min(block, length // 8))
    fade = block // 4 * 2  # half of it on either side of a cut, and even
    count = -(-length // block)
    padded = torch.nn.functional.pad(like, (fade // 2, count * block - length + fade // 2))
    ramp = torch.sin(torch.pi / 2 * (torch.arange(fade) + 0.5) / max(1, fade)) ** 2
    window = torch.cat([ramp, torch.ones(block - fade), ramp.flip(0)]).to(like)
    frames = padded.unfold(0, block + fade, block) * window
    order = torch.randperm(count, generator=die)
    where = torch.arange(count)[:, None] * block + torch.arange(block + fade)
    mixed = torch.zeros_like(padded).index_add(0, where.flatten(), frames[order].flatten())
    return mixed[fade // 2 : fade // 2 + length]


class _Look:
    """Asks the true victim about sounds, in the terms of a goal."""

    def __init__(self, victim: Victim, threat: Threat, focus: int) -> None:
        self._victim, self._threat, self._focus = victim, threat, focus
        goal = threat.goal
        self._margin = replace(goal, asks="scores").margin if isinstance(goal, Maximise) else goal.margin
        self.classes = "probability"

    @property
    def of_labels(self) -> bool:
        """Whether the numbers are 0 or 1, since the victim gives labels and nothing else."""
        return self.classes == OF_LABELS

    def at(self, waves: Tensor) -> list[Asked]:
        """Ask about waves (N, T), all at once."""
        labels, goal = self._victim.labels, self._threat.goal
        said, chances = (None if one is None else one.cpu() for one in read(self._victim, waves))
        assert said is not None
        focus = torch.full((len(waves),), self._focus)
        reached = goal.reached(said, chances, focus)
        if chances is not None:
            numbers = chances.double()
            mine = numbers[:, self._focus]
            values = 1 - mine if goal.name in ("untargeted", "tag-") else mine
        elif goal.asks == "probabilities" and not isinstance(goal, Maximise):
            raise VictimError(f"the goal {goal.name} asks for probabilities, and this victim has none")
        elif self._victim.gives >= Gives.SCORES:
            with torch.no_grad():
                scores = self._victim.scores(waves).double().cpu()
            values = self._margin(scores, focus)
            self.classes = "score" if scores.ndim == 2 else "duels won"
            numbers = scores if scores.ndim == 2 else (duels_of(scores) > 0).sum(2).double()
        else:
            self.classes = OF_LABELS
            numbers = torch.nn.functional.one_hot(said, len(labels)).double()
            values = reached.double()
        return [
            Asked(labels[place], bool(met), float(value), dict(zip(labels, row, strict=True)))
            for place, met, value, row in zip(
                said.tolist(), reached.tolist(), values.tolist(), numbers.tolist(), strict=True
            )
        ]

    def measure(self, focus: str) -> str:
        """Say what `Asked.value` is."""
        what = f"not {focus}" if self._threat.goal.name in ("untargeted", "tag-") else focus
        if self.classes == "probability":
            return f"probability of {what}"
        return f"share of {what}" if self.of_labels else f"margin of {what}"


def _heard(clip: Clip, clean: Tensor, noise: Tensor, size: float, rate: int) -> Tensor:
    """Give what is heard of a clip's file with noise added, whose change is of the length `size` after rounding."""
    if clip.sample_rate != rate:
        band = passband(len(noise), rate, 0.9 * min(clip.sample_rate, rate) / 2)
        noise = within(noise, band)
    scale, low, high = size / max(float(noise.norm()), 1e-30), 0.0, math.inf
    nearest, heard = math.inf, clean
    for _ in range(10):  # rounding swallows what is fainter than a step of the file: the size then jumps with the scale
        here = torch.from_numpy(clip.add((scale * noise).numpy(), rate).mono(rate))
        got = float((here - clean).norm())
        off = abs(math.log(got / size)) if got > 0 else math.inf
        if off < nearest or nearest == math.inf:
            nearest, heard = off, here
        if off < 0.03:
            break
        low, high = (scale, high) if got < size else (low, scale)
        scale = math.sqrt(low * high) if low > 0 and high < math.inf else scale * (2.0 if got < size else 0.5)
    return heard


def _summed(
    answers: Sequence[Asked], levels: Sequence[float], before: Asked, after: Asked, *, of_labels: bool
) -> Draws:
    draws = len(answers)
    hits = sum(one.reached for one in answers)
    rise = after.value - before.value
    sum_up = share if of_labels else estimate

    def as_much(one: Asked) -> bool:
        if one.reached != after.reached:
            return one.reached
        return one.value - before.value >= (NEARLY * rise if rise > 0 else rise)

    as_good = sum(as_much(one) for one in answers)
    moved = {label: sum_up([one.by_class[label] for one in answers], level) for label, level in before.by_class.items()}
    return Draws(
        draws=draws,
        snr_db=sum(levels) / draws,
        hits=hits,
        share=share([one.reached for one in answers]),
        rise=sum_up([one.value for one in answers], before.value),
        as_good=as_good,
        chance=(as_good + 1) / (draws + 1),
        answers={label: count / draws for label, count in Counter(one.label for one in answers).most_common()},
        moved=moved,
        drift=_taking(moved),
    )


def share(values: Sequence[float], less: float = 0.0) -> Estimate:
    """Give the share of ones among zeros and ones, less a number, and Wilson's 95 % interval for that.

    Student's has no width where all are equal, however few they are.

    >>> share([0.0])
    Estimate(mean=0.0, low=0.0, high=0.7934506856227626)
    """
    from scipy.stats import binomtest

    ones = round(math.fsum(values))
    wilson = binomtest(ones, len(values)).proportion_ci(confidence_level=SURE, method="wilson")
    return Estimate(ones / len(values) - less, float(wilson.low) - less, float(wilson.high) - less)


def estimate(values: Sequence[float], less: float = 0.0) -> Estimate:
    """Give the mean of some numbers, less a number, and Student's 95 % interval for it, none of one number.

    >>> estimate([1.0, 1.0, 1.0])
    Estimate(mean=1.0, low=1.0, high=1.0)
    """
    from scipy.stats import t

    count = len(values)
    mean = math.fsum(value - less for value in values) / count
    if count < 2:
        return Estimate(mean, None, None)
    spread = math.sqrt(math.fsum((value - less - mean) ** 2 for value in values) / (count - 1) / count)
    half = float(t.ppf((1 + SURE) / 2, count - 1)) * spread
    return Estimate(mean, mean - half, mean + half)


def _taking(moved: Mapping[str, Estimate]) -> tuple[str, ...]:
    """Name the classes that take more than an even share of what rises, the most first; of two classes, over half."""
    even = sum(max(0.0, one.mean) for one in moved.values()) / max(2, len(moved) - 1)
    up = [label for label, one in moved.items() if one.low is not None and one.low > even]
    return tuple(sorted(up, key=lambda label: -moved[label].mean))


def _drift(kinds: Mapping[str, Draws]) -> tuple[str, ...]:
    """Name the classes toward which every kind of noise drifts, the most first."""
    first, *rest = kinds.values()
    means = {label: sum(kind.moved[label].mean for kind in kinds.values()) for label in first.moved}
    up = [label for label in means if all(label in kind.drift for kind in (first, *rest))]
    return tuple(sorted(up, key=lambda label: -means[label]))


def _drift_text(kinds: Mapping[str, Draws], drift: Sequence[str], landed: str) -> str:
    """Say toward what noise drifts: all of it, or, where the kinds differ, each of them."""
    all_of = {frozenset(kind.drift) for kind in kinds.values()}
    if all_of == {frozenset()}:
        return "Noise of no kind drifts toward any class."
    if len(all_of) == 1:
        tail = ", which the victim says of the file" if landed in drift[:1] else ""
        return f"Noise drifts toward {_listed(drift)}{tail}."
    said = "; ".join(f"{name} toward {_listed(kind.drift)}" for name, kind in kinds.items())
    there = sum(landed in kind.drift for kind in kinds.values())
    too = f" The victim says {landed} of the file, and {there} of {len(kinds)} kinds of noise lean there too."
    return f"Noise drifts by its kind: {said}.{too if there else ''}"


def _listed(names: Sequence[str]) -> str:
    *most, last = names or ["no class"]
    return f"{', '.join(most)} and {last}" if most else last


def _verdict(
    does: bool | None, rise: float, measure: str, kinds: Mapping[str, Draws], drift: Sequence[str], landed: str
) -> str:
    name, best = max(kinds.items(), key=lambda item: item[1].chance)
    as_good = f"{best.as_good} of {best.draws} draws"
    if does is None:
        said = f"too few draws to tell: {ENOUGH} or more of each kind are needed. So far "
        said += f"{name} of the same loudness does as much in {as_good}"
    elif does:
        said = f"does something: the {measure} rises by {rise:.3g}, and noise of the same loudness does as much in "
        said += f"{as_good} at the most"
        often, hits = max((kind.hits / kind.draws, kind.hits) for kind in kinds.values())
        if often >= 0.5:
            said += f", though {hits} of {best.draws} meet the goal too"
        most = max(kind.rise.mean for kind in kinds.values())
        if 0 < most < rise:
            said += f"; {100 * most / rise:.0f} % of the rise is what noise does anyway"
    else:
        said = f"no more than noise: {name} of the same loudness does as much in {as_good}"
    return f"{said}. {_drift_text(kinds, drift, landed)}"
