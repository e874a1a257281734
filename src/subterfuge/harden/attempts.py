"""One case under one victim: every search of an audit, judged on the written file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from subterfuge.audio import Clip
from subterfuge.campaign.cases import Case
from subterfuge.campaign.effort import Effort, black_box, has_slope
from subterfuge.campaign.pool import told
from subterfuge.driver import attack
from subterfuge.errors import SubterfugeError
from subterfuge.harden.faced import ELSEWHERE, Attempt, Faced
from subterfuge.threat import Budget, Goal, Masking, Targeted, Threat, Untargeted
from subterfuge.threat.words import parse_goal
from subterfuge.victim import Victim

LOUDEST_DB, LOUDER_DB = -6.0, 0.5
"""Where a found change stops being made louder, in dB of signal to noise, and by what step."""
SEARCHES = ("targeted", "untargeted", "masked")


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
    mark: str = "",
    done: Mapping[str, Attempt] | None = None,
) -> Faced:
    """Attack one case in every way that an audit asks, by one who knows the victim.

    A search that fails costs none of the others: why it did stands in `Faced.failures`.

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
        mark: stands in the names of those sounds, so that another setting's are other files.
        done: searches of this case that an earlier run came to the end of.

    Raises:
        InputError: the clip cannot be read.
        VictimError: the victim died of the clip as it is.
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
    file = f"{case.number:03d}-{mark}{'-' * bool(mark)}{clip.name}"
    tries: dict[str, Callable[[], Attempt]] = {
        name: partial(_try, victim, clip, threats[name], effort, folder / name / file, seed)
        for name in searches
        if name == "targeted" or right  # what is wrong already needs no attack
    }
    if doubted and "targeted" in searches:
        tries["black box"] = partial(
            _try, victim, clip, threats["targeted"], effort, folder / "black" / file, seed, blind=True
        )
    attempts, failures, known = {}, {}, done or {}
    for name, search in tries.items():
        try:
            attempts[name] = known[name] if name in known else search()
        except SubterfugeError as error:
            failures[name] = told(error)
    louder = None
    if elsewhere is not None:
        try:
            louder = _louder(victim, clip, Clip.read(elsewhere), clean, wanted, case.target)
        except SubterfugeError as error:
            failures[ELSEWHERE] = told(error)
    return Faced(case.number, answer, right, attempts, louder, None, failures, elsewhere is not None)


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
    out: Path,
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
        out=out,
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
