"""One writer at a time: a lock of the operating system, which ends with the process that holds it.

A file whose mere existence says "locked" would stay behind after a crash. Here the file means
nothing; the lock on it does.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)


class LockedError(OSError):
    """Another process is writing the folder."""


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder that is written in place; the file lies beside the folder.

    Where the file system knows no locks, there is a warning and no lock.

    Raises:
        LockedError: another process holds it. The message names the folder and the process.
        OSError: the file cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(f".{folder.name}.lock")
    file = _acquire(path, folder)
    try:
        yield
    finally:
        if os.name == "posix":  # removed while it is locked, so that nobody else has opened it
            with suppress(OSError):
                path.unlink(missing_ok=True)
        os.close(file)
        if os.name != "posix":
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _acquire(path: Path, folder: Path) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(file)
        except BlockingIOError as error:
            holder = _holder(path)
            os.close(file)
            raise LockedError(
                f"{folder} is being written by another command{holder}; wait until it has ended, "
                "then type this one again"
            ) from error
        except OSError as error:  # NFS without a lock daemon
            logger.warning(
                "warning: %s: the file system offers no locks (%s); start no second command that "
                "writes this folder",
                path.parent,
                error.strerror,
            )
            return file
        if _is_still(path, file):
            with suppress(OSError):  # a full disk
                os.ftruncate(file, 0)
                os.write(file, f"{os.getpid()}\n".encode())
            return file
        os.close(file)  # the former holder removed it after we had opened it


def _is_still(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    try:
        return f" (process {int(path.read_text())})"
    except (OSError, ValueError):
        return ""


def _lock(file: int) -> None:
    """Lock an open file at once; raises ``BlockingIOError`` if another process has it."""
    if sys.platform == "win32":
        import msvcrt

        try:
            os.lseek(file, 1 << 20, os.SEEK_SET)  # beyond the text, which others may then read
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(error.errno, error.strerror) from error
        finally:
            os.lseek(file, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
