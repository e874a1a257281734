"""Any victim behind an address: an HTTP server that answers what a sound is.

::

    with serving("tuned.toml") as url:
        requests.post(f"{url}/score", files={"file": open("flute.wav", "rb")}).json()["label"]

It needs FastAPI, uvicorn and python-multipart (the extra ``serve``), and imports them where it begins to serve.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from subterfuge.audio import MAX_SECONDS
from subterfuge.errors import InputError, MissingExtra
from subterfuge.serving.asker import Asker
from subterfuge.serving.faults import FAULTS, Faults
from subterfuge.serving.told import Told
from subterfuge.victim import Gives, Victim

__all__ = ["FAULTS", "Faults", "Told", "exposed", "serve", "serving"]

MAX_MB = 64.0
"""The largest request that is read, in millions of bytes."""


def serve(
    victim: Victim | str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    gives: str | None = None,
    max_seconds: float = MAX_SECONDS,
    max_mb: float = MAX_MB,
    faults: Faults | None = None,
    ready: Callable[[str], None] = lambda url: None,
    tell: Callable[[Told], None] = lambda told: None,
) -> None:
    """Serve a victim until Ctrl-C.

    ``POST /score`` takes a sound file and answers ``{"label", "probabilities", "scores", "kind"}``, ``GET /`` tells
    whose answers these are, ``GET /health`` that the server lives. The victim is asked one clip at a time.

    Args:
        victim: whom to serve, or the path of its card.
        host: the address to listen at. There is no password: beyond loopback, whoever reaches it may ask.
        port: 0 takes any that is free.
        gives: "scores", or "labels" to keep them to itself; by default what the victim gives.
        max_seconds: clips that are longer are refused.
        max_mb: requests with more megabytes are refused before they are read whole.
        faults: answer a share of the questions with a fault, for testing a client.
        ready: called with the address as soon as it takes questions.
        tell: called with each answer that was given to ``POST /score``.

    Raises:
        InputError: the card, the place or an argument makes no sense; the port is taken.
        MissingExtra: FastAPI, uvicorn or python-multipart is not installed.
        KeyboardInterrupt: Ctrl-C, when all is closed.
    """
    with _server(victim, host, port, gives, max_seconds, max_mb, faults, tell) as (server, sock, url):
        ready(url)
        server.run(sockets=[sock])


@contextmanager
def serving(
    victim: Victim | str | Path,
    *,
    gives: str | None = None,
    max_seconds: float = MAX_SECONDS,
    max_mb: float = MAX_MB,
    faults: Faults | None = None,
    tell: Callable[[Told], None] = lambda told: None,
) -> Iterator[str]:
    """Serve a victim on loopback from a thread, and give its address, such as ``http://127.0.0.1:40123``.

    The arguments are those of `serve`.
    """
    with _server(victim, "127.0.0.1", 0, gives, max_seconds, max_mb, faults, tell) as (server, sock, url):
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True, name="subterfuge-serving")
        thread.start()  # the socket listens already: who asks at once waits
        try:
            yield url
        finally:
            server.should_exit = server.force_exit = True
            thread.join(10)


@contextmanager
def _server(
    victim: Victim | str | Path,
    host: str,
    port: int,
    gives: str | None,
    max_seconds: float,
    max_mb: float,
    faults: Faults | None,
    tell: Callable[[Told], None],
) -> Iterator[tuple[Any, socket.socket, str]]:
    """Lend a server that is ready to run, its socket, which listens already, and its address."""
    _check_extra()
    if not 0 < max_mb <= 4000:
        raise InputError(f"--max-mb {max_mb:g}: megabytes from above 0 to 4000 were expected")
    if not 0 < max_seconds <= 86400:
        raise InputError(
            f"--max-seconds {max_seconds:g}: the longest clip in seconds, up to 86400 (24 h), was expected"
        )
    if isinstance(victim, str | Path):
        from subterfuge.victims import load_victim

        victim = load_victim(victim)
    given = _gives_of(victim, gives)

    from subterfuge.serving.app import app_of
    from subterfuge.serving.listening import listener, server_of, url_of

    with (
        contextlib.closing(listener(host, port)) as sock,
        TemporaryDirectory(prefix="subterfuge-serve-") as folder,
        contextlib.closing(Asker()) as asker,
    ):
        app = app_of(victim, asker, Path(folder), given, max_seconds, int(max_mb * 1e6), tell)
        yield server_of(app if faults is None else faults.before(app, tell)), sock, url_of(host, sock)


def _gives_of(victim: Victim, gives: str | None) -> Gives:
    most = min(victim.gives, Gives.SCORES)
    if gives is None:
        return most
    wanted = {"labels": Gives.LABELS, "scores": Gives.SCORES}.get(gives)
    if wanted is None or wanted > most:
        expected = "labels or scores were expected" if wanted is None else "this victim gives labels only"
        raise InputError(f"--gives {gives}: {expected}")
    return wanted


def _check_extra() -> None:
    lacking = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    if find_spec("python_multipart") is None and find_spec("multipart") is None:  # its name until 0.0.13
        lacking.append("python-multipart")
    if lacking:
        raise MissingExtra(f"serving a victim needs {', '.join(lacking)}: pip install 'sonic-subterfuge[serve]'")


def exposed(host: str) -> bool:
    """Say whether a host can be reached from other machines."""
    try:
        places = {str(place[0]).partition("%")[0] for *_, place in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return True
    return not all(ip_address(place).is_loopback for place in places)
