"""ID3 tags (MP3) as Vorbis comments (FLAC), as far as the one has a place for the other."""

from __future__ import annotations

from typing import Any

TEXT_FRAMES = {
    "TIT1": "GROUPING",
    "TIT2": "TITLE",
    "TIT3": "SUBTITLE",
    "TPE1": "ARTIST",
    "TPE2": "ALBUMARTIST",
    "TPE3": "CONDUCTOR",
    "TPE4": "REMIXER",
    "TALB": "ALBUM",
    "TCOM": "COMPOSER",
    "TCON": "GENRE",
    "TCOP": "COPYRIGHT",
    "TDRC": "DATE",
    "TDOR": "ORIGINALDATE",
    "TEXT": "LYRICIST",
    "TENC": "ENCODED-BY",
    "TBPM": "BPM",
    "TKEY": "KEY",
    "TLAN": "LANGUAGE",
    "TMOO": "MOOD",
    "TPOS": "DISCNUMBER",
    "TPUB": "PUBLISHER",
    "TRCK": "TRACKNUMBER",
    "TSRC": "ISRC",
}
DROPPED_IN_SILENCE = frozenset({"TSSE", "TLEN", "TSIZ", "TFLT"})
"""Frames about the old encoding, which would be wrong of the new file."""


def as_vorbis(tags: Any) -> tuple[list[tuple[str, str]], list[Any], list[str]]:
    """Translate `mutagen.id3.ID3` tags.

    Returns:
        Vorbis comments as (name, text); pictures (APIC frames); the frames that have no place in FLAC.
    """
    comments: list[tuple[str, str]] = []
    pictures, lost = [], []
    for key, frame in tags.items():
        kind = key[:4]
        if kind in TEXT_FRAMES:
            comments += [(TEXT_FRAMES[kind], str(text)) for text in frame.text]
        elif kind == "TXXX" and _can_name(frame.desc):
            comments += [(frame.desc, str(text)) for text in frame.text]
        elif kind == "COMM" and not frame.desc:
            comments += [("COMMENT", str(text)) for text in frame.text]
        elif kind == "USLT":
            comments.append(("LYRICS", str(frame.text)))
        elif kind == "APIC":
            pictures.append(frame)
        elif kind not in DROPPED_IN_SILENCE:
            lost.append(kind)
    return comments, pictures, sorted(set(lost))


def _can_name(name: str) -> bool:
    """Say whether a Vorbis comment may be called so: printable ASCII without ``=``."""
    return bool(name) and all(" " <= letter <= "}" and letter != "=" for letter in name)
