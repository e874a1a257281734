"""Read a set from a table of paths and labels, as spreadsheets write it."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path, PureWindowsPath

from subterfuge.errors import InputError
from subterfuge.training.examples import Example

COLUMNS = {"path": ("file", "filename"), "label": ("class",), "group": ("recording",), "also": ()}
"""The columns that mean something, and other names of theirs."""
MOST_BYTES = 1 << 28
BETWEEN = "|"
"""Stands between the labels of the column ``also``."""


def read_csv(path: Path, group_of: Callable[[str], str]) -> tuple[list[Example], list[str]]:
    """Give the sounds that a table names, in its order, and sentences about those that are not there.

    The first row names the columns: ``path`` (or ``file``; below the table's folder), ``label``, and if need be
    ``group`` and ``also`` (labels, a ``|`` between them). All other columns are kept in `Example.about`. Commas,
    semicolons or tabs stand between them.

    Args:
        path: the table, in UTF-8, or UTF-16 with its mark.
        group_of: gives the recording of a place, where there is no column ``group``.

    Raises:
        InputError: not such a table, an empty field that must not be, or a sound that is named twice.
    """
    lines = _text(path).splitlines(keepends=True)
    between = max(",;\t", key=lines[0].count) if lines else ","
    rows = csv.reader(lines, delimiter=between)
    try:
        heads = _heads(path, next(rows, []))
        examples: list[Example] = []
        skipped: list[str] = []
        seen: dict[str, tuple[int, str]] = {}
        for cells in rows:
            where = f"{path}, line {rows.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(heads):
                raise InputError(
                    f"{where}: {len(cells)} fields, where the first line names {len(heads)} columns; put quotation "
                    f"marks around a field that holds {between!r}"
                )
            row = dict(zip(heads, (cell.strip() for cell in cells), strict=True))
            example = _example(path.parent, row, where, group_of)
            key = os.path.normpath(example.path)
            if key in seen:
                line, label = seen[key]
                told = "" if label == example.label else f", as {label} and as {example.label}"
                raise InputError(
                    f"{where}: {row['path']} stands in line {line} already{told}; name each sound once, and what else "
                    "is heard in it in a column also"
                )
            seen[key] = rows.line_num, example.label
            if example.path.is_file():
                examples.append(example)
            else:
                skipped.append(f"{where}: {example.path} is not there.")
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}: no table that can be read ({error})") from error
    return examples, skipped


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} is larger than {MOST_BYTES >> 20} MiB; a table of paths and labels was expected")
        raw = path.read_bytes()
        return raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeError as error:
        raise InputError(f"{path} is not in UTF-8 ({error}); save it as CSV in UTF-8") from error


def _heads(path: Path, cells: list[str]) -> list[str]:
    """Give the columns by our names for them, or refuse them."""
    other = {name: column for column, names in COLUMNS.items() for name in names}
    plain = [cell.strip().lower() for cell in cells]
    heads = [other.get(cell, cell) if other.get(cell) not in plain else cell for cell in plain]
    told = f"{path}: its first line names the columns {', '.join(plain) or 'none'}"
    twice = sorted({head for head in heads if heads.count(head) > 1})
    if twice:
        raise InputError(f"{told}, {twice[0]!r} more than once")
    for head in heads:
        near = get_close_matches(head, COLUMNS, n=1, cutoff=0.75)
        if near and head not in COLUMNS and near[0] not in heads:
            raise InputError(f"{told}; did you mean {near[0]!r} by {head!r}? Rename it, either way")
    missing = [head for head in ("path", "label") if head not in heads]
    if missing:
        raise InputError(f"{told}; expected path and label, and if need be group and also: {missing[0]} is missing")
    return heads


def _example(folder: Path, row: Mapping[str, str], where: str, group_of: Callable[[str], str]) -> Example:
    for head in ("path", "label", "group"):
        if row.get(head) == "":
            raise InputError(f"{where}: no {head}; fill it in, or take the line out")
    place = row["path"]
    if "\\" in place and not (folder / place).exists():
        place = PureWindowsPath(place).as_posix()
    also = [one.strip() for one in row.get("also", "").split(BETWEEN)]
    return Example(
        path=folder / place,
        label=row["label"],
        group=row.get("group") or group_of(place),
        also=tuple(dict.fromkeys(one for one in also if one and one != row["label"])),
        about=tuple((head, cell) for head, cell in row.items() if head not in COLUMNS and cell),
    )
