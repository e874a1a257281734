"""What is cut off below, above, or by a lower rate: linear-phase filters that leave the sound where it was in time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.transforms.linear import convolve, filtered
from subterfuge.transforms.transform import Dice, Samples, each, in_range, refuse, spell

STOP_DB = 80.0
"""By how much the filters lower what they cut off."""
RATES_HZ = (48_000, 22_050, 16_000)
"""Of which a rate is drawn."""


@dataclass(frozen=True)
class LowPass:
    """Without what lies above `cutoff_hz`: 6 dB down there, flat below 0.9 of it, 80 dB down above 1.1 of it."""

    cutoff_hz: float = 8000.0
    word: ClassVar[str] = "lowpass"
    says: ClassVar[str] = "without what lies above so many Hz (8000)"

    def __post_init__(self) -> None:
        in_range(self.word, self.cutoff_hz, 20, 200_000, "Hz")

    @property
    def name(self) -> str:
        """As the command line says it."""
        return spell(self.word, self.cutoff_hz)

    def why_not(self, samples: Samples, sample_rate: int) -> str | None:
        """Refuse where there is nothing above."""
        return _nothing_above(1.1 * self.cutoff_hz, sample_rate)

    def real(self, samples: Samples, sample_rate: int, die: torch.Generator) -> Samples:
        """Filter."""
        response = self._response(sample_rate)
        return filtered(samples, response, len(response) // 2)

    def stand_in(self, wave: Tensor, sample_rate: int, dice: Dice) -> Tensor:
        """Filter."""
        response = self._response(sample_rate)
        return convolve(wave, response, len(response) // 2)

    def _response(self, sample_rate: int) -> NDArray[np.float64]:
        refuse(self, np.zeros((1, 0)), sample_rate)
        return _sinc(self.cutoff_hz, 0.2 * self.cutoff_hz, sample_rate)


@dataclass(frozen=True)
class HighPass:
    """Without what lies below `cutoff_hz`: 6 dB down there, 80 dB down below half of it, flat above 1.5 of it."""

    cutoff_hz: float = 100.0
    word: ClassVar[str] = "highpass"
    says: ClassVar[str] = "without what lies below so many Hz (100)"

    def __post_init__(self) -> None:
        in_range(self.word, self.cutoff_hz, 10, 100_000, "Hz")

    @property
    def name(self) -> str:
        """As the command line says it."""
        return spell(self.word, self.cutoff_hz)

    def why_not(self, samples: Samples, sample_rate: int) -> str | None:
        """Refuse where nothing would be left."""
        high = sample_rate / 2
        return f"at {sample_rate} Hz nothing lies above {high:g} Hz" if 1.5 * self.cutoff_hz >= high else None

    def real(self, samples: Samples, sample_rate: int, die: torch.Generator) -> Samples:
        """Filter."""
        response = self._response(sample_rate)
        return filtered(samples, response, len(response) // 2)

    def stand_in(self, wave: Tensor, sample_rate: int, dice: Dice) -> Tensor:
        """Filter."""
        response = self._response(sample_rate)
        return convolve(wave, response, len(response) // 2)

    def _response(self, sample_rate: int) -> NDArray[np.float64]:
        refuse(self, np.zeros((1, 0)), sample_rate)
        response = -_sinc(self.cutoff_hz, self.cutoff_hz, sample_rate)
        response[len(response) // 2] += 1.0
        return response


@dataclass(frozen=True)
class Resample:
    """To another rate and back, by soxr in its quality VHQ, which keeps nine tenths of what the lower rate can hold."""

    rate_hz: int | None = None
    word: ClassVar[str] = "resample"
    says: ClassVar[str] = "to so many Hz and back, soxr VHQ (drawn from 48000, 22050, 16000)"

    def __post_init__(self) -> None:
        in_range(self.word, self.rate_hz, 2000, 768_000, "Hz", whole=True)

    @property
    def name(self) -> str:
        """As the command line says it."""
        return spell(self.word, self.rate_hz)

    def why_not(self, samples: Samples, sample_rate: int) -> str | None:
        """Refuse where the rate is that already."""
        return f"the sound is at {sample_rate} Hz already" if self.rate_hz == sample_rate else None

    def real(self, samples: Samples, sample_rate: int, die: torch.Generator) -> Samples:
        """Go there and come back."""
        refuse(self, samples, sample_rate)
        return there_and_back(samples, sample_rate, self._rate(die))

    def stand_in(self, wave: Tensor, sample_rate: int, dice: Dice) -> Tensor:
        """Convolve with what the real one makes of a single impulse."""
        rates = [self._rate(die) for die in each(dice, len(wave))]
        heard = wave
        for rate in sorted(set(rates)):
            if rate != sample_rate:
                response = _resampled_impulse(sample_rate, rate)
                rows = torch.tensor([k for k, one in enumerate(rates) if one == rate], device=wave.device)
                heard = heard.index_copy(0, rows, convolve(wave[rows], response, len(response) // 2))
        return heard

    def _rate(self, die: torch.Generator) -> int:
        if self.rate_hz is not None:
            return self.rate_hz
        return RATES_HZ[int(torch.randint(len(RATES_HZ), (), generator=die))]


def there_and_back(samples: Samples, sample_rate: int, rate_hz: int) -> Samples:
    """Bring samples (C, T) to another rate and back, in float64 by soxr VHQ: (C, T)."""
    if sample_rate == rate_hz:
        return samples
    there = soxr.resample(samples.T.astype(np.float64), sample_rate, rate_hz, quality="VHQ")
    return to_length(soxr.resample(there, rate_hz, sample_rate, quality="VHQ").T, samples.shape[-1], samples.dtype)


def to_length(samples: Samples, length: int, dtype: np.dtype[np.floating[Any]]) -> Samples:
    """Cut samples (C, T'), or fill them up with silence: (C, length), of a dtype."""
    held = np.zeros((samples.shape[0], length), dtype=dtype)
    held[:, : samples.shape[1]] = samples[:, :length]
    return held


@lru_cache(maxsize=16)
def _resampled_impulse(sample_rate: int, rate_hz: int) -> NDArray[np.float64]:
    half = 512 * max(1, -(-sample_rate // rate_hz))
    impulse = np.zeros((1, 4 * half + 1))
    impulse[0, 2 * half] = 1.0
    return there_and_back(impulse, sample_rate, rate_hz)[0, half : 3 * half + 1].astype(np.float64)


@lru_cache(maxsize=16)
def _sinc_of(cutoff_hz: float, width_hz: float, sample_rate: int) -> NDArray[np.float64]:
    from scipy.signal import firwin, kaiserord

    taps, beta = kaiserord(STOP_DB, 2 * width_hz / sample_rate)
    response: NDArray[np.float64] = firwin(taps | 1, cutoff_hz, window=("kaiser", beta), fs=sample_rate)
    return response


def _sinc(cutoff_hz: float, width_hz: float, sample_rate: int) -> NDArray[np.float64]:
    """Give the low-pass (K,), K odd, by the windowed sinc: Kaiser, in Oppenheim and Schafer, section 7.6."""
    return _sinc_of(cutoff_hz, width_hz, sample_rate).copy()


def _nothing_above(hz: float, sample_rate: int) -> str | None:
    high = sample_rate / 2
    return f"at {sample_rate} Hz there is nothing above {high:g} Hz to cut off" if hz >= high else None
