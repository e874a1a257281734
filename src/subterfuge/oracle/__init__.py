"""The oracle: what an attack holds instead of the victim.

It makes every candidate admissible (inside the limit, on the file's grid, within full scale), counts what is asked,
remembers the quietest win of each clip, and closes each clip by itself when its budget ends.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from subterfuge.errors import VictimError
from subterfuge.hearing.ear import Ear
from subterfuge.oracle.admitting import Admission, passband, within
from subterfuge.oracle.asking import answer_for, slope_of
from subterfuge.oracle.chance import dice
from subterfuge.oracle.questions import Hill, Questions
from subterfuge.oracle.step import Step
from subterfuge.oracle.views import View, Worst
from subterfuge.threat import Goal, Threat, Unlimited
from subterfuge.victim import Victim

__all__ = [
    "BATCH",
    "BudgetSpent",
    "Hill",
    "Oracle",
    "Seeks",
    "Step",
    "answer_for",
    "dice",
    "passband",
    "within",
]

Seeks = Literal["quiet", "margin"]
BATCH = 32
"""Candidates of a population that go through the victim at once."""


class BudgetSpent(Exception):
    """Every clip of the batch is closed."""


class Oracle:
    """Answers an attack for a batch of clips of one length.

    Args:
        victim: what is searched on (the twin, or the victim itself).
        threat: goal, limit and budget, the same for every row.
        clean: the clips as the victim hears them, shape (N, T).
        focus: the class that each row's goal is about, int64, shape (N,).
        grid: the step in which the file can hold a change of the mono fold, shape (N,), 0 for no rounding.
        cutoff_hz: changes above it do not reach the file, which has a lower rate or a resampler between.
        ask_decision: count as a win only what the victim also decides for the goal, because its decision does not
            follow from its scores (a calibrated vote, say).
        seeks: what makes one win better than another: a smaller change (``quiet``) or a larger margin (``margin``).
        views: what the world makes of sounds; a win must be one through each of them, and a margin is the least. Such
            a search asks for margins and gradients only.
        softness: how far from the least margin a view still counts for the slope.
        ear: measures changes by their noise-to-mask ratio, and not by their energy.
        labels_only: let the attack see labels, whatever more the victim gives: margins are then 1 or -1.
        others: other sounds of the clips' length, from which an attack may start, shape (M, T).
        progress: called with the oracle a few times a second.
        clock: seconds, for the budget.
    """

    def __init__(
        self,
        victim: Victim,
        threat: Threat,
        clean: Tensor,
        focus: Tensor,
        *,
        grid: Sequence[float] | None = None,
        cutoff_hz: float | None = None,
        ask_decision: bool = False,
        seeks: Seeks = "quiet",
        ear: Ear | None = None,
        views: Sequence[View] = (),
        softness: float = 1.0,
        labels_only: bool = False,
        others: Tensor | None = None,
        progress: Callable[[Oracle], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        rows = len(clean)
        self._threat = threat
        self._clean = clean
        self._focus = focus
        self._norm = clean.norm(dim=-1)
        steps = torch.tensor(list(grid or [0.0] * rows), dtype=clean.dtype, device=clean.device)[:, None]
        band = None if cutoff_hz is None else passband(clean.shape[-1], victim.sample_rate, cutoff_hz).to(clean)
        self._admission = Admission(threat.limit, clean, steps, band)
        self._ear = ear
        self._worst = Worst(views, softness) if views else None
        self._cost = 1 + len(views)
        self._answered = getattr(victim, "answered", None)
        self._questions = Questions(victim, threat.goal, labels_only=labels_only, ask_decision=ask_decision)
        timed = threat.budget.seconds is not None
        self._at_once = max(1, getattr(victim, "workers", 1)) if timed else getattr(victim, "at_once", BATCH)
        self.most_queries = threat.budget.queries
        """The queries that each row may ask, None for no bound."""
        self._progress = progress
        self._clock = clock
        self._began = clock()
        self._told = self._began
        self.labels = victim.labels
        self.sample_rate = victim.sample_rate
        self.seeks = seeks
        """What makes one win better than another: a smaller change, or a larger margin inside the limit."""
        self.others = clean[:0] if others is None else others.to(clean)
        """Other sounds, from which an attack may start, shape (M, T)."""
        self.start = torch.zeros_like(clean)
        """Where an attack may begin: no change, or the win that the file lost."""
        self.needed = torch.zeros(rows, dtype=torch.float64)
        """The margin that makes a win, shape (N,); the judge raises it."""
        self.best = torch.zeros_like(clean)
        """The quietest win of each row, or else the candidate of the largest margin."""
        self.best_size = torch.full((rows,), math.inf, dtype=torch.float64)
        self.best_margin = torch.full((rows,), -math.inf, dtype=torch.float64)
        self.won = torch.zeros(rows, dtype=torch.bool)
        self.met = torch.zeros(rows, dtype=torch.bool)
        """Whether each row's latest candidate was a win, shape (N,)."""
        self.queries = [0] * rows
        self.gradients = [0] * rows
        self.out_of_time = False
        self.history: list[list[Step]] = [[] for _ in range(rows)]
        self.findings: list[dict[str, Any]] = [{} for _ in range(rows)]
        """What an attack wants told of its run: plain JSON values by name, for each row."""
        self.notes = self._questions.notes
        """What is strange about the victim's answers, each told once."""
        self._margins = [(math.inf, -math.inf)] * rows
        self._last = torch.full((rows,), -math.inf, dtype=torch.float64)

    @property
    def rows(self) -> int:
        """How many clips there are."""
        return len(self._clean)

    @property
    def seconds(self) -> float:
        """Seconds since the oracle was made."""
        return self._clock() - self._began

    def snr_db(self, delta: Tensor) -> Tensor:
        """Give the signal-to-noise ratio of each row, in dB, infinite for no change."""
        return 20 * torch.log10(self._norm / delta.norm(dim=-1))

    def size(self, delta: Tensor, rows: Tensor | None = None) -> Tensor:
        """Say how large changes (n, T) are, shape (n,): the root of their energy, or of their noise-to-mask ratio."""
        if self._ear is None:
            size: Tensor = delta.norm(dim=-1)
            return size
        return (self._ear if rows is None else self._ear.of(rows)).length_of(delta)

    def shown(self, row: int) -> str:
        """Say how small a row's best change is, for progress."""
        best = self.best[row : row + 1]
        if self._ear is None:
            return f"{float(self.snr_db(best)):.1f} dB"
        ratio = float(self._ear.of(slice(row, row + 1)).ratios(best).mean())
        return f"{10 * math.log10(max(ratio, 1e-30)):.1f} dB noise to mask"

    def lift(self, deltas: Tensor, row: int) -> Tensor:
        """Give the changes of the wave that an attack's changes (P, T) stand for: themselves. Differentiable."""
        return deltas

    def heard(self, deltas: Tensor, row: int) -> Tensor:
        """Give what the victim would hear of changes (P, T) of a clip: the admissible sounds, shape (P, T)."""
        rows = torch.full((len(deltas),), row)
        return self._clean[rows] + self.admit(deltas, rows)

    def others_of(self, row: int) -> Tensor:
        """Give the other sounds as an attack on a clip sees them, shape (M, T)."""
        return self.others

    def begin(self, row: int, delta: Tensor) -> None:
        """Let a row begin at a change (T,)."""
        self.start[row] = delta

    def over(self, victim: Victim, goal: Goal, row: int) -> Oracle:
        """Give an oracle for one row's clip over another victim, within this one's limit and band; it counts anew.

        A masking limit is left out where a quiet win is sought: what comes of it is admitted by this oracle anyway.
        """
        only = slice(row, row + 1)
        limit = self._threat.limit.at(only)
        if limit.name == "masking" and self.seeks == "quiet":
            limit = Unlimited()
        inner = Oracle(
            victim,
            Threat(goal, limit),
            self._clean[only],
            torch.zeros(1, dtype=torch.long),
            seeks=self.seeks,
            ear=None if self._ear is None else self._ear.of(only),
        )
        inner._admission = replace(inner._admission, band=self._admission.band)
        return inner

    def open(self) -> Tensor:
        """Say which rows may still ask, bool (N,)."""
        budget = self._threat.budget
        if budget.seconds is not None and self.seconds >= budget.seconds:
            self.out_of_time = True
            return torch.zeros(self.rows, dtype=torch.bool)
        last_query, last_gradient = (
            math.inf if most is None else most - self._cost for most in (budget.queries, budget.gradients)
        )
        return (torch.tensor(self.queries) <= last_query) & (torch.tensor(self.gradients) <= last_gradient)

    def project(self, delta: Tensor, rows: Tensor | None = None) -> Tensor:
        """Give the nearest changes inside the band and the limit, shape (n, T), not yet on the file's grid."""
        return self._admission.of(rows).project(delta)

    def steepest(self, slope: Tensor, rows: Tensor | None = None) -> Tensor:
        """Give the changes on the limit's edge that gain most along slopes (n, T)."""
        return self._admission.of(rows).steepest(slope)

    def admit(self, delta: Tensor, rows: Tensor | None = None) -> Tensor:
        """Give the nearest admissible changes: inside the limit, on the file's grid, within full scale.

        Args:
            delta: changes, shape (n, T).
            rows: which rows they are for, indices (n,); all if None.
        """
        return self._admission.of(rows).admit(delta)

    def margins(self, delta: Tensor, rows: Tensor | None = None) -> Tensor:
        """Ask one query a row: how far past the goal is each candidate, float64, shape (n,)?

        Raises:
            BudgetSpent: no row may ask any more.
            VictimError: the victim died, or answered nonsense.
        """
        chosen = self._chosen(rows)
        if len(chosen):
            full = self._full(delta, rows)
            for row in chosen.tolist():
                self.queries[row] += 1
            with torch.no_grad():
                admitted = self.admit(full[chosen], chosen)
                wave = self._clean[chosen] + admitted
                answer, margin, _ = self._seen(wave, chosen, pull=False)
                self._also(self.queries, chosen)
                margin = self._questions.plain(margin)
                said = self._questions.said(wave, answer, margin, self.needed[chosen])
            self._remember(admitted, margin, chosen, said)
        return self._last.clone() if rows is None else self._last[rows]

    def population(self, deltas: Tensor, row: int, hill: Hill = "pull") -> tuple[Tensor, Tensor]:
        """Ask one query a candidate about one clip: the margins and hills of changes (P, T), float64, shape (p,).

        Candidates are asked in order; p is less than P where the budget ends among them, and 0 for a closed row.

        Args:
            deltas: changes, shape (P, T).
            row: the clip.
            hill: what to climb: the goal's pull, or the log-odds of its class by the victim's own probabilities (the
                pull, where it has none).

        Raises:
            BudgetSpent: no row may ask any more.
            VictimError: the victim died, or answered nonsense.
        """
        margins, hills = [], []
        for wave, answer, margin in self._asked(deltas, row):
            margins.append(margin)
            hills.append(self._questions.hill(wave, answer, self._focus[row].expand(len(wave)), hill).cpu())
        if not margins:
            return torch.zeros(0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
        return torch.cat(margins), torch.cat(hills)

    def answers(self, deltas: Tensor, row: int) -> tuple[Tensor, Tensor]:
        """Ask as `population` does: the margins (p,) and all that the victim scores, (p, K) or (p, K, K), float64.

        Where the goal reads probabilities these are their logarithms, which bend less. `margin_of` makes margins of
        such answers, so an attack can model them, every class by itself, and see the goal's margin of its model.

        Raises:
            BudgetSpent: no row may ask any more.
            VictimError: the victim died, or answered nonsense.
        """
        margins, answers = [], []
        for _, answer, margin in self._asked(deltas, row):
            margins.append(margin)
            answers.append(self._questions.straight(answer).double().cpu())
        if not margins:
            return torch.zeros(0, dtype=torch.float64), torch.zeros(0, len(self.labels), dtype=torch.float64)
        return torch.cat(margins), torch.cat(answers)

    def margin_of(self, answer: Tensor, row: int) -> Tensor:
        """Give the margins (P,) that answers as `answers` gives them would have. No query; differentiable."""
        focus = self._focus[row].cpu().expand(len(answer))
        goal = self._threat.goal
        return goal.margin(answer.softmax(-1) if goal.asks == "probabilities" else answer, focus)

    def _asked(self, deltas: Tensor, row: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Ask about changes, some at a time; give waves, answers and margins of each part."""
        if self._worst is not None:
            raise ValueError("a search through views asks for margins and gradients only")
        where = torch.tensor([row])
        for first in range(0, len(deltas), self._at_once):
            if first and not bool(self.open()[row]):  # what has been answered is given, not lost to an exception
                return
            if not len(self._chosen(where)):
                return
            left = self._threat.budget.queries
            chunk = deltas[first : first + self._at_once][: None if left is None else left - self.queries[row]]
            self.queries[row] += len(chunk)  # before they are asked: a victim that dies has been asked
            with torch.no_grad():
                admitted = self.admit(chunk, where.expand(len(chunk)))
            try:
                answered = self._put(admitted, row)
            except VictimError:
                self._salvage(admitted, row)
                raise
            yield answered

    def _put(self, admitted: Tensor, row: int) -> tuple[Tensor, Tensor, Tensor]:
        """Ask about admitted changes (n, T) of a clip, and remember; give waves, answers and margins."""
        rows = torch.full((len(admitted),), row)
        with torch.no_grad():
            wave = self._clean[rows] + admitted
            answer = self._questions.answer(wave)
            margin = self._questions.plain(self._threat.goal.margin(answer, self._focus[rows]).double())
            said = self._questions.said(wave, answer, margin, self.needed[rows])
        self._remember(admitted, margin, rows, said)
        return wave, answer, margin.cpu()

    def _salvage(self, admitted: Tensor, row: int) -> None:
        """Remember what a victim that died of several changes (n, T) at once had answered; count these and the death.

        Only of a victim that says what it has `answered`: asked about that again it pays nothing.
        """
        if len(admitted) < 2 or self._answered is None:
            return
        places = self._answered(self._clean[row] + admitted)
        self.queries[row] -= max(0, len(admitted) - len(places) - 1)
        for place in places:
            with suppress(VictimError):
                self._put(admitted[place : place + 1], row)

    def gradient(self, delta: Tensor, rows: Tensor | None = None, *, pull: bool = False) -> tuple[Tensor, Tensor]:
        """Ask one gradient a row: the margin of each candidate, float64 (n,), and its slope, shape (n, T).

        The slope is that at the admitted candidate (straight through the projection and the rounding), of the goal's
        margin, or of its smoother `Goal.pull`. A row that is closed gets its last margin and no slope.

        Raises:
            BudgetSpent: no row may ask any more.
            VictimError: the victim died, or answered nonsense.
        """
        chosen = self._chosen(rows)
        slopes = torch.zeros_like(self._clean)
        if len(chosen):
            for row in chosen.tolist():
                self.gradients[row] += 1
            full = self._full(delta, rows)
            admitted = self.admit(full[chosen].detach(), chosen)
            wave = (self._clean[chosen] + admitted).requires_grad_()
            answer, margin, hill = self._seen(wave, chosen, pull=pull)
            self._also(self.gradients, chosen)
            slope = slope_of(hill, wave)
            said = self._questions.said(wave.detach(), answer.detach(), margin.detach(), self.needed[chosen])
            self._remember(admitted, margin.detach(), chosen, said)
            slopes[chosen] = self._admission.in_band(slope.to(slopes.dtype))
        pick = slice(None) if rows is None else rows
        return self._last[pick].clone(), slopes[pick]

    def _seen(self, wave: Tensor, rows: Tensor, *, pull: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Give answers, margins and hills of sounds, the margins the least through every view."""
        goal, focus = self._threat.goal, self._focus[rows]
        answers = []

        def ask(heard: Tensor) -> tuple[Tensor, Tensor]:
            answers.append(self._questions.answer(heard))
            margin = goal.margin(answers[-1], focus).double()
            return margin, goal.pull(answers[-1], focus).double() if pull else margin

        margin, hill = ask(wave) if self._worst is None else self._worst(ask, wave, self.needed[rows])
        return answers[0], margin, hill

    def _also(self, count: list[int], rows: Tensor) -> None:
        """Count what was asked through views."""
        if self._worst is not None:
            for row in rows.tolist():
                count[row] += self._worst.asked - 1

    @property
    def worst_view(self) -> int | None:
        """The view through which the margin is least, or None without views."""
        return None if self._worst is None else self._worst.lowest

    def unmoved(self, row: int) -> bool:
        """Say whether every one of ten or more answers about a row came to the same margin."""
        low, high = self._margins[row]
        return self.queries[row] + self.gradients[row] >= 10 and low == high

    def raise_bar(self, row: int, needed: float, start: Tensor) -> None:
        """Ask a wider margin of a row whose file lost, and forget its win, which now is where to start."""
        self.needed[row] = needed
        self.start[row] = start
        self.won[row] = False
        self.best_size[row] = math.inf
        self.best_margin[row] = -math.inf

    def _chosen(self, rows: Tensor | None) -> Tensor:
        open_rows = self.open()
        wanted = torch.arange(self.rows) if rows is None else rows
        if len(set(wanted.tolist())) < len(wanted):
            raise ValueError(f"rows {wanted.tolist()} name one clip twice; each may be asked about once a call")
        if not bool(open_rows.any()):
            raise BudgetSpent
        return wanted[open_rows[wanted]]

    def _full(self, delta: Tensor, rows: Tensor | None) -> Tensor:
        if rows is None:
            return delta
        full = torch.zeros_like(self._clean)
        full[rows] = delta
        return full

    def _remember(self, admitted: Tensor, margin: Tensor, rows: Tensor, said: Tensor | None = None) -> None:
        """Keep what answers about changes (n, T) tell; rows may name a clip more than once, in the order asked."""
        sizes = self.size(admitted, rows).double().tolist()
        margin = margin.double().cpu()
        wins = margin > self.needed[rows]
        if said is not None:
            wins &= self._threat.goal.reached(said, None, self._focus[rows]).cpu()
        latest = list({row: place for place, row in enumerate(rows.tolist())}.values())
        self._last[rows[latest]], self.met[rows[latest]] = margin[latest], wins[latest]
        told = zip(rows.tolist(), margin.tolist(), sizes, wins.tolist(), strict=True)
        for place, (row, value, size, wins_here) in enumerate(told):
            low, high = self._margins[row]
            self._margins[row] = min(low, value), max(high, value)
            if self._is_better(row, value, size, wins_here):
                self.best[row] = admitted[place].detach()
                self.best_margin[row] = value
                self.won[row] = wins_here
                self.best_size[row] = size if wins_here else math.inf
                self._note(row, value, float(admitted[place].norm()))
        if self._progress is not None and self._clock() - self._told > 0.2:
            self._told = self._clock()
            self._progress(self)

    def _is_better(self, row: int, margin: float, size: float, wins: bool) -> bool:
        """Say whether a candidate takes the place of a row's best."""
        if not wins:
            return not self.won[row] and margin > float(self.best_margin[row])
        if self.seeks == "quiet":
            return size < float(self.best_size[row])
        return not self.won[row] or margin > float(self.best_margin[row])

    def _note(self, row: int, margin: float, size: float) -> None:
        snr_db = 20 * math.log10(float(self._norm[row]) / size) if size > 0 and self._norm[row] > 0 else None
        self.history[row].append(Step(self.gradients[row], self.queries[row], margin, snr_db))
