"""One case under one victim: every search of an audit, judged on the written file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from subterfuge.audio import Clip
from subterfuge.campaign.cases import Case
from subterfuge.campaign.effort import Effort, black_box, has_slope
from subterfuge.driver import attack
from subterfuge.outcome import Outcome
from subterfuge.threat import Budget, Goal, Masking, Targeted, Threat, Untargeted
from subterfuge.threat.words import parse_goal
from subterfuge.victim import Victim

LOUDEST_DB, LOUDER_DB = -6.0, 0.5
"""Where a found change stops being made louder, in dB of signal to noise, and by what step."""
UNCHANGED_DB = 200.0
"""What a win counts as that changed nothing, as against a victim that draws its answers: quieter than any change."""
SEARCHES = ("targeted", "untargeted", "masked")


@dataclass(frozen=True)
class Attempt:
    """One search: what an outcome says of it."""

    won: bool
    snr_db: float | None
    """Of the written file, where it won."""
    probability: float | None
    """Of the goal's class in the file that was judged last."""
    zimtohrli_mos: float | None
    answer: str
    queries: int
    gradients: int
    seconds: float
    attack: str
    file: str | None
    already: bool = False
    """Whether the clip met the goal unchanged; it counts in no median."""

    @property
    def needed_db(self) -> float | None:
        """SNR of a win, `UNCHANGED_DB` of one without any change; None of a loss."""
        if not self.won:
            return None
        return UNCHANGED_DB if self.snr_db is None else self.snr_db

    @classmethod
    def of(cls, outcome: Outcome) -> Attempt:
        """Take what matters from an outcome."""
        finite = outcome.won and outcome.snr_db is not None and math.isfinite(outcome.snr_db)
        return cls(
            won=outcome.won,
            snr_db=outcome.snr_db if finite else None,
            probability=outcome.probability,
            zimtohrli_mos=outcome.zimtohrli_mos,
            answer=outcome.predicted,
            queries=outcome.queries,
            gradients=outcome.gradients,
            seconds=outcome.seconds,
            attack=outcome.attack,
            file=outcome.file,
            already=outcome.already,
        )


@dataclass(frozen=True)
class Faced:
    """What one victim did with one case."""

    case: int
    answer: str
    """To the clip as it is."""
    right: bool
    attempts: dict[str, Attempt]
    """By the name of the search: targeted, untargeted, masked, black box."""
    found_elsewhere_db: float | None = None
    """The SNR at which a change that was found on the undefended victim, made louder, turns this one into the target.

    The attack that does not adapt. None where it never did, or was not tried.
    """
    failed: str | None = None
    """Why the case could not be asked."""

    def json(self) -> dict[str, Any]:
        """Give it as plain JSON values."""
        return asdict(self)

    @classmethod
    def of_json(cls, value: dict[str, Any]) -> Faced:
        """Read what `json` gave."""
        attempts = {name: Attempt(**one) for name, one in value["attempts"].items()}
        return cls(**(value | {"attempts": attempts}))


def face(
    victim: Victim,
    case: Case,
    effort: Effort,
    *,
    searches: Sequence[str] = SEARCHES,
    goal: str = "targeted",
    doubted: bool = False,
    folder: Path,
    seed: int = 0,
    elsewhere: str | None = None,
) -> Faced:
    """Attack one case in every way that an audit asks, by one who knows the victim.

    Args:
        victim: whom to fool; searched on its twin, where it has one.
        case: clip and target.
        effort: how hard.
        searches: which, of `SEARCHES`.
        goal: of the targeted search: ``targeted`` or ``confident=P``.
        doubted: try the black box too.
        folder: where the sounds that win go.
        seed: of everything random.
        elsewhere: a sound that won against the undefended victim.

    Raises:
        InputError: the clip cannot be read, or the victim cannot be attacked so.
        VictimError: the victim died.
    """
    clip = Clip.read(case.path)
    clean = torch.from_numpy(clip.mono(victim.sample_rate))[None]
    answer = victim.labels[int(victim.decide(clean)[0])]
    right = answer in case.labels
    wanted = parse_goal(goal, case.target)
    threats: dict[str, Threat] = {
        "targeted": Threat(wanted),
        "untargeted": Threat(_any_other(victim, clean, answer)),
        "masked": Threat(_any_other(victim, clean, answer), Masking()),
    }
    attempts = {}
    for name in searches:
        if name != "targeted" and not right:
            continue  # what is wrong already needs no attack
        attempts[name] = _try(victim, clip, threats[name], effort, folder / name, case, seed)
    if doubted and "targeted" in searches:
        attempts["black box"] = _try(
            victim, clip, threats["targeted"], effort, folder / "black", case, seed, blind=True
        )
    louder = None if elsewhere is None else _louder(victim, clip, Clip.read(elsewhere), clean, wanted, case.target)
    return Faced(case.number, answer, right, attempts, louder)


def _any_other(victim: Victim, clean: torch.Tensor, answer: str) -> Goal:
    """Give the goal of a turned answer: any other, or, of a victim that rejects, the likeliest other that is none.

    To be rejected is no win: the deployed system then does not act on the sound.
    """
    rejects = getattr(victim, "rejects", None)
    if rejects is None:
        return Untargeted()
    scores = victim.probabilities(clean)
    if scores is None:
        scores = victim.scores(clean)
        scores = scores.sum(-1) if scores.ndim == 3 else scores
    order = [victim.labels[place] for place in scores[0].argsort(descending=True).tolist()]
    return Targeted(next(label for label in order if label not in (answer, rejects)))


def _try(
    victim: Victim,
    clip: Clip,
    threat: Threat,
    effort: Effort,
    folder: Path,
    case: Case,
    seed: int,
    *,
    blind: bool = False,
) -> Attempt:
    slope = has_slope(victim) and not blind
    if not slope:
        threat = Threat(threat.goal, threat.limit, Budget(queries=effort.queries))
    outcome = attack(
        clip,
        victim,
        threat,
        seed,
        by=effort.white if slope else black_box(victim),
        on=victim.twin if blind else None,  # its answers come faster, and equal the victim's
        out=folder / f"{case.number:03d}-{clip.name}",
        force=True,
        control=0,
    )
    return Attempt.of(outcome)


def _louder(victim: Victim, clip: Clip, found: Clip, clean: torch.Tensor, goal: Goal, target: str) -> float | None:
    """Make a change that was found elsewhere louder until it wins here; give that SNR in dB, or None if it never does.

    The change is the file's, as the victim hears it. Its true answers decide, without a file of their own.
    """
    heard = torch.from_numpy(found.mono(victim.sample_rate))[None]
    if heard.shape != clean.shape:
        return None
    change = heard - clean
    size, level = float(change.norm()), float(clean.norm())
    if size == 0:
        return None
    snr_db = 20 * math.log10(level / size)
    while snr_db >= LOUDEST_DB:
        wave = (clean + change * (level / size) * 10 ** (-snr_db / 20)).clamp(-1, 1)
        said = victim.decide(wave)
        chances = victim.probabilities(wave) if goal.asks == "probabilities" else None
        if bool(goal.reached(said, chances, torch.tensor([victim.labels.index(target)]))[0]):
            return snr_db
        snr_db -= LOUDER_DB
    return None
