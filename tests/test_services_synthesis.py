"""A sound made to please a server that is paid by the query: what it costs, where it stops, and what is kept."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.victims.http_faults import Server, Wave, status
from tests.victims.paid import paid_by

from subterfuge.audio import Clip
from subterfuge.driver.synthesis import synthesise
from subterfuge.errors import VictimError
from subterfuge.outcome import Outcome, outcome_path
from subterfuge.threat import Budget, LeastSNR
from subterfuge.victims.http import HttpVictim

pytest.importorskip("requests")


def says(wave: Wave) -> dict[str, Any]:
    """Answer b of what moves fast, more surely the louder it is, and c of nothing."""
    fast = float((wave[1:] - wave[:-1]).std())
    b = fast / (0.02 + fast)
    return {"probabilities": [0.9 * (1 - b) + 0.01, 0.9 * b, 0.09]}


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(says)
    yield made
    made.close()


@pytest.fixture
def paid(server: Server, tmp_path: Path) -> Callable[..., HttpVictim]:
    """Load the server as a victim whose questions cost 0.01 each, of which it answers so many."""
    return partial(paid_by, server, tmp_path, "abc")


def made(victim: HttpVictim, target: str, tmp_path: Path, budget: int | None = None, **about: Any) -> Outcome:
    return synthesise(
        victim,
        target,
        seconds=0.05,
        by="nes",
        budget=None if budget is None else Budget(queries=budget),
        out=tmp_path / "out" / "x.wav",
        **about,
    )


def closing(server: Server, after: int) -> None:
    """Answer so many more questions, and then none for good."""
    server.then(*[None] * after, *[status(403)] * 500)


def kept_in(tmp_path: Path) -> dict[str, Any]:
    """Give the record of the sound that was kept, beside which nothing else lies."""
    kept = tmp_path / "out" / "x.unjudged.wav"
    assert {one.name for one in (tmp_path / "out").iterdir()} == {kept.name, outcome_path(kept).name}
    assert Clip.read(kept).frames == 400
    record: dict[str, Any] = json.loads(outcome_path(kept).read_text(encoding="utf-8"))
    assert (record["won"], record["predicted"], record["file"]) == (False, "not asked", str(kept))
    assert any("nobody has judged" in note for note in record["warnings"])
    return record


def test_the_record_says_what_a_sound_cost(server: Server, paid: Callable[..., HttpVictim], tmp_path: Path) -> None:
    outcome = made(paid(), "b", tmp_path, 60)
    assert outcome.won
    assert outcome.service is not None
    assert outcome.service["queries"] == server.answered > 40
    assert outcome.service["total"] == pytest.approx(0.01 * server.answered)
    record = json.loads(outcome_path(tmp_path / "out" / "x.wav").read_text(encoding="utf-8"))
    assert record["service"] == outcome.service


@pytest.mark.parametrize("target", ["b", "c"])
def test_a_search_ends_in_time_for_the_judge(
    target: str, server: Server, paid: Callable[..., HttpVictim], tmp_path: Path
) -> None:
    """Without a budget of its own, and whether it wins or not."""
    outcome = made(paid(60), target, tmp_path)
    assert outcome.won == (target == "b")
    assert 40 < server.answered <= 60
    assert outcome.judgements == outcome.won
    assert outcome.budget["queries"] == 5000, "what was allowed"
    assert any("the search may ask" in note for note in outcome.warnings)
    assert (tmp_path / "out" / "x.wav").exists() == outcome.won


def test_near_a_clip_a_search_ends_in_time_too(paid: Callable[..., HttpVictim], tmp_path: Path) -> None:
    wave = [0.1 * math.sin(1.7 * step) for step in range(400)]
    outcome = made(paid(60), "b", tmp_path, start=Clip.of(wave, 8000, name="clip"), limit=LeastSNR(20))
    assert outcome.won
    assert outcome.service is not None
    assert 40 < outcome.service["queries"] <= 60


@pytest.mark.parametrize(("most", "budget"), [(60, 60), (9, None)])
def test_what_cannot_be_paid_is_refused_before_the_search(
    most: int, budget: int | None, server: Server, paid: Callable[..., HttpVictim], tmp_path: Path
) -> None:
    with pytest.raises(VictimError, match=r"answers \d+ more queries.*most_queries"):
        made(paid(most), "b", tmp_path, budget)
    assert server.answered <= 3
    assert not (tmp_path / "out").exists()


def test_what_was_paid_for_is_kept_wherever_the_server_closes(
    server: Server, paid: Callable[..., HttpVictim], tmp_path: Path
) -> None:
    lost = made(paid(), "c", tmp_path, 30)
    questions = server.answered
    assert not lost.won
    raced = set[int]()
    for last in (4, 5, 6, 8, 11, *range(questions - 4, questions)):
        closing(server, last)
        with pytest.raises(VictimError, match=r"403.*the best so far.*kept in .*x\.unjudged\.wav"):
            made(paid(), "c", tmp_path, 30, force=True)
        record = kept_in(tmp_path)
        assert record["service"]["queries"] == last
        assert record["queries"] > 0
        raced.add(record["findings"]["raced"])
    assert raced == {0, 6}, "it closed in the race, and in the climb"


def test_a_win_whose_file_was_asked_about_before_needs_no_server(
    server: Server, paid: Callable[..., HttpVictim], tmp_path: Path
) -> None:
    closing(server, 20)
    outcome = made(paid(), "b", tmp_path, 30)
    assert outcome.won
    assert outcome.service is not None
    assert outcome.service["queries"] == 20
    assert any("403" in note for note in outcome.warnings)


def test_a_server_that_answers_nothing_leaves_nothing(
    server: Server, paid: Callable[..., HttpVictim], tmp_path: Path
) -> None:
    closing(server, 0)
    with pytest.raises(VictimError, match="403"):
        made(paid(), "b", tmp_path, 30)
    assert not (tmp_path / "out").exists()
