"""Writes small DICOM CT perfusion series, sound ones and broken ones, for tests.

Each slice is a 3-D image of one slice: of a 2-D image SimpleITK would lose the orientation.
"""

from __future__ import annotations

import datetime
import locale
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.io.dicom.reader import DicomSeries, read_ctp_series

START = datetime.datetime(2024, 3, 5, 10, 20, 30, 500_000)
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
STUDY = "1.2.826.0.1.3680043.2.1125.7"
SPACING = (5.0, 0.9, 0.8)
ORIGIN = (-20.0, -30.0, 40.0)
CTP_SHAPE = (12, 3, 8, 9)  # (T, Z, Y, X) of the series in the tests of the reader


def tilt_about_x(degrees: float) -> tuple[float, ...]:
    """Direction cosines of slices rotated about the patient's left-right axis."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return (1.0, 0.0, 0.0, 0.0, cos, -sin, 0.0, sin, cos)


def clock_tags(clock: str, seconds: float, start: datetime.datetime = START) -> dict[str, str]:
    """Tags that give a time by one clock; "AcquisitionTimeOnly" has no date."""
    moment = start + datetime.timedelta(seconds=seconds)
    date, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S.%f")
    return {
        "AcquisitionDateTime": {"0008|002a": date + time},
        "AcquisitionTime": {"0008|0022": date, "0008|0032": time},
        "AcquisitionTimeOnly": {"0008|0032": time},
        "ContentTime": {"0008|0023": date, "0008|0033": time},
        "TriggerTime": {"0018|1060": f"{seconds * 1000:.3f}"},
        "FrameReferenceTime": {"0054|1300": f"{seconds * 1000:.3f}"},
    }[clock]


def write_slice(
    path: Path, image: sitk.Image, tags: dict[str, str], compressed: bool = False
) -> Path:
    """Write an image of one slice with the tags; the file name needs no suffix."""
    image = sitk.Image(image)
    for tag, value in tags.items():
        image.SetMetaData(tag, value)
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.KeepOriginalImageUIDOn()
    writer.SetUseCompression(compressed)
    writer.SetFileName(str(path))
    before = locale.setlocale(locale.LC_ALL)
    writer.Execute(image)
    locale.setlocale(locale.LC_ALL, before)  # GDCM leaves "C" after some tags
    return path


def write_ctp(
    folder: Path,
    ctp: np.ndarray,
    *,
    times_s: Iterable[float] | None = None,
    clocks: Iterable[str] = ("AcquisitionDateTime",),
    start: datetime.datetime = START,
    spacing_zyx_mm: tuple[float, float, float] = SPACING,
    origin_xyz_mm: tuple[float, float, float] = ORIGIN,
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
    series_uid: str = STUDY + ".1",
    series_per_frame: bool = False,
    head_first: bool = False,
    compressed: bool = False,
    skip: Iterable[tuple[int, int]] = (),
    tags: dict[str, str] | None = None,
    tags_of: Callable[[int, int], dict[str, str]] | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Write a perfusion series, one file per frame and slice, under shuffled names.

    Args:
        folder: is created; further series can be written to it with another ``series_uid``.
        ctp: integers (T, Z, Y, X) in HU.
        times_s: (T,) seconds after ``start``; 2 s apart if not given.
        clocks: which clocks of ``clock_tags`` the files have; none for files without times.
        head_first: number the instances from head to feet.
        compressed: without loss, as SimpleITK does it (JPEG 2000).
        skip: (frame, slice) of files to leave out.
        tags: further tags, or other values.
        tags_of: further tags by frame and slice; these win.

    Returns:
        The files' paths, an object array (T, Z); None where skipped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    n_frames, n_slices = ctp.shape[:2]
    times = [2.0 * t for t in range(n_frames)] if times_s is None else list(times_s)
    names = [f"I{seed}{index:05d}" for index in range(n_frames * n_slices)]
    random.Random(seed).shuffle(names)
    paths = np.full((n_frames, n_slices), None, dtype=object)
    for t, z in np.ndindex(n_frames, n_slices):
        name = names.pop()
        if (t, z) in set(skip):
            continue
        rank = n_slices - 1 - z if head_first else z
        number = t * n_slices + rank + 1
        all_tags = {
            "0008|0016": CT_IMAGE,
            "0008|0060": "CT",
            "0008|103e": "Head perfusion",
            "0018|0050": f"{spacing_zyx_mm[0]:g}",
            "0020|000d": STUDY,
            "0020|000e": f"{series_uid}.{t + 1}" if series_per_frame else series_uid,
            "0008|0018": f"{series_uid}.9.{number}",
            "0020|0013": str(number),
            "0028|1052": "-1024",
            "0028|1053": "1",
        }
        for clock in clocks:
            all_tags |= clock_tags(clock, times[t], start)
        all_tags |= (tags or {}) | (tags_of(t, z) if tags_of else {})
        image = _volume(ctp[t], spacing_zyx_mm, origin_xyz_mm, direction)[:, :, z : z + 1]
        paths[t, z] = write_slice(folder / name, image, all_tags, compressed)
    return paths


def _volume(frame, spacing_zyx_mm, origin_xyz_mm, direction) -> sitk.Image:
    image = sitk.GetImageFromArray(frame.astype(np.int16))
    image.SetSpacing(spacing_zyx_mm[::-1])
    image.SetOrigin(origin_xyz_mm)
    image.SetDirection(direction)
    return image


def voxels(series: DicomSeries) -> np.ndarray:
    """All frames of a series, (T, Z, Y, X)."""
    return np.stack(list(series))


def refusal(folder: Path, *args, **options) -> str:
    """The text of the error with which a folder is refused: one line that names the folder."""
    with pytest.raises(ValueError) as caught:
        read_ctp_series(folder, *args, **options)
    text = str(caught.value)
    assert str(folder) in text and "\n" not in text
    return text
