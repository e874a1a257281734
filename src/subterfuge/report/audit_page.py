"""The page of an audit: one HTML file that needs nothing else, a verdict first, every attack to hear and see."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subterfuge.audio.place import check_target, put
from subterfuge.campaign.rows import Audit
from subterfuge.report._audit_items import item_of, line_of
from subterfuge.report._audit_media import gather
from subterfuge.report._audit_parts import asset, hash_of, json_block, text
from subterfuge.report._audit_summary import summary_of

if TYPE_CHECKING:
    from subterfuge.campaign.figures import Figures
    from subterfuge.campaign.scorecard import Scorecard

MOST_BYTES = 29_900_000
"""Of a page, sounds and all: some mail servers, trackers and browsers refuse more than 30 MB."""
MOST_SOUND_BYTES = 22_000_000
"""Of the FLAC files in it, before base64."""
SCRIPTS = ("player.js", "audit_charts.js", "audit_pictures.js", "audit_sounds.js", "audit_item.js", "audit.js")


def write_page(
    audit: Audit,
    figures: Figures,
    scorecard: Scorecard,
    path: str | Path,
    *,
    force: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write the page of an audit, beside its place first and then into it.

    Args:
        audit: what was asked and what came of it; its sounds are read from its folder, each checked by its hash.
        figures: what it comes to.
        scorecard: what is to be made of it.
        path: of the page; links are relative to it.
        force: overwrite what stands there, unless it is one of the audit's clips.
        progress: called with how many wins are drawn, and of how many.

    Raises:
        OutputError: the place cannot be written, is a clip, or holds something (and not `force`).
    """
    place = Path(path)
    check_target(place, None, force)
    for source in {row.job.path for row in audit.rows if row.job.path}:
        check_target(place, Path(source), force=True)
    content = page(audit, figures.json(), scorecard.json(), place, progress=progress).encode("utf-8", "replace")
    put(content, place, check=lambda _: None)
    return place


def page(
    audit: Audit,
    figures: dict[str, Any],
    scorecard: dict[str, Any],
    place: Path,
    *,
    most_bytes: int = MOST_BYTES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """Give the text of a page that will stand at a place; the same audit gives the same text."""
    rows = [row for row in audit.rows if row.job.probe != "clean"]
    title = f"Audit of {dict(audit.setting.get('victim') or {}).get('name') or 'a victim'}"
    style, script = asset("audit.css"), "\n".join(["(() => {", '"use strict";', *map(asset, SCRIPTS), "})();"])
    about, charts = summary_of(audit, figures, scorecard)
    parts = {
        "title": text(title),
        "style": style,
        "style hash": hash_of(style),
        "script": script,
        "script hash": hash_of(script),
        "summary": about,
    }
    media = gather(rows, audit.folder, place, MOST_SOUND_BYTES * 4 // 3, progress)
    listening = "listening.html" if (place.parent / "listening.html").is_file() else None
    items = [item_of(row, audit.setting) | {"listening": listening} for row in rows]
    lines = [line_of(number, row) for number, row in enumerate(rows)]

    def whole(packed: dict[str, str]) -> str:
        heard = [line | {"sounds": "sounds" in media.items.get(line["place"], {})} for line in lines]
        data = [json_block("list", heard), json_block("charts", charts)]
        for number, item in enumerate(items):
            told = media.items.get(number, {})
            data.append(json_block(f"item-{number}", item | told))
        data += [f'<script type="text/plain" id="{name}">{content}</script>' for name, content in packed.items()]
        known = parts | {"data": "\n".join(data)}
        return re.sub(r"\{\{([a-z ]+)\}\}", lambda found: known[found[1]], asset("audit.html"))

    bare = len(whole(media.pictures).encode("utf-8", "replace"))
    return whole(media.settle(max(0, most_bytes - bare - media.spare - len(rows))))
