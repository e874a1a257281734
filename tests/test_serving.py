"""The server: really asked over loopback, by every way in, with everything that goes wrong."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.world import LABELS, RATE, card, clip, run
from torch import Tensor

from subterfuge.driver import score
from subterfuge.errors import InputError, MissingExtra, VictimError
from subterfuge.serving import FAULTS, Faults, Told, exposed, serving
from subterfuge.training.demo_data import embedded_card, embedded_clips
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims import load_victim

requests = pytest.importorskip("requests")
for _library in ("fastapi", "uvicorn"):
    pytest.importorskip(_library)

ROOT = Path(__file__).resolve().parent.parent
WAYS = ("form", "body", "octets", "json")


@dataclass(frozen=True, eq=False)
class Made:
    """A victim that does what a test wants when it is asked."""

    does: Any = None
    kind: Kind = Kind.DECISION
    gives: Gives = Gives.SCORES
    name: str = "made"
    labels: tuple[str, ...] = LABELS
    sample_rate: int = RATE
    fingerprint: str = "f"
    twin: Victim | None = None
    warnings: tuple[str, ...] = ()
    numbers: tuple[float, ...] = (0.1, 0.7, 0.3)
    asked: list[int] = field(default_factory=list)

    def decide(self, wave: Tensor) -> Tensor:
        self.asked.append(wave.shape[-1])
        if self.does is not None:
            self.does()
        return torch.tensor([1])

    def scores(self, wave: Tensor) -> Tensor:
        one = torch.tensor([self.numbers], dtype=torch.float64)
        return one if self.kind is not Kind.DUELS else one[:, :, None] - one[:, None, :]

    def probabilities(self, wave: Tensor) -> Tensor | None:
        return None


@pytest.fixture(scope="module")
def web() -> Iterator[Any]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def sound(tmp_path: Path) -> bytes:
    return clip(tmp_path / "a.wav").read_bytes()


def ask(web: Any, url: str, raw: bytes, way: str = "form", name: str = "a.wav") -> Any:
    where, seconds = f"{url}/score", 30
    if way == "form":
        return web.post(where, files={"file": (name, raw)}, data={"note": "x"}, timeout=seconds)
    if way == "json":
        return web.post(where, json={"audio": base64.encodebytes(raw).decode()}, timeout=seconds)
    kind = "audio/x-anything; rate=1" if way == "body" else "application/octet-stream"
    return web.post(where, data=raw, headers={"Content-Type": kind}, timeout=seconds)


def expected(path: Path, victim: Victim) -> dict[str, Any]:
    said = score(path, victim)
    return {"label": said["predicted"], **{key: said[key] for key in ("probabilities", "scores", "kind")}}


def test_whatever_the_way_in_the_answer_is_the_victims_own_to_the_last_bit(web: Any) -> None:
    victim = load_victim(embedded_card())
    paths = embedded_clips()[:2]
    with serving(embedded_card()) as url:
        for path, ways in zip(paths, (WAYS, WAYS[:1]), strict=True):
            for way in ways:
                answer = ask(web, url, path.read_bytes(), way, path.name)
                assert answer.status_code == 200, answer.text
                assert answer.json() == expected(path, victim)


@pytest.mark.parametrize("name", ["bands", "uncertain", "scores", "label"])
def test_stereo_at_another_rate_is_heard_as_score_hears_it(web: Any, name: str, tmp_path: Path) -> None:
    victim = load_victim(card(tmp_path, name))
    path = clip(tmp_path / "a.flac", 11025, 2, seconds=0.3)
    with serving(victim) as url:
        answer = ask(web, url, path.read_bytes()).json()
        assert answer == expected(path, victim)
        assert (answer["scores"] is None) == (victim.gives == Gives.LABELS)
        about = web.get(url, timeout=30).json()
    assert about == {
        "name": name,
        "labels": list(LABELS),
        "sample_rate": RATE,
        "gives": "labels" if name == "label" else "scores",
        "kind": answer["kind"],
        "fingerprint": victim.fingerprint,
    }


def test_of_pairwise_models_the_votes_are_told_and_with_gives_labels_nothing_but_the_label(
    web: Any, sound: bytes
) -> None:
    with serving(Made(kind=Kind.DUELS)) as url:
        answer = ask(web, url, sound).json()
        assert (answer["scores"], answer["kind"]) == ({"low": 0, "middle": 2, "high": 1}, "votes")
    with serving(Made(), gives="labels") as url:
        said = {"label": "middle", "probabilities": None, "scores": None, "kind": None}
        assert ask(web, url, sound).json() == said
        assert web.get(url, timeout=30).json()["gives"] == "labels"


def test_doubles_go_through_json_bit_for_bit(web: Any, sound: bytes) -> None:
    numbers = (0.1 + 0.2, -1e-300, 2**53 + 2.0)
    with serving(Made(numbers=numbers)) as url:
        assert tuple(ask(web, url, sound).json()["scores"].values()) == numbers


BAD: list[tuple[dict[str, Any], int, list[str]]] = [
    ({"data": b"RIFFnothing", "headers": {"Content-Type": "audio/wav"}}, 400, ["the sound cannot be read", "WAV"]),
    ({"data": b"", "headers": {"Content-Type": "audio/wav"}}, 400, ["is empty"]),
    ({"data": b"x"}, 415, ["no content type", "audio/wav", '"file"']),
    ({"data": {"file": "x"}}, 415, ["application/x-www-form-urlencoded"]),
    ({"data": b"<p>", "headers": {"Content-Type": "text/html"}}, 415, ["text/html"]),
    ({"files": {"sound": b"x"}}, 400, ["the form holds 'sound'", '"file"']),
    ({"files": {"file": b""}}, 400, ["is empty"]),
    ({"files": {"file": ("../../etc/passwd", b"root:x")}}, 400, ["the sound cannot be read"]),
    ({"data": b"--x", "headers": {"Content-Type": "multipart/form-data"}}, 400, ["boundary"]),
    ({"data": b"junk", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400, ["form"]),
    ({"json": {"sound": "x"}}, 400, ['{"audio"']),
    ({"json": ["x"]}, 400, ['{"audio"']),
    ({"json": {"audio": 3}}, 400, ['{"audio"']),
    ({"json": {"audio": "data:audio/wav;base64,AAAA"}}, 400, ['{"audio"']),
    ({"json": {"audio": ""}}, 400, ["is empty"]),
    ({"data": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}, 400, ['{"audio"']),
]


def test_what_is_no_sound_is_refused_in_words_and_leaves_no_file(web: Any, tmp_path: Path, sound: bytes) -> None:
    victim = Made()
    told: list[Told] = []
    before = set(Path(tempfile.gettempdir()).glob("subterfuge-serve-*"))
    with serving(victim, tell=told.append, max_seconds=0.3) as url:
        for words, status, says in BAD:
            answer = web.post(f"{url}/score", timeout=30, **words)
            text = answer.json()["error"]
            assert answer.status_code == status, (words, text)
            assert all(each in text for each in says), (words, text)
            assert "subterfuge-serve-" not in text
            assert "Traceback" not in text
        long = ask(web, url, sound)
        assert (long.status_code, "0.4 s long" in long.json()["error"]) == (400, True)
        (folder,) = set(Path(tempfile.gettempdir()).glob("subterfuge-serve-*")) - before
        assert list(folder.iterdir()) == []
    assert not folder.exists()
    assert victim.asked == []
    assert [one.status for one in told] == [status for _, status, _ in BAD] + [400]
    assert all(one.error for one in told)


def test_other_places_and_methods_are_refused_in_json(web: Any) -> None:
    with serving(Made()) as url:
        assert web.get(f"{url}/health", timeout=30).json() == {"ok": True}
        for method, path, status in (("GET", "/score", 405), ("POST", "/", 405), ("GET", "/docs", 404)):
            answer = web.request(method, url + path, timeout=30)
            assert answer.status_code == status
            assert f"{method} {path}" in answer.json()["error"]


def raw_socket(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def test_a_request_that_says_it_is_too_big_is_refused_before_it_is_sent(web: Any, sound: bytes) -> None:
    with serving(Made(), max_mb=0.1) as url:
        with raw_socket(url) as sock:
            sock.sendall(
                b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\nContent-Length: 999999999\r\n\r\n"
            )
            assert sock.recv(4096).startswith(b"HTTP/1.1 413 ")
        assert ask(web, url, sound).status_code == 200, "smaller ones still are read"
        answer = ask(web, url, b"x" * 100_001, "body")
        assert (answer.status_code, "0.1 MB" in answer.json()["error"]) == (413, True)


def test_a_request_that_does_not_say_how_big_it_is_is_read_to_the_limit_and_no_further(web: Any) -> None:
    with serving(Made(), max_mb=1) as url, raw_socket(url) as sock:
        sock.sendall(
            b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(17):
            sock.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_goes_away_in_the_middle_harms_nobody(web: Any, sound: bytes) -> None:
    told: list[Told] = []
    with serving(Made(), tell=told.append) as url:
        with raw_socket(url) as sock:
            sock.sendall(
                b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\nContent-Length: 999\r\n\r\nRIFF"
            )
        assert ask(web, url, sound).status_code == 200


def test_two_clients_at_once_are_asked_one_after_the_other_while_the_loop_lives(web: Any, sound: bytes) -> None:
    inside, most, health = [0], [0], []
    begun, go = threading.Event(), threading.Event()

    def slow() -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        begun.set()
        go.wait(20)
        inside[0] -= 1

    with serving(Made(does=slow)) as url, ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(ask, requests, url, sound) for _ in range(4)]
        assert begun.wait(20)
        health.append(web.get(f"{url}/health", timeout=30).status_code)
        go.set()
        assert [answer.result().status_code for answer in answers] == [200] * 4
    assert (most[0], health) == (1, [200])


def raiser(reason: BaseException) -> Any:
    def dies() -> None:
        raise reason

    return dies


@pytest.mark.parametrize(
    ("victim", "says"),
    [
        (Made(raiser(VictimError("the victim made broke its leg"))), "the victim made broke its leg"),
        (Made(raiser(ValueError("bad shape"))), "the victim made died: ValueError: bad shape"),
        (Made(raiser(SystemExit(3))), "the victim made died: RuntimeError: SystemExit(3)"),
        (Made(numbers=(float("nan"), 1.0, 0.0)), "NaN or infinite"),
    ],
)
def test_a_victim_that_dies_is_500_in_words_and_the_server_lives_on(
    web: Any, victim: Victim, says: str, sound: bytes
) -> None:
    with serving(victim) as url:
        answer = ask(web, url, sound)
        assert answer.status_code == 500
        assert says in answer.json()["error"]
        assert "Traceback" not in answer.text
        assert web.get(f"{url}/health", timeout=30).status_code == 200


def met(web: Any, url: str, sound: bytes) -> Any:
    """Say which fault a question met, as a client sees it."""
    try:
        answer = ask(web, url, sound)
    except requests.exceptions.ChunkedEncodingError:
        return "cut"
    except requests.exceptions.ConnectionError:
        return "closed"
    try:
        answer.json()
    except ValueError:
        return "broken"
    if answer.status_code in (429, 503):
        assert answer.headers["Retry-After"] == "7"
    return str(answer.status_code)


def test_every_fault_is_met_in_the_order_of_its_seed_and_costs_the_victim_nothing(web: Any, sound: bytes) -> None:
    def course(seed: int, count: int, rate: float = 0.6) -> tuple[list[str], list[Told], int]:
        told: list[Told] = []
        victim = Made()
        with serving(victim, faults=Faults(rate, seed, retry_after_seconds=7), tell=told.append) as url:
            return [met(web, url, sound) for _ in range(count)], told, len(victim.asked)

    seen, told, asked = course(3, 40)
    assert set(seen) == {*FAULTS, "200"}
    assert [one.fault or "200" for one in told] == seen
    assert asked == seen.count("200")
    assert course(3, 10)[0] == seen[:10]
    assert course(4, 10)[0] != seen[:10]
    assert set(course(3, 5, 0.0)[0]) == {"200"}


def test_faults_spare_what_is_not_a_question(web: Any) -> None:
    with serving(Made(), faults=Faults(1.0)) as url:
        assert [web.get(url + path, timeout=30).status_code for path in ("/", "/health", "/score")] == [200, 200, 405]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"rate": 1.5}, "--fault-rate 1.5"),
        ({"rate": float("nan")}, "--fault-rate nan"),
        ({"seed": -1}, "seed -1"),
        ({"kinds": ("504",)}, "--faults 504: did you mean 503"),
        ({"kinds": ()}, "--faults"),
        ({"retry_after_seconds": -1}, "--retry-after -1"),
    ],
)
def test_faults_that_make_no_sense_are_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        Faults(**arguments)


def test_it_starts_and_ends_without_a_trace(web: Any) -> None:
    before = set(threading.enumerate())
    with serving(Made()) as url:
        assert web.get(url, timeout=30).status_code == 200
    until = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < until:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= before
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


def test_what_cannot_be_served_is_refused_with_exit_code_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bands, label = card(tmp_path), card(tmp_path, "label")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for words, says in (
            ([bands, "--port", port], f"cannot listen at 127.0.0.1, port {port}"),
            ([bands, "--port", 70000], "--port 70000"),
            ([bands, "--host", "256.1.1.1"], "cannot listen at 256.1.1.1"),
            ([label, "--gives", "scores"], "this victim gives labels only"),
            ([bands, "--max-mb", 0], "--max-mb 0"),
            ([bands, "--max-seconds", -1], "--max-seconds -1"),
            ([bands, "--fault-rate", 2], "--fault-rate 2"),
            ([bands, "--faults", "429,nan"], "--faults nan"),
            ([tmp_path / "none.toml"], "there is no card"),
        ):
            said = run("serve", *words)
            assert (said.code, said.out) == (2, "")
            assert says in said.err
    monkeypatch.setattr("subterfuge.serving.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=re.escape("fastapi, uvicorn, python-multipart: pip install 'sonic-subterf")):
        serving(Made()).__enter__()


@pytest.mark.parametrize(
    ("host", "open_to_others"), [("127.0.0.1", 0), ("127.9.9.9", 0), ("::1", 0), ("0.0.0.0", 1), ("::", 1)]
)
def test_only_loopback_is_not_told_loudly(
    host: str, open_to_others: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve(victim: Victim, *, ready: Any, tell: Any, host: str, **rest: Any) -> None:
        ready("http://here:8000")
        tell(Told(200, "low"))
        tell(Told(429, fault="429"))
        raise KeyboardInterrupt

    assert exposed(host) == bool(open_to_others)
    monkeypatch.setattr("subterfuge.serving.serve", serve)
    said = run("serve", card(tmp_path), "--host", host)
    assert said.code == 130
    assert "http://here:8000/score" in said.out
    assert ("WARNING" in said.err) == bool(open_to_others)
    assert "questions: 1 answered, 1 injected" in said.err


def started(*words: object, cwd: Path) -> subprocess.Popen[str]:
    """Start Python where Ctrl-C works, also if whoever runs the tests ignores it."""
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    environment = {**os.environ, "TMPDIR": str(cwd), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", code + str(words[0]), *map(str, words[1:])]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=cwd, env=environment)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_the_command_prints_where_it_listens_answers_and_ends_at_ctrl_c(web: Any, tmp_path: Path) -> None:
    path = clip(tmp_path / "a.wav")
    bands = card(tmp_path / "cards")
    code = "from subterfuge.cli import main; main()"
    with started(code, "serve", bands, "--port", 0, "--json", cwd=tmp_path) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            assert ask(web, told["url"], path.read_bytes()).json() == expected(path, load_victim(bands))
            assert told["score"] == f"{told['url']}/score"
            assert list(tmp_path.glob("subterfuge-serve-*"))
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, out) == (130, "")
    assert err.split("\n\n") == ["questions: 1 answered", "interrupted; nothing half-written was left\n"]
    assert not list(tmp_path.glob("subterfuge-serve-*"))


def test_the_example_server_answers_for_any_card(web: Any, tmp_path: Path) -> None:
    example = ROOT / "examples" / "server.py"
    if not example.is_file():
        pytest.skip("the examples are not beside the tests")
    path, bands = clip(tmp_path / "a.wav"), card(tmp_path / "cards")
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(example), str(bands), "0"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            url = next(found[0] for line in lines if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
            said = ask(web, url, path.read_bytes())
            refused = ask(web, url, b"no sound")
            with raw_socket(url) as sock:
                sock.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
                large = sock.recv(4096)
        finally:
            process.kill()
            process.communicate()
    assert said.json() == expected(path, load_victim(bands))["probabilities"]
    assert (refused.status_code, refused.json()["detail"]) == (400, "a sound file of up to 60 s was expected")
    assert large.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("victim", "said"),
    [
        (Made(kind=Kind.DUELS), {"low": 0, "middle": 2, "high": 1}),
        (Made(gives=Gives.LABELS), {"low": 0.0, "middle": 1.0, "high": 0.0}),
    ],
)
def test_the_example_server_answers_numbers_by_label_for_models_without_probabilities(
    victim: Victim, said: dict[str, float], sound: bytes
) -> None:
    example = ROOT / "examples" / "server.py"
    if not example.is_file():
        pytest.skip("the examples are not beside the tests")
    spec = importlib.util.spec_from_file_location("example_server", example)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    route = next(one for one in module.app_of(victim).routes if one.path == "/score")
    assert route.endpoint(SimpleNamespace(file=io.BytesIO(sound))) == said


def test_no_more_sounds_are_held_than_there_is_room_for(
    web: Any, sound: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subterfuge.serving.app.MOST_HELD", 1)
    begun, go = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        go.wait(20)

    with serving(Made(does=slow), max_mb=1) as url, ThreadPoolExecutor(4) as pool:
        small = [pool.submit(ask, requests, url, sound) for _ in range(4)]
        assert begun.wait(20)
        headers = {"Content-Type": "audio/wav"}  # without a length it may be as large as any
        refused = web.post(f"{url}/score", data=iter([sound]), headers=headers, timeout=30)
        go.set()
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert refused.json() == {"error": "too many sounds wait for their turn; ask again in a second"}
        assert [one.result().status_code for one in small] == [200] * 4
        assert web.post(f"{url}/score", data=iter([sound]), headers=headers, timeout=30).status_code == 200
