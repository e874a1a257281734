"""Victims of a real server on loopback, in `tests.victims.http_faults`, that wait for nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.victims.http_faults import Handler, Server, Wave

from subterfuge.victims import load_victim
from subterfuge.victims.http import HttpVictim

LABELS = ("a", "b", "c")

Make = Callable[..., HttpVictim]


def chances(wave: Wave) -> dict[str, float]:
    e = np.exp(np.array([wave.std(), wave.max(), wave[0]], dtype=np.float64))
    return dict(zip(LABELS, (e / e.sum()).tolist(), strict=True))


@contextmanager
def scoring() -> Iterator[Server]:
    """Lend a server that answers `chances`, and the label "b" to everything."""
    made = Server(lambda wave: {"label": "b", "probabilities": chances(wave)})
    yield made
    made.close()


def maker(server: Server, card_of: Callable[..., Path]) -> Make:
    """Load a victim of the server that waits for nothing; `slept` lists the waits."""

    def load(**values: Any) -> HttpVictim:
        common = {"schema": 1, "kind": "http", "sample_rate": 8000, "labels": list(LABELS), "url": server.url}
        victim = load_victim(card_of(**{**common, "probe_seconds": 0.0, **values}))
        assert isinstance(victim, HttpVictim)
        slept: list[float] = []
        victim.asker.sleep, victim.asker.clock = slept.append, lambda: 100.0 + math.fsum(slept)
        victim.asker.slept = slept  # type: ignore[attr-defined]
        return victim

    return load


def waves(rows: int = 1, *, seed: int = 0) -> torch.Tensor:
    return (0.2 * torch.randn(rows, 200, generator=torch.Generator().manual_seed(seed))).clamp(-1, 1)


def slept(victim: HttpVictim) -> list[float]:
    return victim.asker.slept  # type: ignore[attr-defined, no-any-return]


def leak(handler: Handler) -> None:
    """Say everything that was asked, in an error."""
    handler.reply(
        400, f"no such key: {handler.seen.headers}; {handler.seen.path}; {handler.seen.body[:300]!r}".encode()
    )
