"""An address: what of it is shown, and what must not be seen."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

from subterfuge.victims.http.names import looks_secret


def shown_url(template: str) -> str:
    """Give an address as messages show it: as the card has it, without user, password, query and fragment.

    A password may hold, unwritten, what ends the host: of an address with an ``@``, however it is read, there is shown
    only what follows the last one.

    >>> shown_url("https://me:pass@host:8000/${PLACE}/score?key=${KEY}#top")
    'https://host:8000/${PLACE}/score'
    >>> shown_url("https://me:pa#ss@host/score"), shown_url("me:pa//ss@host")
    ('https://host/score', 'host')
    """
    before, at, after = template.rpartition("@")
    if at:
        scheme = re.match(r"(?i)https?://", before)
        template = (scheme[0] if scheme else "") + after
    return template.partition("?")[0].partition("#")[0]


def fault_of_at(url: str) -> str | None:
    """Say in a sentence, which shows none of it, that an address holds an ``@`` elsewhere than behind a user, or None.

    >>> fault_of_at("https://me:pass@host/score"), fault_of_at("https://me:pa/ss@host/score") is None
    (None, False)
    """
    host = re.match(r"[^/?#]*//[^/?#]*", url)
    if "@" not in url[host.end() if host else 0 :]:
        return None
    return (
        "url holds an @ where no user and password can end, and is not shown, for a part of it may be a password; "
        "write / as %2F, ? as %3F, # as %23 and @ as %40 in a user, a password, a path or a query, and begin "
        "with http:// or https://"
    )


def secrets_of_url(url: str) -> set[str]:
    """Give what of an address must not be seen: user and password, and the values of keys in its query."""
    parts = urlsplit(url)
    found: set[str] = set()
    if "@" in parts.netloc:
        who = unquote(parts.netloc.rpartition("@")[0])
        found |= {who, who.partition(":")[2] or who}
    found |= {value for name, value in parse_qsl(parts.query) if looks_secret(name)}
    return found
