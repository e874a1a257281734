"""The sound as a server gets it: a WAV file in memory, in a form, as the body, or as base64 in JSON."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subterfuge.audio import Clip
from subterfuge.audio.mend import mended
from subterfuge.audio.writing import encode

SENDS = {"multipart": "file", "raw": "", "base64": "audio"}
"""How the sound goes in, and what its field is called where the card does not say."""
SUBTYPES = ("PCM_16", "PCM_24", "FLOAT")


def wav_of(wave: NDArray[np.float32], sample_rate: int, subtype: str) -> bytes:
    """Give the bytes of a mono WAV file of a wave (T,): the same wave, the same bytes.

    Integers are rounded to the nearest step, and what is beyond full scale is clipped, as in every file that
    `subterfuge.audio` writes; FLOAT holds the wave as it is.
    """
    clip = Clip(wave[None], sample_rate, subtype, "WAV", "sound")
    home = clip.container()
    return mended(encode(clip, home), home, channels=1, frames=clip.frames, source=None)


@dataclass(frozen=True)
class Form:
    """How a sound is put into a request."""

    send: str
    place: str
    """The field of the form that holds the file, or of the JSON."""
    fields: Mapping[str, Any]
    """Further ones."""

    def request(self, wav: bytes) -> dict[str, Any]:
        """Give the arguments of `requests.Session.post` that carry a file's bytes."""
        if self.send == "raw":
            return {"data": wav}
        if self.send == "base64":
            return {"json": {**self.fields, self.place: base64.b64encode(wav).decode("ascii")}}
        return {"data": dict(self.fields), "files": {self.place: ("sound.wav", wav, "audio/wav")}}
