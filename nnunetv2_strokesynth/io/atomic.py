"""Files that are either complete or absent: written to a temporary sibling, then renamed."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY_PREFIX = ".tmp-"
ANOTHER_WRITES_S = 3600.0
"""How long a temporary file counts as one that another process is writing; a case takes seconds."""


def _sibling(path: Path) -> Path:
    # The name keeps the suffixes: SimpleITK and blosc2 choose the format by them.
    return path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}-{path.name}")


def flush_to_disk(path: Path) -> None:
    """Wait until the disk has a file's content.

    Without this, a power cut may leave the new name with nothing behind it: the name may reach the
    disk before the content.
    """
    file = os.open(path, os.O_RDWR)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot
            raise
    finally:
        os.close(file)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling; rename it to ``path`` on success, delete it on failure.

    Raises:
        OSError: it cannot be written; the message names ``path`` and not the temporary file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _sibling(path)
    try:
        yield temporary
        flush_to_disk(temporary)
        os.replace(temporary, path)
    except OSError as error:
        # A full disk shows in write() or close(), and then Python does not say of which file.
        if error.errno is None or str(error.filename or temporary) != str(temporary):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling folder; rename it on success, delete it on failure.

    An existing ``path`` is replaced, so the caller must have asked the user. It is moved aside as a
    whole and deleted last: a killed process never leaves half of it. Where the new one cannot take
    its place, it comes back.
    """
    path = Path(path)
    temporary, replaced = _sibling(path), _sibling(path)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file() and not file.is_symlink():
                flush_to_disk(file)
        if path.exists():
            os.replace(path, replaced)
        os.replace(temporary, path)
    except BaseException:
        if replaced.exists() and not path.exists():
            os.replace(replaced, path)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    # Only now: something else that took the place meanwhile must not cost what was there before.
    shutil.rmtree(replaced, ignore_errors=True)


def remove_leftovers(folder: Path, older_than_s: float = 0.0, *, and_folders: bool = False) -> None:
    """Delete the temporary files that a killed process left in a folder.

    Args:
        folder: where they lie; it may be absent.
        older_than_s: younger files stay, because another process may be writing them
            (``ANOTHER_WRITES_S``); 0 where this process is the only one that writes there.
        and_folders: whether temporary subfolders are deleted, too.
    """
    for leftover in folder.glob(f"{TEMPORARY_PREFIX}*"):
        with suppress(FileNotFoundError):  # another process was faster
            if time.time() - leftover.stat().st_mtime < older_than_s:
                continue
            if leftover.is_file():
                leftover.unlink()
            elif and_folders:
                shutil.rmtree(leftover, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8, completely or not at all.

    A file name may hold bytes that are not UTF-8; Python keeps them as lone surrogates. They become
    escapes like ``\\udcff``, which JSON turns back into the same name.
    """
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def _as_json(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write_json(path: Path, content: object) -> None:
    """Write ``content`` as indented JSON, completely or not at all."""
    write_text(path, _as_json(content))


def holds_json(path: Path, content: object) -> bool:
    """Whether the file is what ``write_json`` writes for this content; False if it is missing."""
    try:
        return path.read_bytes() == _as_json(content).encode("utf-8", errors="backslashreplace")
    except FileNotFoundError:
        return False
