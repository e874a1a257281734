"""A listening test: one HTML page that needs nothing else, with an ABX test of recorded attacks.

In each trial X is the clip or its attacked file, by a fair coin that the page throws when the trial begins, and the
listener says which (Clark 1982, "High-resolution subjective testing using a double-blind comparator"). A is always
the clip and B the file, so that what is learnt of their difference can be used: a test of whether it can be heard
should give hearing its best chance.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from subterfuge.audio import MAX_SECONDS
from subterfuge.audio.place import check_target, put
from subterfuge.errors import InputError, OutputError
from subterfuge.report._audit_parts import asset, hash_of
from subterfuge.report.pairs import Pair, describe, encode, find_pair
from subterfuge.report.trials import Design

FORMAT = "subterfuge listening results"
"""What the files say that a page saves."""
SCHEMA = 1
SCRIPTS = ("statistics.js", "records.js", "player.js", "page.js")
MOST_BYTES = 300_000_000
"""Of a page: browsers fail beyond."""


@dataclass(frozen=True)
class Made:
    """A written page, and what it tests."""

    page: Path
    test: dict[str, Any]
    notes: tuple[str, ...]


def make_page(
    outcomes: Sequence[str | Path],
    out: str | Path,
    design: Design,
    *,
    force: bool = False,
    max_seconds: float = MAX_SECONDS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Made:
    """Write the listening test of some recorded attacks, each given by its outcome or by the sound beside it.

    Raises:
        InputError: an outcome is none, of a lost attack, or given twice; the page would be too large.
        ClipError: a sound is missing, is not the one on record, or clip and file cannot be compared by ear.
        OutputError: the place is one of the files read, holds something (and not `force`), or cannot be written.
    """
    place = Path(out)
    pairs: list[Pair] = []
    notes: list[str] = []
    check_target(place, None, force)
    for number, outcome in enumerate(outcomes):
        progress(number, len(outcomes))
        pair, read, told = find_pair(outcome, max_seconds=max_seconds)
        for path in read:
            if place.exists() and place.samefile(path):
                raise OutputError(f"{place} is a file of this test, which is never overwritten. Choose another name.")
        if any((pair.clip_sha256, pair.file_sha256) == (one.clip_sha256, one.file_sha256) for one in pairs):
            raise InputError(f"{outcome} is the second outcome with these two sounds; give each pair once")
        pairs.append(pair)
        notes += [*told, *(f"{pair.name}: {note}" for note in pair.notes)]
    text, test = page(pairs, design)
    put(text.encode(), place, check=lambda _: None)
    return Made(place, test, tuple(notes))


def page(pairs: Sequence[Pair], design: Design) -> tuple[str, dict[str, Any]]:
    """Give the text of a page, and the description of its test; the same pairs and design give the same text.

    Raises:
        InputError: there are no pairs, or their sounds are too much for a page.
    """
    if not pairs:
        raise InputError("a listening test needs the outcome of at least one attack")
    test = describe_test(pairs, design)
    data = [f'<script type="application/json" id="test">{_harmless(test)}</script>']
    for number, pair in enumerate(pairs):
        for which, samples in (("a", pair.clip), ("b", pair.file)):
            data.append(f'<script type="text/plain" id="sound-{number}-{which}">{encode(samples)}</script>')
            size = sum(len(part) for part in data)
            if size > MOST_BYTES:
                raise InputError(
                    f"the sounds of {number + 1} of the {len(pairs)} pairs make a page of {size / 1e6:.0f} MB, more "
                    f"than the {MOST_BYTES / 1e6:.0f} that browsers open; give fewer outcomes, or of shorter clips"
                )
    style, script = asset("page.css"), "\n".join(["(() => {", '"use strict";', *map(asset, SCRIPTS), "})();"])
    parts = {
        "style": style,
        "style hash": hash_of(style),
        "script": script,
        "script hash": hash_of(script),
        "data": "\n".join(data),
    }
    return re.sub(r"\{\{([a-z ]+)\}\}", lambda found: parts[found[1]], asset("page.html")), test


def describe_test(pairs: Sequence[Pair], design: Design) -> dict[str, Any]:
    """Say what is tested and how, with its id, the SHA-256 of all the rest."""
    described = [describe(pair) for pair in pairs]
    for one, pair in zip(described, pairs, strict=True):
        if sum(other.name == pair.name for other in pairs) > 1:
            one["name"] = f"{pair.name} ({pair.goal}, {pair.file_sha256[:6]})"
    figures = {"guesses_pass": round(design.guesses_pass, 6), "finds": round(design.finds, 6)}
    settings = asdict(design) | figures
    test = {"schema": SCHEMA, "settings": settings, "pairs": described}
    return {"id": id_of(test), **test}


def id_of(test: dict[str, Any]) -> str:
    """Give the SHA-256 of a test's description but for its id, the same before and after a browser wrote it anew."""
    told = {key: value for key, value in test.items() if key != "id"}
    return hashlib.sha256(json.dumps(_whole(told), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _whole(value: Any) -> Any:
    """Turn floats without a fraction into integers, which is how JavaScript writes them."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _harmless(value: Any) -> str:
    """Write JSON that ends no script element and begins no comment, whatever the names in it."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
