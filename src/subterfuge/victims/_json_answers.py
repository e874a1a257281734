"""Where in a JSON answer a classifier's numbers stand, and which is whose.

A path is written as ``result.scores``, ``predictions[0]``, ``outputs.0.scores`` or ``["a.b"].scores``; "" is the whole
answer. What is found there is one of ::

    {"cel": 0.1, "flu": 0.9}                              a table by label
    [0.1, 0.9]                                            a list in the order of the labels
    [{"label": "flu", "score": 0.9}, {"label": ...}]      a list of tables, in any order
    "flu", or 1                                           a label, or its index, where that is all there is; labels
                                                          such as "1" make a number ambiguous, and it is refused

What is none of these is `Unfit`. Its texts come of the answer, and are cut: a caller with secrets hides them in the
answer first.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from subterfuge.victims._json_words import complaint, kind_of, named, near, some

NAMES = ("label", "class", "name", "tag")
"""What a list of tables may call the label: the first of these that is a text counts, else the only text."""
VALUES = ("score", "probability", "prob", "confidence", "value")
"""What it may call the number: the first of these that is there counts, else the only number."""
T = TypeVar("T")
_STEP = re.compile(r"""\[(-?\d+)\]|\["([^"]*)"\]|\['([^']*)'\]|\.?([^.\[\]"']+)""")


class Unfit(Exception):
    """An answer that is not what the card says, as a clause that follows the victim's name: "answered ..."."""


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
        Unfit: it is none; the message shows how it begins.
    """
    try:
        text = raw if isinstance(raw, str) else raw.decode("utf-8-sig")
        return json.loads(text)
    except (ValueError, RecursionError) as reason:
        begins = raw[:200].decode("utf-8", "replace") if isinstance(raw, bytes) else raw[:200]
        what = "nothing" if not begins.strip() else f"{' '.join(begins.split())!r:.100}"
        why = "it is nested too deeply" if isinstance(reason, RecursionError) else f"{reason!s:.150}"
        page = ", which is a web page" if begins.lstrip()[:5].lower() in ("<html", "<!doc") else ""
        raise Unfit(f"answered {what}{page}, where JSON was expected ({why})") from None


def read(answer: Any, key: str, path: str, reader: Callable[[Any, Sequence[str]], T], labels: Sequence[str]) -> T:
    """Give what `numbers_of` or `place_of` reads at the path that the card's `key` gives.

    Raises:
        Unfit: nothing stands there, or something else; the message names the key, and tells what an error says.
        ValueError: it is no path.
    """
    found = find(answer, key, path)
    try:
        return reader(found, labels)
    except Unfit as reason:
        where = f"({_written(key, path)}{'' if path else ', all of it'})"
        raise Unfit(f"{reason} {where}{complaint(found, answer)}") from None


def find(answer: Any, key: str, path: str) -> Any:
    """Give what stands in a JSON answer at the path that the card's `key` gives.

    Raises:
        Unfit: nothing stands there; the message tells how far the path goes, and what is there instead.
        ValueError: it is no path.
    """
    found, gone = answer, ""
    for step in steps_of(path):
        try:
            further = _step(found, step)
        except Unfit as reason:
            here = f"at {gone}" if gone else "at the top"
            says = f"{here} there is {reason}{complaint(found, answer)}"
            raise Unfit(f"answered JSON without what {_written(key, path)} names: {says}") from None
        found, gone = further, gone + (f"[{step}]" if isinstance(step, int) else f".{step}" if gone else step)
    return found


def numbers_of(found: Any, labels: Sequence[str]) -> list[float]:
    """Give the number of each label, in the order of the labels, from what stands in an answer.

    Raises:
        Unfit: it is none of a table by label, a list in the labels' order and a list of tables; its labels are not
            these; or a number is none, or is not finite.
    """
    if isinstance(found, Mapping):
        return _in_order(list(found.items()), labels)
    if not isinstance(found, list):
        more = '; is it gives = "labels"?' if isinstance(found, str | int) else ""
        raise Unfit(
            f"answered {kind_of(found)}, where {len(labels)} numbers were expected: a table by label, a list in the "
            f"order of the labels, or a list of tables with label and score{more}"
        )
    inner = found[0] if len(found) == 1 else None
    if isinstance(inner, list) or (isinstance(inner, Mapping) and all(label in inner for label in labels)):
        raise Unfit(
            f"answered {kind_of(found)}, where {len(labels)} numbers were expected; what is inside is one step "
            "further: end the path with [0]"
        )
    if found and all(isinstance(one, Mapping) for one in found):
        return _in_order(_pairs(found), labels)
    if len(found) != len(labels):
        raise Unfit(f"answered {kind_of(found)}, where {len(labels)} numbers were expected, one for each label")
    return [_number(one, label) for one, label in zip(found, labels, strict=True)]


def place_of(found: Any, labels: Sequence[str]) -> int:
    """Give the index of the label that stands in an answer, as its text or its index.

    Raises:
        Unfit: it is neither; or it is a number that is one label's text and not its index.
    """
    if isinstance(found, str) and found in labels:
        return list(labels).index(found)
    if type(found) is int and abs(found) < 10**9 and str(found) in labels and labels.index(str(found)) != found:
        other = f"the index of the label {named(labels[found])}" if 0 <= found < len(labels) else "no label's index"
        raise Unfit(
            f"answered {found}, which is the label {named(str(found))} and {other}: have the server answer the label "
            "as a text; or, if it answers indices, give the card labels that are no numbers"
        )
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < len(labels):
        return found
    known = near(found, labels) if isinstance(found, str) else f"the labels are {some(labels)}"
    if isinstance(found, list | Mapping):
        known = 'if it holds one number a label, then gives = "scores"'
    raise Unfit(
        f"answered {kind_of(found)}, where a label or an index from 0 to {len(labels) - 1} was expected; {known}"
    )


def _step(found: Any, step: str | int) -> Any:
    """Give what is one step further; the text of `Unfit` goes on after "there is"."""
    if isinstance(found, Mapping):
        if str(step) in found:
            return found[str(step)]
        known = near(str(step), found) if found else "the table is empty"
        raise Unfit(f"no key {named(str(step))}; {known}")
    if not isinstance(found, list):
        raise Unfit(f"{kind_of(found)}, where a table or a list was expected")
    index = step if isinstance(step, int) else int(step) if step.isdecimal() and step.isascii() else None
    if index is None or not -len(found) <= index < len(found):
        raise Unfit(f"{kind_of(found)}, and {step!r} is no index of it")
    return found[index]


def _pairs(tables: Sequence[Mapping[str, Any]]) -> list[tuple[Any, Any]]:
    """Give label and number of each table; the first one tells which of its keys these are."""
    first = tables[0]
    texts = [key for key in first if isinstance(first[key], str)]
    numbers = [key for key in first if isinstance(first[key], int | float) and not isinstance(first[key], bool)]
    names = [key for key in NAMES if key in texts] or texts[:2] or [key for key in NAMES if key in first]
    values = [key for key in VALUES if key in first] or numbers[:2]
    for keys, known, what in ((names, NAMES, "text"), (values, VALUES, "number")):
        if not keys or (len(keys) > 1 and keys[0] not in known):
            raise Unfit(
                f"answered a list of tables, of which {kind_of(first)} has no key {', '.join(known[:-1])} or "
                f"{known[-1]}, and {'more than one' if keys else 'no other'} {what}"
            )
    name, value = names[0], values[0]
    for one in tables:
        lacks = next((key for key in (name, value) if key not in one), None)
        if lacks is not None:
            raise Unfit(f"answered a list of tables, of which {kind_of(one)} has no key {named(lacks)}")
    return [(one[name], one[value]) for one in tables]


def _in_order(pairs: Sequence[tuple[Any, Any]], labels: Sequence[str]) -> list[float]:
    known, values = frozenset(labels), {name: value for name, value in pairs if isinstance(name, str)}
    strange = [name for name, _ in pairs if not isinstance(name, str) or name not in known]
    lacking = [label for label in labels if label not in values]
    if strange or lacking:
        told = [f"it lacks {some(lacking)}"] if lacking else []
        told += [f"it has {some(strange)}, which the card does not"] if strange else []
        more = "" if strange else '. If it tells only the first few, have it tell all, or use gives = "labels"'
        raise Unfit(f"answered other labels than the {len(labels)} of the card: {' and '.join(told)}{more}")
    if len(pairs) > len(values):
        names = [name for name, _ in pairs]
        raise Unfit(f"answered the label {named(max(names, key=names.count))} twice")
    return [_number(values[label], label) for label in labels]


def _number(one: Any, label: str) -> float:
    if isinstance(one, bool) or not isinstance(one, int | float):
        raise Unfit(f"answered {kind_of(one)} for the label {named(label)}, where a number was expected")
    try:
        number = float(one)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Unfit(f"answered NaN or an infinite number for the label {named(label)}, where a finite one was expected")
    return number


def _written(key: str, path: str) -> str:
    """Write a key of the card as it stands there."""
    return f"{key} = '{path}'" if '"' in path else f'{key} = "{path}"'
