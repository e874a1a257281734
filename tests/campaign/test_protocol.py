"""What an audit asks follows from what the victim gives, and its name says all that a figure depends on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.world import card

from subterfuge.campaign.protocol import NAMES, PROTOCOLS, SURVIVES
from subterfuge.errors import InputError
from subterfuge.transforms import parse_transforms
from subterfuge.victims import load_victim


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("bands", NAMES),
        ("scores", ("untargeted", "masked", "scores", "labels", "substitute")),
        ("label", ("untargeted", "masked", "labels", "substitute")),
    ],
)
def test_a_victim_is_asked_what_it_can_answer(tmp_path: Path, kind: str, asked: tuple[str, ...]) -> None:
    victim = load_victim(card(tmp_path, kind))
    found = PROTOCOLS["quick"].searches(victim)
    assert tuple(one.name for one in found) == asked
    for one in found:
        assert one.by.needs <= victim.gives or one.substitute
        assert (one.queries is None) == (one.sees == "gradients")
        json.dumps(one.json(), allow_nan=True)


def test_some_searches_can_be_asked_for_in_the_protocols_order(tmp_path: Path) -> None:
    victim = load_victim(card(tmp_path))
    assert [one.name for one in PROTOCOLS["quick"].searches(victim, ["labels", "white"])] == ["white", "labels"]


def test_a_search_that_is_none_or_asks_for_too_much_is_named(tmp_path: Path) -> None:
    victim = load_victim(card(tmp_path, "label"))
    with pytest.raises(InputError, match="did you mean white"):
        PROTOCOLS["quick"].searches(victim, ["wite"])
    with pytest.raises(InputError, match=r"asks for more than label gives \(labels\)"):
        PROTOCOLS["quick"].searches(victim, ["white"])


def test_levels_try_harder_and_harder() -> None:
    for easy, hard in (("quick", "standard"), ("standard", "thorough")):
        a, b = PROTOCOLS[easy], PROTOCOLS[hard]
        assert all(getattr(a, one) < getattr(b, one) for one in ("clips", "targets", "queries", "clean"))
    assert len(parse_transforms(SURVIVES)) == len(SURVIVES.split(","))
