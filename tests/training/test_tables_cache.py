"""A cache of features whose contents are not what they should be: refused by one sentence, never taught."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from subterfuge.errors import InputError
from subterfuge.training._tables_cache import FeatureCache
from subterfuge.training._tables_setup import Setup

pyarrow = pytest.importorskip("pyarrow", reason="a cache needs pyarrow")
SETUP, OTHER = (Setup("librosa-mean-25", rate, "", "", 0) for rate in (8000, 16000))
ROWS = {name: np.random.default_rng(place).normal(size=(2, 25)) for place, name in enumerate(("one", "two"))}


@pytest.fixture(autouse=True)
def versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Setup, "versions", lambda _: {"torch": "9"})


def opened(path: Path, setup: Setup = SETUP) -> FeatureCache:
    told: list[str] = []
    return FeatureCache.open(path, setup, told.append)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    path = tmp_path / "features.parquet"
    opened(path).add(ROWS)
    return path


def rewritten(
    path: Path, *, setups: bytes | None = None, row: dict[str, Any] | None = None, rows: list[int] | None = None
) -> None:
    """Write a cache of the right format again, with something else in it; `row` goes in place of the last."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    about = {key: value for key, value in table.schema.metadata.items() if key in (b"format", b"setups")}
    if setups is not None:
        about = {b"format": about[b"format"]} | ({b"setups": setups} if setups else {})
    lines = [table.to_pylist()[place] for place in rows or range(4)]
    lines[-1] |= row or {}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(lines, table.schema.with_metadata(about)), path)


def nan_at(place: int) -> list[float]:
    return [float("nan") if k == place else 0.0 for k in range(25)]


DAMAGES: dict[str, tuple[dict[str, Any], str]] = {
    "setups that are no JSON": ({"setups": b"{"}, "what its setups are"),
    "no setups": ({"setups": b""}, "what its setups are"),
    "setups that are a list": ({"setups": b"[]"}, "what its setups are"),
    "a setup that is a number": ({"setups": b'{"abc": 5}'}, "what its setups are"),
    "a setup under another's key": ({"setups": b'{"abc": {"recipe": "x"}}'}, "what its setups are"),
    "none of the setups that rows have": ({"setups": b"{}"}, "a setup that it does not tell"),
    "a short row": ({"row": {"features": [0.0] * 24}}, "other than 25 features"),
    "a long row": ({"row": {"features": [0.0] * 50}}, "other than 25 features"),
    "an empty row": ({"row": {"features": []}}, "other than 25 features"),
    "no row": ({"row": {"features": None}}, "empty fields"),
    "no content": ({"row": {"content": None}}, "empty fields"),
    "a feature that is nothing": ({"row": {"features": [None, *[0.0] * 24]}}, "no finite numbers"),
    "a feature that is no number": ({"row": {"features": nan_at(3)}}, "no finite numbers"),
    "a feature without end": ({"row": {"features": [float("inf")] * 25}}, "no finite numbers"),
    "a variant that is twice there": ({"row": {"variant": 0}}, "variants of a sound"),
    "a variant that is missing": ({"rows": [0, 1, 3]}, "variants of a sound"),
    "a last variant that is missing": ({"rows": [0, 1, 2]}, "more variants of one sound"),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_cache_of_the_right_format_with_bad_contents_is_refused_and_left_as_it_is(cache: Path, what: str) -> None:
    rewritten(cache, **DAMAGES[what][0])
    before = cache.read_bytes()
    with pytest.raises(InputError, match=rf"features\.parquet is damaged \(.*{DAMAGES[what][1]}.*\); move it away or"):
        opened(cache)
    assert cache.read_bytes() == before


def test_damage_that_comes_while_features_are_found_is_refused_too(cache: Path) -> None:
    store = opened(cache)
    rewritten(cache, setups=b"{")
    before = cache.read_bytes()
    with pytest.raises(InputError, match="is damaged"):
        store.add({"three": np.zeros((2, 25))})
    assert cache.read_bytes() == before


def test_what_is_whole_comes_back_beside_other_setups(cache: Path) -> None:
    opened(cache, OTHER).add({"one": np.ones((1, 25))})
    rewritten(cache, rows=[0, 1, 2, 3, 4])
    for setup, rows in ((SETUP, ROWS), (OTHER, {"one": np.ones((1, 25))})):
        known = opened(cache, setup).known
        assert known.keys() == rows.keys()
        for name, features in rows.items():
            np.testing.assert_array_equal(known[name], features)


def test_setups_are_kept_under_the_hash_of_what_they_are(cache: Path) -> None:
    import pyarrow.parquet

    told = json.loads(pyarrow.parquet.read_schema(cache).metadata[b"setups"])
    assert list(told) == [opened(cache).key]
    assert told[opened(cache).key] == opened(cache).about
