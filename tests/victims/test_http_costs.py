"""What a victim over HTTP costs: answers that are kept, a budget that holds, the rate."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.victims import http_faults as meets
from tests.victims.http_faults import Server
from tests.victims.http_victims import Make, maker, scoring, waves

from subterfuge.errors import CardError, VictimError
from subterfuge.oracle import Oracle
from subterfuge.threat import Targeted, Threat
from subterfuge.victims.http.store import Store


@pytest.fixture
def server() -> Iterator[Server]:
    with scoring() as made:
        yield made


@pytest.fixture
def make(server: Server, card_of: Callable[..., Path]) -> Make:
    return maker(server, card_of)


def test_after_the_last_query_of_the_budget_nothing_is_sent(server: Server, make: Make) -> None:
    victim = make(most_queries=3)
    server.then(None, meets.status(500), None, meets.status(404))
    victim.decide(waves())
    victim.decide(waves(seed=1))
    with pytest.raises(VictimError, match="404"):  # is not answered, so not counted
        victim.decide(waves(seed=2))
    assert victim.queries_left == 1
    with pytest.raises(VictimError, match="the budget of 3 queries is spent"):
        victim.decide(waves(4, seed=3))
    assert (victim.queries_left, victim.spent()["queries"], server.answered) == (0, 3, 3)
    victim.decide(waves())  # is known


@pytest.mark.parametrize("workers", [1, 4])
def test_a_budget_holds_for_all_workers_together(server: Server, make: Make, workers: int) -> None:
    victim = make(most_queries=5, workers=workers)
    with pytest.raises(VictimError, match="budget"):
        victim.decide(waves(16))
    assert (server.answered, victim.spent()["queries"]) == (5, 5)


def test_no_identical_query_is_paid_twice(server: Server, make: Make) -> None:
    victim = make(price=0.001)
    three = waves(3)
    twice = torch.cat([three, three])
    first = victim.scores(twice)
    assert torch.equal(first[:3], first[3:])
    victim.probabilities(three)
    victim.decide(three)
    assert (server.answered, victim.spent()["cached"], victim.spent()["total"]) == (3, 9, 0.003)


def test_a_cache_in_a_file_lasts_and_knows_whose_answers_it_holds(server: Server, make: Make, tmp_path: Path) -> None:
    first = make(cache="paid.sqlite", label="label")
    said = first.scores(waves(2))
    again = make(cache="paid.sqlite", label="label")
    assert torch.equal(again.scores(waves(2)), said)
    assert again.decide(waves(2)).tolist() == [1, 1]
    assert (server.answered, again.spent()["queries"], again.spent()["cached"]) == (2, 0, 4)
    make(cache="paid.sqlite", fields={"model": 2}).scores(waves())
    assert server.answered == 3


ONE = {"url": "?model=${MODEL}"}, {"fields": {"model": "${MODEL}"}}, {"headers": {"X-Model": "${MODEL}"}}
OTHERS = [
    *[({"MODEL": "alpha"}, {"MODEL": "bravo"}, card, card) for card in ONE],
    *[({}, {}, {"fields": {name: 3}}, {"fields": {name: 7}}) for name in ("passes", "author", "signal", "keyboard")],
    ({}, {}, {"url": "?key=one"}, {"url": "?key=two"}),
    ({"API_KEY": "one"}, {"API_KEY": "two"}, {"fields": {"token": "${API_KEY}"}}, {"fields": {"token": "${API_KEY}"}}),
    ({}, {}, {}, {"labels": ["c", "b", "a"]}),
    ({}, {}, {}, {"name": "another", "url": "?"}),
]


@pytest.mark.parametrize(("here", "there", "one", "other"), OTHERS)
def test_a_cache_in_a_file_never_gives_one_request_the_answer_of_another(
    server: Server, make: Make, monkeypatch: pytest.MonkeyPatch, here: Any, there: Any, one: Any, other: Any
) -> None:
    for variables, card in ((here, one), (there, other), (here, one), (there, other)):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        make(cache="paid.sqlite", **{**card, "url": server.url + card.get("url", "")}).decide(waves())
    assert len(server.seen) == 2


def test_a_key_that_is_renewed_in_a_header_loses_no_answers(
    server: Server, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("alpha-1234567", "beta-1234567"):
        monkeypatch.setenv("API_KEY", key)
        make(cache="paid.sqlite", headers={"Authorization": "Bearer ${API_KEY}"}).decide(waves())
    assert len(server.seen) == 1


def test_a_cache_file_holds_no_secret_and_no_hash_that_another_file_has(make: Make, tmp_path: Path) -> None:
    secret, keys = {"fields": {"token": "alpha-1234567"}, "headers": {"X-Key": "beta-1234567"}}, set()
    for name in ("a.sqlite", "b.sqlite"):
        make(cache=name, **secret).decide(waves())
        assert b"1234567" not in (tmp_path / name).read_bytes()
        with closing(sqlite3.connect(tmp_path / name)) as base:
            ((key,),) = base.execute("SELECT victim FROM answers")
        keys.add(key)
    assert len(keys) == 2


DAMAGED: list[Any] = [
    "{nope",
    "[[0.1, 0.2], null]",
    "[[0.1, 0.2], 1]",
    "[[NaN, 0.2, 0.3], null]",
    "[[0, 0, 1e999], 1]",
    b"\xff",
]
DAMAGED += ["[[true, 0, 1], 1]", "[[0.1, 0.2, 0.7], 3]", "[null, true]", "[null, -1]", "[null, null]", "3", "{}", None]


@pytest.mark.parametrize(
    ("cards", "other"),
    [({}, "[null, 0]"), ({"gives": "labels"}, "[[0.1, 0.2, 0.7], 0]"), ({"label": "label"}, "[[0.1, 0.2, 0.7], null]")],
)
def test_a_damaged_row_is_asked_again_and_mended(
    server: Server, make: Make, tmp_path: Path, cards: dict[str, Any], other: Any
) -> None:
    victim = make(cache="paid.sqlite", **cards)
    said = victim.decide(waves()).tolist()
    assert victim.cache is not None
    with closing(sqlite3.connect(tmp_path / "paid.sqlite")) as base:
        (good,) = base.execute("SELECT answer FROM answers").fetchall()
        for count, row in enumerate((other, *DAMAGED), 2):
            base.execute("UPDATE answers SET answer = ?", (row,))
            base.commit()
            victim.cache._known.clear()  # as if it were loaded again
            assert victim.decide(waves()).tolist() == said
            assert len(server.seen) == count, row
            assert base.execute("SELECT answer FROM answers").fetchall() == [good]


def test_a_cache_that_is_something_else_is_refused_and_left_alone(make: Make, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as base:
        base.execute("CREATE TABLE diary (day TEXT)")
    (tmp_path / "diary.sqlite").write_text("my diary, and nobody else's; " * 100)
    (tmp_path / "empty.sqlite").touch()
    for name, says in (("other", "another program's database"), ("diary", "no database"), ("empty", "empty")):
        file = tmp_path / f"{name}.sqlite"
        before = file.read_bytes()
        with pytest.raises(CardError, match=rf"{name}\.sqlite, cannot be used: it is {says}; give a file"):
            make(cache=file.name)
        assert file.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 4  # these, and the card


def test_a_budget_holds_for_all_runs_of_a_card_with_a_file(server: Server, make: Make) -> None:
    common = {"cache": "paid.sqlite", "most_queries": 5}
    first, second = make(**common), make(**common, fields={"model": "other"})  # as two processes have it
    first.decide(waves(2))
    second.decide(waves(2, seed=1))
    assert (first.queries_left, second.queries_left) == (1, 1)
    server.then(meets.status(404), None, meets.status(404))
    with pytest.raises(VictimError, match="404"):
        first.decide(waves(seed=2))
    first.decide(waves(seed=2))
    with pytest.raises(VictimError, match=r"the budget of 5 queries .*, counted over all its runs in .*paid\.sqlite"):
        second.decide(waves(seed=3))
    assert (server.answered, second.queries_left) == (5, 0)
    assert (first.spent()["queries"], second.spent()["queries"]) == (3, 2)
    third = make(**common)
    assert third.queries_left == 0
    third.decide(waves(2))  # is known
    assert make(cache="paid.sqlite", most_queries=7).queries_left == 2
    assert make(**common, name="another").queries_left == 5
    assert make(most_queries=5).queries_left == 5


def test_who_makes_the_same_file_at_once_has_the_same_file(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        salts = set(pool.map(lambda _: Store(tmp_path / "paid.sqlite", "v").salt, range(16)))
    assert [len(salt) for salt in salts] == [32]
    assert [each.name for each in tmp_path.iterdir()] == ["paid.sqlite"]


def test_a_budget_holds_for_processes_that_ask_at_once(server: Server, make: Make) -> None:
    common = {"cache": "paid.sqlite", "most_queries": 20, "workers": 4}
    victims = [make(**common) for _ in range(4)]

    def ask(k: int) -> None:
        with suppress(VictimError):
            victims[k].decide(waves(12, seed=k))

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.answered == sum(victim.spent()["queries"] for victim in victims) == 20


def test_label_scores_and_probabilities_of_a_sound_are_one_question_without_a_cache_too(
    server: Server, make: Make
) -> None:
    for cards in ({}, {"label": "label"}):
        victim = make(cache="off", **cards)
        server.answered = 0
        for _ in range(3):
            victim.decide(waves(2))
            victim.scores(waves(2))
            victim.probabilities(waves(2))
        assert (server.answered, victim.spent()["queries"], victim.spent()["cached"]) == (6, 6, 12)
        victim.afresh().decide(waves(2))
        assert server.answered == 8
    server.answered = 0
    assert make(cache="off", probe_seconds=0.1).spent()["queries"] == server.answered == 1


def test_without_a_cache_the_same_is_asked_again(server: Server, make: Make) -> None:
    for victim in (make(cache="off"), make().afresh()):
        server.answered = 0
        victim.decide(torch.cat([waves(), waves()]))
        victim.decide(waves())
        assert server.answered == 3


def test_answers_that_were_no_good_are_not_kept(server: Server, make: Make) -> None:
    server.then(meets.give({"probabilities": [0, 0]}))
    victim = make()
    with pytest.raises(VictimError):
        victim.scores(waves())
    assert victim.scores(waves()).shape == (1, 3)
    assert victim.spent()["queries"] == 2


def test_requests_keep_to_the_rate_retries_too(server: Server, make: Make) -> None:
    victim, now, begun = make(per_second=4.0, cache="off"), [100.0], []
    victim.asker.clock = lambda: now[0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def note(handler: meets.Handler) -> None:
        begun.append(now[0])
        handler.reply(503, b"", Retry_After=0)

    victim.asker.sleep = sleep
    server.then(*[note] * 4)
    victim.decide(waves())
    now[0] += 10  # what was not used is not saved up
    server.then(*[note] * 3)
    victim.decide(waves())
    assert np.allclose(np.diff(begun), [0.25, 0.25, 0.25, 10.4, 0.25, 0.25])


def test_workers_answer_the_same_in_the_same_order(server: Server, make: Make) -> None:
    alone, many = make(subtype="FLOAT"), make(subtype="FLOAT", workers=5)
    assert (alone.at_once, many.at_once) == (1, 20)
    rows = waves(23)
    assert torch.equal(many.scores(rows), alone.scores(rows))
    server.then(*[None] * 6, *[meets.status(404)] * 3)
    with pytest.raises(VictimError, match="404"):
        many.scores(waves(40, seed=9))
    assert many.spent()["queries"] == 23 + server.answered - 46


@pytest.mark.parametrize("cards", [{}, {"cache": "off"}, {"cache": "off", "label": "label"}])
def test_wins_that_were_answered_before_a_server_closed_are_kept_and_paid_once(
    server: Server, make: Make, cards: dict[str, Any]
) -> None:
    heard = 0

    def answer(_: Any) -> dict[str, Any]:
        nonlocal heard
        with server.lock:
            heard += 1
            b = 0.8 if heard >= 9 else 0.1
        return {"label": "b" if b > 0.5 else "a", "probabilities": {"a": 0.9 - b, "b": b, "c": 0.1}}

    server.answer = answer
    server.then(*[None] * 11, *[meets.status(403)] * 20)
    victim = make(workers=3, **cards)
    clean = waves()
    oracle = Oracle(victim, Threat(Targeted("b")), clean, torch.tensor([1]), ask_decision="label" in cards)
    with pytest.raises(VictimError, match="403"):
        oracle.population(0.1 * waves(30, seed=1), 0)
    assert oracle.won.tolist() == [True]
    assert float(oracle.best_margin[0]) == pytest.approx(np.log(8))
    assert (oracle.queries, server.answered, victim.spent()["queries"]) == ([12], 11, 11)
    assert len(server.seen) <= 11 + 3


@pytest.mark.parametrize(("cards", "begin"), [({}, [100, 103, 103]), ({"per_second": 4.0}, [100, 103, 103.25])])
def test_a_wait_that_the_server_asks_of_one_worker_holds_for_all(
    server: Server, make: Make, cards: dict[str, Any], begin: list[float]
) -> None:
    victim, now, begun, others = make(**cards), [100.0], [], [1]
    victim.asker.clock = lambda: now[0]

    def sleep(seconds: float) -> None:
        until = now[0] + seconds
        while others:  # as another worker asks, while the first one sleeps
            victim.decide(waves(seed=others.pop()))
        now[0] = max(now[0], until)

    def answer(_: Any) -> dict[str, Any]:
        begun.append(now[0])
        return {"probabilities": [0.2, 0.3, 0.5]}

    def busy(handler: meets.Handler) -> None:
        begun.append(now[0])
        handler.reply(429, b"", Retry_After=3)

    victim.asker.sleep, server.answer = sleep, answer
    server.then(busy)
    victim.decide(waves())
    assert begun == begin


@pytest.mark.parametrize("cache", ["memory", "off"])
def test_loading_costs_one_query_whatever_its_numbers_look_like(server: Server, make: Make, cache: str) -> None:
    for numbers, doubted in (([0.1, 0.2, 0.7], True), ([0.1, 0.2, 0.3], False), ([3.0, -1.0, 0.5], False)):
        server.answer = lambda _, numbers=numbers: {"probabilities": numbers}  # type: ignore[misc]
        server.answered = 0
        victim = make(output="logits", probe_seconds=0.1, most_queries=2, cache=cache)
        assert (server.answered, victim.queries_left) == (1, 1)
        assert any("look like probabilities" in note for note in victim.warnings) is doubted


def test_a_budget_that_ends_at_loading_is_told(make: Make) -> None:
    make(probe_seconds=0.1, most_queries=1, cache="paid.sqlite")
    with pytest.raises(CardError, match=r"asked 0\.2 s of noise, .* the budget of 1 queries is spent"):
        make(probe_seconds=0.2, most_queries=1, cache="paid.sqlite")
