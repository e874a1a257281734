"""What a universal sound's record holds, what it says in a sentence, and how it gets beside the sound."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from subterfuge.driver._universal_judge import Beside, Share, Unseen
from subterfuge.driver.controls_case import save
from subterfuge.errors import OutputError
from subterfuge.outcome import finite

SCHEMA = 1


@dataclass(frozen=True)
class Universal:
    """A universal sound, how it was learned, and what it does to clips that it never met."""

    goal: str
    target: str | None
    limit: str
    """How loud it is on a clip: so far below it, or at one level."""
    seconds: float
    """Length of the sound, which is repeated or cut to a clip's."""
    anywhere: bool
    """Whether it was learned to begin at any moment."""
    protocol: str
    """Which clips judged it."""
    learned_from: tuple[str, ...]
    """The clips that the written sound was learned from."""
    success: Share
    """Clips that were never met and met the goal, each asked about once, as written and read back."""
    begun_anywhere: Beside | None
    """The same with the sound begun at moments drawn at random."""
    same_spectrum: Beside | None
    """The same of noise as loud, of the sound's spectrum and with random phases."""
    white_noise: Beside | None
    """The same of white noise as loud."""
    snr_db: tuple[float, float, float]
    """Clip to change as heard: the least, the median and the most over the judged clips."""
    verdict: str
    clips: tuple[Unseen, ...]
    """Each judged clip."""
    left_out: tuple[str, ...]
    """Clips of which the victim says the target as they come: neither learned from nor counted."""
    gradients: int
    """Backward passes of one clip each, over all the sounds that were learned."""
    queries: int
    """Clips through what they were learned on, where that was scores."""
    judgements: int
    """Sounds that the true victim was asked about besides."""
    method: str
    """How it was learned: climb, along gradients, or evolve, from scores."""
    knobs: dict[str, Any]
    seed: int
    file: str
    file_sha256: str
    sources: tuple[dict[str, Any], ...]
    """Every clip that was given."""
    victim: dict[str, Any]
    service: dict[str, Any] | None = None
    """Of a victim that is reached over a network, what all this cost: queries that were paid, answers from its cache,
    retries, price and total; None of others."""
    warnings: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    command: str | None = None
    schema: int = SCHEMA

    def as_json(self) -> dict[str, Any]:
        """Give a dictionary of plain JSON values."""
        plain = finite(asdict(self))
        assert isinstance(plain, dict)
        return plain


def universal_path(sound: Path) -> Path:
    """Give where the record of a written universal sound stands.

    >>> universal_path(Path("a/b.wav")).name
    'b.wav.universal.json'
    """
    return sound.with_name(sound.name + ".universal.json")


def verdict_of(made: Universal) -> str:
    """Say in a sentence or two what the sound does, and what of that noise as loud does too."""
    won = made.success
    what = f"say {made.target}" if made.target else "leave what it said"
    says = (
        f"{won.hits} of {won.of} clips that the sound never met {what} ({100 * won.share:.0f} %, 95 % interval "
        f"{100 * won.low:.0f} to {100 * won.high:.0f} %)"
    )
    own, flat = made.same_spectrum, made.white_noise
    if own is None or flat is None:
        return f"{says}."
    noise = (
        f"with noise as loud of its own spectrum {100 * own.share:.0f} % do, with white noise {100 * flat.share:.0f} %"
    )
    if won.hits == 0:
        return f"{says}; {noise}."
    if flat.chance > 0.05:
        gains = "That it does more than white noise cannot be told from these clips."
    elif own.chance > 0.05:
        as_much = own.share >= 0.9 * won.share
        gains = "It does more than white noise; " + (
            "what it does is in its spectrum, for noise of that does as much."
            if as_much
            else "that it does more than noise of its own spectrum cannot be told from these clips."
        )
    else:
        gains = "It does more than either noise."
    return f"{says}; {noise}. {gains}"


def publish(made: Universal, file: Path, place: Path, kept: dict[Path, Path]) -> None:
    """Move the kept files, then the record and the sound into place, so that no sound stands without its record.

    Raises:
        OutputError: one of them cannot be written.
    """
    record, final, anew = save(made.as_json(), file.with_suffix(".json")), universal_path(place), not place.exists()
    try:
        for source, target in kept.items():
            if source.exists():  # not all clips were judged
                target.parent.mkdir(parents=True, exist_ok=True)
                hidden = target.with_name(f".{target.name}.part")
                try:
                    shutil.copyfile(source, hidden)
                    os.replace(hidden, target)
                finally:
                    hidden.unlink(missing_ok=True)
        os.replace(record, final)
        os.replace(file, place)
    except BaseException as error:
        if anew:
            with contextlib.suppress(OSError):
                final.unlink(missing_ok=True)
        if isinstance(error, OSError):
            where = error.filename2 or error.filename or place
            raise OutputError(f"{where} cannot be written: {error.strerror or error}. Choose another place, or make "
                              "room there.") from None  # fmt: skip
        raise
