"""The outcome: everything needed to believe a result and to repeat it.

Stored beside the sound as ``FILE.outcome.json``. Numbers that are infinite or not numbers become null.
"""

from __future__ import annotations

import json
import math
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from subterfuge.errors import OutputError

SCHEMA = 1


@dataclass(frozen=True)
class Outcome:
    """One clip, one victim, one threat, one attack, and what came of it."""

    won: bool
    """Whether the true victim, asked once about the written file, met the goal."""
    goal: str
    target: str | None
    predicted_before: str
    predicted: str
    """What the victim answers of the written file, or, lost, of the nearest that the search came."""
    probability_before: float | None
    probability: float | None
    """The victim's own probability of the target (of the class that was left, for an untargeted goal)."""
    snr_db: float | None
    """Signal to change, on the mean of the channels at the victim's rate, of the file as read back."""
    file_snr_db: float | None
    """Signal to change over all channels, at the file's rate."""
    peak: float
    """Largest change of a sample of the file, in parts of full scale."""
    zimtohrli_mos: float | None
    """From 1 (bad) to 5 (no difference heard), package zimtohrli at 48 kHz on the mono fold."""
    queries: int
    """Clips through the victim that was searched on."""
    gradients: int
    """Backward passes through it."""
    judgements: int
    """Written files that the true victim was asked about."""
    seconds: float
    margin: float | None
    """How far past the goal the search came, in the units of the scores that it searched on."""
    twin_gap: float | None
    """Largest difference between the twin's scores and the victim's on the clean clip and the file; of probabilities,
    where the two score in different kinds."""
    control: Mapping[str, Any] | None
    """What noise does that knows nothing."""
    attack: str
    knobs: Mapping[str, Any]
    limit: str
    budget: Mapping[str, Any]
    seed: int
    repeatable: bool
    """False where the seconds of the budget ended the search."""
    file: str | None
    file_sha256: str | None
    clip: Mapping[str, Any]
    victim: Mapping[str, Any]
    measure: str = "snr"
    """By what the search took a change for small: snr, or nmr."""
    robust: Mapping[str, Any] | None = None
    """Which transforms the win had to survive, and what the last file died of; None where none was asked for."""
    already: bool = False
    """The clip met the goal as it came: nothing was changed, and it counts in no median."""
    segsnr_db: float | None = None
    """Segmental SNR, -10 .. 35 dB, on the same sounds as `snr_db`."""
    nmr_db: float | None = None
    """Noise-to-mask ratio, on the same sounds as `snr_db`: the change over the clip's masking threshold, as power, mean
    over all cells of time and frequency. Null is no change, or a record from before it was measured."""
    nmr_worst_frame_db: float | None = None
    """The same of the frame where it is largest."""
    share_above_threshold: float | None = None
    """Part of the cells where the change is above the threshold, 0 .. 1."""
    nmr_worst_channel_db: float | None = None
    """Noise-to-mask ratio of the file's worst channel, against that channel's own threshold, at the file's rate."""
    share_above_threshold_channels: float | None = None
    """Part of the cells of all channels where the change is above its channel's threshold, 0 .. 1."""
    level_difference_lu: float | None = None
    """How much louder the file is than the clip, in LU; null under 0.4 s, and of silence."""
    zimtohrli_distance: float | None = None
    """From 0 (alike) to 1; the opinion score is made of it."""
    visqol_mos: float | None = None
    """From 1 (bad) to 4.73 (no difference), in audio mode; null without the package, under 1 s and over 10 s."""
    service: Mapping[str, Any] | None = None
    """Of a victim that is reached over a network, what this attack cost, judge and control included: queries that were
    paid, answers from its cache, retries, price and total; None of others."""
    warnings: tuple[str, ...] = ()
    advice: str | None = None
    """For a lost attack: what to try."""
    history: tuple[Mapping[str, Any], ...] = ()
    """Gradients and queries spent, margin and SNR, at each improvement."""
    findings: Mapping[str, Any] = field(default_factory=dict)
    """What the attack tells of its own run: generations, restarts, a front, agreement; each attack has its own."""
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None
    schema: int = SCHEMA

    def as_json(self) -> dict[str, Any]:
        """Give a dictionary of plain JSON values."""
        plain = finite(asdict(self))
        assert isinstance(plain, dict)
        return plain

    def write(self, path: Path) -> Path:
        """Write the record in one step; a fault leaves nothing behind.

        Raises:
            OutputError: it cannot be written.
        """
        hidden = path.with_name(f".{secrets.token_hex(6)}.part")
        try:
            try:
                hidden.write_text(json.dumps(self.as_json(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
                os.replace(hidden, path)
            finally:
                hidden.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror or error}. Choose another place.") from None
        return path


def outcome_path(sound: Path) -> Path:
    """Give where the record of a written sound stands.

    >>> outcome_path(Path("a/b.wav")).name
    'b.wav.outcome.json'
    """
    return sound.with_name(sound.name + ".outcome.json")


def finite(value: Any) -> Any:
    """Turn tuples into lists, and numbers that JSON lacks into null.

    >>> finite({"a": (1.0, float("inf"))})
    {'a': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
