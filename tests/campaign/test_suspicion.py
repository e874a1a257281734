"""An audit doubts its white box where something that sees less does better, and only there."""

from __future__ import annotations

from typing import Any

import pytest

from subterfuge.campaign.rows import Audit, Job, Row
from subterfuge.campaign.suspicion import suspect


def row(probe: str, snr_db: float | None, clip: str = "a", **about: Any) -> Row:
    outcome = {"won": snr_db is not None, "snr_db": snr_db, "already": False} | about
    return Row(Job(0, probe, clip, clip, clip, "low", target="high"), f"{probe}{clip}", "done", {"outcome": outcome})


def signs(*rows: Row) -> list[str]:
    return [one.sign for one in suspect(Audit({}, rows))]


@pytest.mark.parametrize("probe", ["scores", "labels", "substitute"])
def test_a_search_that_sees_less_and_does_better_by_more_than_a_decibel_is_a_sign(probe: str) -> None:
    assert signs(row("white", 40.0), row(probe, 41.5)) == ["black box"]
    assert signs(row("white", 40.0), row(probe, 40.9)) == []
    assert signs(row("white", 40.0), row(probe, None)) == []
    assert signs(row("white", 40.0), row(probe, 60.0, clip="b")) == []


def test_a_white_box_that_finds_nothing_of_any_size_is_a_sign_and_so_is_whoever_finds_something() -> None:
    assert signs(row("white", None)) == ["lost without a limit"]
    assert signs(row("white", None), row("labels", 5.0)) == ["black box", "lost without a limit"]
    assert signs(row("masked", None), row("untargeted", None)) == []


def test_a_clip_that_met_the_goal_as_it_came_says_nothing() -> None:
    assert signs(row("white", None, won=True, already=True), row("labels", 50.0)) == []
