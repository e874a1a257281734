"""What was measured on a sound is not told of another sound that came into its place."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.harden.kit import TINY, cases, faced, tone
from tests.world import card

from subterfuge.campaign.cases import Case
from subterfuge.harden.accuracy import accuracy_of
from subterfuge.harden.certified import N0, N, certified
from subterfuge.harden.memory import Memory, key_of
from subterfuge.harden.strength import VERSION, Plan, Strength
from subterfuge.training.examples import Example


def replaced(path: Path, label: str) -> None:
    """Put another sound of the same length in a file's place, as of a second later."""
    before = path.stat()
    tone(path, label)
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))


def test_clean_accuracy_is_measured_anew_where_a_clip_or_its_label_was_changed(tmp_path: Path) -> None:
    victim, memory = card(tmp_path / "cards"), Memory(None)
    examples = [Example(tone(tmp_path / f"{label}.wav", label), label, label) for label in ("low", "high")]
    told: list[tuple[int, int]] = []

    def right(of: list[Example]) -> int:
        told.clear()
        return int(accuracy_of(victim, of, memory=memory, tell=lambda *at: told.append(at))["right"])

    assert (right(examples), told) == (2, [(0, 2), (2, 2)])
    assert (right(examples), told) == (2, []), "it is known"
    assert right([examples[0], replace(examples[1], label="low")]) == 1
    assert right([examples[0], replace(examples[1], label="low", also=("high",))]) == 2
    replaced(examples[0].path, "middle")
    assert right(examples) == 1


def test_a_radius_is_proven_anew_where_a_clip_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def certify(victim: Any, wave: torch.Tensor, *, progress: Any, **about: Any) -> Any:
        asked.append(float(wave.abs().sum()))
        progress(N0)
        return SimpleNamespace(label="low", radius_l2=1.0, p_lower=0.9, snr_db=50.0)

    monkeypatch.setattr(sys.modules["subterfuge.harden.certified"], "certify", certify)
    victim: Any = SimpleNamespace(fingerprint="f", sample_rate=8000, sd=0.01)
    some, memory = cases(tmp_path, 2), Memory(None)
    strength = Strength("v", "v.toml", some, (faced(0), faced(1)))
    told: list[tuple[int, int]] = []

    def prove() -> None:
        certified(victim, some, strength, 2, memory, lambda *at: told.append(at))

    prove()
    one = N0 + N
    assert told == [(N0, 2 * one), (one, 2 * one), (one + N0, 2 * one), (2 * one, 2 * one)]
    prove()
    assert len(asked) == 2
    replaced(some[0].path, "high")
    prove()
    assert len(asked) == 3


def test_a_case_is_known_by_the_sound_from_elsewhere_and_one_without_it_as_ever(tmp_path: Path) -> None:
    (case,) = cases(tmp_path, 1)
    plan, found = Plan((case,), TINY), tmp_path / "found.wav"
    found.write_bytes(b"one")
    keys = [plan.key("print", case, str(found)), plan.key("print", case, None), plan.key("print", case, "gone.wav")]
    (tmp_path / "again.wav").write_bytes(b"one")
    assert plan.key("print", case, str(tmp_path / "again.wav")) == keys[0]
    found.write_bytes(b"two")
    keys.append(plan.key("print", case, str(found)))
    assert len(set(keys)) == 4
    about = case.path.stat()
    asked = (TINY, plan.searches, "targeted", 0, True)
    assert keys[1] == key_of(VERSION, "print", case, (about.st_size, about.st_mtime_ns), asked, False)
    with_more = Case(0, case.path, case.label, case.target, ("piano",))
    assert plan.key("print", with_more, None) != keys[1]
