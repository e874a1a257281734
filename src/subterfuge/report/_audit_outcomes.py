"""An audit put together from outcomes that single attacks left, so that they have a page too."""

from __future__ import annotations

import contextlib
import hashlib
import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subterfuge.audio.place import check_target
from subterfuge.campaign.rows import Audit, Job, Row
from subterfuge.driver import NOT_ASKED
from subterfuge.driver.controls_case import ENDING, read_record
from subterfuge.errors import InputError, OutputError
from subterfuge.outcome import outcome_path
from subterfuge.report.exports import CSV_NAME, JSON_NAME, JUNIT_NAME

if TYPE_CHECKING:
    from subterfuge.campaign.scorecard import Scorecard

MOST_LISTENED = 4
"""Pairs of sounds that a listening test is advised with."""
UNJUDGED = "neither won nor lost: the victim died before it judged the file; ask it: subterfuge transfer FILE --to CARD"
"""What is told of a record whose file nobody has judged."""
MOST_NAMED = 4
"""Victims that are told apart where outcomes are of several."""
LEDGER = "audit.ledger"
"""What an audit's folder holds."""


def audit_of(paths: Sequence[str | Path], progress: Callable[[int, int], None] = lambda done, total: None) -> Audit:
    """Read what a page is to be made of: one ledger, or the folder of one, or any number of outcomes.

    Args:
        paths: a ledger; a folder with one, or with outcomes; outcomes, or the sounds that they stand beside.
        progress: called with how many outcomes are read, and of how many.

    Raises:
        InputError: there is nothing there, an outcome is none or is given twice, outcomes are of several victims, or a
            ledger is not given alone.
        ClipError: as `InputError`, of what is no outcome.
    """
    given = [Path(path) for path in paths]
    ledgers = [path / LEDGER if path.is_dir() else path for path in given if is_ledger(path)]
    if ledgers:
        if len(given) > 1:
            raise InputError(f"{ledgers[0]} is a ledger, and {len(given)} paths were given; give a ledger alone")
        from subterfuge.campaign.ledger import Ledger  # sqlite3 is for those who have one

        return Ledger.read(ledgers[0])
    found: list[Path] = []
    for path in given:
        inside = sorted(path.rglob(f"*{ENDING}")) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"{path} is a folder without {LEDGER} and without outcomes (FILE{ENDING}); give another")
        found += inside
    return _together(found, progress)


def is_ledger(path: Path) -> bool:
    """Say whether a path is a ledger, or the folder of one."""
    return path.suffix == ".ledger" or (path.is_dir() and (path / LEDGER).exists())


def fitted(scorecard: Scorecard, audit: Audit) -> Scorecard:
    """Name the files themselves where a scorecard names an audit's folder to listen to, or jobs to do again."""
    won = [row.outcome for row in audit.rows if row.outcome is not None and row.outcome["won"] and row.outcome["file"]]
    files = shlex.join(str(one["file"]) for one in won[:MOST_LISTENED])
    steps = [
        f"Ask ears whether anyone hears it: `subterfuge listen {files} --out listening.html`."
        if "subterfuge listen" in step
        else step
        for step in scorecard.next
        if "--retry" not in step
    ]
    open_ones = [row.result["unjudged"]["file"] for row in audit.rows if "unjudged" in row.result]
    if open_ones:
        names = shlex.join(open_ones[:MOST_LISTENED])
        steps.insert(0, f"Ask the victim about what nobody has judged: `subterfuge transfer {names} --to CARD`.")
    return replace(scorecard, next=tuple(steps))


def check_place(place: Path, audit: Audit, sources: Sequence[str | Path], force: bool) -> None:
    """Refuse to write a page over what it is made of, even by force, and, unless forced, over anything.

    Raises:
        OutputError: the place is a ledger or what an audit left beside one, a victim's card or a file that the card
            names, a record, a sound or a clip; is a folder; or holds something.
    """
    check_target(place, None, force=True)  # a folder, a device, a name that cannot be
    files = [Path(source) for source in sources]
    files += [audit.folder / name for name in (LEDGER, JSON_NAME, CSV_NAME, JUNIT_NAME)]
    records = [row.outcome or row.result.get("unjudged") or {} for row in audit.rows]
    victims = [audit.setting.get("victim"), *(record.get("victim") for record in records)]
    for card in {str(one["card"]) for one in victims if isinstance(one, Mapping) and one.get("card")}:
        files += [Path(card), *_named(Path(card))]
    for row, record in zip(audit.rows, records, strict=True):
        files += [Path(row.job.path)] if row.job.path else []
        file = record.get("file")
        files += [audit.folder / str(file), outcome_path(audit.folder / str(file))] if file else []
    if place.exists():
        for file in files:
            with contextlib.suppress(OSError, ValueError):  # one that is gone
                if place.samefile(file):
                    raise OutputError(
                        f"{place} is what the page is made of, which is never overwritten, not even by force. Choose "
                        "another name."
                    )
    check_target(place, None, force)


def _named(card: Path) -> list[Path]:
    """Give the files that a victim's card names, relative to it; of a card that is gone or none, nothing."""
    try:
        values = tomllib.loads(card.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return []
    texts: list[str] = []
    waiting: list[object] = [values]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str) and "\0" not in one:
            texts.append(one.partition(":")[0])
            texts.append(one)
        waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return [card.resolve().parent / text for text in texts if text]


def _together(paths: Sequence[Path], progress: Callable[[int, int], None]) -> Audit:
    records: list[tuple[dict[str, Any], Path]] = []
    seen: dict[Path, Path] = {}
    for number, path in enumerate(paths):
        progress(number, len(paths))
        record, place = read_record(path)
        if place.resolve() in seen:
            raise InputError(f"{path} is the same outcome as {seen[place.resolve()]}; give each once")
        seen[place.resolve()] = path
        records.append((_placed(record, place), place))
    if not records:
        raise InputError("nothing was given; give a ledger, its folder, or outcomes")
    victim = _victim(records)
    folder = records[0][1].parent.absolute()
    kinds: dict[str, dict[str, Any]] = {}
    rows = []
    for number, (record, place) in enumerate(records):
        kind = _kind(record)
        kinds.setdefault(kind["name"], kind)
        clip = record["clip"]
        target = record["target"] if record["goal"] != "untargeted" else None
        named = str(clip.get("name") or place.name.removesuffix(ENDING))
        sha256 = str(clip.get("sha256") or hashlib.sha256(named.encode()).hexdigest())
        job = Job(number, kind["name"], named, str(clip.get("path") or ""), sha256, clip.get("label"), (), target)
        key, seconds = f"{number:024d}", float(record.get("seconds") or 0.0)
        if unjudged(record):
            rows.append(Row(job, key, "failed", {"unjudged": record}, UNJUDGED, seconds))
        else:
            rows.append(Row(job, key, "done", {"outcome": record}, None, seconds))
    seeds = {str(record.get("seed")) for record, _ in records}
    setting = {
        "protocol": "single",
        "version": "outcomes",
        "level": "without a protocol",
        "seed": seeds.pop() if len(seeds) == 1 else "of each",
        "data": f"{len(records)} outcome{'s' if len(records) > 1 else ''}",
        "clips": len({row.job.sha256 for row in rows}),
        "searches": list(kinds.values()),
        "victim": victim,
    }
    return Audit(setting, _told_apart(rows), folder=folder)


def _placed(record: dict[str, Any], place: Path) -> dict[str, Any]:
    """Say where the changed file is: beside its record, else where the record says."""
    if record["file"] is None:
        return record
    beside = place.with_name(place.name.removesuffix(ENDING))
    there = beside if beside.is_file() else Path(record["file"])
    return record | {"file": str(there.absolute())}


def unjudged(record: Mapping[str, Any]) -> bool:
    """Say whether a record is of a file that its victim did not live to judge, so that it is neither won nor lost."""
    return not record["won"] and record["file"] is not None and record.get("predicted") == NOT_ASKED


def _kind(record: dict[str, Any]) -> dict[str, Any]:
    """Describe the search of a record; it is called by its attack, and by its goal and limit where it has any."""
    attack, goal = str(record.get("attack") or "attack"), str(record["goal"])
    limit = "" if record.get("limit") in (None, "none") else str(record["limit"])
    name = " ".join(filter(None, [attack, goal if goal != "targeted" else "", limit]))
    queries = (record.get("budget") or {}).get("queries")
    return {"name": name, "says": goal, "attack": attack, "goal": goal, "limit": limit, "queries": queries}


def _victim(records: Sequence[tuple[dict[str, Any], Path]]) -> dict[str, Any]:
    """Give the one victim of some records, told by its fingerprint: what is true of one says nothing of another.

    Raises:
        InputError: they are of several.
    """
    owned: dict[str, list[tuple[dict[str, Any], Path]]] = {}
    for record, place in records:
        owned.setdefault(str(record["victim"].get("fingerprint")), []).append((record["victim"], place))
    if len(owned) > 1:
        each = [
            f"{victim.get('name')} ({print_[:12]}): {len(own)}, such as {place}"
            for print_, own in list(owned.items())[:MOST_NAMED]
            for victim, place in own[:1]
        ]
        more = f"; and {len(owned) - MOST_NAMED} more" if len(owned) > MOST_NAMED else ""
        raise InputError(
            f"these {len(records)} outcomes are of {len(owned)} victims, for which there is no common verdict: "
            f"{'; '.join(each)}{more}. Make a page for each: give the outcomes of one at a time, with another --out."
        )
    victim = records[0][0]["victim"]
    return {**victim, "name": str(victim.get("name")), "labels": [str(label) for label in victim.get("labels") or ()]}


def _told_apart(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Give clips of one name, but of other content, names that tell them apart."""
    owners: dict[str, set[str]] = {}
    for row in rows:
        owners.setdefault(row.job.name, set()).add(row.job.sha256)
    return tuple(
        replace(row, job=replace(row.job, name=f"{row.job.name} ({row.job.sha256[:6]})"))
        if len(owners[row.job.name]) > 1
        else row
        for row in rows
    )
