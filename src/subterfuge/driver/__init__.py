"""The one driver: a clip meets a victim under a threat, and the written file is judged.

The search runs on the victim's twin where it has one. Whatever the search believes, only the judge decides: the file is
written, read back as the victim's users would, and the true victim asked once. Where rounding or resampling killed a
win, the search goes on with a wider margin.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from subterfuge.attacks import Attack, knobs_of, make_attack
from subterfuge.audio import MAX_SECONDS, Clip
from subterfuge.audio.place import check_target
from subterfuge.driver._remarks import remarks_on
from subterfuge.driver._unjudged import NOT_ASKED as NOT_ASKED  # what stands in a record for an answer
from subterfuge.driver._unjudged import leave_unjudged
from subterfuge.driver.control import control_of
from subterfuge.driver.fit import check_fit, default_attack
from subterfuge.driver.heard import heard_wave
from subterfuge.driver.judge import Judged, ask
from subterfuge.driver.others import others_of
from subterfuge.driver.place import place_for, publish, workshop
from subterfuge.driver.record import (
    advice_for,
    clip_record,
    file_word,
    goal_text,
    limit_text,
    name_of,
    thinned,
    versions,
    victim_record,
    weighed,
)
from subterfuge.driver.robust import Robust
from subterfuge.driver.search import Search, Unjudged, searched_on
from subterfuge.driver.service import bill_of
from subterfuge.errors import AttackError, VictimError
from subterfuge.hearing.compare import Difference, compare
from subterfuge.oracle import Oracle
from subterfuge.outcome import Outcome
from subterfuge.threat import LeastSNR, Maximise, Threat, Unlimited, fitted
from subterfuge.transforms import Transform, parse_transforms
from subterfuge.victim import Gives, Kind, Victim

LOUDEST_MAXIMISE = LeastSNR(40.0)
"""The limit of a goal without an end, where none was given."""


def attack(
    clip: Clip | str | Path,
    victim: Victim,
    threat: Threat | None = None,
    seed: int = 0,
    *,
    by: Attack | str | None = None,
    out: str | Path | None = None,
    force: bool = False,
    keep_container: bool = False,
    control: int = 20,
    on: Victim | None = None,
    starts: Sequence[Clip | str | Path] | None = None,
    robust: Sequence[Transform] | str | None = None,
    progress: Callable[[Oracle], None] | None = None,
    command: str | None = None,
    card: str | Path | None = None,
    through: Callable[[Victim], Victim] | None = None,
) -> Outcome:
    """Change a sound as little as the threat asks for, write it, and prove the change on the written file.

    Args:
        clip: a sound, or the path of one.
        victim: whom to fool.
        threat: goal, limit and budget; by default untargeted, without a limit.
        seed: of everything random.
        by: an attack, or its name in `subterfuge.attacks.ATTACKS`; by default ``quietest``, and ``pgd`` for a goal
            without an end.
        out: file or folder of the result; by default ``CLIP-to-TARGET.EXT`` in the current folder.
        force: overwrite an existing result (never the clip itself).
        keep_container: write a lossy source in kind, and not as 24-bit FLAC.
        control: draws of noise that the win is compared with; 0 for none.
        on: what to search on instead of the victim or its twin: a substitute, with the victim's labels and rate. The
            victim itself still judges.
        robust: transforms that the win must survive, or their names, such as ``mp3=128,gain,shift``; for attacks that
            ask for gradients and margins only.
        starts: sounds of the wanted class from which a label-only attack may begin; by default the embedded clips.
        progress: called with the oracle a few times a second.
        command: how a user can repeat this, for the record.
        card: the victim's card, for the record.
        through: gives what stands between the search and what is searched on, and answers for it: `driver.together`
            joins there what several searches ask. No part of the record.

    Returns:
        The outcome, which is also written beside the sound where the attack won.

    Raises:
        InputError: a clip, a threat, an attack or an output that cannot be; nothing is written.
        VictimError: the victim died or answered nonsense.
    """
    clip = clip if isinstance(clip, Clip) else Clip.read(clip)
    threat = threat or Threat()
    asked_for, bill = threat.budget, bill_of(victim)
    notes = [*clip.warnings, *victim.warnings]
    if isinstance(threat.goal, Maximise) and isinstance(threat.limit, Unlimited):
        threat = replace(threat, limit=LOUDEST_MAXIMISE)
        notes.append(f"the goal maximise has no end, so a limit was set: snr={LOUDEST_MAXIMISE.snr_db:g}")
    threat = replace(threat, goal=fitted(threat.goal, victim))
    by = by or default_attack(threat, on or victim)
    method = make_attack(by) if isinstance(by, str) else by
    searched = on or searched_on(victim, method)
    check_fit(method, victim, searched, threat)
    if robust and method.needs is not Gives.GRADIENTS:
        way = "use --attack quietest or pgd"
        if searched.gives < Gives.GRADIENTS and (victim.twin or victim).gives < Gives.GRADIENTS:
            way = "this victim gives no gradients, so search on one that does with --on CARD"
        raise AttackError(
            f"--robust works with attacks that follow gradients, and {name_of(method)} asks for "
            f"{method.needs.name.lower()}; {way}"
        )
    wave = heard_wave(clip, victim.sample_rate, notes)
    clean = torch.from_numpy(wave)[None]
    said = int(victim.decide(clean)[0])
    if isinstance(threat.goal, Maximise) and not threat.goal.tag and victim.probabilities(clean) is None:
        threat = replace(threat, goal=replace(threat.goal, asks="scores"))
    focus = threat.goal.focus(victim.labels, said)
    before = ask(victim, threat, clean, focus)
    if threat.goal.asks == "probabilities" and before.probabilities is None:
        raise AttackError(
            f"the goal {threat.goal.name} needs probabilities, and the victim {victim.name} has none; "
            "use the goal targeted"
        )
    target = None if threat.goal.name == "untargeted" else victim.labels[focus]
    toughened = None
    if robust:
        named = parse_transforms(robust) if isinstance(robust, str) else tuple(robust)
        toughened = Robust(clip, victim.sample_rate, named, seed, notes.append)
    word = file_word(threat.goal) if threat.goal.name == "tag-" else target
    place = place_for(clip, word, out, force, keep_container, notes.append)
    if searched is victim.twin:
        notes.extend(searched.warnings)
    already = before.reached and not isinstance(threat.goal, Maximise)
    others = None
    if getattr(method, "starts_elsewhere", False) and not already:
        others = others_of(starts, victim, clean, target, notes.append)
    elif starts:
        notes.append(f"the attack {name_of(method)} begins at the clip: the sounds to start from were not used")
    if bill is not None and searched is victim:
        threat = replace(threat, budget=bill.within(threat.budget, notes.append))
    asked = searched if through is None else through(searched)
    search = Search(
        clip,
        victim,
        threat,
        method,
        clean,
        focus,
        seed,
        progress,
        on=asked,
        others=others,
        robust=toughened,
        keeps_nearest=bill is not None,
    )

    def record(difference: Difference, seconds: float, **about: Any) -> Outcome:
        """Give the outcome of what is known of every search, and what `about` adds."""
        oracle = search.oracle
        return Outcome(
            goal=goal_text(threat),
            target=target,
            predicted_before=before.label,
            probability_before=before.probability,
            snr_db=difference.snr_db,
            file_snr_db=difference.file_snr_db,
            peak=difference.peak or 0.0,
            zimtohrli_mos=difference.zimtohrli_mos,
            **difference.further(),
            queries=oracle.queries[0],
            gradients=oracle.gradients[0],
            judgements=search.judgements,
            seconds=round(seconds, 3),
            margin=float(oracle.best_margin[0]),
            attack=name_of(method),
            knobs=knobs_of(method),
            limit=limit_text(threat),
            measure=threat.measured_by,
            robust=None
            if toughened is None
            else {
                "asked": [one.name for one in toughened.transforms],
                "died_of": search.died_of(about["won"]),
                "queries": toughened.queries,
            },
            budget=asdict(asked_for),
            service=None if bill is None else bill.since(),
            seed=seed,
            repeatable=not oracle.out_of_time,
            clip=clip_record(clip),
            victim=victim_record(victim, card or getattr(victim, "card", None), searched),
            already=already,
            warnings=tuple(dict.fromkeys(notes)),
            history=thinned(oracle.history[0]),
            findings=weighed(oracle.findings[0]) if search.weighs else oracle.findings[0],
            versions=versions(),
            command=command,
            **about,
        )

    with workshop(place) as folder:
        judged: Judged | None
        if already:
            state = f"is {target}" if threat.goal.name != "tag-" else f"lacks {target}"
            notes.append(f"the clip {state} already: it comes back unchanged, and counts in no median")
            judged = search.judge(torch.zeros_like(clean), folder, keep_container, notes)
            after = judged.verdict
        else:
            try:
                judged = search.run(folder, keep_container, notes)
                after = search.verdict_of(judged, folder, keep_container, notes)
            except Unjudged as death:
                difference = compare(clip, death.changed, victim.sample_rate)
                leave_unjudged(death, place, force, notes, partial(record, difference, search.oracle.seconds))
        seconds = search.oracle.seconds
        won = judged is not None and judged.won
        changed = judged.clip if judged is not None else clip.add(search.oracle.best[0].numpy(), victim.sample_rate)
        difference = compare(clip, changed, victim.sample_rate)
        noise = None
        if judged is not None and won and not already and control and not isinstance(threat.goal, Maximise):
            try:
                noise = control_of(clip, victim, threat, judged, wave, focus, seed, control)
            except VictimError as death:  # the win is proven all the same
                notes.append(f"no control: {death}")
        notes.extend([*search.oracle.notes, *remarks_on(difference, noise, threat)])
        if search.drowned and not already and (not won or difference.snr_db == math.inf):
            notes.append(
                "the steps of the file are louder than what the clip masks where it is quietest, so rounding leaves "
                "little of a change, or nothing; loosen the limit (masking=-20), or give the clip with more bits"
            )
        elif not won and search.oracle.unmoved(0) and not search.labels_only:
            notes.append("no change moved the victim's scores at all: are they constant, or rounded?")
        try:
            gap = search.gap([clean] if judged is None else [clean, torch.from_numpy(judged.wave)[None]])
        except VictimError as death:
            gap = None
            notes.append(f"the twin was not compared with the victim: {death}")
        final = None
        if won and judged is not None:
            final = place
            check_target(final, clip.path, force)
            digest = hashlib.sha256(judged.file.read_bytes()).hexdigest()
        outcome = record(
            difference,
            seconds,
            won=won,
            predicted=after.label,
            probability=after.probability,
            twin_gap=gap,
            control=noise,
            file=None if final is None else str(final),
            file_sha256=None if final is None else digest,
            advice=None if won else advice_for(method, threat, victim, search.oracle, after, search.died_of(won)),
        )
        if final is not None and judged is not None:
            publish(judged.file, final, outcome)
    return outcome


def score(clip: Clip | str | Path, victim: Victim, *, max_seconds: float = MAX_SECONDS) -> dict[str, Any]:
    """Say what a victim says of one sound: label, probabilities and scores by label, as plain JSON values.

    Raises:
        ClipError: the sound cannot be read.
        VictimError: the victim died or answered nonsense.
    """
    clip = clip if isinstance(clip, Clip) else Clip.read(clip, max_seconds=max_seconds)
    wave = torch.from_numpy(clip.mono(victim.sample_rate))[None]
    with torch.no_grad():
        index = int(victim.decide(wave)[0])
        probabilities = victim.probabilities(wave)
        scores = victim.scores(wave)[0] if victim.gives >= Gives.SCORES else None
    if scores is not None and scores.ndim == 2:
        scores = (scores > 0).sum(1)
    by_label = [
        None if row is None else dict(zip(victim.labels, row.tolist(), strict=True))
        for row in (scores, None if probabilities is None else probabilities[0])
    ]
    kind = None if scores is None else "votes" if victim.kind is Kind.DUELS else str(victim.kind)
    return {
        "clip": clip.name,
        "label": clip.label,
        "predicted": victim.labels[index],
        "probabilities": by_label[1],
        "scores": by_label[0],
        "kind": kind,
        "warnings": list(clip.warnings),
    }
