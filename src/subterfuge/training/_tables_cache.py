"""Features that were found before, in one Parquet file: a row for each variant of a sound, by content and setup.

Rows of another recipe, rate, transform or version of anything stand beside each other and are never mistaken. The file
is written beside and renamed, and pages carry checksums, so it is whole or it is refused.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from subterfuge.audio.place import check_target, put
from subterfuge.dsp.recipes import RECIPES
from subterfuge.training._tables_file import (
    FORMAT,
    Found,
    arrow_and_parquet,
    features_of,
    key_of,
    read_table,
    rows_by,
    schema_of,
    setups_of,
)
from subterfuge.training._tables_setup import Setup


@dataclass(frozen=True)
class FeatureCache:
    """The features of one setup in a Parquet file that may hold others."""

    path: Path
    key: str
    """Hash of the setup and its versions."""
    about: dict[str, Any]
    """What the key is the hash of."""
    known: Found
    """What it held when it was opened."""

    @classmethod
    def open(cls, path: Path, setup: Setup, announce: Callable[[str], None]) -> FeatureCache:
        """Read what a file holds of a setup; where there is no file, nothing.

        Raises:
            InputError: the file is damaged, or holds something else.
            OutputError: a folder or a device stands in its place.
            MissingExtra: pyarrow is not installed.
        """
        arrow_and_parquet()
        check_target(path, None, True)
        about = {**asdict(setup), "versions": setup.versions()}
        key = key_of(about)
        table = read_table(path)
        if table is None:
            return cls(path, key, about, {})
        mine = features_of(path, table, key, RECIPES[setup.recipe].features)
        _tell(path, table, key, about, announce)
        return cls(path, key, about, mine)

    def add(self, new: Found) -> None:
        """Add features to the file, to what it holds by now.

        Raises:
            InputError: it was damaged meanwhile.
            OutputError: it cannot be written.
        """
        arrow, parquet = arrow_and_parquet()
        old = read_table(self.path)
        held = set() if old is None else set(rows_by(old, self.key).column("content").to_pylist())
        rows = {content: features for content, features in new.items() if content not in held}
        counts = [len(features) for features in rows.values()]
        table = arrow.table(
            {
                "content": arrow.array(np.repeat(list(rows), counts).tolist(), arrow.string()),
                "setup": arrow.array([self.key] * sum(counts), arrow.string()),
                "variant": arrow.array([k for count in counts for k in range(count)], arrow.int32()),
                "features": arrow.array([row for some in rows.values() for row in some], arrow.list_(arrow.float64())),
            },
            schema=schema_of(arrow),
        )
        setups = {self.key: self.about}
        if old is not None:
            table, setups = arrow.concat_tables([old, table]), setups_of(self.path, old) | setups
        about = {"format": FORMAT, "setups": json.dumps(setups, sort_keys=True)}
        sink = io.BytesIO()
        parquet.write_table(table.replace_schema_metadata(about), sink, compression="zstd", write_page_checksum=True)
        put(sink.getvalue(), self.path, check=read_table)


def _tell(path: Path, table: Any, key: str, about: dict[str, Any], announce: Callable[[str], None]) -> None:
    """Announce what the file holds and cannot serve: the same by other versions; if nothing serves, other setups."""
    setups = setups_of(path, table)
    counts = {row["values"]: row["counts"] for row in table.column("setup").value_counts().to_pylist()}
    others = [other for other in setups if other != key]
    same = [other for other in others if {**setups[other], "versions": 0} == {**about, "versions": 0}]
    for other in same:
        announce(
            f"{path} holds {counts.get(other, 0)} rows of these features by another version "
            f"({_difference(setups[other]['versions'], about['versions'])}): they stay in it, and are computed again"
        )
    if key not in setups and others and not same:
        words = "; ".join(sorted({_said(setups[other]) for other in others}))
        announce(f"{path} holds other features only ({words}): they stay in it, and these are added")


def _difference(then: dict[str, str], now: dict[str, str]) -> str:
    return "; ".join(
        "other answers to a known sound" if name == "answers" else f"{name} {then.get(name) or 'none'}, now {now[name]}"
        for name in now
        if then.get(name) != now[name]
    )


def _said(about: dict[str, Any]) -> str:
    more = [f"{name} {about[name]}" for name in ("through", "augment") if about[name]]
    more += [f"seed {about['seed']}"] * bool(more)
    return ", ".join([about["recipe"], f"{about['sample_rate']} Hz", *more])
