"""What messages show of a JSON answer: a few names, the beginnings of values, what an error says.

The texts are a stranger's, so that nothing is shown of them that would upset a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any

COMPLAINTS = ("error", "detail", "message")
"""Where an answer that is an error says so."""
FEW = 8
"""Most names that a message lists."""
LONG = 40
"""Most characters of a name that it shows; of a value, a hundred."""


def kind_of(found: Any) -> str:
    """Say in a few words what some JSON is."""
    if isinstance(found, Mapping):
        return f"a table with the keys {some(found)}" if found else "an empty table"
    if isinstance(found, list):
        return f"a list of {len(found)} entr{'y' if len(found) == 1 else 'ies'} ({shown(found, 60)})"
    return shown(found, 100)


def complaint(*places: Any) -> str:
    """Give what an answer that is an error says, in the first place that says anything."""
    tables = [place for place in places if isinstance(place, Mapping)]
    said = next((table[key] for table in tables for key in COMPLAINTS if table.get(key)), None)
    return "" if said is None else f"; it says {shown(said, 150)}"


def near(word: str, names: Iterable[str]) -> str:
    """Say which names are near to a word, and the first of those that there are."""
    lower = {name.lower(): name for name in islice(names, 1000)}
    close = [lower[near] for near in get_close_matches(word[:100].lower(), lower, n=2, cutoff=0.5)]
    hint = f"did you mean {' or '.join(map(named, close))}? Known: " if close else "known: "
    return hint + some(names)


def some(names: Iterable[Any]) -> str:
    """List the first `FEW` names, and say how many more there are."""
    told = list(names)
    return ", ".join(map(named, told[:FEW])) + (f" and {len(told) - FEW} more" if len(told) > FEW else "")


def named(name: Any) -> str:
    """Quote a name, at most `LONG` characters of it."""
    if not isinstance(name, str):
        return shown(name, LONG)
    return repr(name if len(name) <= LONG else name[:LONG] + "...")


def shown(found: Any, most: int) -> str:
    """Give the JSON of something, at most so many characters, none of which would upset a terminal."""
    try:
        text = json.dumps(found, ensure_ascii=False)
    except RecursionError:
        return "what is nested too deeply to be shown"
    text = text if len(text) <= most else text[:most] + "..."
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
