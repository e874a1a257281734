"""What must not be seen: values of environment variables, keys and passwords; and how a text is shown without them."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

from subterfuge.victims.card import Card
from subterfuge.victims.http.names import looks_secret

HIDDEN = "[hidden]"
HARMLESS = frozenset({"accept", "accept-language", "content-type", "user-agent"})
"""Headers, in small letters, whose values are no secret where they stand on the card itself."""
TAGS = r"(?:<[^<>]*>)*"
SHORT = 4
"""A secret of fewer characters stands in too many words to be cut out of them."""
BEGIN = 8
"""As many characters of a longer secret tell it: servers echo keys shortened."""
MOST_SHOWN = 200
"""Characters that are shown of what a server said."""
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True)
class Secrets:
    """Words that no message may show, in whatever way they are written."""

    words: frozenset[str] = field(default=frozenset(), repr=False)

    def hide(self, text: str) -> str:
        """Give a text in which every secret, and every beginning of a long one, stands as `HIDDEN`."""
        for pattern in self._patterns:
            text = pattern.sub(HIDDEN, text)
        return text

    @cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        found = []
        for word in sorted(self.words, key=len, reverse=True):
            for written in _ways(word) if len(word) >= SHORT else ():
                found.append(_tagged(written))
                if len(written) > BEGIN:
                    found.append(_tagged(written[:BEGIN]) + r"(?:[^\s\"'<>]+|<[^<>]*>)*")
        return [re.compile(each, re.IGNORECASE) for each in found]

    def hidden(self, data: Any) -> Any:
        """Give JSON in which every secret in a text, in a key, or in the digits of a number is hidden."""
        if isinstance(data, str):
            return self.hide(data)
        if isinstance(data, int | float) and not isinstance(data, bool):
            digits = re.sub(r"e.*|\D", "", repr(data))
            return data if self.hide(f"{data!r} {digits}") == f"{data!r} {digits}" else HIDDEN
        if isinstance(data, list):
            return [self.hidden(each) for each in data]
        return {self.hide(name): self.hidden(each) for name, each in data.items()} if isinstance(data, dict) else data

    def in_short(self, text: str) -> bool:
        """Say whether a text may hold a secret that is too short to be cut out."""
        return any(word in text for word in self.words if len(word) < SHORT)

    def told(self, said: str | bytes) -> str:
        """Give the first `MOST_SHOWN` characters of what a server said, on one line, without tags and secrets."""
        text = said if isinstance(said, str) else said.decode("utf-8", errors="replace")
        if self.in_short(text):
            return "(what it said is not shown, for it may hold a secret)"
        text = self.hide(text)
        text = re.sub(r"(?is)<(script|style)\b.*?(</\1\s*>|$)", " ", text)
        glued = html.unescape(re.sub(r"<[^<>]*>", "", text))
        spaced = html.unescape(re.sub(r"<[^<>]*>", " ", text))
        text = spaced if self.hide(glued) == glued else self.hide(glued)
        text = " ".join("".join(each if each.isprintable() else " " for each in text).split())
        text = self.hide(text)
        return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + " ..."


def filled(card: Card, where: str, text: str, secrets: set[str]) -> str:
    """Put environment variables into a text of the card, and each of their values into `secrets`.

    Raises:
        CardError: there is no such variable, or ``${`` begins no name; values are not told.
    """
    if "${" in VARIABLE.sub("", text):
        raise card.fail(f"{where} holds a ${{ that names no environment variable; ${{NAME}} was expected")

    def value(found: re.Match[str]) -> str:
        given = os.environ.get(found[1])
        if not given:
            what = "is empty" if given == "" else "is not set"
            raise card.fail(f"{where} names the environment variable {found[1]}, which {what}; export {found[1]}=...")
        if any(ord(each) < 32 or ord(each) == 127 for each in given):
            raise card.fail(
                f"{where}: the environment variable {found[1]} holds a line break or another control character; one "
                "line of text was expected"
            )
        secrets.add(given)
        return given

    return VARIABLE.sub(value, text)


def headers_of(card: Card, secrets: set[str]) -> dict[str, str]:
    """Give the headers of a card, filled; every value but those of `HARMLESS` ones joins the secrets.

    Raises:
        CardError: a name or a value that no header can have, or one that belongs to the request itself.
    """
    headers: dict[str, str] = {}
    for name, given in card.get("headers", {}).items():
        where = f"headers.{name}"
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise card.fail(f"headers holds the name {name!r}; letters, digits and dashes were expected")
        if name.lower() in ("content-length", "transfer-encoding", "connection", "accept-encoding"):
            raise card.fail(f"{where} cannot be set, for it follows from what is sent; take it away")
        if name.lower() == "content-type" and card.get("send") != "raw":
            raise card.fail(f'{where} can be set where send = "raw" only; else it follows from what is sent')
        if not isinstance(given, str):
            raise card.fail(f"{where} is no text; write its value in quotes")
        value = filled(card, where, given, secrets).strip(" ")
        if any(ord(each) < 32 or ord(each) == 127 for each in value):
            raise card.fail(f"{where} holds a line break or another control character; one line of text was expected")
        if not value.isascii():
            raise card.fail(f"{where} holds letters that no header can; plain ASCII was expected")
        if name.lower() not in HARMLESS:
            secrets.update(_parts(value))
        headers[name] = value
    return headers


def fields_of(card: Card, secrets: set[str]) -> dict[str, Any]:
    """Give the further fields of a card, filled.

    Raises:
        CardError: fields that a form, or JSON, cannot hold.
    """
    send = card.get("send", "multipart")
    fields: dict[str, Any] = {}
    if card.get("fields") and send == "raw":
        raise card.fail('fields has no meaning where send = "raw", which is the sound alone; put them into the url')
    for name, given in card.get("fields", {}).items():
        if send == "multipart" and not isinstance(given, (str, int, float)):
            raise card.fail(f"fields.{name} is a {type(given).__name__}; a form holds texts, numbers, true and false")
        fields[name] = _filled_deep(card, f"fields.{name}", given, secrets, looks_secret(name))
    try:
        json.dumps(fields, allow_nan=False)
    except (TypeError, ValueError):
        raise card.fail(
            "fields holds a value that JSON cannot hold (a date, NaN); texts, numbers, true and false were expected"
        ) from None
    if send == "multipart":
        return {name: _form_text(value) for name, value in fields.items()}
    return fields


def _filled_deep(card: Card, where: str, given: Any, secrets: set[str], secret: bool) -> Any:
    """Fill all texts in a value; where its name looks `secret` they are secrets too."""
    if isinstance(given, str):
        text = filled(card, where, given, secrets)
        secrets.update(_parts(text) if secret else ())
        return text
    if isinstance(given, list):
        return [_filled_deep(card, where, each, secrets, secret) for each in given]
    if isinstance(given, dict):
        return {
            name: _filled_deep(card, f"{where}.{name}", each, secrets, secret or looks_secret(name))
            for name, each in given.items()
        }
    if secret and isinstance(given, int | float) and not isinstance(given, bool):
        secrets |= {str(given), str(int(given)) if float(given).is_integer() else str(given)}
    return given


def _form_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parts(value: str) -> Iterable[str]:
    """Give a header's value, and what may be secret in it by itself.

    That is what stands behind a scheme (``Bearer abc``, ``Basic b64``), and the values of a list: ``sid=abc; user=me``.

    >>> list(_parts('Digest id="alpha", seal=beta==')) == [
    ...     'Digest id="alpha", seal=beta==', 'id="alpha", seal=beta==', "alpha", "beta==", "beta"]
    True
    """
    scheme, _, rest = value.partition(" ")
    yield value
    if rest:
        yield rest.strip()
    for item in re.split(r'[\s;,"]+', rest if rest and re.fullmatch(r"[A-Za-z-]+", scheme) else value):
        name, _, held = item.partition("=")
        pieces = [held, *held.split("=")] if held.strip("=") else [item, name]
        yield from dict.fromkeys(piece for piece in pieces if len(piece) >= SHORT)
    if scheme.lower() == "basic":
        try:
            who = base64.b64decode(rest, validate=True).decode()
        except ValueError:
            return
        yield who
        yield who.partition(":")[2] or who


def _tagged(word: str) -> str:
    """Give a pattern of a word in which tags and numbered entities may stand: ``sk&#45;<b>Super</b>Secret``."""
    return TAGS.join(f"(?:{re.escape(each)}|&#0*{ord(each)};|&#x0*{ord(each):x};)" for each in word)


def _ways(word: str) -> list[str]:
    """Give the ways in which a word may be written: as it is, in addresses, JSON, HTML, Python and base64."""
    ways = {word, quote(word), quote(word, safe=""), quote_plus(word), html.escape(word), repr(word)[1:-1]}
    ways |= {json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1]}
    ways |= {way.replace("/", "\\/") for way in ways}
    ways |= {repr(way)[1:-1] for way in ways}
    ways.add(base64.b64encode(word.encode()).decode())
    return sorted(ways, key=len, reverse=True)
