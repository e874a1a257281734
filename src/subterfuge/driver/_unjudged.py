"""The best so far of a search in whose midst the victim died: a file that nobody has judged, and its record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from subterfuge.driver.place import keep_unjudged
from subterfuge.driver.search import Unjudged
from subterfuge.errors import VictimError
from subterfuge.outcome import Outcome

NOT_ASKED = "not asked"
"""What is recorded of a file about which the victim no longer answered."""


def leave_unjudged(
    death: Unjudged, place: Path, force: bool, notes: list[str], record: Callable[..., Outcome]
) -> NoReturn:
    """Keep the file beside where a result would stand, say so in its record, and let the death pass.

    Args:
        death: holds the file.
        place: of a result.
        force: overwrite what was kept before.
        notes: get a line, before `record` is called.
        record: gives the outcome, of what nobody knows of such a file, as fields of `Outcome`.

    Raises:
        VictimError: always; it names what was kept.
        OutputError: the file or its record cannot be written.
    """
    notes.append(f"nobody has judged this file: {death}")
    outcome = record(
        won=False,
        predicted=NOT_ASKED,
        probability=None,
        twin_gap=None,
        control=None,
        file=None,
        file_sha256=None,
        advice="ask the victim about the file once it answers again: subterfuge transfer FILE --to CARD",
    )
    kept = keep_unjudged(death.file, place, force, outcome)
    raise VictimError(f"{death}; the best so far, which nobody has judged, is kept in {kept}") from death
