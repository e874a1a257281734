"""The page of an audit, without a browser: what is in it, what is not, and what its sounds and pictures hold."""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
import zlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from tests.report.audits import RATE, audit, row, written
from tests.world import run as command

from subterfuge.audio import Clip
from subterfuge.campaign.figures import figures_of
from subterfuge.campaign.rows import Audit, Row
from subterfuge.errors import InputError, OutputError
from subterfuge.hearing.noise_to_mask import noise_to_mask_of_channels
from subterfuge.outcome import outcome_path
from subterfuge.report._audit_command import command_of
from subterfuge.report._audit_items import charts_of
from subterfuge.report._audit_media import address, turns_of
from subterfuge.report._audit_outcomes import audit_of, check_place
from subterfuge.report._audit_pictures import pictures
from subterfuge.report.audit_page import page, write_page

HOSTILE = "<script>alert(1)</script> & \u2028 </script><!--"


def blocks(text: str) -> dict[str, str]:
    """The data of a page, by name."""
    found = re.findall(r'<script type="[a-z/]+" id="([^"]+)">(.*?)</script>', text, re.DOTALL)
    assert len(found) == len({name for name, _ in found})
    return dict(found)


def item(text: str, number: int = 0) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(blocks(text)[f"item-{number}"])
    return told


def made(one: Audit, **more: Any) -> str:
    return written(one, **more).read_text()


def sound(text: str, name: str) -> tuple[NDArray[np.float64], str]:
    raw = io.BytesIO(base64.b64decode(blocks(text)[f"s{name}"]))
    about = soundfile.info(raw)
    raw.seek(0)
    return soundfile.read(raw, always_2d=True)[0], f"{about.format} {about.subtype}"


# sounds


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_the_embedded_sounds_are_the_very_samples_with_the_bits_of_their_files(subtype: str, tmp_path: Path) -> None:
    one = row(tmp_path, 1, subtype=subtype, channels=2)
    text = made(audit(tmp_path, one))
    assert one.outcome is not None
    for name, place in zip(item(text)["sounds"], (one.job.path, tmp_path / one.outcome["file"]), strict=True):
        samples, kind = sound(text, name)
        assert np.array_equal(samples.T, Clip.read(place).samples)
        assert kind == f"FLAC {subtype}"


def test_a_sound_beyond_full_scale_is_lowered_with_its_twin_and_that_is_said(tmp_path: Path) -> None:
    one = row(tmp_path, 1, subtype="FLOAT")
    loud = np.array(Clip.read(one.job.path).samples.T) * 20
    soundfile.write(one.job.path, loud, RATE, subtype="FLOAT")
    assert one.outcome is not None
    changed = {**one.outcome, "clip": {**one.outcome["clip"], "sha256": None}}
    told = made(audit(tmp_path, replace(one, result={"outcome": changed})))
    assert any("dB lower than they are" in note for note in item(told)["notes"])
    before, after = (sound(told, name)[0] for name in item(told)["sounds"])
    peak = np.max(np.abs(loud))
    assert np.allclose(before, loud / peak, atol=2**-23)
    assert np.allclose(after, Clip.read(tmp_path / changed["file"]).samples.T / peak, atol=2**-23)


def test_a_page_of_twenty_noisy_stereo_clips_stays_under_thirty_megabytes_with_every_best_win(tmp_path: Path) -> None:
    shape: dict[str, Any] = {"seconds": 3.0, "rate": 44100, "channels": 2, "level": 0.3}
    few = [row(tmp_path, 2 * i + k, clip=i, snr_db=30.0 + 5 * k, **shape) for i in range(2) for k in range(2)]
    text = made(audit(tmp_path, *few))
    held = {name: len(content) for name, content in blocks(text).items() if name.startswith("s")}
    best = [json.loads(blocks(text)[f"item-{i}"])["sounds"] for i in (1, 3)]
    drawn = len(text) - sum(held.values())
    twenty = 10 * sum(held[f"s{name}"] for pair in best for name in pair)  # pairs of two clips, so of twenty
    assert twenty < 30e6 - 10 * drawn / 2, (twenty, drawn)


def test_what_has_no_room_is_the_second_best_win_first_and_is_said(tmp_path: Path) -> None:
    rows = [row(tmp_path, i, clip=i // 2, snr_db=30.0 + 10 * (i % 2)) for i in range(6)]
    whole = made(audit(tmp_path, *rows))
    sizes = [sum(len(blocks(whole)[f"s{name}"]) for name in item(whole, i)["sounds"]) for i in range(6)]
    room = len(whole) - min(sizes) // 2
    less = made(audit(tmp_path, *rows), most_bytes=room)
    assert len(less) <= room
    without = [i for i in range(6) if "sounds" not in item(less, i)]
    assert without
    assert set(without) <= {0, 2, 4}, "the wins with less SNR"
    assert [one["place"] for one in json.loads(blocks(less)["list"]) if not one["sounds"]] == without
    assert all("want of room" in " ".join(item(less, i)["notes"]) for i in without)
    none = made(audit(tmp_path, *rows), most_bytes=1)
    assert not any(name.startswith("s") for name in blocks(none))


def test_wins_of_one_clip_share_its_sound_and_its_pictures(tmp_path: Path) -> None:
    one, other = (item(made(audit(tmp_path, *(row(tmp_path, i, clip=0) for i in (1, 2)))), k) for k in (0, 1))
    assert one["sounds"][0] == other["sounds"][0]
    assert one["sounds"][1] != other["sounds"][1]
    assert one["picture"]["before"] == other["picture"]["before"]
    assert one["picture"]["change"] != other["picture"]["change"]


def test_a_long_sound_is_cut_to_the_ten_seconds_that_changed_most_and_that_is_said(tmp_path: Path) -> None:
    def late(before: NDArray[np.float64]) -> NDArray[np.float64]:
        after = before.copy()
        after[12 * RATE : 14 * RATE] += 0.02
        return after

    one = row(tmp_path, 1, seconds=20.0, change=late)
    text = made(audit(tmp_path, one))
    told = item(text)
    assert told["whole"] == 20.0
    assert told["seconds"] == 10.0
    assert 4.0 <= told["start"] <= 12.0
    assert "an excerpt" in told["notes"][0]
    assert "100 % of its energy" in told["notes"][0]
    begin = round(told["start"] * RATE)
    assert np.array_equal(
        sound(text, told["sounds"][0])[0].T, Clip.read(one.job.path).samples[:, begin:][:, : 10 * RATE]
    )


@pytest.mark.parametrize("harm", ["gone", "replaced", "cut", "folder"])
def test_a_file_that_is_gone_or_damaged_is_told_and_the_page_is_made(harm: str, tmp_path: Path) -> None:
    one, other = row(tmp_path, 1), row(tmp_path, 2)
    assert one.outcome is not None
    file = tmp_path / one.outcome["file"]
    if harm in ("gone", "folder"):
        file.unlink()
    if harm == "folder":
        file.mkdir()
    if harm == "replaced":
        file.write_bytes((tmp_path / other.outcome["file"]).read_bytes() if other.outcome else b"")
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:30])
    text = made(audit(tmp_path, one, other))
    assert "sounds" not in item(text, 0)
    assert "not shown: the changed file" in item(text, 0)["notes"][0]
    assert "sounds" in item(text, 1)


# pictures


def test_the_share_of_cells_above_the_threshold_is_the_one_that_is_measured(tmp_path: Path) -> None:
    one = row(tmp_path, 1, channels=2, snr_db=0.0, rate=16000)
    assert one.outcome is not None
    before, after = (Clip.read(place).samples for place in (one.job.path, tmp_path / one.outcome["file"]))
    measured = noise_to_mask_of_channels(before, after, 16000)
    told = item(made(audit(tmp_path, one)))["picture"]
    assert measured is not None
    assert 0.01 < told["share_above"] == pytest.approx(measured.share_above, abs=1e-4)


def unpacked(told: dict[str, Any], kind: str) -> NDArray[np.int64]:
    cells = np.frombuffer(zlib.decompress(base64.b64decode(told[kind])), np.uint8)
    return np.cumsum(cells.reshape(told["rows"], told["columns"]), axis=1, dtype=np.uint8).astype(int)


def test_a_tone_stands_in_the_row_of_its_pitch_at_its_level() -> None:
    rate, hz = 16000, 1000.0
    tone = 0.1 * np.sin(2 * np.pi * hz * np.arange(rate) / rate)[None]
    told = pictures(tone, tone * (1 + 10 ** (-40 / 20)), rate)
    before, change = unpacked(told, "before"), unpacked(told, "change")
    top = 2595 * np.log10(1 + rate / 2 / 700)
    expected = int(96 * 2595 * np.log10(1 + hz / 700) / top)
    middle = before[:, 20:-20]
    assert np.all(np.argmax(middle, axis=0) == expected)
    assert abs(middle[expected].mean() - 200 - -20) < 6, "the mean of a band's few lines is below the line"
    assert np.all(middle[expected] - change[expected, 20:-20] == 40)
    assert not unpacked(told, "above").any()


# links, commands, what outcomes say


def test_addresses_are_relative_and_hold_no_scheme() -> None:
    page_at = Path("/a/out/page.html")
    assert address(Path("/a/out/sounds/x.wav"), page_at) == "sounds/x.wav"
    assert address(Path("/a/b/[x] #1?.wav"), page_at) == "../b/%5Bx%5D%20%231%3F.wav"
    assert address(Path("/a/out/javascript:alert(1)"), page_at) == "javascript%3Aalert%281%29"


def test_the_best_win_of_every_clip_comes_before_any_second_best(tmp_path: Path) -> None:
    rows = [row(tmp_path, i, clip=i // 2, snr_db=db) for i, db in enumerate((30.0, 50.0, 45.0, 20.0))]
    turns = turns_of(rows)
    assert sorted(turns, key=lambda place: turns[place]) == [1, 2, 0, 3]


def test_a_command_is_put_together_for_a_shell_and_a_recorded_one_is_kept(tmp_path: Path) -> None:
    outcome = dict(row(tmp_path, 1, name="a").outcome or {})
    nasty = "/tmp/it's; rm -rf $HOME/`a`.wav"
    told = {**outcome, "clip": {"path": nasty}, "limit": "snr=40", "knobs": {"climb": 601, "starts": [None, 46.0]}}
    words = shlex.split(command_of(told) or "")
    assert words[:3] == ["subterfuge", "attack", nasty]
    pairs = list(pairwise(words))
    for pair in [
        ("--target", "high"),
        ("--limit", "snr=40"),
        ("--seed", "3"),
        ("-o", "climb=601"),
        ("-o", "starts=inf,46"),
    ]:
        assert pair in pairs
    assert "--queries" not in words
    assert command_of({**outcome, "command": "subterfuge attack x"}) == "subterfuge attack x"


def test_a_search_on_a_substitute_is_repeated_by_the_audit_alone(tmp_path: Path) -> None:
    one = row(tmp_path, 1, probe="substitute")
    one = replace(one, result={**one.result, "substitute": {"queries": 600, "agreement": 0.9}})
    found = audit(tmp_path, one)
    found = replace(found, setting={**found.setting, "clips": 11, "targets": 1, "queries": 600})
    told = item(made(found))
    assert told["command"] is None, "the white box on the victim is another attack"
    command = re.findall("`(.*)`", told["otherwise"])[0]
    assert command == (
        "subterfuge audit bands.toml CLIPS --quick --clips 11 --targets 1 --queries 600 --seed 0 --out DIR --only "
        "substitute"
    )
    assert one.outcome is not None
    alone = {**one.outcome, "victim": {**one.outcome["victim"], "searched_on": "a substitute (0123456789ab)"}}
    assert command_of(alone) is None
    assert command_of({**alone, "command": "subterfuge attack x --on y"}) == "subterfuge attack x --on y"
    told = item(made(audit(tmp_path, replace(one, result={"outcome": alone}))))
    assert told["command"] is None
    assert "a substitute (0123456789ab)" in told["otherwise"]


def test_generations_become_charts_of_fitness_and_diversity() -> None:
    bred = [{"queries": 40 * i, "best": i / 9, "mean": i / 18, "diversity": 9 - i} for i in range(9)]
    charts = {one["title"]: one for one in charts_of({"findings": {"generations": bred}})}
    assert [line["name"] for line in charts["Fitness of a generation"]["lines"]] == ["best", "mean"]
    assert charts["Diversity"]["lines"][0]["points"][-1] == [320, 1]
    assert "Quietest win so far" not in charts


@pytest.mark.parametrize("history", [[], [{}], [{"queries": None, "margin": "x"}] * 3, None, "no list"])
def test_an_odd_history_is_left_out(history: object) -> None:
    assert charts_of({"history": history, "findings": history}) == []


# the page


def bare(*rows: Row, folder: Path) -> str:
    return page(audit(folder, *rows), {}, {}, folder / "audit.html")


def test_nothing_in_names_labels_notes_or_commands_becomes_markup(tmp_path: Path) -> None:
    one = row(tmp_path, 1, name=HOSTILE, label=HOSTILE, target=HOSTILE, probe="white", command=HOSTILE, advice=HOSTILE)
    failed = Row(replace(one.job, number=2, probe=HOSTILE), "x", "failed", {}, HOSTILE)
    clean = Row(replace(one.job, number=3, probe="clean"), "y", "done", {"answer": HOSTILE, "right": True})
    doubts = ({"sign": HOSTILE, "hides": True, "words": HOSTILE},)
    found = audit(tmp_path, one, failed, clean, doubts=doubts, notes=(HOSTILE,))
    victim = {**found.setting["victim"], "name": HOSTILE}
    text = made(replace(found, setting={**found.setting, "victim": victim, "data": HOSTILE}))
    assert "<script>alert" not in text
    assert "<!--" not in text.replace(HOSTILE, "")
    plain = bare(row(tmp_path, 1), folder=tmp_path)
    count = lambda page: len(re.findall("<script", page))  # noqa: E731
    assert count(text) == count(plain) + 1 + 0, "one item more"
    assert text.count("</script>") == count(text)
    data = "".join(content for name, content in blocks(text).items() if name.startswith(("item", "list", "charts")))
    assert not re.search("[<>&\u2028\u2029]", data)
    assert json.loads(blocks(text)["list"])[0]["name"] == HOSTILE
    assert item(text)["command"] == HOSTILE


def test_the_page_forbids_every_request_and_holds_no_address_of_the_network(tmp_path: Path) -> None:
    text = bare(row(tmp_path, 1), folder=tmp_path)
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert len(policy) == 1
    assert policy[0].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy[0]
    assert not re.search(r'(src|href)="(https?:)?//', text)
    assert not re.search(r"style=|\son[a-z]+=\"", text)


def test_whatever_figures_and_scorecard_lack_is_left_out(tmp_path: Path) -> None:
    text = bare(folder=tmp_path)
    assert "Audit of <b>bands</b>" in text
    assert 'id="searches"' not in text
    assert json.loads(blocks(text)["list"]) == []
    odd = {
        "searches": [{}],
        "curves": [{"axis": "snr_db"}],
        "classes": [{}],
        "pairs": None,
        "survival": {},
        "clean": [],
    }
    assert "Audit of" in page(audit(tmp_path), odd, {"verdict": "weak", "sentences": ["It is."]}, tmp_path / "a.html")


def test_a_lost_a_failed_and_an_unasked_search_are_told(tmp_path: Path) -> None:
    won = row(tmp_path, 1)
    assert won.outcome is not None
    lost = {**won.outcome, "won": False, "file": None, "snr_db": 12.0, "predicted": "low", "advice": "try more"}
    rows = [
        replace(won, result={"outcome": lost}),
        Row(won.job, "2", "failed", {}, "VictimError: it died"),
        Row(won.job, "3", "left"),
    ]
    text = made(audit(tmp_path, *rows))
    lines = json.loads(blocks(text)["list"])
    assert [one["state"] for one in lines] == ["lost", "failed", "left"]
    assert lines[0]["snr"] is None, "what a lost search reached is no figure"
    assert "try more" in item(text, 0)["says"][-1]
    assert "it died" in item(text, 1)["says"][0]


def test_the_same_audit_gives_the_same_page(tmp_path: Path) -> None:
    rows = [row(tmp_path, i) for i in range(3)]
    assert bare(*rows, folder=tmp_path) == bare(*rows, folder=tmp_path)


class Told:
    """Figures, or a scorecard, that say nothing."""

    def json(self) -> dict[str, Any]:
        return {}


def test_a_fault_in_the_making_leaves_the_old_page_and_nothing_else(tmp_path: Path, monkeypatch: Any) -> None:
    found, told, place = audit(tmp_path, row(tmp_path, 1)), Told(), tmp_path / "out" / "audit.html"
    write_page(found, told, told, place)  # type: ignore[arg-type]
    old = place.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write_page(replace(found, notes=("new",)), told, told, place)  # type: ignore[arg-type]
    assert place.read_bytes() == old
    assert list(place.parent.iterdir()) == [place]
    with pytest.raises(OutputError, match="the clip itself"):
        write_page(found, told, told, found.rows[0].job.path)  # type: ignore[arg-type]


# of outcomes, and the command


def records(folder: Path, *numbers: int) -> list[Path]:
    """Outcomes beside their sounds, as single attacks leave them."""
    places = []
    for number in numbers:
        one = row(folder, number)
        assert one.outcome is not None
        places.append(outcome_path(folder / one.outcome["file"]))
        places[-1].write_text(json.dumps({**one.outcome, "file": str(folder / one.outcome["file"])}))
    return places


def test_outcomes_make_an_audit_of_a_row_each(tmp_path: Path) -> None:
    places = records(tmp_path, 1, 2)
    found = audit_of([places[0], places[1].with_name("2.wav")])
    assert [(one.job.name, one.job.probe, one.state) for one in found.rows] == [
        ("clip1", "quietest", "done"),
        ("clip2", "quietest", "done"),
    ]
    assert found.setting["victim"]["name"] == "bands"
    assert audit_of([tmp_path]).rows == found.rows


def test_bad_sources_of_a_page_are_told(tmp_path: Path) -> None:
    place = records(tmp_path, 1)[0]
    with pytest.raises(InputError, match="the same outcome"):
        audit_of([place, place])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"without audit\.ledger and without outcomes"):
        audit_of([tmp_path / "empty"])
    place.write_text("{}")
    with pytest.raises(InputError, match="no schema"):
        audit_of([place])
    with pytest.raises(InputError, match="give a ledger alone"):
        audit_of([tmp_path / "a.ledger", place])


def test_not_even_by_force_is_a_page_written_over_the_victim_or_what_an_audit_left(tmp_path: Path) -> None:
    card, model, listed = (tmp_path / "victim" / name for name in ("bands.toml", "net.onnx", "b.npz"))
    card.parent.mkdir()
    card.write_text('[model]\nfile = "net.onnx"\nmore = ["b.npz"]\n', encoding="utf-8")
    found = audit(tmp_path, row(tmp_path, 1))
    found = replace(found, setting={**found.setting, "victim": {**found.setting["victim"], "card": str(card)}})
    kept = [tmp_path / name for name in ("audit.json", "audit.csv", "junit.xml", "audit.ledger")]
    for place in (card, model, listed, *kept):
        if place != card:
            place.write_text("mine", encoding="utf-8")
        with pytest.raises(OutputError, match="never overwritten, not even by force"):
            check_place(place, found, [tmp_path], force=True)
    (tmp_path / "audit.html").write_text("old", encoding="utf-8")
    check_place(tmp_path / "audit.html", found, [tmp_path], force=True)


def test_one_clip_and_one_search_are_singular_on_the_page(tmp_path: Path) -> None:
    text = made(audit(tmp_path, row(tmp_path, 1)))
    assert "1 clip attacked in 1 search<" in text
    two = made(audit(tmp_path, row(tmp_path, 1), row(tmp_path, 2)))
    assert "2 clips attacked in 2 searches<" in two


def test_the_command_prints_the_page_last_and_overwrites_nothing_that_it_reads(tmp_path: Path) -> None:
    place, out = records(tmp_path, 1)[0], tmp_path / "page.html"
    said = command("report", place, "--out", out)
    assert said.code == 0
    assert said.out.splitlines()[-1] == str(out)
    assert f"subterfuge listen {tmp_path / 'sounds' / 'white' / '1.wav'} --out" in said.out, "the file, not a folder"
    assert "Audit of <b>bands</b>" in out.read_text()
    said = command("report", place, "--out", out)
    assert (said.code, "exists already" in said.err) == (2, True)
    said = command("report", place, "--out", out, "--force", "--json")
    assert (said.code, json.loads(said.out)["page"]) == (0, str(out))
    for source in (place, tmp_path / "sounds" / "white" / "1.wav", tmp_path / "clips" / "clip1.wav"):
        kept = source.read_bytes()
        said = command("report", place, "--out", source, "--force")
        assert (said.code, "never overwritten" in said.err) == (2, True)
        assert source.read_bytes() == kept


def test_a_file_that_nobody_has_judged_is_neither_won_nor_lost(tmp_path: Path) -> None:
    places, out = records(tmp_path, 1, 2), tmp_path / "page.html"
    record = json.loads(places[1].read_text())
    places[1].write_text(json.dumps({**record, "won": False, "predicted": "not asked"}))
    found = audit_of(places)
    assert [(one.state, one.outcome is None) for one in found.rows] == [("done", False), ("failed", True)]
    (search,) = figures_of(found).searches
    assert (search.won, search.asked) == (1, 1)
    said = command("report", *places, "--out", out)
    assert said.code == 0
    assert "neither won nor lost: the victim died before it judged the file" in out.read_text()
    said = command("report", places[1], "--out", tmp_path / "alone.html")
    assert said.code == 0
    sound = places[1].with_name("2.wav")
    assert "wins 0 of 1" not in said.out
    assert f"`subterfuge transfer {sound} --to CARD`" in said.out
    assert "--retry" not in said.out
    said = command("report", places[1], "--out", sound, "--force")
    assert (said.code, "never overwritten" in said.err) == (2, True)
