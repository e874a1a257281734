"""What was built in an earlier call is not built again, unless it is another thing or was damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.world import card, clip

from subterfuge.harden import build
from subterfuge.harden.build import Workshop, built
from subterfuge.harden.defences import parse_defence
from subterfuge.harden.memory import Memory
from subterfuge.training.examples import Dataset, Example
from subterfuge.victims import load_victim


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    sounds = [clip(tmp_path / f"low_{name}.wav", seed=name) for name in range(2)]
    data = Dataset("two", tuple(Example(path, "low", path.stem) for path in sounds))
    return Workshop(data, (0, 1), tmp_path / "out")


def test_a_second_call_gives_the_card_of_the_first(
    tmp_path: Path, shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = card(tmp_path)
    victim, wanted, memory = load_victim(base), parse_defence("lowpass=2000"), Memory(tmp_path / "out" / "cases.jsonl")
    calls: list[str] = []
    truly = build.defended
    monkeypatch.setattr(build, "defended", lambda *about: calls.append(about[2].name) or truly(*about))
    first = built(victim, base, wanted, shop, memory)
    again = Memory(tmp_path / "out" / "cases.jsonl")
    assert built(victim, base, wanted, shop, again) == first
    assert calls == ["lowpass=2000"]
    built(victim, base, wanted, replace(shop, seed=1), again)
    built(victim, base, parse_defence("lowpass=1000"), shop, again)
    assert calls == ["lowpass=2000", "lowpass=2000", "lowpass=1000"]


def test_a_damaged_card_is_built_again(tmp_path: Path, shop: Workshop) -> None:
    base = card(tmp_path)
    victim, wanted, memory = load_victim(base), parse_defence("lowpass=2000"), Memory(None)
    first = built(victim, base, wanted, shop, memory)
    whole = first.read_bytes()
    first.write_text("damaged", encoding="utf-8")
    assert built(victim, base, wanted, shop, memory) == first
    assert first.read_bytes() == whole
