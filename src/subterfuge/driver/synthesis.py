"""The sound that a victim takes for most of one class, made from noise, from silence, or from a clip.

Many beginnings are raced, a query each; from the best few an attack climbs, each for itself, under a limit on the sound
itself (`Level`): how loud, how high its peak, which band. The files are read back, and the true victim says which it
believes most.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from subterfuge.attacks import ATTACKS, Attack, climbs, knobs_of, make_attack
from subterfuge.audio import Clip
from subterfuge.audio.place import check_target
from subterfuge.driver import QUIET, attack, default_attack
from subterfuge.driver.colours import coloured
from subterfuge.driver.judge import Judged, Verdict, ask
from subterfuge.driver.place import place_for, publish, workshop
from subterfuge.driver.record import clip_record, limit_text, name_of, thinned, versions, victim_record
from subterfuge.driver.search import Search, searched_on
from subterfuge.errors import AttackError, ClipError, OutputError, ThreatError, VictimError
from subterfuge.hearing.levels import level_db, snr_db
from subterfuge.oracle import BudgetSpent, Oracle, dice
from subterfuge.outcome import Outcome
from subterfuge.threat import Budget, LeastSNR, Limit, Maximise, Threat, fitted, index_of
from subterfuge.threat.level import Level
from subterfuge.victim import Gives, Victim

BEGINNINGS = 100
"""Noises that are raced."""
TRIES = {Gives.GRADIENTS: 3, Gives.SCORES: 1, Gives.LABELS: 1}
"""From how many of the best an attack climbs, by what it needs."""
QUERIES = 5000
"""Of a black box, where no budget is given."""
QUIETER_DB = {"noise": (0.0, 12.0), "silence": (20.0, 40.0)}
"""How far below the level the beginnings lie, from and to; digital silence itself has no slope to climb."""
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
        VictimError: the victim died before a try had won, or answered nonsense.
    """
    source = start if isinstance(start, Clip) else None if str(start) in QUIETER_DB else Clip.read(start)
    method = by if by is not None and not isinstance(by, str) else climber(victim, by)
    on = _check_fit(method, victim)
    if budget is None and on.gives < Gives.GRADIENTS:
        budget = Budget(queries=QUERIES)
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
        threat = Threat(Maximise(target), limit or LeastSNR(SNR_DB), budget or Budget())
        made = attack(source, victim, threat, by=method, control=0, **about)  # type: ignore[arg-type]
        return made if made.won else replace(made, advice=_advice_near(made, threat))
    focus = index_of(target, victim.labels)
    level = level or Level(sample_rate=victim.sample_rate)
    if level.sample_rate != victim.sample_rate:
        raise ThreatError(f"the level is for {level.sample_rate:g} Hz; the victim hears {victim.sample_rate} Hz")
    begins = _Beginnings(source, str(start), victim.sample_rate, seconds, level, f"synthesis/{seed}/{start}/{target}")
    nothing = _clip(torch.zeros(begins.samples), victim.sample_rate, begins.name)
    place = place_for(nothing, target, out, force, False)
    check_target(place, None if source is None else source.path, force)
    begins.check()
    with torch.no_grad():
        sure = all(one.probabilities(torch.from_numpy(nothing.mono(one.sample_rate))[None]) is not None
                   for one in (victim, on))  # fmt: skip
    goal = fitted(Maximise(target, "probabilities" if sure else "scores"), victim)
    threat = Threat(goal, level, budget or Budget())
    bill = _Bill(threat.budget)
    with workshop(place) as folder:
        firsts, raced = _race(begins, victim, threat, method, focus, seed, bill, progress)
        tries, deaths = list[_Try](), list[str]()
        for turn, first in enumerate(firsts):
            if turn and bill.spent:
                break
            (folder / str(turn)).mkdir()
            try:
                tries.append(_climb(first, victim, bill, threat, method, focus, seed, folder / str(turn), progress))
            except VictimError as death:
                if not any(one.won for one in tries):
                    raise
                deaths.append(f"the victim died in try {turn + 1} of {len(firsts)}, and the best of those before it "
                              f"is kept: {death}")  # fmt: skip
                break
        best = max(tries, key=lambda one: one.worth)
        oracle = best.search.oracle
        heard = best.wave
        final = place if best.won else None
        outcome = Outcome(
            won=best.won,
            goal=goal.name,
            target=target,
            predicted_before=best.before.label,
            predicted=best.verdict.label,
            probability_before=best.before.probability,
            probability=best.verdict.probability,
            snr_db=snr_db(best.search.clean[0].numpy(), heard.numpy()),
            file_snr_db=snr_db(best.search.clean[0].numpy(), heard.numpy()),
            peak=float((heard - best.search.clean[0]).abs().max()),
            zimtohrli_mos=None,
            queries=bill.queries,
            gradients=bill.gradients,
            judgements=sum(one.search.judgements for one in tries),
            seconds=round(bill.seconds, 3),
            margin=float(oracle.best_margin[0]),
            twin_gap=_gap(best.search, heard),
            control=None,
            attack=name_of(method),
            knobs=knobs_of(method),
            limit=str(level),
            budget=asdict(threat.budget),
            seed=seed,
            repeatable=not bill.out_of_time,
            file=None if final is None else str(final),
            file_sha256=None if best.judged is None else hashlib.sha256(best.judged.file.read_bytes()).hexdigest(),
            clip=clip_record(best.search.clip),
            victim=victim_record(victim, card or getattr(victim, "card", None), best.search.on),
            warnings=tuple(dict.fromkeys([*victim.warnings, *deaths, *best.notes])),
            advice=None if best.won else _advice(best.verdict, target, threat, source),
            history=thinned(oracle.history[0]),
            findings={
                "from": begins.name,
                "level_dbfs": level_db(heard.numpy()),
                "peak": float(heard.abs().max()),
                "seconds": begins.samples / victim.sample_rate,
                "raced": raced,
                "tries": [
                    {"began": one.before.label, "says": one.verdict.label, "probability": one.verdict.probability}
                    for one in tries
                ],
                **oracle.findings[0],
            },
            versions=versions(),
            command=command,
        )
        if best.judged is not None and final is not None:
            publish(best.judged.file, final, outcome)
    return outcome if outcome.won else replace(outcome, file_sha256=None)


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
        clip = _clip(torch.zeros(victim.sample_rate), victim.sample_rate, name)
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


class _Beginnings:
    """The sounds that are raced: noises, loud or faint, or one clip."""

    def __init__(self, source: Clip | None, name: str, rate: int, seconds: float, level: Level, key: str) -> None:
        if source is None and not 0.05 <= seconds <= 60:
            raise ThreatError(f"{seconds:g} seconds of sound: 0.05 to 60 were expected, such as 3")
        self.name = name if source is None else source.name
        self._source = None if source is None else torch.from_numpy(source.mono(rate))
        self.samples = round(seconds * rate) if self._source is None else len(self._source)
        self._rate, self._level, self._key = rate, level, key

    def check(self) -> None:
        """Refuse a clip in which nothing is left to begin with.

        Raises:
            ClipError: it is silent, or nearly so, or has nothing in the band.
        """
        if self._source is None or float(self[0].abs().max()) >= QUIET:
            return
        if float(self._source.abs().max()) < QUIET:
            why = "is silent or near-silent, as the victim hears it"
        else:
            why = f"has next to nothing between {self._level.low_hz:g} and {self._level.high_hz:g} Hz"
        raise ClipError(f"the clip {self.name} {why}, so there is nothing to climb from; use --from silence")

    def __len__(self) -> int:
        return BEGINNINGS if self._source is None else 1

    def __getitem__(self, place: int) -> Tensor:
        """Give one, shape (T,), inside the level."""
        if self._source is not None:
            wave = self._source
        else:
            die = dice(f"{self._key}/{place}", 1)[0]
            low, high = QUIETER_DB[self.name]
            down = self._level.rms_dbfs - low - (high - low) * float(torch.rand((), generator=die))
            noise = self._level.in_band(coloured(self.samples, self._rate, die)[None])[0]
            wave = noise / noise.norm().clamp_min(1e-30) * math.sqrt(self.samples) * 10 ** (down / 20)
        return self._level.project(wave[None], torch.zeros(1, self.samples))[0]


class _Bill:
    """What all searches for one sound have spent."""

    def __init__(self, budget: Budget) -> None:
        self._budget, self._began = budget, time.monotonic()
        self.queries = self.gradients = 0
        self.out_of_time = False

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def spent(self) -> bool:
        """Whether nothing is left of one of them."""
        left = (self._left("queries", self.queries), self._left("gradients", self.gradients))
        late = self._budget.seconds is not None and self.seconds >= self._budget.seconds
        self.out_of_time |= late
        return late or any(one is not None and one <= 0 for one in left)

    @property
    def text(self) -> str:
        """Say what was spent."""
        return f"after {self.queries} queries and {self.gradients} gradients"

    def add(self, oracle: Oracle) -> None:
        self.queries += oracle.queries[0]
        self.gradients += oracle.gradients[0]
        self.out_of_time |= oracle.out_of_time

    def rest(self, threat: Threat) -> Threat:
        """Give the threat with what is left of the budget; the race leaves something of it, and `spent` is asked."""
        seconds = self._budget.seconds
        queries, gradients = self._left("queries", self.queries), self._left("gradients", self.gradients)
        return replace(
            threat,
            budget=Budget(
                None if queries is None else max(1, queries),
                None if gradients is None else max(1, gradients),
                None if seconds is None else max(1e-3, seconds - self.seconds),
            ),
        )

    def _left(self, what: str, used: int) -> int | None:
        most = getattr(self._budget, what)
        return None if most is None else most - used


@dataclass(frozen=True)
class _Try:
    """One climb, and what the true victim says of its file."""

    search: Search
    judged: Judged | None
    before: Verdict
    verdict: Verdict
    notes: list[str]

    @property
    def won(self) -> bool:
        return self.judged is not None and self.judged.won

    @property
    def wave(self) -> Tensor:
        if self.judged is None:
            return (self.search.clean + self.search.oracle.best)[0]
        return torch.from_numpy(self.judged.wave)

    @property
    def worth(self) -> tuple[bool, float]:
        p = self.verdict.probability
        return self.won, float(self.search.oracle.best_margin[0]) if p is None else p


def _race(
    made: _Beginnings,
    victim: Victim,
    threat: Threat,
    method: Attack,
    focus: int,
    seed: int,
    bill: _Bill,
    progress: Callable[[Oracle], None] | None,
) -> tuple[list[Clip], int]:
    """Ask a query about each beginning, with a fifth of the budget at the most; give the best, and how many ran."""
    tries, most = TRIES[method.needs], threat.budget.queries
    ran = len(made) if most is None else min(len(made), most // 5)
    rate = victim.sample_rate
    if ran < 2:
        return [_clip(made[0], rate, made.name)], 0
    nothing = _clip(torch.zeros(made.samples), rate, made.name)
    search = _search(nothing, victim, threat, method, focus, seed, progress)
    hills: list[float] = []
    try:
        with contextlib.suppress(BudgetSpent):
            for place in range(ran):
                hills.extend(search.oracle.population(made[place][None], 0)[1].tolist())
    except VictimError as death:
        raise VictimError(f"{death} (after {search.oracle.queries[0]} queries, in the race of beginnings)") from death
    finally:
        bill.add(search.oracle)
    order = sorted(range(len(hills)), key=lambda place: -hills[place])[:tries] or [0]
    return [_clip(made[place], rate, made.name) for place in order], len(hills)


def _climb(
    clip: Clip,
    victim: Victim,
    bill: _Bill,
    threat: Threat,
    method: Attack,
    focus: int,
    seed: int,
    folder: Path,
    progress: Callable[[Oracle], None] | None,
) -> _Try:
    """Climb from one beginning, put it on the bill, and ask the true victim about the file.

    Raises:
        VictimError: the victim died before there was a win; all that was spent is told, also before this climb.
    """
    search, notes = _search(clip, victim, bill.rest(threat), method, focus, seed, progress), list[str]()
    oracle = search.oracle
    try:
        before = ask(victim, threat, search.clean, focus)
        judged = search.run(folder, False, notes)
        verdict = ask(victim, threat, search.clean + oracle.best, focus) if judged is None else judged.verdict
    except VictimError as death:
        bill.add(oracle)
        raise VictimError(_billed(str(death), oracle, bill)) from death
    bill.add(oracle)
    return _Try(search, judged, before, verdict, [_billed(note, oracle, bill, say=False) for note in notes])


def _billed(text: str, oracle: Oracle, bill: _Bill, *, say: bool = True) -> str:
    """Tell, where a search says what it spent, what all searches for the sound did; if it does not say, add that."""
    own = f"after {oracle.queries[0]} queries and {oracle.gradients[0]} gradients"
    if own in text:
        return text.replace(own, f"{bill.text} in all")
    return f"{text} ({bill.text} in all)" if say else text


def _search(
    clip: Clip,
    victim: Victim,
    threat: Threat,
    method: Attack,
    focus: int,
    seed: int,
    progress: Callable[[Oracle], None] | None,
) -> Search:
    clean = torch.from_numpy(clip.mono(victim.sample_rate))[None]
    return Search(clip, victim, threat, method, clean, focus, seed, progress)


def _clip(wave: Tensor, rate: int, name: str) -> Clip:
    return Clip.of(np.asarray(wave.cpu().numpy()), rate, name=name)


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


def _advice(verdict: Verdict, target: str, threat: Threat, source: Clip | None) -> str:
    return _told(
        verdict.label,
        verdict.probability,
        target,
        [*_more(threat), "another --seed", "--level", "--from a clip" if source is None else "--from noise"],
    )


def _advice_near(made: Outcome, threat: Threat) -> str:
    limit = f"a looser --limit than {limit_text(threat)}"
    ways = [limit, *_more(threat), "another --seed", "another --target"]
    return _told(made.predicted, made.probability, str(made.target), ways)


def _more(threat: Threat) -> list[str]:
    return ["a larger budget"] if any(value is not None for value in asdict(threat.budget).values()) else []


def _told(label: str, probability: float | None, target: str, ways: list[str]) -> str:
    came = "" if probability is None else f", and gives {target} a probability of {probability:.3f}"
    return f"the victim says {label} of the best sound{came}; try: {', '.join(ways)}"
