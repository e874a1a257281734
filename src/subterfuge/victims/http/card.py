"""What a card of kind ``http`` says, checked, and filled from the environment."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from subterfuge.errors import nearest
from subterfuge.victim import Gives
from subterfuge.victims._answers import KINDS
from subterfuge.victims._json_answers import steps_of
from subterfuge.victims._wav_file import SUBTYPES
from subterfuge.victims.card import Card
from subterfuge.victims.http.address import fault_of_at, secrets_of_url, shown_url
from subterfuge.victims.http.identity import fingerprint_with, request_of
from subterfuge.victims.http.secrets import Secrets, fields_of, filled, headers_of
from subterfuge.victims.http.send import SENDS, Form

KEYS = {
    "labels!": list,
    "url!": str,
    "send": str,
    "field": str,
    "fields": dict,
    "subtype": str,
    "headers": dict,
    "gives": str,
    "answer": str,
    "output": str,
    "label": str,
    "timeout_seconds": float,
    "retries": int,
    "per_second": float,
    "workers": int,
    "most_queries": int,
    "price": float,
    "currency": str,
    "cache": str,
    "probe_seconds": float,
}

EXAMPLE = """\
schema = 1
kind = "http"
name = "instrument-service"                      # as reports call it
sample_rate = 44100                              # Hz of the sound that is sent
labels = ["cel", "flu", "pia"]                   # as the server calls them; the order of its list, if it gives one
url = "http://127.0.0.1:8000/score"              # is sent a POST a sound; a server that you own or may test
send = "multipart"                               # a form with a file; or "raw" (the body is the file), "base64" (JSON)
field = "file"                                   # of the form that holds the file, or of the JSON ("audio" without it)
fields = { detail = "all" }                      # further fields of the form, or of the JSON
subtype = "PCM_16"                               # of the WAV file; PCM_24, or FLOAT: exact, where the server reads it
# headers = { Authorization = "Bearer ${API_KEY}" }  # ${NAME} is an environment variable; what it holds is never shown
gives = "scores"                                 # or "labels", where the answer holds a label (or its index) alone
answer = "probabilities"                         # where that stands in the JSON, as outputs[0].scores; "" for the whole
output = "probabilities"                         # or logits, log-probabilities, decision values, tag probabilities ...
label = "label"                                  # where its own verdict stands; without it, it is the largest score
timeout_seconds = 30                             # for a whole answer
retries = 4                                      # where a connection breaks, or it answers 429, 500, 502, 503 or 504
per_second = 10                                  # most requests a second
workers = 1                                      # requests at once
most_queries = 20000                             # most answered requests: of one run, or of all if cache is a file
price = 0.001                                    # of an answered request, for the record
currency = "EUR"                                 # of the price
cache = "memory"                                 # or a file that lasts, as "paid.sqlite"; "off" asks the same again
probe_seconds = 1.0                              # length of the noise that is asked at loading (1 query); 0 for none
"""

GIVES = {"scores": Gives.SCORES, "labels": Gives.LABELS}
RANGES = {
    "timeout_seconds": (0.01, 3600),
    "retries": (0, 20),
    "per_second": (0.001, 10000),
    "workers": (1, 64),
    "most_queries": (1, 10**9),
    "price": (0, 10**6),
    "probe_seconds": (0, 60),
}
"""Least and largest value of each number on the card."""


@dataclass(frozen=True)
class Settings:
    """How a server is asked, and where its answer stands."""

    url: str = field(repr=False)
    shown: str
    """The address without what is secret."""
    headers: Mapping[str, str] = field(repr=False)
    form: Form = field(repr=False)
    secrets: Secrets = field(repr=False)
    fingerprint: str
    request: str = field(repr=False)
    """The whole request but for the sound, with its secrets."""
    subtype: str
    gives: str
    answer: str
    output: str
    label: str | None
    cache: str
    cache_file: Path | None
    currency: str | None
    price: float | None
    most_queries: int | None
    per_second: float | None
    timeout_seconds: float
    retries: int
    workers: int
    probe_seconds: float


def settings_of(card: Card) -> Settings:
    """Read a card; nothing is asked yet.

    Raises:
        CardError: a value that makes no sense, or an environment variable that is not set.
    """
    for key, (least, most) in RANGES.items():
        if key in card.values and not least <= card.values[key] <= most:
            raise card.fail(f"{key} = {card.values[key]}; a number from {least} to {most} was expected")
    send = _word(card, "send", "multipart", SENDS)
    subtype = _word(card, "subtype", "PCM_16", SUBTYPES)
    gives = _word(card, "gives", "scores", GIVES)
    output = _word(card, "output", "probabilities", KINDS)
    if gives == "labels":
        for key in ("output", "label"):
            if key in card.values:
                raise card.fail(f'{key} has no meaning where gives = "labels"; take one of the two away')
    secrets: set[str] = set()
    headers = headers_of(card, secrets)
    fields = fields_of(card, secrets)
    if send == "raw":
        if "field" in card.values:
            raise card.fail('field has no meaning where send = "raw", which is the sound alone; take it away')
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "audio/wav"
    place = str(card.get("field", SENDS[send]))
    if send != "raw" and (not place or place in fields):
        raise card.fail(f'field = "{place}"; a name that is not empty, and not one of fields, was expected')
    url = _url(card, secrets)
    answer = _path(card, "answer", "probabilities" if gives == "scores" else "label")
    label = _path(card, "label", "") if "label" in card.values else None
    steps = [None if path is None else steps_of(path) for path in (answer, label)]
    cache = str(card.get("cache", "memory"))
    if not cache:
        raise card.fail('cache = ""; "memory", "off" or a file was expected')
    return Settings(
        url=url,
        shown=shown_url(card.values["url"]),
        headers=headers,
        form=Form(send, place, fields),
        secrets=Secrets(frozenset(secrets)),
        fingerprint=fingerprint_with(card, send, place, subtype, gives, output, json.dumps(steps)),
        request=request_of(url, headers, fields),
        subtype=subtype,
        gives=gives,
        answer=answer,
        output=output if gives == "scores" else "decision values",
        label=label,
        cache=cache,
        cache_file=None if cache in ("memory", "off") else card.folder / cache,
        currency=card.get("currency"),
        price=card.get("price"),
        most_queries=card.get("most_queries"),
        per_second=card.get("per_second"),
        timeout_seconds=float(card.get("timeout_seconds", 30)),
        retries=card.get("retries", 4),
        workers=card.get("workers", 1),
        probe_seconds=float(card.get("probe_seconds", 1.0)),
    )


def _word(card: Card, key: str, default: str, known: Any) -> str:
    word = str(card.get(key, default))
    if word not in known:
        raise card.fail(f'{key} = "{word}"; {nearest(word, known)}')
    return word


def _path(card: Card, key: str, default: str) -> str:
    path = str(card.get(key, default))
    try:
        steps_of(path)
    except ValueError as reason:
        raise card.fail(f"{key}: {reason}") from None
    return path


def _url(card: Card, secrets: set[str]) -> str:
    """Give the address of a card, filled."""
    template = card.values["url"]
    shown = shown_url(template)
    url = filled(card, "url", template, secrets)
    if fault := fault_of_at(template) or fault_of_at(url):
        raise card.fail(fault)
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port  # raises where it is none
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or re.search(r"\s", url):
        raise card.fail(f'url = "{shown}"; an address such as https://example.org/score was expected')
    if parts.fragment:
        raise card.fail(f'url = "{shown}#..."; a server is never sent what stands after #, take it away')
    if "@" in parts.netloc and any(name.lower() == "authorization" for name in card.get("headers", {})):
        raise card.fail("url holds a user, and headers an Authorization; give one of the two")
    secrets |= secrets_of_url(url)
    return url
