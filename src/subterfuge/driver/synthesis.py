"""The sound that a victim takes for most of one class, made from noise, from silence, or from a clip.

Many beginnings are raced, a query each; from the best few an attack climbs, each for itself, under a limit on the sound
itself (`Level`): how loud, how high its peak, which band. The files are read back, and the true victim says which it
believes most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from subterfuge.attacks import ATTACKS, Attack, climbs, make_attack
from subterfuge.audio import Clip, hear
from subterfuge.audio.place import check_target
from subterfuge.driver import attack
from subterfuge.driver._synthesis_begin import QUIETER_DB, Beginnings, clip_of
from subterfuge.driver._synthesis_bill import Bill
from subterfuge.driver._synthesis_climb import TRIES, Cut, Try, climb, race
from subterfuge.driver._synthesis_record import Known
from subterfuge.driver._synthesis_words import advice, advice_near
from subterfuge.driver._unjudged import leave_unjudged
from subterfuge.driver.fit import default_attack
from subterfuge.driver.place import place_for, publish, workshop
from subterfuge.driver.record import name_of
from subterfuge.driver.search import Search, searched_on
from subterfuge.driver.service import bill_of
from subterfuge.errors import AttackError, OutputError, ThreatError, VictimError
from subterfuge.oracle import Oracle
from subterfuge.outcome import Outcome
from subterfuge.threat import Budget, LeastSNR, Limit, Maximise, Threat, fitted, index_of
from subterfuge.threat.level import Level
from subterfuge.victim import Gives, Victim

__all__ = ["QUIETER_DB", "climber", "places", "synthesise"]

QUERIES = 5000
"""Of a black box, where no budget is given."""
CLIMB = {"steps": "100", "starts": "1", "stride": "0.05"}
"""Knobs of pgd here: small steps, since far from what a model knows there is nothing to climb."""
SNR_DB = 40.0
"""How far from a clip its own caricature may go, where nothing else is said."""


def synthesise(
    victim: Victim,
    target: str | None,
    *,
    start: Clip | str | Path = "noise",
    seconds: float = 3.0,
    level: Level | None = None,
    limit: Limit | None = None,
    by: Attack | str | None = None,
    budget: Budget | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    force: bool = False,
    progress: Callable[[Oracle], None] | None = None,
    command: str | None = None,
    card: str | Path | None = None,
) -> Outcome:
    """Make the sound of which the victim is surest that it is the target; write it, and ask the true victim.

    Args:
        victim: whom to please.
        target: the class; None for more of what a clip is already.
        start: ``noise``, ``silence``, or a clip or its path.
        seconds: of the sound, where it begins with none.
        level: what the sound may not exceed; -20 dB of full scale, a peak of 0.9 and 60 to 16000 Hz by default.
        limit: of the change of a clip, instead of `level`; 40 dB SNR where no target is given.
        by: an attack that climbs, or its name; by default the best that the victim serves, see `climber`.
        budget: of all tries together; 5,000 queries by default where there are no gradients.
        seed: of everything random.
        out: file or folder of the sound, by default ``noise-to-TARGET.wav`` in the current folder: mono, 16 bits, at
            the victim's rate.
        force: overwrite an existing result (never a clip).
        progress: called with an oracle a few times a second.
        command: how a user can repeat this, for the record.
        card: the victim's card, for the record.

    Returns:
        The outcome, which is also written beside the sound where the victim says the target. Its clip is where the
        search began, and its `findings` tell the level, the race and the tries.

    Raises:
        InputError: a target, a level, an attack or an output that cannot be; nothing is written.
        VictimError: the victim died before a try had won, or answered nonsense, or answers too few queries more; the
            best so far is kept as ``NAME.unjudged.wav`` where it was a win, or was paid for.
    """
    source = start if isinstance(start, Clip) else None if str(start) in QUIETER_DB else Clip.read(start)
    method = by if by is not None and not isinstance(by, str) else climber(victim, by)
    on = _check_fit(method, victim)
    service = bill_of(victim)
    allowed = budget or (Budget(queries=QUERIES) if on.gives < Gives.GRADIENTS else Budget())
    if budget is None and on is victim and service is not None and not service.affords(QUERIES, TRIES[method.needs]):
        budget = Budget()  # what the service leaves is less than the default, and is allowed
    else:
        budget = allowed
    about = {"seed": seed, "out": out, "force": force, "progress": progress, "command": command, "card": card}
    if target is None or limit is not None:
        if source is None and limit is not None:
            raise ThreatError(
                f"a limit on the change is for a sound to stay near, and {start} is none; give it with --from CLIP, or "
                "leave --limit out"
            )
        if source is None:
            raise ThreatError(f"{start} is of no class yet; name a label with --target")
        if level is not None:
            raise ThreatError(
                "a level and a band bind the sound of a target, and a limit the change of a clip; give the one or the "
                "other"
            )
        threat = Threat(Maximise(target), limit or LeastSNR(SNR_DB), budget)
        made = attack(source, victim, threat, by=method, control=0, **about)  # type: ignore[arg-type]
        return made if made.won else replace(made, advice=advice_near(made, threat))
    focus = index_of(target, victim.labels)
    level = level or Level(sample_rate=victim.sample_rate)
    if level.sample_rate != victim.sample_rate:
        raise ThreatError(f"the level is for {level.sample_rate:g} Hz; the victim hears {victim.sample_rate} Hz")
    begins = Beginnings(source, str(start), victim.sample_rate, seconds, level, f"synthesis/{seed}/{start}/{target}")
    nothing = clip_of(torch.zeros(begins.samples), victim.sample_rate, begins.name)
    place = place_for(nothing, target, out, force, False)
    check_target(place, None if source is None else source.path, force)
    begins.check()
    with torch.no_grad():
        sure = all(one.probabilities(torch.from_numpy(nothing.mono(one.sample_rate))[None]) is not None
                   for one in (victim, on))  # fmt: skip
    goal = fitted(Maximise(target, "probabilities" if sure else "scores"), victim)
    notes = list[str]()
    if service is not None and on is victim:
        budget = service.within(budget, notes.append, TRIES[method.needs])
    threat = Threat(goal, level, budget)
    bill, keeps = Bill(threat.budget), service is not None
    known = Known(victim, threat, target, method, seed, begins, bill, service, allowed, command, card)
    tries, raced = list[Try](), 0
    with workshop(place) as folder:
        try:
            firsts, raced = race(begins, victim, threat, method, focus, seed, bill, folder, keeps, progress)
            for turn, first in enumerate(firsts):
                if turn and bill.spent:
                    break
                own = folder / str(turn)
                own.mkdir()
                tries.append(climb(first, victim, bill, threat, method, focus, seed, own, keeps, progress))
        except VictimError as death:
            if any(one.won for one in tries):
                notes.append(f"the victim died in try {len(tries) + 1} of {len(firsts)}, and the best of those before "
                             f"it is kept: {death}")  # fmt: skip
            elif isinstance(death, Cut):
                heard = torch.from_numpy(hear(death.file, victim.sample_rate))
                record = partial(known.outcome, death.search, death.before, heard, tries, raced, notes)
                leave_unjudged(death, place, force, notes, record)
            else:
                raise
        best = max(tries, key=lambda one: one.worth)
        final = place if best.won else None
        digest = None
        if best.judged is not None and final is not None:
            digest = hashlib.sha256(best.judged.file.read_bytes()).hexdigest()
        outcome = known.outcome(
            best.search,
            best.before,
            best.wave,
            tries,
            raced,
            [*notes, *best.notes],
            won=best.won,
            predicted=best.verdict.label,
            probability=best.verdict.probability,
            twin_gap=_gap(best.search, best.wave),
            file=None if final is None else str(final),
            file_sha256=digest,
            advice=None if best.won else advice(best.verdict, target, threat, source),
        )
        if best.judged is not None and final is not None:
            publish(best.judged.file, final, outcome)
    return outcome


def places(
    victim: Victim,
    labels: Sequence[str],
    *,
    start: Clip | str = "noise",
    limit: Limit | None = None,
    out: str | Path | None = None,
    force: bool = False,
) -> list[Path]:
    """Say where `synthesise` would write the sound of each label, and refuse what cannot be before any work is done.

    Raises:
        OutputError: a place is taken, cannot be written, or is that of two labels.
    """
    if isinstance(start, Clip) and limit is not None:
        clip = start
    else:
        name = start.name if isinstance(start, Clip) else start
        clip = clip_of(torch.zeros(victim.sample_rate), victim.sample_rate, name)
    found: dict[Path, str] = {}
    for label in labels:
        place = place_for(clip, label, out, force, False)
        check_target(place, start.path if isinstance(start, Clip) else None, force)
        if place in found:
            raise OutputError(f"the sounds of {found[place]} and {label} would both be {place}; make them one by one")
        found[place] = label
    return list(found)


def climber(victim: Victim, name: str | None = None, knobs: Mapping[str, str] | None = None) -> Attack:
    """Make the attack that climbs: the one named, or the first that the victim serves, with knobs as texts.

    Raises:
        AttackError: no such attack or knob, or the victim serves none.
    """
    if name is None:
        name = default_attack(Threat(Maximise()), victim)
        if not climbs(ATTACKS[name]):
            known = ", ".join(f"{one} ({kind.needs.name.lower()})" for one, kind in ATTACKS.items() if climbs(kind))
            raise AttackError(
                f"the victim {victim.name} gives {victim.gives.name.lower()} only, and what climbs needs more: {known}"
            )
    return make_attack(name, {**(CLIMB if name == "pgd" else {}), **(knobs or {})})


def _check_fit(method: Attack, victim: Victim) -> Victim:
    on, name = searched_on(victim, method), name_of(method)
    able = [one for one, kind in ATTACKS.items() if climbs(kind)]
    if not climbs(method):
        raise AttackError(f"{name} stops at its quietest win, and there is nothing to be quiet beside; use one that "
                          f"climbs: {', '.join(able)}")  # fmt: skip
    if on.gives < method.needs:
        able = [one for one in able if on.gives >= ATTACKS[one].needs]
        raise AttackError(
            f"the attack {name} needs {method.needs.name.lower()}, and the victim {victim.name} gives "
            f"{on.gives.name.lower()} only; " + (f"try {' or '.join(able)}" if able else "nothing that climbs can do")
        )
    return on


def _gap(search: Search, heard: Tensor) -> float | None:
    """Give how far the twin is from the victim on a sound, if the search was on it and the victim still answers."""
    if search.on is not search.victim.twin:
        return None
    try:
        return search.gap([heard[None]])
    except VictimError:
        return None
