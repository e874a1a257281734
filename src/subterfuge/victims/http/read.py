"""Where the numbers and the label stand in a server's JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from subterfuge.errors import nearest

STEP = re.compile(r'\.?([^.\[\]"]+)|\[(\d+)\]|\["([^"]*)"\]')
SCORE_WORDS = ("score", "probability", "prob", "confidence", "value")
LABEL_WORDS = ("label", "class", "name", "tag")
"""What is meant in a list of objects that hold several texts or numbers."""
FEW = 12
"""Most names that a message lists."""
Path = tuple[str | int, ...]


class Unfit(Exception):
    """An answer that is not what the card says; the text goes on after 'the victim NAME answered'."""


def path_of(text: str) -> Path:
    """Take a path apart; the empty one is the whole answer.

    >>> path_of('outputs[0].scores["a.b"]')
    ('outputs', 0, 'scores', 'a.b')

    Raises:
        ValueError: it is none.
    """
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        found = STEP.match(text, at)
        if found is None or (at == 0 and text.startswith(".")):
            raise ValueError(f"cannot be read from its character {at + 1} on")
        name, place, quoted = found.groups()
        steps.append(int(place) if place is not None else name if name is not None else quoted)
        at = found.end()
    return tuple(steps)


def follow(data: Any, path: Path, key: str) -> Any:
    """Give what stands in an answer at the path that the card's `key` gives.

    Raises:
        Unfit: nothing stands there; the message names the keys that are there.
    """
    walked = "its answer"
    for number, step in enumerate(path, 1):
        there = isinstance(data, dict) and step in data
        if isinstance(step, int):
            there = isinstance(data, list) and step < len(data)
        if not there:
            names = f'JSON without what {key} = "{written(path)}" names: {walked} {_holds(data)}, no {step!r}'
            raise Unfit(names + _complaint(data))
        data = data[step]
        walked = f"'{written(path[:number])}'"
    if data is None:
        raise Unfit(f'null where {key} = "{written(path)}"; numbers or a label were expected there')
    return data


def numbers_of(found: Any, labels: Sequence[str]) -> list[float]:
    """Give one finite number a label, of a table by label, a list in their order, or a list of {label, score}.

    Raises:
        Unfit: they are none, or are about other labels.
    """
    k = len(labels)
    if isinstance(found, list) and found and all(isinstance(each, dict) for each in found):
        found = _table_of(found)
    if isinstance(found, dict):
        _check_names(list(found), labels)
        row = [found[label] for label in labels]
    elif isinstance(found, list):
        row = found
        if len(row) == 1 and isinstance(row[0], list):
            raise Unfit(f"a list in a list ({short(found)}); add [0] to answer")
        if len(row) != k:
            raise Unfit(f"{len(row)} numbers; {k} were expected, one for each label of the card")
    else:
        raise Unfit(
            f"{short(found)}; a table by label, a list of {k} numbers, or a list of labels with scores was expected"
        )
    return [_number(each, label) for each, label in zip(row, labels, strict=True)]


def place_of(found: Any, labels: Sequence[str]) -> int:
    """Give the place of the label that an answer names by its text or its index.

    Raises:
        Unfit: it names none of them.
    """
    if isinstance(found, str) and found in labels:
        return list(labels).index(found)
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < len(labels):
        return found
    known = nearest(found, labels) if isinstance(found, str) else f"known: {', '.join(labels)}"
    raise Unfit(f"{short(found)}; a label of the card or an index from 0 to {len(labels) - 1} was expected; {known}")


def written(path: Path) -> str:
    """Write a path as the card has it."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f'["{step}"]' if re.search(r"[.\[\]]", step) else f".{step}" if text else step
    return text


def short(found: Any) -> str:
    """Show a part of an answer."""
    return f"{' '.join(repr(found).split()):.80}"


def _table_of(objects: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Turn a list of objects, each with a label and its number, into a table by label."""
    texts = [name for name, each in objects[0].items() if isinstance(each, str)]
    numbers = [name for name, each in objects[0].items() if isinstance(each, (int, float))]
    label = next((name for name in LABEL_WORDS if name in texts), texts[0] if len(texts) == 1 else None)
    score = next((name for name in SCORE_WORDS if name in numbers), numbers[0] if len(numbers) == 1 else None)
    if label is None or score is None:
        raise Unfit(f"a list of objects that hold {_names(objects[0])}; a label and a score in each was expected")
    table: dict[str, Any] = {}
    for each in objects:
        name = each.get(label)
        if not isinstance(name, str):
            raise Unfit(f"a list of objects, of which one has the {label} {short(name)}; a text was expected")
        if name in table:
            raise Unfit(f"a list of objects, of which two have the {label} {short(name)}")
        table[name] = each.get(score)
    return table


def _check_names(names: Sequence[str], labels: Sequence[str]) -> None:
    strange = [name for name in names if name not in labels]
    lacks = [label for label in labels if label not in names]
    if not strange and not lacks:
        return
    about = f"the label {short(strange[0])}, which is none of the card's ({', '.join(labels)})" if strange else ""
    without = f"no number for {', '.join(lacks[:FEW])}" if lacks else ""
    hint = "; if it gives the best few only, ask it for all of them" if lacks and not strange else ""
    raise Unfit(" and ".join(part for part in (about, without) if part) + hint)


def _number(found: Any, label: str) -> float:
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise Unfit(f"{short(found)} for {label}, where a number was expected")
    try:
        number = float(found)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Unfit(f"{number} for {label}, where a finite number was expected")
    return number


def _holds(data: Any) -> str:
    if isinstance(data, dict):
        return f"has {_names(data)}"
    return f"is a list of {len(data)}" if isinstance(data, list) else f"is {short(data)}"


def _complaint(data: Any) -> str:
    """Give what an answer that is an error says."""
    words = [data[name] for name in ("error", "detail", "message") if name in data] if isinstance(data, dict) else []
    return f"; it says {short(words[0])}" if words else ""


def _names(table: dict[str, Any]) -> str:
    names = [f"{name!r:.42}" for name in table]
    return (", ".join(names[:FEW]) + (f" and {len(names) - FEW} more" if len(names) > FEW else "")) or "nothing"
