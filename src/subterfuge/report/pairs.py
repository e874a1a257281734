"""A clip and its attacked file as two sounds to compare by ear: in step, as loud as each other, written losslessly."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subterfuge.audio import MAX_SECONDS, Clip
from subterfuge.driver.controls_case import find_case, read_record
from subterfuge.errors import ClipError, InputError
from subterfuge.hearing.alignment import find_lag
from subterfuge.hearing.levels import level_db, snr_db
from subterfuge.hearing.loudness import level_difference_lu

AUDIBLE_DB = 0.1
"""Difference in loudness from which on the louder sound is lowered."""
CUT_SECONDS = 0.1
"""Most that may be cut off to bring sounds of different lengths, as encoders leave them, into step."""
RATES = 8000, 96000
"""In Hz, from and to, that every browser must be able to play (Web Audio API, section 1.1)."""
ALIKE = 0.9
"""Least correlation of sounds of different lengths that are still one sound twice."""

Samples = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Pair:
    """Two sounds (channels, T) of one rate and length."""

    name: str
    goal: str
    clip: Samples
    file: Samples
    sample_rate: int
    clip_sha256: str
    """Of the whole sound, before anything was cut: `Clip.fingerprint`."""
    file_sha256: str
    louder_db: float
    """By how much the file is louder than the clip."""
    notes: tuple[str, ...]
    """What was done to them, for listeners to read."""

    @property
    def gains(self) -> tuple[float, float]:
        """By what clip and file are multiplied to be as loud as each other: the louder one is lowered, if audible."""
        if abs(self.louder_db) <= AUDIBLE_DB:
            return 1.0, 1.0
        lower = round(float(10 ** (-abs(self.louder_db) / 20)), 6)
        return (1.0, lower) if self.louder_db > 0 else (lower, 1.0)


def find_pair(outcome: str | Path, *, max_seconds: float = MAX_SECONDS) -> tuple[Pair, list[Path], list[str]]:
    """Find clip and file of a recorded attack, checked by their hashes; give them, what was read, and what to tell.

    Raises:
        InputError: the outcome is none, or of a lost attack.
        ClipError: a sound is missing, is not the one on record, or the two cannot be compared by ear.
    """
    record, place = read_record(outcome)
    if record["file"] is None:
        raise InputError(
            f"{place} tells of a lost attack, which wrote no file, so there is nothing to listen to; give the outcome "
            "of a won one"
        )
    notes: list[str] = []
    case = find_case(outcome, notes.append, max_seconds=max_seconds)
    file = Clip.read(case.file, max_seconds=max_seconds)
    goal = f"{record['predicted_before']} -> {record['target'] or 'anything else'}"
    paths = [path for path in (case.path, case.clip.path, case.file) if path is not None]
    return pair_of(case.clip, file, goal=goal), paths, notes


def pair_of(clip: Clip, file: Clip, *, goal: str = "") -> Pair:
    """Bring two sounds into step.

    Raises:
        ClipError: they differ in rate or channels, have more than two, are the same, or are not one sound twice.
    """
    kinds = (("Hz", clip.sample_rate, file.sample_rate), ("channels", clip.channels, file.channels))
    for what, first, second in kinds:
        if first != second:
            raise ClipError(
                f"{file.name} has {second} {what} and its clip {clip.name} {first}; heard side by side that would give "
                "it away; give an attack whose file has the rate and channels of its clip"
            )
    if clip.channels > 2:
        raise ClipError(
            f"{clip.name} has {clip.channels} channels; a page plays one or two, and folding would change it"
        )
    before, after = clip.samples, file.samples
    notes: list[str] = []
    if clip.frames != file.frames:
        before, after, told = _in_step(clip, file)
        notes.append(told)
    if np.array_equal(before, after):
        raise ClipError(
            f"{file.name} holds the very samples of its clip {clip.name}, so there is no difference to hear; give the "
            "outcome of an attack that changed something"
        )
    low, high = RATES
    if not low <= clip.sample_rate <= high:
        notes.append(f"Not every browser plays {clip.sample_rate} Hz; all play {low} to {high} Hz.")
    louder = _louder_db(before, after, clip.sample_rate)
    if abs(louder) > AUDIBLE_DB:
        which = "B, the changed sound, was" if louder > 0 else "A, the original, was"
        notes.append(f"{which} {abs(louder):.2f} dB louder; it plays that much lower, so that loudness tells nothing.")
    hashes = clip.fingerprint, file.fingerprint
    return Pair(clip.name, goal, before, after, clip.sample_rate, *hashes, louder, tuple(notes))


def _in_step(clip: Clip, file: Clip) -> tuple[Samples, Samples, str]:
    """Cut sounds of different lengths to what they share, where they correlate most."""
    lag = find_lag(clip.samples.mean(axis=0), file.samples.mean(axis=0))
    late = lag.samples
    begin, end = max(0, -late), min(clip.frames, file.frames - late)
    over = max(clip.frames, file.frames) - (end - begin)
    if lag.correlation < ALIKE or over > CUT_SECONDS * clip.sample_rate:
        raise ClipError(
            f"{file.name} has {file.frames} samples and its clip {clip.name} {clip.frames}, and they cannot be brought "
            f"into step (best correlation {lag.correlation:.2f}, {over} samples over); one length was expected"
        )
    moved = f", B moved by {-late}" if late else ""
    told = f"A has {clip.frames} samples and B {file.frames}; the {end - begin} that they share are played{moved}."
    return clip.samples[:, begin:end], file.samples[:, begin + late : end + late], told


def _louder_db(before: Samples, after: Samples, sample_rate: int) -> float:
    """Say by how much the second is louder, or, where the two are too short or quiet for loudness, of more power."""
    loudness = level_difference_lu(before, after, sample_rate)
    if loudness is not None:
        return loudness
    levels = level_db(before), level_db(after)
    return levels[1] - levels[0] if np.isfinite(levels).all() else 0.0


def describe(pair: Pair) -> dict[str, Any]:
    """Say what a page and its results must know of a pair: plain JSON values, without the sounds."""
    gains = pair.gains
    return {
        "name": pair.name,
        "goal": pair.goal,
        "snr_db": round(snr_db(pair.clip, pair.file), 2),
        "clip_sha256": pair.clip_sha256,
        "file_sha256": pair.file_sha256,
        "sample_rate": pair.sample_rate,
        "channels": int(pair.clip.shape[0]),
        "frames": int(pair.clip.shape[1]),
        "louder_db": round(pair.louder_db, 3),
        "a": {"format": format_of(pair.clip), "gain": gains[0]},
        "b": {"format": format_of(pair.file), "gain": gains[1]},
        "notes": list(pair.notes),
    }


def format_of(samples: Samples) -> str:
    """Name the smallest of s16, s24 and f32 that holds samples as they are (f32: as near as a browser can)."""
    for name, steps in (("s16", 2.0**15), ("s24", 2.0**23)):
        scaled = samples * steps
        if np.array_equal(scaled, np.rint(scaled)) and np.min(scaled) >= -steps and np.max(scaled) < steps:
            return name
    return "f32"


def encode(samples: Samples) -> str:
    """Write samples (channels, T) as base64 in their format, little-endian, channels interleaved."""
    kind, flat = format_of(samples), np.ascontiguousarray(samples.T).ravel()
    if kind == "s16":
        raw = (flat * 2.0**15).astype("<i2").tobytes()
    elif kind == "s24":
        raw = (flat * 2.0**23).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    else:
        raw = flat.astype("<f4").tobytes()
    return base64.b64encode(raw).decode()
