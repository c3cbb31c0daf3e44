"""One scan or a folder of patients: the same command, and for many one table, resumed and whole.

Each patient gets a folder of results of its own name. A patient that has its record is not computed
again without ``--overwrite``; one that fails is listed, and the others go on.
"""

from __future__ import annotations

import argparse
import csv
import io
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from nnunetv2_strokesynth.io.text_files import read_json_object

logger = logging.getLogger(__name__)

TABLE = "patients.csv"
_FIRST_COLUMNS = ("patient", "status", "error", "warnings")
_ONE_SCAN = ("aif", "vof", "brain_mask", "series")


def add_scan_options(parser: argparse.ArgumentParser) -> None:
    """What tells one scan's series, times, vessels and brain; the same for ``maps`` and predict."""
    add = parser.add_argument
    add("--series", metavar="UID", help="SeriesInstanceUID, if the DICOM files hold several series")
    add(
        "--frame-s",
        metavar="S",
        type=float,
        help="seconds between frames, if the files do not say, are wrong or contradict each other",
    )
    for name, vessel in (("--aif", "artery"), ("--vof", "vein")):
        add(
            name,
            nargs=3,
            type=int,
            metavar=("X", "Y", "Z"),
            help=f"voxel of the {vessel} as stored, counted from 0, for maps that are computed "
            "(default: found)",
        )
    add(
        "--brain-mask",
        metavar="FILE",
        type=Path,
        help="NIfTI file that is not 0 in the brain (default: found)",
    )
    add(
        "--no-motion-correction",
        action="store_true",
        help="compute maps from the frames as they are, wherever the head moved",
    )


def add_dicom_option(parser: argparse.ArgumentParser) -> None:
    """``--dicom``, which is off because what it writes names the patient."""
    parser.add_argument(
        "--dicom",
        action="store_true",
        help="of a DICOM study: also write the masks (DICOM-SEG), the volumes (structured report) "
        "and the picture (secondary capture), linked to the study, with the patient's name and "
        "identifiers in them",
    )


def refuse_options_of_one_scan(args: argparse.Namespace, folders: list[Path]) -> None:
    """``ValueError`` where an option names a thing of one scan and there are several."""
    named = ["--" + name.replace("_", "-") for name in _ONE_SCAN if getattr(args, name) is not None]
    if named and folders:
        raise ValueError(
            f"{' and '.join(named)} is for one scan, and there are {len(folders)} patients "
            f"({folders[0].name}, ...); give one patient's folder, or leave it out"
        )


def run_patients(
    folders: list[Path],
    output: Path,
    *,
    record: str,
    overwrite: bool,
    settings: dict[str, object],
    one: Callable[[Path, Path], object],
) -> int:
    """Compute each patient, write the table after each, and list the failures at the end.

    Args:
        folders: a patient each.
        output: gets a folder for each patient, and ``TABLE``.
        record: JSON file that each folder of results has when it is complete.
        overwrite: whether patients that have it are computed again.
        settings: what a record must say of an earlier result for it to be kept.
        one: function of a patient's folder and its folder of results.

    Returns:
        The exit code: 1 if a patient failed.

    Raises:
        FileExistsError: the output folder holds something else, or results of other settings.
    """
    _refuse_foreign(output, folders)
    if not overwrite:
        _refuse_other_settings([output / folder.name / record for folder in folders], settings)
    rows: list[dict[str, object]] = []
    for number, folder in enumerate(folders, 1):
        result = output / folder.name
        status, error = "done earlier", ""
        logger.info("patient %d of %d: %s", number, len(folders), folder.name)
        if overwrite or not _is_done(result / record):
            status, error = _status(one, folder, result)
        row = {"patient": folder.name, "status": status, "error": error}
        rows.append({**_flat(result / record if status != "failed" else None), **row})
        _write_table(output / TABLE, rows)
    failed = [row for row in rows if row["status"] == "failed"]
    logger.info("%d of %d patients; see %s", len(rows) - len(failed), len(rows), output / TABLE)
    for row in failed:
        logger.warning("failed: %s: %s", row["patient"], row["error"])
    return 1 if failed else 0


def _is_done(record: Path) -> bool:
    """Whether a patient has a whole record; a damaged one is made again."""
    try:
        return bool(read_json_object(record, way_out=""))
    except (OSError, ValueError):
        return False


def _status(one: Callable[[Path, Path], object], folder: Path, result: Path) -> tuple[str, str]:
    try:
        one(folder, result)
    except MemoryError as error:
        return "failed", f"out of memory ({error or 'no details'})"
    except (ValueError, OSError) as error:
        return "failed", " ".join(str(error).split())
    return "done", ""


def _refuse_foreign(output: Path, folders: list[Path]) -> None:
    if output.exists() and not output.is_dir():
        raise FileExistsError(f"{output} is a file, expected a folder")
    ours = {TABLE, *(folder.name for folder in folders)}
    found = [path.name for path in output.iterdir()] if output.exists() else []
    foreign = sorted(name for name in found if name not in ours and not name.startswith(".tmp-"))
    if foreign:
        raise FileExistsError(
            f"{output} holds {foreign[0]}, which is no patient's result; choose another folder"
        )


def _refuse_other_settings(records: list[Path], settings: dict[str, object]) -> None:
    for record in (record for record in records if _is_done(record)):
        content = read_json_object(record, way_out="delete it")
        for key, wanted in settings.items():
            if content.get(key) != wanted:
                raise FileExistsError(
                    f"{record}: computed with {key} {content.get(key)}, now it is {wanted}; choose "
                    "another folder or add --overwrite"
                )


def _flat(record: Path | None) -> dict[str, object]:
    """The numbers and words of a record; lists of sentences are joined, other lists left out."""
    if record is None:
        return {}
    row: dict[str, object] = {}
    _collect(read_json_object(record, way_out="delete it"), "", row)
    return row


def _collect(content: object, name: str, row: dict[str, object]) -> None:
    if isinstance(content, dict):
        for key, value in content.items():
            _collect(value, f"{name}_{key}" if name else str(key), row)
    elif isinstance(content, list):
        if content and all(isinstance(value, str) for value in content):
            row[name] = "; ".join(content)
    else:
        row[name] = content


def _write_table(path: Path, rows: list[dict[str, object]]) -> None:
    from nnunetv2_strokesynth.io.atomic import write_text

    names: Iterable[str] = dict.fromkeys(name for row in rows for name in row)
    columns = [*_FIRST_COLUMNS, *(name for name in names if name not in _FIRST_COLUMNS)]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
