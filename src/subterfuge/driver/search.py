"""One clip's search: an attack on the oracle, and the judge that sends it back until a file wins."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from subterfuge.attacks import Attack
from subterfuge.audio import Clip, hear
from subterfuge.audio.grid import BITS
from subterfuge.audio.reading import HOURS_24
from subterfuge.driver.ears import ear_beside
from subterfuge.driver.elastic import Elastic
from subterfuge.driver.judge import Judged, Verdict, ask
from subterfuge.driver.robust import Robust
from subterfuge.errors import AttackError, VictimError
from subterfuge.oracle import BudgetSpent, Oracle, answer_for, dice
from subterfuge.oracle.masked import MaskedOracle
from subterfuge.threat import Limit, Masking, Maximise, Threat
from subterfuge.victim import Gives, Victim

ROUNDS = 10
"""Most searches for one clip."""
LOUDER = (1.01, 1.03, 1.1, 1.25)
"""Factors of a change whose file lost, where labels alone are seen and no wider margin can be asked for."""
NEAR_WORST = 20.0
"""How far from the worst view another still counts for the slope, in first margins."""
SMALLER = 4
"""Most further files of one search, each smaller, where rounding takes the file beyond the limit."""


def searched_on(victim: Victim, method: Attack) -> Victim:
    """Give what an attack searches on: the victim itself where that gives enough, else its twin, if it has one."""
    return victim if victim.gives >= method.needs or victim.twin is None else victim.twin


class Unjudged(VictimError):
    """The victim died for good: here is the file of the best so far, which nobody has judged."""

    def __init__(self, said: str, changed: Clip, file: Path) -> None:
        super().__init__(said)
        self.changed, self.file = changed, file


class Search:
    """One clip's search: the oracle, and the judge that sends it back."""

    def __init__(
        self,
        clip: Clip,
        victim: Victim,
        threat: Threat,
        method: Attack,
        clean: Tensor,
        focus: int,
        seed: int,
        progress: Callable[[Oracle], None] | None,
        *,
        on: Victim | None = None,
        others: Tensor | None = None,
        robust: Robust | None = None,
        keeps_nearest: bool = False,
    ) -> None:
        self.keeps_nearest = keeps_nearest
        """Whether the best so far is kept also without a win, where the victim dies: it was paid for."""
        self.robust = robust
        """What a win must survive."""
        self.deaths: list[str] = []
        """What the last file that won died of."""
        self.clip, self.victim, self.threat, self.method = clip, victim, threat, method
        self.clean, self.focus, self.seed = clean, focus, seed
        self.judgements = 0
        self.on = on or searched_on(victim, method)
        self.labels_only = Gives.LABELS in (method.needs, self.on.gives)
        self.jumps = bool(getattr(self.on, "jumps", False)) and threat.goal.asks == "scores"
        self.endless = isinstance(threat.goal, Maximise)  # its margin has no zero: the decision says what wins
        same_rate = clip.sample_rate == victim.sample_rate
        bits = BITS.get(clip.container().subtype) if same_rate else None
        grid = 0.0 if bits is None or bits > 24 else 2.0 ** (1 - bits) / clip.channels
        limit, by_ear = threat.limit, threat.measured_by == "nmr"
        ear = ear_beside(clip, clean, victim.sample_rate, limit) if by_ear or isinstance(limit, Masking) else None
        if isinstance(limit, Masking) and ear is not None:
            # of several channels each hands on what its rounding leaves over, which doubles the noise in the others
            limit = limit.beside(ear, grid * clip.channels * (math.sqrt(2) if clip.channels > 1 else 1.0))
        self.drowned = isinstance(limit, Masking) and limit.drowned
        """Whether the file's rounding alone is louder than what the limit allows somewhere."""
        self.limit = Elastic(limit)
        cutoff = None if same_rate else 0.9 * min(clip.sample_rate, victim.sample_rate) / 2
        self.oracle = Oracle(
            self.on,
            replace(threat, limit=cast(Limit, self.limit)),
            clean,
            torch.tensor([focus]),
            grid=[grid],
            cutoff_hz=cutoff,
            ask_decision=self.jumps or self.endless,
            seeks="margin" if self.endless else method.seeks,
            ear=ear if by_ear else None,
            views=() if robust is None else robust.views(),
            softness=1.0 if robust is None else max(1e-9, NEAR_WORST * self._first_margin()),
            labels_only=self.labels_only,
            others=others,
            progress=progress,
            clock=getattr(self.on, "search_clock", time.monotonic),
        )
        self.seen: tuple[Oracle, Tensor] = (self.oracle, clean)
        self.weighs = by_ear and not getattr(method, "keeps_to_waves", False)
        """Whether the attack searches in the ear's coordinates."""
        if self.weighs and ear is not None:
            masked = MaskedOracle(self.oracle, ear)
            self.seen = (cast(Oracle, masked), masked.clean)

    def run(self, folder: Path, keep_container: bool, notes: list[str]) -> Judged | None:
        """Search and judge until a file wins, or the budget or the rounds end; give the last file judged.

        Raises:
            Unjudged: the victim died, and there is a file to keep.
            VictimError: it died, and there is none.
        """
        try:
            return self._rounds(folder, keep_container, notes)
        except VictimError as death:
            return self._heir(death, folder, keep_container, notes)

    def verdict_of(self, judged: Judged | None, folder: Path, keep_container: bool, notes: list[str]) -> Verdict:
        """Give what the victim says of a file that was judged, or, without one, of the nearest that the search came.

        Raises:
            Unjudged: the victim died, and the nearest is to be kept.
            VictimError: it died.
        """
        if judged is not None:
            return judged.verdict
        try:
            return ask(self.victim, self.threat, self.clean + self.oracle.best, self.focus)
        except VictimError as death:
            self._heir(death, folder, keep_container, notes)
            raise

    def _rounds(self, folder: Path, keep_container: bool, notes: list[str]) -> Judged | None:
        oracle, row = self.oracle, 0
        needed = self._first_margin()
        oracle.needed[row] = -math.inf if self.jumps or self.endless else needed
        judged = None
        for round_ in range(ROUNDS):
            spent = False
            try:
                self.method(*self.seen, dice(f"{self.seed}/{round_}/{self.clip.fingerprint}", 1))
            except BudgetSpent:
                spent = True
            if not bool(oracle.won[row]):
                break
            judged, start = self._inside(oracle.best[row : row + 1], folder, keep_container, notes)
            if self.labels_only and judged.allowed and not judged.won:
                judged = self._louder(judged, start, folder, keep_container, notes)
            judged = self._survivor(judged)
            if judged.won or not judged.allowed or spent or self.endless:
                break
            margin = self._margin_of(judged)
            if margin is None:
                break
            short = max(0.0, float(oracle.best_margin[row]) - margin)
            asked = max(float(oracle.needed[row]), float(oracle.best_margin[row]) - needed) + max(needed, 1.5 * short)
            if self.labels_only:  # a label has no margin to widen: other draws may do
                asked = float(oracle.needed[row])
            if not bool(oracle.open().any()):
                break
            where = f"in {', '.join(self.deaths)}" if self.deaths else "in the written file"
            notes.append(f"a win died {where}: the search went on with a wider margin")
            oracle.raise_bar(row, asked, start[0].clone())
            needed *= 2
        return judged

    def _survivor(self, judged: Judged) -> Judged:
        """Put a file that won through what it must survive; where it dies of one of them it has not won."""
        self.deaths = []
        if self.robust is None or not judged.won:
            return judged
        self.deaths = self.robust.deaths(judged.clip, self.victim, self.threat, self.focus)
        if not self.deaths:
            return judged
        return replace(judged, verdict=replace(judged.verdict, reached=False))

    def died_of(self, won: bool) -> list[str]:
        """Say which transforms the last file died of, or, where there was none, through which the search came least."""
        if won or self.robust is None:
            return []
        worst = self.oracle.worst_view
        return self.deaths or ([] if worst is None else [self.robust.heard_as[worst]])

    def _margin_of(self, judged: Judged) -> float | None:
        """Give the least margin of a file and of what the world makes of it, as the search sees them."""
        waves = [torch.from_numpy(judged.wave)[None]]
        if self.robust is not None:
            waves += [view(waves[0]) for view in self.robust.views()]
        margins = []
        with torch.no_grad():
            for wave in waves:
                answer = answer_for(self.threat.goal, self.on, wave, labels_only=self.labels_only)
                if answer is None:
                    return None
                margins.append(float(self.threat.goal.margin(answer, torch.tensor([self.focus]))[0]))
        return min(margins)

    def _heir(self, death: VictimError, folder: Path, keep_container: bool, notes: list[str]) -> Judged:
        """Judge the best win of a search in whose midst the victim died; without one, say what had been spent."""
        oracle = self.oracle
        spent = f"after {oracle.queries[0]} queries and {oracle.gradients[0]} gradients"
        best = float(oracle.best_margin[0])
        said = "a win was in hand, but the victim no longer judges"
        if bool(oracle.won[0]):
            try:
                judged, _ = self._inside(oracle.best[:1], folder, keep_container, notes)
                said = "the file wins, but the victim no longer says whether it survives" if judged.won else said
                judged = self._survivor(judged)
            except VictimError:
                kept = self.write_best(folder, keep_container, notes)
                raise Unjudged(f"{death} ({spent}; {said})", *kept) from death
            if judged.won:
                notes.append(f"the search ended {spent}, and its best win was judged: {death}")
                return judged
        wins = "" if self.endless else ", above 0 wins"
        came = f"; the best margin was {best:.3g}{wins}" if math.isfinite(best) else ""
        if self.keeps_nearest and math.isfinite(best):
            kept = self.write_best(folder, keep_container, notes)
            raise Unjudged(f"{death} ({spent}{came})", *kept) from death
        raise VictimError(f"{death} ({spent}{came})") from death

    def _inside(self, delta: Tensor, folder: Path, keep_container: bool, notes: list[str]) -> tuple[Judged, Tensor]:
        """Judge a change, smaller and smaller while its file is beyond the limit; give the file and its change."""
        judged = self.judge(delta, folder, keep_container, notes)
        for turn in range(SMALLER):
            if judged.allowed:
                break
            self.limit.tighten(torch.from_numpy(judged.wave)[None], self.clean, judged.over_db)
            if turn and 0 < judged.over_db < 1:  # in a cell that the search does not see: so all of it is made smaller
                delta = delta * 10 ** (-(judged.over_db + 0.05) / 20)
            delta = self.oracle.admit(delta)
            judged = self.judge(delta, folder, keep_container, notes)
        if judged.over_db > 0:
            notes.append(
                f"a cell of the file lies {judged.over_db:.1f} dB beyond the masking limit: rounding, clipping, or a "
                "channel that hides less than the others"
            )
        elif not judged.allowed:
            notes.append("rounding in the file takes it beyond the limit")
        return judged, delta

    def _louder(self, lost: Judged, delta: Tensor, folder: Path, keep_container: bool, notes: list[str]) -> Judged:
        """Judge a change a little louder, step by step, until its file wins; give the lost file if none does."""
        for scale in LOUDER:
            judged = self.judge(self.oracle.admit(scale * delta), folder, keep_container, notes)
            if judged.won:
                notes.append(f"the win died in the written file: the change was made {scale:g} times as large")
                return judged
        return lost

    def judge(self, delta: Tensor, folder: Path, keep_container: bool, notes: list[str]) -> Judged:
        """Write the file, read it back as the victim's users do, ask the true victim once."""
        self.judgements += 1
        _, file = self._written(delta, folder, keep_container, notes)
        wave = hear(file, self.victim.sample_rate)
        heard = torch.from_numpy(wave)[None]
        verdict = ask(self.victim, self.threat, heard, self.focus)
        written = Clip.read(file, max_seconds=HOURS_24)
        over_db = self.limit.over_db(self.clip, written)
        allowed = self.limit.holds(heard.to(self.clean), self.clean) and over_db == 0
        return Judged(written, file, wave, verdict, allowed, over_db)

    def write_best(self, folder: Path, keep_container: bool, notes: list[str]) -> tuple[Clip, Path]:
        """Write the clip with the best change so far, without asking anyone; give it and its file."""
        return self._written(self.oracle.best[:1], folder, keep_container, notes)

    def _written(self, delta: Tensor, folder: Path, keep_container: bool, notes: list[str]) -> tuple[Clip, Path]:
        """Write the clip with a change (1, T); give it and its file."""
        changed = self.clip.add(delta[0].cpu().numpy(), self.victim.sample_rate)
        notes.extend(note for note in changed.warnings if note not in notes)
        name = f"{self.judgements}{self.clip.output_suffix(keep_container)}"
        return changed, changed.write(folder / name, force=True, keep_container=keep_container, announce=notes.append)

    def gap(self, waves: list[Tensor]) -> float | None:
        """Give the largest difference between the twin's scores and the victim's, or, of other kinds, probabilities."""
        twin, victim = self.victim.twin, self.victim
        if twin is None:
            return None
        with torch.no_grad():
            if victim.gives >= Gives.SCORES and twin.kind == victim.kind:
                return max(float((twin.scores(wave) - victim.scores(wave)).abs().max()) for wave in waves)
            pairs = [(twin.probabilities(wave), victim.probabilities(wave)) for wave in waves]
        gaps = [float((mine - true).abs().max()) for mine, true in pairs if mine is not None and true is not None]
        return max(gaps) if gaps else None

    def _first_margin(self) -> float:
        with torch.no_grad():
            answer = answer_for(self.threat.goal, self.on, self.clean, labels_only=self.labels_only)
        if answer is None:
            raise AttackError(
                f"the goal {self.threat.goal.name} needs probabilities, and the victim {self.on.name} has none; "
                "use the goal targeted"
            )
        if self.threat.goal.asks == "probabilities":
            return 0.01
        return 0.0005 * float(answer.double().std())
