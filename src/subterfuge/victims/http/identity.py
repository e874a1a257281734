"""Who is asked: a fingerprint that anybody may see, and the whole request, of which only a salted hash is kept.

The fingerprint goes into outcomes. In it stands in full what messages show: labels, rate, paths into the answer, the
address as the card writes it, names, and fields that do not look secret. What messages hide may be a secret all the
same, so that a hash of it could be tried with guesses: of environment variables, of the address's query, and of headers
there are 16 bits in it, for all of them together. They tell two models apart (65535 times in 65536), and fit one guess
in 65536. Of what looks secret by its name, or by the variable's, only the name is in it: a key that is renewed leaves a
fingerprint as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from subterfuge.victims.card import Card, fingerprint_of
from subterfuge.victims.http.address import shown_url
from subterfuge.victims.http.names import looks_secret
from subterfuge.victims.http.secrets import VARIABLE

BITS = 16
"""Of what messages hide in a fingerprint."""
SALT_BYTES = 32
SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}
"""How dear a guess at a kept request is (RFC 7914): 16 MiB and some hundredth of a second."""


def fingerprint_with(card: Card, *parts: str) -> str:
    """Give the fingerprint of a card, of its address, headers and fields, and of further parts."""
    return fingerprint_of(
        "http",
        *(card.labels or ()),
        str(card.sample_rate),
        json.dumps([shown_url(card.values["url"]), _public(card.get("fields", {}), lambda text: text)]),
        hint_of(json.dumps(_hidden(card))),
        *parts,
    )


def hint_of(text: str) -> str:
    """Give `BITS` bits of a text's SHA-256, as hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[: BITS // 4]


def request_of(url: str, headers: Mapping[str, str], fields: Mapping[str, Any]) -> str:
    """Give the whole request but for the sound and the headers that look secret, filled: it holds secrets.

    A key that is renewed in a header leaves it as it was.
    """
    shaping = sorted((name.lower(), value) for name, value in headers.items() if not looks_secret(name))
    return json.dumps([url, shaping, fields], sort_keys=True)


def kept_as(request: str, fingerprint: str, salt: bytes) -> str:
    """Give the name under which a file keeps the answers to a request: an HMAC-SHA256 behind scrypt, as hexadecimals.

    Nobody who has the file, and so the salt, tries guesses at it quickly.
    """
    return hashlib.scrypt(f"{fingerprint} {request}".encode(), salt=salt, **SCRYPT).hex()


def _hidden(card: Card) -> list[Any]:
    """Give what messages hide and what is no secret by its name, filled."""
    try:
        url = urlsplit(_filled(card.values["url"]))
    except ValueError:  # a host in brackets that is a variable's name
        url = urlsplit("")
    query = [(name, None if looks_secret(name) else value) for name, value in parse_qsl(url.query, True)]
    headers = {
        name.lower(): None if looks_secret(name) else _filled(value) for name, value in card.get("headers", {}).items()
    }
    place = [url.scheme, url.netloc.rpartition("@")[2].lower(), url.path, query]
    return [place, sorted(headers.items()), _public(card.get("fields", {}), _filled)]


def _filled(text: str) -> str:
    """Fill a text but for variables that look secret, which stay names."""
    return VARIABLE.sub(lambda found: found[0] if looks_secret(found[1]) else os.environ.get(found[1], ""), text)


def _public(given: Any, fill: Callable[[str], str]) -> Any:
    """Give fields without what looks secret by its name."""
    if isinstance(given, dict):
        return {name: None if looks_secret(name) else _public(given[name], fill) for name in sorted(given)}
    if isinstance(given, list):
        return [_public(each, fill) for each in given]
    return fill(given) if isinstance(given, str) else given
