"""Which container a clip goes out in."""

from __future__ import annotations

from typing import NamedTuple

from subterfuge.audio.grid import BITS, FLOATS, is_lossy

SUFFIXES = {
    "WAV": (".wav", ".wave", ".bwf"),
    "WAVEX": (".wav", ".wave"),
    "RF64": (".wav", ".rf64", ".wave", ".bwf"),
    "W64": (".w64",),
    "AIFF": (".aiff", ".aif", ".aifc"),
    "AU": (".au", ".snd"),
    "CAF": (".caf",),
    "FLAC": (".flac",),
    "OGG": (".ogg", ".oga", ".opus"),
    "MP3": (".mp3",),
    "NIST": (".nist", ".wav", ".sph"),
    "IRCAM": (".sf", ".ircam"),
    "PVF": (".pvf",),
}
"""Names that a file of each container may end in, the usual one first."""

KEPT = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "NIST", "IRCAM", "PVF"})
"""Containers that libsndfile writes back bit for bit, whatever rate and channels they can have."""

NOT_WRITTEN = frozenset({"ALAC_20", "ALAC_24", "ALAC_32", "DPCM_8", "DPCM_16", "DWVW_12", "DWVW_16", "DWVW_24"})
"""Lossless subtypes that libsndfile 1.2 reads, but does not write, or not bit for bit."""

FLAC_CHANNELS = 8
FLAC_RATE_HZ = 655_350


class Container(NamedTuple):
    """What a file is to be: libsndfile's names of format and subtype, and whether they are the source's."""

    format: str
    subtype: str
    in_kind: bool

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Names that such a file may end in, the usual one first."""
        return SUFFIXES.get(self.format, ("." + self.format.lower(),))

    @property
    def lossy(self) -> bool:
        """Whether it gives back other samples than it was given."""
        return is_lossy(self.subtype)


def container_for(
    format: str, subtype: str, *, channels: int, sample_rate: int, keep_container: bool = False
) -> Container:
    """Choose the container of the output.

    What libsndfile writes bit for bit goes out as it came. Anything else (a lossy source, or a container
    that cannot be written) goes out as 24-bit FLAC, as WAV where FLAC has no room for the channels or the
    rate, and as WAV of the same subtype where 24 bits are too few.

    >>> container_for("WAV", "PCM_16", channels=2, sample_rate=44100)
    Container(format='WAV', subtype='PCM_16', in_kind=True)
    >>> container_for("MP3", "MPEG_LAYER_III", channels=2, sample_rate=44100)
    Container(format='FLAC', subtype='PCM_24', in_kind=False)
    >>> container_for("MP3", "MPEG_LAYER_III", channels=2, sample_rate=44100, keep_container=True)
    Container(format='MP3', subtype='MPEG_LAYER_III', in_kind=True)
    """
    exact = format in KEPT and (subtype in BITS or subtype in FLOATS) and subtype not in NOT_WRITTEN
    if exact or keep_container:
        return Container(format, subtype, True)
    if subtype in FLOATS or BITS.get(subtype, 0) > 24:
        return Container("WAV", "PCM_32" if subtype in BITS else subtype, False)
    fits = channels <= FLAC_CHANNELS and sample_rate <= FLAC_RATE_HZ
    return Container("FLAC" if fits else "WAV", "PCM_24", False)
