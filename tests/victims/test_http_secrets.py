"""What a victim over HTTP must not show, and what tells two of them apart."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tests.victims import http_faults as meets
from tests.victims.http_faults import Server
from tests.victims.http_victims import Make, leak, maker, scoring, waves

from subterfuge.errors import CardError, VictimError
from subterfuge.victims._json_answers import Unfit
from subterfuge.victims.http import identity
from subterfuge.victims.http.address import shown_url
from subterfuge.victims.http.reading import understood


@pytest.fixture
def server() -> Iterator[Server]:
    with scoring() as made:
        yield made


@pytest.fixture
def make(server: Server, card_of: Callable[..., Path]) -> Make:
    return maker(server, card_of)


@pytest.mark.parametrize(
    "said",
    [
        'wrong key "sk-Zq7/+9981X"',
        "<p>wrong<b>key</b> sk-Zq7/+9<i>981</i>X</p>",
        "wrong key sk-Zq7/+...",
        "wrong key SK-ZQ7/+9981X",
        "wrong key sk-Zq7%2F%2B9981X",
        "wrong key c2stWnE3Lys5OTgxWA==",
        "x" * 193 + "sk-Zq7/+9981X",
        '{"wrong": "sk-Zq7\\/+9981X"}',
        "<html>sk-Zq7/+9<b>981</b>X",
        "<html>sk-Zq<b>7</b>/+9981X",
        "<html>sk&#45;<b>Zq7</b>&#47;+9981X",
    ],
)
def test_a_secret_that_the_server_says_back_is_not_shown(
    server: Server, make: Make, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setenv("API_KEY", "sk-Zq7/+9981X")
    told = [{said: 1}, {"label": said}, {"error": said}, {"detail": {said: [said]}}]
    told += [{"probabilities": p} for p in (said, {said: 1}, [said, 1], [{"label": said, "score": 1}])]
    headers = {"Authorization": "Bearer ${API_KEY}"}
    for victim in (make(headers=headers), make(headers=headers, gives="labels", answer="probabilities")):
        server.then(meets.say(said, 401), meets.say(f"<html>{said}"), *map(meets.give, told))
        for _ in range(2 + len(told)):
            with pytest.raises(VictimError) as died:
                victim.decide(waves())
            assert not {each for each in ("Zq7", "c2stWnE", "ZQ7") if each in str(died.value)}


def test_wherever_the_text_of_an_answer_is_cut_no_part_of_a_secret_is_left(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "sk-Zq7/+9981X")
    keyed: dict[str, Any] = {"headers": {"X-Key": "${API_KEY}"}}
    whole = make(**keyed, answer=""), make(**keyed, answer="", gives="labels")
    inside = make(**keyed, answer="p"), make(**keyed, answer="p", gives="labels")
    for length in range(12, 150, 2):  # cuts are at 40 to 150 characters, and leave 6 of a secret or 7 somewhere
        said = "x" * length + "sk-Zq7/+9981X"
        for each in (said, {said: 1}, [said, 1], [{"label": said, "score": 1}], [{"label": "a", said: 1}]):
            asked = [*product(whole, [each]), *product(inside, [{"p": each}, {"error": each}])]
            for victim, answer in asked:
                with pytest.raises(Unfit) as died:
                    understood(answer, victim.settings, victim.labels)
                assert "Zq7" not in str(died.value)


def test_no_tag_within_a_secret_leaves_its_rest(server: Server, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "sk-SuperSecretValue-123")
    victim = make(headers={"Authorization": "Bearer ${API_KEY}"}, retries=0)
    for said in (
        "sk-Super<b>SecretValue</b>-123",
        "sk-<i>S</i>uper<b>SecretValue</b>-123",
        "sk&#45;Super<b>SecretValue",
    ):
        for meet in (meets.say(f"<html>{said}"), meets.say(said, 401), meets.give({"error": said})):
            server.then(meet)
            with pytest.raises(VictimError) as died:
                victim.decide(waves())
            assert not {each for each in ("Super", "Secret", "Value") if each in str(died.value)}, (said, died.value)


def test_a_secret_of_digits_that_comes_back_as_a_number_is_not_shown(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIN", "83729147263548190273")
    keyed: dict[str, Any] = {"headers": {"X-Pin": "${PIN}"}, "answer": "p"}
    pin = 83729147263548190273
    for victim in (make(**keyed), make(**keyed, gives="labels")):
        for length in range(20, 150, 3):
            for each in (pin, [["x" * length, pin]], {"x" * length: float(pin)}, [{"label": "x" * length, "n": pin}]):
                for answer in ({"p": each}, {"error": each}):
                    with pytest.raises(Unfit) as died:
                        understood(answer, victim.settings, victim.labels)
                    assert "8372" not in str(died.value)


def test_a_short_secret_hides_what_is_said_in_json_too(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIN", "739")
    victim = make(headers={"X-Pin": "${PIN}"})
    with pytest.raises(Unfit, match="not shown, for it may hold a secret") as died:
        understood({"error": "the pin 739 is wrong"}, victim.settings, victim.labels)
    assert "739" not in str(died.value)


def test_no_secret_is_seen_anywhere(
    server: Server, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("API_KEY", "alpha-1234567")
    monkeypatch.setenv("BETA", "beta-1234567")
    caplog.set_level(logging.DEBUG)
    url = server.url.replace("//", "//user:gamma-1234567@") + "?key=delta-1234567&k=${BETA}"
    fields = {"token": "epsilon-1234567", "plain": "${API_KEY}", "a": {"pwd": "eta-1234567"}}
    victim = make(url=url, headers={"X-Key": "${API_KEY}", "X-Other": "zeta-1234567"}, fields=fields, send="base64")
    server.then(None, leak, meets.say("", 302, Location="http://x/?k=beta-1234567"), meets.say("<p>delta-1234567"))
    victim.decide(waves())
    assert server.seen[0].headers["x-key"] == "alpha-1234567"
    assert server.seen[0].path == "/score?key=delta-1234567&k=beta-1234567"
    seen = [repr(victim), str(victim), repr(victim.asker), repr(victim.settings), *victim.warnings]
    seen += [json.dumps(victim.spent())]
    for _ in range(3):
        with pytest.raises(VictimError) as died:
            victim.decide(waves(seed=1))
        seen += [str(died.value), repr(died.value)]
    server.close()
    with pytest.raises(VictimError) as died:
        victim.decide(waves(seed=1))
    seen += [str(died.value), caplog.text]
    assert "POST [...] HTTP/1.1" in caplog.text
    for text in seen:
        assert "1234567" not in text
        assert "dXNlcjpnYW1tYS0xMjM0NTY3" not in text  # user:gamma-1234567 in base64
    assert server.url in str(died.value)


def test_a_secret_too_short_to_cut_out_hides_what_the_server_says(
    server: Server, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIN", "123")
    server.then(meets.say("the pin 123 is wrong", 403))
    with pytest.raises(VictimError, match=r"403 Forbidden .*not shown, for it may hold a secret"):
        make(headers={"X-Pin": "${PIN}"}).decide(waves())


def test_an_address_from_the_environment_is_shown_by_its_name(
    server: Server, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORE_URL", server.url)
    victim = make(url="${SCORE_URL}", retries=0)
    victim.decide(waves())
    server.close()
    with pytest.raises(VictimError, match=r"asked at \$\{SCORE_URL\}: .* without an answer"):
        victim.decide(waves(seed=1))


def test_the_fingerprint_tells_cards_apart_and_not_keys(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    prints = set()
    for key in ("first-key", "second-key"):
        monkeypatch.setenv("API_KEY", key)
        url = f"http://me:{key}@127.0.0.1:1/score?token={key}&k=${{API_KEY}}"
        prints.add(make(url=url, headers={"X-Key": "${API_KEY}"}, fields={"api_key": key}).fingerprint)
    assert len(prints) == 1
    for other in (
        {"url": "http://127.0.0.1:1/other"},
        {"url": "http://127.0.0.1:1/score?model=2"},
        {"headers": {"X-Model": "2"}},
        {"fields": {"model": "2"}},
        {"answer": "p"},
        {"subtype": "FLOAT"},
        {"labels": ["a", "c", "b"]},
        {"sample_rate": 16000},
        {"output": "logits"},
        {"label": "label"},
    ):
        prints.add(make(**other).fingerprint)
    assert len(prints) == 11


def test_the_fingerprint_tells_apart_what_the_environment_says_and_what_sounds_like_a_secret_and_is_none(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    prints = set()
    for place in ("alpha", "bravo"):
        monkeypatch.setenv("PLACE", place)
        for card in (
            {"url": "http://127.0.0.1:1/${PLACE}/score"},
            {"url": "http://127.0.0.1:1/?model=${PLACE}"},
            {"url": "http://${PLACE}.example.org/score"},
            {"headers": {"X-Model": "${PLACE}"}},
            {"fields": {"model": "${PLACE}"}},
            *({"fields": {name: place}} for name in ("author", "passes", "signal", "keyboard")),
        ):
            prints.add(make(**card).fingerprint)
    assert len(prints) == 18


def test_a_secret_in_the_path_or_a_header_leaves_the_fingerprint_as_it_was(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for card in (
        {"url": "http://127.0.0.1:1/hooks/${HOOK_TOKEN}"},
        {"url": "http://127.0.0.1:1/?plain=${HOOK_TOKEN}"},
        {"headers": {"Authorization": "Bearer ${HOOK}"}},
        {"fields": {"apiKey": "${HOOK}"}},
    ):
        prints = set()
        for value in ("one", "two"):
            monkeypatch.setenv("HOOK_TOKEN", value)
            monkeypatch.setenv("HOOK", value)
            prints.add(make(**card).fingerprint)
        assert len(prints) == 1, card


def test_guesses_at_what_a_fingerprint_hides_fit_by_the_dozen(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    card = {"url": "http://127.0.0.1:1/${PLACE}?x=${PLACE}", "headers": {"X-Other": "${PLACE}"}}
    seen: list[str] = []
    monkeypatch.setattr(identity, "fingerprint_of", lambda *parts: seen.extend(parts) or "")
    monkeypatch.setenv("PLACE", "p0")
    make(**card)
    assert not [part for part in seen if "p0" in part]
    hint = identity.hint_of("p0")
    assert sum(identity.hint_of(f"p{k}") == hint for k in range(300_000)) > 2


URLS = [
    ("http://me:pa#ss@127.0.0.1:9/score", "http://127.0.0.1:9/score"),
    ("http://me:pa?ss@127.0.0.1:9/score", "http://127.0.0.1:9/score"),
    ("http://me:pa/ss@127.0.0.1:9/score", "http://127.0.0.1:9/score"),
    ("http://me:12/ss@127.0.0.1:9/score", "http://127.0.0.1:9/score"),
    ("HTTPS://me:pa//ss@127.0.0.1:9/score?key=ss", "HTTPS://127.0.0.1:9/score"),
    ("me:pass@127.0.0.1:9/score", "127.0.0.1:9/score"),
    ("http://127.0.0.1:9/score?mail=pass@ss", "http://ss"),
]


@pytest.mark.parametrize(("url", "shown"), URLS)
def test_an_at_behind_the_host_is_refused_and_nothing_before_it_is_shown(make: Make, url: str, shown: str) -> None:
    with pytest.raises(CardError, match="url holds an @ where no user and password can end, and is not shown") as died:
        make(url=url)
    told = str(died.value).partition("url holds")[2]
    assert not {part for part in ("me:", "12", "127.0.0.1", "ss@", "pa/", "pa#", "pa?", "key=") if part in told}
    assert shown_url(url) == shown


def test_a_password_from_the_environment_that_ends_the_host_is_refused_and_not_shown(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for password in ("pa/ssw0rdXYZ", "pa?ssw0rdXYZ", "pa#ssw0rdXYZ"):
        monkeypatch.setenv("SECRET", password)
        with pytest.raises(CardError, match="url holds an @ where") as died:
            make(url="http://me:${SECRET}@127.0.0.1:9/score")
        assert "ssw0rd" not in str(died.value)


def broken_header(handler: meets.Handler) -> None:
    """Answer with a line among the headers that is none, and repeats what was asked."""
    body = b'{"probabilities": [0.2, 0.3, 0.5]}'
    line = handler.seen.path.encode()
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nno header %s\r\nX: y\r\n\r\n" % (len(body), line) + body
    )
    handler.close_connection = True


def test_a_header_that_is_none_brings_no_key_into_the_log(
    server: Server, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("API_KEY", "alpha-1234567")
    url = server.url.replace("//", "//me:beta-1234567@") + "?api_key=${API_KEY}"
    server.then(broken_header)
    make(url=url, retries=0).decide(waves())
    assert "Failed to parse headers" in caplog.text
    assert "1234567" not in caplog.text
    assert "score" not in caplog.text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"headers": {"Cookie": "sid=TOPvalue42"}}, "TOPvalue42"),
        ({"headers": {"Cookie": "theme=dark; sid=TOPvalue42"}}, "TOPvalue42"),
        ({"headers": {"Cookie": "sid=TOPvalue=="}}, "TOPvalue"),
        ({"headers": {"Authorization": 'Digest user="me", response="TOPvalue42"'}}, "TOPvalue42"),
        ({"headers": {"X-Keys": "first-99,TOPvalue42"}}, "TOPvalue42"),
        ({"fields": {"password": 87654321}}, "87654321"),
        ({"fields": {"password": {"pin": [8765.4321]}}, "send": "base64"}, "8765.4321"),
        ({"fields": {"password": 87654321.0}}, "87654321"),
        ({"fields": {"session": "id=7;TOPvalue42"}}, "TOPvalue42"),
    ],
)
def test_a_secret_that_stands_on_the_card_is_not_shown_when_the_server_says_a_part_of_it(
    server: Server, make: Make, values: dict[str, Any], said: str
) -> None:
    server.then(meets.say(f"no such session: {said}", 401))
    with pytest.raises(VictimError, match=r"no such session: .hidden.") as died:
        make(**values).decide(waves())
    assert said not in str(died.value)


def test_a_header_hides_neither_its_scheme_nor_the_names_in_it(server: Server, make: Make) -> None:
    server.then(meets.say("Bearer realm: name unknown", 401))
    headers = {"Authorization": "Bearer alpha-1234567", "X-Who": "name=gamma-1234567"}
    with pytest.raises(VictimError, match="Bearer realm: name unknown"):
        make(headers=headers).decide(waves())


def test_no_cookie_of_a_server_is_sent_back_and_those_of_the_card_are(server: Server, make: Make) -> None:
    body = meets.say('{"probabilities": [0.2, 0.3, 0.5]}', Set_Cookie="sid=theirs; Path=/")
    server.then(body, body, body)
    for cards in ({}, {"headers": {"Cookie": "sid=mine"}}):
        victim = make(cache="off", **cards)
        victim.decide(waves())
        victim.decide(waves())
        assert not list(victim.asker.wire._session.cookies)
    assert [seen.headers.get("cookie") for seen in server.seen] == [None, None, "sid=mine", "sid=mine"]
