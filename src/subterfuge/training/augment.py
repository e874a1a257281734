"""What a training clip becomes: itself, or itself and noisy copies, so that a classifier learns to hear through noise.

The study's own recipe is here as it was, beside a better one, and the one that randomised smoothing needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from subterfuge.errors import InputError, nearest
from subterfuge.transforms.words import number

Wave = NDArray[np.float32]
MOST_COPIES = 50


class Augment(Protocol):
    """One way to make more of a training clip: a frozen dataclass with at most one field, its value."""

    word: ClassVar[str]
    """Its name on the command line."""
    says: ClassVar[str]
    """What it makes, and what its value is, in one line."""

    @property
    def name(self) -> str:
        """As the command line says it: ``gauss=0.01``."""
        ...

    def variants(self, wave: Wave, sample_rate: int, die: torch.Generator) -> list[Wave]:
        """Give what a clip (T,) becomes: one wave (T,) or several, float32; what goes beyond full scale stays there."""
        ...


@dataclass(frozen=True)
class NoiseStudy:
    """The study's: with probability 0.3 white noise on the clip, of a level that does not depend on the clip's."""

    word: ClassVar[str] = "noise-study"
    says: ClassVar[str] = "of 30 % of the clips, white noise of sd 0 to 0.1 of full scale is added; no copies"
    PART: ClassVar[float] = 0.3
    MOST_SD: ClassVar[float] = 0.1

    @property
    def name(self) -> str:
        """As the command line says it."""
        return self.word

    def variants(self, wave: Wave, sample_rate: int, die: torch.Generator) -> list[Wave]:
        """Give the clip, or the clip with noise."""
        if _uniform(die) >= self.PART:
            return [wave]
        return [_with(wave, self.MOST_SD * _uniform(die) * _white(len(wave), die))]


@dataclass(frozen=True)
class NoiseCopies:
    """The clip and copies of it, with noise of drawn colour at drawn levels below the clip."""

    copies: int = 3
    word: ClassVar[str] = "noise"
    says: ClassVar[str] = "the clip, and so many copies (3) with white, pink or its own noise, 10 to 60 dB below it"
    SNR_DB: ClassVar[tuple[float, float]] = (10.0, 60.0)

    def __post_init__(self) -> None:
        if not 1 <= self.copies <= MOST_COPIES or self.copies != int(self.copies):
            raise InputError(f"noise={self.copies:g}: a whole number of copies from 1 to {MOST_COPIES} was expected")

    @property
    def name(self) -> str:
        """As the command line says it."""
        return self.word if self.copies == type(self).copies else f"{self.word}={self.copies:g}"

    def variants(self, wave: Wave, sample_rate: int, die: torch.Generator) -> list[Wave]:
        """Give the clip and its copies; copies of silence are silent."""
        out, low_high = [wave], self.SNR_DB
        for _ in range(int(self.copies)):
            colour = COLOURS[int(torch.randint(len(COLOURS), (1,), generator=die))]
            snr_db = low_high[0] + (low_high[1] - low_high[0]) * _uniform(die)
            noise = coloured(colour, wave, die)
            level = float(np.linalg.norm(wave.astype(np.float64))) * 10 ** (-snr_db / 20)
            out.append(_with(wave, noise * (level / max(float(np.linalg.norm(noise)), 1e-30))))
        return out


@dataclass(frozen=True)
class GaussCopies:
    """The clip and two copies with white noise of one sd: what the base of a smoothed classifier is taught.

    Cohen, Rosenfeld, Kolter (2019), section 3.3: the base must answer rightly under the noise that it is smoothed
    with. https://arxiv.org/abs/1902.02918
    """

    sd: float = 0.01
    word: ClassVar[str] = "gauss"
    says: ClassVar[str] = "the clip, and two copies with white noise of this sd of full scale (0.01), to be smoothed"
    COPIES: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if not 0 < self.sd <= 1:
            raise InputError(f"gauss={self.sd:g}: a standard deviation above 0 and up to full scale, 1, was expected")

    @property
    def name(self) -> str:
        """As the command line says it."""
        return f"{self.word}={self.sd:.10g}"

    def variants(self, wave: Wave, sample_rate: int, die: torch.Generator) -> list[Wave]:
        """Give the clip and its copies."""
        return [wave, *(_with(wave, self.sd * _white(len(wave), die)) for _ in range(self.COPIES))]


AUGMENTS: dict[str, type[Augment]] = {
    "noise-study": NoiseStudy,
    "noise": NoiseCopies,
    "gauss": GaussCopies,
}
"""From the word on the command line to the way."""
COLOURS = ("white", "pink", "own")


def parse_augments(text: str) -> tuple[Augment, ...]:
    """Read a list of ways, such as ``noise`` or ``noise=5,gauss=0.01``; each works on all that the one before it gave.

    An empty text is no way at all.

    >>> [one.name for one in parse_augments("noise, gauss=0.02")]
    ['noise', 'gauss=0.02']

    Raises:
        InputError: an unknown word (the nearest is named), a value that makes no sense, or the same word twice.
    """
    found: dict[str, Augment] = {}
    for part in text.split(",") if text.strip() else ():
        word, equals, value = (side.strip() for side in part.partition("="))
        if word not in AUGMENTS:
            raise InputError(f"augmentation '{word}' is not known; {nearest(word, AUGMENTS)}")
        if word in found:
            raise InputError(f"the augmentation {word} is there twice in '{text}'; name it once")
        make: Callable[..., Any] = AUGMENTS[word]
        if equals and not fields(AUGMENTS[word]):  # type: ignore[arg-type]
            raise InputError(f"{part.strip()}: {word} takes no value; write {word}")
        found[word] = make(number(part.strip(), value)) if equals else make()
    return tuple(found.values())


def augmented(ways: tuple[Augment, ...], wave: Wave, sample_rate: int, die: torch.Generator) -> list[Wave]:
    """Give what a clip (T,) becomes by several ways in turn; without any, itself."""
    waves = [wave]
    for one in ways:
        waves = [made for each in waves for made in one.variants(each, sample_rate, die)]
    return waves


def coloured(colour: str, wave: Wave, die: torch.Generator) -> NDArray[np.float64]:
    """Draw noise (T,) as long as a wave: ``white``, ``pink`` (3 dB an octave less), or of the wave's ``own`` spectrum.

    Gaussian, stationary, of no particular level: white noise times the square root of the power at each frequency.
    """
    white = _white(len(wave), die)
    if colour == "white":
        return white
    place = np.arange(len(wave) // 2 + 1)
    weight = np.abs(np.fft.rfft(wave)) if colour == "own" else np.where(place, 1 / np.sqrt(np.maximum(place, 1)), 0.0)
    noise: NDArray[np.float64] = np.fft.irfft(np.fft.rfft(white) * weight, n=len(wave))
    return noise


def _uniform(die: torch.Generator) -> float:
    return float(torch.rand((), generator=die, dtype=torch.float64))


def _white(length: int, die: torch.Generator) -> NDArray[np.float64]:
    noise: NDArray[np.float64] = torch.randn(length, generator=die, dtype=torch.float64).numpy()
    return noise


def _with(wave: Wave, noise: NDArray[np.float64]) -> Wave:
    return (wave + noise).astype(np.float32)
