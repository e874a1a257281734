"""The Parquet file of a cache of features: read whole and checked, or refused by one sentence."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def key_of(about: dict[str, Any]) -> str:
    """Give the hash under which a setup's rows stand."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def arrow_and_parquet() -> tuple[Any, Any]:
    """Import pyarrow and its Parquet part.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra(
            "a cache of features needs the package pyarrow: pip install 'sonic-subterfuge[train]'; or do without one"
        ) from None
    return pyarrow, pyarrow.parquet


def schema_of(arrow: Any) -> Any:
    """Give the columns of a cache."""
    return arrow.schema(
        [
            ("content", arrow.string()),
            ("setup", arrow.string()),
            ("variant", arrow.int32()),
            ("features", arrow.list_(arrow.float64())),
        ]
    )


def read_table(path: Path) -> Any | None:
    """Read the whole file, or give None where there is none.

    Raises:
        InputError: it is damaged, or holds something else.
    """
    arrow, parquet = arrow_and_parquet()
    if not path.exists():
        return None
    try:
        content = arrow.BufferReader(path.read_bytes())
        table = parquet.ParquetFile(content, page_checksum_verification=True).read(use_threads=False)
    except (arrow.ArrowException, OSError, ValueError) as reason:
        said = (str(reason).splitlines() or [type(reason).__name__])[0][:120].rstrip(".")
        raise InputError(f"the cache of features {path} is damaged, or no Parquet file ({said}); {WAY_OUT}") from None
    if (table.schema.metadata or {}).get(b"format") != FORMAT.encode() or not table.schema.equals(schema_of(arrow)):
        raise InputError(f"{path} is a Parquet file, but no cache of features that this version knows; {WAY_OUT}")
    strange = set(table.column("setup").unique().to_pylist()) - set(setups_of(path, table))
    if strange or any(table.column(name).null_count for name in table.column_names):
        raise _damaged(path, "rows of a setup that it does not tell" if strange else "rows with empty fields")
    return table


def _damaged(path: Path, what: str) -> InputError:
    return InputError(f"the cache of features {path} is damaged ({what}); {WAY_OUT}")


def setups_of(path: Path, table: Any) -> dict[str, dict[str, Any]]:
    """Read what the setups of a file are, by their keys.

    Raises:
        InputError: it is not told, or a key is not the hash of what it stands for.
    """
    try:
        setups: dict[str, dict[str, Any]] = json.loads(table.schema.metadata[b"setups"])
        hashed = all(key_of(about) == key and set(about) >= PARTS for key, about in setups.items())
        if hashed and all(isinstance(about["versions"], dict) for about in setups.values()):
            return setups
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        pass
    raise _damaged(path, "what its setups are cannot be read")


def rows_by(table: Any, key: str) -> Any:
    """Give the rows of one setup."""
    import pyarrow.compute

    return table.filter(pyarrow.compute.equal(table.column("setup"), key))


def features_of(path: Path, table: Any, key: str, width: int) -> Found:
    """Give the rows of a setup, each of so many features.

    Raises:
        InputError: a row is of another length, holds what is no finite number, or is no variant that may stand there.
    """
    mine = rows_by(table, key).combine_chunks()
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
