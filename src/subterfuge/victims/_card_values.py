"""What a value on a card must be, and how to say that it is not."""

from __future__ import annotations

import json
import math
from types import GenericAlias
from typing import Any, get_args, get_origin

WORDS: dict[type, str] = {
    int: "a whole number",
    str: "a text",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}
MANY = {int: "whole numbers", str: "texts", float: "numbers", bool: "true or false", dict: "tables", list: "lists"}
QUIET = frozenset({"url", "headers", "fields"})
"""Keys whose values may hold passwords, and of which only the type is shown."""
Wanted = type | GenericAlias
"""A type of `WORDS`, or a list or table of one, such as ``list[str]`` or ``dict[str, str]``; ``list`` is of texts."""


def named(wanted: Wanted) -> str:
    """Say what a type is called on a card.

    >>> named(list), named(dict[str, str]), named(float)
    ('a list of texts', 'a table of texts', 'a number')
    """
    outer, inner = _parts(wanted)
    return WORDS[outer] if inner is None else f"{WORDS[outer]} of {MANY[inner]}"


def written(value: Any) -> str:
    """Show a value as TOML writes it, shortened.

    >>> written(["cel", True, 1.0])
    '["cel", true, 1.0]'
    """
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, list):
        text = f"[{', '.join(written(each) for each in value)}]"
    elif isinstance(value, dict):
        text = f"{{ {', '.join(f'{key} = {written(each)}' for key, each in value.items())} }}" if value else "{}"
    elif isinstance(value, int) and value.bit_length() > 200:
        text = f"a number of {value.bit_length()} bits"
    else:
        text = str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def fault_of(key: str, value: Any, wanted: Wanted) -> str | None:
    """Say in a sentence what is wrong with the value of a key, and how it is put right where that is plain, or None.

    >>> fault_of("sample_rate", "44100", int)
    'sample_rate = "44100", where a whole number was expected; write sample_rate = 44100'
    """
    outer, inner = _parts(wanted)
    if not _fits(value, outer):
        if key in QUIET:
            return f"{key} is {_type_of(value)}, where {named(wanted)} was expected"
        return _told(f"{key} = {written(value)}, where {named(wanted)} was expected", key, value, wanted)
    if isinstance(value, int | float) and not isinstance(value, bool) and outer is float and not _finite(value):
        return f"{key} = {written(value)}, where a finite number was expected"
    if inner is None:
        return None
    for place, each in enumerate(value, 1) if isinstance(value, list) else value.items():
        where = f"{key}.{place}" if isinstance(value, dict) else f"entry {place} of {key}"
        if not _fits(each, inner):
            if key in QUIET:
                return f"{where} is {_type_of(each)}, where {named(inner)} was expected"
            return _told(f"{where} is {written(each)}, where {named(inner)} was expected", "", each, inner)
        if inner is float and not _finite(each):
            return f"{where} is {written(each)}, where a finite number was expected"
    return None


def _parts(wanted: Wanted) -> tuple[type, type | None]:
    """Give the type of a value, and that of what it holds, None of anything."""
    if wanted is list:
        return list, str
    outer = get_origin(wanted)
    if outer is None:
        assert isinstance(wanted, type)
        return wanted, None
    return outer, get_args(wanted)[-1]


def _fits(value: Any, wanted: type) -> bool:
    if isinstance(value, bool):
        return wanted is bool
    return isinstance(value, (int, float) if wanted is float else wanted)


def _type_of(value: Any) -> str:
    return WORDS.get(type(value), "a date or a time")


def _finite(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _told(says: str, key: str, value: Any, wanted: Wanted) -> str:
    """Add the nearest value that would do, where there is a plain one."""
    near = _nearest(value, wanted)
    if near is None:
        return says
    return f"{says}; write {key} = {written(near)}" if key else f"{says}; write {written(near)}"


def _nearest(value: Any, wanted: Wanted) -> Any:
    """Give the value of the wanted type that was probably meant, or None."""
    outer, inner = _parts(wanted)
    if isinstance(value, list) and len(value) == 1 and outer is not list:
        return value[0] if _fits(value[0], outer) else None
    if outer is list and inner is str and isinstance(value, str) and value.strip():
        return [part.strip() for part in value.split(",") if part.strip()]
    if outer is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if outer is bool and (value in (0, 1) or str(value).lower() in ("true", "false")):
        return str(value).lower() in ("1", "true", "1.0")
    if outer in (int, float) and isinstance(value, str | float):
        try:
            number = float(value)
        except ValueError:
            return None
        if not math.isfinite(number):
            return None
        return int(number) if number == int(number) else number if outer is float else None
    return None
