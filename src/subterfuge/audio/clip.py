"""The clip: one sound, as its file holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from subterfuge.audio.formats import Container, container_for
from subterfuge.audio.grid import BITS, FLOATS, add_on_grid, dtype_for, to_steps
from subterfuge.audio.label import label_of
from subterfuge.audio.rates import fold, length_at, lift, to_rate
from subterfuge.audio.reading import MAX_SECONDS, check_rate, check_samples, read_sound
from subterfuge.audio.writing import write_clip
from subterfuge.errors import ClipError


@dataclass(frozen=True, eq=False)
class Clip:
    """A sound, and how its file holds it. Make one with `Clip.read` or `Clip.of`."""

    samples: NDArray[np.floating[Any]]
    """Shape (channels, T), nominally in [-1, 1], read-only; float32, or float64 where it has over 24 bits."""
    sample_rate: int
    subtype: str = "PCM_16"
    format: str = "WAV"
    name: str = "clip"
    label: str | None = None
    """What the name says that it is: an IRMAS code in its first brackets, else None."""
    path: Path | None = None
    warnings: tuple[str, ...] = ()
    endian: str = "FILE"

    @classmethod
    def read(cls, path: str | Path, *, max_seconds: float = MAX_SECONDS) -> Clip:
        """Read any sound file that libsndfile knows: 100 Hz to 1 MHz, up to 32 channels, 8 to 64 bits.

        Raises:
            ClipError: no such file, not a sound, damaged, empty, under 32 samples, not finite, or longer than
                `max_seconds` (told from the header, before a sample is read).
        """
        place = Path(path)
        samples, rate, subtype, format, endian, warnings = read_sound(place, max_seconds)
        samples.flags.writeable = False
        return cls(samples, rate, subtype, format, place.stem, label_of(place.name), place, warnings, endian)

    @classmethod
    def of(
        cls,
        samples: ArrayLike,
        sample_rate: int,
        *,
        subtype: str = "PCM_16",
        format: str = "WAV",
        name: str = "clip",
    ) -> Clip:
        """Make a clip of floats (T,) or (C, T), rounded to the subtype's grid as its file would hold them.

        Raises:
            ClipError: the numbers are integers, not finite, or beyond [-1, 1] where the subtype ends there;
                a shape, rate or subtype that makes no sense.
        """
        array = np.asarray(samples)
        if array.dtype.kind != "f":
            raise ClipError(
                f"{name} holds {array.dtype} numbers; floats in [-1, 1] were expected. Divide by full scale."
            )
        if array.ndim not in (1, 2):
            raise ClipError(f"{name} has shape {array.shape}; (T,) or (channels, T) was expected.")
        if subtype not in BITS and subtype not in FLOATS:
            raise ClipError(f"{name}: subtype {subtype} is not one of {', '.join([*BITS, *FLOATS])}.")
        check_rate(sample_rate, name)
        held = np.array(np.atleast_2d(array), dtype=np.float64)
        check_samples(held, name)
        bits = BITS.get(subtype)
        if bits is not None:
            peak = float(np.max(np.abs(held)))
            if peak > 1.0:
                raise ClipError(f"{name} has a peak of {peak:g}; {subtype} holds [-1, 1]. Scale it, or use FLOAT.")
            held = to_steps(held, bits) / 2.0 ** (bits - 1)
        return cls(_frozen(held, dtype_for(subtype)), int(sample_rate), subtype, format, name, label_of(name))

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[0])

    @property
    def frames(self) -> int:
        """Number of samples a channel."""
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.sample_rate

    @cached_property
    def is_silent(self) -> bool:
        """Whether every sample is 0."""
        return not self.samples.any()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over shape, rate and samples (little-endian): the sound, whatever file it stood in."""
        digest = sha256(f"{self.channels} {self.frames} {self.sample_rate} ".encode())
        digest.update(np.ascontiguousarray(self.samples, self.samples.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()

    def mono(self, rate: int) -> NDArray[np.float32]:
        """Give what a victim at `rate` Hz hears, (T',) float32: as `librosa.load(path, sr=rate)` has it."""
        return to_rate(fold(self.samples), self.sample_rate, rate)

    def add(self, delta: NDArray[np.floating[Any]], rate: int) -> Clip:
        """Add a change of the mono fold, found at `rate` Hz, to every channel, rounded as its file holds it.

        The change is brought to the clip's own rate and length (soxr VHQ) and rounded so that the mean over
        channels is as near as can be to what was wanted (`grid.shared_round`). What exceeds full scale is
        clipped and counted in `warnings`; a float file is taken no further beyond full scale than it was. A
        change of nothing but zeros gives the same samples.

        Args:
            delta: shape (T',), the length of ``mono(rate)``, in the scale of the samples.
            rate: of `delta`, in Hz.

        Raises:
            ClipError: another length, or not finite.
        """
        there = length_at(self.frames, self.sample_rate, rate)
        if delta.shape != (there,):
            raise ClipError(f"{self.name}: a change of shape {delta.shape} at {rate} Hz; ({there},) was expected.")
        if not np.isfinite(delta).all():
            raise ClipError(f"{self.name}: a change with samples that are not finite; finite ones were expected.")
        if not delta.any():
            return self
        change = lift(delta, rate, self.sample_rate, self.frames)
        home = self.container()
        if home.subtype in BITS:
            changed, beyond = add_on_grid(self.samples, change, BITS[home.subtype])
        else:
            full = max(1.0, float(np.max(np.abs(self.samples))))
            changed = self.samples + change
            beyond = int(np.count_nonzero(np.abs(changed) > full))
            np.clip(changed, -full, full, out=changed)
        told = (f"{beyond} samples clipped at full scale",) if beyond else ()
        return replace(self, samples=_frozen(changed, self.samples.dtype), warnings=self.warnings + told)

    def container(self, keep_container: bool = False) -> Container:
        """Say which container, and which subtype in it, the clip is written to."""
        shape = {"channels": self.channels, "sample_rate": self.sample_rate}
        return container_for(self.format, self.subtype, **shape, keep_container=keep_container)

    def output_suffix(self, keep_container: bool = False) -> str:
        """Say how the name of the written file ends: as the source's, where that fits the container."""
        home = self.container(keep_container)
        own = self.path.suffix if self.path is not None else ""
        return own if own.lower() in home.suffixes else home.suffixes[0]

    def write(
        self,
        path: str | Path,
        *,
        force: bool = False,
        keep_container: bool = False,
        announce: Callable[[str], None] = lambda _: None,
    ) -> Path:
        """Write the clip as its source was: container, rate, channels, subtype, length, tags.

        A lossy source goes out as 24-bit FLAC, or with `keep_container` in kind, encoded once more (as good
        as the encoder can). The path's ending is changed where it does not fit. `announce` is called with
        each thing that a user must know, such as tags that were lost.

        Raises:
            OutputError: the file exists (and not `force`), is the source itself, or cannot be written.
        """
        home, suffix = self.container(keep_container), self.output_suffix(keep_container)
        return write_clip(self, Path(path), home, suffix, force=force, announce=announce)


def _frozen(samples: NDArray[np.floating[Any]], dtype: Any) -> NDArray[np.floating[Any]]:
    held: NDArray[np.floating[Any]] = np.ascontiguousarray(samples, dtype=dtype)
    held.flags.writeable = False
    return held
