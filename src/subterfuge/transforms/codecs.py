"""Lossy codecs: MP3 (LAME), Vorbis and Opus, as libsndfile has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import soxr
import torch
from torch import Tensor

from subterfuge.errors import TransformError
from subterfuge.transforms.encoding import Encoder, round_trip
from subterfuge.transforms.filters import to_length
from subterfuge.transforms.kept import through_kept
from subterfuge.transforms.transform import Dice, Samples, in_range, refuse, spell

OPUS_HZ = (48_000, 24_000, 16_000, 12_000, 8_000)
MPEG = {
    **dict.fromkeys((32_000, 44_100, 48_000), (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)),
    **dict.fromkeys((16_000, 22_050, 24_000), (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)),
    **dict.fromkeys((8_000, 11_025, 12_000), (8, 16, 24, 32, 40, 48, 56, 64)),
}
"""Sample rates in Hz, and the rates in kbit/s of a layer III frame at each: ISO/IEC 11172-3 and 13818-3; 2.5, LAME."""
MPEG_RATES = tuple(sorted({rate for rates in MPEG.values() for rate in rates}))


@dataclass(frozen=True)
class MP3:
    """MP3 at a constant `kbit_s`, of all channels together."""

    kbit_s: int = 128
    word: ClassVar[str] = "mp3"
    says: ClassVar[str] = "MP3 at so many kbit/s (128), constant, of all channels together"

    def __post_init__(self) -> None:
        if self.kbit_s not in MPEG_RATES:
            known = ", ".join(map(str, MPEG_RATES))
            raise TransformError(f"{spell(self.word, self.kbit_s)}: MP3 has the rates {known} kbit/s")

    @property
    def name(self) -> str:
        """As the command line says it."""
        return spell(self.word, self.kbit_s)

    def why_not(self, samples: Samples, sample_rate: int) -> str | None:
        """Refuse more than two channels, and rates that MP3 does not have."""
        if sample_rate not in MPEG:
            return f"MP3 has no {sample_rate} Hz"
        if self.kbit_s not in MPEG[sample_rate]:
            rates = MPEG[sample_rate]
            return f"MP3 at {sample_rate} Hz has {rates[0]} to {rates[-1]} kbit/s, and {self.kbit_s} is none of them"
        if samples.shape[0] > 2:
            return f"MP3 has one or two channels, and the sound {samples.shape[0]}"
        return _lacking("MP3", self._encoder(sample_rate))

    def real(self, samples: Samples, sample_rate: int, die: object) -> Samples:
        """Encode and decode."""
        refuse(self, samples, sample_rate)
        return round_trip(samples, sample_rate, self._encoder(sample_rate))

    def stand_in(self, wave: Tensor, sample_rate: int, dice: Dice) -> Tensor:
        """Encode and decode each row; the gradient passes by what of each frequency was kept (`kept`)."""
        return _stand_in(self, wave, sample_rate)

    def _encoder(self, sample_rate: int) -> Encoder:
        rates = MPEG[sample_rate]  # libsndfile goes evenly from the least to the most and takes the nearest
        return Encoder("MP3", "MPEG_LAYER_III", 1 - (self.kbit_s - rates[0]) / (rates[-1] - rates[0]), True)


@dataclass(frozen=True)
class Vorbis:
    """Ogg Vorbis of the quality that oggenc calls `quality`; 4 is about 128 kbit/s for stereo at 44.1 kHz."""

    quality: float = 4.0
    word: ClassVar[str] = "vorbis"
    says: ClassVar[str] = "Ogg Vorbis of this quality, 0 to 10 (4, some 128 kbit/s for stereo)"

    def __post_init__(self) -> None:
        in_range(self.word, self.quality, 0, 10, "quality")

    @property
    def name(self) -> str:
        """As the command line says it."""
        return spell(self.word, self.quality)

    def why_not(self, samples: Samples, sample_rate: int) -> str | None:
        """Refuse rates that the encoder has no tables for."""
        if not 8000 <= sample_rate <= 192_000:
            return f"Vorbis takes 8000 to 192000 Hz, and the sound is at {sample_rate}"
        return _lacking("Vorbis", self._encoder())

    def real(self, samples: Samples, sample_rate: int, die: object) -> Samples:
        """Encode and decode."""
        refuse(self, samples, sample_rate)
        return round_trip(samples, sample_rate, self._encoder())

    def stand_in(self, wave: Tensor, sample_rate: int, dice: Dice) -> Tensor:
        """Encode and decode each row; the gradient passes by what of each frequency was kept (`kept`)."""
        return _stand_in(self, wave, sample_rate)

    def _encoder(self) -> Encoder:
        return Encoder("OGG", "VORBIS", 1 - self.quality / 10, False)


@dataclass(frozen=True)
class Opus:
    """Opus at `kbit_s` of all channels together, at 48 kHz, or at the sound's own rate where Opus has it."""

    kbit_s: float = 96.0
    word: ClassVar[str] = "opus"
    says: ClassVar[str] = "Opus at so many kbit/s (96), of all channels together; through 48 kHz and back if need be"

    def __post_init__(self) -> None:
        in_range(self.word, self.kbit_s, 6, 512, "kbit/s")

    @property
    def name(self) -> str:
        """As the command line says it."""
        return spell(self.word, self.kbit_s)

    def why_not(self, samples: Samples, sample_rate: int) -> str | None:
        """Refuse more than 8 channels, and less or more than 6 to 256 kbit/s for each."""
        channels = samples.shape[0]
        if channels > 8:
            return f"Opus has up to 8 channels here, and the sound {channels}"
        if not 6 <= self.kbit_s / channels <= 256:
            return f"Opus takes 6 to 256 kbit/s a channel, and {self.kbit_s:g} for {channels} is not that"
        return _lacking("Opus", self._encoder(channels))

    def real(self, samples: Samples, sample_rate: int, die: object) -> Samples:
        """Bring to 48 kHz (soxr VHQ) where Opus lacks the rate, encode, decode and come back."""
        refuse(self, samples, sample_rate)
        encoder = self._encoder(samples.shape[0])
        if sample_rate in OPUS_HZ:
            return round_trip(samples, sample_rate, encoder)
        there = soxr.resample(samples.T.astype(np.float64), sample_rate, OPUS_HZ[0], quality="VHQ").T
        heard = round_trip(there, OPUS_HZ[0], encoder)
        back = soxr.resample(np.ascontiguousarray(heard.T), OPUS_HZ[0], sample_rate, quality="VHQ").T
        return to_length(back, samples.shape[1], samples.dtype)

    def stand_in(self, wave: Tensor, sample_rate: int, dice: Dice) -> Tensor:
        """Encode and decode each row; the gradient passes by what of each frequency was kept (`kept`)."""
        return _stand_in(self, wave, sample_rate)

    def _encoder(self, channels: int) -> Encoder:
        return Encoder("OGG", "OPUS", 1 - (self.kbit_s / channels - 6) / 250, False)


def _stand_in(codec: MP3 | Vorbis | Opus, wave: Tensor, sample_rate: int) -> Tensor:
    die = torch.Generator()
    rows = [torch.from_numpy(codec.real(row[None], sample_rate, die)) for row in wave.detach().cpu().numpy()]
    return through_kept(wave, torch.cat(rows).to(wave), sample_rate) if rows else wave


def _lacking(codec: str, encoder: Encoder) -> str | None:
    return None if encoder.known else f"the installed libsndfile has no {codec}"
