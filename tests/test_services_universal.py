"""One sound for many clips against a server that is paid by the query: what it costs, and what is kept."""

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
from subterfuge.driver._universal_evolve import Evolve
from subterfuge.driver.universal import Mix, Universal, universal, universal_path
from subterfuge.errors import InputError, VictimError
from subterfuge.threat import Targeted
from subterfuge.victims.http import HttpVictim

pytest.importorskip("requests")
QUICK = Evolve(queries=80, bands=4, batch=2)
EACH = 1 + 1 + 2
"""Questions about each clip that judges."""


def says(wave: Wave) -> dict[str, Any]:
    """Answer b of what moves fast."""
    fast = float((wave[1:] - wave[:-1]).std())
    return {"probabilities": [1 - fast / (0.1 + fast), fast / (0.1 + fast)]}


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(says)
    yield made
    made.close()


@pytest.fixture
def paid(server: Server, tmp_path: Path) -> Callable[..., HttpVictim]:
    """Load the server as a victim whose questions cost 0.01 each, of which it answers so many."""
    return partial(paid_by, server, tmp_path, "ab")


CLIPS = [
    Clip.of([0.1 * math.sin(pitch * step) for step in range(400)], 8000, name=f"clip{pitch}")
    for pitch in (0.11, 0.12, 0.13, 0.14, 0.15)
]


def made(victim: HttpVictim, tmp_path: Path, how: Evolve = QUICK, **about: Any) -> Universal:
    split: dict[str, Any] = {} if "folds" in about else {"held_out": 0.4}
    return universal(CLIPS, victim, Targeted("b"), mix=Mix(snr_db=0.0), how=how, starts=1, draws=1,
                     out=tmp_path / "out" / "x.wav", **split, **about)  # fmt: skip


def closing(server: Server, after: int) -> None:
    """Answer so many more questions, and then none for good."""
    server.then(*[None] * after, *[status(403)] * 500)


def test_the_record_says_what_the_sound_cost(server: Server, paid: Callable[..., HttpVictim], tmp_path: Path) -> None:
    universal_sound = made(paid(), tmp_path)
    assert universal_sound.service is not None
    assert universal_sound.service["queries"] == server.answered >= 5 + 2 * EACH
    assert universal_sound.service["total"] == pytest.approx(0.01 * server.answered)
    record = json.loads(universal_path(tmp_path / "out" / "x.wav").read_text(encoding="utf-8"))
    assert record["service"] == universal_sound.service


@pytest.mark.parametrize(("about", "most"), [({}, 5 + 81 + 2 * EACH), ({"folds": 2}, 5 + 3 * 81 + 5 * EACH)])
def test_what_cannot_be_paid_is_refused_before_the_first_question(
    about: dict[str, Any], most: int, server: Server, paid: Callable[..., HttpVictim], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=rf"answers {most - 1} more queries.*up to {most}: 5 about.*most_queries"):
        made(paid(most - 1), tmp_path, **about)
    assert server.answered == 0
    assert not (tmp_path / "out").exists()
    assert made(paid(most), tmp_path, **about).success.of in (2, 5)
    assert server.answered <= most


def test_the_refusal_names_a_budget_that_is_not_refused(
    server: Server, paid: Callable[..., HttpVictim], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="--queries 100 or fewer"):
        made(paid(5 + 101 + 2 * EACH), tmp_path, Evolve(queries=200, bands=4, batch=2))
    made(paid(5 + 101 + 2 * EACH), tmp_path, Evolve(queries=100, bands=4, batch=2))


@pytest.mark.parametrize("folds", [None, 2])
def test_a_sound_that_was_paid_for_is_kept_wherever_the_server_closes(
    folds: int | None, server: Server, paid: Callable[..., HttpVictim], tmp_path: Path
) -> None:
    about: dict[str, Any] = {} if folds is None else {"folds": folds}
    whole = made(paid(), tmp_path, **about)
    questions = server.answered
    for one in (tmp_path / "out").iterdir():
        one.unlink()
    judged = set[int]()
    for last in (40, questions - 1) if folds is None else (questions // 3, questions - 20):
        closing(server, last)
        with pytest.raises(VictimError, match=r"403.*kept in .*x\.unjudged\.wav"):
            made(paid(), tmp_path, force=True, **about)
        kept = tmp_path / "out" / "x.unjudged.wav"
        assert {one.name for one in (tmp_path / "out").iterdir()} == {kept.name, universal_path(kept).name}
        assert Clip.read(kept).frames == 400
        assert abs(Clip.read(kept).samples).max() > 0.01
        record = json.loads(universal_path(kept).read_text(encoding="utf-8"))
        assert record["service"]["queries"] == last
        assert record["file"] == str(kept)
        assert "died" in record["verdict"]
        assert len(record["clips"]) == record["success"]["of"] < len(whole.clips)
        assert set(record["learned_from"]).isdisjoint(row["name"] for row in record["clips"])
        judged.add(len(record["clips"]))
    assert len(judged) == 2, "it closed before the first clip was judged, and later"


def test_a_server_that_closes_before_anything_was_learned_leaves_nothing(
    server: Server, paid: Callable[..., HttpVictim], tmp_path: Path
) -> None:
    for last in (0, 3, 7):
        closing(server, last)
        with pytest.raises(VictimError, match="403"):
            made(paid(), tmp_path)
        assert not (tmp_path / "out").exists()
