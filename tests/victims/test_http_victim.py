"""A victim over HTTP, against a real server on loopback that misbehaves in every way that servers do."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests import world
from tests.victims import http_faults as meets
from tests.victims.http_faults import Server
from tests.victims.http_victims import Make, chances, leak, maker, scoring, slept, waves

from subterfuge.attacks import make_attack
from subterfuge.audio.grid import to_steps
from subterfuge.driver import attack
from subterfuge.errors import CardError, MissingExtra, VictimError
from subterfuge.oracle import BudgetSpent, Oracle, dice
from subterfuge.outcome import Outcome
from subterfuge.threat import Budget, Targeted, Threat
from subterfuge.victim import Gives, Victim
from subterfuge.victims import LOADERS, PythonVictim
from subterfuge.victims.card import COMMON, read_card
from subterfuge.victims.http import EXAMPLE, KEYS, HttpVictim

EDGES_HZ = (100, 1000, 2000, 3400)


@pytest.fixture
def server() -> Iterator[Server]:
    with scoring() as made:
        yield made


@pytest.fixture
def make(server: Server, card_of: Callable[..., Path]) -> Make:
    return maker(server, card_of)


# ---- what is sent


@pytest.mark.parametrize("send", ["multipart", "raw", "base64"])
def test_the_server_hears_the_very_wave(server: Server, make: Make, send: str) -> None:
    wave = waves()
    more = {} if send == "raw" else {"field": "clip", "fields": {"top": 3, "all": True, "who": "Zoë"}}
    make(send=send, subtype="FLOAT", **more).decide(wave)
    (seen,) = server.seen
    assert np.array_equal(seen.wave, wave[0].numpy())
    if send == "multipart":
        assert [seen.fields[name] for name in ("top", "all", "who")] == [b"3", b"true", "Zoë".encode()]
    elif send == "base64":
        assert {**json.loads(seen.body), "clip": 0} == {"top": 3, "all": True, "who": "Zoë", "clip": 0}
    else:
        assert seen.headers["content-type"] == "audio/wav"


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_16", 16), ("PCM_24", 24)])
def test_integers_are_the_nearest_steps_clipped_at_full_scale(
    server: Server, make: Make, subtype: str, bits: int
) -> None:
    wave = torch.tensor([[1.5, -1.5, 0.3, 1e-5, -0.25] * 20])
    make(subtype=subtype).decide(wave)
    wanted = to_steps(wave[0].double().numpy(), bits) / 2.0 ** (bits - 1)
    assert np.array_equal(server.seen[0].wave, wanted.astype(np.float32))


def test_the_same_wave_is_the_same_file_at_any_time(server: Server, make: Make) -> None:
    make(subtype="FLOAT", send="raw").decide(waves())
    body = server.seen[0].body
    peak = body.index(b"PEAK")  # libsndfile writes the second of the day into it
    assert body[peak + 12 : peak + 16] == bytes(4)


def test_content_type_of_a_raw_body_is_the_cards(server: Server, make: Make) -> None:
    make(send="raw", headers={"content-type": "audio/x-wav"}).decide(waves())
    assert server.seen[0].headers["content-type"] == "audio/x-wav"


# ---- what is answered

P = {"a": 0.1, "b": 0.2, "c": 0.7}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("probabilities", {"probabilities": P}),
        ("out[1].p", {"out": [0, {"p": [0.1, 0.2, 0.7]}]}),
        ('["a.b"]', {"a.b": P}),
        ("", [0.1, 0.2, 0.7]),
        ("", [{"score": p, "label": name} for name, p in reversed(P.items())]),
        ("[0]", [[{"class": name, "id": i, "confidence": p} for i, (name, p) in enumerate(P.items())]]),
        ("rows", {"rows": [{"instrument": name, "how much": p} for name, p in P.items()]}),
    ],
)
def test_scores_are_found_wherever_they_stand(server: Server, make: Make, answer: str, said: Any) -> None:
    server.then(meets.give(said))
    victim = make(answer=answer)
    found = victim.probabilities(waves())
    assert found is not None
    assert found.tolist() == [[0.1, 0.2, 0.7]]
    torch.testing.assert_close(victim.scores(waves()), found.log())
    assert victim.decide(waves()).tolist() == [2]
    assert len(server.seen) == 1


@pytest.mark.parametrize("said", [{"label": "c"}, {"label": 2}])
def test_labels_alone_are_found_by_text_or_index(server: Server, make: Make, said: Any) -> None:
    server.then(meets.give(said))
    victim = make(gives="labels")
    assert victim.gives == Gives.LABELS
    assert victim.decide(waves()).tolist() == [2]
    assert victim.probabilities(waves()) is None
    with pytest.raises(VictimError, match="labels only"):
        victim.scores(waves())


def test_the_servers_own_verdict_counts_where_the_card_names_it(make: Make) -> None:
    victim = make(label="label")
    assert victim.decide(waves()).tolist() == [1]
    assert not victim.answers_most_probable
    assert make().answers_most_probable


def test_labels_may_be_of_any_script(server: Server, make: Make) -> None:
    server.then(meets.give({"probabilities": {"Flöte": 0.2, "笛": 0.5, "🎺": 0.3}}))
    victim = make(labels=["笛", "🎺", "Flöte"])
    assert victim.probabilities(waves()).tolist() == [[0.5, 0.3, 0.2]]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("<html><body><h1>Log in</h1></body></html>", "HTML, where JSON was expected: Log in; is the url right"),
        ('{"probabilities": {"a": NaN, "b": 0, "c": 1}}', "NaN or an infinite number for the label 'a'"),
        ('{"probabilities": {"a": 1e999, "b": 0, "c": 1}}', "NaN or an infinite number for the label 'a'"),
        ('{"probabilities": [1' + "0" * 400 + ", 0, 0]}", "NaN or an infinite number for the label 'a'"),
        ('{"probabilities": {"a": "0.1", "b": 0, "c": 1}}', '"0.1" for the label .*, where a number'),
        ('{"probabilities": {"a": true, "b": 0, "c": 1}}', "true for the label 'a', where a number"),
        ('{"probabilities": {"a": 0.5, "b": 0.5}}', "it lacks 'c'. If it tells only the first few"),
        ('{"probabilities": {"a": 0.5, "b": 0.5, "dog": 0}}', "it lacks 'c' and it has 'dog', which the card does not"),
        ('{"probabilities": null}', r'null, where 3 numbers .* \(answer = "probabilities"\)'),
        ('{"probabilities": [0.5, 0.5]}', "a list of 2 entries .*, where 3 numbers were expected"),
        ('{"probabilities": [[0.5, 0.2, 0.3]]}', r"end the path with \[0\] .answer = "),
        ('{"probabilities": 3}', "answered 3, where 3 numbers were expected: a table by label"),
        ('{"probs": 1, "model": 2}', "no key 'probabilities'; did you mean 'probs'. Known: 'probs', 'model'"),
        ('{"error": "busy", "code": 1}', 'no key .probabilities.; known: .error., .code.; it says "busy"'),
        ("[1, 2]", "at the top there is a list of 2 entries .*, and 'probabilities' is no index"),
        ('{"probabilities": [{"label": "a", "score": 1}, {"label": "a", "score": 0}]}', "it lacks 'b', 'c'"),
        ('{"probabilities": [{"x": 1, "y": 2}]}', "the keys 'x', 'y' has no key label"),
    ],
)
def test_an_answer_that_is_none_is_told_and_was_paid(server: Server, make: Make, said: str, told: str) -> None:
    server.then(meets.say(said))
    victim = make()
    with pytest.raises(VictimError, match=told):
        victim.scores(waves())
    assert (victim.spent()["queries"], victim.spent()["retries"], len(server.seen)) == (1, 0, 1)


def test_an_answer_of_a_hundred_thousand_brackets_is_told(server: Server, make: Make) -> None:
    server.then(meets.say("[" * 100_000))
    with pytest.raises(VictimError, match="no JSON"):
        make(retries=0).scores(waves())


def test_labels_that_change_from_one_call_to_the_next_are_told(server: Server, make: Make) -> None:
    victim = make()
    victim.scores(waves())
    other = meets.give({"probabilities": {"A": 0.1, "B": 0.2, "C": 0.7}})
    server.then(other, other)
    with pytest.raises(VictimError, match="it has 'A', 'B', 'C', which the card does not"):
        victim.scores(waves(seed=1))
    assert (len(server.seen), victim.spent()["queries"], victim.spent()["retries"]) == (3, 2, 1)


@pytest.mark.parametrize("said", ['{"probabilities": {"a": NaN, "b": 0, "c": 1}}', '{"probabilities": {"A": 1}}', "{}"])
def test_a_server_that_was_understood_before_may_answer_nonsense_once(server: Server, make: Make, said: str) -> None:
    victim = make()
    victim.scores(waves())
    server.then(meets.say(said))
    assert victim.scores(waves(seed=1)).isfinite().all()
    assert (len(server.seen), victim.spent()["queries"], victim.spent()["retries"]) == (3, 2, 1)
    server.then(meets.say(said), meets.status(503), meets.say(said))
    with pytest.raises(VictimError, match="answered"):
        victim.scores(waves(seed=2))


def test_a_label_that_is_none_of_the_cards_is_told(server: Server, make: Make) -> None:
    for said in ("d", 3, -1, True, None, ["a"]):
        server.then(meets.give({"label": said}))
        with pytest.raises(VictimError, match="expected"):
            make(gives="labels").decide(waves())


# ---- what goes wrong on the way


@pytest.mark.parametrize("kind", meets.KINDS)
def test_what_may_be_better_the_next_time_is_asked_again_and_counts_once(
    server: Server, make: Make, kind: meets.Meets
) -> None:
    server.then(kind, kind)
    victim = make(price=0.25, currency="EUR")
    victim.decide(waves())
    assert slept(victim) == [0.5, 1.0]
    spent = {"queries": 1, "cached": 0, "retries": 2, "price": 0.25, "total": 0.25, "currency": "EUR"}
    assert victim.spent() == spent
    assert json.loads(json.dumps(spent)) == spent


@pytest.mark.parametrize("kind", meets.KINDS)
def test_after_its_last_retry_it_says_what_the_server_said(server: Server, make: Make, kind: meets.Meets) -> None:
    server.then(*[kind] * 9)
    victim = make(retries=2)
    with pytest.raises(VictimError, match=r"\(3 attempts\)") as died:
        victim.decide(waves())
    assert died.value.exit_code == 4
    assert len(server.seen) == 3


def test_a_server_that_was_never_there_is_told_at_once(server: Server, make: Make) -> None:
    server.close()
    victim = make()
    with pytest.raises(VictimError, match=r"score: connection refused; is the server running, and the url right\?"):
        victim.decide(waves())
    assert slept(victim) == []


def test_a_server_that_was_there_is_waited_for(server: Server, make: Make) -> None:
    victim = make()
    victim.decide(waves())
    server.close()
    with pytest.raises(VictimError, match=r"score: connection refused \(5 attempts\)"):
        victim.decide(waves(seed=1))
    assert slept(victim) == [0.5, 1, 2, 4]


def test_retry_after_is_respected_as_seconds_and_as_a_date(server: Server, make: Make) -> None:
    date = {"Date": "Wed, 21 Oct 2015 07:28:00 GMT", "Retry_After": "Wed, 21 Oct 2015 07:28:07 GMT"}

    def dated(handler: meets.Handler) -> None:
        handler.send_response_only(503)
        for name, value in {**date, "Content_Length": 0}.items():
            handler.send_header(name.replace("_", "-"), str(value))
        handler.end_headers()

    server.then(meets.status(429, Retry_After=3), dated, meets.status(503, Retry_After="soon"))
    victim = make()
    victim.decide(waves())
    assert slept(victim) == [3.0, 7.0, 2.0]


def test_a_server_that_says_come_at_once_is_given_more_time_each_try(server: Server, make: Make) -> None:
    past = {"Date": "Wed, 21 Oct 2015 07:28:00 GMT", "Retry_After": "Wed, 21 Oct 2015 07:00:00 GMT"}
    server.then(meets.status(429, Retry_After=0), meets.status(503, **past), *[meets.status(429, Retry_After=0)] * 5)
    victim = make(retries=7)
    victim.decide(waves())
    assert slept(victim) == [0.05 * 2**k for k in range(7)]


def test_a_server_that_asks_for_an_hour_is_not_waited_for(server: Server, make: Make) -> None:
    server.then(meets.status(429, Retry_After=3600))
    victim = make()
    with pytest.raises(VictimError, match=r"429 Too Many Requests .* come again in 3600 s"):
        victim.decide(waves())
    assert slept(victim) == []


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 408, 413, 415, 422, 418, 499, 501, 599])
def test_a_refusal_is_told_and_not_asked_again(server: Server, make: Make, code: int) -> None:
    server.then(meets.status(code))
    victim = make()
    with pytest.raises(VictimError, match=rf'{code}.*: {{"error": "it is {code}"}}'):
        victim.decide(waves())
    assert (len(server.seen), victim.spent()["queries"]) == (1, 0)


@pytest.mark.parametrize("kind", [meets.hang, meets.drip_body, meets.drip_headers])
def test_a_server_that_never_comes_to_an_end_is_left(server: Server, make: Make, kind: meets.Meets) -> None:
    server.then(kind)
    victim = make(timeout_seconds=0.2, retries=1)
    assert victim.decide(waves()).tolist() in ([0], [1], [2])  # the second attempt
    assert victim.spent()["retries"] == 1
    server.then(kind)
    with pytest.raises(VictimError, match=r"within 0\.2 s"):
        make(timeout_seconds=0.2, retries=0).decide(waves())


def test_an_answer_nested_too_deeply_is_told(server: Server, make: Make) -> None:
    for depth in (300, 900, 980):
        server.then(meets.say('{"probabilities": ' + "[" * depth + "]" * depth + "}"))
        with pytest.raises(VictimError, match=r"answered|no JSON"):
            make(retries=0).decide(waves())


@pytest.mark.parametrize("kind", [meets.endless, meets.bomb])
def test_an_answer_without_an_end_is_refused(server: Server, make: Make, kind: meets.Meets) -> None:
    server.then(kind)
    with pytest.raises(VictimError, match="more than 4 MiB"):
        make().decide(waves())


def test_an_answer_that_is_packed_unasked_is_read(server: Server, make: Make) -> None:
    server.then(meets.packed({"probabilities": P}), meets.say(b"\x1f\x8b", Content_Encoding="gzip"))
    victim = make(retries=0)
    assert victim.decide(waves()).tolist() == [2]
    assert server.seen[0].headers["accept-encoding"] == "identity"
    with pytest.raises(VictimError, match="packed answer that broke off"):
        victim.decide(waves(seed=1))


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_takes_neither_sound_nor_key_to_another_host(
    server: Server, make: Make, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "abcdefghijkl")
    other = Server(chances)
    try:
        server.then(meets.say("", code, Location=f"{other.url}?key=abcdefghijkl"))
        with pytest.raises(VictimError, match=f"points to {other.url} .the same host.; redirects are not") as died:
            make(headers={"Authorization": "Bearer ${API_KEY}"}).decide(waves())
        assert "abcdefgh" not in str(died.value)
        assert not other.seen
    finally:
        other.close()


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ("https://example.org/a", "https://example.org/a .another host"),
        ("//[x", "that is none"),
        ("/b", "/b .the same host"),
    ],
)
def test_a_redirect_says_where_it_points(server: Server, make: Make, there: str, told: str) -> None:
    server.then(meets.say("", 307, Location=there))
    with pytest.raises(VictimError, match=f"points to .*{told}"):
        make().decide(waves())


def test_a_redirect_whose_body_has_no_end_is_refused(server: Server, make: Make) -> None:
    def endless(handler: meets.Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: /other\r\n\r\n")
        meets.endless(handler)

    server.then(endless)
    with pytest.raises(VictimError, match="more than 4 MiB"):
        make().decide(waves())


def test_a_proxy_is_not_asked_about_this_machine(server: Server, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    make(retries=0).decide(waves())
    said = r"asked at http://example.org/score: .*, by way of the proxy of the environment variable "
    with pytest.raises(VictimError, match=said + "http_proxy; is that running, and right.*NO_PROXY"):
        make(url="http://example.org/score").decide(waves())
    monkeypatch.delenv("http_proxy")
    monkeypatch.delenv("HTTP_PROXY")
    monkeypatch.setenv("ALL_PROXY", "http://me:secret@127.0.0.1:9")
    with pytest.raises(VictimError, match=said + "ALL_PROXY") as died:
        make(url="http://example.org/score").decide(waves())
    assert "secret" not in str(died.value)


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_of_the_environment_that_are_not_there_are_told_at_loading(
    make: Make, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for other in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "/nowhere/bundle.pem")
    with pytest.raises(CardError, match=f"{name} names /nowhere/bundle.pem, .* not there; mend or unset it"):
        make(url="https://example.org/score")
    make()  # http needs none


def test_netrc_is_not_read(server: Server, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    make(headers={"X-Key": "mine"}).decide(waves())
    assert "authorization" not in server.seen[0].headers
    assert server.seen[0].headers["x-key"] == "mine"


def test_a_certificate_that_nobody_signed_is_refused_and_not_asked_again(
    server: Server, make: Make, tmp_path: Path
) -> None:
    if not (openssl := shutil.which("openssl")):
        pytest.skip("there is no openssl to make a certificate with")
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    about = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    new = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*new, *files, *about], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    victim = make(url=server.url.replace("http", "https"))
    with pytest.raises(VictimError, match=r"certificate or connection was refused .self-signed certificate"):
        victim.decide(waves())
    assert slept(victim) == []


# ---- mistakes on the card


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"url": "127.0.0.1:8000"}, "an address such as https://"),
        ({"url": "ftp://x/y"}, "an address such as"),
        ({"url": "http:///score"}, "an address such as"),
        ({"url": "http://host:port/"}, "an address such as"),
        ({"url": "http://a b/"}, "an address such as"),
        ({"url": "http://me:pass@host:x/?key=1234"}, 'url = "http://host:x/"; an address'),
        ({"url": "http://host/#top"}, "after #"),
        ({"url": "http://me:pw@host/", "headers": {"authorization": "x"}}, "one of the two"),
        ({"send": "form"}, 'send = "form"; .*known: multipart, raw, base64'),
        ({"subtype": "PCM16"}, 'subtype = "PCM16"; did you mean PCM_16'),
        ({"gives": "label"}, "did you mean labels"),
        ({"output": "probability"}, "did you mean probabilities"),
        ({"gives": "labels", "output": "logits"}, "output has no meaning"),
        ({"gives": "labels", "label": "label"}, "label has no meaning"),
        ({"send": "raw", "field": "file"}, "field has no meaning"),
        ({"send": "raw", "fields": {"a": 1}}, "fields has no meaning"),
        ({"field": "", "send": "base64"}, "a name that is not empty"),
        ({"field": "a", "fields": {"a": 1}}, "not one of fields"),
        ({"fields": {"a": [1]}}, "a is a list; a form holds"),
        ({"answer": "a..b"}, "answer: 'a..b' cannot be read at '..b'"),
        ({"answer": "a[x]"}, r"cannot be read at '\[x\]'"),
        ({"label": ".a"}, "label: '.a' cannot be read at '.a'"),
        ({"timeout_seconds": 0.0}, "a number from 0.01 to 3600"),
        ({"retries": 21}, "a number from 0 to 20"),
        ({"per_second": 0.0}, "a number from 0.001"),
        ({"workers": 0}, "a number from 1 to 64"),
        ({"most_queries": 0}, "a number from 1"),
        ({"price": -1.0}, "a number from 0"),
        ({"probe_seconds": 61.0}, "a number from 0 to 60"),
        ({"cache": ""}, '"memory", "off" or a file'),
        ({"cache": "nowhere/paid.sqlite"}, "cache .* cannot be used: there is no folder .*nowhere; make it, or give"),
        ({"cache": "."}, "cache .* cannot be used: that is a folder"),
        ({"url": ["http://me:pass@host/"]}, "url is a list, where a text was expected$"),
        ({"headers": "Authorization: Bearer secret"}, "headers is a text, where a table was expected$"),
        ({"fields": ["secret"]}, "fields is a list, where a table was expected$"),
        ({"headers": {"a b": "c"}}, "the name 'a b'"),
        ({"headers": {"X": 3}}, "headers.X is no text"),
        ({"headers": {"X": "secret\r\nY: z"}}, "headers.X holds a line break"),
        ({"headers": {"X": "secrét"}}, "headers.X holds letters"),
        ({"headers": {"Content-Length": "3"}}, "cannot be set"),
        ({"headers": {"Content-Type": "audio/wav"}}, 'where send = "raw" only'),
        ({"headers": {"X": "${nobody knows}"}}, "names no environment variable"),
        ({"headers": {"X": "${NOT_THERE}"}}, "the environment variable NOT_THERE, which is not set"),
        ({"headers": {"X": "${EMPTY}"}}, "EMPTY, which is empty"),
        ({"headers": {"X": "Bearer ${BROKEN}"}}, "BROKEN holds a line break"),
        ({"url": "http://host/?key=${BROKEN}"}, "url: the environment variable BROKEN holds a line break"),
        ({"fields": {"x": "${BROKEN}"}}, "fields.x: the environment variable BROKEN"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused_and_shows_no_value(
    make: Make, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], told: str
) -> None:
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("BROKEN", "secret\r\nX-Other: injected")
    monkeypatch.delenv("NOT_THERE", raising=False)
    with pytest.raises(CardError, match=told) as died:
        make(**values)
    assert not {each for each in ("secr", "injected", "pass", "1234") if each in str(died.value)}


def test_loading_finds_the_mistakes_that_an_answer_shows(server: Server, make: Make) -> None:
    assert make(probe_seconds=0.5).spent()["queries"] == 1
    assert len(server.seen[0].wave) == 4000
    with pytest.raises(CardError, match=r"asked 0.5 s of noise, the victim card answered .* no key 'scores'; known:"):
        make(probe_seconds=0.5, answer="scores")
    server.then(meets.give({"probabilities": {"a": 3.0, "b": 0.5, "c": 0.0}}))
    with pytest.raises(CardError, match=r"add up to 3\.5"):
        make(probe_seconds=0.5)
    server.then(meets.status(404))
    with pytest.raises(CardError, match=r"404 Not Found .*; is the url right, with its path"):
        make(probe_seconds=0.5)


def test_without_requests_it_says_what_to_install(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(MissingExtra, match=r"pip install 'sonic-subterfuge\[http\]'"):
        make()


def test_it_warns_of_what_goes_unencrypted(make: Make) -> None:
    assert len(make().warnings) == 1
    assert "that you own or may test" in make().warnings[0]
    assert make(url="https://example.org/score").warnings == make().warnings
    assert "http://example.org/score is no https address" in make(url="http://example.org/score?key=x").warnings[1]


def test_the_example_is_a_card_with_every_key(tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text(EXAMPLE, encoding="utf-8")
    read = read_card(tmp_path / "card.toml", {kind: loader.keys for kind, loader in LOADERS.items() if kind == "http"})
    shown = set(read.values) | set(re.findall(r"^# (\w+) = ", EXAMPLE, flags=re.MULTILINE))
    assert shown == set(COMMON) | {key.rstrip("!") for key in KEYS}
    assert max(map(len, EXAMPLE.splitlines())) <= 120
    assert tomllib.loads(EXAMPLE)["kind"] == "http"


# ---- the same attack, here and over there


def bands(wave: NDArray[np.float32]) -> NDArray[np.float64]:
    """The logarithm of each band's power; the clips of `tests.world` are a decibel or two loudest in the low one."""
    power = np.abs(np.fft.rfft(wave)) ** 2 / len(wave)
    hz = np.fft.rfftfreq(len(wave), 1 / world.RATE)
    sums = [power[(hz >= a) & (hz < b)].sum() for a, b in pairwise(EDGES_HZ)]
    return np.log(np.array(sums) + 1e-9)


@pytest.fixture
def far(make: Make, server: Server) -> Make:
    server.answer = lambda wave: {"s": bands(wave).tolist(), "l": world.LABELS[int(bands(wave).argmax())]}

    def load(**values: Any) -> HttpVictim:
        common = {"labels": list(world.LABELS), "sample_rate": world.RATE, "subtype": "FLOAT", "answer": "s"}
        return make(**{**common, "output": "decision values", **values})

    return load


def fooled(folder: Path, victim: Victim) -> Outcome:
    folder.mkdir(exist_ok=True)
    threat = Threat(Targeted("high"), budget=Budget(queries=80))
    sound = world.clip(folder / "a.wav")
    by = make_attack("guided", {"evolve": "10"})
    return attack(sound, victim, threat, by=by, out=folder / "out.wav", control=0)


def searched(victim: Victim, name: str, *, labels_only: bool = False, queries: int = 40) -> tuple[Any, ...]:
    """Give all that a search of so many queries asks and finds."""
    clean = torch.from_numpy(world.sound()[None, :, 0].astype(np.float32))
    threat = Threat(Targeted("high"), budget=Budget(queries=queries))
    oracle = Oracle(victim, threat, clean, torch.tensor([2]), grid=[2**-15], labels_only=labels_only)
    with suppress(BudgetSpent):
        make_attack(name)(oracle, clean, dice("0", 1))
    return oracle.history, oracle.queries, oracle.best_margin.tolist(), oracle.best.tolist()


@pytest.mark.parametrize(("name", "rate"), [("square", 0.0), ("square", 0.2), ("nes", 0.2), ("hopskipjump", 0.2)])
def test_a_search_over_http_is_the_same_query_for_query_whatever_breaks(
    server: Server, far: Make, name: str, rate: float
) -> None:
    labels = {"gives": "labels", "answer": "l", "output": None} if name == "hopskipjump" else {}
    here = PythonVictim.of(bands, labels=world.LABELS, sample_rate=world.RATE)
    there = far(**labels, retries=8)
    server.script = meets.faults(rate, seed=1)
    only = {"labels_only": bool(labels)}
    assert searched(there, name, **only) == searched(here, name, **only)
    spent = there.spent()
    assert spent["queries"] + spent["cached"] == 40
    assert spent["queries"] == server.answered == len({seen.sound for seen in server.seen})
    assert (spent["retries"] > 3) == (rate > 0)


def test_a_search_on_a_card_that_is_served_is_the_same_however_the_sound_is_sent(make: Make) -> None:
    pytest.importorskip("fastapi", reason="FastAPI is not installed, so that no card can be served")
    from subterfuge.serving import Faults, serving

    here = PythonVictim.of(bands, labels=world.LABELS, sample_rate=world.RATE)
    about = {"labels": list(world.LABELS), "sample_rate": world.RATE, "answer": "scores", "label": "label"}
    found = searched(here, "square", queries=20)
    with serving(here, faults=Faults(0.2, seed=3)) as url:
        for send in ("multipart", "raw", "base64"):
            there = make(url=f"{url}/score", subtype="FLOAT", send=send, output="decision values", retries=8, **about)
            assert searched(there, "square", queries=20) == found, send
            assert there.spent()["queries"] == 20
            assert there.spent()["retries"] > 1


def test_an_attack_over_a_broken_line_ends_in_the_very_file_of_one_at_home(
    server: Server, far: Make, tmp_path: Path
) -> None:
    here = PythonVictim.of(bands, labels=world.LABELS, sample_rate=world.RATE)
    server.script = meets.faults(0.2, seed=2)
    one, other = fooled(tmp_path / "here", here), fooled(tmp_path / "there", victim := far(retries=8))
    assert one.won
    for each in ("queries", "judgements", "snr_db", "file_sha256", "history", "predicted", "margin", "findings"):
        assert getattr(one, each) == getattr(other, each), each
    assert victim.spent()["queries"] == server.answered <= other.queries + other.judgements + 3
    assert victim.spent()["retries"] > 3


def test_a_server_that_closes_for_good_leaves_the_best_so_far(server: Server, far: Make, tmp_path: Path) -> None:
    server.then(*[None] * 70, meets.gone)
    outcome = fooled(tmp_path, far(retries=1))
    assert outcome.won  # its file was asked about already, as a candidate
    assert (tmp_path / "out.wav").is_file()
    assert any("connection refused (2 attempts)" in note for note in outcome.warnings)


def test_an_outcome_holds_no_secret(server: Server, far: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "alpha-1234567")
    server.then(*[None] * 70, leak)
    headers = {"Authorization": "Bearer ${API_KEY}"}
    outcome = fooled(tmp_path, far(headers=headers, url=server.url + "?token=beta-1234567"))
    assert any("400 Bad Request" in note for note in outcome.warnings)
    assert "1234567" not in repr(outcome)
    for file in tmp_path.glob("out*"):
        assert b"1234567" not in file.read_bytes()
