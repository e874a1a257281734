"""Which sounds and pictures a page holds: the best win of every clip first, and more as long as there is room."""

from __future__ import annotations

import base64
import hashlib
import heapq
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from subterfuge.campaign.rows import Row
from subterfuge.errors import ClipError
from subterfuge.report._audit_command import listen_command
from subterfuge.report._audit_items import state_of
from subterfuge.report._audit_parts import real
from subterfuge.report._audit_pictures import outline, pictures
from subterfuge.report._audit_sounds import Both, find_both, pack

MOST_SHOWN = 250
"""Wins with pictures."""
SHARED = "before", "threshold"
"""Pictures that the wins of one clip have in common."""


NO_ROOM = "its sounds are not in the page, for want of room; listen to the files beside it"


@dataclass
class Sounds:
    """Packed sounds under a budget: what has the last turn is dropped first."""

    room: int
    """Most bytes of base64, with their elements."""
    held: dict[str, bytes] = field(default_factory=dict)
    uses: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    queue: list[tuple[tuple[int, int], int, tuple[str, str]]] = field(default_factory=list)
    size: int = 0

    def add(self, turn: tuple[int, int], place: int, both: tuple[bytes, bytes]) -> tuple[str, str]:
        """Take the sounds of a win in, and drop others until what is left fits."""
        first, second = (_name(one) for one in both)
        for name, content in zip((first, second), both, strict=True):
            self.size += 0 if self.uses[name] else _length(content)
            self.uses[name] += 1
            self.held[name] = content
        heapq.heappush(self.queue, ((-turn[0], -turn[1]), place, (first, second)))
        self.fit(self.room)
        return first, second

    def fit(self, room: int) -> None:
        """Drop what has the last turn until the rest fits."""
        self.room = min(room, self.room)
        while self.size > self.room and self.queue:
            for name in heapq.heappop(self.queue)[2]:
                self.uses[name] -= 1
                if not self.uses[name]:
                    self.size -= _length(self.held.pop(name))


@dataclass
class Media:
    """What was made for the items of a page."""

    sounds: Sounds
    pictures: dict[str, str] = field(default_factory=dict)
    """Base64 by name: those that several items have."""
    items: dict[int, dict[str, Any]] = field(default_factory=dict)
    """By the row's place: what the item holds of its sounds and pictures."""

    @property
    def spare(self) -> int:
        """Bytes that may come on top, where sounds are dropped and that is said."""
        return len(self.items) * (len(NO_ROOM) + 4)

    def settle(self, room: int) -> dict[str, str]:
        """Keep what fits, say where sounds are missing, and give all that is left in base64, by name."""
        self.sounds.fit(room)
        for item in self.items.values():
            if "sounds" in item and not set(item["sounds"]) <= set(self.sounds.held):
                del item["sounds"]
                item["notes"].append(NO_ROOM)
        packed = {f"s{name}": base64.b64encode(content).decode() for name, content in self.sounds.held.items()}
        return self.pictures | packed


def gather(
    rows: Sequence[Row],
    folder: Path,
    page: Path,
    room: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Media:
    """Read, check, draw and pack the sounds of the wins among some rows.

    Args:
        rows: of an audit, with the place in it by which items are known.
        folder: of the audit.
        page: where the page will be, for links.
        room: most bytes of base64 that the sounds may take, pictures and all else come on top.
        progress: called with how many wins are done, and of how many.

    A sound that is gone or damaged, or cannot be drawn, is told in its item's ``notes``.
    """
    media = Media(Sounds(room))
    turns = turns_of(rows)
    shown = dict(sorted(turns.items(), key=lambda one: one[1])[:MOST_SHOWN])
    for done, place in enumerate(sorted(turns, key=lambda place: (turns[place][1], turns[place][0]))):
        progress(done, len(turns))
        row = rows[place]
        assert row.outcome is not None
        item: dict[str, Any] = {"notes": [], "links": links(row, folder, page)}
        item["listen"] = listen_command(str(folder / str(row.outcome["file"])))
        media.items[place] = item
        if place not in shown:
            item["notes"].append(f"sounds and pictures are in the page for {MOST_SHOWN} wins; see the files beside it")
            continue
        try:
            both = find_both(row.outcome, folder, row.job.path)
            item |= _about(both, media)
            packed = pack(both)
        except (ClipError, ValueError, KeyError, TypeError, OSError, MemoryError) as error:
            item["notes"].append(f"not shown: {error}")
            continue
        item["notes"] += [*both.notes, *packed.notes]
        item["bits"] = packed.bits
        item["sounds"] = media.sounds.add(turns[place], place, packed.files)
    return media


def turns_of(rows: Sequence[Row]) -> dict[int, tuple[int, int]]:
    """Give the turn of each win: how many of its clip are better (more SNR), then the place of its clip."""
    by_clip: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if state_of(row) in ("won", "already") and row.outcome and row.outcome.get("file"):
            by_clip[row.job.name].append(place)
    turns: dict[int, tuple[int, int]] = {}
    for number, wins in enumerate(by_clip.values()):
        ranked = sorted(wins, key=lambda place: -_snr(rows[place]))
        turns |= {place: (rank, number) for rank, place in enumerate(ranked)}
    return turns


def _snr(row: Row) -> float:
    found = row.outcome or {}
    value = real(found.get("snr_db"))
    return value if value is not None else float("-inf")  # none of a clip that was changed in nothing


def _about(both: Both, media: Media) -> dict[str, Any]:
    told = pictures(both.before, both.after, both.sample_rate)
    for kind in SHARED:
        name = f"p{_name(told[kind].encode())}"
        media.pictures[name] = told[kind]
        told[kind] = name
    return {
        "picture": told,
        "rate": both.sample_rate,
        "start": both.start / both.sample_rate,
        "seconds": both.before.shape[-1] / both.sample_rate,
        "whole": both.frames / both.sample_rate,
        "outline": [outline(one) for one in (both.before, both.after)],
    }


def links(row: Row, folder: Path, page: Path) -> list[list[str]]:
    """Give what the files of a win are called and where they are, as addresses relative to the page."""
    found: Mapping[str, Any] = row.outcome or {}
    places = (
        [("changed file", folder / str(found["file"])), ("original", Path(row.job.path))] if found.get("file") else []
    )
    return [[title, address(place, page)] for title, place in places if str(place) not in ("", ".")]


def address(place: Path, page: Path) -> str:
    """Give the address of a file relative to a page.

    >>> address(Path("/a/b/c d#.wav"), Path("/a/page.html"))
    'b/c%20d%23.wav'
    """
    try:
        way = os.path.relpath(place, page.parent)
    except ValueError:  # on another drive
        return place.absolute().as_uri()
    return quote(Path(way).as_posix(), safe="/", errors="surrogateescape")


def _name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _length(content: bytes) -> int:
    return 4 * -(-len(content) // 3) + 80  # in base64, with its element
