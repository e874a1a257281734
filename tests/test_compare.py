"""The command `compare`: two ledgers side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.campaign.kit import audit_of, scored, won

from subterfuge.campaign.ledger import Ledger
from subterfuge.campaign.rows import Audit
from subterfuge.cli import cli, guarded
from subterfuge.errors import InputError


def kept(audit: Audit, folder: Path) -> Path:
    """Write an audit into a ledger."""
    with Ledger.open(folder, audit.setting) as ledger:
        ledger.plan([(row.key, row.job) for row in audit.rows])
        for row in audit.rows:
            ledger.finish(row.key, row.result, row.seconds)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audits")
    names = [f"clip{k}" for k in range(8)]
    for place, loud in (("before", 50.0), ("after", 20.0)):
        rows = [won(name, "low", "high", loud + k) for k, name in enumerate(names)]
        kept(audit_of([scored(name, "low", "low") for name in names] + rows), folder / place)
    kept(audit_of([won("clip0", "low", "high", 20.0)], level="standard"), folder / "standard")
    return folder


def run(*words: object) -> int:
    return guarded(lambda: cli.main([str(word) for word in words], standalone_mode=False))


def test_two_audits_are_told_apart_on_a_terminal(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compare", home / "before", home / "after") == 0
    told = capsys.readouterr()
    assert "searches in common: 8; in A alone: 0; in B alone: 0" in told.out
    assert "median SNR needed, white" in told.out
    assert "-30.0 dB" in told.out
    assert "B (tuned) is better than A (tuned) in median SNR needed, white" in told.out
    assert "by its fingerprint" in told.err


def test_json_is_all_that_is_printed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compare", home / "before" / "audit.ledger", home / "after", "--json", "--seed", 3) == 0
    rows = {one["name"]: one for one in json.loads(capsys.readouterr().out)["rows"]}
    assert rows["median SNR needed, white"]["difference"] == -30.0
    assert rows["clean accuracy"]["p"] == 1.0


def test_audits_of_other_levels_are_an_error_in_one_paragraph(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compare", home / "before", home / "standard") == InputError.exit_code
    told = capsys.readouterr()
    assert told.err.startswith("error: the audits are of different levels, quick and standard")
    assert told.out == ""


def test_what_is_no_audit_is_an_error(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compare", home / "before", tmp_path) == InputError.exit_code
    assert capsys.readouterr().err.startswith("error: ")
