"""How far perfusion maps of a simulated scan are from its truth, whatever software made them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.ctp.background import clear_background
from nnunetv2_strokesynth.io.nifti import nifti_files, read_volume, require_finite, strip_suffix
from nnunetv2_strokesynth.io.placement import Reference, place, read_grid, reference_of
from nnunetv2_strokesynth.io.text_files import read_json_object
from nnunetv2_strokesynth.phantom.truth import TRUTH_RECORD, TRUTH_UNITS

LATE_S = 6.0
LEAST_TISSUE = 0.5
"""Share of grey and white matter in the voxels that are scored."""
_LEAST_TRUTH = 1e-3
_LEAST_VOXELS = 20
_CAN_BE_ZERO = ("tmax", "delay")
"""Much normal tissue has the Tmax 0, from which software subtracts what its filter adds."""
_ANEW = "write the phantom anew"


class MapScore(NamedTuple):
    """How one map agrees with the truth, over the tissue where it has a value.

    Attributes:
        scan: name of the truth's folder.
        vendor: of the scan.
        map: key of ``TRUTH_UNITS``.
        correlation: Pearson's r.
        ratio: median of found / true.
        difference: median of found - true, in the map's unit.
        error: median of its absolute value.
        late_dice: Dice of found > 6 s with true > 6 s, of the Tmax; NaN for other maps, and where
            both are empty.
        covered: share of the tissue where the map has a value. A Tmax or delay of 0 is one where
            another of the scan's maps has a value.
        notes: sentences for the user.
    """

    scan: str
    vendor: str
    map: str
    correlation: float
    ratio: float
    difference: float
    error: float
    late_dice: float
    covered: float
    notes: tuple[str, ...] = ()


def scored_scans(maps: Path, truth: Path) -> list[tuple[Path, Path]]:
    """Pairs of folders: of one scan, or of all scans below a folder by their names.

    Raises:
        ValueError: ``truth`` is no folder of the phantom's truth, or a scan has no maps.
    """
    if (truth / TRUTH_RECORD).is_file():
        return [(maps, truth)]
    scans = sorted(path.parent for path in truth.glob(f"*/{TRUTH_RECORD}"))
    if not scans:
        raise ValueError(
            f"{truth} has no {TRUTH_RECORD}, neither itself nor in its subfolders; name a folder "
            "of perfusion_truth, which `strokesynth phantom --truth` writes"
        )
    missing = [scan.name for scan in scans if not (maps / scan.name).is_dir()]
    if missing:
        raise ValueError(
            f"{maps} has no subfolder {missing[0]} ({len(missing)} of {len(scans)} scans); each "
            f"scan's maps are expected in a folder that is named as in {truth}"
        )
    return [(maps / scan.name, scan) for scan in scans]


def score_scan(maps: Path, truth: Path) -> list[MapScore]:
    """Score the maps of one scan that are there, in the order of ``TRUTH_UNITS``.

    Args:
        maps: a folder with NIfTI files that are named after their map: ``cbf.nii.gz``,
            ``x_CBF.nii``; in the units of ``TRUTH_UNITS``. Other files are not read.
        truth: the scan's folder in ``perfusion_truth``.

    Raises:
        ValueError: there is no map, two files for one, or a map does not fit the scan.
        OSError: a file cannot be read.
    """
    record = read_json_object(truth / TRUTH_RECORD, way_out=_ANEW)
    files = {name: path for name in TRUTH_UNITS if (path := _file_of(maps, name))}
    if not files:
        expected = ", ".join(f"{name}.nii.gz" for name in TRUTH_UNITS)
        raise ValueError(f"{maps} has none of the maps {expected} (or ..._cbf.nii.gz and so on)")
    return list(_scores(files, truth, str(record.get("vendor", ""))))


class _Found(NamedTuple):
    """A map on the truth's voxels.

    Attributes:
        values: (Z, Y, X), 0 where nothing was computed.
        is_zero: (Z, Y, X) bool, where the file holds 0.
        notes: sentences for the user.
    """

    values: np.ndarray
    is_zero: np.ndarray
    notes: tuple[str, ...]


def _scores(files: dict[str, Path], truth: Path, vendor: str) -> Iterator[MapScore]:
    true_files = {name: _true_file(truth, name) for name in (*files, "tissue")}
    reference = reference_of("truth", read_grid(next(iter(true_files.values()))))
    true = {
        name: reference.reorientation.apply(read_volume(path)) for name, path in true_files.items()
    }
    _check_shapes(true, true_files)
    found = {name: _read(path, reference) for name, path in files.items()}
    anywhere = np.any([one.values != 0 for one in found.values()], axis=0)
    for name, (values, is_zero, notes) in found.items():
        tissue = (true["tissue"] > LEAST_TISSUE) & (true[name] > _LEAST_TRUTH)
        has_value = tissue & (values != 0)
        if name in _CAN_BE_ZERO:
            has_value |= tissue & is_zero & anywhere
        covered = np.count_nonzero(has_value) / max(1, np.count_nonzero(tissue))
        if np.count_nonzero(has_value) < _LEAST_VOXELS:
            raise ValueError(
                f"{files[name]} has values in {100 * covered:.0f} % of the brain's tissue"
            )
        pair = values[has_value], true[name][has_value]
        late = _late_dice(*pair) if name == "tmax" else float("nan")
        yield MapScore(truth.name, vendor, name, *_agreement(*pair), late, covered, notes)


def _true_file(truth: Path, name: str) -> Path:
    path = _file_of(truth, name)
    if path is None:
        raise ValueError(f"{truth} has no {name}; {_ANEW}")
    return path


def _check_shapes(true: dict[str, np.ndarray], files: dict[str, Path]) -> None:
    """``ValueError`` unless all volumes of the truth have the voxels of the first."""
    first = next(iter(true))
    for name, volume in true.items():
        if volume.shape != true[first].shape:
            raise ValueError(
                f"{files[name]} has {volume.shape} voxels, expected {true[first].shape} as "
                f"{files[first]}; {_ANEW}"
            )


def _read(path: Path, reference: Reference) -> _Found:
    volume = read_volume(path)
    placed = place(path, reference)
    (cleared,) = clear_background([volume]).maps
    is_zero = placed.image((volume == 0).astype(np.float32)) > 0.5
    return _Found(placed.image(require_finite(path.name, cleared)), is_zero, placed.notes)


def _agreement(found: np.ndarray, true: np.ndarray) -> tuple[float, float, float, float]:
    constant = found.std() == 0 or true.std() == 0
    return (
        float("nan") if constant else float(np.corrcoef(found, true)[0, 1]),
        float(np.median(found / true)),
        float(np.median(found - true)),
        float(np.median(np.abs(found - true))),
    )


def _late_dice(found: np.ndarray, true: np.ndarray) -> float:
    late, truly = found > LATE_S, true > LATE_S
    total = int(late.sum()) + int(truly.sum())
    return 2 * int((late & truly).sum()) / total if total else float("nan")


def _file_of(folder: Path, name: str) -> Path | None:
    """The NIfTI file whose name is, or ends with, the map's; upper and lower case are the same."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    found = [
        path
        for path in nifti_files(folder)
        if strip_suffix(path.name).lower().replace("-", "_").rpartition("_")[2] == name
    ]
    if len(found) > 1:
        shown = ", ".join(path.name for path in found)
        raise ValueError(f"{folder} has {len(found)} files for {name}: {shown}; leave one")
    return found[0] if found else None
