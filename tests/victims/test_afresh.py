"""A wrapper without its memory: it asks anew, and so does what it wraps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from subterfuge.victim import Victim
from subterfuge.victims import PythonVictim, check_victim
from subterfuge.victims.detector import DetectorVictim
from subterfuge.victims.ensemble import EnsembleVictim
from subterfuge.victims.smoothed import SmoothedVictim
from subterfuge.victims.through import ThroughVictim
from subterfuge.victims.windowed import WindowedVictim

RATE = 8000
WAVE = 0.1 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))


def counting() -> tuple[WindowedVictim, list[float]]:
    """Windows, which remember, around a function that never says the same twice; and what it said."""
    said: list[float] = []

    def function(wave: Any) -> list[float]:
        said.append(len(said) / 10)
        return [said[-1], 1 + said[-1] ** 2]

    inner = PythonVictim.of(function, labels=["a", "b"], sample_rate=RATE, output="logits")
    return WindowedVictim.of(inner, 0.5), said


WRAPPERS: dict[str, Callable[[WindowedVictim], Victim]] = {
    "windowed": lambda inner: inner,
    "windows in windows": lambda inner: WindowedVictim.of(inner, 1.0),
    "through": lambda inner: ThroughVictim.of(inner, "requantise=8"),
    "smoothed": lambda inner: SmoothedVictim.of(inner, 0.01, draws=2),
    "ensemble": lambda inner: EnsembleVictim.of([inner, PythonVictim.of(fixed, **FIXED)]),
    "detector": lambda inner: DetectorVictim.of(inner, "requantise=8"),
}
FIXED: dict[str, Any] = {"labels": ["b", "a"], "sample_rate": RATE, "output": "logits"}


def fixed(wave: Any) -> list[float]:
    return [0.0, 1.0]


@pytest.mark.parametrize("case", WRAPPERS)
def test_what_lies_behind_a_wrapper_is_asked_anew_by_the_same_victim_without_its_memory(case: str) -> None:
    inner, said = counting()
    victim: Any = WRAPPERS[case](inner)
    victim.scores(WAVE)
    known = len(said)
    victim.scores(WAVE)
    assert len(said) == known, "windows remember the last sound"
    fresh = victim.afresh()
    assert (fresh.name, fresh.fingerprint, fresh.labels) == (victim.name, victim.fingerprint, victim.labels)
    fresh.scores(WAVE)
    assert len(said) == 2 * known, "what was known is asked again, and no more than that"
    victim.scores(WAVE)
    assert len(said) == 2 * known, "the one that remembers does so still"


@pytest.mark.parametrize("case", [name for name in WRAPPERS if name != "smoothed"])
def test_the_check_finds_that_what_is_wrapped_says_another_thing_each_time(case: str) -> None:
    victim = WRAPPERS[case](counting()[0])
    found = {each.name: each for each in check_victim(victim, [WAVE[0].numpy()], queries=2).findings}["determinism"]
    assert found.level != "ok", found.says


def test_windows_know_still_what_a_question_of_noise_told_them() -> None:
    probed: list[int] = []

    class Toy:
        """Without a word of what its numbers are."""

        def __init__(self) -> None:
            self.real = PythonVictim.of(fixed, **FIXED)

        def __getattr__(self, name: str) -> Any:
            if name == "output":
                raise AttributeError(name)
            return getattr(self.real, name)

        def probabilities(self, wave: torch.Tensor) -> torch.Tensor | None:
            probed.append(wave.shape[-1])
            return self.real.probabilities(wave)

    victim = WindowedVictim.of(Toy(), 0.5)
    victim.scores(WAVE)
    before = len(probed)
    victim.afresh().scores(WAVE)
    assert len(probed) == before + 2, "two windows, and no noise"
    np.testing.assert_allclose(victim.afresh().probabilities(WAVE).sum(), 1.0)  # type: ignore[union-attr]
