"""The pictures of one case: every channel, feature, pseudo-DWI and DWI of the widest slice.

Volumes are turned to radiological orientation by their headers before a slice is taken: the
patient's right is on the left of the picture and anterior is up, however the file stores them. The
converters write scans of unknown orientation without position: their pictures name no side.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk

from nnunetv2_strokesynth.channels import PERFUSION_MAPS
from nnunetv2_strokesynth.dataloading.dwi_scaling import PAPER, WINDOW_TOP, dwi_window
from nnunetv2_strokesynth.evaluation.volumes import (
    Volume,
    on_voxels_of,
    read_image,
    read_mask,
)
from nnunetv2_strokesynth.io.orientation import says_nothing
from nnunetv2_strokesynth.reporting.panels import Panel
from nnunetv2_strokesynth.reporting.slice_image import robust_window, widest_lesion_slice

# Grey windows in HU of the channels that have them, by the beginning of the name.
HU_WINDOWS = {"CTA": (0.0, 120.0), "CT": (0.0, 80.0), "MIP": (0.0, 160.0)}
SECONDS = ("MTT", "Tmax", "TTP")
FEATURE, PSEUDO_DWI, DWI, OUTLINES = "feature", "pseudo-DWI", "DWI", "outlines"


class CaseFiles(NamedTuple):
    """Files of one case; ``channels`` and the optional ones may be empty or None.

    ``scale`` is that of the pseudo-DWI, one of ``dwi_scaling.SCALES``.
    ``has_sides`` says that the patient's left and right are known, as ``dataset.json`` does of a
    data set whose scans were all brought to one order; otherwise the label's header decides.
    """

    case_id: str
    gt: Path
    pred: Path
    channels: Sequence[tuple[str, Path]] = ()
    feature: Path | None = None
    pseudo_dwi: Path | None = None
    dwi: Path | None = None
    scale: str = PAPER
    has_sides: bool = False


class CasePanels(NamedTuple):
    """What to draw of one case.

    Attributes:
        panels: every image with its grey window; ``image`` is None where there is no file.
        lesion_gt, lesion_pred: bool ``(Y, X)`` of the same slice.
        slice_number: counted from the feet, from 1.
        n_slices: of the scan.
        aspect: pixel height / pixel width.
        sides_known: whether the patient's right can be told from the left.
    """

    panels: Sequence[Panel]
    lesion_gt: np.ndarray
    lesion_pred: np.ndarray
    slice_number: int
    n_slices: int
    aspect: float
    sides_known: bool = False


def _itk(volume: Volume) -> sitk.Image:
    array = volume.array
    image = sitk.GetImageFromArray(array.astype(np.uint8 if array.dtype == bool else np.float32))
    image.SetSpacing(tuple(reversed(volume.spacing_mm)))
    image.SetOrigin(volume.origin)
    image.SetDirection(volume.direction)
    return image


def to_radiological(volume: Volume) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Array ``(Z, Y, X)`` from feet to head, anterior to posterior, right to left; spacing."""
    image = sitk.DICOMOrient(_itk(volume), "LPS")
    return sitk.GetArrayFromImage(image), tuple(reversed(image.GetSpacing()))


def grey_window(channel: str, image: np.ndarray) -> tuple[float, float]:
    """HU window of CT-like channels, percentiles of the slice otherwise."""
    for beginning, window in HU_WINDOWS.items():
        if channel.startswith(beginning):
            return window
    return robust_window(image)


def case_panels(files: CaseFiles) -> CasePanels:
    """Read one case and cut the slice with the widest true lesion (else the widest predicted).

    Raises:
        ValueError: names the case and the file that cannot be used.
    """
    try:
        gt = read_mask(files.gt)
        lesion, spacing = to_radiological(gt)
        pred = _slices(read_mask(files.pred), gt)
        z = widest_lesion_slice(lesion if lesion.any() else pred)
        images = [*files.channels, (FEATURE, files.feature)]
        panels = [_panel(name, path, gt, z) for name, path in images]
        panels += _dwi_panels(files, gt, z)
    except (ValueError, OSError) as error:
        raise ValueError(f"case {files.case_id}: {error}") from error
    panels.append(_outline_panel(panels, lesion[z].shape))
    return CasePanels(
        panels,
        lesion[z] > 0,
        pred[z] > 0,
        z + 1,
        len(lesion),
        spacing[1] / spacing[2],
        files.has_sides or not says_nothing(gt.direction, gt.origin),
    )


def on_slice(volume: Volume, reference: Volume, shown: CasePanels) -> np.ndarray:
    """The slice of another mask of a case that ``case_panels`` shows: bool (Y, X).

    Args:
        volume: the mask.
        reference: the true lesion, whose voxels it has.
        shown: of the case.
    """
    return _slices(volume, reference)[shown.slice_number - 1] > 0


def _slices(volume: Volume, reference: Volume) -> np.ndarray:
    return to_radiological(on_voxels_of(reference, volume))[0]


def _panel(name: str, path: Path | None, reference: Volume, z: int) -> Panel:
    if path is None:
        return Panel(name, None)
    image = _slices(read_image(path), reference)[z]
    return Panel(name, image, grey_window(name, image))


def _dwi_panels(files: CaseFiles, reference: Volume, z: int) -> list[Panel]:
    """Pseudo-DWI and DWI in one grey window: that of the scale that the generator learned."""
    pseudo, dwi = Panel(PSEUDO_DWI, None), Panel(DWI, None)
    if files.pseudo_dwi is not None:
        image = _slices(read_image(files.pseudo_dwi), reference)[z]
        pseudo = Panel(PSEUDO_DWI, image, (0.0, WINDOW_TOP[files.scale]))
    if files.dwi is not None:
        volume = _slices(read_image(files.dwi), reference)
        maps = [path for name, path in files.channels if name in PERFUSION_MAPS and path]
        brains = [_slices(read_image(path), reference) != 0 for path in maps]
        brain = np.any(brains, axis=0) if brains else None
        dwi = Panel(DWI, volume[z], dwi_window(volume, files.scale, brain))
    return [pseudo, dwi]


def _outline_panel(panels: Sequence[Panel], shape: tuple[int, int]) -> Panel:
    """Outlines on the DWI; without one on the first image there is, or on black."""
    shown = [panel for panel in (panels[-1], *panels) if panel.image is not None]
    if not shown:
        return Panel(OUTLINES, np.zeros(shape, dtype=np.float32), (0.0, 1.0))
    return Panel(f"{OUTLINES} on {shown[0].title}", shown[0].image, shown[0].window)
