"""The numbers in a JSON answer: found wherever they stand, and refused in words where they do not."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subterfuge.errors import VictimError
from subterfuge.victims._json_answers import NAMES, VALUES, find, numbers_of, parse, place_of, steps_of

LABELS = ("cel", "flu", "tru")
FINITE = st.floats(allow_nan=False, allow_infinity=False)
THREE = st.lists(FINITE, min_size=3, max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
WORD = st.text(st.characters(exclude_characters=".[]\"'$"), min_size=1, max_size=6)


def refused(call: Any, *words: object) -> str:
    with pytest.raises(VictimError) as caught:
        call()
    said = f"the victim v {caught.value}"
    assert said.startswith("the victim v answered ")
    assert all(str(word) in said for word in words), said
    return said


def fault_of(call: Any) -> str | None:
    try:
        call()
    except VictimError as reason:
        return str(reason)
    return None


@given(THREE, st.permutations(range(3)), st.sampled_from(NAMES), st.sampled_from(VALUES))
def test_the_three_ways_to_write_scores_give_the_same_numbers_to_the_last_bit(
    numbers: list[float], order: list[int], name: str, value: str
) -> None:
    ways = (
        numbers,
        {LABELS[k]: numbers[k] for k in order},
        [{name: LABELS[k], value: numbers[k], "rank": 1} for k in order],
    )
    for way in ways:
        assert numbers_of(parse(json.dumps(way)), LABELS) == numbers


@given(st.lists(WORD | st.integers(0, 2), max_size=5), JSON, st.booleans())
def test_what_is_put_at_a_path_is_found_there(steps: list[str | int], what: Any, dollar: bool) -> None:
    answer, path = what, ""
    for step in reversed(steps):
        answer = {step: answer, "other": 1} if isinstance(step, str) else [None] * step + [answer, None]
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path or dollar else step
    assert find(answer, "$" + path if dollar else path) is what


def test_keys_with_dots_are_quoted_and_lists_may_be_counted_by_dots_and_from_the_end() -> None:
    answer = {"a.b": {"out": [[1], [2], [3]]}, "7": "seven"}
    assert find(answer, '["a.b"].out[-1][0]') == find(answer, "['a.b'].out.2.0") == 3
    assert find(answer, "7") == find(answer, "[7]") == "seven"
    assert find(answer, "") is find(answer, "$") is answer


@pytest.mark.parametrize("path", [".a", "a..b", "a.", "a[", "a[x]", "a]", "a[]", 'a["b]', "$a..", "a[0]b"])
def test_a_text_that_is_no_path_is_told_as_such(path: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be read at .* was expected"):
        steps_of(path)


@given(JSON, st.lists(WORD | st.integers(-3, 3), max_size=4))
def test_whatever_the_answer_is_a_path_is_found_or_refused_in_words(answer: Any, steps: list[str | int]) -> None:
    path = "".join(f"[{step}]" if isinstance(step, int) else f'["{step}"]' for step in steps)
    fault = fault_of(lambda: find(answer, path))
    assert fault is None or repr(path) in fault


@given(JSON)
def test_whatever_the_answer_is_it_is_numbers_and_a_label_or_is_refused_in_words(answer: Any) -> None:
    for read in (numbers_of, place_of):
        fault = fault_of(partial(read, answer, LABELS))
        assert fault is None or (fault.startswith("answered ") and len(fault) < 600)


@given(st.binary(max_size=40))
def test_any_bytes_are_json_or_are_refused_in_words(raw: bytes) -> None:
    fault = fault_of(lambda: parse(raw))
    assert fault is None or "JSON was expected" in fault


def test_a_path_that_goes_astray_tells_where_and_what_is_there() -> None:
    answer = {"result": {"scores": [1, 2], "time": 3}}
    refused(
        lambda: find(answer, "result.score"), "'result.score'", "at result", "no key 'score'", "did you mean scores"
    )
    refused(lambda: find(answer, "reslt"), "at the top", "did you mean result")
    refused(lambda: find(answer, "result.scores[2]"), "at result.scores", "a list of 2 entries", "2 is no index")
    refused(lambda: find(answer, "result.time.ms"), "at result.time", "there is 3")
    refused(lambda: find({}, "a"), "the table is empty")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"cel": 1, "flu": 2}, ["lacks 'tru'", 'gives = "labels"']),
        ({"cel": 1, "flu": 2, "tru": 3, "pia": 4}, ["it has 'pia'", "the card does not"]),
        ({"cel": 1, "flu": 2, "TRU": 3}, ["lacks 'tru' and it has 'TRU'"]),
        ([1, 2], ["a list of 2 entries", "3 numbers"]),
        ([[1, 2, 3]], ["3 numbers", "end the path with [0]"]),
        ([1, 2, None], ["null", "'tru'", "a number was expected"]),
        ([1, True, 2], ["true", "'flu'"]),
        ([1, "2", 3], ['"2"', "'flu'"]),
        ([1, float("nan"), 3], ["NaN", "'flu'"]),
        ({"cel": 1, "flu": 2, "tru": float("inf")}, ["infinite", "'tru'"]),
        ([10**400, 1, 2], ["infinite", "'cel'"]),
        ("flu", ['"flu"', 'gives = "labels"']),
        (None, ["null", "3 numbers"]),
        ([{"label": "cel"}], ["no key score, probability"]),
        ([{"score": 1}], ["no key label, class"]),
        ([{"label": "cel", "score": k} for k in range(3)], ["lacks 'flu', 'tru'"]),
        ([{"label": each, "score": 1} for each in ("cel", "flu", "tru", "flu")], ["'flu' twice"]),
        ([{"label": ["cel"], "score": 1}], ["it has ['cel']"]),
    ],
)
def test_scores_that_are_not_one_finite_number_a_label_are_refused(found: Any, words: list[str]) -> None:
    refused(lambda: numbers_of(found, LABELS), *words)


def test_a_label_is_read_as_its_text_or_its_index_and_nothing_else() -> None:
    assert [place_of(each, LABELS) for each in ("flu", 2, 0)] == [1, 2, 0]
    for found, words in (
        ("flute", ["did you mean flu"]),
        (3, ["0 to 2", "cel, flu, tru"]),
        (-1, ["0 to 2"]),
        (True, ["true"]),
        (1.0, ["1.0"]),
        ([0.1, 0.2, 0.7], ['gives = "scores"']),
        (None, ["null"]),
    ):
        refused(lambda found=found: place_of(found, LABELS), *words)


def test_html_nothing_and_deep_nesting_are_told_for_what_they_are() -> None:
    refused(lambda: parse(b"<html><body>502 Bad Gateway</body></html>"), "502 Bad Gateway", "a web page")
    refused(lambda: parse(b""), "answered nothing")
    refused(lambda: parse(b'{"scores": [1, 2'), '{"scores": [1, 2')
    refused(lambda: parse("[" * 200_000), "JSON was expected")
    refused(lambda: parse(b"\xff\xfe\x00"), "JSON was expected")
    assert parse(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
