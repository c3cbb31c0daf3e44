"""Which scans are of the same patient: folds must not put one patient's two slabs on both sides."""

from __future__ import annotations

import csv
import json
import logging
import re
from dataclasses import replace
from pathlib import Path

from nnunetv2_strokesynth.dataset_conversion.scans import (
    TEST,
    TRAIN,
    UNOUTLINED,
    Scan,
)
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import strip_suffix

logger = logging.getLogger(__name__)

# "ISLES 2018 - TRAIN - Train_01_A - CT": patient 01, slab A.
_MAX_DIGITS = 99  # Python refuses to read numbers of thousands of digits
_SIDECAR_PATIENT = re.compile(rf"\b(?:Train|Test)_(\d{{1,{_MAX_DIGITS}}})(?!\d)", re.IGNORECASE)
_CASE_NAME = re.compile(rf"(case|test)_0*(\d{{1,{_MAX_DIGITS}}})", re.IGNORECASE)


def assign_patients(
    scans: list[Scan], patients_file: Path | None, built_in_file: Path
) -> dict[str, str]:
    """Find each scan's patient and log where the answer came from.

    The first source that covers every scan of a split is used for the whole split. The sources are
    the JSON sidecars; ``patients_file``; and the built-in map, if the cases are exactly its own. If
    none does, each scan counts as another patient, with a warning.

    Args:
        scans: all scans.
        patients_file: what ``read_patients_file`` reads; None without one.
        built_in_file: the map of the complete release.

    Returns:
        case id -> patient. Training and testing patients never share a name: ISLES numbers both
        from 1. Scans without an outline belong to the training patients.

    Raises:
        ValueError: ``patients_file`` is malformed or lacks a training scan.
        OSError: ``patients_file`` cannot be read.
    """
    scans = [replace(s, split=TRAIN) if s.split == UNOUTLINED else s for s in scans]
    given = read_patients_file(patients_file) if patients_file else {}
    _check_complete(scans, given, patients_file)
    built_in = _parse_map(json.loads(built_in_file.read_text(encoding="utf-8")), built_in_file)
    patients: dict[str, str] = {}
    for split in (TRAIN, TEST):
        members = [scan for scan in scans if scan.split == split]
        if members:
            found = _assign(members, given, built_in, patients_file)
            patients |= found
    return patients


def one_patient_each(scans: list[Scan]) -> dict[str, str]:
    """case id -> patient, if every scan is of another patient: the case id itself."""
    return {scan.case_id: scan.case_id for scan in scans}


def read_patients_file(path: Path) -> dict[str, str]:
    """Read a map from case to patient.

    Either JSON, ``{"case_1": 1, ...}`` or ``{"train": {...}, "test": {...}}``, or CSV with the
    columns ``case,patient``. ``case_1`` and ``case_001`` are the same training scan, ``test_1`` is
    a testing one.

    Returns:
        case id -> patient.

    Raises:
        ValueError: the file has another form, or names a case twice.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if path.suffix.lower() == ".csv":
        return _normalise(_csv_items(text, path), path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path}: neither a .csv file nor valid JSON ({error}); expected "
            '{"case_1": 1, ...} or a .csv with the columns case,patient'
        ) from error
    return _parse_map(content, path)


def _csv_items(text: str, path: Path) -> list[tuple[str, str]]:
    rows = csv.DictReader(text.splitlines())
    try:
        if not rows.fieldnames or not {"case", "patient"} <= set(rows.fieldnames):
            raise ValueError(
                f"{path}: columns {rows.fieldnames or 'none'} in line 1, expected case,patient"
            )
        return [(row["case"], row["patient"]) for row in rows]
    except csv.Error as error:
        raise ValueError(f"{path}: not a .csv file ({error}), expected case,patient") from error


def _parse_map(content: object, path: Path) -> dict[str, str]:
    if not isinstance(content, dict):
        raise ValueError(f'{path}: expected {{"case_1": 1, ...}}, found {type(content).__name__}')
    if not isinstance(content.get("train"), dict):
        return _normalise(list(content.items()), path)
    test = content.get("test") or {}
    if not isinstance(test, dict):
        raise ValueError(
            f'{path}: "test" holds {type(test).__name__}, expected {{"case_1": 1, ...}}'
        )
    test_items = [(str(case).lower().replace("case", "test"), who) for case, who in test.items()]
    return _normalise([*content["train"].items(), *test_items], path)


def _normalise(items: list[tuple[str, object]], path: Path) -> dict[str, str]:
    patients: dict[str, str] = {}
    for case, patient in items:
        match = _CASE_NAME.fullmatch(str(case).strip())
        if match is None:
            raise ValueError(f"{path}: case '{case}', expected a name like case_1 or test_1")
        if not isinstance(patient, int | str) or not str(patient).strip():
            raise ValueError(
                f"{path}: {case} has the patient {patient!r}, expected a number or name"
            )
        case_id = f"{match[1].lower()}_{int(match[2]):03d}"
        if case_id in patients:
            raise ValueError(f"{path}: {case} is listed twice")
        name = str(patient).strip()
        is_number = name.isdecimal() and len(name) <= _MAX_DIGITS
        patients[case_id] = f"{int(name):02d}" if is_number else name
    return patients


def _check_complete(scans: list[Scan], given: dict[str, str], path: Path | None) -> None:
    missing = [scan.case_id for scan in scans if scan.split == TRAIN and scan.case_id not in given]
    if path is not None and missing:
        raise ValueError(
            f"{path}: no patient for {len(missing)} training scans, {name_some(missing)}; "
            "list every training scan"
        )


def _assign(
    scans: list[Scan], given: dict[str, str], built_in: dict[str, str], patients_file: Path | None
) -> dict[str, str]:
    case_ids = {scan.case_id for scan in scans}
    label = "training" if scans[0].split == TRAIN else "testing"
    sidecars = {scan.case_id: name for scan in scans if (name := _sidecar_patient(scan))}
    if len(sidecars) == len(scans):
        if case_ids <= given.keys():
            logger.warning("%s is not used: the sidecars name every patient", patients_file)
        logger.info("patients of the %d %s scans: from their JSON sidecars", len(scans), label)
        return _prefixed(sidecars, scans)
    if sidecars:
        logger.warning(
            "only %d of %d %s scans have a JSON sidecar that names the patient: no sidecar is used",
            len(sidecars),
            len(scans),
            label,
        )
    if case_ids <= given.keys():
        logger.info("patients of the %d %s scans: from %s", len(scans), label, patients_file)
        return _prefixed(given, scans)
    prefix = scans[0].case_id.split("_")[0]
    if case_ids == {case_id for case_id in built_in if case_id.startswith(prefix)}:
        logger.info("patients of the %d %s scans: from the built-in map", len(scans), label)
        return _prefixed(built_in, scans)
    if label == "training":
        logger.warning(
            "warning: the patients of the %d training scans are unknown, so each scan counts as "
            "another patient. Two slabs of one patient may be on both sides of a fold: give "
            "--patients FILE",
            len(scans),
        )
    return one_patient_each(scans)


def _prefixed(names: dict[str, str], scans: list[Scan]) -> dict[str, str]:
    return {scan.case_id: f"{scan.split}_{names[scan.case_id]}" for scan in scans}


def _sidecar_patient(scan: Scan) -> str | None:
    """The patient that the sidecars of a scan name; None if there is none, or they disagree."""
    names = {name for path in scan.files.values() if (name := _read_sidecar(path))}
    if len(names) > 1:
        logger.warning("%s: its sidecars name the patients %s", scan.case_id, sorted(names))
    return names.pop() if len(names) == 1 else None


def _read_sidecar(path: Path) -> str | None:
    sidecar = path.with_name(strip_suffix(path.name) + ".json")
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        logger.warning("%s: unreadable sidecar, left out (%s)", sidecar, error)
        return None
    description = content.get("description") if isinstance(content, dict) else None
    match = _SIDECAR_PATIENT.search(description) if isinstance(description, str) else None
    return f"{int(match[1]):02d}" if match else None
