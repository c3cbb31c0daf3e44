"""The folder ``nnUNet_raw/DatasetNNN_NAME``: its name, and whether a conversion may write to it.

A conversion that was cut off goes on in the same folder: ``conversion/`` holds the settings and a
record of each finished case.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from nnunetv2.paths import nnUNet_preprocessed, nnUNet_raw, nnUNet_results

from nnunetv2_strokesynth.dataset_conversion.job import RECORDS
from nnunetv2_strokesynth.dataset_conversion.settings import Settings
from nnunetv2_strokesynth.io.atomic import (
    TEMPORARY_PREFIX,
    remove_leftovers,
    write_json,
)
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.orientation import CANONICAL, ORIENTATION_KEY

DESCRIPTION_FILE = "dataset.json"
_SETTINGS_FILE = f"{RECORDS}/settings.json"


def dataset_folder(dataset_id: int, name: str) -> Path:
    """The data set's folder in ``nnUNet_raw``.

    Raises:
        ValueError: ``nnUNet_raw`` is not set, the id or name cannot be used, or another data set
            has the id.
    """
    raw = nnUNet_raw.get()
    if not raw:
        raise ValueError(
            "the environment variable nnUNet_raw is not set; "
            "export nnUNet_raw=/path/to/nnUNet_raw, where nnU-Net looks for data sets"
        )
    if not 1 <= dataset_id <= 999:
        raise ValueError(f"-d {dataset_id}: expected a number from 1 to 999")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"--name '{name}': expected letters, digits, _ and - only")
    folder = f"Dataset{dataset_id:03d}_{name}"
    for variable in (nnUNet_raw, nnUNet_preprocessed, nnUNet_results):
        root = Path(variable.get() or raw)
        for other in sorted(root.glob(f"Dataset{dataset_id:03d}*")):
            if other.is_dir() and other.name != folder:
                raise ValueError(
                    f"{other} has the id {dataset_id} already, and nnU-Net allows one name per id; "
                    "choose another -d, or give that name with --name"
                )
    return Path(raw) / folder


def prepare_folder(
    folder: Path,
    case_ids: Collection[str],
    settings: Settings,
    *,
    overwrite: bool = False,
) -> None:
    """Prepare the folder for some cases: it is new, or an earlier run with equal settings left it.

    Raises:
        ValueError: the folder was not written by this command; or it holds other scans or was
            converted with other settings, and ``overwrite`` is off.
    """
    settings_path = folder / _SETTINGS_FILE
    if folder.exists() and _holds_files(folder):
        if not settings_path.is_file():
            raise ValueError(
                f"{folder} exists and was not written by this command; "
                "remove it, or choose another -d"
            )
        if overwrite:
            _remove_data_set(folder)
        else:
            _check_same(folder, case_ids, settings)
    for inner in (folder, *folder.glob("*/")):
        remove_leftovers(inner)  # in imagesTr nnU-Net would take one for a case
    write_json(settings_path, settings.of_data_set)


def json_or_none(path: Path) -> object:
    """The content of a JSON file; None for a damaged one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None


def _holds_files(folder: Path) -> bool:
    """Whether a folder holds more than empty folders and what a killed process left."""
    found = (path for path in folder.rglob("*") if not path.is_dir())
    return any(not path.name.startswith(TEMPORARY_PREFIX) for path in found)


def _remove_data_set(folder: Path) -> None:
    """Remove what this command wrote, the settings last, so that a killed run can be repeated."""
    (folder / DESCRIPTION_FILE).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink() and path.name != RECORDS:
            shutil.rmtree(path)
    shutil.rmtree(folder)


def _check_same(folder: Path, case_ids: Collection[str], settings: Settings) -> None:
    stored, wanted = json_or_none(folder / _SETTINGS_FILE), settings.of_data_set
    stored = stored if isinstance(stored, dict) else {}
    if stored and ORIENTATION_KEY not in stored:
        raise ValueError(
            f"{folder} was converted by an earlier version, which left each scan in its own order "
            f"of axes; now all are brought to {CANONICAL}. Add --overwrite to convert it anew, or "
            "choose another -d"
        )
    if stored != wanted:
        keys = [key for key in {**wanted, **stored} if stored.get(key) != wanted.get(key)]
        differences = ", ".join(f"{key} {stored.get(key)}, now {wanted.get(key)}" for key in keys)
        raise ValueError(
            f"{folder} was converted with other settings ({differences}); "
            "add --overwrite to convert it anew, or choose another -d"
        )
    known = {path.stem for path in (folder / RECORDS).glob("[!.]*_[0-9]*.json")}
    gone = sorted(known - set(case_ids))
    if gone:
        raise ValueError(
            f"{folder} holds {len(gone)} cases that are not among the scans, "
            f"{name_some(gone)}; add --overwrite to convert it anew without them, or choose "
            "another -d. If they were withdrawn, what nnU-Net made of them goes next: "
            f"nnUNet_preprocessed/{folder.name}"
        )
