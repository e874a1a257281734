"""Questions of several searches, put to their victim as one batch: forward together, and backward together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from subterfuge.driver._turns import Turn
from subterfuge.oracle import BATCH
from subterfuge.victim import Victim

Method = Literal["decide", "scores", "probabilities"]


@dataclass(frozen=True, eq=False)
class Question:
    """What a search asks of a victim, about waves (n, T)."""

    victim: Victim
    method: Method
    wave: Tensor
    slope: bool
    """Whether it may ask for the way back."""

    @property
    def rows(self) -> int:
        """How many waves."""
        return len(self.wave)

    @property
    def kind(self) -> object:
        """Equal for questions that can be one."""
        return id(self.victim), self.method, self.slope, self.wave.shape[1:], self.wave.dtype, self.wave.device


@dataclass(frozen=True, eq=False)
class Pass:
    """Some questions that were one: its waves, and its answer with the graph between them."""

    questions: Sequence[Question]
    waves: Tensor
    answer: Tensor

    def part(self, place: int) -> slice:
        """Give the rows of one question."""
        first = sum(one.rows for one in self.questions[:place])
        return slice(first, first + self.questions[place].rows)


@dataclass(frozen=True, eq=False)
class Way:
    """A question for the way back: from what is asked of an answer's rows to its waves."""

    passed: Pass
    place: int
    """Of the question that was answered."""
    upstream: Tensor

    @property
    def rows(self) -> int:
        """How many waves."""
        return len(self.upstream)


class Lent:
    """A victim that is asked through something; all else of it is its own."""

    def __init__(self, victim: Victim, ask: Callable[[Victim, Method, Tensor], Any], **other: Any) -> None:
        self._victim, self._ask, self._other = victim, ask, other

    def __getattr__(self, name: str) -> Any:
        other = self.__dict__["_other"]
        return other[name] if name in other else getattr(self.__dict__["_victim"], name)

    def decide(self, wave: Tensor) -> Tensor:
        """Give what it answers, int64 (N,)."""
        said: Tensor = self._ask(self._victim, "decide", wave)
        return said

    def scores(self, wave: Tensor) -> Tensor:
        """Give its scores, (N, K) or (N, K, K)."""
        scores: Tensor = self._ask(self._victim, "scores", wave)
        return scores

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give its probabilities (N, K), or None."""
        chances: Tensor | None = self._ask(self._victim, "probabilities", wave)
        return chances


class _Rows(torch.autograd.Function):
    """The rows of a joined answer, whose way back to a search's own waves is asked for."""

    @staticmethod
    def forward(ctx: Any, wave: Tensor, rows: Tensor, back: Callable[[Tensor], Tensor | None]) -> Tensor:
        ctx.back = back
        return rows.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, None, None]:
        return ctx.back(upstream), None, None


def ask_joined(turn: Turn[Any], victim: Victim, method: Method, wave: Tensor) -> Tensor | None:
    """Ask a victim together with other turns; as a function of the wave, where the victim's answer is one."""
    slope = method != "decide" and torch.is_grad_enabled() and wave.requires_grad
    answer: Tensor | None
    answer, passed, place = turn.ask(Question(victim, method, wave.detach(), slope))
    if passed is None or answer is None:
        return answer
    back = lambda upstream: turn.ask(Way(passed, place, upstream))  # noqa: E731
    joined: Tensor = _Rows.apply(wave, answer, back)  # type: ignore[no-untyped-call]
    return joined


def answer_all(turns: Sequence[Turn[Any]]) -> None:
    """Answer what turns ask, that of one kind in as few passes as the victim's `at_once` allows."""
    forward: dict[object, list[Turn[Any]]] = {}
    backward: dict[Pass, list[Turn[Any]]] = {}
    for turn in turns:
        if isinstance(turn.asked, Way):
            backward.setdefault(turn.asked.passed, []).append(turn)
        else:
            forward.setdefault(turn.asked.kind, []).append(turn)
    for passed, some in backward.items():
        _answer(some, partial(_slopes, passed), _slope_alone)
    for some in forward.values():
        for part in _cut(some, int(getattr(some[0].asked.victim, "at_once", BATCH))):
            _answer(part, _answers, None if len(part) == 1 else _answer_alone)


def _cut(turns: Sequence[Turn[Any]], most: int) -> list[list[Turn[Any]]]:
    """Put turns, in their order, into parts of at most so many waves, or of one question."""
    parts: list[list[Turn[Any]]] = []
    rows = 0
    for turn in turns:
        own = turn.asked.rows
        if parts and rows + own <= most:
            parts[-1].append(turn)
            rows += own
        else:
            parts.append([turn])
            rows = own
    return parts


def _answer(
    turns: Sequence[Turn[Any]], together: Callable[[list[Any]], Sequence[Any]], alone: Callable[[Any], Any] | None
) -> None:
    """Answer questions together, or, where that fails, each alone, so that one's error is no other's."""
    began, asked = time.monotonic(), [turn.asked for turn in turns]
    try:
        for turn, made in zip(turns, together(asked), strict=True):
            turn.answer(made)
    except Exception as reason:
        for turn, question in zip(turns, asked, strict=True):
            try:
                if alone is None:
                    raise reason
                turn.answer(alone(question))
            except Exception as error:
                turn.answer(error=error)
    share = (time.monotonic() - began) / sum(one.rows for one in asked)
    for turn, question in zip(turns, asked, strict=True):
        turn.charge(share * question.rows)


def _answers(questions: Sequence[Question]) -> list[tuple[Tensor | None, Pass | None, int]]:
    """Ask one pass; give each question its rows, and, where there is a way back, the pass and its place there.

    Raises:
        ValueError: the answer cannot be told apart.
    """
    first, rows = questions[0], sum(one.rows for one in questions)
    waves = torch.cat([one.wave for one in questions])
    with torch.set_grad_enabled(first.slope):
        answer = getattr(first.victim, first.method)(waves.requires_grad_(first.slope))
    if len(questions) > 1 and answer is not None and (not isinstance(answer, Tensor) or len(answer) != rows):
        raise ValueError(f"{rows} rows were expected")
    if answer is None:
        return [(None, None, place) for place in range(len(questions))]
    back = first.slope and isinstance(answer, Tensor) and answer.requires_grad
    passed = Pass(questions, waves, answer) if back else None
    plain = answer.detach() if passed is not None else answer
    parts = [plain] if len(questions) == 1 else torch.split(plain, [one.rows for one in questions])
    return [(part, passed, place) for place, part in enumerate(parts)]


def _answer_alone(question: Question) -> tuple[Tensor | None, Pass | None, int]:
    return _answers([question])[0]


def _slopes(passed: Pass, ways: Sequence[Way]) -> list[Tensor | None]:
    """Go back once for all that ask; nothing comes from the rows of others, and who asks later asks again."""
    upstream = torch.zeros_like(passed.answer)
    for way in ways:
        upstream[passed.part(way.place)] = way.upstream
    everyone = len(ways) == len(passed.questions)
    slope = torch.autograd.grad(passed.answer, passed.waves, upstream, retain_graph=not everyone, allow_unused=True)[0]
    return [None if slope is None else slope[passed.part(way.place)] for way in ways]


def _slope_alone(way: Way) -> Tensor | None:
    """Go forward and back for one question: of a pass that failed on the way back, or was used up."""
    again = _answers([way.passed.questions[way.place]])[0][1]
    if again is None:
        return None
    return torch.autograd.grad(again.answer, again.waves, way.upstream, allow_unused=True)[0]
