"""A real server on loopback that scores sounds, and misbehaves when it is told to."""

from __future__ import annotations

import base64
import gzip
import io
import json
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

Wave = NDArray[np.float32]
Meets = Callable[["Handler"], None]
"""What a request meets."""


class Seen(NamedTuple):
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def fields(self) -> dict[str, bytes]:
        """The fields of a form, or the JSON's."""
        kind = self.headers["content-type"]
        if kind == "application/json":
            return {name: str(value).encode() for name, value in json.loads(self.body).items()}
        parts = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + self.body).get_payload()
        return {
            str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True) for part in parts
        }

    @property
    def sound(self) -> bytes:
        """The sound file in it."""
        kind = self.headers["content-type"]
        if kind.startswith("audio/"):
            return self.body
        fields = self.fields
        place = next(name for name in ("file", "audio", "clip") if name in fields)
        return base64.b64decode(fields[place]) if kind == "application/json" else fields[place]

    @property
    def wave(self) -> Wave:
        return soundfile.read(io.BytesIO(self.sound), dtype="float32")[0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen = Seen(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.server.seen.append(self.seen)
        if self.server.closing.is_set():
            self.close_connection = True
            return
        with self.server.lock:
            meets = next(self.server.script, None)
        if meets is None:
            self.server.answered += 1
            meets = give(self.server.answer(self.seen.wave))
        with suppress(OSError):
            meets(self)

    def reply(self, status: int, body: bytes, **headers: Any) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Answers `answer` of the wave that it is sent; before that, what the script says a request meets, if not None."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, answer: Callable[[Wave], Any], script: Iterable[Meets | None] = ()) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.script = answer, iter(script)
        self.seen: list[Seen] = []
        self.answered = 0
        """Requests that met nothing."""
        self.lock, self.closing = threading.Lock(), threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/score"

    def then(self, *script: Meets | None) -> None:
        """Say what the next requests meet."""
        self.script = iter(script)

    def close(self) -> None:
        if not self.closing.is_set():
            self.closing.set()
            self.shutdown()
            self.server_close()

    def handle_error(self, *_: Any) -> None:
        pass


def give(data: Any) -> Meets:
    return say(json.dumps(data))


def say(text: str | bytes, status: int = 200, **headers: Any) -> Meets:
    body = text if isinstance(text, bytes) else text.encode()
    return lambda handler: handler.reply(status, body, **headers)


def status(code: int, **headers: Any) -> Meets:
    return say(f'{{"error": "it is {code}"}}', code, **headers)


def cut(handler: Handler) -> None:
    """Close the connection in the middle of a body."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"probabilities": {"a"')
    handler.close_connection = True


def half_chunk(handler: Handler) -> None:
    """Close the connection in the middle of a chunk."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"40\r\n{")
    handler.close_connection = True


def closed(handler: Handler) -> None:
    """Close the connection without an answer."""
    handler.close_connection = True


def half_json(handler: Handler) -> None:
    handler.reply(200, b'{"probabilities": {"a": 0.')


def hang(handler: Handler) -> None:
    """Answer nothing until the test is over."""
    handler.server.closing.wait(10)
    handler.close_connection = True


def drip_body(handler: Handler) -> None:
    """Give a byte of the body now and then."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    while not handler.server.closing.wait(0.02):
        handler.wfile.write(b" ")
    handler.close_connection = True


def drip_headers(handler: Handler) -> None:
    """Give a byte of a header now and then."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while not handler.server.closing.wait(0.02):
        handler.wfile.write(b"x")
    handler.close_connection = True


def endless(handler: Handler) -> None:
    """Give a body without an end."""
    handler.send_response(200)
    handler.end_headers()
    handler.close_connection = True
    while not handler.server.closing.is_set():
        handler.wfile.write(b" " * 2**16)


def bomb(handler: Handler) -> None:
    """Give 64 MiB in 64 KiB."""
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(pack.compress(bytes(2**20)) for _ in range(64)) + pack.flush()
    handler.reply(200, body, Content_Encoding="gzip")


def packed(data: Any) -> Meets:
    body = gzip.compress(json.dumps(data).encode())
    return lambda handler: handler.reply(200, body, Content_Encoding="gzip")


def gone(handler: Handler) -> None:
    """Close for good."""
    handler.close_connection = True
    handler.server.close()


KINDS: tuple[Meets, ...] = (status(429), status(500), status(502), status(503), cut, half_chunk, closed, half_json)
"""What may be better the next time."""


def faults(rate: float, seed: int) -> Iterator[Meets | None]:
    """Give now and then, at random, one of `KINDS`."""
    dice = np.random.default_rng(seed)
    while True:
        yield KINDS[int(dice.integers(len(KINDS)))] if dice.random() < rate else None
