"""What can go wrong with a server, done on purpose, so that a client can be tested."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from subterfuge.errors import InputError, check_seed, nearest
from subterfuge.serving.told import Told

FAULTS = {
    "429": "too many requests, with Retry-After",
    "500": "an internal error",
    "503": "not available, with Retry-After",
    "broken": "status 200 and a body that is only the beginning of JSON",
    "cut": "status 200, and the connection closed in the middle of the body",
    "closed": "the connection closed without an answer",
}
_BEGUN = b'{"label": "'
Messages = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Messages, Send], Awaitable[None]]


@dataclass(frozen=True)
class Faults:
    """How often, and which. The n-th question meets the same fault in every run with the same seed."""

    rate: float = 0.2
    """The share of the questions, from 0 to 1."""
    seed: int = 0
    kinds: tuple[str, ...] = tuple(FAULTS)
    """Of `FAULTS`, each as likely."""
    retry_after_seconds: int = 1
    """What 429 and 503 ask for."""

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if not 0 <= self.rate <= 1:
            raise InputError(f"--fault-rate {self.rate:g}: a share from 0 to 1 was expected")
        if not 0 <= self.retry_after_seconds <= 3600:
            raise InputError(f"--retry-after {self.retry_after_seconds}: whole seconds from 0 to 3600 were expected")
        strange = next((kind for kind in self.kinds if kind not in FAULTS), None)
        if strange is not None or not self.kinds:
            raise InputError(f"--faults {strange or ''}: {nearest(strange or '', FAULTS)}")

    def before(self, app: App, tell: Callable[[Told], None]) -> App:
        """Give the app (ASGI) with the faults before it; they meet ``POST /score`` alone, and the app hears nothing."""
        dice = np.random.default_rng(self.seed)

        async def faulty(scope: MutableMapping[str, Any], receive: Messages, send: Send) -> None:
            asked = scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", "/score")
            if not asked:
                return await app(scope, receive, send)
            hit, which = dice.random() < self.rate, int(dice.integers(len(self.kinds)))
            if not hit:
                return await app(scope, receive, send)
            kind = self.kinds[which]
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass  # a server in trouble has taken the question all the same
            tell(Told(None if kind == "closed" else int(kind) if kind.isdigit() else 200, fault=kind))
            await self._meet(kind, scope, receive, send)

        return faulty

    async def _meet(self, kind: str, scope: MutableMapping[str, Any], receive: Messages, send: Send) -> None:
        if kind == "closed":
            scope["state"]["transport"].close()
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        body = json.dumps({"error": FAULTS[kind]}).encode() if kind.isdigit() else _BEGUN
        headers = [(b"content-type", b"application/json")]
        headers.append((b"content-length", str(len(body) + 100 * (kind == "cut")).encode()))
        if kind in ("429", "503"):
            headers.append((b"retry-after", str(self.retry_after_seconds).encode()))
        status = int(kind) if kind.isdigit() else 200
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": kind == "cut"})
