from __future__ import annotations

import importlib.util
import shutil
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture(scope="module")
def phrases() -> ModuleType:
    return load("phrases")


@pytest.fixture(scope="module")
def render(phrases: ModuleType) -> ModuleType:
    return load("render_clips")


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses, and the other tool, look for it
    spec.loader.exec_module(module)
    return module


def read_midi(data: bytes) -> list[tuple[int, bytes]]:
    """Read a Standard MIDI File of one track, with running status absent: (tick, message) pairs."""
    kind, length, form, tracks, _ = struct.unpack(">4sIHHH", data[:14])
    assert (kind, length, form, tracks) == (b"MThd", 6, 0, 1)
    kind, length = struct.unpack(">4sI", data[14:22])
    assert (kind, length) == (b"MTrk", len(data) - 22)
    at, tick, messages = 22, 0, []
    while at < len(data):
        wait = 0
        while True:
            wait, more, at = wait << 7 | data[at] & 0x7F, data[at] & 0x80, at + 1
            if not more:
                break
        tick += wait
        status = data[at]
        size = 3 + data[at + 2] if status == 0xFF else 2 if status & 0xF0 == 0xC0 else 3
        messages.append((tick, data[at : at + size]))
        at += size
    return messages


@pytest.mark.parametrize(
    ("number", "written"),
    [(0, "00"), (0x7F, "7f"), (0x80, "8100"), (0x3FFF, "ff7f"), (0x4000, "818000"), (0x0FFFFFFF, "ffffff7f")],
)
def test_numbers_are_written_as_the_midi_standard_shows(phrases: Any, number: int, written: str) -> None:
    assert phrases.variable_length(number).hex() == written


def test_a_midi_file_holds_its_messages_at_their_times_and_ends_on_time(phrases: Any) -> None:
    events = [*phrases.note(0, 60, 100, 0.5, 0.25), phrases.control(0, 7, 300)]
    messages = read_midi(phrases.midi_file(events, 2.0))
    assert [(tick / phrases.TICKS, message.hex()) for tick, message in messages] == [
        (0.0, "ff51030f4240"),  # a quarter note lasts 1,000,000 microseconds
        (0.0, "b0077f"),
        (0.5, "903c64"),
        (0.75, "803c00"),
        (2.0, "ff2f00"),
    ]


def test_a_note_ends_before_the_same_note_begins_again_at_that_moment(phrases: Any) -> None:
    events = [*phrases.note(0, 60, 90, 1.0, 1.0), *phrases.note(0, 60, 90, 0.0, 1.0)]
    messages = [message.hex() for tick, message in read_midi(phrases.midi_file(events, 2)) if tick == 480]
    assert messages == ["803c00", "903c5a"]


def every_program(phrases: Any) -> list[tuple[str, int]]:
    return [(label, program) for label, programs in phrases.INSTRUMENTS.items() for program in programs]


def test_every_phrase_stays_in_its_instruments_range_and_ends_each_note(phrases: Any) -> None:
    for label, program in every_program(phrases):
        low, high = phrases.INSTRUMENTS[label][program]
        for seed in range(5):
            events = phrases.compose(label, program, np.random.default_rng(seed))
            mine = [e.message for e in events if e.message[0] & 0x0F == 0]
            on = [m[1] for m in mine if m[0] == 0x90]
            off = [m[1] for m in mine if m[0] == 0x80]
            assert len(on) > 0
            assert sorted(on) == sorted(off)
            assert low <= min(on)
            assert max(on) <= high
            assert bytes([0xC0, program]) in mine
            assert all(e.seconds >= 0 for e in events)
            assert all(byte < 0x80 for e in events for byte in e.message[1:])


def test_a_phrase_plays_through_to_its_end(phrases: Any) -> None:
    for label, program in every_program(phrases):
        events = phrases.compose(label, program, np.random.default_rng(1))
        assert max(e.seconds for e in events if e.message[0] == 0x80) > phrases.SECONDS - 4


def test_the_classes_are_those_of_irmas_in_their_order(phrases: Any) -> None:
    assert " ".join(phrases.INSTRUMENTS) == "cel cla flu gac gel org pia sax tru vio voi"


def test_an_accompaniment_never_plays_an_instrument_of_the_classes(phrases: Any) -> None:
    assert not {program for _, program in every_program(phrases)} & set(phrases.BACKINGS)


def test_a_recording_depends_on_seed_class_and_number_and_on_nothing_else(render: Any) -> None:
    fonts = [Path("FluidR3_GM.sf2"), Path("MuseScore_General_Full.sf3")]
    one = render.recording("flu", 3, fonts, 0)
    assert one == render.recording("flu", 3, fonts, 0)
    others = [("flu", 4, 0), ("flu", 3, 1), ("tru", 3, 0)]
    assert all(one.events != render.recording(label, n, fonts, seed).events for label, n, seed in others)
    assert (one.name, one.font) == ("[flu][musescore]0003", fonts[1])


def test_the_recordings_of_a_class_go_through_every_pair_of_font_and_program(render: Any, phrases: Any) -> None:
    fonts = [Path("a.sf2"), Path("b.sf2")]
    music = [render.recording("pia", number, fonts, 0) for number in range(8)]
    assert {(m.font, m.program) for m in music} == {(f, p) for f in fonts for p in phrases.INSTRUMENTS["pia"]}


def test_excerpts_are_three_seconds_to_the_sample_and_do_not_overlap(render: Any) -> None:
    music = render.recording("voi", 0, [Path("a.sf2")], 0)
    wave = np.arange(8 * 44100, dtype=np.float64)[:, None].repeat(2, axis=1)
    first, second = render.excerpts(music, wave)
    assert first.shape == second.shape == (132300, 2)
    assert first[-1, 0] < second[0, 0]
    assert not render.excerpts(music, wave[:0])[0].any()


def test_without_fluidsynth_the_tool_says_what_to_install(
    render: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    font = tmp_path / "a.sf2"
    font.touch()
    with pytest.raises(SystemExit, match="apt install fluidsynth"):
        render.main(["--font", str(font), "--to", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "complaint"),
    [(["--per-class", "3"], "multiple"), (["--font", "absent.sf2"], "no such file"), ([], "not empty")],
)
def test_a_wrong_wish_is_refused_before_anything_is_played(
    render: Any, more: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    font = tmp_path / "a.sf2"
    font.touch()
    with pytest.raises(SystemExit):
        render.main(["--font", str(font), "--to", str(tmp_path), *more])
    assert complaint in capsys.readouterr().err
