"""MP3, Vorbis and Opus: in time, at the rate that was asked for, and what the library itself gives."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from tests.transforms.sounds import die, music, snr_db
from torch import Tensor

from subterfuge.errors import TransformError
from subterfuge.transforms import MP3, Opus, Transform, Vorbis
from subterfuge.transforms.codecs import MPEG
from subterfuge.transforms.encoding import Encoder, encoded
from subterfuge.transforms.kept import kept, weighed

VERSION_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
VERSION_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def file_of(sound: NDArray[np.float32], rate: int, encoder: Encoder) -> bytes:
    """What it encodes a sound to."""
    with tempfile.TemporaryFile() as file:
        encoded(sound, rate, encoder, file)
        file.seek(0)
        return file.read()


def kbit_s(data: bytes) -> int:
    """Read the bit rate from the header of the first frame of an MP3 file (ISO/IEC 11172-3, section 2.4.2.3)."""
    start = next(k for k in range(len(data)) if data[k] == 0xFF and data[k + 1] & 0xE0 == 0xE0)
    version, index = data[start + 1] >> 3 & 3, data[start + 2] >> 4
    return (VERSION_1 if version == 3 else VERSION_2)[index - 1]


@pytest.mark.parametrize("rate", MPEG)
def test_every_rate_of_mp3_is_the_one_that_was_asked_for(rate: int) -> None:
    for rates in MPEG[rate]:
        assert kbit_s(file_of(music(rate, seconds=0.1), rate, MP3(rates)._encoder(rate))) == rates


@pytest.mark.parametrize("rate", [44_100, 16_000])
def test_an_mp3_is_as_large_as_its_rate_says(rate: int) -> None:
    data = file_of(music(rate, channels=2, seconds=4.0), rate, MP3(128)._encoder(rate))
    assert len(data) * 8 / 4.0 / 1000 == pytest.approx(128, rel=0.04)


def test_an_opus_is_about_as_large_as_its_rate_says() -> None:
    for channels in (1, 2):
        data = file_of(music(48_000, channels, 4.0), 48_000, Opus(96.0)._encoder(channels))
        assert len(data) * 8 / 4.0 / 1000 == pytest.approx(96, rel=0.2)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("one", "rate"),
    [
        *((MP3(MPEG[rate][k]), rate) for rate in MPEG for k in (1, 6, -1) if k < len(MPEG[rate])),
        *((Vorbis(), rate) for rate in (8000, 44_100, 96_000)),
        *((Opus(), rate) for rate in (8000, 22_050, 44_100, 48_000, 96_000)),
    ],
    ids=lambda one: getattr(one, "name", one),
)
def test_what_is_decoded_is_in_time_with_what_was_encoded(one: Transform, rate: int, channels: int) -> None:
    """Of noise in a band that every codec keeps, the cross-correlation is largest at no lag."""
    length = 20_000
    spectrum = np.fft.rfft(np.random.default_rng(1).normal(size=length))
    hz = np.fft.rfftfreq(length, 1 / rate)
    wave = np.fft.irfft(spectrum * ((hz > 200) & (hz < 0.15 * rate)), n=length)
    sound = np.tile(0.3 * wave / np.abs(wave).max(), (channels, 1)).astype(np.float32)
    heard = one.real(sound, rate, die())
    for channel in range(channels):
        spectra = [np.fft.rfft(side[channel].astype(np.float64), 2 * length) for side in (heard, sound)]
        like = np.fft.irfft(spectra[0] * spectra[1].conj())
        assert np.argmax(like) == 0


@pytest.mark.parametrize("channels", [3, 6, 8])
@pytest.mark.parametrize("one", [Vorbis(), Opus(480.0)], ids=lambda one: one.name)
def test_channels_come_back_in_their_order(one: Transform, channels: int) -> None:
    t = np.arange(9600) / 48_000
    sound = np.stack([0.2 * np.sin(2 * np.pi * (300 + 200 * k) * t) for k in range(channels)]).astype(np.float32)
    heard = one.real(sound, 48_000, die())
    like = np.abs(heard @ sound.T)
    np.testing.assert_array_equal(like.argmax(1)[: channels - 1], np.arange(channels - 1))


@pytest.mark.parametrize(
    ("one", "ending", "subtype", "more"),
    [
        (MP3(320), "mp3", "MPEG_LAYER_III", {"compression_level": 0.0, "bitrate_mode": "CONSTANT"}),
        (MP3(128), "mp3", "MPEG_LAYER_III", {"compression_level": 2 / 3, "bitrate_mode": "CONSTANT"}),
        (Vorbis(4.0), "ogg", "VORBIS", {"compression_level": 0.6}),
    ],
    ids=["mp3=320", "mp3=128", "vorbis=4"],
)
def test_it_is_what_a_file_of_that_codec_holds(
    one: Transform, ending: str, subtype: str, more: dict[str, object], tmp_path: Path
) -> None:
    sound = music(channels=2, seconds=1.0)
    soundfile.write(tmp_path / f"a.{ending}", sound.T, 44_100, subtype=subtype, **more)
    held, _ = soundfile.read(tmp_path / f"a.{ending}", dtype="float32", always_2d=True)
    np.testing.assert_array_equal(one.real(sound, 44_100, die()), held.T)


def test_less_is_kept_at_a_lower_rate() -> None:
    sound = music(channels=2, seconds=1.0)
    kept = [snr_db(sound, MP3(rate).real(sound, 44_100, die())) for rate in (320, 192, 128, 64)]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] > kept[-1] + 6


def test_a_long_sound_is_written_in_parts_and_comes_back_whole() -> None:
    sound = np.tile(music(8000, channels=2, seconds=1.0), 30)
    heard = Vorbis(9.0).real(sound, 8000, die())
    assert [snr_db(sound[:, part], heard[:, part]) > 20 for part in (slice(8000), slice(-8000, None))] == [True, True]


@pytest.mark.parametrize(
    ("one", "rate", "channels", "why"),
    [
        (MP3(128), 44_100, 3, "one or two channels"),
        (MP3(128), 96_000, 1, "no 96000 Hz"),
        (MP3(320), 22_050, 1, "8 to 160 kbit/s"),
        (Vorbis(), 4000, 1, "8000 to 192000 Hz"),
        (Opus(), 48_000, 9, "up to 8 channels"),
        (Opus(400.0), 48_000, 1, "6 to 256 kbit/s a channel"),
    ],
    ids=lambda one: getattr(one, "name", one),
)
def test_what_a_codec_cannot_take_is_refused_with_the_reason(
    one: Transform, rate: int, channels: int, why: str
) -> None:
    sound = music(rate, channels, 0.1)
    assert why in (one.why_not(sound, rate) or "")
    with pytest.raises(TransformError, match=one.name):
        one.real(sound, rate, die())


def test_a_codec_that_libsndfile_lacks_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundfile, "available_subtypes", lambda format: {"VORBIS": ""})
    sound = music(48_000, seconds=0.1)
    assert MP3().why_not(sound, 48_000) == "the installed libsndfile has no MP3"
    assert Opus().why_not(sound, 48_000) == "the installed libsndfile has no Opus"
    assert Vorbis().why_not(sound, 48_000) is None


def test_what_an_encoder_refuses_after_all_is_told_in_one_sentence() -> None:
    with pytest.raises(TransformError, match="MPEG_LAYER_III refuses 5 channels at 44100 Hz"):
        file_of(music(channels=5, seconds=0.1), 44_100, Encoder("MP3", "MPEG_LAYER_III", 0.5, True))


INTERRUPTED = """
import os, signal, threading, time
import numpy as np
from subterfuge.transforms import MP3
sound = np.tile(0.1 * np.random.default_rng(0).normal(size=(2, 44100)).astype("f4"), 120)
MP3().real(sound[:, :4096], 44100, None)
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
MP3().real(sound, 44100, None)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_an_interrupt_while_it_encodes_is_heard_and_not_swallowed() -> None:
    """In memory libsndfile calls Python back, where an interrupt would end in a damaged MP3 and go on."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60)
    assert done.returncode in (-signal.SIGINT, 130)
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
    assert "resync" not in done.stderr


# the gradient


def band(low: float, high: float, *, seed: int = 0) -> Tensor:
    """Noise between two frequencies, of root mean square 0.01, half a second at 44.1 kHz."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=22_050))
    hz = np.fft.rfftfreq(22_050, 1 / 44_100)
    wave = np.fft.irfft(spectrum * ((hz >= low) & (hz < high)), n=22_050)
    return torch.from_numpy(0.01 * wave / wave.std())[None]


@pytest.mark.parametrize("one", [MP3(128), MP3(64), Opus(160.0)], ids=lambda one: one.name)
def test_what_a_codec_throws_away_has_no_slope_and_what_it_keeps_has_all(one: Transform) -> None:
    """Both cut everything above some 20 kHz, and the middle comes through."""
    wave = (20 * band(50, 22_000)).requires_grad_(True)
    heard = one.stand_in(wave, 44_100, die())
    for low, high, part in ((300, 4000, 1.0), (20_500, 21_500, 0.0)):
        slope = band(low, high, seed=1)
        (found,) = torch.autograd.grad(heard, wave, slope, retain_graph=True)
        assert float((found * slope).sum() / slope.square().sum()) == pytest.approx(part, abs=0.1)


@pytest.mark.parametrize("low", [300, 2000, 6000, 12_000, 18_000])
def test_the_slope_foretells_how_much_of_a_small_change_comes_through(low: int) -> None:
    wave, change = (20 * band(50, 22_000)).requires_grad_(True), band(low, 1.15 * low, seed=1)
    one, size = MP3(64), float(change.square().sum())
    (found,) = torch.autograd.grad(one.stand_in(wave, 44_100, die()), wave, change)
    with torch.no_grad():
        louder, softer = (one.stand_in(wave + sign * change, 44_100, die()) for sign in (1, -1))
    measured, foretold = float(((louder - softer) / 2 * change).sum()) / size, float((found * change).sum()) / size
    assert measured == pytest.approx(foretold, abs=0.1)


def test_a_codec_that_changes_nothing_leaves_the_slope_as_it_is() -> None:
    wave, slope = band(50, 22_000), band(50, 22_000, seed=1)
    torch.testing.assert_close(weighed(slope, kept(wave, wave, 44_100)), slope, rtol=0, atol=1e-9)


def test_where_a_sound_has_nothing_the_slope_is_as_it_is() -> None:
    silence, slope = torch.zeros(1, 22_050), band(50, 22_000)
    assert torch.equal(kept(silence, silence, 44_100), torch.ones(1, 1025, dtype=torch.float64))
    torch.testing.assert_close(weighed(slope, kept(silence, silence, 44_100)), slope, rtol=0, atol=1e-9)


def test_half_of_a_sound_is_half_of_every_slope() -> None:
    wave, slope = band(50, 22_000), band(500, 20_000, seed=1)
    torch.testing.assert_close(weighed(slope, kept(wave, wave / 2, 44_100)), slope / 2, rtol=0, atol=1e-3)
