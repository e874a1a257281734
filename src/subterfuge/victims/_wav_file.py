"""The sound as a stranger's classifier gets it: a WAV file in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from subterfuge.audio import Clip
from subterfuge.audio.mend import mended
from subterfuge.audio.writing import encode

SUBTYPES = ("PCM_16", "PCM_24", "FLOAT")
"""What a card may have the file's samples be."""


def wav_of(wave: NDArray[np.float32], sample_rate: int, subtype: str) -> bytes:
    """Give the bytes of a mono WAV file of a wave (T,): the same wave, the same bytes.

    Integers are rounded to the nearest step, and what is beyond full scale is clipped, as in every file that
    `subterfuge.audio` writes; FLOAT holds the wave as it is.
    """
    clip = Clip(wave[None], sample_rate, subtype, "WAV", "sound")
    home = clip.container()
    return mended(encode(clip, home), home, channels=1, frames=clip.frames, source=None)
