"""One request and its answer: bounded in time and in size, sent where the card says and nowhere else."""

from __future__ import annotations

import os
import queue
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

from subterfuge.errors import MissingExtra, VictimError
from subterfuge.victims.http.logged import keep_quiet

MOST_BYTES = 4 * 2**20
"""Largest answer, unpacked."""
CONNECT_SECONDS = 10.0
"""Longest wait for a connection, where the whole may take longer."""
CHUNK = 2**16
IS_IT_THERE = "is the server running, and the url right?"
IS_PROXY = "is that running, and right? NO_PROXY lists hosts that are asked without it"
T = TypeVar("T")


class Broken(Exception):
    """No whole answer came.

    Args:
        says: why.
        again: whether another try may help.
        absent: whether nobody is there; another try helps then only where somebody was.
        hint: what to look at if nobody is there.
    """

    def __init__(self, says: str, *, again: bool = True, absent: bool = False, hint: str = IS_IT_THERE) -> None:
        super().__init__(says)
        self.again, self.absent, self.hint = again, absent, hint


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """A line to one server, whose connections are kept open.

    TLS certificates are checked (REQUESTS_CA_BUNDLE names another bundle), redirects are not followed, ``.netrc`` is
    not read, cookies are not kept. Proxies are those of the environment, but not for this machine itself.

    Args:
        url: where to post.
        headers: of every request.
        seconds: for the whole exchange, from the connection to the last byte.
        connections: that are kept open at most.

    Raises:
        MissingExtra: requests is not installed.
        VictimError: the environment names a bundle of certificates that is not there.
    """

    def __init__(self, url: str, headers: Mapping[str, str], seconds: float, connections: int) -> None:
        try:
            import requests
        except ImportError:
            raise MissingExtra("victims over HTTP need requests: pip install 'sonic-subterfuge[http]'") from None
        self._url, self._seconds = url, seconds
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.get_redirect_target = lambda response: None  # else it reads a redirect's body, without an end
        self._session.proxies = {} if is_here(url) else dict(requests.utils.get_environ_proxies(url))
        proxy = _proxy_of(url, self._session.proxies)
        self._way = "" if proxy is None else f", by way of {proxy}"
        self._session.verify = _bundle() if url.lower().startswith("https:") else True
        adapter = requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=connections, max_retries=0)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self._session.headers.update({"Accept": "application/json", "User-Agent": "sonic-subterfuge", **headers})
        self._session.headers["Accept-Encoding"] = "identity"
        keep_quiet()

    def post(self, request: Mapping[str, Any]) -> Reply:
        """Send a request and give the whole answer, whatever its status.

        Raises:
            Broken: there was no connection, it broke, or the answer took too long or was too large.
        """
        late = threading.Event()
        try:
            return _within(self._seconds, lambda: self._exchange(request, late))
        except TimeoutError:
            late.set()
            raise Broken(f"no whole answer within {self._seconds:g} s{self._way}") from None

    def _exchange(self, request: Mapping[str, Any], late: threading.Event) -> Reply:
        import requests

        timeout = (min(CONNECT_SECONDS, self._seconds), self._seconds)
        response = None
        try:
            response = self._session.post(self._url, **request, timeout=timeout, stream=True, allow_redirects=False)
            body = _body(response.raw, late)
        except requests.exceptions.SSLError as reason:
            raise Broken(f"its TLS certificate or connection was refused ({_cause(reason)})", again=False) from None
        except requests.exceptions.Timeout:
            raise Broken(f"no answer within {self._seconds:g} s{self._way}") from None
        except ValueError as reason:  # what requests makes of an address or a header that cannot be
            raise Broken(f"the request cannot be made ({type(reason).__name__}){self._way}", again=False) from None
        except OSError as reason:  # requests' own errors are such
            nobody = any(isinstance(each, ConnectionRefusedError | socket.gaierror) for each in _causes(reason))
            raise Broken(
                _cause(reason) + self._way, absent=nobody, hint=IS_PROXY if self._way else IS_IT_THERE
            ) from None
        except _broken_bodies() as reason:
            raise Broken(f"its answer broke off ({type(reason).__name__})") from None
        finally:
            if response is not None:
                response.close()
        return Reply(response.status_code, dict(response.headers.lower_items()), _unpacked(response.headers, body))


def _bundle() -> str | bool:
    """Give the certificates that the environment names, or True for the usual ones."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if there := os.environ.get(name):
            if not os.path.exists(there):
                raise VictimError(
                    f"the environment variable {name} names {there}, a file of certificates, which is not there; mend "
                    "or unset it"
                )
            return there
    return True


def _proxy_of(url: str, proxies: Mapping[str, str]) -> str | None:
    """Say which variable names the proxy on the way to an address, or None where there is none."""
    for scheme in (urlsplit(url).scheme, "all"):
        if scheme in proxies:
            names = [f"{scheme}_proxy", f"{scheme}_proxy".upper()]
            named = next((name for name in names if os.environ.get(name)), None)
            return "this system's proxy" if named is None else f"the proxy of the environment variable {named}"
    return None


def is_here(url: str) -> bool:
    """Say whether an address is of this machine itself.

    >>> is_here("http://localhost:8000/score"), is_here("http://[::1]/"), is_here("http://example.org/")
    (True, True, False)
    """
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _within(seconds: float, work: Callable[[], T]) -> T:
    """Do some work beside, and give what it gives or raises.

    Raises:
        TimeoutError: it takes longer; it is left to itself, for a read that hangs cannot be ended.
    """
    done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def go() -> None:
        try:
            done.put((work(), None))
        except BaseException as reason:
            done.put((None, reason))

    threading.Thread(target=go, daemon=True).start()
    try:
        given, reason = done.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if reason is not None:
        raise reason
    return given  # type: ignore[return-value]


def _body(raw: Any, late: threading.Event) -> bytes:
    """Read the bytes of an answer as they come, at most `MOST_BYTES`."""
    read = getattr(raw, "read1", raw.read)
    whole = bytearray()
    while part := read(CHUNK, decode_content=False):
        whole += part
        if len(whole) > MOST_BYTES:
            raise Broken(f"an answer of more than {MOST_BYTES >> 20} MiB", again=False)
        if late.is_set():
            raise TimeoutError
    return bytes(whole)


def _unpacked(headers: Mapping[str, str], body: bytes) -> bytes:
    """Unpack an answer that came packed although that was not asked for, at most `MOST_BYTES`."""
    packed = headers.get("Content-Encoding", "identity").strip().lower()
    if packed in ("", "identity"):
        return body
    if packed not in ("gzip", "deflate"):
        raise Broken("an answer packed in a way that was not asked for (only gzip and deflate are read)", again=False)
    unpack = zlib.decompressobj(wbits=47 if packed == "gzip" or body[:1] == b"\x78" else -15)
    try:
        whole = unpack.decompress(body, MOST_BYTES + 1)
    except zlib.error:
        raise Broken("a packed answer that cannot be unpacked") from None
    if len(whole) > MOST_BYTES:
        raise Broken(f"an answer of more than {MOST_BYTES >> 20} MiB", again=False)
    if not unpack.eof:
        raise Broken("a packed answer that broke off")
    return whole


def _broken_bodies() -> tuple[type[Exception], ...]:
    from http.client import HTTPException

    from urllib3.exceptions import HTTPError

    return HTTPError, HTTPException


def _causes(reason: BaseException) -> list[BaseException]:
    """Give an error and what it came of, the deepest last."""
    chain: list[BaseException] = []
    cause: BaseException | None = reason
    while cause is not None:
        chain.append(cause)
        inner = [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
        further = (each for each in inner if isinstance(each, BaseException) and each not in chain)
        cause = next(further, None)
    return chain


def _cause(reason: BaseException) -> str:
    """Say why there was no connection, in words that hold no address: those of the deepest cause that has any."""
    words = "the connection failed"
    for cause in _causes(reason):
        if isinstance(cause, ssl.SSLCertVerificationError):
            words = cause.verify_message.lower()
        elif isinstance(cause, ssl.SSLError) and cause.reason:
            words = str(cause.reason).replace("_", " ").lower()
        elif isinstance(cause, OSError) and cause.strerror:
            words = cause.strerror.lower()
        else:
            words = _CAUSES.get(type(cause).__name__, words)
    return words


_CAUSES = {
    "IncompleteRead": "its answer broke off",
    "NameResolutionError": "its name is not known",
    "ProxyError": "the proxy refused",
    "RemoteDisconnected": "it closed the connection without an answer",
    "BadStatusLine": "what it speaks is no HTTP",
}
