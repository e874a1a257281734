"""A small room: the sound from a loudspeaker, picked up a metre away, with all that the walls give back."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.errors import MissingExtra
from subterfuge.transforms.linear import convolve, filtered
from subterfuge.transforms.transform import Dice, Samples, in_range, refuse, spell

SIZE_M = (5.0, 4.0, 3.0)
LOUDSPEAKER_M = (1.7, 1.3, 1.2)
TOWARD = (0.8, 0.6, 0.0)
"""From the loudspeaker to the microphone, a direction of length 1."""
APART_M = 1.0
LEAST_HZ, MOST_HZ = 4000, 192_000
MISSING = "needs the package pyroomacoustics: pip install 'sonic-subterfuge[room]'"


@dataclass(frozen=True)
class Room:
    """Played and picked up in a room of 5 x 4 x 3 m with the reverberation time `seconds`, at the level that it had.

    Image sources (Allen and Berkley, JASA 1979) by pyroomacoustics (Scheibler, Bezzam, Dokmanić 2018,
    https://arxiv.org/abs/1710.04196); the walls absorb what Sabine's formula asks for. Loudspeaker and microphone
    stand a metre apart, to the nearest sample of sound travel, and the direct sound stays where it was. Every channel
    comes from the one place.
    """

    seconds: float = 0.3
    word: ClassVar[str] = "room"
    says: ClassVar[str] = "in a room of 5 x 4 x 3 m that reverberates for so many seconds (0.3), from a metre away"

    def __post_init__(self) -> None:
        in_range(self.word, self.seconds, 0.15, 1.0, "seconds of reverberation")

    @property
    def name(self) -> str:
        """As the command line says it."""
        return spell(self.word, self.seconds)

    def why_not(self, samples: Samples, sample_rate: int) -> str | None:
        """Refuse rates at which a room is not worth computing; and where the package is missing."""
        if not LEAST_HZ <= sample_rate <= MOST_HZ:
            return f"the room is computed at {LEAST_HZ} to {MOST_HZ} Hz, and the sound is at {sample_rate}"
        return MISSING if importlib.util.find_spec("pyroomacoustics") is None else None

    def real(self, samples: Samples, sample_rate: int, die: object) -> Samples:
        """Convolve, and bring the root mean square over all channels back to what it was."""
        refuse(self, samples, sample_rate)
        response, start = _response(self.seconds, sample_rate)
        heard = filtered(samples.astype(np.float64), response, start)
        loud = float(np.linalg.norm(heard))
        level = float(np.linalg.norm(samples.astype(np.float64))) / loud if loud > 0 else 1.0
        return (heard * level).astype(samples.dtype)

    def stand_in(self, wave: Tensor, sample_rate: int, dice: Dice) -> Tensor:
        """Convolve; the factor that keeps the level is held fixed in the gradient."""
        response, start = _response(self.seconds, sample_rate)
        heard = convolve(wave, response, start)
        loud = heard.detach().double().norm(dim=-1, keepdim=True)
        level = wave.detach().double().norm(dim=-1, keepdim=True) / loud.where(loud > 0, 1.0)
        kept: Tensor = heard * level.to(wave.dtype)
        return kept


@lru_cache(maxsize=8)
def _response(seconds: float, sample_rate: int) -> tuple[NDArray[np.float64], int]:
    """Give the impulse response (K,) and the sample at which the direct sound arrives.

    Raises:
        MissingExtra: pyroomacoustics is not installed.
    """
    try:
        import pyroomacoustics as pra
    except ImportError:
        raise MissingExtra(f"the transform room {MISSING}") from None
    absorption, order = pra.inverse_sabine(seconds, SIZE_M)
    room = pra.ShoeBox(SIZE_M, fs=sample_rate, materials=pra.Material(absorption), max_order=order)
    travel = max(1, round(APART_M / room.c * sample_rate))
    source = np.array(LOUDSPEAKER_M)
    room.add_source(source)
    room.add_microphone(source + travel * room.c / sample_rate * np.array(TOWARD))
    room.compute_rir()
    response = np.asarray(room.rir[0][0], dtype=np.float64)
    start = travel + pra.constants.get("frac_delay_length") // 2
    return response / np.linalg.norm(response), start
