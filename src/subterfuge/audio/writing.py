"""Writing a sound file: whole or not at all, never over its own source."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from subterfuge.audio.endless import refuse_endless
from subterfuge.audio.formats import SUFFIXES, Container
from subterfuge.audio.grid import BITS, dtype_for, to_steps
from subterfuge.audio.mend import mended
from subterfuge.audio.place import check_target, put
from subterfuge.audio.tags import carry
from subterfuge.errors import ClipError, OutputError

if TYPE_CHECKING:
    from subterfuge.audio.clip import Clip

_FAILURES = (RuntimeError, OSError, TypeError, ValueError, AssertionError)
_KNOWN_SUFFIXES = frozenset(suffix for several in SUFFIXES.values() for suffix in several)


def write_clip(
    clip: Clip, path: Path, home: Container, suffix: str, *, force: bool, announce: Callable[[str], None]
) -> Path:
    """Write a clip into a container, with what its source held beside the sound.

    The bytes are made in memory, written to a hidden file in the same folder, read back, and moved into
    place in one step, so that the name never stands for half a file.

    Raises:
        OutputError: the place holds something (and not `force`), is the clip's own source, or cannot be
            written; or the container cannot hold the clip.
    """
    target = _named(path, home, suffix, announce)
    check_target(target, clip.path, force)
    sound = mended(encode(clip, home), home, channels=clip.channels, frames=clip.frames, source=clip.path)
    if clip.path is not None:
        sound, lost = carry(clip.path, clip.format, sound, home)
        if lost:
            announce(f"not carried over from {clip.path.name}: {', '.join(lost)}")
    if home.lossy:
        announce(
            f"kept as {home.format} {home.subtype}: the sound was encoded a second time, so the file holds "
            "other samples"
        )
    put(sound, target, check=lambda hidden: _check_written(clip, home, hidden, announce))
    return target


def encode(clip: Clip, home: Container) -> bytes:
    """Give the bytes of the file, without tags: integers by our own scaling (2^(bits-1)), floats as they are.

    Raises:
        OutputError: libsndfile cannot write such a file.
    """
    bits = BITS.get(home.subtype)
    if bits is not None:
        frames: NDArray[Any] = (to_steps(clip.samples, bits) << (32 - bits)).astype(np.int32)
    else:
        heard = clip.samples.clip(-1, 1) if home.lossy else clip.samples
        frames = heard.astype(dtype_for(home.subtype), copy=False)
    best = {"compression_level": 0.0} if home.format in ("MP3", "OGG") else {}
    steady = {"bitrate_mode": "CONSTANT"} if home.format == "MP3" else {}
    made = io.BytesIO()
    try:
        with soundfile.SoundFile(
            made,
            "w",
            samplerate=clip.sample_rate,
            channels=clip.channels,
            format=home.format,
            subtype=home.subtype,
            endian=clip.endian if home.in_kind else "FILE",
            **best,
            **steady,
        ) as file:
            file.write(np.ascontiguousarray(frames.T))
    except _FAILURES as error:
        raise OutputError(
            f"{clip.name} cannot be written as {home.format} {home.subtype} with {clip.channels} channels at "
            f"{clip.sample_rate} Hz ({str(error).rpartition(': ')[2].strip()}). Do not keep its container: "
            "it then goes out "
            "without loss."
        ) from None
    return made.getvalue()


def _named(path: Path, home: Container, suffix: str, announce: Callable[[str], None]) -> Path:
    """Give the path an ending that fits its container: replace another container's, add to anything else."""
    if path.suffix.lower() in home.suffixes:
        return path
    fitting = path.with_suffix(suffix) if path.suffix.lower() in _KNOWN_SUFFIXES else path.with_name(path.name + suffix)
    announce(f"written as {home.format}, so {path.name} is called {fitting.name}")
    return fitting


def _check_written(clip: Clip, home: Container, path: Path, announce: Callable[[str], None]) -> None:
    """Read the file back: what is without loss must give the very samples, what is lossy the very length."""
    dtype = dtype_for(home.subtype)
    try:
        refuse_endless(path)
        with soundfile.SoundFile(str(path)) as file:
            found = file.read(dtype=dtype.__name__, always_2d=True).T
            same_rate = file.samplerate == clip.sample_rate
    except (*_FAILURES, ClipError) as error:
        raise OutputError(f"{path.name} could not be read back after writing ({error}). Is the disk full?") from None
    bits = BITS.get(home.subtype)
    if home.lossy:
        if found.shape[1] != clip.frames:
            announce(f"{home.format} {home.subtype} holds {found.shape[1]} samples for the {clip.frames} of the source")
        return
    wanted = clip.samples if bits is None else to_steps(clip.samples, bits) / 2.0 ** (bits - 1)
    if not same_rate or found.shape != wanted.shape or not np.array_equal(found, wanted.astype(dtype, copy=False)):
        raise OutputError(
            f"{home.format} {home.subtype} did not give back the samples of {clip.name} that were written. "
            "Convert the "
            "source to WAV or FLAC and start from that."
        )
