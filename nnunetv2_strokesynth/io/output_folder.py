"""Write results without losing what is there: folders that are complete or absent, strict JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nnunetv2_strokesynth.io.atomic import atomic_folder
from nnunetv2_strokesynth.io.messages import name_some

_RECORDS, _ALWAYS = ("maps.json", "result.json"), "brain_mask.nii.gz"


def is_result_folder(folder: Path) -> bool:
    """Whether a folder holds what ``strokesynth maps`` or ``predict`` has written of a scan."""
    return any((folder / name).is_file() for name in _RECORDS) and (folder / _ALWAYS).is_file()


def is_left_out(path: Path, source: Path) -> bool:
    """Whether a file below a folder is hidden or an earlier result, and so no input."""
    folders = [folder for folder in path.parents if source in folder.parents]
    return any(folder.name.startswith(".") or is_result_folder(folder) for folder in folders)


def refuse_existing_file(path: Path, overwrite: bool) -> None:
    """Raise ``FileExistsError`` if a result is there and the user has not asked to replace it."""
    if Path(path).exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name or add --overwrite")


def refuse_existing_folder(
    folder: Path, overwrite: bool, is_ours: Callable[[str], bool], *, record: str | None = None
) -> None:
    """Raise unless a folder is absent, empty, or holds only our files and may be replaced.

    Args:
        folder: where results will go. Replacing it deletes what it holds.
        overwrite: whether the user asked for it.
        is_ours: whether the command itself writes files and folders of that name.
        record: a file that the command writes every time, so that a folder without it is not a
            result of the command.

    Raises:
        FileExistsError: the folder holds something that must not be deleted.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file, expected a folder")
    names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if not names:
        return
    foreign = [name for name in names if not is_ours(name)]
    if foreign or (record is not None and record not in names):
        what = f"holds {name_some(foreign)}" if foreign else f"has no {record}"
        raise FileExistsError(
            f"{folder} was not written by this command: it {what}. --overwrite would delete "
            "everything in it; choose another folder"
        )
    if not overwrite:
        raise FileExistsError(
            f"{folder} holds earlier results; choose another folder or add --overwrite"
        )


@contextmanager
def result_folder(
    folder: Path, *, overwrite: bool, is_ours: Callable[[str], bool], record: str | None = None
) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``folder`` on success.

    Arguments and errors are those of ``refuse_existing_folder``.
    """
    refuse_existing_folder(folder, overwrite, is_ours, record=record)
    with atomic_folder(Path(folder)) as temporary:
        yield temporary
        # Another command may have written the folder while this one was at work.
        refuse_existing_folder(folder, overwrite, is_ours, record=record)


def strict_json(content: object) -> object:
    """Copy nested results with NaN and infinity as None, because JSON has neither.

    NamedTuples become dictionaries of their fields, numpy scalars Python numbers, paths strings.
    """
    if hasattr(content, "_asdict"):
        content = content._asdict()
    if isinstance(content, dict):
        return {str(key): strict_json(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [strict_json(value) for value in content]
    if isinstance(content, Path):
        return str(content)
    if hasattr(content, "item"):
        content = content.item()
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
