"""Fetch the original study: its models, its evolved files, and cards to use the models as victims."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from subterfuge.errors import InputError, OutputError
from subterfuge.training.arrival import download, read, write, write_checked
from subterfuge.training.seed_study_cards import cards
from subterfuge.training.seed_study_files import FILES, IRMAS, RAW, StudyFile

Progress = Callable[[str, int, int], None]
"""Told, after each file, its place and how many of how many are done."""


@dataclass(frozen=True)
class SeedStudy:
    """What stands in the folder after a fetch, as places below it."""

    folder: Path
    fetched: tuple[str, ...]
    """Downloaded or copied now."""
    kept: tuple[str, ...]
    """Already there and right."""
    missing: tuple[str, ...]
    """Not to be had from where we looked."""
    cards: tuple[Path, ...]
    """Ready victim cards; one for each model that is there."""

    @property
    def advice(self) -> str:
        """Say where what is missing must come from; empty when nothing is."""
        clips = [place for place in self.missing if place.startswith("clips/")]
        others = [place for place in self.missing if not place.startswith("clips/")]
        lines = []
        if clips:
            lines += [
                "Missing, for the study's repository does not hold them: " + ", ".join(clips) + ".",
                "They are clips of IRMAS, which its authors alone give out: get IRMAS-TrainingData from",
                f"{IRMAS} and run this again with --from and its folder.",
            ]
        if others:
            lines += [
                "Not in the source: " + ", ".join(others) + ".",
                "Run this again without --from to download them.",
            ]
        return "\n".join(lines)


def fetch_seed_study(
    to: Path,
    *,
    source: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
    base_url: str = RAW,
    timeout_seconds: float = 30.0,
    file_seconds: float = 300.0,
) -> SeedStudy:
    """Bring the study's files and three ready victim cards into a folder.

    Downloads about 8 MB from the study's public repository at a fixed commit, or copies from a local folder:
    one laid out like ours (``clips/ evolved/ models/``), a checkout of the repository, or IRMAS's training
    data, which alone has the four clean clips. Each file is checked against its SHA-256 and appears under its
    name only when whole; files that are already right are kept, so a second call goes on where the first was
    cut off. No model is loaded.

    Args:
        to: the folder to fill, made if absent.
        source: a local folder to copy from, instead of the download.
        force: replace files that differ from ours.
        progress: told of each file.
        base_url: where the repository's files lie, without a last slash.
        timeout_seconds: how long a silent server is waited for.
        file_seconds: how long one file may take.

    Raises:
        OutputError: the folder cannot be written, or holds other files of these names and `force` is False.
        InputError: the source or the server does not give the study's files, or gives others.
    """
    texts = cards()
    kept = [file for file in FILES if _is_right(to / file.place, file)]
    wanted = [file for file in FILES if file not in kept]
    if not force:
        _refuse_to_overwrite(to, wanted, {name: text for name, (text, _) in texts.items()})
    if source is None:
        fetched = [file for file in wanted if file.remote is not None]
        pieces = (
            download(
                f"{base_url}/{quote(str(file.remote))}",
                most=file.size,
                timeout_seconds=timeout_seconds,
                seconds=file_seconds,
            )
            for file in fetched
        )
    else:
        found = _find(source, wanted, some=bool(kept))
        fetched = list(found)
        pieces = (read(path) for path in found.values())
    for done, (file, chunks) in enumerate(zip(fetched, pieces, strict=True), start=1):
        write_checked(to / file.place, chunks, size=file.size, sha256=file.sha256)
        if progress is not None:
            progress(file.place, done, len(fetched))
    there = {file.place for file in (*kept, *fetched)}
    ready = []
    for name, (text, needs) in texts.items():
        if there.issuperset(needs):
            write(to / name, [text.encode()])
            ready.append(to / name)
    return SeedStudy(
        folder=to,
        fetched=tuple(file.place for file in fetched),
        kept=tuple(file.place for file in kept),
        missing=tuple(file.place for file in FILES if file.place not in there),
        cards=tuple(ready),
    )


def _is_right(path: Path, file: StudyFile) -> bool:
    """Tell whether a path holds exactly this file of the study."""
    try:
        if not path.is_file() or path.stat().st_size != file.size:
            return False
        return hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror}; mend it or choose another folder") from error


def _refuse_to_overwrite(to: Path, wanted: Iterable[StudyFile], texts: dict[str, str]) -> None:
    """Raise OutputError where a path that we would write holds something else."""
    others = [to / file.place for file in wanted if os.path.lexists(to / file.place)]
    for name, text in texts.items():
        path = to / name
        if os.path.lexists(path) and not (path.is_file() and path.read_bytes() == text.encode()):
            others.append(path)
    if others:
        raise OutputError(
            f"{', '.join(map(str, others))}: already there, and not the study's own; move them, choose "
            "another folder, or replace them with --force"
        )


def _find(source: Path, wanted: Iterable[StudyFile], *, some: bool) -> dict[StudyFile, Path]:
    """Find the wanted files in a local folder; `some` says that the target holds some already."""
    if not source.is_dir():
        raise InputError(f"{source} is no folder; expected a copy of the study or IRMAS's training data")
    found, wrong = {}, []
    for file in wanted:
        there = [path for path in file.places_in(source) if path.is_file()]
        right = [path for path in there if _is_right(path, file)]
        if right:
            found[file] = right[0]
        else:
            wrong += there
    if wrong:
        raise InputError(
            f"{', '.join(map(str, wrong))}: not the study's file (its SHA-256 differs); nothing was copied"
        )
    if not found and not some:
        raise InputError(
            f"{source} holds no file of the study; expected models/, evolved/ and clips/, a checkout of the "
            "study's repository (code/model, docs/assets), or IRMAS-TrainingData (cel/, flu/, tru/, voi/)"
        )
    return found
