"""The ledger keeps what it is told, says clearly what it refuses, and touches nothing that is not its own."""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.campaign import ledger_writer
from tests.campaign.ledger_writer import SETTING, jobs_of, result_of

from subterfuge.campaign import _ledger_file
from subterfuge.campaign.ledger import Ledger
from subterfuge.campaign.rows import Audit, Row
from subterfuge.campaign.spool import Spool
from subterfuge.errors import InputError, OutputError

JOBS = jobs_of(6)
KEYS = [key for key, _ in JOBS]
Change = Callable[[Path], object]


@pytest.fixture(autouse=True)
def unflushed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave flushing to the disk out, which no test can see."""
    with monkeypatch.context() as patch:
        patch.setattr(_ledger_file, "FLUSH", "OFF")
        yield


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def part_done(folder: Path, done: int = 3) -> Path:
    """Make an audit of six jobs, some of them done."""
    with Ledger.open(folder, SETTING) as ledger:
        ledger.plan(JOBS)
        for key, job in JOBS[:done]:
            ledger.finish(key, result_of(job), 1.5)
    return folder


def killed(folder: Path, done: int = 3) -> Path:
    """Give the folder of an audit as a killed process leaves it: what it wrote is in the log."""
    with Ledger.open(folder.with_name("at work"), SETTING) as ledger:
        ledger.plan(JOBS)
        for key, job in JOBS[:done]:
            ledger.finish(key, result_of(job), 1.5)
        shutil.copytree(folder.with_name("at work"), folder)
    assert (folder / "audit.ledger-wal").stat().st_size > 0
    return folder


def states(audit: Audit) -> str:
    """Give the first letters of the rows' states."""
    return "".join(row.state[0] for row in audit.rows)


def test_what_is_put_in_comes_out_after_closing_and_opening(tmp_path: Path) -> None:
    odd = replace(JOBS[0][1], name="ü\udcff\n.wav", path="\udcff/ü.wav", label=None, also=(), target=None)
    result = {"outcome": None, "numbers": (1.0, math.inf, math.nan, 0.1), "words": "Ü\udcff\0"}
    plain = {**result, "numbers": [1.0, None, None, 0.1]}
    with Ledger.open(tmp_path, SETTING) as ledger:
        ledger.plan([(KEYS[0], odd), *JOBS[1:3]])
        ledger.finish(KEYS[0], result, 2.5)
        ledger.fail(KEYS[2], "ClipError: \udcff is ü", 0.25)
        ledger.doubt([{"sign": "twin", "hides": True, "words": "…"}])
        ledger.note(["left out: \udcff"])
        told = ledger.audit()
    assert told == Ledger.read(tmp_path) == Ledger.read(tmp_path / "audit.ledger")
    assert told.rows == (
        Row(odd, KEYS[0], "done", plain, None, 2.5),
        Row(JOBS[1][1], KEYS[1]),
        Row(JOBS[2][1], KEYS[2], "failed", {}, "ClipError: \udcff is ü", 0.25),
    )
    assert told.setting == SETTING
    assert told.doubts == ({"sign": "twin", "hides": True, "words": "…"},)
    assert told.notes == ("left out: \udcff",)
    assert told.folder == tmp_path
    assert list(held(tmp_path)) == ["audit.ledger"]


def test_more_clips_can_be_added_and_what_is_no_longer_asked_waits(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, SETTING) as ledger:
        ledger.plan(JOBS[:4])
        ledger.finish(KEYS[1], {"a": 1}, 1)
        ledger.finish(KEYS[2], {"a": 2}, 1)
        ledger.fail(KEYS[3], "bad", 1)
    with Ledger.open(tmp_path, {**SETTING, "clips": 40, "data": "more"}) as ledger:
        moved = replace(JOBS[2][1], path="elsewhere/2.wav")
        ledger.plan([JOBS[5], (KEYS[2], moved), JOBS[4]])
        assert ledger.left(retry=True) == [JOBS[5], JOBS[4]]
        assert [row.key for row in ledger.audit().rows] == [KEYS[5], KEYS[2], KEYS[4]]
        assert ledger.done() == {KEYS[1], KEYS[2]}
        assert ledger.audit().rows[1] == Row(moved, KEYS[2], "done", {"a": 2}, None, 1.0)
        ledger.plan(JOBS)
        assert [row.key for row in ledger.audit().rows] == KEYS
        assert states(ledger.audit()) == "lddfll"
        assert ledger.left() == [JOBS[0], JOBS[4], JOBS[5]]
        assert ledger.left(retry=True) == [JOBS[0], *JOBS[3:]]
        assert ledger.audit("white") == ledger.audit()
        assert ledger.audit("clean").rows == ()
    assert Ledger.read(tmp_path).setting == {**SETTING, "clips": 40, "data": "more"}


def test_of_jobs_with_one_key_the_first_counts(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, SETTING) as ledger:
        ledger.plan([JOBS[0], (KEYS[0], JOBS[1][1])])
        assert ledger.left() == [JOBS[0]]


def test_a_result_never_changes_and_a_job_that_no_plan_had_is_a_mistake(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, SETTING) as ledger:
        ledger.plan(JOBS)
        ledger.finish(KEYS[0], {"a": 1}, 1)
        ledger.finish(KEYS[0], {"a": 2}, 2)
        ledger.fail(KEYS[0], "late", 3)
        assert ledger.audit().rows[0] == Row(JOBS[0][1], KEYS[0], "done", {"a": 1}, None, 1.0)
        with pytest.raises(KeyError):
            ledger.finish("unknown", {}, 1)
        with pytest.raises(KeyError):
            ledger.fail("unknown", "bad", 1)


def test_results_are_not_kept_in_memory(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, SETTING) as ledger:
        jobs = jobs_of(200)
        ledger.plan(jobs)
        ledger.finish(jobs[0][0], {"text": "x" * 50_000}, 1)
        tracemalloc.start()
        for key, _ in jobs[1:]:
            ledger.finish(key, {"text": "x" * 50_000}, 1)
        grown, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert grown < 50_000
    assert most < 500_000


def test_importing_the_ledger_costs_little() -> None:
    code = "import sys, subterfuge.campaign.ledger, subterfuge.campaign.spool\nprint(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()
    assert not {"numpy", "torch", "joblib", "sklearn", "subterfuge.audio"} & set(names)


operations = st.one_of(
    st.tuples(st.just("plan"), st.lists(st.integers(0, 5), max_size=6)),
    st.tuples(st.just("finish"), st.integers(0, 5)),
    st.tuples(st.just("fail"), st.integers(0, 5)),
    st.tuples(st.just("spool"), st.integers(0, 5)),
    st.tuples(st.just("reopen"), st.none()),
)


@settings(max_examples=30)
@given(st.lists(operations, max_size=25))
def test_any_use_of_a_ledger_is_that_of_a_dictionary(tmp_path_factory: pytest.TempPathFactory, many: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("audit")
    model: dict[int, tuple[str, dict[str, Any], str | None]] = {}
    planned: list[int] = []
    ledger = Ledger.open(folder, SETTING)
    try:
        for turn, (what, about) in enumerate(many):
            if what == "reopen":
                ledger.close()
                ledger = Ledger.open(folder, SETTING)
            elif what == "plan":
                planned = list(dict.fromkeys(about))
                model = {number: model.get(number, ("left", {}, None)) for number in [*planned, *model]}
                ledger.plan([JOBS[number] for number in about])
            elif about in model:
                key, done = KEYS[about], model[about][0] == "done"
                if what == "spool":
                    Spool(folder).keep(key, {"turn": turn}, 1.0)
                    assert ledger.take(Spool(folder)) == (not done)
                elif what == "finish":
                    ledger.finish(key, {"turn": turn}, 1.0)
                else:
                    ledger.fail(key, str(turn), 1.0)
                if not done:
                    model[about] = ("failed", {}, str(turn)) if what == "fail" else ("done", {"turn": turn}, None)
            rows = [(row.key, row.state, row.result, row.error) for row in ledger.audit().rows]
            shown = {number: model[number] for number in planned}
            assert rows == [(KEYS[number], *told) for number, told in shown.items()]
            for retry, states in ((False, ("left",)), (True, ("left", "failed"))):
                assert ledger.left(retry) == [JOBS[number] for number in planned if model[number][0] in states]
    finally:
        ledger.close()


def test_a_second_audit_in_the_folder_is_told_who_is_at_work_and_changes_nothing(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, SETTING) as ledger:
        ledger.plan(JOBS)
        before = held(tmp_path)
        with pytest.raises(OutputError, match=rf"another run is at work in .*process {os.getpid()}\).*--out"):
            Ledger.open(tmp_path, SETTING)
        assert held(tmp_path) == before
        ledger.finish(KEYS[0], {}, 1)
    with Ledger.open(tmp_path, SETTING) as ledger:
        assert states(ledger.audit()) == "dlllll"


def test_a_lock_that_a_dead_process_left_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "audit.lock").write_text("1\n")
    assert states(Ledger.read(part_done(tmp_path))) == "dddlll"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"victim": {"name": "other", "fingerprint": "fedcba98765432"}},
            "made up .0123456789ab.*other .fedcba987654\\)",
        ),
        ({"protocol": "own"}, "protocol standard protocol, and protocol own"),
        ({"version": 2}, "version 1, and version 2"),
        ({"level": "thorough"}, "level quick, and level thorough"),
        ({"seed": 1}, "seed 0, and seed 1"),
        ({"queries": 5}, "queries 100, and queries 5"),
        ({"survives": ""}, "survives mp3:128"),
    ],
)
def test_an_audit_of_something_else_is_refused(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    before = held(part_done(tmp_path))
    with pytest.raises(OutputError, match=f"(?s){says}.*Choose another --out"):
        Ledger.open(tmp_path, {**SETTING, **change})
    assert held(tmp_path) == before


def of_version(version: int) -> Change:
    def change(path: Path) -> None:
        db = sqlite3.connect(path)
        db.execute(f"PRAGMA user_version = {version}")
        db.close()

    return change


def of_another_program(path: Path) -> None:
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE jobs (key)")
    db.close()


def without_a_setting(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("UPDATE about SET value = '[1'")
    db.commit()
    db.close()


def torn(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 6] = bytes(range(256)) * 64
    path.write_bytes(content)


WRONG: list[tuple[str, Change, str]] = [
    ("garbage", lambda path: path.write_bytes(b"RIFF" * 5000), "is no ledger"),
    ("empty", lambda path: path.write_bytes(b""), "is no ledger"),
    ("its first bytes", lambda path: path.write_bytes(path.read_bytes()[:60]), "is no ledger"),
    ("its header", lambda path: path.write_bytes(path.read_bytes()[:100]), "is damaged"),
    ("half of it", lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "is damaged"),
    ("all but a byte", lambda path: path.write_bytes(path.read_bytes()[:-1]), "is damaged"),
    ("torn", torn, "is damaged"),
    ("no setting", without_a_setting, "is damaged"),
    ("other tables", of_version(2001), r"version 2\.1, and this is 1\.1"),
    ("other results", of_version(1002), r"version 1\.2, and this is 1\.1"),
    ("another program's", of_another_program, "an SQLite file, but no ledger"),
]


@pytest.mark.parametrize(("change", "says"), [one[1:] for one in WRONG], ids=[one[0] for one in WRONG])
def test_what_is_no_whole_ledger_of_this_version_is_refused_and_left_as_it_is(
    tmp_path: Path, change: Change, says: str
) -> None:
    change(part_done(tmp_path) / "audit.ledger")
    before = held(tmp_path)
    for use in (lambda: Ledger.open(tmp_path, SETTING), lambda: Ledger.read(tmp_path)):
        with pytest.raises(InputError, match=f"{says}.*(?i:choose another folder)"):
            use()
    assert held(tmp_path) == before


def test_damage_to_a_killed_audit_is_refused_and_its_log_is_left_as_it_is(tmp_path: Path) -> None:
    folder = killed(tmp_path / "audit")
    os.truncate(folder / "audit.ledger", 0)
    before = held(folder)
    with pytest.raises(InputError, match="is no ledger"):
        Ledger.open(folder, SETTING)
    assert {**held(folder), "audit.lock": before["audit.lock"]} == before


def test_where_there_is_no_ledger_reading_says_so_and_makes_none(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", tmp_path / "audit.ledger"):
        with pytest.raises(InputError, match=r"there is no ledger at .*`subterfuge audit` makes one"):
            Ledger.read(path)
    assert not held(tmp_path)


def test_a_reader_sees_every_row_that_was_kept_while_the_audit_is_at_work_and_leaves_no_file(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from subterfuge.campaign.ledger import Ledger; "
    code += "[print(sum(r.state == 'done' for r in Ledger.read(Path(sys.argv[1])).rows), flush=1) for _ in sys.stdin]"
    line = [sys.executable, "-c", code, str(tmp_path)]
    with (
        Ledger.open(tmp_path, SETTING) as ledger,
        subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as reader,
    ):
        assert reader.stdin is not None
        assert reader.stdout is not None
        ledger.plan(JOBS)
        files = set(held(tmp_path))
        for count, (key, job) in enumerate(JOBS):
            reader.stdin.write("\n")
            assert int(reader.stdout.readline()) == count
            assert states(Ledger.read(tmp_path)) == "d" * count + "l" * (6 - count)
            ledger.finish(key, result_of(job), 1)
        reader.stdin.close()
        reader.wait()
        assert set(held(tmp_path)) == files
    assert list(held(tmp_path)) == ["audit.ledger"]
    assert Ledger.read(tmp_path).complete


def test_a_reader_in_the_same_process_does_not_cost_the_writer_its_locks(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, SETTING) as ledger:
        ledger.plan(JOBS)
        Ledger.read(tmp_path)
        code = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=0); "
        code += "db.execute('PRAGMA journal_mode = DELETE')"
        line = [sys.executable, "-c", code, str(tmp_path / "audit.ledger")]
        assert b"database is locked" in subprocess.run(line, capture_output=True).stderr
        ledger.finish(KEYS[0], {}, 1)
    assert states(Ledger.read(tmp_path)) == "dlllll"


@pytest.mark.parametrize("gone", [(), ("audit.ledger-shm",)], ids=["as it was left", "without the log's index"])
def test_what_a_killed_audit_left_is_read_and_gone_on_with(tmp_path: Path, gone: tuple[str, ...]) -> None:
    folder = killed(tmp_path / "audit")
    for name in gone:
        (folder / name).unlink()
    before = set(held(folder))
    assert states(Ledger.read(folder)) == "dddlll"
    assert set(held(folder)) == before
    with Ledger.open(folder, SETTING) as ledger:
        assert ledger.left() == JOBS[3:]
    assert list(held(folder)) == ["audit.ledger"]


def without_rights(code: str, folder: Path) -> str:
    """Run code in a process that may not write where modes say so, root included; give what it prints."""
    drop = "import ctypes, os, sys\nif os.geteuid() == 0 and ctypes.CDLL(None).prctl(24, 1, 0, 0, 0): sys.exit(77)\n"
    drop += "os.execv(sys.executable, [sys.executable, '-c', *sys.argv[1:]])"
    line = [sys.executable, "-c", drop, code, str(folder), str(Path(ledger_writer.__file__).parent)]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("root's right to write everywhere cannot be given up here")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="root's rights are given up as Linux does it")
@pytest.mark.parametrize("make", [part_done, killed], ids=["closed", "killed"])
def test_a_folder_that_cannot_be_written_is_read_but_no_audit_begins_there(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    folder = make(tmp_path / "audit")
    before = held(folder)
    code = """
import sys; sys.path.insert(0, sys.argv[2])
from pathlib import Path
from ledger_writer import SETTING, Ledger
folder = Path(sys.argv[1])
print(*(row.state for row in Ledger.read(folder).rows))
for place in (folder, folder / "new"):
    try:
        Ledger.open(place, SETTING)
    except Exception as error:
        print(type(error).__name__, error)
"""
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    try:
        read, opened, made = without_rights(code, folder).splitlines()
    finally:
        folder.chmod(0o755)
    assert read == "done done done left left left"
    assert opened.startswith(f"OutputError {folder} cannot be written: Permission denied")
    assert made.startswith(f"OutputError {folder / 'new'} cannot be made: Permission denied")
    assert held(folder) == before


def test_a_file_in_the_folders_place_is_told_and_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "a\0b"):
        with pytest.raises(OutputError, match=r"cannot be made: .*Choose another --out"):
            Ledger.open(folder, SETTING)
    assert held(tmp_path) == {"file": b"mine"}


def test_when_the_disk_is_full_the_row_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, SETTING) as ledger:
        ledger.plan(JOBS)
        ledger.finish(KEYS[0], result_of(JOBS[0][1]), 1)
        pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
        ledger._db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite then says what it says of a full disk
        with pytest.raises(OutputError, match=r"disk is full.*What it holds stays.*run again"):
            ledger.finish(KEYS[1], {"text": "x" * 20_000}, 1)
        assert states(ledger.audit()) == "dlllll"
        ledger._db.execute("PRAGMA max_page_count = 100000")
        ledger.finish(KEYS[1], {"text": "x" * 20_000}, 1)
    assert states(Ledger.read(tmp_path)) == "ddllll"


@pytest.mark.skipif(sys.platform == "win32", reason="files are kept short as POSIX does it")
def test_when_the_system_takes_no_more_bytes_what_was_kept_is_there_and_a_new_ledger_is_not_half_made(
    tmp_path: Path,
) -> None:
    code = """
import resource, sys; sys.path.insert(0, sys.argv[2])
from pathlib import Path
from ledger_writer import SETTING, Ledger, Spool, jobs_of, result_of
folder = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
with Ledger.open(folder, SETTING) as ledger:
    ledger.plan(jobs_of(60))
    for key, job in ledger.left():
        Spool(folder).keep(key, result_of(job), 1)
        try:
            ledger.finish(key, result_of(job), 1)
        except Exception as error:
            print(type(error).__name__, error)
            break
        Spool(folder).drop(key)
        print(key)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, resource.RLIM_INFINITY))
try:
    Ledger.open(folder / "new", SETTING)
except Exception as error:
    print(type(error).__name__, error)
print(*(folder / "new").iterdir())
"""
    line = [sys.executable, "-c", code, str(tmp_path), str(Path(ledger_writer.__file__).parent)]
    told = subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()
    *kept, failed, made, left = told
    assert 1 < len(kept) < 60
    assert failed.startswith(f"OutputError {tmp_path / 'audit.ledger'} cannot be written: the disk is full or failed")
    assert made.startswith(f"OutputError {tmp_path / 'new' / 'audit.ledger'} cannot be written")
    assert not left
    assert [row.key for row in Ledger.read(tmp_path).rows if row.state == "done"] == kept
    with Ledger.open(tmp_path, SETTING) as ledger:
        assert ledger.take(Spool(tmp_path)) == 1
        assert len(ledger.left()) == 60 - len(kept) - 1


def test_what_a_worker_kept_is_taken_once_whoever_was_killed(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    folder = part_done(tmp_path)
    for key, job in [JOBS[2], JOBS[4]]:  # the one is in the ledger, and was not dropped; the other is not in it
        spool.keep(key, result_of(job), 7.0)
    spool.keep("unknown", {}, 1.0)
    with Ledger.open(folder, SETTING) as ledger:
        assert ledger.take(spool) == 1
        assert states(ledger.audit()) == "dddldl"
        assert ledger.audit().rows[4] == Row(JOBS[4][1], KEYS[4], "done", result_of(JOBS[4][1]), None, 7.0)
        assert ledger.audit().rows[2].seconds == 1.5
        assert not list(spool.place.iterdir())
    spool.tidy()
    spool.tidy()
    assert list(held(tmp_path)) == ["audit.ledger"]


def test_a_spool_gives_what_was_kept_drops_what_is_damaged_and_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert list(spool.taken()) == []
    result = {"a": (1.5, math.inf), "b": "ü\udcff"}
    spool.keep("b2", result, 2)
    spool.keep("a1", {}, 0.5)
    spool.keep("a1", {"again": 1}, 0.5)
    whole = (spool.place / "a1.json").read_bytes()
    damaged = {
        "empty": b"",
        "half": whole[:-9],
        "other": whole,
        "bytes": b"\xff\xfe\x00",
        "list": b"[1]",
        "null": b"null",
    }
    damaged |= {"deep": b"[" * 100_000, "short": b'{"key": "short", "seconds": 1}'}
    damaged |= {"odd": b'{"key": "odd", "seconds": 1, "result": [1]}'}
    for name, content in damaged.items():
        (spool.place / f"{name}.json").write_bytes(content)
    (spool.place / ".0123456789ab.part").write_bytes(whole[:9])
    (spool.place / "notes.txt").write_text("mine")
    (spool.place / "folder.json").mkdir()
    assert list(spool.taken()) == [("a1", {"again": 1}, 0.5), ("b2", {"a": [1.5, None], "b": "ü\udcff"}, 2.0)]
    assert sorted(path.name for path in spool.place.iterdir()) == ["a1.json", "b2.json", "folder.json", "notes.txt"]
    spool.drop("a1")
    spool.drop("a1")
    assert [key for key, _, _ in spool.taken()] == ["b2"]


def test_a_spool_that_cannot_be_written_says_so_and_a_key_must_be_a_files_name(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("in the way")
    with pytest.raises(OutputError, match=r"k.json cannot be written: .*run again"):
        Spool(tmp_path).keep("k", {}, 1.0)
    with pytest.raises(ValueError, match="no file's name"):
        Spool(tmp_path).keep("../k", {}, 1.0)
    assert list(Spool(tmp_path).taken()) == []
