"""What failed of an audit of one victim, and what that leaves out of its figures, in words with numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from subterfuge.errors import VictimError
from subterfuge.harden.strength import SNRS_DB, Strength


def told_failures(strength: Strength) -> list[str]:
    """Say which cases, and which searches of others, failed, and of how many clips and cases each figure is left.

    Nothing where nothing failed.
    """
    cases = len(strength.cases)
    whole = [one.failed for one in strength.faced if one.failed is not None]
    parts = [one.failures for one in strength.faced if one.failures]
    said = []
    if whole:
        said.append(f"{len(whole)} of {cases} cases failed: {whole[0]}")
    if parts:
        often = Counter(name for one in parts for name in one)
        which = ", ".join(f"{name} {count}" for name, count in often.items())
        first = next(iter(parts[0].values()))
        said.append(f"in {len(parts)} of {cases} cases a search failed ({which}), the first: {first}")
    if said:
        clips = strength.clips
        left = [sum(one.stands(snr_db) is not None for one in clips) for snr_db in SNRS_DB]
        levels = ", ".join(f"{snr_db:g}" for snr_db in SNRS_DB)
        masked = sum(one.stands_masked is not None and not one.unsought for one in clips)
        below = "" if any(one.unsought for one in clips) else f", {masked} below the masking threshold"
        said.append(
            "what stands while a search of it failed is left out: robust accuracy is of "
            f"{', '.join(map(str, left))} of {len(clips)} clips at {levels} dB{below}, the median of "
            f"{strength.measured} of {cases} cases; the same command tries again what failed"
        )
    return said


@contextmanager
def dying(name: str, out: Path) -> Iterator[None]:
    """Say, where a victim dies of clips that nobody changed, what to try and what is kept."""
    try:
        yield
    except VictimError as error:
        raise VictimError(
            f"{str(error).rstrip('.')}. That was of clips that nobody changed, which {name} has to answer before "
            "anything is attacked. Mend its code or its model; where memory is short try fewer processes (--jobs 1) or "
            "shorter clips. `subterfuge check CARD` tries it out. What is done so far is kept in "
            f"{out}, and the same command goes on there"
        ) from error
