"""Asking a server until it answers: retries, waits, the rate, the budget, and what it has cost."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from subterfuge.errors import VictimError
from subterfuge.victims._json_answers import Unfit
from subterfuge.victims.http.address import shown_url
from subterfuge.victims.http.secrets import Secrets
from subterfuge.victims.http.store import Store
from subterfuge.victims.http.wire import Broken, Reply, Wire

T = TypeVar("T")
AGAIN = frozenset({429, 500, 502, 503, 504})
"""What a server answers that may answer better later."""
FIRST_WAIT_SECONDS = 0.5
"""Before the first retry; each further wait is twice as long."""
FIRST_ASKED_SECONDS = 0.05
"""The least wait before the first retry where the server says how long, as 0; each further one is twice as long."""
LONGEST_WAIT_SECONDS = 30.0
"""Of the waits that are ours."""
LONGEST_ASKED_SECONDS = 300.0
"""A server that asks for a longer wait is not asked again."""
HINTS = {
    400: "look at send, field, fields and subtype",
    401: "is the key in headers right?",
    403: "may this key ask it?",
    404: "is the url right, with its path?",
    405: "it takes no POST there; is the url right, with its path?",
    413: "the sound is too long for it",
    415: "look at send and subtype",
    422: "look at send, field, fields and subtype",
}


@dataclass
class Meter:
    """What was asked, counted once a sound whatever it took."""

    most: int | None = None
    store: Store | None = None
    """A file that counts the queries of all processes and runs; without one, `most` is of this count alone."""
    queries: int = 0
    """Requests that the server answered, each of which may have to be paid."""
    cached: int = 0
    """Answers that were known already."""
    retries: int = 0

    def __post_init__(self) -> None:
        self._lock, self._open = threading.Lock(), 0

    @property
    def left(self) -> int | None:
        """How many more there may be, or None for no bound."""
        used = self.queries if self.store is None or self.most is None else self.store.used
        return None if self.most is None else max(0, self.most - used)

    def reserve(self) -> bool:
        """Take one query out of the budget; say whether there was one."""
        if self.store is not None:
            return self.store.take(self.most)
        with self._lock:
            if self.most is not None and self.queries + self._open >= self.most:
                return False
            self._open += 1
            return True

    def settle(self, answered: bool) -> None:
        """Count a reserved query, or give it back."""
        with self._lock:
            self._open -= self.store is None
            self.queries += answered
        if self.store is not None and not answered:
            self.store.give_back()

    def remember(self, cached: int = 0, retries: int = 0) -> None:
        """Count answers that were known, and retries."""
        with self._lock:
            self.cached, self.retries = self.cached + cached, self.retries + retries


@dataclass
class Asker:
    """Asks a server, and asks again where that may help."""

    wire: Wire
    name: str
    shown: str
    """The address as messages show it."""
    url: str
    secrets: Secrets
    meter: Meter
    retries: int = 4
    per_second: float | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._lock, self._met, self._read = threading.Lock(), False, False
        self._next = -math.inf

    def __repr__(self) -> str:
        return f"Asker({self.shown})"

    def fail(self, says: str) -> VictimError:
        """Make the error that the victim dies of, without secrets."""
        return VictimError(self.secrets.hide(f"the victim {self.name} {says}"))

    def ask(self, request: Mapping[str, Any], read: Callable[[Any], T]) -> T:
        """Give what `read` makes of the JSON that the server answers to one request.

        A server that was understood before, and answers what is `Unfit`, is asked once more.

        Raises:
            VictimError: the budget is spent; or the server answers no, nonsense, or nothing, however often it is asked.
        """
        if not self.meter.reserve():
            where = "" if self.meter.store is None else f", counted over all its runs in {self.meter.store.file}"
            raise self.fail(
                f"is not asked any more: the budget of {self.meter.most} queries is spent "
                f"(most_queries on its card{where})"
            )
        answered = strange = False
        try:
            for attempt in range(self.retries + 1):
                self._pace()
                wait = None
                try:
                    reply = self.wire.post(request)
                    self._met = True
                    answered = answered or 200 <= reply.status < 300
                    if 200 <= reply.status < 300:
                        said = read(self._json(reply))
                        self._read = True
                        return said
                    fault, wait = self._refusal(reply), _asked_wait(reply)
                except Unfit as reason:
                    if strange or not self._read:
                        raise self.fail(str(reason)) from None
                    strange, fault = True, str(reason)
                except Broken as reason:
                    fault = f"could not be asked at {self.shown}: {reason}"
                    if not reason.again:
                        raise self.fail(fault) from None
                    if reason.absent and not self._met:
                        raise self.fail(f"{fault}; {reason.hint}") from None
                if attempt < self.retries:
                    self._wait(attempt, wait, fault)
            tries = f" ({self.retries + 1} attempts)" if self.retries else ""
            raise self.fail(f"{fault}{tries}")
        finally:
            self.meter.settle(answered)

    def _json(self, reply: Reply) -> Any:
        """Read an answer's JSON."""
        text = reply.body.decode("utf-8-sig", errors="replace")
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            if text.lstrip()[:1] == "<":
                raise self.fail(
                    f"answered {reply.status} with HTML, where JSON was expected: {self.secrets.told(text)}; "
                    "is the url right, with its path?"
                ) from None
            said = self.secrets.told(text) or "nothing"
            raise Broken(f"it answered {reply.status} with what is no JSON: {said}") from None

    def _refusal(self, reply: Reply) -> str:
        """Say what a server answered that is no answer, if it may answer better later.

        Raises:
            VictimError: it will not.
        """
        status = reply.status
        if 300 <= status < 400:
            raise self.fail(
                f"answered {_named(status)} at {self.shown} and points to {self._elsewhere(reply)}; redirects are not "
                "followed, so that sounds and keys go nowhere but where the card says: put that address on the card if "
                "it is right"
            )
        said = self.secrets.told(reply.body)
        fault = f"answered {_named(status)} at {self.shown}" + (f": {said}" if said else "")
        if status not in AGAIN:
            hint = HINTS.get(status)
            raise self.fail(fault + (f"; {hint}" if hint else ""))
        return fault

    def _elsewhere(self, reply: Reply) -> str:
        """Say where a redirect points to."""
        try:
            there = urljoin(self.url, reply.headers.get("location", ""))
            other = urlsplit(there).hostname != urlsplit(self.url).hostname
        except ValueError:
            return "an address that is none"
        return f"{self.secrets.told(shown_url(there))} ({'another' if other else 'the same'} host)"

    def _wait(self, attempt: int, asked: float | None, fault: str) -> None:
        """Wait before another attempt, as long as the server asks."""
        if asked is not None and asked > LONGEST_ASKED_SECONDS:
            raise self.fail(f"{fault}; it asks to come again in {asked:.0f} s, and no wait is over 300 s")
        own = min(LONGEST_WAIT_SECONDS, (FIRST_WAIT_SECONDS if asked is None else FIRST_ASKED_SECONDS) * 2**attempt)
        self.meter.remember(retries=1)
        with self._lock:  # what it asks of one worker it asks of all
            self._next = max(self._next, self.clock() + (asked or 0.0))
        self.sleep(max(own, asked or 0.0))

    def _pace(self) -> None:
        """Wait until the rate, and what the server asked of any worker, allow a request."""
        while True:
            with self._lock:
                now = self.clock()
                left = self._next - now
                if left <= 0:
                    self._next = now + (0.0 if self.per_second is None else 1 / self.per_second)
                    return
            self.sleep(left)


def _asked_wait(reply: Reply) -> float | None:
    """Give the seconds of Retry-After, as seconds or as a date (RFC 9110, 10.2.3), or None."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        until = parsedate_to_datetime(text).timestamp()
        there = reply.headers.get("date")
        now = parsedate_to_datetime(there).timestamp() if there else time.time()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return max(0.0, until - now)


def _named(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else str(status)
