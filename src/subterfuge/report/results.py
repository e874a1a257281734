"""What a listening page saved, read back and checked: nothing in it is believed that can be worked out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subterfuge.errors import InputError
from subterfuge.report.listening import FORMAT, SCHEMA, id_of

LONGEST_SECONDS = 1e9
"""Most that a trial can have lasted: some thirty years."""


@dataclass(frozen=True)
class Run:
    """One whole test by one listener."""

    id: str
    listener: str
    """As written into the page, without what no terminal should be sent; empty where nothing was."""
    rights: tuple[tuple[bool, ...], ...]
    """Of each pair, of each of its trials: whether the answer was right."""
    seconds: float
    """Of all trials together."""

    @property
    def who(self) -> str:
        """The listener, or, without a name, the run, which then counts as a listener of its own."""
        return self.listener or f"unnamed {_plain(self.id[:6])}"


@dataclass(frozen=True)
class Read:
    """The runs of some files, all of one test, and what was left out and why."""

    test: dict[str, Any]
    runs: tuple[Run, ...]
    skipped: tuple[str, ...]


class _Spoilt(InputError):
    """A file, or a run in it, that cannot be counted."""


def read_results(paths: Sequence[str | Path]) -> Read:
    """Read the results of one test; what cannot be counted is named in `skipped`, and never counted.

    Raises:
        InputError: the files are of different tests, or hold no complete run.
    """
    skipped: list[str] = []
    files: list[tuple[Path, dict[str, Any]]] = []
    for path in map(Path, paths):
        try:
            files.append((path, _content(path)))
        except _Spoilt as error:
            skipped.append(f"{path}: {error}")
    _one_test(files)
    runs: dict[str, tuple[Path, Run]] = {}
    clashes: set[str] = set()
    incomplete: dict[str, str] = {}
    for path, content in files:
        for number, told in enumerate(content["runs"], 1):
            name = f"{path}, run {number}"
            try:
                run = _run(told, content["test"])
            except _Spoilt as error:
                skipped.append(f"{name}: {error}")
                continue
            if isinstance(run, str):
                incomplete[run] = f"{name}: left after {_answered(told)} trials; an incomplete run is not counted"
            elif run.id not in runs:
                runs[run.id] = path, run
            elif runs[run.id][1].rights == run.rights:
                skipped.append(f"{name}: the same run as in {runs[run.id][0]}; counted once")
            else:
                clashes.add(run.id)
                skipped.append(
                    f"{name}: claims to be a run of {runs[run.id][0]}, with other answers; neither is counted"
                )
    skipped += [words for id, words in incomplete.items() if id not in runs]
    counted = tuple(run for id, (_, run) in runs.items() if id not in clashes)
    if not counted:
        reasons = [f"  {why}" for why in skipped or ["the files hold no runs"]]
        raise InputError("there is no complete run to count:", *reasons, "Give the JSON files that the page saved.")
    return Read(files[0][1]["test"], counted, tuple(skipped))


def _content(path: Path) -> dict[str, Any]:
    """Read a file of results; give what it holds, its test checked."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise _Spoilt("there is no such file") from None
    except (OSError, ValueError) as error:
        raise _Spoilt(f"it cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        if text.startswith("test,run,"):
            raise _Spoilt(
                "this is the CSV, for spreadsheets; the JSON that the page saves is what can be checked"
            ) from None
        raise _Spoilt("it is no JSON; was it cut short, or edited?") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _Spoilt("it holds no results of a listening test; give the JSON that the page saves")
    if content.get("schema") != SCHEMA:
        raise _Spoilt(f"its schema is {content.get('schema')!r}, and this version reads {SCHEMA}")
    test, runs = content.get("test"), content.get("runs")
    if not isinstance(test, dict) or not _is_test(test) or not isinstance(runs, list):
        raise _Spoilt("it does not say which test, or which runs, it is of; was it edited?")
    try:
        same = id_of(test) == test["id"]
    except (ValueError, OverflowError, RecursionError):
        same = False
    if not same:
        raise _Spoilt(f"its test is not the one with the id {_plain(test['id'][:8])}: settings or pairs were altered")
    pairs = [pair | {"name": _plain(pair["name"])} for pair in test["pairs"]]
    return content | {"test": test | {"pairs": pairs}}


def _is_test(test: dict[str, Any]) -> bool:
    """Say whether this looks like the description of a test; only a page's own has the id that it says."""
    return (
        isinstance(test.get("id"), str)
        and isinstance(test.get("settings"), dict)
        and isinstance(test["settings"].get("trials"), int)
        and isinstance(test.get("pairs"), list)
        and all(isinstance(pair, dict) and isinstance(pair.get("name"), str) for pair in test["pairs"])
        and bool(test["pairs"])
    )


def _one_test(files: Sequence[tuple[Path, dict[str, Any]]]) -> None:
    of: dict[str, list[str]] = {}
    for path, content in files:
        of.setdefault(content["test"]["id"], []).append(str(path))
    if len(of) > 1:
        told = "; ".join(f"{id[:8]}: {', '.join(names)}" for id, names in of.items())
        raise InputError(f"these are results of {len(of)} different tests ({told}); give those of one test at a time")


def _run(told: Any, test: dict[str, Any]) -> Run | str:
    """Check one run; of one that is incomplete give its id alone."""
    if not isinstance(told, dict) or not isinstance(told.get("id"), str) or not isinstance(told.get("trials"), list):
        raise _Spoilt("it is not a run as the page records it")
    if told.get("complete") is not True:
        return str(told["id"])
    rights: list[list[bool]] = [[] for _ in test["pairs"]]
    numbers: list[list[Any]] = [[] for _ in test["pairs"]]
    seconds = 0.0
    for one in told["trials"]:
        if not isinstance(one, dict) or type(one.get("pair")) is not int or one["pair"] not in range(len(rights)):
            raise _Spoilt("a trial is of none of the test's pairs")
        x, answer = one.get("x"), one.get("answer")
        if x not in ("A", "B") or answer not in ("A", "B") or one.get("right") is not (x == answer):
            raise _Spoilt(f"a trial says X {x!r}, answer {answer!r}, right {one.get('right')!r}; was it altered?")
        rights[one["pair"]].append(x == answer)
        numbers[one["pair"]].append(one.get("trial"))
        spent = one.get("seconds")
        if not isinstance(spent, int | float) or isinstance(spent, bool) or not 0 <= spent <= LONGEST_SECONDS:
            raise _Spoilt(f"it is damaged: a trial lasts {_short(spent)} seconds, where a number of them was expected")
        seconds += spent
    wanted = test["settings"]["trials"]
    had = [len(pair) for pair in rights]
    if any(count != wanted for count in had):
        raise _Spoilt(f"it calls itself complete with {had} trials of its pairs, where the test has {wanted} of each")
    for pair, found in zip(test["pairs"], numbers, strict=True):
        if found != list(range(1, wanted + 1)) or any(type(number) is not int for number in found):
            raise _Spoilt(
                f"the trials of {pair['name']} are not numbered from 1 to {wanted}, each once; was it altered?"
            )
    listener = told.get("listener")
    return Run(told["id"], _plain(listener) if isinstance(listener, str) else "", _frozen(rights), seconds)


def _plain(text: str) -> str:
    """Give a text on one line without what is not printable, such as the codes that steer a terminal."""
    return " ".join("".join(one for one in text if one.isprintable() or one.isspace()).split())


def _short(value: Any) -> str:
    told = repr(value)
    return told if len(told) <= 20 else f"{told[:20]}..."


def _frozen(rights: list[list[bool]]) -> tuple[tuple[bool, ...], ...]:
    return tuple(tuple(pair) for pair in rights)


def _answered(told: dict[str, Any]) -> int:
    said = told.get("answered")
    return said if isinstance(said, int) and not isinstance(said, bool) else len(told["trials"])
