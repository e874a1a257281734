"""Unpack a ZIP from elsewhere: nothing lands outside its folder, and what is there and right is kept."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo

from subterfuge.errors import InputError, OutputError
from subterfuge.training._irmas_wanted import CHUNK_BYTES, Progress, cannot_write, check_room

MOST_FILES = 50_000
MOST_TIMES = 4
"""How much larger than itself an archive may unpack: sounds hardly shrink."""
ALWAYS_BYTES = 1 << 26
"""What an archive may unpack to in any case."""
_UTF8_NAME, _ENCRYPTED = 0x800, 0x1


@dataclass(frozen=True)
class Member:
    """One file of an archive, and where it goes."""

    place: str
    """Below the folder, with forward slashes."""
    size: int
    """Bytes."""
    crc: int
    info: ZipInfo


@dataclass(frozen=True)
class Unpacked:
    """What became of an archive."""

    members: tuple[Member, ...]
    written: int
    kept: int
    """Files that were there already, and right."""


def unpack(archive: Path, folder: Path, *, force: bool, progress: Progress) -> Unpacked:
    """Unpack an archive into a folder; what its files have in common with the folder's name is not doubled.

    Everything is looked at before the first byte is written. Each file is written beside its place, checked by the
    CRC of the archive, and renamed, so what was interrupted goes on with the same call.

    Args:
        archive: a ZIP.
        folder: ``X`` for members ``X/a/b`` or ``a/b``.
        force: overwrite files of these names that differ.
        progress: told of the bytes.

    Raises:
        InputError: no ZIP, a damaged one, or one with a member that has no business there.
        OutputError: a place cannot be written, holds something else, or the disk is too full.
    """
    try:
        with ZipFile(archive) as zipped:
            members = _members(zipped, archive, folder.name)
            done, total = 0, sum(member.size for member in members)
            folder.mkdir(parents=True, exist_ok=True)
            _check_inside(folder, members)
            right = {one.place for one in members if is_there(folder / one.place, one.size, one.crc, force)}
            missing = sum(member.size for member in members if member.place not in right)
            check_room(folder, missing, f"what {archive.name} unpacks to")
            for member in members:
                if member.place not in right:
                    _write(zipped, member, folder / member.place)
                done += member.size
                progress(f"{folder.name}, unpacking", done, total)
    except (BadZipFile, NotImplementedError, zlib.error, EOFError) as error:
        raise InputError(
            f"{archive} is no whole ZIP ({error}); delete it and fetch it again, or give another copy with --from"
        ) from error
    except OSError as error:
        raise cannot_write(folder, error) from error
    return Unpacked(tuple(members), len(members) - len(right), len(right))


def is_there(path: Path, size: int, crc: int, force: bool) -> bool:
    """Tell whether a path is a file, and no link, of this size and CRC-32; False too where it may be overwritten.

    Raises:
        OutputError: it is something else, which only `force` overwrites, and only where it is a file.
    """
    if _is_right(path, size, crc):
        return True
    if os.path.lexists(path) and not (force and path.is_file()):
        raise OutputError(
            f"{path}: already there, and another file than the archive's; move it, choose another folder, or "
            "overwrite it with --force"
        )
    return False


def _is_right(path: Path, size: int, crc: int) -> bool:
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size != size:
            return False
        came = 0
        with open(path, "rb") as stream:
            while piece := stream.read(CHUNK_BYTES):
                came = zlib.crc32(piece, came)
    except OSError:
        return False
    return came == crc


def _members(zipped: ZipFile, archive: Path, top: str) -> list[Member]:
    """List what is to be unpacked, or refuse the archive."""
    infos = [info for info in zipped.infolist() if not _is_litter(_name(info))]
    if len(infos) > MOST_FILES:
        raise _refused(archive, f"it lists {len(infos)} files, more than {MOST_FILES}")
    most, declared = max(MOST_TIMES * archive.stat().st_size, ALWAYS_BYTES), sum(info.file_size for info in infos)
    if declared > most:
        raise _refused(archive, f"it unpacks to {declared} bytes, more than {most}")
    members: dict[str, Member] = {}
    for info in infos:
        name = _name(info)
        why = _forbidden(info, name)
        if why:
            raise _refused(archive, f"{name!r} {why}")
        place = "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))
        if not info.is_dir():
            if place in members:
                raise _refused(archive, f"{place!r} is in it twice")
            members[place] = Member(place, info.file_size, info.CRC, info)
    if not members:
        raise _refused(archive, "it holds no file")
    if all(place.startswith(f"{top}/") for place in members):
        members = {place[len(top) + 1 :]: member for place, member in members.items()}
    return [Member(place, one.size, one.crc, one.info) for place, one in sorted(members.items())]


def _name(info: ZipInfo) -> str:
    """Give a member's name; many programs write UTF-8 and do not say so, which zipfile reads as code page 437."""
    name = info.orig_filename
    if not info.flag_bits & _UTF8_NAME:
        with contextlib.suppress(UnicodeError):
            return name.encode("cp437").decode("utf-8")
    return name


def _forbidden(info: ZipInfo, name: str) -> str:
    """Say why a member may not be unpacked; nothing where it may."""
    parts = name.replace("\\", "/").split("/")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if parts[0] == "" or re.match(r"[A-Za-z]:", name):
        return "has an absolute path"
    if ".." in parts:
        return "leads out of its folder"
    if any(ord(letter) < 32 for letter in name) or not name.strip("/\\. "):
        return "is no name for a file"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device, and no file"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    return ""


def _is_litter(name: str) -> bool:
    parts = name.split("/")
    return "__MACOSX" in parts or parts[-1].startswith("._") or parts[-1] in (".DS_Store", "Thumbs.db", "desktop.ini")


def _check_inside(folder: Path, members: list[Member]) -> None:
    """Refuse where a link that stands in the folder already would lead a member out of it."""
    home = folder.resolve()
    for parent in sorted({(folder / member.place).parent for member in members}):
        if not parent.resolve().is_relative_to(home):
            raise OutputError(f"{parent} leads out of {folder} by a link; remove the link, or choose another folder")


def _write(zipped: ZipFile, member: Member, path: Path) -> None:
    """Write one file beside its place, have zipfile check its CRC, and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{member.crc:08x}.part")
    try:
        with zipped.open(member.info) as packed, open(part, "wb") as stream:
            while piece := packed.read(CHUNK_BYTES):
                stream.write(piece)
        if part.stat().st_size != member.size:
            raise BadZipFile(f"{member.place} is shorter than it says")
        os.replace(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _refused(archive: Path, why: str) -> InputError:
    return InputError(f"{archive} was not unpacked: {why}; expected sounds, packed as IRMAS's authors give them out")
