from __future__ import annotations

import errno
import hashlib
import io
import json
import shutil
import socket
import stat
import struct
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.world import run

from subterfuge.cli.data import PARTS as ASKED
from subterfuge.errors import InputError, OutputError
from subterfuge.training import _irmas_unpack, irmas
from subterfuge.training._irmas_download import fetch
from subterfuge.training._irmas_wanted import Download, Patience
from subterfuge.training.datasets import read_dataset
from subterfuge.training.irmas import Irmas, Part, fetch_irmas

NAME = "IRMAS-TrainingData.zip"
CLIPS = {
    f"{label}/[{label}][cla]{number:04d}__{excerpt}.wav": np.random.default_rng(number).bytes(20_000 + excerpt)
    for label, number in (("cel", 1), ("cel", 2), ("tru", 1954))
    for excerpt in (1, 2)
}
"""Six clips that do not shrink."""


def packed(files: dict[str, bytes], top: str = "IRMAS-TrainingData/") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, content in files.items():
            archive.writestr(zipfile.ZipInfo(top + place), content)
    return stream.getvalue()


ARCHIVE = packed(CLIPS)
MD5 = hashlib.md5(ARCHIVE).hexdigest()


class Mirror(ThreadingHTTPServer):
    """A web server that holds one file, and can misbehave in each way that one meets."""

    daemon_threads = True
    data: bytes
    etag: str | None = '"one"'
    ranges = True
    cuts: list[int | None]
    """After how many bytes each next answer breaks off; at the end of the list none does."""
    answers: list[tuple[int, dict[str, str]]]
    """What is answered to the next requests instead of the file."""
    asked: list[str]
    """The ranges that were asked for."""
    sent = 0
    stalls = reset = page = skewed = chunked = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        mirror = self.server
        wanted = self.headers.get("Range", "")
        mirror.asked.append(wanted)
        if mirror.answers:
            status, heads = mirror.answers.pop(0)
            self.reply(status, heads)
            return
        if mirror.page:
            self.reply(200, {"Content-Type": "text/html"}, b"<html>Please log in.</html>")
            return
        start, status, size = 0, 200, len(mirror.data)
        if wanted and mirror.ranges and self.headers.get("If-Range", mirror.etag) == mirror.etag:
            start, status = int(wanted[6:-1]), 206
            if start >= size:
                self.reply(416, {"Content-Range": f"bytes */{size}"})
                return
            start += 7 * mirror.skewed
        heads = {"Content-Range": f"bytes {start}-{size - 1}/{size}"} if status == 206 else {}
        if mirror.etag:
            heads["ETag"] = mirror.etag
        self.reply(status, heads, mirror.data[start:], mirror.cuts.pop(0) if mirror.cuts else None)

    def reply(self, status: int, heads: dict[str, str], data: bytes = b"", cut: int | None = None) -> None:
        self.send_response(status)
        for head, value in heads.items():
            self.send_header(head, value)
        if not self.server.chunked:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.server.sent += len(data[:cut])  # first: whoever has it all must find it counted
        self.wfile.write(data[:cut])
        if cut is not None and self.server.stalls:
            self.wfile.flush()
            time.sleep(0.5)
        if cut is not None and self.server.reset:
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    server = Mirror(("127.0.0.1", 0), Answer)
    server.data, server.cuts, server.answers, server.asked = ARCHIVE, [], [], []
    monkeypatch.setattr(irmas, "PARTS", {**irmas.PARTS, "training": Part(NAME, MD5)})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Told:
    """What a fetch told, and how long it waited."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.pauses: list[float] = []
        self.bytes: list[tuple[str, int, int]] = []

    def fetch(self, to: Path, url: str, *, tries: int = 3, timeout_seconds: float = 5.0, **options: Any) -> Irmas:
        return fetch_irmas(
            to,
            base_url=url,
            patience=Patience(timeout_seconds=timeout_seconds, tries=tries, worth_bytes=1, wait=self.pauses.append),
            say=self.lines.append,
            progress=options.pop("progress", lambda *told: self.bytes.append(told)),
            **options,
        )


@pytest.fixture
def told() -> Told:
    return Told()


def below(folder: Path) -> dict[str, bytes]:
    """Give every file below a folder but the list of what was unpacked."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {place: path.read_bytes() for place, path in files.items() if not place.endswith("Data.json")}


WHOLE = {f"IRMAS-TrainingData/{place}": content for place, content in CLIPS.items()}


# --- the line


def test_a_download_is_checked_and_unpacked_and_its_archive_goes(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    found = told.fetch(tmp_path, mirror.url)
    assert below(tmp_path) == WHOLE
    assert [(one.part, one.files, one.written, one.archive) for one in found.parts] == [("training", 6, 6, None)]
    assert "CC BY-NC-SA 3.0" in found.licence
    assert "Bosch" in found.licence
    assert told.lines == []
    ends = {what: (done, total) for what, done, total in told.bytes}
    sizes = len(ARCHIVE), sum(map(len, CLIPS.values()))
    assert ends == {
        NAME: (sizes[0], sizes[0]),
        f"{NAME}, checking": (sizes[0], sizes[0]),
        "IRMAS-TrainingData, unpacking": (sizes[1], sizes[1]),
    }
    assert read_dataset(tmp_path).groups == {"cel": 2, "tru": 1}


@pytest.mark.parametrize("reset", [False, True])
def test_a_line_that_breaks_again_and_again_is_taken_up_where_it_broke(
    reset: bool, mirror: Mirror, told: Told, tmp_path: Path
) -> None:
    mirror.reset = reset
    mirror.cuts = [10_000, 20_000, 30_000, 1]
    told.fetch(tmp_path, mirror.url)
    assert below(tmp_path) == WHOLE
    assert len(mirror.asked) == 5
    if not reset:  # a reset may take with it what was on its way
        assert mirror.asked == ["", "bytes=10000-", "bytes=30000-", "bytes=60000-", "bytes=60001-"]
        assert mirror.sent == len(ARCHIVE)
    assert told.pauses == [1, 1, 1, 1]
    assert "broke" in told.lines[0]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, len(ARCHIVE)), max_size=6), ranges=st.booleans(), tagged=st.booleans())
def test_wherever_the_line_breaks_the_same_file_comes(
    cuts: list[int], ranges: bool, tagged: bool, mirror: Mirror, tmp_path: Path
) -> None:
    mirror.cuts, mirror.ranges, mirror.etag = list(cuts), ranges, '"one"' if tagged else None
    path = tmp_path / "x.zip.whole"
    wanted = Download(f"{mirror.url}/x", path, MD5, 10**6)
    fetch(wanted, patience=Patience(tries=20, worth_bytes=1, wait=lambda _: None))
    assert path.read_bytes() == ARCHIVE
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    path.unlink()


def test_after_too_many_breaks_the_next_call_goes_on_from_what_came(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    mirror.cuts = [50_000, 0, 0, 0]
    with pytest.raises(
        InputError, match=r"broke off after 50000 of \d+ bytes, 3 times in a row; the 50000 bytes.*kept"
    ):
        told.fetch(tmp_path, mirror.url)
    assert below(tmp_path)[f"{NAME}.part"] == ARCHIVE[:50_000]
    mirror.cuts = []
    mirror.asked.clear()
    told.fetch(tmp_path, mirror.url)
    assert mirror.asked == ["bytes=50000-"]
    assert below(tmp_path) == WHOLE


def test_a_server_that_knows_no_ranges_is_begun_anew(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    mirror.ranges, mirror.cuts = False, [50_000]
    told.fetch(tmp_path, mirror.url)
    assert below(tmp_path) == WHOLE
    assert "the server begins from the start" in told.lines[1]


def test_a_server_that_knows_no_ranges_and_always_breaks_off_is_given_up(
    mirror: Mirror, told: Told, tmp_path: Path
) -> None:
    mirror.ranges, mirror.cuts = False, [50_000] * 9
    with pytest.raises(InputError, match="3 times in a row"):
        told.fetch(tmp_path, mirror.url)
    assert len(mirror.asked) == 3


def test_a_file_that_changed_on_the_server_in_between_comes_whole(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    mirror.data, mirror.cuts = bytes(len(ARCHIVE)), [50_000, 0, 0, 0]
    with pytest.raises(InputError, match="broke off"):
        told.fetch(tmp_path, mirror.url)
    mirror.data, mirror.etag, mirror.cuts = ARCHIVE, '"two"', []
    told.fetch(tmp_path, mirror.url)
    assert below(tmp_path) == WHOLE


@pytest.mark.parametrize("there", [100, len(ARCHIVE), len(ARCHIVE) + 1])
def test_pieces_of_another_file_are_found_out_thrown_away_and_fetched_anew(
    there: int, mirror: Mirror, told: Told, tmp_path: Path
) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(bytes(there))
    told.fetch(tmp_path, mirror.url)
    assert below(tmp_path) == WHOLE
    assert "thrown away" in told.lines[0]


def test_a_download_that_was_whole_but_not_yet_checked_is_not_fetched_again(
    mirror: Mirror, told: Told, tmp_path: Path
) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(ARCHIVE)
    told.fetch(tmp_path, mirror.url)
    assert mirror.sent == 0
    assert below(tmp_path) == WHOLE


def test_a_server_that_sends_another_piece_than_asked_is_not_believed(
    mirror: Mirror, told: Told, tmp_path: Path
) -> None:
    mirror.skewed, mirror.cuts = True, [50_000]
    told.fetch(tmp_path, mirror.url)
    assert below(tmp_path) == WHOLE
    assert any("another piece" in line for line in told.lines)


def test_a_file_of_another_md5_is_thrown_away_and_said_so(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    mirror.data = packed({"cel/x.wav": b"other"})
    came = hashlib.md5(mirror.data).hexdigest()[:12]
    with pytest.raises(
        InputError, match=rf"another file \(MD5 begins {came}, expected {MD5[:12]}\).*thrown away.*--from"
    ):
        told.fetch(tmp_path, mirror.url)
    assert below(tmp_path) == {}


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_answer_that_will_not_change_ends_it_at_once(
    status: int, mirror: Mirror, told: Told, tmp_path: Path
) -> None:
    mirror.answers = [(status, {})]
    with pytest.raises(InputError, match=rf"IRMAS-TrainingData\.zip.*answers {status}.*--from"):
        told.fetch(tmp_path, mirror.url)
    assert (len(mirror.asked), below(tmp_path)) == (1, {})


def test_an_overloaded_server_is_asked_again_when_it_says_so(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    mirror.answers = [(503, {"Retry-After": "7"}), (429, {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"})]
    told.fetch(tmp_path, mirror.url)
    assert told.pauses == [7, 2]
    assert below(tmp_path) == WHOLE


def test_a_server_that_only_fails_is_given_up_after_growing_pauses(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    mirror.answers = [(500, {})] * 9
    with pytest.raises(InputError, match="answers 500"):
        told.fetch(tmp_path, mirror.url, tries=5)
    assert told.pauses == [1, 2, 4, 8]


def test_a_page_in_the_place_of_the_file_is_no_file(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    mirror.page = True
    (tmp_path / f"{NAME}.part").write_bytes(ARCHIVE[:1000])
    with pytest.raises(InputError, match=r"a page of text came, and no file.*log-in page"):
        told.fetch(tmp_path, mirror.url)
    assert below(tmp_path) == {f"{NAME}.part": ARCHIVE[:1000]}


def test_a_server_that_falls_silent_is_left_and_asked_again(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    mirror.stalls, mirror.cuts = True, [50_000]
    told.fetch(tmp_path, mirror.url, timeout_seconds=0.1)
    assert "timed out" in told.lines[0]
    assert mirror.asked == ["", "bytes=50000-"]
    assert below(tmp_path) == WHOLE


def test_where_no_server_is_the_error_says_so_after_some_tries(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    gone = Mirror(("127.0.0.1", 0), Answer)
    url = gone.url
    gone.server_close()
    with pytest.raises(InputError, match=r"refused.*3 times in a row.*--from"):
        told.fetch(tmp_path, url)
    with pytest.raises(InputError, match="https://"):
        told.fetch(tmp_path, tmp_path.as_uri())


@pytest.mark.parametrize("chunked", [False, True])
def test_more_than_was_ever_expected_is_not_taken(
    chunked: bool, mirror: Mirror, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.chunked = chunked  # which leaves out the length, too
    monkeypatch.setattr(irmas, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match=r"1000"):
        told.fetch(tmp_path, mirror.url)
    assert all(len(content) <= 1000 for content in below(tmp_path).values())


def test_a_server_that_tells_no_length_is_believed_by_the_md5_alone(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    mirror.chunked = True
    told.fetch(tmp_path, mirror.url)
    assert below(tmp_path) == WHOLE


# --- the disk


def test_a_disk_without_room_is_noticed_before_anything_comes(
    mirror: Mirror, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=int(1.5 * len(ARCHIVE))))
    with pytest.raises(OutputError, match=r"needs 0\.00 GB.*make room"):
        told.fetch(tmp_path, mirror.url)
    assert below(tmp_path) == {}


def test_a_disk_that_fills_up_meanwhile_leaves_what_came(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    def full(what: str, done: int, total: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match=r"No space left on device.*the same command goes on"):
        told.fetch(tmp_path, mirror.url, progress=full)
    assert ARCHIVE.startswith(below(tmp_path)[f"{NAME}.part"])
    told.fetch(tmp_path, mirror.url)
    assert below(tmp_path) == WHOLE


@pytest.mark.parametrize("when", [NAME, f"{NAME}, checking", "IRMAS-TrainingData, unpacking"])
def test_wherever_it_is_interrupted_the_next_call_goes_on(
    when: str, mirror: Mirror, told: Told, tmp_path: Path
) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if what == when:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        told.fetch(tmp_path, mirror.url, progress=interrupt)
    left = below(tmp_path)
    assert all(WHOLE[place] == content for place, content in left.items() if place in WHOLE)
    sent = mirror.sent
    found = told.fetch(tmp_path, mirror.url)
    assert below(tmp_path) == WHOLE
    if when != NAME:
        assert mirror.sent == sent
    if "unpacking" in when:
        assert f"{NAME}.whole" in left
        assert found.parts[0].written == 5


def test_a_second_call_asks_for_nothing_and_changes_nothing(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    told.fetch(tmp_path, mirror.url)
    mirror.asked.clear()
    found = told.fetch(tmp_path, mirror.url)
    assert mirror.asked == []
    assert (found.parts[0].files, found.parts[0].written) == (6, 0)


def test_a_clip_that_was_changed_since_is_not_overwritten_unless_forced(
    mirror: Mirror, told: Told, tmp_path: Path
) -> None:
    told.fetch(tmp_path, mirror.url)
    clip = tmp_path / next(iter(WHOLE))
    clip.write_bytes(b"mine")
    mirror.asked.clear()
    with pytest.raises(OutputError, match=r"0001__1\.wav: already there, and another file.*--force"):
        told.fetch(tmp_path, mirror.url)
    assert (clip.read_bytes(), mirror.asked) == (b"mine", [])
    assert told.fetch(tmp_path, mirror.url, force=True).parts[0].written == 1
    assert below(tmp_path) == WHOLE


def test_a_clip_that_is_gone_is_fetched_again(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    told.fetch(tmp_path, mirror.url)
    (tmp_path / next(iter(WHOLE))).unlink()
    assert told.fetch(tmp_path, mirror.url).parts[0].written == 1
    assert below(tmp_path) == WHOLE


def test_an_archive_that_is_kept_serves_the_next_call(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    found = told.fetch(tmp_path, mirror.url, keep_zip=True)
    assert found.parts[0].archive == tmp_path / NAME
    assert below(tmp_path) == {**WHOLE, NAME: ARCHIVE}
    shutil.rmtree(tmp_path / "IRMAS-TrainingData")
    mirror.asked.clear()
    told.fetch(tmp_path, mirror.url)
    assert (below(tmp_path), mirror.asked) == ({**WHOLE, NAME: ARCHIVE}, [])


def test_a_target_that_is_a_file_is_refused(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be written"):
        told.fetch(tmp_path / "file", mirror.url)


# --- local copies


def test_a_local_archive_is_unpacked_and_left_where_it_is(mirror: Mirror, told: Told, tmp_path: Path) -> None:
    copy = tmp_path / "copies" / NAME
    copy.parent.mkdir()
    copy.write_bytes(ARCHIVE)
    for source in (copy, copy.parent):
        told.fetch(tmp_path / f"to-{source.name}", "http://none", source=source)
        assert below(tmp_path / f"to-{source.name}") == WHOLE
    assert copy.read_bytes() == ARCHIVE


@pytest.mark.parametrize(
    ("places", "complaint"),
    [
        ({NAME: ARCHIVE[:-1]}, "not the archive that IRMAS's authors give out"),
        ({"IRMAS-TrainingData/cel/a.wav": b"x"}, "unpacked already"),
        ({"other.zip": ARCHIVE}, rf"{NAME} was expected there"),
        ({}, "was expected there"),
    ],
)
def test_a_local_place_without_the_archive_is_refused(
    places: dict[str, bytes], complaint: str, mirror: Mirror, told: Told, tmp_path: Path
) -> None:
    for place, content in places.items():
        (tmp_path / "from" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / place).write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        told.fetch(tmp_path / "to", "http://none", source=tmp_path / "from")
    assert not (tmp_path / "to").exists()


def test_an_unknown_part_is_refused_with_those_there_are(told: Told, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'test' is no part of IRMAS.*testing1"):
        told.fetch(tmp_path, "http://none", parts=["test"])


def test_the_parts_are_those_of_the_record_and_of_the_command() -> None:
    assert {one.archive: one.md5 for one in irmas.PARTS.values()} == {
        "IRMAS-TrainingData.zip": "4fd9f5ed5a18d8e2687e6360b5f60afe",
        "IRMAS-TestingData-Part1.zip": "5a2e65520dcedada565dff2050bb2a56",
        "IRMAS-TestingData-Part2.zip": "afb0c8ea92f34ee653693106be95c895",
        "IRMAS-TestingData-Part3.zip": "9b3fb2d0c89cdc98037121c25bd5b556",
    }
    assert tuple(irmas.PARTS) == ASKED
    assert irmas.ZENODO == "https://zenodo.org/records/1290750/files"


# --- archives that want to do harm


def unpacked(archive: Path, folder: Path, *, force: bool = False) -> dict[str, bytes]:
    _irmas_unpack.unpack(archive, folder, force=force, progress=lambda *_: None)
    return below(folder)


def strange(name: str, *, mode: int = 0, flags: int = 0, more: bytes = b"x") -> bytes:
    """Pack one good file and one strange one."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("cel/good.wav", b"good")
        info = zipfile.ZipInfo(name)
        info.filename = info.orig_filename = name  # which ZipInfo made harmless
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = mode << 16
        archive.writestr(info, more)
        archive.filelist[-1].flag_bits |= flags
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (strange("../evil.wav"), "leads out of its folder"),
        (strange("cel/../../evil.wav"), "leads out of its folder"),
        (strange("cel\\..\\..\\evil.wav"), "leads out of its folder"),
        (strange("/tmp/evil.wav"), "has an absolute path"),
        (strange("\\evil.wav"), "has an absolute path"),
        (strange("C:\\evil.wav"), "has an absolute path"),
        (strange("cel/link.wav", mode=stat.S_IFLNK | 0o777, more=b"/etc/passwd"), "is a link or a device"),
        (strange("cel/null", mode=stat.S_IFCHR | 0o666), "is a link or a device"),
        (strange("cel/secret.wav", flags=1), "is encrypted"),
        (strange("cel/a\nb.wav"), "is no name for a file"),
        (strange("cel//good.wav"), "is in it twice"),
        (strange("cel/zeros.wav", more=bytes(70 << 20)), "unpacks to 73400324 bytes, more than"),
        (packed({}), "holds no file"),
        (b"no zip at all", "is no whole ZIP"),
        (ARCHIVE[:-30], "is no whole ZIP"),
        (ARCHIVE.replace(CLIPS["cel/[cel][cla]0002__1.wav"][:50], bytes(50)), "is no whole ZIP"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_archive_that_would_do_harm_is_refused_and_nothing_of_it_lands(
    data: bytes, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(InputError, match=complaint):
        unpacked(tmp_path / "a.zip", tmp_path / "in" / "IRMAS-TrainingData")
    landed = set(below(tmp_path)) - {"a.zip"}
    assert landed <= {f"in/{place}" for place in WHOLE}
    assert not any(place.endswith(".part") for place in landed)


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_irmas_unpack, "MOST_FILES", 5)
    (tmp_path / "a.zip").write_bytes(ARCHIVE)
    with pytest.raises(InputError, match="lists 6 files, more than 5"):
        unpacked(tmp_path / "a.zip", tmp_path / "in")


def test_a_link_inside_the_folder_leads_no_member_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(ARCHIVE)
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "cel").symlink_to(tmp_path / "out", target_is_directory=True)
    (tmp_path / "in" / "IRMAS-TrainingData").symlink_to(tmp_path / "out", target_is_directory=True)
    with pytest.raises(OutputError, match=r"leads out of .* by a link"):
        unpacked(tmp_path / "a.zip", tmp_path / "in")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_clip_that_is_a_link_is_never_written_through(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(ARCHIVE)
    target = tmp_path / "precious.wav"
    target.write_bytes(b"precious")
    clip = tmp_path / "IRMAS-TrainingData" / next(iter(CLIPS))
    clip.parent.mkdir(parents=True)
    clip.symlink_to(target)
    with pytest.raises(OutputError, match="already there"):
        unpacked(tmp_path / "a.zip", tmp_path / "IRMAS-TrainingData")
    unpacked(tmp_path / "a.zip", tmp_path / "IRMAS-TrainingData", force=True)
    assert target.read_bytes() == b"precious"
    assert not clip.is_symlink()


@pytest.mark.parametrize("top", ["IRMAS-TrainingData/", "", "Part1/"])
def test_every_part_lands_in_the_folder_of_its_name_and_not_in_two(top: str, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(packed({"cel/a.wav": b"x", "tru/b.wav": b"y"}, top=top))
    inside = "" if top.startswith("IRMAS") else top
    files = unpacked(tmp_path / "a.zip", tmp_path / "IRMAS-TrainingData")
    assert set(files) == {f"{inside}cel/a.wav", f"{inside}tru/b.wav"}


def test_what_file_managers_leave_in_archives_stays_there(tmp_path: Path) -> None:
    files = {"cel/a.wav": b"x", "cel/._a.wav": b"x", "cel/.DS_Store": b"x", "__MACOSX/cel/._a.wav": b"x"}
    (tmp_path / "a.zip").write_bytes(packed(files, top=""))
    assert set(unpacked(tmp_path / "a.zip", tmp_path / "in")) == {"cel/a.wav"}


def test_names_in_utf8_that_do_not_say_so_come_out_right_and_others_as_they_can(tmp_path: Path) -> None:
    data = packed({"cel/Ibérico-6.wav": b"x", "cel/plain.wav": b"y"}, top="")
    raw = "cel/Ibérico-6.wav".encode()
    plain = bytearray(data)
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        plain[data.index(signature) + flags + 1] &= ~0x08
    (tmp_path / "utf8.zip").write_bytes(bytes(plain))
    assert "cel/Ibérico-6.wav" in unpacked(tmp_path / "utf8.zip", tmp_path / "utf8")
    latin = bytes(plain).replace(raw, "cel/Ib\xe9ri_co-6.wav".encode("latin-1"))
    (tmp_path / "latin.zip").write_bytes(latin)
    assert len(unpacked(tmp_path / "latin.zip", tmp_path / "latin")) == 2


# --- the command


def test_the_command_unpacks_a_local_copy_and_tells_the_licence(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(NAME).write_bytes(ARCHIVE)
    said = run("data", "irmas", "--to", "irmas", "--from", ".")
    assert (said.code, said.err) == (0, "")
    assert f"training: 6 files in irmas/IRMAS-TrainingData, 6 of them new; the archive is {NAME}" in said.out
    assert "CC BY-NC-SA 3.0" in said.out
    again = json.loads(run("data", "irmas", "--to", "irmas", "--from", ".", "--json").out)
    assert [(one["part"], one["files"], one["written"]) for one in again["parts"]] == [("training", 6, 0)]


def test_the_command_tells_what_has_come_when_it_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, progress: Any, **__: object) -> None:
        progress(NAME, 5_000_000, 10_000_000)
        raise KeyboardInterrupt

    monkeypatch.setattr(irmas, "fetch_irmas", interrupted)
    monkeypatch.chdir(tmp_path)
    said = run("data", "irmas", "--to", "irmas", terminal=True)
    assert said.code == 130
    assert f"{NAME}, MB: 5 of 10" in said.err
    assert "what has come is kept in irmas; the same command goes on" in said.err
