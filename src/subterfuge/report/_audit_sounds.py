"""The sounds of a page: a clip and its changed file, found, checked, cut to an excerpt, and packed without loss."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subterfuge.audio import Clip
from subterfuge.errors import ClipError
from subterfuge.report.pairs import format_of, pair_of

LONGEST_SECONDS = 12.0
"""Of a sound that is shown whole."""
EXCERPT_SECONDS = 10.0
"""Of one that is longer."""

Samples = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Both:
    """A clip and its changed file, or the same excerpt of both: shape (1 or 2 channels, T), in step."""

    before: Samples
    after: Samples
    sample_rate: int
    start: int
    """First sample of the excerpt."""
    frames: int
    """Of the whole sound."""
    notes: tuple[str, ...]
    """What was done to them, for a reader."""


def find_both(outcome: Mapping[str, Any], folder: Path, path: str | None = None) -> Both:
    """Read clip and file of a won search, each checked by its hash.

    Args:
        outcome: the record.
        folder: what the record's file is relative to.
        path: where the clip is said to be, beside what the record says.

    Raises:
        ClipError: a sound is gone, damaged, not the one on record, or the two cannot be compared.
    """
    record = outcome["clip"]
    file = _find("changed file", [folder / str(outcome["file"])], outcome.get("file_sha256"))
    name = Path(str(record.get("path") or path or "")).name
    places = [Path(one) for one in (path, record.get("path")) if one]
    clip = _find("clip", [*places, folder / name, file.parent / name], record.get("sha256"))
    before, after = _read(clip, clip.stat().st_mtime_ns), Clip.read(file)
    notes: list[str] = []
    if before.sample_rate == after.sample_rate and before.samples.shape == after.samples.shape:
        first, second = before.samples, after.samples
    else:
        pair = pair_of(before, after)
        first, second = pair.clip, pair.file
        notes += pair.notes
    if len(first) > 2:
        notes.append(f"the mean of the {len(first)} channels is shown, which is what the victim hears")
        first, second = (one.mean(axis=0, keepdims=True) for one in (first, second))
    return _cut(first, second, before.sample_rate, notes)


def _cut(before: Samples, after: Samples, rate: int, notes: list[str]) -> Both:
    """Cut long sounds to the excerpt that holds most of the change's energy."""
    frames, wide = before.shape[-1], round(EXCERPT_SECONDS * rate)
    if frames <= LONGEST_SECONDS * rate:
        return Both(before, after, rate, 0, frames, tuple(notes))
    energy = np.cumsum(np.square(np.asarray(after, dtype=np.float64) - before).sum(axis=0))
    inside = np.concatenate([energy[wide - 1 : wide], energy[wide:] - energy[:-wide]])
    start = int(np.argmax(inside))
    share = float(inside[start] / energy[-1]) if energy[-1] > 0 else 1.0
    notes.append(
        f"an excerpt, {start / rate:.1f} to {(start + wide) / rate:.1f} s of {frames / rate:.1f} s: "
        f"the {EXCERPT_SECONDS:.0f} s that hold most of the change ({100 * share:.0f} % of its energy)"
    )
    here = slice(start, start + wide)
    return Both(before[:, here], after[:, here], rate, start, frames, tuple(notes))


@dataclass(frozen=True)
class Packed:
    """A pair of FLAC files."""

    files: tuple[bytes, bytes]
    bits: tuple[int, int]
    """Of their samples, 16 or 24."""
    notes: tuple[str, ...]
    """What was done to fit the samples in."""


def pack(both: Both) -> Packed:
    """Write both sounds as FLAC, with the bits that they have, at most 24.

    Raises:
        ClipError: FLAC cannot hold them.
    """
    notes: list[str] = []
    before, after = both.before, both.after
    peak = max(float(np.max(np.abs(before), initial=0.0)), float(np.max(np.abs(after), initial=0.0)))
    if peak > 1.0:
        notes.append(f"both play {20 * np.log10(peak):.1f} dB lower than they are, since they exceed full scale")
        before, after = before / peak, after / peak
    kinds = [format_of(one) for one in (before, after)]
    if "f32" in kinds:
        notes.append("the samples have more than 24 bits; they are embedded with 24")
    first, second = (16 if kind == "s16" else 24 for kind in kinds)
    files = _flac(before, both.sample_rate, first), _flac(after, both.sample_rate, second)
    return Packed(files, (first, second), tuple(notes))


def _flac(samples: Samples, rate: int, bits: int) -> bytes:
    import soundfile

    subtype = f"PCM_{bits}"
    held = io.BytesIO()
    try:
        soundfile.write(held, samples.T, rate, format="FLAC", subtype=subtype, compression_level=1.0)
    except soundfile.LibsndfileError as error:
        raise ClipError(f"FLAC cannot hold it: {error.error_string}") from None
    return held.getvalue()


def _find(what: str, places: Iterable[Path], sha256: object) -> Path:
    there = [place for place in dict.fromkeys(places) if _is_file(place)]
    if not there:
        raise ClipError(f"the {what} is not where the record says")
    for place in there:
        if not sha256 or _digest(place) == sha256:
            return place
    raise ClipError(f"the {what} {there[0].name} is not the one on record: it was changed or damaged since")


def _is_file(place: Path) -> bool:
    try:
        return place.is_file()
    except (OSError, ValueError):
        return False


def _digest(place: Path) -> str:
    try:
        return hashlib.sha256(place.read_bytes()).hexdigest()
    except OSError as error:
        raise ClipError(f"{place.name} cannot be read: {error.strerror or error}") from None


@lru_cache(maxsize=1)
def _read(path: Path, stamp: int) -> Clip:  # the stamp belongs to what is kept
    return Clip.read(path)
