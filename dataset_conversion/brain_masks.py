"""Brain masks from elsewhere, ``convert --brain-masks DIR``: which file belongs to which scan."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from nnunetv2_strokesynth.channels import BRAIN_MASK, CT, CTP
from nnunetv2_strokesynth.dataset_conversion.scans import Scan
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import nifti_files, strip_suffix

_SEPARATORS = ("_", "-", ".", " ")


def with_brain_masks(scans: list[Scan], folder: Path) -> list[Scan]:
    """The scans, each with its brain mask among its files.

    A mask, or a folder that it lies in, is called like the case (``case_001``), like the scan's
    folder (``case_1``, ``sub-stroke0001``; where a training and a testing scan share that name,
    with the folder above it: ``TRAINING/case_1``), or like the scan's CT or series. Something may
    follow, as in ``sub-stroke0001_ses-01_ncct_bet_mask.nii.gz``. Of several files the one with
    ``mask`` in its name counts, because HD-BET and SynthStrip write the stripped image, too.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a scan has no mask, or several; or one file would be the mask of two scans.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"--brain-masks {folder}: no such folder")
    images = nifti_files(folder)
    shared = Counter(Path(scan.source).name.lower() for scan in scans)
    found = {scan.case_id: _masks_of(scan, images, folder, shared) for scan in scans}
    _check(scans, found, folder)
    return [
        replace(scan, files={**scan.files, BRAIN_MASK: found[scan.case_id][0]}) for scan in scans
    ]


def _masks_of(scan: Scan, images: list[Path], folder: Path, shared: Counter[str]) -> list[Path]:
    """The files that may be a scan's mask; one if all is well."""
    source = Path(scan.source)
    names = [scan.case_id.lower()]
    if shared[source.name.lower()] == 1:
        names.append(source.name.lower())
    names += [strip_suffix(scan.files[m].name).lower() for m in (CT, CTP) if m in scan.files]
    found = []
    for path in images:
        relative = path.relative_to(folder)
        parts = [part.lower() for part in relative.parts]
        parts[-1] = strip_suffix(parts[-1])
        below = "/".join(parts)
        if any(_is_called(part, name) for part in parts for name in names) or _is_called(
            below, scan.source.lower()
        ):
            found.append(path)
    called_mask = [path for path in found if "mask" in path.name.lower()]
    return called_mask or found


def _is_called(text: str, name: str) -> bool:
    """Whether a text is a name, or a name and more after a separator."""
    rest = text.removeprefix(name)
    return text.startswith(name) and (not rest or rest.startswith((*_SEPARATORS, "/")))


def _check(scans: list[Scan], found: dict[str, list[Path]], folder: Path) -> None:
    missing = [f"{scan.case_id} ({scan.source})" for scan in scans if not found[scan.case_id]]
    if missing:
        example = scans[0]
        raise ValueError(
            f"--brain-masks {folder}: no mask for {len(missing)} of {len(scans)} scans: "
            f"{name_some(missing)}; expected files called like {example.case_id}.nii.gz or "
            f"{Path(example.source).name}_mask.nii.gz"
        )
    for case_id, paths in found.items():
        if len(paths) > 1:
            raise ValueError(
                f"--brain-masks {folder}: {len(paths)} files may be the mask of {case_id}: "
                f"{name_some(paths)}; leave one"
            )
    uses = Counter(paths[0] for paths in found.values())
    for path, count in uses.items():
        if count > 1:
            cases = [case_id for case_id, paths in found.items() if paths[0] == path]
            raise ValueError(
                f"{path}: it would be the mask of {name_some(cases)}; call masks like the cases"
            )
