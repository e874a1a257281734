"""What an answer says, where its card says that it stands; an answer that cannot be read is told without secrets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from subterfuge.victims._json_answers import Unfit, numbers_of, place_of, read
from subterfuge.victims.http.cache import Said
from subterfuge.victims.http.card import Settings


def understood(data: Any, settings: Settings, labels: Sequence[str]) -> Said:
    """Read an answer's JSON.

    Raises:
        Unfit: it is not what the card says; the message holds no secret.
    """
    with suppress(Unfit):
        return _read(data, settings, labels)
    raise Unfit(_fault(data, settings, labels))


def _fault(data: Any, settings: Settings, labels: Sequence[str]) -> str:
    """Say why an answer cannot be read; secrets in it are hidden before any text is cut."""
    try:
        if settings.secrets.in_short(json.dumps(data, ensure_ascii=False)):
            return "answered what is not what its card says, and is not shown, for it may hold a secret"
        _read(settings.secrets.hidden(data), settings, labels)
    except Unfit as reason:
        return str(reason)
    except RecursionError:
        return "answered what is nested too deeply"
    return "answered what is not what its card says"


def _read(data: Any, settings: Settings, labels: Sequence[str]) -> Said:
    if settings.gives == "labels":
        return Said(None, read(data, "answer", settings.answer, place_of, labels))
    numbers = tuple(read(data, "answer", settings.answer, numbers_of, labels))
    if settings.label is None:
        return Said(numbers, None)
    return Said(numbers, read(data, "label", settings.label, place_of, labels))
