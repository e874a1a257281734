"""What goes out is what came in, and it goes out whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from subterfuge.audio import Clip
from subterfuge.audio.place import check_target
from subterfuge.audio.writing import encode
from subterfuge.errors import OutputError

INTEGERS = ("PCM_16", "PCM_24", "PCM_32")
KINDS = [
    *[("WAV", s) for s in ("PCM_U8", *INTEGERS, "FLOAT", "DOUBLE")],
    *[("WAVEX", s) for s in ("PCM_U8", *INTEGERS, "FLOAT", "DOUBLE")],
    *[("RF64", s) for s in ("PCM_U8", *INTEGERS, "FLOAT", "DOUBLE")],
    *[("W64", s) for s in ("PCM_U8", *INTEGERS, "FLOAT", "DOUBLE")],
    *[("FLAC", s) for s in ("PCM_S8", "PCM_16", "PCM_24")],
    *[("AIFF", s) for s in ("PCM_S8", "PCM_U8", *INTEGERS, "FLOAT", "DOUBLE")],
    *[("AU", s) for s in ("PCM_S8", *INTEGERS, "FLOAT", "DOUBLE")],
    *[("CAF", s) for s in ("PCM_S8", *INTEGERS, "FLOAT", "DOUBLE", "ALAC_16")],
    *[("NIST", s) for s in ("PCM_S8", *INTEGERS)],
    *[("IRCAM", s) for s in ("PCM_16", "PCM_32", "FLOAT")],
    *[("PVF", s) for s in ("PCM_S8", "PCM_16", "PCM_32")],
]


@pytest.mark.parametrize(("format", "subtype"), KINDS)
@pytest.mark.parametrize(("channels", "frames"), [(1, 4097), (2, 4000), (6, 33)])
def test_read_write_read_gives_every_bit_back(
    make, tmp_path: Path, format: str, subtype: str, channels: int, frames: int
) -> None:
    source = Clip.read(make("in.x", format=format, subtype=subtype, channels=channels, frames=frames))
    told: list[str] = []
    out = Clip.read(source.write(tmp_path / ("out" + source.output_suffix()), announce=told.append))
    assert (out.format, out.subtype, out.sample_rate) == (source.format, source.subtype, source.sample_rate)
    assert (out.format, out.subtype) == (format, subtype)
    assert out.samples.dtype == source.samples.dtype
    assert np.array_equal(out.samples, source.samples)
    if format == "WAV":
        assert told == []


@pytest.mark.parametrize(
    ("format", "endian"), [("WAV", "BIG"), ("AIFF", "LITTLE"), ("AU", "LITTLE"), ("CAF", "LITTLE")]
)
def test_the_order_of_bytes_is_kept(make, tmp_path: Path, format: str, endian: str) -> None:
    source = make("in.x", format=format, endian=endian)
    out = Clip.read(source).write(tmp_path / "out")
    assert out.read_bytes()[:4] == source.read_bytes()[:4]
    assert Clip.read(out).fingerprint == Clip.read(source).fingerprint


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 96000, 192000])
def test_the_rate_is_kept(make, tmp_path: Path, rate: int) -> None:
    for format in ("WAV", "FLAC"):
        out = Clip.read(make("in.x", format=format, rate=rate)).write(tmp_path / f"out.{format}")
        assert soundfile.info(out).samplerate == rate


def test_a_plain_wav_comes_out_byte_for_byte(make, tmp_path: Path) -> None:
    for number, (subtype, channels) in enumerate([("PCM_16", 1), ("PCM_24", 2), ("PCM_U8", 1)]):
        source = make(f"{number}.wav", subtype=subtype, channels=channels, frames=1001)
        assert Clip.read(source).write(tmp_path / f"out{number}.wav").read_bytes() == source.read_bytes()


def test_the_studys_clips_come_out_byte_for_byte(seed_study: Path, tmp_path: Path) -> None:
    for path in sorted((seed_study / "clips").glob("*.wav")):
        assert Clip.read(path).write(tmp_path / path.name).read_bytes() == path.read_bytes()


def test_a_float_file_does_not_hold_the_time_of_day(make, tmp_path: Path) -> None:
    source = make(subtype="FLOAT")
    first = Clip.read(source).write(tmp_path / "a.wav").read_bytes()
    assert source.read_bytes()[first.index(b"PEAK") + 12 :][:4] != bytes(4)
    assert first[first.index(b"PEAK") + 12 :][:4] == bytes(4)


def test_the_speakers_of_the_channels_are_kept(make, tmp_path: Path) -> None:
    source = make(format="WAVEX", channels=6)
    whole = bytearray(source.read_bytes())
    assert whole[12:16] == b"fmt "
    whole[40:44] = (0x60F).to_bytes(4, "little")
    source.write_bytes(whole)
    out = Clip.read(source).write(tmp_path / "out.wav").read_bytes()
    assert out[40:44] == whole[40:44]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 4), st.integers(32, 80)),
        elements=st.floats(-1, 1),
    ),
    st.sampled_from([("WAV", "PCM_U8"), ("WAV", "PCM_16"), ("FLAC", "PCM_24"), ("AIFF", "PCM_S8"), ("CAF", "DOUBLE")]),
    st.sampled_from([8000, 44100]),
)
def test_any_array_comes_back_as_the_clip_that_was_made_of_it(
    tmp_path: Path, array: np.ndarray, kind: tuple[str, str], rate: int
) -> None:
    clip = Clip.of(array, rate, subtype=kind[1], format=kind[0])
    out = Clip.read(clip.write(tmp_path / "any", force=True))
    assert out.fingerprint == clip.fingerprint


@pytest.mark.parametrize(
    ("format", "subtype"),
    [
        ("MP3", "MPEG_LAYER_III"),
        ("OGG", "VORBIS"),
        ("WAV", "ULAW"),
        ("WAV", "IMA_ADPCM"),
        ("AIFF", "ALAW"),
        ("CAF", "ALAC_24"),
    ],
)
def test_a_lossy_source_goes_out_as_24_bit_flac(make, tmp_path: Path, format: str, subtype: str) -> None:
    more = {} if subtype != "ALAC_24" else {"channels": 1}
    clip = Clip.read(make("in." + format.lower(), format=format, subtype=subtype, **more))
    assert clip.output_suffix() == ".flac"
    told: list[str] = []
    path = clip.write(tmp_path / ("out." + format.lower()), announce=told.append)
    assert path == tmp_path / "out.flac"
    assert any("out.flac" in line for line in told)
    out = Clip.read(path)
    assert (out.format, out.subtype) == ("FLAC", "PCM_24")
    assert np.max(np.abs(out.samples - clip.samples.clip(-1, 1 - 2**-23))) <= 2**-24


def test_what_flac_cannot_hold_goes_out_as_wav(make, tmp_path: Path) -> None:
    clip = Clip.read(make("in.wav", subtype="ULAW", channels=9))
    assert clip.output_suffix() == ".wav"
    out = Clip.read(clip.write(tmp_path / "out.wav"))
    assert (out.subtype, out.channels) == ("PCM_24", 9)


@pytest.mark.parametrize(
    ("format", "subtype", "least_snr_db"),
    [("MP3", "MPEG_LAYER_III", 15), ("OGG", "VORBIS", 15), ("WAV", "ULAW", 60), ("WAV", "MS_ADPCM", 10)],
)
def test_a_lossy_container_can_be_kept_and_says_what_that_costs(
    make, tmp_path: Path, format: str, subtype: str, least_snr_db: float
) -> None:
    clip = Clip.read(make("in." + format.lower(), format=format, subtype=subtype, frames=20000))
    assert clip.output_suffix(keep_container=True) == "." + format.lower()
    told: list[str] = []
    out = Clip.read(clip.write(tmp_path / ("out." + format.lower()), keep_container=True, announce=told.append))
    assert (out.format, out.subtype) == (format, subtype)
    assert any("encoded a second time" in line for line in told)
    length = min(out.frames, clip.frames)
    error = out.samples[:, :length] - clip.samples[:, :length]
    assert 10 * np.log10(np.sum(clip.samples**2) / max(np.sum(error**2), 1e-20)) > least_snr_db
    assert out.frames == clip.frames or any("samples for the" in line for line in told)


def test_the_suffix_of_the_source_is_kept_where_it_fits(make) -> None:
    assert Clip.read(make("a.WAV")).output_suffix() == ".WAV"
    assert Clip.read(make("a.aif", format="AIFF")).output_suffix() == ".aif"
    assert Clip.read(make("a.dat")).output_suffix() == ".wav"
    assert Clip.of(np.zeros(100), 44100, format="FLAC").output_suffix() == ".flac"


@pytest.mark.parametrize(
    ("asked", "got"), [("a.flac", "a.wav"), ("a.v2", "a.v2.wav"), ("a", "a.wav"), ("a.Wave", "a.Wave")]
)
def test_a_name_that_does_not_fit_the_container_is_changed_aloud(tmp_path: Path, asked: str, got: str) -> None:
    told: list[str] = []
    assert Clip.of(np.zeros(100), 44100).write(tmp_path / asked, announce=told.append) == tmp_path / got
    assert bool(told) == (asked != got)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
    old, new = Clip.of(np.zeros(100), 44100), Clip.of(np.full(100, 0.5), 44100)
    path = old.write(tmp_path / "out.wav")
    with pytest.raises(OutputError, match="exists already"):
        new.write(path)
    assert Clip.read(path).is_silent
    new.write(path, force=True)
    assert Clip.read(path).fingerprint == new.fingerprint
    assert leftovers(tmp_path) == ["out.wav"]


def test_the_source_is_never_overwritten_by_any_of_its_names(make, tmp_path: Path) -> None:
    source = make("in.wav")
    before = source.read_bytes()
    clip = Clip.read(source)
    os.link(source, tmp_path / "hard.wav")
    (tmp_path / "soft.wav").symlink_to(source)
    for name in ("in.wav", "hard.wav", "soft.wav", "../" + tmp_path.name + "/in.wav"):
        for force in (False, True):
            with pytest.raises(OutputError, match="clip itself"):
                clip.add(np.full(4000, 0.1), 44100).write(tmp_path / name, force=force)
    assert source.read_bytes() == before


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    assert Clip.of(np.zeros(100), 44100).write(tmp_path / "a" / "b" / "out.wav").is_file()


@pytest.mark.parametrize(
    "place", ["file/out.wav", "file/deeper/out.wav", "folder.wav", "x" * 300 + ".wav", "nul\0.wav"]
)
def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(OutputError):
        Clip.of(np.zeros(100), 44100).write(tmp_path / place, force=True)
    assert leftovers(tmp_path) == ["file", "folder.wav"]
    assert leftovers(tmp_path / "folder.wav") == []


def test_a_place_in_the_kernel_is_refused() -> None:
    for place in ("/proc/out.wav", "/dev/null/out.wav", "/proc/self/new/out.wav"):
        with pytest.raises(OutputError, match="cannot be written"):
            Clip.of(np.zeros(100), 44100).write(place)


def test_a_disk_with_too_little_room_leaves_nothing_behind(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="a limit on file sizes is a thing of Unix")
    old = Clip.of(np.zeros(100), 44100)
    path = old.write(tmp_path / "out.wav")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        with pytest.raises(OutputError, match="cannot be written: File too large"):
            Clip.of(np.zeros(44100), 44100).write(path, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert Clip.read(path).fingerprint == old.fingerprint
    assert leftovers(tmp_path) == ["out.wav"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_fault_at_any_step_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, fault: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OutputError if isinstance(fault, OSError) else KeyboardInterrupt):
        Clip.of(np.zeros(100), 44100).write(tmp_path / "out.wav")
    assert leftovers(tmp_path) == []


def test_a_file_that_does_not_hold_what_was_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def lose_the_end(descriptor: int) -> None:
        real(descriptor)
        os.ftruncate(descriptor, 150)

    monkeypatch.setattr(os, "fsync", lose_the_end)
    with pytest.raises(OutputError, match="did not give back"):
        Clip.of(np.zeros(100), 44100).write(tmp_path / "out.wav")
    assert leftovers(tmp_path) == []


def test_a_file_is_as_open_to_others_as_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    out = Clip.of(np.zeros(100), 44100).write(tmp_path / "out.wav")
    assert out.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_container_that_cannot_hold_the_clip_is_refused(tmp_path: Path) -> None:
    clip = Clip.of(np.zeros((9, 100)), 44100, format="FLAC")
    with pytest.raises(OutputError, match=r"cannot be written as FLAC PCM_16 with 9 channels"):
        clip.write(tmp_path / "out.flac")
    assert leftovers(tmp_path) == []


def test_integers_are_scaled_by_the_full_32768() -> None:
    top = Clip.of(np.array([1.0, -1.0, 2**-15] * 20), 44100)
    body = np.frombuffer(encode(top, top.container())[44:], dtype="<i2")
    assert body[:3].tolist() == [32767, -32768, 1]


def test_a_device_or_a_pipe_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="is a device, pipe or socket"):
        check_target(pipe, None, force=True)
    assert pipe.is_fifo()
