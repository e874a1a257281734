"""Every mistake on a card is told in one sentence with the way out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tests.victims.conftest import toml

from subterfuge.errors import CardError, InputError, UntrustedModel
from subterfuge.victims import LOADERS, Card, load_victim, read_card
from subterfuge.victims.card import COMMON, fingerprint_of

SKLEARN = {"schema": 1, "kind": "sklearn", "sample_rate": 44100, "features": "librosa-mean-25", "model": "m.skops"}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown kind": ({"kind": "sklern"}, 'kind = "sklern"; did you mean sklearn'),
    "no kind": ({"kind": None}, "has no kind; known: sklearn, torch, python"),
    "a kind that is a list": ({"kind": ["sklearn"]}, r'says kind = \["sklearn"\]'),
    "an unknown key": ({"modle": "m"}, "key 'modle' is not known .* did you mean model"),
    "a text for a number": (
        {"sample_rate": "44100"},
        'sample_rate = "44100", where a whole number was expected; write sample_rate = 44100$',
    ),
    "a number with a point for a whole one": ({"sample_rate": 8000.0}, "expected; write sample_rate = 8000$"),
    "a number that is not whole": ({"sample_rate": 8000.5}, "sample_rate = 8000.5, where a whole number was expected$"),
    "true for a number": ({"sample_rate": True}, "sample_rate = true, where a whole number was expected$"),
    "schema as a text": ({"schema": "1"}, 'schema = "1", where a whole number was expected; write schema = 1$'),
    "a number for a text": ({"model": 3}, 'model = 3, where a text was expected; write model = "3"$'),
    "a list for a text": ({"model": ["m.skops"]}, 'model = .*, where a text was expected; write model = "m.skops"$'),
    "a text for a list": (
        {"labels": "cel, flu"},
        r'labels = "cel, flu", where a list of texts was expected; write labels = \["cel", "flu"\]$',
    ),
    "an endless rate": ({"sample_rate": 10**400}, "sample_rate = a number of 1329 bits; a rate from"),
    "no sample rate": ({"sample_rate": None}, "lacks the key 'sample_rate', a whole number"),
    "no schema": ({"schema": None}, "lacks the key 'schema'"),
    "no model": ({"model": None}, "lacks the key 'model', a text"),
    "schema 2": ({"schema": 2}, "schema = 2; this version reads schema = 1"),
    "schema 2 with a key of its own": ({"schema": 2, "new": 1}, "schema = 2"),
    "a low rate": ({"sample_rate": 44}, "sample_rate = 44; a rate from 1000 to 384000"),
    "a label twice": ({"labels": ["cel", "flu", "cel"]}, "label 'cel' stands twice"),
    "a label that is a number": ({"labels": ["cel", 1]}, "labels holds 1; every label must be a text"),
    "an empty label": ({"labels": ["cel", " "]}, 'labels holds " "'),
    "one label": ({"labels": ["cel"]}, "labels has 1 entries"),
    "an empty name": ({"name": " "}, "name is empty"),
    "a missing model file": ({}, r'model = "m.skops", but there is no file .*m\.skops; paths on a card are relative'),
    "a model that is a folder": ({"model": "."}, 'model = ".", but that is a folder'),
    "an unknown recipe": ({"features": "librosa-mean-52"}, "no recipe; did you mean librosa-mean-25"),
    "an unknown filter": ({"preprocess": "noiseduce"}, "no filter; did you mean noisereduce"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_card_is_refused_with_the_way_out(case: str, card_of: Callable[..., Path]) -> None:
    changes, told = WRONG[case]
    path = card_of(**(SKLEARN | changes))
    with pytest.raises(CardError, match=told) as error:
        load_victim(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"schema = ", "is no TOML"),
        (b"\xff\xfe\x00", "cannot be read as a card"),
        (b"a = " + b"[" * 5000, "nested too deeply|no TOML"),
    ],
)
def test_a_file_that_is_no_card_is_refused(raw: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(raw)
    with pytest.raises(CardError, match=told):
        load_victim(tmp_path / "x.toml")


def test_a_missing_card_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="there is no card"):
        load_victim(tmp_path / "none.toml")
    with pytest.raises(CardError, match="is a folder"):
        load_victim(tmp_path)
    with pytest.raises(CardError, match="cannot be read"):
        load_victim("a\0b.toml")


def test_a_card_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('schema = 1\nkind = "a"\nsample_rate = 8000\n', encoding="utf-8-sig")
    assert read_card(path, {"a": {}}).sample_rate == 8000


def test_a_card_knows_its_name_and_its_folder(card_of: Callable[..., Path], tmp_path: Path) -> None:
    card = read_card(card_of(schema=1, kind="a", sample_rate=8000, extra={"b": 1}), {"a": {"extra!": dict}})
    assert (card.name, card.kind, card.labels, card.folder) == ("card", "a", None, tmp_path.resolve())
    assert card.get("extra") == {"b": 1}


def test_every_kind_says_whether_its_card_runs_code() -> None:
    assert {kind for kind, loader in LOADERS.items() if loader.runs_code} >= {"torch", "python"}
    assert {kind for kind, loader in LOADERS.items() if loader.wraps} >= {"through", "smoothed", "ensemble", "detector"}
    for loader in LOADERS.values():
        assert {get_origin(wanted) or wanted for wanted in loader.keys.values()} <= {str, int, float, bool, list, dict}
        assert bool(re.search(r"\brun\b", loader.says)) == loader.runs_code


KINDS: dict[str, dict[str, Any]] = {
    "any": {
        "model!": str,
        "draws": int,
        "sd": float,
        "batch": bool,
        "members": list,
        "edges": list[float],
        "arguments": dict,
        "headers": dict[str, str],
    }
}
"""A kind with keys of every type."""
WHOLE = {
    "schema": 1,
    "kind": "any",
    "sample_rate": 8000,
    "model": "m",
    "draws": 3,
    "sd": 0.5,
    "batch": True,
    "members": ["a.toml"],
    "edges": [1, 2.5],
    "arguments": {"width": [1, "a"], "x": math.inf},
    "headers": {"Accept": "text/html"},
}


def test_values_of_every_type_are_taken(card_of: Callable[..., Path]) -> None:
    assert dict(read_card(card_of(**WHOLE), KINDS).values) == WHOLE


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"members": ["a.toml", 3]}, 'entry 2 of members is 3, where a text was expected; write "3"$'),
        ({"members": "a.toml"}, r'members = "a.toml", where a list of texts .*write members = \["a.toml"\]$'),
        ({"edges": [1, True]}, "entry 2 of edges is true, where a number was expected$"),
        ({"edges": [math.nan]}, "entry 1 of edges is nan, where a finite number was expected$"),
        ({"sd": math.inf}, "sd = inf, where a finite number was expected$"),
        ({"sd": 10**400}, "sd = a number of 1329 bits, where a finite number was expected$"),
        ({"sd": "0.1"}, 'sd = "0.1", where a number was expected; write sd = 0.1$'),
        ({"sd": "much"}, 'sd = "much", where a number was expected$'),
        ({"batch": "true"}, 'batch = "true", where true or false was expected; write batch = true$'),
        ({"batch": 0}, "batch = 0, where true or false was expected; write batch = false$"),
        ({"draws": [5]}, r"draws = \[5\], where a whole number was expected; write draws = 5$"),
        ({"headers": {"Age": 5}}, "headers.Age is a whole number, where a text was expected$"),
        ({"headers": ["Accept"]}, "headers is a list, where a table of texts was expected$"),
        ({"arguments": 5}, "arguments = 5, where a table was expected$"),
        ({"model": "x" * 500}, None),
        ({"draws": "x" * 500}, r'draws = "x{116}\.\.\., where a whole number was expected$'),
    ],
)
def test_a_value_of_another_type_is_told_with_what_was_meant(
    changes: dict[str, Any], told: str | None, card_of: Callable[..., Path]
) -> None:
    path = card_of(**(WHOLE | changes))
    if told is None:
        assert read_card(path, KINDS).get("model") == changes["model"]
        return
    with pytest.raises(CardError, match=told):
        read_card(path, KINDS)


def test_a_key_that_fell_into_a_table_is_found_there(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('schema = 1\nkind = "any"\nsample_rate = 8000\n[arguments]\nmodel = "m"\n')
    told = r"lacks the key 'model', a text, .* it stands in the table arguments: .* write 'model' above it"
    with pytest.raises(CardError, match=told):
        read_card(tmp_path / "x.toml", KINDS)


scalars = st.one_of(
    st.booleans(), st.integers(), st.floats(), st.text(st.characters(codec="utf-8"), max_size=8), st.dates()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cards") / "drawn.toml"


@given(key=st.sampled_from(sorted({*WHOLE, "labels", "name"})), value=values)
def test_a_card_with_any_value_anywhere_is_read_or_refused_by_the_name_of_the_key(
    key: str, value: Any, place: Path
) -> None:
    whole = WHOLE | {key: value}
    place.write_text("".join(f"{name} = {toml(one)}\n" for name, one in whole.items()), encoding="utf-8")
    found = read_or_refused(place)
    if isinstance(found, str):
        assert re.search(rf"\b{key}\b", found.removeprefix(str(place)))
        assert len(found) < 600
        return
    kinds = {str: str, int: int, float: (int, float), bool: bool, list: list, dict: dict}
    assert isinstance(found.get(key), kinds[type((WHOLE | {"labels": [], "name": ""})[key])])  # type: ignore[arg-type]
    assert found.sample_rate in range(1000, 384001)


def read_or_refused(path: Path) -> Card | str:
    """Give a card, or what is said of it."""
    try:
        return read_card(path, KINDS)
    except CardError as error:
        return str(error)


@given(raw=st.binary(max_size=60) | st.text("schema=1kind\n[]\"' .", max_size=80).map(str.encode))
def test_any_bytes_are_a_card_or_refused(raw: bytes, place: Path) -> None:
    place.write_bytes(raw)
    with pytest.raises(CardError, match=r"drawn\.toml"):
        read_card(place, KINDS)


@pytest.mark.parametrize("kind", LOADERS)
def test_the_example_of_each_kind_is_a_card_with_every_key_that_it_can_have(kind: str, tmp_path: Path) -> None:
    text = LOADERS[kind].example
    (tmp_path / "card.toml").write_text(text, encoding="utf-8")
    card = read_card(tmp_path / "card.toml", {name: loader.keys for name, loader in LOADERS.items()})
    assert card.kind == kind
    keys = set(COMMON) | {key.rstrip("!") for key in LOADERS[kind].keys}
    instead = set(re.findall(r"^# (\w+) = ", text, flags=re.MULTILINE))  # keys that another stands in the place of
    assert (set(card.values) | instead, set(card.values) & instead) == (keys, set())
    assert max(len(line) for line in text.splitlines()) <= 120
    assert text.endswith("\n")
    assert text == "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    assert ("RUN" in text) == LOADERS[kind].runs_code


@pytest.mark.parametrize("kind", ["sklearn", "torch", "python", *(kind for kind in LOADERS if LOADERS[kind].wraps)])
def test_a_device_that_is_not_there_is_refused(kind: str, table, model_card, card_of, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("def f(w):\n    return [1, 2]\n")
    if LOADERS[kind].wraps:
        inner = card_of(schema=1, kind="python", sample_rate=8000, labels=["a", "b"], function="code.py:f")
        keys = {"sd": 0.1, "through": "gain=-6", "survives": "gain=-6", "victim": "in.toml", "members": ["in.toml"]}
        keys |= {"window_seconds": 1.0}
        inner.rename(tmp_path / "in.toml")
        known = {key.rstrip("!") for key in LOADERS[kind].keys}
        path = card_of(schema=1, kind=kind, sample_rate=8000, **{key: keys[key] for key in known & keys.keys()})
    elif kind == "sklearn":
        path = model_card(LogisticRegression(max_iter=5000).fit(table.X, table.y), labels=["a", "b", "c"])
    else:
        key = {"torch": "module", "python": "function"}[kind]
        path = card_of(schema=1, kind=kind, sample_rate=8000, labels=["a", "b"], **{key: "code.py:f"})
    for device in ("cuda:77", "warp drive"):
        with pytest.raises(InputError, match=f'device = "{device}" cannot be used on this machine: it has'):
            load_victim(path, device=device)


def test_labels_that_do_not_fit_the_model_are_refused(table, model_card) -> None:
    numbered = SVC().fit(table.X, table.y)
    with pytest.raises(CardError, match="lacks the key 'labels', and the model only numbers its classes"):
        load_victim(model_card(numbered))
    with pytest.raises(CardError, match="labels names 2 classes, and the model has 3"):
        load_victim(model_card(numbered, labels=["a", "b"]))
    named = SVC().fit(table.X, [("cel", "flu", "tru")[k] for k in table.y])
    with pytest.raises(CardError, match=r"names in another order; the model's is \['cel', 'flu', 'tru'\]"):
        load_victim(model_card(named, labels=["tru", "flu", "cel"]))
    assert load_victim(model_card(named)).labels == ("cel", "flu", "tru")
    assert load_victim(model_card(named, labels=["cello", "flute", "trumpet"])).labels[1] == "flute"


def test_parts_that_do_not_fit_each_other_are_refused(table, model_card) -> None:
    names = ["a", "b", "c"]
    small, whole = StandardScaler().fit(table.X[:, :24]), StandardScaler().fit(table.X)
    model = SVC().fit(table.X, table.y)
    with pytest.raises(CardError, match=r'scaler takes 24 features, and the recipe "librosa-mean-25" gives 25'):
        load_victim(model_card(model, small, labels=names))
    with pytest.raises(CardError, match="model takes 24 features, and the recipe"):
        load_victim(model_card(SVC().fit(table.X[:, :24], table.y), labels=names))
    with pytest.raises(CardError, match="model takes 24 features, and the scaler gives 25"):
        load_victim(model_card(SVC().fit(table.X[:, :24], table.y), whole, labels=names))
    with pytest.raises(CardError, match=r"scaler is a SVC, which has no transform\(\)"):
        load_victim(model_card(model, model, labels=names))


def test_a_model_that_is_no_fitted_classifier_is_refused(table, model_card) -> None:
    with pytest.raises(CardError, match=r"StandardScaler, which has no predict\(\)"):
        load_victim(model_card(StandardScaler().fit(table.X), labels=["a", "b"]))
    with pytest.raises(CardError, match="SVC that is no fitted classifier"):
        load_victim(model_card(SVC(), labels=["a", "b"]))


def test_a_model_of_several_answers_is_refused(table, model_card) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    two = KNeighborsClassifier().fit(table.X, [[k, 2 - k] for k in table.y])
    with pytest.raises(CardError, match="KNeighborsClassifier of several answers a clip"):
        load_victim(model_card(two, labels=["a", "b", "c"]), trust_pickle=True)


def test_a_pickle_of_code_is_refused_unless_it_is_trusted(model_card, tmp_path: Path) -> None:
    path = model_card(Path("x"), labels=["a", "b"])
    with pytest.raises(UntrustedModel, match="pathlib"):
        load_victim(path)
    with pytest.raises(CardError, match=r"has no predict\(\)"):
        load_victim(path, trust_pickle=True)


def test_fingerprints_do_not_run_parts_together() -> None:
    assert fingerprint_of("ab", "c") != fingerprint_of("a", "bc")
    assert fingerprint_of("ab") == fingerprint_of(b"ab")
