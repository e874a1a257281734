"""The sound as a server gets it: a WAV file in a form, as the body, or as base64 in JSON."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SENDS = {"multipart": "file", "raw": "", "base64": "audio"}
"""How the sound goes in, and what its field is called where the card does not say."""


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
