"""Fetch IRMAS, the data set of the original study, from where its authors give it out, and unpack it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from subterfuge.errors import InputError, OutputError, nearest
from subterfuge.training._irmas_download import fetch
from subterfuge.training._irmas_unpack import is_there, unpack
from subterfuge.training._irmas_wanted import PATIENT, Download, Patience, Progress, Say, md5_of
from subterfuge.training.arrival import write

ZENODO = "https://zenodo.org/records/1290750/files"
MOST_BYTES = 8 * 10**9
SPARE = 1.3
"""Room for the unpacked files, in sizes of the archive: sounds hardly shrink."""
LICENCE = (
    "IRMAS is by J. J. Bosch, F. Fuhrmann and P. Herrera (Music Technology Group, UPF; "
    "https://doi.org/10.5281/zenodo.1290750) under CC BY-NC-SA 3.0, for research and not for sale: name them, "
    "and share what you make of it under the same licence. Its authors ask that it be neither passed on nor "
    "changed, so keep attacked clips of it to yourself."
)


@dataclass(frozen=True)
class Part:
    """One archive of IRMAS."""

    archive: str
    md5: str
    """Hexadecimal, as the record on Zenodo gives it."""

    @property
    def folder(self) -> str:
        """The folder that it unpacks to."""
        return self.archive.removesuffix(".zip")


PARTS = {
    "training": Part("IRMAS-TrainingData.zip", "4fd9f5ed5a18d8e2687e6360b5f60afe"),
    "testing1": Part("IRMAS-TestingData-Part1.zip", "5a2e65520dcedada565dff2050bb2a56"),
    "testing2": Part("IRMAS-TestingData-Part2.zip", "afb0c8ea92f34ee653693106be95c895"),
    "testing3": Part("IRMAS-TestingData-Part3.zip", "9b3fb2d0c89cdc98037121c25bd5b556"),
}


@dataclass(frozen=True)
class Fetched:
    """What stands where after one part was fetched."""

    part: str
    folder: Path
    files: int
    written: int
    """Files that were not there before, or not right."""
    archive: Path | None
    """The archive, where it was kept."""


@dataclass(frozen=True)
class Irmas:
    """What stands in the folder after a fetch."""

    folder: Path
    parts: tuple[Fetched, ...]
    licence: str = LICENCE


def fetch_irmas(
    to: Path,
    parts: Iterable[str] = ("training",),
    *,
    source: Path | None = None,
    keep_zip: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    say: Say | None = None,
    base_url: str = ZENODO,
    patience: Patience = PATIENT,
) -> Irmas:
    """Bring parts of IRMAS into a folder: download, check, unpack. A second call goes on where the first broke off.

    While it comes, an archive is called ``NAME.zip.part``, and ``NAME.zip.whole`` once its MD5 is right; after it is
    unpacked it is deleted, unless `keep_zip` lets it stand as ``NAME.zip``. An archive of that name which is there
    already is used, and never deleted.

    Args:
        to: the folder to fill, made if absent.
        parts: names of `PARTS`.
        source: an archive, or a folder of archives, to unpack instead of a download.
        keep_zip: keep what was downloaded.
        force: overwrite files that differ from the archive's.
        progress: told of bytes.
        say: told when a download is tried again, or begun anew.
        base_url: where the archives lie, without a last slash.
        patience: with the line.

    Raises:
        InputError: an unknown part, no such source, a server that does not give what it should.
        OutputError: the folder cannot be written, is too full, or holds other files of these names.
    """
    progress = progress or (lambda *_: None)
    wanted = list(dict.fromkeys(parts))
    for name in wanted:
        if name not in PARTS:
            raise InputError(f"{name!r} is no part of IRMAS: {nearest(name, PARTS)}")
    local = {name: _find(source, PARTS[name]) for name in wanted} if source is not None else {}
    done = []
    for name in wanted:
        part = PARTS[name]
        before = _complete_before(to, part, force, progress)
        if before is not None:
            done.append(Fetched(name, to / part.folder, before, 0, _kept(to / part.archive)))
            continue
        archive = local.get(name) or _kept(to / part.archive)
        ours = to / f"{part.archive}.whole"
        if archive is not None:
            _check(archive, part, progress)
        elif not ours.is_file():
            url = f"{base_url}/{part.archive}?download=1"
            fetch(Download(url, ours, part.md5, MOST_BYTES, SPARE), patience=patience, progress=progress, say=say)
        unpacked = unpack(archive or ours, to / part.folder, force=force, progress=progress)
        files = {member.place: [member.size, member.crc] for member in unpacked.members}
        write(_list_of(to, part), [json.dumps({"md5": part.md5, "files": files}).encode()])
        if archive is None:
            _settle(ours, to / part.archive, keep_zip)
        done.append(Fetched(name, to / part.folder, len(files), unpacked.written, archive or _kept(to / part.archive)))
    return Irmas(to, tuple(done))


def _list_of(to: Path, part: Part) -> Path:
    """Give the hidden file that tells what was unpacked."""
    return to / f".{part.folder}.json"


def _complete_before(to: Path, part: Part, force: bool, progress: Progress) -> int | None:
    """Count the files of a part that an earlier call unpacked whole; None where it did not, or some are gone since.

    Raises:
        OutputError: some have been changed since, and may not be overwritten.
    """
    try:
        told = json.loads(_list_of(to, part).read_text("utf-8"))
        files = {str(place): (int(size), int(crc)) for place, (size, crc) in told["files"].items()}
        if told["md5"] != part.md5:
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    done, total, whole = 0, sum(size for size, _ in files.values()), True
    for place, (size, crc) in files.items():
        whole &= is_there(to / part.folder / place, size, crc, force)
        done += size
        progress(f"{part.folder}, checking", done, total)
    return len(files) if whole else None


def _find(source: Path, part: Part) -> Path:
    """Find a part's archive in a local place."""
    if source.is_file() and source.name == part.archive:
        return source
    if (source / part.archive).is_file():
        return source / part.archive
    if source.is_dir() and (source.name == part.folder or (source / part.folder).is_dir()):
        raise InputError(
            f"{source} holds {part.folder} unpacked already: name it as it stands, there is nothing to fetch"
        )
    raise InputError(f"{source}: {part.archive} was expected there, or a folder that holds it; see {ZENODO}")


def _kept(path: Path) -> Path | None:
    return path if path.is_file() else None


def _check(archive: Path, part: Part, progress: Progress) -> None:
    try:
        came = md5_of(archive, progress, f"{archive.name}, checking")
    except OSError as error:
        raise InputError(f"{archive} cannot be read: {error.strerror or error}") from error
    if came != part.md5:
        raise InputError(
            f"{archive} is not the archive that IRMAS's authors give out (MD5 begins {came[:12]}, expected "
            f"{part.md5[:12]}): broken off, or another version; move it away to download it"
        )


def _settle(ours: Path, archive: Path, keep_zip: bool) -> None:
    """Delete a downloaded archive, or give it its name."""
    try:
        if keep_zip:
            ours.replace(archive)
        else:
            ours.unlink()
    except OSError as error:
        raise OutputError(f"{ours}: {error.strerror or error}; everything is unpacked, so it may go") from error
