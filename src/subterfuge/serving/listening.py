"""Where the server listens, and the uvicorn that does."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from ipaddress import ip_address
from typing import Any

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from subterfuge.errors import InputError

PATIENCE_SECONDS = 2
"""How long an answer that is being made may take still when the server is told to end."""
AT_ONCE = 256
"""How many connections are held; more are told 503."""


class Droppable(H11Protocol):  # type: ignore[misc]
    """HTTP/1.1 that hands its connection to the app, so that a fault can close it."""

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin."""
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)


def server_of(app: Any) -> Server:
    """Give the server of an app; it installs its own handlers for signals only while it runs in the main thread."""
    return Server(
        Config(
            app,
            http=Droppable,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.CRITICAL,
            access_log=False,
            server_header=False,
            limit_concurrency=AT_ONCE,
            timeout_graceful_shutdown=PATIENCE_SECONDS,
        )
    )


def listener(host: str, port: int) -> socket.socket:
    """Give a socket that listens at a place, any free port where it is 0.

    Raises:
        InputError: there is no such place, or it is taken.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"--port {port}: a port from 1 to 65535 was expected, or 0 for any that is free")
    sock = None
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # so named, asyncio sends without delay
        if (
            os.name == "posix"
        ):  # a port of which connections linger only is free; on Windows it would mean another thing
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(place)
        sock.listen(128)
        return sock
    except (OSError, UnicodeError) as reason:
        if sock is not None:
            sock.close()
        raise InputError(
            f"cannot listen at {host}, port {port}: {getattr(reason, 'strerror', None) or reason}; is another server "
            "there? Give another --port (0 takes any that is free), or --host 127.0.0.1"
        ) from None


def url_of(host: str, sock: socket.socket) -> str:
    """Give the address of a socket, as a client on this machine asks it."""
    port = sock.getsockname()[1]
    at = ip_address(sock.getsockname()[0].partition("%")[0])
    name = ("[::1]" if at.version == 6 else "127.0.0.1") if at.is_unspecified else host
    return f"http://{f'[{name}]' if ':' in name and not name.startswith('[') else name}:{port}"
