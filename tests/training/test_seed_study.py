from __future__ import annotations

import hashlib
import os
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from subterfuge.errors import InputError, OutputError
from subterfuge.training import seed_study
from subterfuge.training.seed_study import SeedStudy, fetch_seed_study
from subterfuge.training.seed_study_files import COMMIT, FILES, RAW, StudyFile

LABELS = ["cel", "cla", "flu", "gac", "gel", "org", "pia", "sax", "tru", "vio", "voi"]


def contents(place: str) -> bytes:
    """Some bytes of more than one piece, different for each place."""
    return place.encode() * (70_000 // len(place) + 1)


@pytest.fixture
def little_study(monkeypatch: pytest.MonkeyPatch) -> tuple[StudyFile, ...]:
    """The study's file list with invented contents, so that what is fetched needs no real study."""
    files = tuple(
        StudyFile(f.place, len(contents(f.place)), hashlib.sha256(contents(f.place)).hexdigest()) for f in FILES
    )
    monkeypatch.setattr(seed_study, "FILES", files)
    return files


class Shelf(ThreadingHTTPServer):
    """A web server of the study's repository that can misbehave."""

    files: dict[str, bytes]
    broken: str | None = None
    asked: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Shelf

    def do_GET(self) -> None:
        path = unquote(self.path).lstrip("/")
        self.server.asked.append(path)
        data = self.server.files.get(path)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if path == self.server.broken else data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def shelf(little_study: tuple[StudyFile, ...]) -> Iterator[Shelf]:
    server = Shelf(("127.0.0.1", 0), Answer)
    server.files = {f.remote: contents(f.place) for f in little_study if f.remote}
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def lay_out(folder: Path, places: dict[str, bytes], mode: int = 0o644) -> Path:
    for place, data in places.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode)
    return folder


def below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


CARDS = {"tuned.toml", "noisy.toml", "denoise.toml"}


def test_a_download_brings_models_evolved_files_and_cards_and_says_which_clips_it_cannot_bring(
    shelf: Shelf, tmp_path: Path
) -> None:
    told: list[tuple[str, int, int]] = []
    study = fetch_seed_study(tmp_path / "s", base_url=shelf.url, progress=lambda *args: told.append(args))
    expected = {f.place for f in FILES if not f.place.startswith("clips/")}
    assert below(tmp_path / "s") == expected | CARDS
    assert all((tmp_path / "s" / place).read_bytes() == contents(place) for place in expected)
    assert set(study.fetched) == expected
    assert [place[:6] for place in study.missing] == ["clips/"] * 4
    assert "zenodo.org/records/1290750" in study.advice
    assert "--from" in study.advice
    assert [(done, of) for _, done, of in told] == [(n, 13) for n in range(1, 14)]


def test_a_second_fetch_keeps_what_is_right_and_asks_for_nothing(shelf: Shelf, tmp_path: Path) -> None:
    fetch_seed_study(tmp_path, base_url=shelf.url)
    shelf.asked.clear()
    again = fetch_seed_study(tmp_path, base_url=shelf.url)
    assert shelf.asked == []
    assert len(again.kept) == 13
    assert again.fetched == ()
    assert {card.name for card in again.cards} == CARDS


def test_a_broken_off_download_leaves_no_piece_and_the_next_call_goes_on(shelf: Shelf, tmp_path: Path) -> None:
    shelf.broken = "code/model/their_tuned_model.pkl"
    with pytest.raises(InputError, match=r"their_tuned_model\.pkl.*(broke off|download failed).*try again"):
        fetch_seed_study(tmp_path, base_url=shelf.url)
    whole = below(tmp_path)
    assert whole == {"models/std_scaler.bin", "models/std_scaler_denoise.bin", "models/std_scaler_noisy.bin"}
    shelf.broken = None
    study = fetch_seed_study(tmp_path, base_url=shelf.url)
    assert set(study.kept) == whole
    assert len(study.fetched) == 10


def test_a_file_with_a_wrong_checksum_is_refused_and_dropped(shelf: Shelf, tmp_path: Path) -> None:
    place = "models/their_tuned_model.pkl"
    shelf.files["code/model/their_tuned_model.pkl"] = contents(place).swapcase()
    with pytest.raises(InputError, match=r"their_tuned_model\.pkl: what came is another file"):
        fetch_seed_study(tmp_path, base_url=shelf.url)
    assert not (tmp_path / place).exists()
    assert not any(name.endswith(".part") for name in below(tmp_path))


def test_of_a_file_that_is_too_long_no_more_is_read_than_shows_it(shelf: Shelf, tmp_path: Path) -> None:
    shelf.files["code/model/std_scaler.bin"] = contents("models/std_scaler.bin") + bytes(1 << 20)
    with pytest.raises(InputError, match=r"std_scaler\.bin: what came is another file"):
        fetch_seed_study(tmp_path, base_url=shelf.url)
    assert below(tmp_path) == set()


def test_an_answer_of_404_names_the_address_and_a_way_out(shelf: Shelf, tmp_path: Path) -> None:
    del shelf.files["docs/assets/[tru][cla]1954__3-to-flu.wav"]
    with pytest.raises(InputError, match=r"%5Btru%5D.*404.*--from FOLDER"):
        fetch_seed_study(tmp_path, base_url=shelf.url)


def test_without_a_network_the_error_is_one_sentence_with_a_way_out(shelf: Shelf, tmp_path: Path) -> None:
    gone = Shelf(("127.0.0.1", 0), Answer)
    url = gone.url
    gone.server_close()
    with pytest.raises(InputError, match=r"download failed.*--from FOLDER"):
        fetch_seed_study(tmp_path, base_url=url)


def test_a_download_that_takes_too_long_is_given_up(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not whole after 0 s"):
        fetch_seed_study(tmp_path, base_url=shelf.url, file_seconds=0)


def test_an_address_that_is_no_web_address_is_refused(little_study: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="https://"):
        fetch_seed_study(tmp_path, base_url=tmp_path.as_uri())


def test_a_file_that_differs_is_kept_unless_forced(shelf: Shelf, tmp_path: Path) -> None:
    mine = tmp_path / "models" / "their_tuned_model.pkl"
    lay_out(tmp_path, {"models/their_tuned_model.pkl": b"mine", "tuned.toml": b"# mine\n"})
    with pytest.raises(OutputError, match=r"their_tuned_model\.pkl, .*tuned\.toml: already there"):
        fetch_seed_study(tmp_path, base_url=shelf.url)
    assert shelf.asked == []
    assert mine.read_bytes() == b"mine"
    fetch_seed_study(tmp_path, base_url=shelf.url, force=True)
    assert mine.read_bytes() == contents("models/their_tuned_model.pkl")
    assert tomllib.loads((tmp_path / "tuned.toml").read_text())["name"] == "tuned"


def test_a_target_that_is_a_file_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        fetch_seed_study(tmp_path / "file", base_url=shelf.url)


def test_a_read_only_local_copy_becomes_writable_files(little_study: tuple[StudyFile, ...], tmp_path: Path) -> None:
    source = lay_out(tmp_path / "from", {f.place: contents(f.place) for f in little_study}, mode=0o444)
    study = fetch_seed_study(tmp_path / "to", source=source)
    assert (study.missing, study.advice) == ((), "")
    assert below(tmp_path / "to") == {f.place for f in little_study} | CARDS
    assert all((tmp_path / "to" / f.place).stat().st_mode & 0o200 for f in little_study)


def test_a_checkout_of_the_repository_and_then_irmas_give_the_whole_study(
    little_study: tuple[StudyFile, ...], tmp_path: Path
) -> None:
    checkout = lay_out(tmp_path / "git", {f.remote: contents(f.place) for f in little_study if f.remote})
    first = fetch_seed_study(tmp_path / "to", source=checkout)
    assert len(first.missing) == 4
    clips = {f"{f.label}/{f.name}": contents(f.place) for f in little_study if f.remote is None}
    assert {place[:4] for place in clips} == {"flu/", "cel/", "tru/", "voi/"}
    second = fetch_seed_study(tmp_path / "to", source=lay_out(tmp_path / "IRMAS-TrainingData", clips))
    assert second.missing == ()
    assert len(second.kept) == 13


def test_from_irmas_alone_no_card_points_to_a_model_that_is_not_there(
    little_study: tuple[StudyFile, ...], tmp_path: Path
) -> None:
    clips = {f"{f.label}/{f.name}": contents(f.place) for f in little_study if f.remote is None}
    study = fetch_seed_study(tmp_path / "to", source=lay_out(tmp_path / "irmas", clips))
    assert study.cards == ()
    assert "models/std_scaler.bin" in study.advice
    assert "without --from" in study.advice


def test_a_local_file_of_the_right_name_and_wrong_contents_is_refused(
    little_study: tuple[StudyFile, ...], tmp_path: Path
) -> None:
    source = lay_out(tmp_path / "from", {"models/std_scaler.bin": b"another"})
    with pytest.raises(InputError, match=r"std_scaler\.bin: not the study's file"):
        fetch_seed_study(tmp_path / "to", source=source)
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("place", ["absent", "empty"])
def test_a_source_without_the_study_is_refused(place: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"expected .*IRMAS"):
        fetch_seed_study(tmp_path / "to", source=tmp_path / place)


def test_the_cards_name_the_models_labels_and_recipe(little_study: tuple[StudyFile, ...], tmp_path: Path) -> None:
    source = lay_out(tmp_path / "from", {f.place: contents(f.place) for f in little_study})
    study = fetch_seed_study(tmp_path / "to", source=source)
    cards = {path.name: tomllib.loads(path.read_text()) for path in study.cards}
    common = {
        "schema": 1,
        "kind": "sklearn",
        "labels": LABELS,
        "sample_rate": 44100,
        "features": "librosa-mean-25",
    }
    for name, suffix, more in [
        ("tuned", "", {}),
        ("noisy", "_noisy", {}),
        ("denoise", "_denoise", {"preprocess": "noisereduce"}),
    ]:
        model = {"model": f"models/their_tuned_model{suffix}.pkl", "scaler": f"models/std_scaler{suffix}.bin"}
        assert cards[f"{name}.toml"] == {**common, **model, **more, "name": name}
        assert (tmp_path / "to" / model["model"]).is_file()


def test_every_key_of_a_card_is_explained_in_the_line_above_it(
    little_study: tuple[StudyFile, ...], tmp_path: Path
) -> None:
    source = lay_out(tmp_path / "from", {f.place: contents(f.place) for f in little_study})
    for path in fetch_seed_study(tmp_path / "to", source=source).cards:
        lines = path.read_text().splitlines()
        keys = [number for number, line in enumerate(lines) if not line.startswith("#") and "=" in line]
        assert len(keys) >= 8
        assert all(lines[number - 1].startswith("# ") for number in keys)


def test_the_real_study_is_what_the_checksums_say(seed_study: Path, tmp_path: Path) -> None:
    study: SeedStudy = fetch_seed_study(tmp_path / "to", source=seed_study)
    assert study.missing == ()
    for file in FILES:
        copy = (tmp_path / "to" / file.place).read_bytes()
        assert copy == (seed_study / file.place).read_bytes()
        assert (len(copy), hashlib.sha256(copy).hexdigest()) == (file.size, file.sha256)
        assert os.access(tmp_path / "to" / file.place, os.W_OK)


def test_the_download_is_pinned_to_a_commit() -> None:
    assert len(bytes.fromhex(COMMIT)) == 20
    assert RAW.endswith(COMMIT)
