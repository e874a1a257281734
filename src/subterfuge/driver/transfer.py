"""Do attacks found on one victim carry over to others? Their files, and noise as loud, shown to each of them.

The other victims may hear at another rate and have other labels. A victim that has the target is asked for it; of one
that has not, only a changed answer counts. A clip that meets the goal as it comes tells nothing, and is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from subterfuge.attacks.noise import same_spectrum
from subterfuge.audio import Clip, hear
from subterfuge.audio.rates import to_rate
from subterfuge.driver._controls_noise import heard_through
from subterfuge.driver._transfer_record import OnCard, Row, Transfer, summed
from subterfuge.driver._transfer_wins import Win, find
from subterfuge.driver.controls import TOGETHER, TOGETHER_SAMPLES
from subterfuge.driver.judge import read
from subterfuge.driver.service import bill_of
from subterfuge.errors import InputError, ThreatError, VictimError, check_seed
from subterfuge.oracle import dice
from subterfuge.threat import Confident, Goal, Maximise, TagOn, Targeted, Untargeted, fitted
from subterfuge.victim import Victim

__all__ = ["OnCard", "Row", "Transfer", "Win", "find", "transfer"]


def transfer(
    wins: Sequence[Win],
    victims: Mapping[str, Victim],
    *,
    draws: int = 20,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Transfer:
    """Ask other victims about the clip and the file of recorded attacks, and about noise as loud as the change.

    Args:
        wins: what `find` gave.
        victims: by the paths of their cards. One that dies is not asked any more; the others are.
        draws: of noise of the same level and spectrum, for each attack that counts on each victim; 0 for none.
        seed: of the noise; every victim meets the same draws.
        progress: called with the sounds asked about, and to be asked at the most.

    Raises:
        InputError: an attack is given twice, or the seed or the draws make no sense.
        ClipError: a file cannot be heard.
    """
    check_seed(seed)
    if draws < 0:
        raise InputError(f"{draws} draws of noise: 0 or more were expected, such as 20")
    _check_each_once(wins)
    notes = [f"{win.name}: {note}" for win in wins for note in win.notes]
    notes += [f"{win.name}: {win.why_not}; its file alone is asked about" for win in wins if win.why_not]
    clips = [win.clip.fingerprint for win in wins if win.clip is not None]
    if len(set(clips)) < len(clips):
        notes.append(f"{len(clips)} attacks are of {len(set(clips))} clips: the intervals take them for independent")
    total, done = len(wins) * len(victims) * (2 + draws), 0
    rows, cards = [], []
    for card, victim in victims.items():
        notes.extend(f"{victim.name}: {text}" for text in victim.warnings)
        look, own, died, bill = _Look(victim, draws, seed), [], None, bill_of(victim)
        for win in wins:
            if progress is not None:
                progress(done, total)
            row = Row(str(win.path), str(win.file), card, victim.name, win.record["goal"], win.record["target"])
            if died is None:
                if win.record["victim"].get("fingerprint") == victim.fingerprint:
                    notes.append(f"{victim.name} is the victim that {win.name} was found on")
                try:
                    row = look.at(win, row)
                except VictimError as death:
                    died = str(death)
            own.append(row if died is None else replace(row, why_not="not asked: the victim died"))
            done += 2 + draws
        spent = None if bill is None else bill.since()
        rows += own
        cards.append(summed(own, card, victim.name, look.asked, spent, died))
    return Transfer(tuple(rows), tuple(cards), draws, seed, tuple(dict.fromkeys(notes)))


def _check_each_once(wins: Sequence[Win]) -> None:
    known: dict[object, Path] = {}
    for win in wins:
        key = (win.record["clip"].get("sha256"), win.record["file_sha256"], win.record["goal"], win.record["target"])
        if key[1] is not None and key in known:
            raise InputError(
                f"{win.path} is the same outcome as {known[key]}, of the same two sounds; each would count twice in "
                "what carries over, so give it once"
            )
        known[key] = win.path


class _Look:
    """Asks one victim about attacks, and about noise in their place."""

    def __init__(self, victim: Victim, draws: int, seed: int) -> None:
        self._victim, self._draws, self._seed = victim, draws, seed
        self.asked = 0

    def at(self, win: Win, row: Row) -> Row:
        """Fill in what the victim says of one attack.

        Raises:
            VictimError: it died.
        """
        victim, rate = self._victim, self._victim.sample_rate
        before = None if win.clip is None else self._ask(torch.from_numpy(win.clip.mono(rate))[None])
        after = self._ask(torch.from_numpy(hear(win.file, rate))[None])
        goal = self._goal(win, has_probabilities=after[1] is not None)
        target = getattr(goal, "target", None)
        focus = -1 if target is None else victim.labels.index(target)
        row = replace(
            row,
            goal=_text(goal),
            target=target,
            after=victim.labels[int(after[0][0])],
            after_probability=_of(after[1], focus),
        )
        if target is not None:
            row = replace(row, reached=_reached(goal, after, focus)[0])
        if before is None or win.clip is None:
            return replace(row, why_not="its clip is gone, so nobody knows what was said before")
        said = int(before[0][0])
        row = replace(
            row,
            before=victim.labels[said],
            before_probability=_of(before[1], focus),
            changed=said != int(after[0][0]),
        )
        if target is None:
            focus = said
            row = replace(row, reached=_reached(goal, after, focus)[0])
        if _reached(goal, before, focus)[0]:
            return replace(row, why_not="the clip meets the goal already")
        changed = win.changed
        if changed.sample_rate != win.clip.sample_rate or changed.frames != win.clip.frames:
            return row  # a change of another rate or length cannot be told from the clip, so there is no noise like it
        clean = torch.from_numpy(win.clip.mono(win.clip.sample_rate))
        change = torch.from_numpy(changed.mono(win.clip.sample_rate)) - clean
        if not bool(change.any()):
            return replace(row, why_not="the file is the clip unchanged")
        hits = self._noise(win.clip, clean, change, goal, focus)
        return replace(row, noise_hits=hits, noise_draws=self._draws)

    def _goal(self, win: Win, *, has_probabilities: bool) -> Goal:
        """Give what of a recorded goal this victim can be asked."""
        goal = win.goal
        target = getattr(goal, "target", None)
        if target is None or target not in self._victim.labels:
            return Untargeted()
        try:
            goal = fitted(goal, self._victim)
        except ThreatError:  # a goal about a tag, and this one gives one answer a sound
            return Targeted(target) if isinstance(goal, TagOn) else Untargeted()
        if isinstance(goal, Maximise) or (isinstance(goal, Confident) and not has_probabilities):
            return Targeted(target)
        return goal

    def _noise(self, clip: Clip, clean: Tensor, change: Tensor, goal: Goal, focus: int) -> int:
        """Count the draws of noise, as loud as a change (T,) of a clip's file and of its spectrum, that do as much."""
        die = dice(f"transfer/{self._seed}/{clip.fingerprint}", 1)[0]
        rate, heard_at = clip.sample_rate, self._victim.sample_rate
        together = max(1, min(getattr(self._victim, "at_once", TOGETHER), TOGETHER_SAMPLES // len(clean)))
        hits = 0
        for first in range(0, self._draws, together):
            some = [
                to_rate(
                    heard_through(clip, clean, same_spectrum(change, die), float(change.norm()), rate).numpy(),
                    rate,
                    heard_at,
                )
                for _ in range(min(together, self._draws - first))
            ]
            answer = self._ask(torch.stack([torch.from_numpy(wave) for wave in some]))
            hits += sum(_reached(goal, answer, focus))
        return hits

    def _ask(self, waves: Tensor) -> tuple[Tensor, Tensor | None]:
        self.asked += len(waves)
        said, chances = read(self._victim, waves)
        return said.cpu(), None if chances is None else chances.cpu()


def _reached(goal: Goal, answer: tuple[Tensor, Tensor | None], focus: int) -> list[bool]:
    met = goal.reached(*answer, torch.full((len(answer[0]),), focus))
    return [bool(one) for one in met]


def _of(chances: Tensor | None, focus: int) -> float | None:
    return None if chances is None or focus < 0 else float(chances[0, focus])


def _text(goal: Goal) -> str:
    p = getattr(goal, "p", None)
    return goal.name if p is None else f"{goal.name}={p:g}"
