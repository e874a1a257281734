"""An audit for other programs: JSON with everything, a CSV table to plot from, JUnit XML for a build server."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from subterfuge.audio.place import put
from subterfuge.campaign.figures import Figures
from subterfuge.campaign.rows import Audit, Row
from subterfuge.campaign.scorecard import Scorecard
from subterfuge.outcome import finite

SCHEMA = 1
JSON_NAME, CSV_NAME, JUNIT_NAME = "audit.json", "audit.csv", "junit.xml"

OF_JOB = ("probe", "name", "sha256", "label", "also", "target")
OF_RESULT = ("answer", "right")
OF_OUTCOME = (
    *("won", "already", "predicted_before", "predicted", "probability_before", "probability"),
    *("snr_db", "file_snr_db", "segsnr_db", "peak", "level_difference_lu"),
    *("nmr_db", "nmr_worst_frame_db", "nmr_worst_channel_db"),
    *("share_above_threshold", "share_above_threshold_channels"),
    *("zimtohrli_mos", "zimtohrli_distance", "visqol_mos"),
    *("queries", "gradients", "judgements", "margin", "twin_gap"),
    *("attack", "goal", "limit", "measure", "file", "file_sha256"),
)
OF_NOISE = ("noise_hits", "noise_draws", "white_noise_snr_db")
OF_SURVIVAL = ("survived", "telling", "survival_share")
COLUMNS = (
    *("number", *OF_JOB, "state", "error", "seconds", *OF_RESULT, *OF_OUTCOME, "search_seconds"),
    *(*OF_NOISE, *OF_SURVIVAL),
)
"""Of the table: names and units are those of an outcome; `seconds` are the job's, `search_seconds` the search's own."""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def write_exports(audit: Audit, figures: Figures, scorecard: Scorecard, folder: str | Path) -> tuple[Path, ...]:
    """Write ``audit.json``, ``audit.csv`` and ``junit.xml``, each in one step, over those that are there.

    Raises:
        OutputError: one of them cannot be written; those before it are whole.
    """
    made: tuple[tuple[str, Callable[[], bytes]], ...] = (
        (JSON_NAME, lambda: as_json(audit, figures, scorecard)),
        (CSV_NAME, lambda: as_csv(audit)),
        (JUNIT_NAME, lambda: as_junit(audit)),
    )
    for name, content in made:
        put(content(), Path(folder) / name, check=lambda _: None)
    return tuple(Path(folder) / name for name, _ in made)


def as_json(audit: Audit, figures: Figures, scorecard: Scorecard) -> bytes:
    """Give setting, figures, scorecard, doubts, notes, and the rows without the histories of searches."""
    told = {
        "schema": SCHEMA,
        "setting": audit.setting,
        "complete": audit.complete,
        "scorecard": scorecard.json(),
        "figures": figures.json(),
        "doubts": list(audit.doubts),
        "notes": list(audit.notes),
        "rows": [_row(row) for row in audit.rows],
    }
    return (json.dumps(finite(told), indent=1, allow_nan=False) + "\n").encode()


def as_csv(audit: Audit) -> bytes:
    """Give a row for each job, with a head; what was not measured is empty.

    A text that a spreadsheet would take for a formula stands behind an apostrophe.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in audit.rows:
        found = _flat(row)
        table.writerow([cell(found.get(name)) for name in COLUMNS])
    return text.getvalue().encode()


def as_junit(audit: Audit) -> bytes:
    """Give a test suite of the clips as they come, and one for each search.

    A case fails where the victim is wrong, or was fooled, and is an error where its job was. One that is left is
    skipped, and so is a sound that cannot be read, a clip without a known label, one that met the goal as it came.
    """
    top = ET.Element("testsuites", name=fit(f"audit of {audit.setting.get('victim', {}).get('name', 'a victim')}"))
    probes = dict.fromkeys(row.job.probe for row in audit.rows)
    for probe in probes:
        rows = [row for row in audit.rows if row.job.probe == probe]
        suite = ET.SubElement(top, "testsuite", name=fit(probe))
        for row in rows:
            _case(suite, row)
        for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(attribute, str(len(suite.findall(f"testcase/{kind}"))))
        suite.set("tests", str(len(rows)))
        suite.set("time", f"{sum(row.seconds for row in rows):.3f}")
    for attribute in ("tests", "failures", "errors", "skipped"):
        top.set(attribute, str(sum(int(suite.get(attribute, "0")) for suite in top)))
    ET.indent(top)
    text: bytes = ET.tostring(top, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def cell(value: Any) -> str:
    """Give what stands in a cell of the table: numbers as they are, texts so that no spreadsheet runs them.

    >>> cell("=1+1"), cell("-3.5"), cell(-3.5), cell(None), cell(True)
    ("'=1+1", '-3.5', '-3.5', '', 'true')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    text = fit(" ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))
    return "'" + text if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def fit(text: str) -> str:
    """Give a text with a mark in place of each character that XML 1.0 cannot hold (section 2.2), such as NUL.

    >>> fit("a\\x00b")
    'a\ufffdb'
    """
    return _NOT_XML.sub("\ufffd", text)


def _row(row: Row) -> dict[str, Any]:
    told = asdict(row)
    if row.outcome is not None:
        told["result"]["outcome"] = {key: value for key, value in row.outcome.items() if key != "history"}
    return told


def _flat(row: Row) -> dict[str, Any]:
    """Give all that the table may hold of a row."""
    outcome: Mapping[str, Any] = row.outcome or {}
    noise = outcome.get("control") or {}
    same = noise.get("same_level_and_spectrum") or {}
    survival = row.result.get("survival") or {}
    return {
        **{name: getattr(row.job, name) for name in ("number", *OF_JOB)},
        **{"state": row.state, "error": row.error, "seconds": row.seconds},
        **{name: row.result.get(name) for name in OF_RESULT},
        **{name: outcome.get(name) for name in OF_OUTCOME},
        "search_seconds": outcome.get("seconds"),
        "noise_hits": same.get("hits"),
        "noise_draws": same.get("draws"),
        "white_noise_snr_db": noise.get("white_noise_snr_db"),
        "survived": survival.get("survived"),
        "telling": survival.get("telling"),
        "survival_share": survival.get("share"),
    }


def _case(suite: ET.Element, row: Row) -> None:
    name = row.job.name + (f" -> {row.job.target}" if row.job.target else "")
    case = ET.SubElement(suite, "testcase", name=fit(name), classname=fit(f"subterfuge.{row.job.probe}"))
    case.set("time", f"{row.seconds:.3f}")
    if row.state == "left":
        ET.SubElement(case, "skipped", message="not done yet")
    elif row.unreadable:
        ET.SubElement(case, "skipped", message=fit(f"it cannot be read: {row.error}"))
    elif row.state == "failed":
        error = fit(row.error or "no reason was told")
        ET.SubElement(case, "error", message=error, type=error.partition(":")[0])
    elif row.job.probe == "clean":
        _answered(case, row)
    elif row.outcome is None or row.outcome.get("already"):
        ET.SubElement(case, "skipped", message="the clip meets the goal as it comes")
    elif row.outcome["won"]:
        _failure(case, row.outcome)


def _answered(case: ET.Element, row: Row) -> None:
    right = row.result.get("right")
    if right is None:
        ET.SubElement(case, "skipped", message=fit(f"its label is not known; the answer is {row.result.get('answer')}"))
    elif not right:
        message = f"wrong about the clip as it comes: {row.job.label} is taken for {row.result.get('answer')}"
        ET.SubElement(case, "failure", message=fit(message), type="wrong")


def _failure(case: ET.Element, outcome: Mapping[str, Any]) -> None:
    snr = outcome.get("snr_db")
    size = "without a change" if snr is None else f"by a change of {snr:.1f} dB SNR"
    message = f"fooled {size}: {outcome['predicted_before']} is taken for {outcome['predicted']}"
    failure = ET.SubElement(case, "failure", message=fit(message), type="fooled")
    lines = [f"{key}: {outcome.get(key)}" for key in ("nmr_db", "zimtohrli_mos", "queries", "gradients", "file")]
    failure.text = fit("\n".join([*lines, str(outcome.get("command") or "")]))
