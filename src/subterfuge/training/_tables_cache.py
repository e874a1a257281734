"""Features that were found before, in one Parquet file: a row for each variant of a sound, by content and setup.

Rows of another recipe, rate, transform or version of anything stand beside each other and are never mistaken. The file
is written beside and renamed, and pages carry checksums, so it is whole or it is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subterfuge.audio.place import check_target, put
from subterfuge.dsp.recipes import RECIPES
from subterfuge.errors import InputError, MissingExtra
from subterfuge.training._tables_setup import Setup

FORMAT = "subterfuge features 1"
WAY_OUT = "move it away or delete it (its features will be computed again), or name another cache"
PARTS = {"versions", *(one.name for one in fields(Setup))}
"""What is told of each setup."""
Found = dict[str, NDArray[np.float64]]
"""From the hash of a file's bytes to the features of its variants, (variants, F).

Of the bytes, not of the samples: they are read in a tenth of the time that decoding takes. A sound in another container
is then described once more; what decodes it is part of the setup's versions.
"""


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
        _pyarrow()
        check_target(path, None, True)
        about = {**asdict(setup), "versions": setup.versions()}
        key = _key(about)
        table = _read(path)
        if table is None:
            return cls(path, key, about, {})
        mine = _rows_of(path, table, key, RECIPES[setup.recipe].features)
        _tell(path, table, key, about, announce)
        return cls(path, key, about, mine)

    def add(self, new: Found) -> None:
        """Add features to the file, to what it holds by now.

        Raises:
            InputError: it was damaged meanwhile.
            OutputError: it cannot be written.
        """
        arrow, parquet = _pyarrow()
        old = _read(self.path)
        held = set() if old is None else set(_of(old, self.key).column("content").to_pylist())
        rows = {content: features for content, features in new.items() if content not in held}
        counts = [len(features) for features in rows.values()]
        table = arrow.table(
            {
                "content": arrow.array(np.repeat(list(rows), counts).tolist(), arrow.string()),
                "setup": arrow.array([self.key] * sum(counts), arrow.string()),
                "variant": arrow.array([k for count in counts for k in range(count)], arrow.int32()),
                "features": arrow.array([row for some in rows.values() for row in some], arrow.list_(arrow.float64())),
            },
            schema=_schema(arrow),
        )
        setups = {self.key: self.about}
        if old is not None:
            table, setups = arrow.concat_tables([old, table]), _setups(self.path, old) | setups
        about = {"format": FORMAT, "setups": json.dumps(setups, sort_keys=True)}
        sink = io.BytesIO()
        parquet.write_table(table.replace_schema_metadata(about), sink, compression="zstd", write_page_checksum=True)
        put(sink.getvalue(), self.path, check=_read)


def _key(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra(
            "a cache of features needs the package pyarrow: pip install 'sonic-subterfuge[train]'; or do without one"
        ) from None
    return pyarrow, pyarrow.parquet


def _schema(arrow: Any) -> Any:
    return arrow.schema(
        [
            ("content", arrow.string()),
            ("setup", arrow.string()),
            ("variant", arrow.int32()),
            ("features", arrow.list_(arrow.float64())),
        ]
    )


def _read(path: Path) -> Any | None:
    """Read the whole file, or give None where there is none.

    Raises:
        InputError: it is damaged, or holds something else.
    """
    arrow, parquet = _pyarrow()
    if not path.exists():
        return None
    try:
        content = arrow.BufferReader(path.read_bytes())
        table = parquet.ParquetFile(content, page_checksum_verification=True).read(use_threads=False)
    except (arrow.ArrowException, OSError, ValueError) as reason:
        said = (str(reason).splitlines() or [type(reason).__name__])[0][:120].rstrip(".")
        raise InputError(f"the cache of features {path} is damaged, or no Parquet file ({said}); {WAY_OUT}") from None
    if (table.schema.metadata or {}).get(b"format") != FORMAT.encode() or not table.schema.equals(_schema(arrow)):
        raise InputError(f"{path} is a Parquet file, but no cache of features that this version knows; {WAY_OUT}")
    strange = set(table.column("setup").unique().to_pylist()) - set(_setups(path, table))
    if strange or any(table.column(name).null_count for name in table.column_names):
        raise _damaged(path, "rows of a setup that it does not tell" if strange else "rows with empty fields")
    return table


def _damaged(path: Path, what: str) -> InputError:
    return InputError(f"the cache of features {path} is damaged ({what}); {WAY_OUT}")


def _setups(path: Path, table: Any) -> dict[str, dict[str, Any]]:
    """Read what the setups of a file are, by their keys.

    Raises:
        InputError: it is not told, or a key is not the hash of what it stands for.
    """
    try:
        setups: dict[str, dict[str, Any]] = json.loads(table.schema.metadata[b"setups"])
        if all(_key(about) == key and set(about) >= PARTS for key, about in setups.items()):
            return setups
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        pass
    raise _damaged(path, "what its setups are cannot be read")


def _of(table: Any, key: str) -> Any:
    import pyarrow.compute

    return table.filter(pyarrow.compute.equal(table.column("setup"), key))


def _rows_of(path: Path, table: Any, key: str, width: int) -> Found:
    """Give the rows of a setup, each of so many features.

    Raises:
        InputError: a row is of another length, holds what is no finite number, or is no variant that may stand there.
    """
    mine = _of(table, key).combine_chunks()
    if not len(mine):
        return {}
    lists = mine.column("features").combine_chunks()
    if lists.value_lengths().unique().to_pylist() != [width]:
        raise _damaged(path, f"rows of other than {width} features")
    features = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(mine), width)
    if not np.isfinite(features).all():
        raise _damaged(path, "features that are no finite numbers")
    out: dict[str, list[NDArray[np.float64]]] = {}
    rows = zip(mine.column("content").to_pylist(), mine.column("variant").to_pylist(), features, strict=True)
    for content, variant, row in rows:
        variants = out.setdefault(content, [])
        if variant != len(variants):
            raise _damaged(path, "variants of a sound that are twice there, or missing")
        variants.append(row)
    if len({len(variants) for variants in out.values()}) > 1:
        raise _damaged(path, "more variants of one sound than of another")
    return {content: np.stack(variants) for content, variants in out.items()}


def _tell(path: Path, table: Any, key: str, about: dict[str, Any], announce: Callable[[str], None]) -> None:
    """Announce what the file holds and cannot serve: the same by other versions; if nothing serves, other setups."""
    setups = _setups(path, table)
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
