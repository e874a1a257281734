"""How long a victim takes to answer, and what a white-box attack climbs on to give its gradient."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

from subterfuge.victims.check.session import Level, Session

TIMES = 3
"""How often each is timed; the median counts."""


class Timing:
    """What of a victim's speed could be measured; None until `says` has been asked."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.seconds: float | None = None
        self.query_ms: float | None = None
        self.gradient_ms: float | None = None

    def says(self) -> tuple[Level, str]:
        """Measure it, and tell."""
        session = self._session
        level: Level = "ok"
        wave = next(iter(session.sounds.values()))
        length = wave.shape[1] / session.victim.sample_rate
        self.seconds = length
        if session.queries is not None:  # what was asked is enough; what was known tells nothing
            took = [answer.seconds for answer in session.answers.values() if answer.fresh]
            took += [] if session.again_seconds is None else [session.again_seconds]
            self.query_ms = 1000 * median(took) if took else None
        else:
            session.asked += TIMES
            self.query_ms = _milliseconds(lambda gain: session.victim.decide(gain * wave))
        if self.query_ms is None:
            level, says = "not asked", "how long a query takes: every answer was known to the victim already"
        else:
            says = f"{self.query_ms:.3g} ms a query of {length:.3g} s of sound"
        rows = [other for other in session.sounds.values() if other.shape == wave.shape]
        if session.queries is None and len(rows) > 1:
            batch = torch.cat(rows)
            session.asked += len(batch)
            together = _milliseconds(lambda gain: session.victim.decide(gain * batch), 1) / len(batch)
            if self.query_ms is not None and together < self.query_ms:
                self.query_ms = together
                says += f" ({together:.3g} ms in a batch of {len(batch)})"
        searched = session.searched
        if searched is None:
            return level, says

        def climb(gain: float) -> None:
            point = (gain * wave).requires_grad_()
            torch.autograd.grad(searched.scores(point).square().sum(), point)

        self.gradient_ms = _milliseconds(climb)
        return level, f"{says}, {self.gradient_ms:.3g} ms a gradient"


def _milliseconds(ask: Callable[[float], object], times: int = TIMES) -> float:
    """Time a question, each time about a sound a little softer: a victim may remember the last one."""
    took = []
    for place in range(1, times + 1):
        began = time.perf_counter()
        ask(1 - 0.01 * place)
        took.append(1000 * (time.perf_counter() - began))
    return median(took)
