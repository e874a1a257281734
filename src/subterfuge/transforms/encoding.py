"""Through an encoder and its decoder, by libsndfile; back in time with what went in, to the sample.

Through a temporary file without a name, not through memory: there libsndfile calls back into Python, where an interrupt
is swallowed and the sound damaged.
"""

from __future__ import annotations

import tempfile
from functools import lru_cache
from typing import IO, Any, NamedTuple

import numpy as np
import soundfile

from subterfuge.errors import TransformError
from subterfuge.transforms.transform import Samples

BLOCK = 1 << 16
"""Samples that are written at once: libsndfile keeps as many of Vorbis on its stack."""
SHORTEST = 4096
"""Shorter sounds are filled up with silence: encoders think in frames."""
MOST_DELAY = 4096
"""Samples at either end among which a decoder's delay is looked for."""


class Encoder(NamedTuple):
    """libsndfile's name of an encoder, and how hard it is to squeeze."""

    format: str
    subtype: str
    compression_level: float
    constant: bool
    """Whether every frame has the same size."""

    @property
    def known(self) -> bool:
        """Whether the installed libsndfile has it."""
        return self.format in soundfile.available_formats() and self.subtype in soundfile.available_subtypes(
            self.format
        )


def encoded(samples: Samples, sample_rate: int, encoder: Encoder, file: IO[bytes]) -> None:
    """Encode samples (C, T) into an open file.

    Raises:
        TransformError: the encoder refuses them.
    """
    more: dict[str, Any] = {"bitrate_mode": "CONSTANT"} if encoder.constant else {}
    try:
        with soundfile.SoundFile(
            file.fileno(),
            "w",
            sample_rate,
            samples.shape[0],
            encoder.subtype,
            format=encoder.format,
            compression_level=min(encoder.compression_level, 0.999),  # libsndfile refuses 1
            closefd=False,
            **more,
        ) as sink:
            for at in range(0, samples.shape[1], BLOCK):
                sink.write(np.ascontiguousarray(samples[:, at : at + BLOCK].T))
    except soundfile.LibsndfileError as error:
        raise TransformError(
            f"{encoder.subtype} refuses {samples.shape[0]} channels at {sample_rate} Hz ({error.code})"
        ) from None


def decoded(file: IO[bytes]) -> Samples:
    """Decode an open file from its start: (C, T'), float32.

    Raises:
        TransformError: it cannot be decoded.
    """
    file.seek(0)
    try:
        samples, _ = soundfile.read(file.fileno(), dtype="float32", always_2d=True, closefd=False)
    except soundfile.LibsndfileError as error:
        raise TransformError(f"what was encoded cannot be decoded ({error.code})") from None
    return np.ascontiguousarray(samples.T)


def round_trip(samples: Samples, sample_rate: int, encoder: Encoder) -> Samples:
    """Encode and decode samples (C, T): (C, T), of their dtype, without the decoder's delay.

    Raises:
        TransformError: the encoder refuses them.
    """
    channels, length = samples.shape
    delay = _delay(channels, sample_rate, encoder)
    return _in_time(_trip(samples, sample_rate, encoder), delay, length).astype(samples.dtype)


def _trip(samples: Samples, sample_rate: int, encoder: Encoder) -> Samples:
    short = max(0, SHORTEST - samples.shape[1])
    filled = np.pad(samples, ((0, 0), (0, short))).astype(np.float32)
    with tempfile.TemporaryFile() as file:
        encoded(filled, sample_rate, encoder, file)
        return decoded(file)


def _in_time(heard: Samples, delay: int, length: int) -> Samples:
    kept = heard[:, max(0, delay) : delay + length]
    return np.pad(kept, ((0, 0), (max(0, -delay), 0)))[:, :length] if delay < 0 else _filled(kept, length)


def _filled(samples: Samples, length: int) -> Samples:
    return np.pad(samples, ((0, 0), (0, length - samples.shape[1])))


@lru_cache(maxsize=64)
def _delay(channels: int, sample_rate: int, encoder: Encoder) -> int:
    """Find by how many samples an encoder and its decoder delay any sound, from what they make of one with one peak.

    libsndfile takes the delay off where the file tells it; the smallest MP3 frames have no room to. It depends on
    nothing but rate, channels and encoder, so it is told from the cross-correlation of a sound that is like itself at
    no other time, whatever the clip may be.
    """
    die = np.random.default_rng(0)
    spectrum = np.fft.rfft(die.normal(size=4 * MOST_DELAY))
    hz = np.fft.rfftfreq(4 * MOST_DELAY, 1 / sample_rate)
    rough = np.fft.irfft(spectrum * ((hz > 100) & (hz < sample_rate / 5)), n=4 * MOST_DELAY)
    probe = np.tile(0.3 * rough / np.max(np.abs(rough)), (channels, 1))
    heard = _trip(probe, sample_rate, encoder).sum(0)
    size = len(rough) + len(heard)
    like = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(rough, size)), size)
    lags = np.arange(-MOST_DELAY, MOST_DELAY + 1)
    return int(lags[np.argmax(like[lags])])
