"""Where in a JSON answer a classifier's numbers stand, and which is whose.

A path is written as ``result.scores``, ``predictions[0]``, ``outputs.0.scores`` or ``["a.b"].scores``; "" is the whole
answer. What is found there is one of ::

    {"cel": 0.1, "flu": 0.9}                              a table by label
    [0.1, 0.9]                                            a list in the order of the labels
    [{"label": "flu", "score": 0.9}, {"label": ...}]      a list of tables, in any order
    "flu", or 1                                           a label, or its index, where that is all there is

The errors are clauses that follow the name of the victim: ``raise VictimError(f"the victim {name} {reason}")``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from subterfuge.errors import VictimError, nearest

NAMES = ("label", "class", "name", "tag")
"""What a list of tables may call the label; the first that is there counts."""
VALUES = ("score", "probability", "confidence", "value")
"""What it may call the number."""
_STEP = re.compile(r"""\[(-?\d+)\]|\["([^"]*)"\]|\['([^']*)'\]|\.?([^.\[\]"']+)""")


def steps_of(path: str) -> list[str | int]:
    """Take a path apart: keys, and indices of lists.

    >>> steps_of("outputs[0].scores"), steps_of("")
    (['outputs', 0, 'scores'], [])

    Raises:
        ValueError: it is no path; the message is a sentence about it.
    """
    steps: list[str | int] = []
    rest = path.removeprefix("$") if path[:2] in ("$", "$.", "$[") else path
    place = 0
    while place < len(rest):
        step = _STEP.match(rest, place)
        first = not steps and rest is path
        if step is None or (step[4] is not None and step[0].startswith(".") == first):
            raise ValueError(
                f"{path!r} cannot be read at {rest[place:]!r:.40}; a path such as result.scores, predictions[0] or "
                '["a.b"].scores was expected, or an empty text for the whole answer'
            )
        index, keys = step[1], [key for key in step.groups()[1:] if key is not None]
        steps.append(int(index) if index is not None else keys[0])
        place = step.end()
    return steps


def parse(raw: bytes | str) -> Any:
    """Read JSON.

    Raises:
        VictimError: it is none; the message shows how it begins.
    """
    try:
        text = raw if isinstance(raw, str) else raw.decode("utf-8-sig")
        return json.loads(text)
    except (ValueError, RecursionError) as reason:
        begins = raw[:200].decode("utf-8", "replace") if isinstance(raw, bytes) else raw[:200]
        what = "nothing" if not begins.strip() else f"{' '.join(begins.split())!r:.100}"
        why = "it is nested too deeply" if isinstance(reason, RecursionError) else f"{reason!s:.150}"
        page = ", which is a web page" if begins.lstrip()[:5].lower() in ("<html", "<!doc") else ""
        raise VictimError(f"answered {what}{page}, where JSON was expected ({why})") from None


def find(answer: Any, path: str) -> Any:
    """Give what stands at a path of a JSON answer.

    Raises:
        VictimError: nothing stands there; the message tells how far the path goes, and what is there instead.
        ValueError: it is no path.
    """
    found, gone = answer, ""
    for step in steps_of(path):
        here = f"at {gone}" if gone else "at the top"
        if isinstance(found, Mapping):
            key = str(step)
            if key not in found:
                keys = [str(known) for known in found]
                known = nearest(key, keys[:20]) if keys else "the table is empty"
                raise VictimError(f"answered without {path!r}: {here} there is no key {key!r}; {known}")
            found = found[key]
        elif isinstance(found, list):
            index = step if isinstance(step, int) else int(step) if step.isdecimal() and step.isascii() else None
            if index is None or not -len(found) <= index < len(found):
                raise VictimError(
                    f"answered without {path!r}: {here} there is {kind_of(found)}, and {step!r} is no index of it"
                )
            found = found[index]
        else:
            raise VictimError(
                f"answered without {path!r}: {here} there is {kind_of(found)}, where a table or a list was expected"
            )
        gone += f"[{step}]" if isinstance(step, int) else f".{step}" if gone else step
    return found


def numbers_of(found: Any, labels: Sequence[str]) -> list[float]:
    """Give the number of each label, in the order of the labels, from what stands in an answer.

    Raises:
        VictimError: it is none of a table by label, a list in the labels' order and a list of tables; its labels are
            not these; or a number is none, or is not finite.
    """
    if isinstance(found, Mapping):
        return _in_order(list(found.items()), labels)
    if isinstance(found, list) and found and all(isinstance(one, Mapping) for one in found):
        return _in_order([_pair(one) for one in found], labels)
    if not isinstance(found, list):
        more = '; is it gives = "labels"?' if isinstance(found, str | int) else ""
        raise VictimError(
            f"answered {kind_of(found)}, where {len(labels)} numbers were expected: a table by label, a list in the "
            f"order of the labels, or a list of tables with label and score{more}"
        )
    if len(found) != len(labels):
        inner = found[0] if len(found) == 1 and isinstance(found[0], list | Mapping) else None
        more = "" if inner is None else ". Those inside are one step further: end the path with [0]"
        raise VictimError(
            f"answered {kind_of(found)}, where {len(labels)} numbers were expected, one for each label{more}"
        )
    return [_number(one, label) for one, label in zip(found, labels, strict=True)]


def place_of(found: Any, labels: Sequence[str]) -> int:
    """Give the index of the label that stands in an answer, as its text or its index.

    Raises:
        VictimError: it is neither.
    """
    if isinstance(found, str) and found in labels:
        return list(labels).index(found)
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < len(labels):
        return found
    known = nearest(found, labels) if isinstance(found, str) else f"the labels are {', '.join(labels)}"
    if isinstance(found, list | Mapping):
        known = 'if it holds one number a label, then gives = "scores"'
    raise VictimError(
        f"answered {kind_of(found)}, where a label or an index from 0 to {len(labels) - 1} was expected; {known}"
    )


def kind_of(found: Any) -> str:
    """Say in a few words what some JSON is."""
    if isinstance(found, Mapping):
        return f"a table with the keys {', '.join(map(str, found)):.100}" if found else "an empty table"
    if isinstance(found, list):
        inside = "s" * (len(found) != 1)
        return f"a list of {len(found)} entr{'ies' if inside else 'y'} ({json.dumps(found):.60})"
    return f"{json.dumps(found):.100}"


def _pair(one: Mapping[str, Any]) -> tuple[Any, Any]:
    name = next((key for key in NAMES if key in one), None)
    value = next((key for key in VALUES if key in one), None)
    if name is None or value is None:
        lacks = (
            f"{', '.join(NAMES[:-1])} or {NAMES[-1]}" if name is None else f"{', '.join(VALUES[:-1])} or {VALUES[-1]}"
        )
        raise VictimError(f"answered a list of tables, of which {kind_of(one)} has no key {lacks}")
    return one[name], one[value]


def _in_order(pairs: Sequence[tuple[Any, Any]], labels: Sequence[str]) -> list[float]:
    names = [name for name, _ in pairs]
    strange = [name for name in names if name not in labels]
    lacking = [label for label in labels if label not in names]
    if strange or lacking:
        told = [f"it lacks {_some(lacking)}"] if lacking else []
        told += [f"it has {_some(strange)}, which the card does not"] if strange else []
        more = "" if strange else '. If it tells only the first few, have it tell all, or use gives = "labels"'
        raise VictimError(f"answered other labels than the {len(labels)} of the card: {' and '.join(told)}{more}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise VictimError(f"answered the label {twice!r} twice")
    values = dict(pairs)
    return [_number(values[label], label) for label in labels]


def _some(names: Sequence[Any]) -> str:
    return ", ".join(f"{name!r:.40}" for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _number(one: Any, label: str) -> float:
    if isinstance(one, bool) or not isinstance(one, int | float):
        raise VictimError(f"answered {kind_of(one)} for the label {label!r}, where a number was expected")
    try:
        number = float(one)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise VictimError(
            f"answered NaN or an infinite number for the label {label!r}, where a finite one was expected"
        )
    return number
