"""The numbers in a JSON answer: found wherever they stand, and refused in words where they do not."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subterfuge.victims._json_answers import NAMES, VALUES, Unfit, find, numbers_of, parse, place_of, read, steps_of

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
    with pytest.raises(Unfit) as caught:
        call()
    said = f"the victim v {caught.value}"
    assert said.startswith("the victim v answered ")
    assert all(str(word) in said for word in words), said
    return said


def at(answer: Any, path: str) -> Any:
    return find(answer, "answer", path)


def fault_of(call: Any) -> str | None:
    try:
        call()
    except Unfit as reason:
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
    assert find(answer, "answer", "$" + path if dollar else path) is what


def test_keys_with_dots_are_quoted_and_lists_may_be_counted_by_dots_and_from_the_end() -> None:
    answer = {"a.b": {"out": [[1], [2], [3]]}, "7": "seven"}
    assert at(answer, '["a.b"].out[-1][0]') == at(answer, "['a.b'].out.2.0") == 3
    assert at(answer, "7") == at(answer, "[7]") == "seven"
    assert at(answer, "") is at(answer, "$") is answer


@pytest.mark.parametrize("path", [".a", "a..b", "a.", "a[", "a[x]", "a]", "a[]", 'a["b]', "$a..", "a[0]b"])
def test_a_text_that_is_no_path_is_told_as_such(path: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be read at .* was expected"):
        steps_of(path)


@given(JSON, st.lists(WORD | st.integers(-3, 3), max_size=4))
def test_whatever_the_answer_is_a_path_is_found_or_refused_in_words(answer: Any, steps: list[str | int]) -> None:
    path = "".join(f"[{step}]" if isinstance(step, int) else f'["{step}"]' for step in steps)
    fault = fault_of(lambda: at(answer, path))
    assert fault is None or path in fault


@given(JSON)
def test_whatever_the_answer_is_it_is_numbers_and_a_label_or_is_refused_in_words(answer: Any) -> None:
    for reader in (numbers_of, place_of):
        fault = fault_of(partial(reader, answer, LABELS))
        assert fault is None or (fault.startswith("answered ") and len(fault) < 600)


@given(st.binary(max_size=40))
def test_any_bytes_are_json_or_are_refused_in_words(raw: bytes) -> None:
    fault = fault_of(lambda: parse(raw))
    assert fault is None or "JSON was expected" in fault


def test_a_path_that_goes_astray_tells_where_and_what_is_there() -> None:
    answer = {"result": {"scores": [1, 2], "time": 3}}
    named = 'answer = "result.score" names: at result there is no key'
    refused(lambda: at(answer, "result.score"), named, "'score'; did you mean 'scores'? Known: 'scores', 'time'")
    refused(lambda: at(answer, "reslt"), "at the top", "did you mean 'result'")
    refused(lambda: at(answer, "result.scores[2]"), "at result.scores", "a list of 2 entries", "2 is no index")
    refused(lambda: at(answer, "result.time.ms"), "at result.time", "there is 3")
    refused(lambda: at({}, "a"), "the table is empty")


def test_what_is_read_wrong_names_the_key_of_the_card_and_its_path() -> None:
    for reader in (numbers_of, place_of):
        refused(lambda reader=reader: read({"p": None}, "label", "p", reader, LABELS), "null", '(label = "p")')
        refused(lambda reader=reader: read(None, "answer", "", reader, LABELS), '(answer = "", all of it)')
        refused(lambda reader=reader: read({"a.b": 7.5}, "answer", '["a.b"]', reader, LABELS), """answer = '["a.b"]'""")
    assert read({"p": [3, 2, 1], "error": "none"}, "answer", "p", numbers_of, LABELS) == [3, 2, 1]


def test_an_answer_that_is_an_error_is_told_with_what_it_says() -> None:
    for answer, path, says in (
        ({"error": "busy"}, "p", '; it says "busy"'),
        ({"error": "busy"}, "", '; it says "busy"'),
        ({"error": None, "detail": [{"msg": "no file"}]}, "p", '; it says [{"msg": "no file"}]'),
        ({"result": {"message": "busy"}}, "result.p", '; it says "busy"'),
        ({"result": None, "error": {"message": "busy"}}, "result.p", '; it says {"message": "busy"}'),
        ({"p": None, "error": "busy"}, "p", '; it says "busy"'),
    ):
        said = refused(lambda a=answer, p=path: read(a, "answer", p, numbers_of, LABELS), says)
        assert said.endswith(says)
        assert said.count("it says") == 1
    assert len(refused(lambda: read({"error": "x" * 10**5}, "answer", "p", numbers_of, LABELS))) < 400


def test_a_message_lists_a_few_names_and_the_nearest_is_always_told() -> None:
    many = {f"key {k} {'x' * 100}": k for k in range(50)} | {"scores": 0}
    said = refused(lambda: at(many, "score"), "did you mean 'scores'? Known: 'key 0 ", "and 43 more")
    assert len(said) < 600
    labels = [f"label {k}" for k in range(500)]
    assert len(refused(lambda: place_of("label 499x", labels), "did you mean 'label 499'", "and 492 more")) < 400
    assert len(refused(lambda: numbers_of({"strange": 1}, labels), "and 492 more", "it has 'strange'")) < 400


def test_nothing_of_an_answer_upsets_a_terminal() -> None:
    odd = "\x1b[2J\u202e\ud800\n"
    for found in ({odd: 1}, [odd, 1, 2], odd, [{"label": odd, "score": 1}], [{odd: odd}], [[odd]]):
        for path in ("", "p", "[0].p"):
            for reader in (numbers_of, place_of):
                ask = partial(read, {"error": odd, "p": found} if path == "p" else found, "answer", path)
                assert refused(lambda a=ask, r=reader: a(r, LABELS)).isprintable()


def test_columns_of_other_names_are_read_where_there_is_one_text_and_one_number() -> None:
    rows = [{"instrument": label, "how much": k, "top": k == 0} for k, label in enumerate(LABELS)]
    assert numbers_of(rows, LABELS) == [0, 1, 2]
    assert numbers_of([{"label": k, "name": label, "prob": k} for k, label in enumerate(LABELS)], LABELS) == [0, 1, 2]
    for strange, words in (
        ([{"a": "cel", "b": "x", "score": 1}], ["'a', 'b', 'score' has no key label", "more than one text"]),
        ([{"label": "cel", "x": 1, "y": 2}], ["has no key score", "more than one number"]),
        ([{"label": "cel", "score": None, "id": 7}] * 3, ["it lacks 'flu'"]),
        ([{**row, "score": None} for row in rows], ["null for the label 'cel'"]),
        ([rows[0], {"label": "flu", "how much": 1}], ["'label', 'how much' has no key 'instrument'"]),
        ([rows[0], {"instrument": "flu", "score": 1}], ["'instrument', 'score' has no key 'how much'"]),
    ):
        refused(lambda strange=strange: numbers_of(strange, LABELS), *words)


def test_an_answer_as_deep_as_json_can_be_read_is_refused_in_words() -> None:
    for depth in (300, 900, 980):
        deep = fault_of(lambda depth=depth: at(parse("[" * depth + "]" * depth), "x"))
        assert deep is not None
        assert deep.startswith("answered ")


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
        ([{"label": ["cel"], "score": 1}], ['it has ["cel"]']),
    ],
)
def test_scores_that_are_not_one_finite_number_a_label_are_refused(found: Any, words: list[str]) -> None:
    refused(lambda: numbers_of(found, LABELS), *words)


def test_a_label_is_read_as_its_text_or_its_index_and_nothing_else() -> None:
    assert [place_of(each, LABELS) for each in ("flu", 2, 0)] == [1, 2, 0]
    for found, words in (
        ("flute", ["did you mean 'flu'"]),
        (3, ["0 to 2", "'cel', 'flu', 'tru'"]),
        (-1, ["0 to 2"]),
        (True, ["true"]),
        (1.0, ["1.0"]),
        ([0.1, 0.2, 0.7], ['gives = "scores"']),
        (None, ["null"]),
    ):
        refused(lambda found=found: place_of(found, LABELS), *words)


def test_a_number_that_is_one_label_and_the_index_of_another_is_refused() -> None:
    digits = ("1", "2", "3")
    refused(lambda: place_of(1, digits), "the label '1' and the index of the label '2'", "as a text", "no numbers")
    refused(lambda: place_of(3, digits), "the label '3' and no label's index")
    assert [place_of(each, digits) for each in (0, "1", "3")] == [0, 0, 2]
    assert [place_of(each, ("0", "1", "2")) for each in (0, 1, "2")] == [0, 1, 2]
    assert place_of(1, ("01", "02")) == 1


def test_html_nothing_and_deep_nesting_are_told_for_what_they_are() -> None:
    refused(lambda: parse(b"<html><body>502 Bad Gateway</body></html>"), "502 Bad Gateway", "a web page")
    refused(lambda: parse(b""), "answered nothing")
    refused(lambda: parse(b'{"scores": [1, 2'), '{"scores": [1, 2')
    refused(lambda: parse("[" * 200_000), "JSON was expected")
    refused(lambda: parse(b"\xff\xfe\x00"), "JSON was expected")
    assert parse(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
