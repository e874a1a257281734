"""Read the parts of a torch program's archive: a zip, which may come from anyone.

Parts are read whole, within bounds, and by this module alone: what a loader gets later is built from what was looked
at, so a zip that two readers understand differently is no way in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

MOST_BYTES = 2 * 2**30
"""The largest file, as it lies."""
MOST_INFLATED = 64 * 2**20
"""The largest content of all compressed parts: code, and no weights."""
_MOST_PARTS = 100_000
_LEGACY = "serialized_exported_program.json"
_SKIPPED = ("traced_inputs", "extra/", "data/sample_inputs/", "serialized_example_inputs", "extra_files")
EXPECTED = "a TorchScript archive (torch.jit.save) or an exported program (torch.export.save)"


class NoProgram(ValueError):
    """What is wrong with a file that should be a program, as the end of a sentence about it."""


@dataclass(frozen=True)
class Archive:
    """The parts of a program."""

    form: str
    """"torchscript" or "export"."""
    parts: Mapping[str, bytes]
    """From the path below the archive's root to the content, without what no answer depends on."""
    sha256: str
    """Of the whole file."""

    def packed(self, names: tuple[str, ...]) -> BytesIO:
        """Give a new archive of some parts, uncompressed, as torch's own reader takes it."""
        stream = BytesIO()
        with ZipFile(stream, "w", ZIP_STORED) as built:
            for name in names:
                built.writestr(ZipInfo(f"archive/{name}"), self.parts[name])
        stream.seek(0)
        return stream


def read_archive(path: Path) -> Archive:
    """Read a program's file; nothing in it is run or unpickled.

    Raises:
        NoProgram: it is none, is damaged, or unpacks to too much.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise NoProgram(f"is larger than {MOST_BYTES / 2**30:g} GiB")
        raw = path.read_bytes()
    except OSError as reason:
        raise NoProgram(f"cannot be read ({reason.strerror})") from None
    if not raw.startswith(b"PK\x03\x04"):
        raise NoProgram(f"{_looks_like(raw)}; {EXPECTED} was expected")
    try:
        with ZipFile(BytesIO(raw)) as archive:
            entries = {info.filename: info for info in archive.infolist() if not info.is_dir()}
            if len(entries) < sum(not info.is_dir() for info in archive.infolist()) or len(entries) > _MOST_PARTS:
                raise NoProgram("is damaged: a part stands in it twice, or there are too many")
            inflated = sum(info.file_size for info in entries.values() if info.compress_type != ZIP_STORED)
            if inflated > MOST_INFLATED or sum(info.file_size for info in entries.values()) > size + MOST_INFLATED:
                raise NoProgram(f"unpacks to more than {MOST_INFLATED / 2**20:g} MiB of code, which no program needs")
            below = _below_root(list(entries))
            form = _form(set(below))
            wanted = {
                name: entries[full]
                for name, full in below.items()
                if not name.startswith(_SKIPPED) and not name.endswith(".debug_pkl")
            }
            parts = {name: archive.read(info) for name, info in wanted.items()}
    except (BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError, ValueError, ArithmeticError) as reason:
        if isinstance(reason, NoProgram):
            raise
        raise NoProgram(f"is damaged or cut short ({reason}); save it again") from None
    except Exception as reason:  # zlib.error and lzma.LZMAError have no common ancestor
        raise NoProgram(f"is damaged ({type(reason).__name__}: {reason}); save it again") from None
    return Archive(form, parts, hashlib.sha256(raw).hexdigest())


def _below_root(names: list[str]) -> dict[str, str]:
    """Map each path below the one folder that holds everything, if there is one, to the whole path."""
    roots = {name.partition("/")[0] for name in names}
    if len(roots) == 1 and all("/" in name for name in names):
        return {name.partition("/")[2]: name for name in names}
    return {name: name for name in names}


def _form(names: set[str]) -> str:
    """Tell the two kinds of program apart by their parts.

    Raises:
        NoProgram: it is another kind of archive.
    """
    if any(name.startswith("data/aotinductor/") or name.endswith((".so", ".o", ".dll", ".dylib")) for name in names):
        raise NoProgram("holds machine code (an AOTInductor package), which is never loaded; save the program as it is")
    if _LEGACY in names or ("archive_format" in names and any(name.startswith("models/") for name in names)):
        return "export"
    if "constants.pkl" in names and "data.pkl" in names and any(name.startswith("code/") for name in names):
        return "torchscript"
    if "data.pkl" in names:
        raise NoProgram(
            "is what torch.save writes: a pickle, which runs code of its own and is never read; save the module with "
            "torch.export.save, or its weights with safetensors.torch.save_model and name its factory"
        )
    raise NoProgram(f"is some other zip; {EXPECTED} was expected")


def _looks_like(raw: bytes) -> str:
    if not raw:
        return "is empty"
    if raw[:1] == b"\x80":
        return "is a pickle, which runs code of its own and is never read"
    if raw[8:9] == b"{" and int.from_bytes(raw[:8], "little") < len(raw):
        return "is a safetensors file, which holds weights without a program (module = ... takes them)"
    return "is no zip"
