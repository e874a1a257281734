"""One audit at a time in a folder: a lock that dies with the process that took it, however it dies.

The system's own file lock, on a file that holds the process's number. Neither SQLite's locks (readers must come in
while an audit is at work) nor a file that merely exists (it would outlive a killed process) can do this.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from subterfuge.errors import OutputError

_HELD: set[int] = set()
"""Files that this process has locked. A forked child gets them too, and would hold the locks after our death."""


def _let_go() -> None:
    for file in _HELD:
        with contextlib.suppress(OSError):
            os.close(file)
    _HELD.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)

if sys.platform == "win32":
    import msvcrt

    def _try(file: int) -> None:
        os.lseek(file, 2**20, os.SEEK_SET)  # a locked byte cannot be read there: not one of the process's number
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(file, 0, os.SEEK_SET)

else:
    import fcntl

    def _try(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@dataclass(frozen=True)
class Lock:
    """A lock that is held."""

    path: Path
    file: int
    owner: int
    """The process that took it: in a forked child it means nothing."""

    @classmethod
    def take(cls, path: Path) -> Lock:
        """Take the lock of a file, which is made, or say who has it.

        Raises:
            OutputError: another process has it, or the file cannot be made or locked.
        """
        try:
            while True:
                file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
                try:
                    _hold(path, file)
                    if os.path.samestat(os.fstat(file), os.stat(path)):
                        break
                except FileNotFoundError:
                    pass  # whoever had it took it away between our opening and our locking
                except BaseException:
                    os.close(file)
                    raise
                os.close(file)
            _HELD.add(file)
            lock = cls(path, file, os.getpid())
            try:
                os.ftruncate(file, 0)
                os.write(file, f"{lock.owner}\n".encode())
            except BaseException:
                lock.release()
                raise
            return lock
        except OSError as error:
            raise OutputError(
                f"{path.parent} cannot be written: {error.strerror or error} ({path.name}). Choose another --out, or "
                "make room there."
            ) from None

    def release(self) -> None:
        """Let another have it; the file goes."""
        if self.owner != os.getpid() or self.file not in _HELD:
            return
        _HELD.discard(self.file)
        with contextlib.suppress(OSError):  # Windows keeps a file that is open
            self.path.unlink()
        os.close(self.file)


def _hold(path: Path, file: int) -> None:
    try:
        _try(file)
    except (BlockingIOError, PermissionError):
        told = os.read(file, 20).decode("ascii", "replace").strip()
        who = f" (process {told})" if told.isdigit() else ""
        raise OutputError(
            f"another run is at work in {path.parent}{who}. Wait for its end, or choose another --out."
        ) from None
