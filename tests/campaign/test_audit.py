"""An audit asks everything once, keeps what it has, goes on where it was, and says what it could not do."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.harden.kit import TINY, tone
from tests.world import LABELS, card

from subterfuge.campaign import audit as audits
from subterfuge.campaign import running, work
from subterfuge.campaign.audit import audit
from subterfuge.campaign.effort import EFFORTS
from subterfuge.campaign.protocol import PROTOCOLS
from subterfuge.campaign.rows import Row
from subterfuge.errors import InputError, OutputError

FEW: dict[str, Any] = {"count": 3, "queries": 40}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every search be over soon, and a win be put through one thing."""
    monkeypatch.setitem(EFFORTS, "quick", TINY)
    monkeypatch.setitem(PROTOCOLS, "quick", replace(PROTOCOLS["quick"], draws=2))
    monkeypatch.setattr(audits, "SURVIVES", "gain=-6")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder for each band, with two clips in it."""
    for place, label in enumerate(LABELS):
        for number in range(2):
            tone(tmp_path / "clips" / label / f"{number}.wav", label, seed=10 * place + number)
    return tmp_path / "clips"


def alike(row: Row) -> dict[str, Any]:
    """Give what two runs must agree in: all but the seconds, and the folder that the audit stands in."""
    result = json.loads(json.dumps(row.result))
    outcome = result.get("outcome")
    if outcome is not None:
        del outcome["seconds"]
        outcome["findings"] = {key: value for key, value in outcome["findings"].items() if "seconds" not in key}
    if result.get("survival"):
        del result["survival"]["file"]
    return {"key": row.key, "job": row.job, "state": row.state, "result": result, "error": row.error}


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the probe of every job that is done."""
    done: list[str] = []
    really = work.Bench.do

    def do(self: work.Bench, one: Any, seat: Any = None) -> Any:
        done.append(one[1].probe)
        return really(self, one, seat)

    monkeypatch.setattr(work.Bench, "do", do)
    return done


def test_every_clip_is_scored_and_every_case_attacked_in_every_way_that_the_victim_allows(
    tmp_path: Path, clips: Path
) -> None:
    found = audit(card(tmp_path / "v"), [clips], tmp_path / "out", count=2, queries=40)
    assert found.complete
    assert not found.doubts
    assert Counter(row.job.probe for row in found.rows) == {
        "clean": 6, "white": 2, "untargeted": 2, "masked": 2, "scores": 2, "labels": 2, "substitute": 2,
    }  # fmt: skip
    assert all(row.result["right"] and row.result["answer"] == row.job.label for row in found.of("clean"))
    assert len({row.job.label for row in found.of("white")}) == 2
    for row in found.rows:
        if row.outcome is None:
            continue
        assert row.outcome["target"] == row.job.target
        if row.outcome["won"]:
            file = found.folder / row.outcome["file"]
            assert file.is_file()
            assert not Path(row.outcome["file"]).is_absolute()
            assert row.result["survival"]["tried"] == 1
            assert max(row.result["probabilities"], key=row.result["probabilities"].get) == row.outcome["predicted"]
    assert all(row.outcome["won"] for row in found.of("white") if row.outcome)
    asked = [row.outcome["queries"] for row in found.of("scores") if row.outcome]
    assert all(0 < queries <= 40 for queries in asked)


def test_a_finished_audit_asks_nothing_again_and_more_clips_ask_only_about_themselves(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = {"only": ["white"], "queries": 40}
    first = audit(card(tmp_path / "v"), [clips], tmp_path / "out", count=2, **only)
    done = counted(monkeypatch)
    again = audit(tmp_path / "v" / "bands.toml", [clips], tmp_path / "out", count=2, **only)
    assert done == []
    assert again.rows == first.rows
    more = audit(tmp_path / "v" / "bands.toml", [clips], tmp_path / "out", count=4, **only)
    assert done == ["white", "white"]
    assert [row for row in more.rows if row.key in {one.key for one in first.rows}] == [
        replace(row, job=replace(row.job, number=more.rows[place].job.number)) for place, row in enumerate(first.rows)
    ]


@pytest.mark.parametrize("after", [0, 7, 9])
def test_a_run_that_was_ended_goes_on_and_equals_one_that_was_not(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    asked: dict[str, Any] = {"only": ["white", "labels"], "count": 2, "queries": 40}
    whole = audit(card(tmp_path / "v"), [clips], tmp_path / "whole", **asked)
    really, times = work.Spool.keep, [0]

    def killed(self: work.Spool, key: str, result: Any, seconds: float) -> None:
        really(self, key, result, seconds)
        times[0] += 1
        if times[0] > after:  # what was kept is not in the ledger yet
            raise KeyboardInterrupt

    monkeypatch.setattr(work.Spool, "keep", killed)
    with pytest.raises(KeyboardInterrupt):
        audit(tmp_path / "v" / "bands.toml", [clips], tmp_path / "out", **asked)
    monkeypatch.setattr(work.Spool, "keep", really)
    done = counted(monkeypatch)
    found = audit(tmp_path / "v" / "bands.toml", [clips], tmp_path / "out", **asked)
    assert len(done) == len(whole.rows) - after - 1
    assert [alike(row) for row in found.rows] == [alike(row) for row in whole.rows]


def test_two_processes_come_to_the_same_as_one(tmp_path: Path, clips: Path) -> None:
    asked: dict[str, Any] = {"only": ["labels"], "count": 3, "queries": 40}
    victim = card(tmp_path / "v")
    one = audit(victim, [clips], tmp_path / "one", **asked)
    two = audit(victim, [clips], tmp_path / "two", jobs=2, **asked)
    assert [alike(row) for row in one.rows] == [alike(row) for row in two.rows]


def test_attacks_in_company_come_to_the_same(tmp_path: Path, clips: Path) -> None:
    asked: dict[str, Any] = {"only": ["white"], "count": 3}
    victim = card(tmp_path / "v")
    alone = audit(victim, [clips], tmp_path / "alone", **asked)
    both = audit(victim, [clips], tmp_path / "both", batch=2, **asked)
    assert [row.state for row in both.rows] == ["done"] * 9
    assert [row.key for row in both.rows] == [row.key for row in alone.rows]
    for one, two in zip(alone.of("white"), both.of("white"), strict=True):
        assert one.outcome is not None
        assert two.outcome is not None
        assert one.outcome["predicted"] == two.outcome["predicted"]
        assert one.outcome["snr_db"] == pytest.approx(two.outcome["snr_db"], abs=0.1)


def test_in_other_company_no_file_that_was_proven_is_written_again(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = card(tmp_path / "v")
    audit(victim, [clips], tmp_path / "out", only=["white"], count=1)
    done = counted(monkeypatch)
    found = audit(victim, [clips], tmp_path / "out", only=["white"], count=3, batch=3)
    assert done == ["white", "white"]
    for row in found.of("white"):
        assert row.outcome is not None
        sound = (found.folder / str(row.outcome["file"])).read_bytes()
        assert hashlib.sha256(sound).hexdigest() == row.outcome["file_sha256"]


@pytest.mark.parametrize("kind", ["scores", "label"])
def test_a_victim_without_gradients_is_asked_by_its_answers_alone(tmp_path: Path, clips: Path, kind: str) -> None:
    found = audit(card(tmp_path / "v", kind), [clips], tmp_path / "out", count=1, queries=40)
    assert found.complete, [row.error for row in found.rows if row.error]
    assert "white" not in {row.job.probe for row in found.rows}
    assert all(row.outcome["gradients"] == 0 for row in found.of("labels") if row.outcome)


def test_a_victim_that_dies_leaves_what_is_done_and_says_why_the_rest_is_not(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "DEATHS", 3)
    dying = card(tmp_path / "v", "raises")
    dying.write_text(dying.read_text(encoding="utf-8").replace("dies_after = 15", "dies_after = 70"), encoding="utf-8")
    found = audit(dying, [clips], tmp_path / "out", **FEW)
    assert not found.complete
    states = Counter(row.state for row in found.rows)
    assert states["done"] >= 6
    assert states["failed"] == 3
    assert states["left"] > 0
    assert all("VictimError" in str(row.error) for row in found.rows if row.state == "failed")
    assert any("died 3 times in a row" in note for note in found.notes)


def test_what_failed_is_done_again_only_when_asked_to(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {"only": ["white"], "count": 1}
    really = work.Bench._search

    def fails(self: work.Bench, key: str, job: Any, seat: Any) -> Any:
        raise InputError("not today")

    monkeypatch.setattr(work.Bench, "_search", fails)
    victim = card(tmp_path / "v")
    first = audit(victim, [clips], tmp_path / "out", **asked)
    assert [row.error for row in first.rows if row.job.probe == "white"] == ["InputError: not today"]
    monkeypatch.setattr(work.Bench, "_search", really)
    assert not audit(victim, [clips], tmp_path / "out", **asked).complete
    assert audit(victim, [clips], tmp_path / "out", retry=True, **asked).complete


def test_clips_that_are_none_are_named_and_the_audit_is_whole_without_them(tmp_path: Path, clips: Path) -> None:
    (clips / "low" / "0.wav").write_bytes(b"RIFF and then nothing")
    (clips / "low" / "notes.txt").write_text("no sound")
    found = audit(card(tmp_path / "v"), [clips], tmp_path / "out", only=["white"], count=2)
    bad = [row for row in found.rows if row.state == "failed"]
    assert [(row.job.name, row.job.probe) for row in bad] == [("low/0.wav", "clean")]
    assert found.complete


def test_searches_that_were_done_before_are_rows_still_and_no_row_stands_twice(tmp_path: Path, clips: Path) -> None:
    victim = card(tmp_path / "v")
    audit(victim, [clips], tmp_path / "out", only=["white"], count=3)
    found = audit(victim, [clips], tmp_path / "out", only=["labels"], count=2, queries=600, batch=2)
    assert Counter(row.job.probe for row in found.rows) == {"clean": 6, "white": 2, "labels": 2}
    assert found.complete
    again = audit(victim, [clips], tmp_path / "out", only=["white"], count=3, queries=600, batch=2)
    assert Counter(row.job.probe for row in again.rows) == {"clean": 6, "white": 3, "labels": 2}


def test_a_clip_that_was_replaced_counts_as_what_it_is_now(tmp_path: Path, clips: Path) -> None:
    victim = card(tmp_path / "v")
    audit(victim, [clips], tmp_path / "out", only=["white"], count=6)
    tone(clips / "low" / "0.wav", "low", seed=99)
    found = audit(victim, [clips], tmp_path / "out", only=["white"], count=6)
    assert Counter(row.job.probe for row in found.rows) == {"clean": 6, "white": 6}
    for row in found.of("white"):
        assert row.outcome is not None
        assert row.outcome["clip"]["sha256"] == row.job.sha256


@pytest.mark.parametrize("when", ["suspect", "_looked"])
def test_an_audit_that_was_ended_as_it_doubted_doubts_when_it_goes_on(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    def ended(*_: object) -> None:
        raise KeyboardInterrupt

    doubt = audits.Doubt("made up", True, "for the test")
    really = getattr(audits, when)
    monkeypatch.setattr(audits, when, ended)
    victim = card(tmp_path / "v")
    with pytest.raises(KeyboardInterrupt):
        audit(victim, [clips], tmp_path / "out", only=["white"], count=1)
    monkeypatch.setattr(audits, when, lambda *given: [*really(*given), doubt])
    found = audit(victim, [clips], tmp_path / "out", only=["white"], count=1)
    assert [one["sign"] for one in found.doubts] == ["made up"]
    monkeypatch.setattr(audits, when, ended)  # what is finished is not asked again
    assert audit(victim, [clips], tmp_path / "out", only=["white"], count=1).doubts == found.doubts


@pytest.mark.parametrize("name", ["../../out of it", "a/b", "x" * 300, "tab\tand\nline"])
def test_no_label_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    victim = card(tmp_path / "v")
    words = json.dumps(name)
    victim.write_text(victim.read_text(encoding="utf-8").replace('"high"', words), encoding="utf-8")
    one = tone(tmp_path / "clips" / ("[low]" + "n" * 200 + ".wav"), "low")
    before = set(tmp_path.rglob("*"))
    found = audit(victim, [one], tmp_path / "a" / "b" / "out", only=["white"], count=1, targets=2)
    assert found.complete
    assert len(found.of("white")) == 2
    new = set(tmp_path.rglob("*")) - before - {tmp_path / "a", tmp_path / "a" / "b"}
    assert all(path.is_relative_to(tmp_path / "a" / "b" / "out") for path in new)
    assert all((found.folder / str(row.outcome["file"])).is_file() for row in found.of("white") if row.outcome)


def test_a_disk_that_is_full_ends_the_run_and_leaves_its_jobs_to_be_done(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = work.Bench._search

    def full(self: work.Bench, key: str, job: Any, seat: Any) -> Any:
        raise OutputError("no room")

    victim = card(tmp_path / "v")
    monkeypatch.setattr(work.Bench, "_search", full)
    with pytest.raises(OutputError, match="no room"):
        audit(victim, [clips], tmp_path / "out", only=["white"], count=1)
    monkeypatch.setattr(work.Bench, "_search", really)
    assert audit(victim, [clips], tmp_path / "out", only=["white"], count=1).complete


def test_a_victim_that_dies_at_once_leaves_an_audit_that_says_so(tmp_path: Path, clips: Path) -> None:
    dying = card(tmp_path / "v", "raises")
    dying.write_text(dying.read_text(encoding="utf-8").replace("dies_after = 15", "dies_after = 2"), encoding="utf-8")
    found = audit(dying, [clips], tmp_path / "out", count=1)
    assert not found.complete
    assert all("VictimError" in str(row.error) for row in found.rows if row.state == "failed")


def test_what_a_killed_run_was_writing_is_removed(tmp_path: Path, clips: Path) -> None:
    victim = card(tmp_path / "v")
    audit(victim, [clips], tmp_path / "out", only=["white"], count=1)
    scratch = tmp_path / "out" / "sounds" / "white" / ".subterfuge-0123456789ab"
    scratch.mkdir()
    (scratch / "1.wav").write_bytes(b"half")
    audit(victim, [clips], tmp_path / "out", only=["white"], count=1)
    assert not scratch.exists()


def test_fewer_clips_than_were_asked_for_are_told_and_a_large_number_is_not_cut(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PROTOCOLS, "quick", replace(PROTOCOLS["quick"], clean=2))
    found = audit(card(tmp_path / "v"), [clips], tmp_path / "out", only=["white"], count=7)
    assert len(found.of("white")) == 6
    assert any("6 clips were attacked where 7 were asked for" in note for note in found.notes)


def test_one_sound_under_two_names_is_asked_about_once(tmp_path: Path, clips: Path) -> None:
    (clips / "low" / "copy.wav").write_bytes((clips / "low" / "1.wav").read_bytes())
    found = audit(card(tmp_path / "v"), [clips], tmp_path / "out", only=["white"], count=1)
    assert len(found.of("clean")) == 6
    assert any("is the same file as" in note for note in found.notes)


def test_a_clip_without_a_label_is_what_the_victim_says(tmp_path: Path) -> None:
    tone(tmp_path / "clips" / "a.wav", "low")
    found = audit(card(tmp_path / "v"), [tmp_path / "clips"], tmp_path / "out", only=["white"], count=1)
    assert (found.of("clean")[0].result["answer"], found.of("clean")[0].result["right"]) == ("low", None)
    assert found.of("white")[0].job.target in ("middle", "high")
    assert any("no label" in note for note in found.notes)


def test_another_victim_other_queries_or_a_file_in_its_place_are_refused(tmp_path: Path, clips: Path) -> None:
    out, asked = tmp_path / "out", {"only": ["labels"], "count": 1}
    ours = audit(card(tmp_path / "v"), [clips], out, queries=40, **asked)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"fingerprint|victim"):
        audit(card(tmp_path / "w", "scores"), [clips], out, queries=40, **asked)  # type: ignore[arg-type]
    with pytest.raises(OutputError, match="queries 40"):
        audit(tmp_path / "v" / "bands.toml", [clips], out, queries=50, **asked)  # type: ignore[arg-type]
    with pytest.raises(OutputError, match="is a file"):
        audit(tmp_path / "v" / "bands.toml", [clips], tmp_path / "v" / "bands.py", **asked)  # type: ignore[arg-type]
    assert audits.Ledger.read(out).rows == ours.rows


@pytest.mark.parametrize(
    ("asked", "says"),
    [({"level": "slow"}, "level 'slow'"), ({"count": 0}, "0 clips"), ({"queries": -1}, "-1 queries"),
     ({"only": ["wite"]}, "did you mean white")],
)  # fmt: skip
def test_what_makes_no_sense_is_told_before_anything_is_written(
    tmp_path: Path, clips: Path, asked: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        audit(card(tmp_path / "v"), [clips], tmp_path / "out", **asked)
    assert not (tmp_path / "out").exists()


def test_clips_of_classes_that_the_victim_does_not_know_are_told(tmp_path: Path, clips: Path) -> None:
    (clips / "low").rename(clips / "drums")
    found = audit(card(tmp_path / "v"), [clips], tmp_path / "out", only=["white"], count=1)
    assert any("drums" in note for note in found.notes)
    assert len(found.of("clean")) == 4
    for label in ("middle", "high"):
        (clips / label).rename(clips / f"{label}er")
    with pytest.raises(InputError, match="none of the 6 clips"):
        audit(tmp_path / "v" / "bands.toml", [clips], tmp_path / "other")
