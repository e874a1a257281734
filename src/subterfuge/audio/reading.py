"""Reading a sound file whole, or refusing it in one paragraph."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from subterfuge.audio.chunks import missing_bytes
from subterfuge.audio.endless import refuse_endless
from subterfuge.audio.grid import BITS, dtype_for, is_lossy
from subterfuge.errors import ClipError

HOURS_24 = 86_400.0
MAX_SECONDS = 600.0
MIN_SAMPLES = 32
MAX_CHANNELS = 32
RATES_HZ = (100, 1_000_000)
LOUDEST = 100.0
"""Float samples larger than this (40 dB over full scale) were never scaled to [-1, 1]."""

_UNKNOWN_LENGTH = 1 << 62
_FAILURES = (RuntimeError, OSError, TypeError, ValueError, MemoryError, AssertionError)


class Sound(NamedTuple):
    """What a sound file holds: samples (C, T), their rate, libsndfile's names, and what one must know."""

    samples: NDArray[np.floating[Any]]
    sample_rate: int
    subtype: str
    format: str
    endian: str
    warnings: tuple[str, ...]


def read_sound(path: Path, max_seconds: float) -> Sound:
    """Read a file that libsndfile knows, in one piece, after a look at its header.

    One piece, because a decoder of MP3 that is asked block by block seeks between the blocks and hears
    other samples.

    Raises:
        ClipError: it is missing, not a file, empty, not audio, damaged, too long, too short, of an absurd
            rate or number of channels, or holds samples that are no numbers.
    """
    _check_place(path)
    if not 0 < max_seconds <= HOURS_24:
        raise ClipError(
            f"--max-seconds {max_seconds:g}: the longest clip that is read, up to {HOURS_24:g} (24 h), was expected."
        )
    try:
        _refuse_dump(path)
        refuse_endless(path)
        with soundfile.SoundFile(str(path)) as file:
            promised = int(file.frames)
            _check_header(path, file.channels, file.samplerate, promised, max_seconds)
            most = int(max_seconds * file.samplerate)
            held = file.read(most + 1, dtype=dtype_for(file.subtype).__name__, always_2d=True)
            rate, subtype, format, endian = file.samplerate, file.subtype, file.format, file.endian
    except _FAILURES as error:
        raise ClipError(_unreadable(path, error)) from None
    if len(held) > most:
        raise ClipError(_too_long(path, f"more than {max_seconds:g}", max_seconds))
    samples = np.ascontiguousarray(held.T)
    check_samples(samples, str(path))
    _check_whole(path, promised, len(held))
    warnings = _loud(samples, subtype)
    if is_lossy(subtype):
        warnings.insert(
            0,
            f"the source is {format} {subtype}, which loses part of the sound: the output is 24-bit and "
            "lossless, unless "
            "its container is kept, which encodes it, and loses, a second time",
        )
    return Sound(samples, int(rate), subtype, format, endian, tuple(warnings))


def length_of(path: str | Path) -> tuple[int, int] | str:
    """Give a sound's frames and rate by its header, or, where it has none, its path: of such, none is like another."""
    try:
        refuse_endless(Path(path))
        told = soundfile.info(str(path))
    except (*_FAILURES, ClipError):
        return str(path)
    return told.frames, told.samplerate


def check_samples(samples: NDArray[np.floating[Any]], what: str) -> None:
    """Refuse samples (C, T) that are too few, too many channels, or not finite numbers of a sane size.

    Raises:
        ClipError: with `what` as the name of the sound.
    """
    channels, length = samples.shape
    if not 1 <= channels <= MAX_CHANNELS:
        raise ClipError(
            f"{what} has {channels} channels; between 1 and {MAX_CHANNELS} can be worked on. Split the file."
        )
    if length < MIN_SAMPLES:
        raise ClipError(
            f"{what} holds {length} sample{'s' * (length != 1)} a channel, too few to be a sound; at least "
            f"{MIN_SAMPLES} "
            "are needed. Check that the recording or the export was not cut off."
        )
    peak = max(float(np.max(samples)), -float(np.min(samples)))  # NaN where a sample is: two passes, no arrays
    if not np.isfinite(peak):
        broken = int(np.count_nonzero(~np.isfinite(samples)))
        raise ClipError(
            f"{what} holds {broken} samples that are not numbers (NaN or infinite) among {samples.size}; a "
            "sound has "
            "finite samples in [-1, 1]. Export it again, or replace them with 0."
        )
    if peak > LOUDEST:
        raise ClipError(
            f"{what} has samples as large as {peak:g}, where full scale is 1: they were never scaled. "
            "Divide them by the "
            "full scale of what they came from (32768 for 16-bit integers) and write the file again."
        )


def check_rate(sample_rate: int, what: str) -> None:
    """Refuse a sample rate outside 100 Hz .. 1 MHz.

    Raises:
        ClipError: with `what` as the name of the sound.
    """
    if not RATES_HZ[0] <= sample_rate <= RATES_HZ[1]:
        raise ClipError(
            f"{what} has a sample rate of {sample_rate} Hz; between {RATES_HZ[0]} and {RATES_HZ[1]:,} Hz "
            "were expected. "
            "Its header is likely damaged: export it again."
        )


def _check_place(path: Path) -> None:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be opened ({error})"
        raise ClipError(f"{path} {reason}; a sound file was expected. Check the name.") from None
    if stat.S_ISDIR(status.st_mode):
        raise ClipError(f"{path} is a folder; one sound file was expected. Name a file in it.")
    if not stat.S_ISREG(status.st_mode):
        raise ClipError(f"{path} is a device or a pipe; a file on disk was expected. Save the sound to a file first.")
    if status.st_size == 0:
        raise ClipError(f"{path} is empty (0 bytes); a sound file was expected. Was its download or export cut off?")


def _check_header(path: Path, channels: int, rate: int, frames: int, max_seconds: float) -> None:
    check_rate(rate, str(path))
    if not 1 <= channels <= MAX_CHANNELS:
        check_samples(np.empty((channels, MIN_SAMPLES)), str(path))
    if frames < _UNKNOWN_LENGTH and frames > max_seconds * rate:
        raise ClipError(_too_long(path, f"{frames / rate:.1f}", max_seconds))


def _too_long(path: Path, seconds: str, max_seconds: float) -> str:
    return (
        f"{path} is {seconds} s long; at most {max_seconds:g} s are read. Cut it, or raise the limit with "
        "--max-seconds N (max_seconds=N in Python)."
    )


def _unreadable(path: Path, error: Exception) -> str:
    if path.suffix.lower() == ".raw":
        return f"{path} has no header that tells its rate and channels; save it as WAV or FLAC."
    if isinstance(error, MemoryError):
        return f"{path} does not fit into memory; cut it, or ask for less with --max-seconds N."
    said = getattr(error, "error_string", None) or str(error).rpartition(": ")[2] or type(error).__name__
    return (
        f"{path} cannot be read as sound; a whole WAV, FLAC, OGG, MP3, AIFF or other file that libsndfile "
        "knows was "
        f"expected (libsndfile says: {said.strip().rstrip('.')}). Check that it plays; if it does, convert "
        "it to WAV or FLAC."
    )


def _refuse_dump(path: Path) -> None:
    """Refuse a MIDI sample dump, which libsndfile misreads, and tells of on standard output as it opens it."""
    with path.open("rb") as file:
        if file.read(2) == b"\xf0\x7e":
            raise ClipError(f"{path} is a MIDI sample dump (SDS), which libsndfile misreads. Convert it to WAV.")


def _check_whole(path: Path, promised: int, held: int) -> None:
    with path.open("rb") as file:
        missing = missing_bytes(file)
    if missing:
        lacks = f"{missing} bytes of sound more than there are"
    elif promised < _UNKNOWN_LENGTH and held < promised:
        lacks = f"{promised} samples"
    else:
        return
    raise ClipError(
        f"{path} is cut off: its header promises {lacks}, and {held} samples a channel can be read. A whole file was "
        "expected: fetch or export it again, or open it in an editor and save what is there as a new file."
    )


def _loud(samples: NDArray[np.floating[Any]], subtype: str) -> list[str]:
    """Say where the source is clipped: three equal samples in a row at full scale, or floats beyond it."""
    top = 1.0 if subtype not in BITS else 1.0 - 2.0 ** (1 - BITS[subtype])
    if float(samples.max()) < top and float(samples.min()) > -1.0:
        return []
    if subtype not in BITS:
        beyond = int(np.count_nonzero(np.abs(samples) > 1.0))
        return [f"{beyond} samples of the source lie beyond full scale"] if beyond else []
    flat = 0
    for full in (samples >= top, samples <= -1.0):
        flat += int(np.count_nonzero(full[:, 2:] & full[:, 1:-1] & full[:, :-2]))
    return [f"the source is clipped: in {flat} places three samples in a row stand at full scale"] if flat else []
