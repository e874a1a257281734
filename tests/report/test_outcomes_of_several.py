"""Outcomes of one victim make a page; those of several have no common verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.report.kit import won

from subterfuge.errors import InputError
from subterfuge.report._audit_outcomes import audit_of


def victim(name: str, fingerprint: str) -> dict[str, dict[str, str]]:
    return {"victim": {"name": name, "fingerprint": fingerprint}}


@pytest.mark.parametrize("other", ["svc", "tuned"])
def test_outcomes_of_two_victims_get_no_common_page(tmp_path: Path, other: str) -> None:
    one = won(tmp_path, seed=1, **victim("tuned", "1" * 64))
    two = won(tmp_path, seed=2, **victim(other, "2" * 64))
    with pytest.raises(InputError, match="no common verdict") as told:
        audit_of([one, two])
    for name in ("tuned (111111111111)", f"{other} (222222222222)", str(one), str(two), "a page for each"):
        assert name in str(told.value)


def test_a_victim_under_two_names_is_one(tmp_path: Path) -> None:
    won(tmp_path, seed=1, **victim("tuned", "1" * 64))
    won(tmp_path, seed=2, **victim("the same", "1" * 64))
    found = audit_of([tmp_path])
    assert len(found.rows) == 2
    assert found.setting["victim"]["fingerprint"] == "1" * 64
