"""An audit as JSON, CSV and JUnit: read back by the libraries that others read it with, whatever clips are called."""

from __future__ import annotations

import csv
import io
import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.campaign.kit import audit_of, lost, scored, trial, tried, won

from subterfuge.campaign.figures import figures_of
from subterfuge.campaign.rows import Audit
from subterfuge.campaign.scorecard import scorecard_of
from subterfuge.errors import OutputError
from subterfuge.report.exports import COLUMNS, as_csv, as_junit, cell, fit, write_exports

HOSTILE = [
    "<script>alert(1)</script>.wav",
    "=cmd()|'/C calc'!A0",
    'two\nlines, "quoted".wav',
    "nul\0bell\x07.wav",
    "\U0001f3b7 horn ]]> & co.wav",
    "@SUM(A1)",
    "-1+1",
    "surrogate\udcff.wav",
    "",
]


def written(audit: Audit, folder: Path) -> tuple[Path, ...]:
    figures = figures_of(audit)
    return write_exports(audit, figures, scorecard_of(audit, figures), folder)


def table(audit: Audit) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(audit).decode(), newline="")))


def mixed() -> Audit:
    survival = [trial("mp3=128", True), trial("gain=-6", False)]
    history = [{"gradients": 1, "queries": 0, "margin": 0.5, "snr_db": 30.0}]
    return audit_of(
        [
            won("a", "low", "high", 40.0, survival=survival, history=history, command="subterfuge attack a"),
            lost("b", "low", "high"),
            tried("c", "low", "high", None, state="left"),
            tried("d", "low", "high", None, state="failed", error="VictimError: it died: <gone>"),
            tried("e", "high", "high", None, already=True, probe="labels"),
        ],
        clean={"a": "low", "b": ("low", "high")},
    )


def test_three_files_stand_in_the_folder_and_nothing_else(tmp_path: Path) -> None:
    paths = written(mixed(), tmp_path / "new")
    assert [path.name for path in paths] == ["audit.json", "audit.csv", "junit.xml"]
    assert sorted(tmp_path.rglob("*")) == sorted([tmp_path / "new", *paths])


def test_json_has_everything_but_histories(tmp_path: Path) -> None:
    audit = mixed()
    told = json.loads(written(audit, tmp_path)[0].read_text())
    assert told["setting"] == audit.setting
    assert told["complete"] is False
    assert told["figures"] == figures_of(audit).json()
    assert len(told["rows"]) == len(audit.rows)
    record = told["rows"][2]["result"]["outcome"]
    assert "history" not in record
    assert record["snr_db"] == 40.0
    there = audit.rows[2].outcome
    assert there is not None
    assert there["history"], "the audit itself is as it was"


def test_json_holds_no_number_that_json_lacks(tmp_path: Path) -> None:
    row = won("a", "low", "high", 40.0)
    row.result["outcome"]["snr_db"] = math.inf  # type: ignore[index]
    text = written(audit_of([row]), tmp_path)[0].read_text()

    def refuse(name: str) -> Any:
        raise AssertionError(name)

    json.loads(text, parse_constant=refuse)


def test_the_table_has_a_row_for_every_job_with_its_numbers() -> None:
    rows = table(mixed())
    assert list(rows[0]) == list(COLUMNS)
    assert [row["state"] for row in rows] == ["done", "done", "done", "done", "left", "failed", "done"]
    assert (rows[0]["answer"], rows[0]["right"], rows[1]["right"]) == ("low", "true", "false")
    assert float(rows[2]["snr_db"]) == 40.0
    assert rows[2]["won"] == "true"
    assert (rows[2]["survived"], rows[2]["telling"], rows[2]["survival_share"]) == ("1", "2", "0.5")
    assert rows[4]["snr_db"] == ""
    assert rows[5]["error"] == "VictimError: it died: <gone>"


def test_negative_numbers_stay_numbers_in_the_table() -> None:
    row = table(audit_of([won("a", "low", "high", -3.25)]))[0]
    assert row["snr_db"] == "-3.25"
    assert row["nmr_db"] == "-5.0"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_comes_back_from_the_table_and_runs_nothing(name: str) -> None:
    row = table(audit_of([won(name, "low", "=high", 40.0)]))[0]
    assert not row["name"].startswith(("=", "+", "-", "@"))
    assert row["name"].removeprefix("'") == fit(name)
    assert row["target"] == "'=high"


@given(st.text())
def test_no_text_becomes_a_formula_and_every_number_stays_one(text: str) -> None:
    shown = cell(text)
    if shown[:1] in tuple("=+-@"):
        assert math.isfinite(float(shown)) or "e" in shown.lower()
    else:
        assert shown.removeprefix("'") == fit(text) or shown == fit(text)


@pytest.mark.parametrize("name", HOSTILE)
def test_junit_with_a_hostile_name_is_xml_and_says_it(name: str) -> None:
    case = ET.fromstring(as_junit(audit_of([won(name, "low", "high", 40.0)]))).find("testsuite/testcase")
    assert case is not None
    assert case.get("name") == f"{fit(name)} -> high"


@given(st.text())
def test_any_name_makes_xml_that_can_be_read(name: str) -> None:
    row = tried(name.encode("utf-8", "replace").decode(), "low", name, None, state="failed", error=name)
    case = ET.fromstring(as_junit(audit_of([row]))).find("testsuite/testcase/error")
    assert case is not None


def test_junit_counts_what_it_holds() -> None:
    top = ET.fromstring(as_junit(mixed()))
    clean, white, labels = top.findall("testsuite")
    counts = {key: clean.get(key) for key in ("name", "tests", "failures", "errors", "skipped")}
    assert counts == {"name": "clean", "tests": "2", "failures": "1", "errors": "0", "skipped": "0"}
    counts = {key: white.get(key) for key in ("name", "tests", "failures", "errors", "skipped")}
    assert counts == {"name": "white", "tests": "4", "failures": "1", "errors": "1", "skipped": "1"}
    assert (labels.get("tests"), labels.get("skipped"), labels.get("failures")) == ("1", "1", "0")
    assert (top.get("tests"), top.get("failures"), top.get("errors"), top.get("skipped")) == ("7", "2", "1", "2")


def test_a_junit_case_fails_only_where_the_victim_was_fooled() -> None:
    suite = ET.fromstring(as_junit(mixed())).find("testsuite[@name='white']")
    assert suite is not None
    kinds = {case.get("name"): [child.tag for child in case] for case in suite}
    assert kinds == {"a -> high": ["failure"], "b -> high": [], "c -> high": ["skipped"], "d -> high": ["error"]}
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.text is not None
    assert failure.get("message") == "fooled by a change of 40.0 dB SNR: low is taken for high"
    assert "subterfuge attack a" in failure.text


def test_a_victim_that_died_before_any_attack_is_an_error_and_a_sound_that_is_none_is_skipped() -> None:
    died = replace(scored("d", "low", None, state="failed"), error="VictimError: it died")
    rows = [
        *(scored("right", "low", "low"), scored("wrong", "low", "high"), scored("unknown", None, "low")),
        *(scored("left", "low", None, state="left"), scored("none", "low", None, state="failed"), died),
    ]
    suite = ET.fromstring(as_junit(audit_of(rows))).find("testsuite")
    assert suite is not None
    kinds = {case.get("name"): [child.tag for child in case] for case in suite}
    assert kinds == {
        **{"right": [], "wrong": ["failure"], "unknown": ["skipped"]},
        **{"left": ["skipped"], "none": ["skipped"], "d": ["error"]},
    }
    why = [one.get("message") for one in suite.findall("testcase/skipped")]
    assert why[-1] == "it cannot be read: ClipError: gone"
    assert suite.findall("testcase/failure")[0].get("message") == (
        "wrong about the clip as it comes: low is taken for high"
    )


def test_an_audit_of_nothing_is_written_too(tmp_path: Path) -> None:
    paths = written(audit_of(), tmp_path)
    assert json.loads(paths[0].read_text())["rows"] == []
    assert paths[1].read_text().count("\n") == 1


def test_writing_again_replaces_the_files(tmp_path: Path) -> None:
    written(mixed(), tmp_path)
    before = [path.read_bytes() for path in written(audit_of(), tmp_path)]
    assert [path.read_bytes() for path in written(audit_of(), tmp_path)] == before


def test_a_place_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "audit.csv").mkdir()
    with pytest.raises(OutputError, match=r"audit\.csv cannot be written"):
        written(mixed(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.csv", "audit.json"]
