"""The questions that the server answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from subterfuge.audio import Clip
from subterfuge.driver import score
from subterfuge.errors import InputError, SubterfugeError, VictimError
from subterfuge.outcome import finite
from subterfuge.serving.asker import Asker
from subterfuge.serving.told import Told
from subterfuge.serving.uploads import Held, Refused, Upload, upload_of
from subterfuge.victim import Gives, Kind, Victim

MOST_HELD = 8
"""How many requests of the largest size may be held while they wait, or as much in smaller ones; more are told 503."""


def app_of(
    victim: Victim,
    asker: Asker,
    folder: Path,
    gives: Gives,
    max_seconds: float,
    max_bytes: int,
    tell: Callable[[Told], None],
) -> FastAPI:
    """Give the app of a victim. Uploads lie in `folder` while they are read, one at a time."""
    names = (folder / f"upload-{number}" for number in itertools.count())
    votes = "votes" if victim.kind is Kind.DUELS else str(victim.kind)
    about = {
        "name": victim.name,
        "labels": list(victim.labels),
        "sample_rate": victim.sample_rate,
        "gives": gives.name.lower(),
        "kind": votes if gives is Gives.SCORES else None,
        "fingerprint": victim.fingerprint,
    }

    def answer_of(upload: Upload) -> dict[str, Any]:
        path = next(names).with_suffix(upload.suffix)
        try:
            path.write_bytes(upload.raw)
            clip = Clip.read(path, max_seconds=max_seconds)
        except SubterfugeError as reason:
            raise Refused(400, str(reason).replace(str(path), "the sound")) from None
        finally:
            path.unlink(missing_ok=True)
        try:
            return _answer(clip, victim, gives)
        except InputError as reason:
            raise Refused(400, str(reason).replace(path.stem, "the sound")) from None

    async def about_it() -> JSONResponse:
        return JSONResponse(about)

    async def health() -> JSONResponse:
        return JSONResponse({"ok": True})

    held = Held(MOST_HELD * max_bytes)

    async def ask(request: Request) -> JSONResponse:
        try:
            with held.room_for(request, max_bytes):
                upload = await upload_of(request, max_bytes)
                answer = await asker.do(lambda: answer_of(upload))
        except ClientDisconnect:
            return _error(400, "the connection was closed in the middle of the request", tell)
        except Refused as reason:
            return _error(reason.status, str(reason), tell, reason.headers)
        except SubterfugeError as reason:
            return _error(500, str(reason), tell)
        except Exception as reason:
            return _error(500, f"the victim {victim.name} died: {type(reason).__name__}: {reason!s:.300}", tell)
        tell(Told(200, answer["label"]))
        return JSONResponse(answer)

    async def elsewhere(request: Request, reason: HTTPException) -> JSONResponse:
        text = f"{request.method} {request.url.path}: GET /, GET /health or POST /score was expected"
        return JSONResponse({"error": text}, reason.status_code, headers=reason.headers)

    app = FastAPI(title=victim.name, openapi_url=None, exception_handlers={HTTPException: elsewhere})
    app.add_api_route("/", about_it, methods=["GET"])
    app.add_api_route("/health", health, methods=["GET"])
    app.add_api_route("/score", ask, methods=["POST"])
    return app


def _answer(clip: Clip, victim: Victim, gives: Gives) -> dict[str, Any]:
    """Ask the victim, as `subterfuge score` does."""
    if gives is Gives.LABELS:
        with torch.no_grad():
            index = int(victim.decide(torch.from_numpy(clip.mono(victim.sample_rate))[None])[0])
        return {"label": victim.labels[index], "probabilities": None, "scores": None, "kind": None}
    said = score(clip, victim)
    answer = {"label": said["predicted"], **{key: said[key] for key in ("probabilities", "scores", "kind")}}
    if finite(answer) != answer:
        raise VictimError(f"the victim {victim.name} answered NaN or infinite numbers, where finite ones were expected")
    return answer


def _error(
    status: int, text: str, tell: Callable[[Told], None], headers: Mapping[str, str] | None = None
) -> JSONResponse:
    tell(Told(status, error=text))
    return JSONResponse({"error": text}, status, headers)
