"""What an oracle asks of a victim, what it refuses to believe, and what it makes of the answers."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from subterfuge.errors import VictimError
from subterfuge.oracle.asking import answer_for
from subterfuge.threat import Goal, log_odds
from subterfuge.victim import Kind, Victim

Hill = Literal["pull", "odds"]
SUM = 1e-2
"""How far from 1 the sum of probabilities may be."""


class Questions:
    """Asks a victim what a goal reads of it.

    Args:
        victim: whom to ask.
        goal: what is read.
        labels_only: see labels, whatever more the victim gives.
        ask_decision: ask too what the victim decides, where its decision does not follow from its scores.
    """

    def __init__(self, victim: Victim, goal: Goal, *, labels_only: bool, ask_decision: bool) -> None:
        self._victim, self._goal = victim, goal
        self._labels_only, self._ask_decision = labels_only, ask_decision
        self.notes: list[str] = []
        """What is strange about the victim's answers, each told once."""

    def answer(self, wave: Tensor) -> Tensor:
        """Ask about sounds (n, T); give scores or probabilities, (n, K), or duels, (n, K, K).

        Raises:
            VictimError: the victim died, answered nonsense, or lacks what the goal reads.
        """
        victim, goal = self._victim, self._goal
        answer = answer_for(goal, victim, wave, labels_only=self._labels_only)
        if answer is None:
            raise VictimError(f"the victim has no probabilities, which the goal {goal.name} asks for")
        expected = (len(wave), len(victim.labels))
        if tuple(answer.shape) not in (expected, (*expected, len(victim.labels))):
            raise VictimError(
                f"the victim answered {len(wave)} clips with numbers of shape {tuple(answer.shape)}; "
                f"{expected} was expected"
            )
        if not bool(torch.isfinite(answer).all()):
            raise VictimError("the victim answered NaN or infinite scores, where finite ones were expected")
        if not self.notes and (goal.asks == "probabilities" or victim.kind is Kind.LOG_PROBABILITY):
            self._check_sum(answer.detach() if goal.asks == "probabilities" else answer.detach().exp())
        return answer

    def _check_sum(self, chances: Tensor) -> None:
        total = chances.sum(-1)
        worst = float(total[(total - 1).abs().argmax()])
        if chances.ndim == 2 and not self._labels_only and abs(worst - 1) > SUM:
            self.notes.append(f"the victim's probabilities of a sound add up to {worst:.4g}, where 1 was expected")

    def straight(self, answer: Tensor) -> Tensor:
        """Give answers so that they bend little: logarithms, where they are probabilities."""
        return answer.double().clamp_min(1e-300).log() if self._goal.asks == "probabilities" else answer

    def plain(self, margin: Tensor) -> Tensor:
        """Give margins, or, where labels alone are seen, 1 for yes and -1 for no."""
        return torch.where(margin >= 0, 1.0, -1.0).to(margin) if self._labels_only else margin

    def said(self, wave: Tensor, answer: Tensor, margin: Tensor, needed: Tensor) -> Tensor | None:
        """Give what the victim decides, where that is asked and something may win; from its answer, if that tells."""
        if not self._ask_decision or not bool((margin.cpu() > needed).any()):
            return None
        victim = self._victim
        if victim.kind is Kind.LOG_PROBABILITY and getattr(victim, "answers_most_probable", False):
            return answer.argmax(-1)
        return victim.decide(wave)

    def hill(self, wave: Tensor, answer: Tensor, focus: Tensor, hill: Hill) -> Tensor:
        """Give what to climb at answered sounds, float64 (n,): the goal's pull, or log-odds where there are any."""
        chances = None
        if hill == "odds" and not self._labels_only and self._victim.kind is not Kind.TAGS:
            with torch.no_grad():
                chances = answer if self._goal.asks == "probabilities" else self._chances(wave, answer)
        if chances is None:
            return self.plain(self._goal.pull(answer, focus).double())
        odds = log_odds(chances, focus).double()
        return -odds if self._goal.name == "untargeted" else odds

    def _chances(self, wave: Tensor, answer: Tensor) -> Tensor | None:
        if self._victim.kind is Kind.LOG_PROBABILITY:  # no second question to a victim that is paid by the query
            return answer.exp()
        return self._victim.probabilities(wave)
